//! The sink that prints.

use super::LineFormat;

/// What is configured of it.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// How an event is written.
    pub format: LineFormat,
}
