//! Keeps a flood of refusals from flooding the log: so many lines in a while for each topic and reason, and then the
//! number of those that were not written.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lines in a [`PERIOD`].
const LINES: u32 = 5;
const PERIOD: Duration = Duration::from_secs(10);

/// Who has said how much.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    // Topics come from the configuration and labels from a fixed set, so this stays small.
    said: Mutex<HashMap<(String, &'static str), Said>>,
}

#[derive(Debug)]
struct Said {
    since: Instant,
    lines: u32,
    suppressed: u64,
}

impl Quiet {
    /// Whether a line may be written now, and how many were not since the last one.
    pub(super) fn may_speak(&self, topic: &str, label: &'static str) -> Option<u64> {
        self.may_speak_at(topic, label, Instant::now())
    }

    fn may_speak_at(&self, topic: &str, label: &'static str, now: Instant) -> Option<u64> {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = Said { since: now, lines: 0, suppressed: 0 };
        let entry = said.entry((topic.to_owned(), label)).or_insert(fresh);
        if now.duration_since(entry.since) >= PERIOD {
            entry.since = now;
            entry.lines = 0;
        }
        if entry.lines >= LINES {
            entry.suppressed += 1;
            return None;
        }
        entry.lines += 1;
        Some(std::mem::take(&mut entry.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speaks_a_little_and_counts_the_rest() {
        let quiet = Quiet::default();
        let start = Instant::now();
        let spoken: Vec<_> = (0..20).map(|_| quiet.may_speak_at("github", "mismatch", start)).collect();
        assert_eq!(spoken.iter().filter(|s| s.is_some()).count(), 5);
        assert_eq!(quiet.may_speak_at("github", "missing", start), Some(0), "another reason speaks for itself");
        assert_eq!(quiet.may_speak_at("github", "mismatch", start + PERIOD), Some(15));
    }
}
