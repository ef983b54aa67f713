//! How many events a subscriber has not read yet, without reading them: those that were there at the start are counted
//! in the indexes, in the background; those that come later are counted by the journal's watch.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Subscriber;
use crate::event::Seq;
use crate::journal::{Journal, Watch};

/// See the module.
#[derive(Debug)]
pub(super) struct Backlog {
    /// Those that were there before the watch began to count; grows once when they have been counted.
    before: Arc<AtomicU64>,
    /// Those that were read.
    pub taken: u64,
}

impl Backlog {
    pub(super) fn begin(journal: &Journal, subscriber: &Subscriber, next: Seq, watch: &Watch) -> Self {
        let before = Arc::new(AtomicU64::new(0));
        let range = next.0..watch.since().0;
        if !range.is_empty() {
            let (journal, route, before) = (journal.clone(), subscriber.route.clone(), Arc::clone(&before));
            let count = move || {
                let count = journal.count(range, &|topic, kind| route.matches(topic, kind));
                before.fetch_add(count, Ordering::Relaxed);
            };
            // The figure is for people; without a thread for it, it stays too small.
            if let Err(error) = std::thread::Builder::new().name("backlog".into()).spawn(count) {
                tracing::warn!(subscriber = %subscriber.name, %error, "cannot count a subscriber's backlog");
            }
        }
        Self { before, taken: 0 }
    }

    /// Those that were not read, when the watch has counted `matched`. At the end of the journal there are none,
    /// whatever damage has made of the count.
    pub(super) fn unread(&mut self, matched: u64, at_the_end: bool) -> u64 {
        let known = self.before.load(Ordering::Relaxed) + matched;
        if at_the_end {
            self.taken = known;
            return 0;
        }
        known.saturating_sub(self.taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backlog(before: u64) -> Backlog {
        Backlog { before: Arc::new(AtomicU64::new(before)), taken: 0 }
    }

    #[test]
    fn what_was_there_is_unread_until_it_is_taken() {
        let mut backlog = backlog(5);
        assert_eq!([backlog.unread(0, false), backlog.unread(4, false)], [5, 9]);
        backlog.taken = 3;
        assert_eq!(backlog.unread(0, false), 2);
        backlog.taken = 9;
        assert_eq!(backlog.unread(0, false), 0, "read before they were counted");
    }

    #[test]
    fn a_wrong_count_is_put_right_at_the_end_of_the_journal() {
        for taken in [1, 5, 9] {
            let mut backlog = backlog(5);
            backlog.taken = taken;
            assert_eq!(backlog.unread(0, true), 0);
            backlog.before.fetch_add(2, Ordering::Relaxed);
            assert_eq!(backlog.unread(0, false), 2, "taken: {taken}");
        }
    }
}
