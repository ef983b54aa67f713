//! Parsed bodies, shared by all whose filters look at the same events: each is parsed once, however many do.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::Parsed;
use crate::event::{Event, Seq};

/// The most bodies that are kept.
const MAX_ENTRIES: usize = 1024;

/// The most memory they take, about, in bytes.
const MAX_BYTES: usize = 32 << 20;

/// Bodies by the number of their event, those of one journal.
#[derive(Debug, Default)]
pub struct Bodies {
    kept: Mutex<Kept>,
    parsed: AtomicU64,
}

#[derive(Debug, Default)]
struct Kept {
    by_seq: HashMap<Seq, Entry>,
    /// The oldest first.
    order: VecDeque<Seq>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Entry {
    /// Empty while it is being parsed.
    body: Arc<OnceLock<Arc<Parsed>>>,
    /// 0 until it was parsed.
    bytes: usize,
}

impl Bodies {
    /// The parsed body of an event. Whoever asks while another parses it waits for that.
    #[must_use]
    pub fn parsed(&self, event: &Event) -> Arc<Parsed> {
        let body = self.kept().body(event.seq);
        // Not under the lock: events of others are not held up.
        let parsed = body.get_or_init(|| {
            self.parsed.fetch_add(1, Ordering::Relaxed);
            let parsed = Arc::new(Parsed::of(event));
            self.kept().weigh(event.seq, parsed.bytes());
            parsed
        });
        Arc::clone(parsed)
    }

    /// How many bodies were parsed so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.parsed.load(Ordering::Relaxed)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn body(&mut self, seq: Seq) -> Arc<OnceLock<Arc<Parsed>>> {
        if !self.by_seq.contains_key(&seq) {
            self.order.push_back(seq);
        }
        let body = Arc::clone(&self.by_seq.entry(seq).or_default().body);
        self.make_room();
        body
    }

    fn weigh(&mut self, seq: Seq, bytes: usize) {
        if let Some(entry) = self.by_seq.get_mut(&seq) {
            self.bytes += bytes - std::mem::replace(&mut entry.bytes, bytes);
            self.make_room();
        }
    }

    /// Forgets the oldest. The last one stays, whatever its size.
    fn make_room(&mut self) {
        while self.order.len() > MAX_ENTRIES || self.bytes > MAX_BYTES && self.order.len() > 1 {
            let Some(gone) = self.order.pop_front().and_then(|oldest| self.by_seq.remove(&oldest)) else { break };
            self.bytes -= gone.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::tests::event;

    fn at(seq: u64, body: &str) -> Event {
        Event { seq: Seq(seq), ..event(None, &[], body) }
    }

    #[test]
    fn one_body_is_parsed_once_by_many() {
        let bodies = Bodies::default();
        let event = at(1, "[1, 2, 3]");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| assert_eq!(*bodies.parsed(&event), Parsed::of(&event)));
            }
        });
        assert_eq!(bodies.count(), 1);
        assert_eq!(*bodies.parsed(&at(2, "no")), Parsed::NoJson);
        assert_eq!(bodies.count(), 2);
    }

    #[test]
    fn no_more_is_kept_than_there_is_room_for() {
        let bodies = Bodies::default();
        let kept = || bodies.kept().order.len();
        for seq in 0..2 * MAX_ENTRIES as u64 {
            let _ = bodies.parsed(&at(seq, "1"));
        }
        assert_eq!(kept(), MAX_ENTRIES);
        let large = format!("[{}1]", "1,".repeat(90_000));
        let (each, room) = (Parsed::of(&at(0, &large)).bytes(), 30);
        assert!(each * room > MAX_BYTES && large.len() * room < MAX_BYTES, "as text they would all have room");
        for seq in 10_000..10_000 + room as u64 {
            let _ = bodies.parsed(&at(seq, &large));
            assert!(bodies.kept().bytes <= MAX_BYTES);
        }
        assert_eq!(kept(), MAX_BYTES / each);
        let before = bodies.count();
        let _ = bodies.parsed(&at(10_000 + room as u64 - 1, &large));
        assert_eq!(bodies.count(), before, "the last one is kept");
        let _ = bodies.parsed(&at(10_000, &large));
        assert_eq!(bodies.count(), before + 1, "the first is not");
    }
}
