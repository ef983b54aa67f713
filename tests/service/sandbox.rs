//! The service unit, and the binary under as much of it as there is here.
