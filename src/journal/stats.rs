//! Figures of the journal, for metrics, and the bell of its sweeper.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

use super::commit::lock;
use crate::event::Seq;

/// The batches that were committed.
#[derive(Debug)]
pub struct Commits {
    /// From the first byte written to the end of the sync, in seconds.
    pub seconds: Histogram,
    /// Events in a batch.
    pub events: Histogram,
}

impl Commits {
    pub(super) fn observe(&self, took: Duration, count: usize) {
        self.seconds.observe(took.as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "a batch has far fewer than 2^52 events")]
        self.events.observe(count as f64);
    }
}

/// Figures of the journal.
#[derive(Debug)]
pub struct Stats {
    /// The batches that were committed.
    pub commits: Commits,
    /// Free bytes on the disk, as last seen.
    pub free: AtomicU64,
    damaged: AtomicU64,
    /// Which were counted, so that several readers do not count one event twice.
    counted: Mutex<BTreeSet<u64>>,
    forgot: AtomicBool,
    pub(super) sweeper: (Mutex<()>, Condvar),
}

impl Stats {
    pub(super) fn new() -> Self {
        Self {
            commits: Commits {
                seconds: Histogram::new(exponential_buckets(50e-6, 2.0, 18)),
                events: Histogram::new(exponential_buckets(1.0, 2.0, 14)),
            },
            free: AtomicU64::new(0),
            damaged: AtomicU64::new(0),
            counted: Mutex::default(),
            forgot: AtomicBool::new(false),
            sweeper: Default::default(),
        }
    }

    /// Recorded events that were found damaged and are lost.
    #[must_use]
    pub fn damaged(&self) -> u64 {
        self.damaged.load(Ordering::Relaxed)
    }

    pub(super) fn damage(&self, from: Seq, count: u64) {
        /// Beyond this many, damage is counted for each reader that meets it.
        const MAX_COUNTED: usize = 100_000;
        let mut counted = lock(&self.counted);
        let mut fresh = 0;
        for seq in from.0..from.0.saturating_add(count.min(MAX_COUNTED as u64)) {
            if counted.len() >= MAX_COUNTED || counted.insert(seq) {
                fresh += 1;
            }
        }
        drop(counted);
        if fresh > 0 {
            tracing::error!(from = from.0, lost = fresh, "recorded events in the journal are damaged and lost");
            self.damaged.fetch_add(fresh, Ordering::Relaxed);
        }
    }

    pub(super) fn forgot_early(&self) {
        if !self.forgot.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "too many delivery ids to remember them all for the configured time: forgetting the oldest early"
            );
        }
    }

    pub(super) fn wake_sweeper(&self) {
        drop(lock(&self.sweeper.0));
        self.sweeper.1.notify_all();
    }

    /// Waits until the sweeper is woken, or for this long, or not at all once it is `over`.
    pub(super) fn sweeper_waits(&self, time: Duration, over: impl FnOnce() -> bool) {
        let guard = lock(&self.sweeper.0);
        // Looked at under the lock that waking takes, so that no waking falls between looking and waiting.
        if over() {
            return;
        }
        drop(self.sweeper.1.wait_timeout(guard, time).unwrap_or_else(PoisonError::into_inner));
    }
}
