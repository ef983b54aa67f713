//! Validators as the daemon uses them: built from a table, asked about requests.

mod build;
mod doctor;
mod fuzz;
mod handshake;
mod payloads;
mod request;
mod signing;
mod traps;
