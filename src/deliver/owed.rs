//! What a subscriber owes: deliveries that were refused, by event and by when they are due.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Millis, Seq};
use crate::journal::state::Owed;

/// The refused deliveries that are not given up.
#[derive(Debug, Default)]
pub(super) struct Debts {
    by_seq: BTreeMap<Seq, Owed>,
    /// Those that are not under way.
    by_due: BTreeSet<(Millis, Seq)>,
    /// How many were under way at a crash that may be their fault.
    suspects: usize,
}

impl Debts {
    pub(super) fn new(owed: Vec<Owed>) -> Self {
        let mut debts = Self::default();
        owed.into_iter().for_each(|owed| debts.put(owed));
        debts
    }

    pub(super) fn len(&self) -> usize {
        self.by_seq.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_seq.is_empty()
    }

    pub(super) fn any_suspect(&self) -> bool {
        self.suspects > 0
    }

    pub(super) fn oldest(&self) -> Option<Seq> {
        self.by_seq.keys().next().copied()
    }

    pub(super) fn get(&self, seq: Seq) -> Option<&Owed> {
        self.by_seq.get(&seq)
    }

    /// When the next one is due.
    pub(super) fn next_due(&self) -> Option<Millis> {
        self.by_due.first().map(|(due, _)| *due)
    }

    /// Takes the one that is due first out of the queue, if it is due. It stays owed.
    pub(super) fn take_due(&mut self, now: Millis) -> Option<Owed> {
        let &(due, seq) = self.by_due.first()?;
        if due > now {
            return None;
        }
        self.by_due.pop_first();
        self.by_seq.get(&seq).cloned()
    }

    /// Owes a delivery, newly or again.
    pub(super) fn put(&mut self, owed: Owed) {
        self.remove(owed.seq);
        self.by_due.insert((owed.due, owed.seq));
        self.suspects += usize::from(owed.suspect);
        self.by_seq.insert(owed.seq, owed);
    }

    /// Changes what is noted of a delivery that is under way.
    pub(super) fn update(&mut self, owed: Owed) {
        self.by_seq.insert(owed.seq, owed);
    }

    /// Owes it no longer.
    pub(super) fn remove(&mut self, seq: Seq) -> Option<Owed> {
        let owed = self.by_seq.remove(&seq)?;
        self.by_due.remove(&(owed.due, seq));
        self.suspects -= usize::from(owed.suspect);
        Some(owed)
    }
}
