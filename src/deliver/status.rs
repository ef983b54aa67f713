//! How a subscriber is doing, for those who look from outside.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::event::{Millis, Seq};

/// What a worker shows of itself.
#[derive(Debug)]
pub struct Status {
    /// The first event it has not examined or still has under way.
    pub position: AtomicU64,
    /// When the oldest of them was received, in milliseconds since 1970; 0: none is known.
    pub oldest_owed: AtomicI64,
    /// The endpoint only fails, and is probed at a slowing pace.
    pub failing: AtomicBool,
    /// Deliveries that were refused and are tried again.
    pub retrying: AtomicU64,
    /// When something that waits for time alone is tried next, in milliseconds since 1970; 0: nothing waits.
    pub next_attempt: AtomicI64,
    last_error: Mutex<Option<(Millis, String)>>,
    examined: Mutex<Examined>,
}

/// How much a worker had examined when it last said so.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Examined {
    /// The first event it had not read.
    pub(super) next: Seq,
    /// How many of those that came since its start concerned it, as far as it knew.
    pub(super) matched: u64,
    /// How many events it owed, as far as it knew.
    pub(super) backlog: u64,
}

impl Examined {
    /// Events that match, and are neither delivered nor dead, now that all up to `durable` is recorded and `matched`
    /// of what came concern the subscriber.
    fn backlog(self, durable: Seq, matched: u64) -> u64 {
        // Of what it has read it knew better than the count.
        let unseen = if durable >= self.next { matched.saturating_sub(self.matched) } else { 0 };
        self.backlog + unseen
    }
}

impl Status {
    pub(super) fn new() -> Self {
        Self {
            position: AtomicU64::new(0),
            oldest_owed: AtomicI64::new(0),
            failing: AtomicBool::new(false),
            retrying: AtomicU64::new(0),
            next_attempt: AtomicI64::new(0),
            last_error: Mutex::new(None),
            examined: Mutex::default(),
        }
    }

    pub(super) fn examined(&self, examined: Examined) {
        *self.examined.lock().unwrap_or_else(PoisonError::into_inner) = examined;
    }

    /// Events that match, and are neither delivered nor dead; less than it is while the journal is being counted.
    pub(super) fn backlog(&self, durable: Seq, matched: u64) -> u64 {
        self.examined.lock().unwrap_or_else(PoisonError::into_inner).backlog(durable, matched)
    }

    /// The first event it had not read when it last said so.
    pub(super) fn next(&self) -> Seq {
        self.examined.lock().unwrap_or_else(PoisonError::into_inner).next
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_worker_has_not_seen_yet_is_owed() {
        let examined = Examined { next: Seq(8), matched: 5, backlog: 2 };
        // (durable, matched, backlog)
        for (durable, matched, want) in [(7, 5, 2), (7, 6, 2), (8, 6, 3), (20, 9, 6), (20, 5, 2), (20, 4, 2)] {
            assert_eq!(examined.backlog(Seq(durable), matched), want, "{durable} {matched}");
        }
    }
}
