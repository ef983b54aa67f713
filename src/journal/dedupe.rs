//! Which deliveries were seen lately. An id counts as seen only together with its topic and the same body, so that
//! nobody can use up the id of an event they cannot sign.
//!
//! Held in memory, about 50 bytes an event; filled from the indexes at start. The window is cut into slices that are
//! dropped whole when they are too old.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Duration;

use uuid::Uuid;
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

use super::codec::DedupeKey;
use crate::event::{EventId, Millis};

/// The most deliveries that are remembered. Beyond it the oldest slice is forgotten early: some 250 MiB.
pub(super) const MAX_REMEMBERED: usize = 4_000_000;

const SLICES: i64 = 8;

/// The key of an event: XXH3 over topic, delivery id and body, 128 bits, seeded with the journal's id.
///
/// Not a cryptographic digest, and it need not be: whoever could profit from a collision would have to sign both
/// bodies, and does not know the seed.
#[must_use]
pub fn key(journal: Uuid, topic: &str, delivery_id: &str, body: &[u8]) -> DedupeKey {
    let (high, low) = journal.as_u64_pair();
    let mut seed = [0; 40];
    let parts = [high, low, topic.len() as u64, delivery_id.len() as u64, body.len() as u64];
    for (place, part) in seed.chunks_exact_mut(8).zip(parts) {
        place.copy_from_slice(&part.to_le_bytes());
    }
    let mut names = Vec::with_capacity(seed.len() + topic.len() + delivery_id.len());
    names.extend_from_slice(&seed);
    names.extend_from_slice(topic.as_bytes());
    names.extend_from_slice(delivery_id.as_bytes());
    // The body in one piece and its seed from all the rest: streaming costs several times as much.
    let seed = xxh3_64_with_seed(&names, low ^ high.rotate_left(32));
    let mut key = xxh3_128_with_seed(body, seed).to_le_bytes();
    // All zero says "no key".
    key[0] |= 1;
    key
}

/// The keys are digests already; hashing them again would be work for nothing.
#[derive(Debug, Default)]
struct TakeFirst(u64);

impl Hasher for TakeFirst {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*first);
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    id: [u8; 16],
    /// In seconds: the window is hours.
    at: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wrapped(DedupeKey);

impl std::hash::Hash for Wrapped {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0);
    }
}

type Slice = HashMap<Wrapped, Seen, BuildHasherDefault<TakeFirst>>;

/// The memory of deliveries.
#[derive(Debug)]
pub(super) struct Dedupe {
    /// The longest window of any topic, in seconds; 0: nothing is remembered.
    window: i64,
    /// Newest last, each with the second it begins at.
    slices: VecDeque<(i64, Slice)>,
    total: usize,
    limit: usize,
}

impl Dedupe {
    pub(super) fn new(window: Duration, limit: usize) -> Self {
        let window = i64::try_from(window.as_secs()).unwrap_or(i64::MAX).min(i64::from(u32::MAX));
        Self { window, slices: VecDeque::new(), total: 0, limit }
    }

    /// The event this delivery was recorded as, if that is no longer than `window` ago.
    pub(super) fn find(&self, key: &DedupeKey, now: Millis, window: Duration) -> Option<EventId> {
        let seen = self.slices.iter().rev().find_map(|(_, slice)| slice.get(&Wrapped(*key)))?;
        let age = now.seconds().saturating_sub(i64::from(seen.at));
        // A clock set back makes the age negative: then it is surely not too old.
        (age <= i64::try_from(window.as_secs()).unwrap_or(i64::MAX)).then(|| EventId(Uuid::from_bytes(seen.id)))
    }

    /// Remembers a delivery. Answers whether something had to be forgotten early to make room.
    pub(super) fn insert(&mut self, key: DedupeKey, id: EventId, time: Millis) -> bool {
        if self.window == 0 || key == DedupeKey::default() {
            return false;
        }
        let now = time.seconds();
        let span = (self.window / SLICES).max(1);
        let newest = self.slices.back().map(|(from, _)| *from);
        if newest.is_none_or(|from| now >= from.saturating_add(span)) {
            self.slices.push_back((now, Slice::default()));
            // A slice may hold entries up to `span` younger than its beginning.
            while let Some((from, slice)) = self.slices.front()
                && from.saturating_add(span).saturating_add(self.window) < now
            {
                self.total -= slice.len();
                self.slices.pop_front();
            }
        }
        let mut early = false;
        while self.total >= self.limit && self.slices.len() > 1 {
            if let Some((_, slice)) = self.slices.pop_front() {
                self.total -= slice.len();
                early = true;
            }
        }
        if self.total >= self.limit {
            // One slice alone is over the limit: start it anew.
            self.slices.clear();
            self.total = 0;
            self.slices.push_back((now, Slice::default()));
            early = true;
        }
        let at = u32::try_from(now.max(0)).unwrap_or(u32::MAX);
        let (_, slice) = self.slices.back_mut().expect("made above");
        if slice.insert(Wrapped(key), Seen { id: *id.0.as_bytes(), at }).is_none() {
            self.total += 1;
        }
        early
    }

    /// Forgets a delivery whose event was not recorded after all.
    pub(super) fn remove(&mut self, key: &DedupeKey) {
        for (_, slice) in &mut self.slices {
            if slice.remove(&Wrapped(*key)).is_some() {
                self.total -= 1;
            }
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(topic: &str, delivery_id: &str, body: &[u8]) -> DedupeKey {
        super::key(Uuid::from_u128(7), topic, delivery_id, body)
    }

    fn id(n: u128) -> EventId {
        EventId(Uuid::from_u128(n))
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn the_same_id_with_another_body_or_topic_is_another_delivery() {
        let keys =
            [key("a", "1", b"x"), key("a", "1", b"y"), key("b", "1", b"x"), key("a", "2", b"x"), key("a1", "", b"x")];
        for (n, one) in keys.iter().enumerate() {
            assert!(keys[n + 1..].iter().all(|other| other != one), "{n}");
        }
        assert_eq!(keys[0], key("a", "1", b"x"));
    }

    #[test]
    fn remembered_for_the_window_and_forgotten_after() {
        let mut seen = Dedupe::new(HOUR, 1000);
        let one = key("a", "1", b"x");
        seen.insert(one, id(1), Millis(0));
        for minute in 1..200 {
            let now = Millis(minute * 60_000);
            seen.insert(key("a", &minute.to_string(), b""), id(2), now);
            assert_eq!(seen.find(&one, now, HOUR).is_some(), minute <= 60, "after {minute} minutes");
        }
        assert!(seen.len() < 80, "old slices are dropped, {} left", seen.len());
        let early = seen.find(&key("a", "199", b""), Millis(0), HOUR);
        assert_eq!(early, Some(id(2)), "a clock set back forgets nothing");
    }

    #[test]
    fn bounded() {
        let mut seen = Dedupe::new(HOUR, 100);
        let mut early = 0;
        for n in 0..1000_u32 {
            early += u32::from(seen.insert(key("a", &n.to_string(), b""), id(n.into()), Millis(i64::from(n) * 1000)));
            assert!(seen.len() <= 100);
        }
        assert!(early > 0);
        assert_eq!(seen.find(&key("a", "999", b""), Millis(999_000), HOUR), Some(id(999)));
        seen.remove(&key("a", "999", b""));
        assert_eq!(seen.find(&key("a", "999", b""), Millis(999_000), HOUR), None);
    }
}
