//! How a subscriber is doing, for those who look from outside.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::event::Millis;

/// What a worker shows of itself.
#[derive(Debug)]
pub struct Status {
    /// The first event it has not examined or still has under way.
    pub position: AtomicU64,
    /// Events that match, and are neither delivered nor dead; less than it is while the journal is being counted.
    pub backlog: AtomicU64,
    /// When the oldest of them was received, in milliseconds since 1970; 0: none is known.
    pub oldest_owed: AtomicI64,
    /// The endpoint only fails, and is probed at a slowing pace.
    pub failing: AtomicBool,
    last_error: Mutex<Option<(Millis, String)>>,
}

impl Status {
    pub(super) fn new() -> Self {
        Self {
            position: AtomicU64::new(0),
            backlog: AtomicU64::new(0),
            oldest_owed: AtomicI64::new(0),
            failing: AtomicBool::new(false),
            last_error: Mutex::new(None),
        }
    }

    pub(super) fn failed(&self, now: Millis, reason: &str) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, reason.to_owned()));
    }

    /// The last refusal, and when it was.
    pub fn last_error(&self) -> Option<(Millis, String)> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How long the oldest event has been owed, in seconds.
    pub fn oldest_owed_seconds(&self, now: Millis) -> f64 {
        match self.oldest_owed.load(Ordering::Relaxed) {
            0 => 0.0,
            #[expect(clippy::cast_precision_loss, reason = "milliseconds of an age fit")]
            received => now.0.saturating_sub(received).max(0) as f64 / 1000.0,
        }
    }
}
