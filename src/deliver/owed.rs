//! What a subscriber owes: deliveries that were refused, by event and by when they are due.

use std::collections::{BTreeMap, BTreeSet};

use super::Order;
use crate::event::{Millis, Seq};
use crate::journal::Position;
use crate::journal::state::Owed;

/// The refused deliveries that are not given up.
#[derive(Debug, Default)]
pub(super) struct Debts {
    by_seq: BTreeMap<Seq, Owed>,
    /// Those that are not under way.
    by_due: BTreeSet<(Millis, Seq)>,
    /// Those of them that were under way at a crash that may be their fault.
    suspects: BTreeSet<(Millis, Seq)>,
    /// Where their events stand in the log, as far as that is known.
    places: BTreeMap<Seq, Position>,
    /// How many of them were called back.
    taken_up: usize,
    /// Only the oldest is ever due.
    in_line: bool,
}

impl Debts {
    pub(super) fn new(owed: Vec<Owed>, order: Order) -> Self {
        let mut debts = Self { in_line: order == Order::Strict, ..Self::default() };
        for owed in owed {
            debts.put(owed);
        }
        debts
    }

    pub(super) fn len(&self) -> usize {
        self.by_seq.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_seq.is_empty()
    }

    /// What is noted of a delivery that is owed.
    pub(super) fn get(&self, seq: Seq) -> Option<&Owed> {
        self.by_seq.get(&seq)
    }

    /// How many of them were dead letters before an operator called them back.
    pub(super) fn taken_up(&self) -> usize {
        self.taken_up
    }

    pub(super) fn oldest(&self) -> Option<&Owed> {
        self.by_seq.values().next()
    }

    /// Whether a suspect waits for its turn.
    pub(super) fn suspect_is_due(&self, now: Millis) -> bool {
        self.suspects.first().is_some_and(|(due, _)| *due <= now)
    }

    fn first(&self) -> Option<(Millis, Seq)> {
        if self.in_line {
            let oldest = self.oldest()?;
            self.by_due.get(&(oldest.due, oldest.seq)).copied()
        } else {
            self.by_due.first().copied()
        }
    }

    /// Whether it is owed.
    pub(super) fn contains(&self, seq: Seq) -> bool {
        self.by_seq.contains_key(&seq)
    }

    /// Makes one due that waits for its time. Answers what it is then; nothing if it is under way.
    pub(super) fn make_due(&mut self, seq: Seq, now: Millis) -> Option<Owed> {
        let owed = self.by_seq.get(&seq).filter(|owed| self.by_due.contains(&(owed.due, seq)))?;
        let owed = Owed { due: owed.due.min(now), ..owed.clone() };
        self.put(owed.clone());
        Some(owed)
    }

    /// When the next one is due.
    pub(super) fn next_due(&self) -> Option<Millis> {
        self.first().map(|(due, _)| due)
    }

    /// Takes the one that is due first out of the queue, if it is due. It stays owed.
    pub(super) fn take_due(&mut self, now: Millis) -> Option<Owed> {
        let key = self.first().filter(|(due, _)| *due <= now)?;
        self.by_due.remove(&key);
        self.suspects.remove(&key);
        self.by_seq.get(&key.1).cloned()
    }

    /// Owes a delivery, newly or again.
    pub(super) fn put(&mut self, owed: Owed) {
        self.unqueue(owed.seq);
        self.by_due.insert((owed.due, owed.seq));
        if owed.suspect {
            self.suspects.insert((owed.due, owed.seq));
        }
        self.update(owed);
    }

    /// Changes what is noted of a delivery that is under way.
    pub(super) fn update(&mut self, owed: Owed) {
        self.taken_up += usize::from(owed.since.is_some());
        let before = self.by_seq.insert(owed.seq, owed);
        self.taken_up -= usize::from(before.is_some_and(|before| before.since.is_some()));
    }

    /// Owes it no longer.
    pub(super) fn remove(&mut self, seq: Seq) -> Option<Owed> {
        self.unqueue(seq);
        self.places.remove(&seq);
        let owed = self.by_seq.remove(&seq);
        self.taken_up -= usize::from(owed.as_ref().is_some_and(|owed| owed.since.is_some()));
        owed
    }

    fn unqueue(&mut self, seq: Seq) {
        if let Some(owed) = self.by_seq.get(&seq) {
            self.by_due.remove(&(owed.due, seq));
            self.suspects.remove(&(owed.due, seq));
        }
    }

    /// Remembers where an event that is owed stands.
    pub(super) fn place(&mut self, position: Position) {
        if self.by_seq.contains_key(&position.seq) {
            self.places.insert(position.seq, position);
        }
    }

    /// Where an event that is owed is to be looked for.
    pub(super) fn position(&self, seq: Seq) -> Position {
        self.places.get(&seq).copied().unwrap_or(Position { seq, place: None })
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::event::EventId;

    fn owed(seq: u64, due: i64, suspect: bool) -> Owed {
        Owed {
            seq: Seq(seq),
            id: EventId(Uuid::from_u128(seq.into())),
            attempts: 1,
            due: Millis(due),
            dead: false,
            recalled: false,
            suspect,
            reason: String::new(),
            spent: 0,
            since: None,
            topic: None,
            kind: None,
        }
    }

    fn take(debts: &mut Debts, now: i64) -> Option<u64> {
        debts.take_due(Millis(now)).map(|owed| owed.seq.0)
    }

    #[test]
    fn what_is_due_first_comes_first() {
        let mut debts = Debts::new(vec![owed(1, 30, false), owed(2, 10, false), owed(3, 20, false)], Order::Parallel);
        assert_eq!((debts.next_due(), take(&mut debts, 9)), (Some(Millis(10)), None));
        assert_eq!(take(&mut debts, 10), Some(2));
        assert_eq!(take(&mut debts, 10), None, "it is under way, and owed all the same");
        assert_eq!((debts.len(), debts.oldest().map(|owed| owed.seq)), (3, Some(Seq(1))));
        debts.put(owed(2, 40, false));
        assert_eq!([take(&mut debts, 99), take(&mut debts, 99), take(&mut debts, 99)], [Some(3), Some(1), Some(2)]);
        assert_eq!((take(&mut debts, 99), debts.next_due()), (None, None));
        for seq in 1..=3 {
            assert_eq!(debts.remove(Seq(seq)).map(|owed| owed.seq), Some(Seq(seq)));
        }
        assert!(debts.is_empty() && debts.remove(Seq(1)).is_none());
    }

    #[test]
    fn what_waits_can_be_made_due_and_what_is_under_way_cannot() {
        let mut debts = Debts::new(vec![owed(1, 30, false), owed(2, 10, false)], Order::Parallel);
        assert_eq!(debts.make_due(Seq(1), Millis(20)), Some(owed(1, 20, false)));
        assert_eq!(debts.make_due(Seq(2), Millis(20)), Some(owed(2, 10, false)), "it was due already");
        assert_eq!([take(&mut debts, 20), take(&mut debts, 20)], [Some(2), Some(1)]);
        assert_eq!([debts.make_due(Seq(1), Millis(20)), debts.make_due(Seq(3), Millis(20))], [None, None]);
        assert_eq!(take(&mut debts, 99), None, "never twice at once");
    }

    #[test]
    fn in_line_only_the_oldest_is_due() {
        let mut debts = Debts::new(vec![owed(1, 30, false), owed(2, 10, false)], Order::Strict);
        assert_eq!((debts.next_due(), take(&mut debts, 29)), (Some(Millis(30)), None));
        assert_eq!((take(&mut debts, 30), take(&mut debts, 30)), (Some(1), None));
        debts.put(owed(1, 50, false));
        assert_eq!(take(&mut debts, 49), None);
        debts.remove(Seq(1));
        assert_eq!(take(&mut debts, 49), Some(2));
    }

    #[test]
    fn suspects_are_known_until_they_are_cleared() {
        let mut debts = Debts::new(vec![owed(1, 10, true), owed(2, 5, false)], Order::Parallel);
        assert!(!debts.suspect_is_due(Millis(9)) && debts.suspect_is_due(Millis(10)));
        assert_eq!([take(&mut debts, 10), take(&mut debts, 10)], [Some(2), Some(1)]);
        assert!(!debts.suspect_is_due(Millis(99)), "it is under way");
        debts.update(owed(1, 60, true));
        assert_eq!((debts.next_due(), debts.suspect_is_due(Millis(99))), (None, false), "noted for a crash only");
        debts.put(owed(1, 70, false));
        assert!(!debts.suspect_is_due(Millis(99)), "it has had an answer");
        debts.put(owed(1, 70, true));
        debts.put(owed(1, 80, true));
        assert_eq!((debts.suspect_is_due(Millis(79)), debts.suspect_is_due(Millis(80))), (false, true));
        debts.remove(Seq(1));
        assert!(!debts.suspect_is_due(Millis(99)));
    }

    #[test]
    fn those_that_were_called_back_are_counted() {
        let called_back = |seq, due| Owed { since: Some(Millis(5)), ..owed(seq, due, false) };
        let mut debts = Debts::new(vec![owed(1, 10, false), called_back(2, 10)], Order::Parallel);
        debts.put(called_back(3, 10));
        debts.put(called_back(3, 20));
        debts.update(called_back(2, 20));
        assert_eq!((debts.len(), debts.taken_up()), (3, 2));
        debts.remove(Seq(1));
        debts.remove(Seq(2));
        debts.remove(Seq(2));
        assert_eq!((debts.len(), debts.taken_up()), (1, 1));
    }

    #[test]
    fn places_are_kept_as_long_as_the_debt() {
        let mut debts = Debts::new(vec![owed(1, 10, false)], Order::Parallel);
        let known = |seq| Position { seq: Seq(seq), place: Some((Seq(1), 64)) };
        debts.place(known(1));
        debts.place(known(2));
        debts.put(owed(1, 20, false));
        assert_eq!(debts.position(Seq(1)), known(1));
        assert_eq!(debts.position(Seq(2)), Position { seq: Seq(2), place: None }, "not owed");
        debts.remove(Seq(1));
        assert_eq!(debts.position(Seq(1)).place, None);
    }
}
