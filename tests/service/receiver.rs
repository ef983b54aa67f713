//! A webhook receiver that does what a test wants.
