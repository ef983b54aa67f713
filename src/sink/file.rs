//! The sink that appends to files.

use super::LineFormat;

/// When a file is put aside for a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotate {
    /// At this many bytes.
    pub size: u64,
    /// How many old files are kept.
    pub keep: u32,
}

/// What is configured of it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The path with `{topic}`, `{type}`, `{date}`.
    pub path: String,
    /// How an event is written.
    pub format: LineFormat,
    /// When a file is put aside.
    pub rotate: Option<Rotate>,
}
