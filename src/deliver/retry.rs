//! When a refused delivery is tried again, or given up. Pure: the clock and the dice come in as arguments.

use std::time::Duration;

/// How a subscriber retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// The delay bound after the first refusal; it doubles with each further one.
    pub first: Duration,
    /// The largest delay bound.
    pub max: Duration,
    /// The most attempts, the first included.
    pub attempts: u32,
    /// No attempt later than this after the event was received.
    pub max_age: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            max: Duration::from_secs(3600),
            attempts: 16,
            max_age: Duration::from_secs(3 * 24 * 3600),
        }
    }
}
