//! What subscribers get, and when.
