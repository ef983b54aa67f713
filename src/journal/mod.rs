//! The durable, ordered log of events: the only truth.

use std::path::PathBuf;
use std::time::Duration;

/// When an event counts as recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sync {
    /// After `fdatasync`.
    #[default]
    Always,
    /// When the kernel has it: lost if the machine goes down, not if the process does.
    Never,
}

/// What is configured of the journal.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The directory.
    pub path: PathBuf,
    /// When an event counts as recorded.
    pub sync: Sync,
    /// Events that every subscriber is done with are kept this long...
    pub retain_age: Duration,
    /// ...and as long as the journal is no larger than this, in bytes.
    pub retain_size: u64,
    /// Below this much free space on the disk, in bytes, nothing is accepted.
    pub min_free: u64,
}
