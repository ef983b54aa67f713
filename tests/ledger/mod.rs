//! What a journal was told and what it promised, to hold against what it says later.

#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use forebay::event::{Event, EventId, Millis, Seq};
use forebay::journal::{DedupeKey, Journal, Position};
use uuid::Uuid;

use crate::offered_events::{Dice, Offered};

/// What went wrong.
pub(crate) type Wrong = String;

/// The books.
pub(crate) struct Ledger {
    window: Duration,
    /// Everything that was queued, in order.
    offers: Vec<(EventId, Offered)>,
    place: HashMap<EventId, usize>,
    /// Whose ticket came back good.
    promised: BTreeSet<EventId>,
    /// What a reader ever saw, by number.
    seen: BTreeMap<u64, EventId>,
    seq_of: HashMap<EventId, u64>,
    /// The newest event recorded of each delivery.
    deliveries: HashMap<DedupeKey, usize>,
    /// Nothing from here on may be retired.
    pub(crate) held: u64,
    journal: Option<Uuid>,
    /// The last epoch in which something was recorded.
    epoch: u64,
}

impl Ledger {
    pub(crate) fn new(window: Duration) -> Self {
        Self {
            window,
            offers: Vec::new(),
            place: HashMap::new(),
            promised: BTreeSet::new(),
            seen: BTreeMap::new(),
            seq_of: HashMap::new(),
            deliveries: HashMap::new(),
            held: 1,
            journal: None,
            epoch: 0,
        }
    }

    /// The number behind the last event that was seen.
    pub(crate) fn end(&self) -> u64 {
        self.seen.keys().next_back().map_or(1, |seq| seq + 1)
    }

    pub(crate) fn recorded(&self) -> u64 {
        self.seen.len() as u64
    }

    pub(crate) fn unpromised(&self) -> u64 {
        self.seen.values().filter(|id| !self.promised.contains(id)).count() as u64
    }

    /// A delivery of the past, to be sent again.
    pub(crate) fn any(&self, dice: &mut Dice) -> Option<Offered> {
        self.offers.get(dice.index(self.offers.len())).map(|(_, offered)| offered.clone())
    }

    /// The journal was started.
    pub(crate) fn started(&mut self, id: Uuid, epoch: u64) -> Result<(), Wrong> {
        if self.journal.is_some_and(|journal| journal != id) {
            return Err("the journal has another id".into());
        }
        if epoch <= self.epoch {
            return Err(format!("epoch {epoch} comes after {}", self.epoch));
        }
        Ok(())
    }

    fn in_window(&self, time: Millis, now: Millis) -> bool {
        now.seconds() - time.seconds() <= i64::try_from(self.window.as_secs()).expect("small")
    }

    /// An event was queued as a new one.
    pub(crate) fn offered(&mut self, id: EventId, offered: Offered) -> Result<(), Wrong> {
        if let Some(&earlier) = self.deliveries.get(&offered.key)
            && self.in_window(self.offers[earlier].1.time, offered.time)
        {
            return Err(format!("{:?} was recorded and is not recognised", offered.delivery_id));
        }
        self.place.insert(id, self.offers.len());
        self.offers.push((id, offered));
        Ok(())
    }

    /// A delivery was taken for one seen before.
    pub(crate) fn duplicate(&self, offered: &Offered, id: EventId) -> Result<(), Wrong> {
        let original = self.place.get(&id).map(|&place| &self.offers[place].1);
        match original {
            Some(original) if original.key == offered.key && self.in_window(original.time, offered.time) => Ok(()),
            _ => Err(format!("{:?} was taken for another delivery", offered.delivery_id)),
        }
    }

    /// The deliveries that must be recognised now.
    pub(crate) fn remembered(&self, now: Millis) -> Vec<Offered> {
        let all = self.deliveries.values().map(|&place| &self.offers[place].1);
        all.filter(|offered| self.in_window(offered.time, now)).cloned().collect()
    }

    fn counts(&mut self, id: EventId, epoch: u64) {
        let place = self.place[&id];
        let offered = &self.offers[place].1;
        if offered.delivery_id.is_some() {
            let newest = self.deliveries.entry(offered.key).or_insert(place);
            *newest = place.max(*newest);
        }
        self.epoch = self.epoch.max(epoch);
    }

    /// A ticket came back good. Answers whether the event is larger than a segment.
    pub(crate) fn recorded_one(&mut self, id: EventId, epoch: u64, segment: u64) -> bool {
        self.promised.insert(id);
        self.counts(id, epoch);
        self.offers[self.place[&id]].1.body.len() as u64 > segment
    }

    /// A reader that was at `next` gave this.
    pub(crate) fn saw(&mut self, next: Seq, event: &Event, epoch: u64) -> Result<(), Wrong> {
        let (seq, id) = (event.seq, event.id);
        if seq < next {
            return Err(format!("event {seq} came when {next} was next"));
        }
        let Some(&place) = self.place.get(&id) else { return Err(format!("event {seq} was never offered")) };
        if !self.offers[place].1.is(event) {
            return Err(format!("event {seq} is not what was offered"));
        }
        if self.seen.insert(seq.0, id).is_some_and(|other| other != id) {
            return Err(format!("{seq} names two events"));
        }
        if self.seq_of.insert(id, seq.0).is_some_and(|other| other != seq.0) {
            return Err(format!("event {id} has two numbers, the later is {seq}"));
        }
        self.counts(id, epoch);
        Ok(())
    }

    /// Reads the whole journal and holds it against the books.
    pub(crate) fn read_all(&mut self, journal: &Journal, dice: &mut Dice, epoch: u64) -> Result<(), Wrong> {
        let earliest = journal.earliest().0;
        let mut reader = journal.reader(Position { seq: Seq(1), place: None });
        let (mut found, mut last) = (Vec::new(), None);
        loop {
            let next = reader.next_seq();
            let Some(recorded) = reader.next(&mut |_, _| true).map_err(|error| format!("reading: {error}"))? else {
                break;
            };
            self.saw(next, &recorded.event, epoch)?;
            let place = self.place[&recorded.event.id];
            if last.is_some_and(|last| last >= place) {
                return Err(format!("event {} came before one that was offered earlier", recorded.event.seq));
            }
            last = Some(place);
            found.push(recorded);
        }
        self.journal = self.journal.or((!found.is_empty()).then(|| journal.id()));
        if earliest > self.held {
            return Err(format!("{earliest} is the earliest, and {} is needed", self.held));
        }
        let numbers: BTreeSet<u64> = found.iter().map(|recorded| recorded.event.seq.0).collect();
        if let Some((seq, _)) = self.seen.range(earliest..).find(|(seq, _)| !numbers.contains(seq)) {
            return Err(format!("event {seq} was seen before and is gone"));
        }
        if let Some(lost) = self.promised.iter().find(|id| !self.seq_of.contains_key(id)) {
            return Err(format!("event {lost}, the {}-th, was promised and is not there", self.place[lost]));
        }
        if journal.stats().damaged() > 0 {
            return Err(format!("{} events count as damaged", journal.stats().damaged()));
        }
        // From anywhere, in another way, the same is read.
        let from = Seq(dice.below(self.end() + 2));
        let topic = ["github", "a"][dice.index(2)];
        let mut reader = journal.reader(Position { seq: from, place: None });
        let next = reader.next(&mut |name, _| name == topic).map_err(|error| format!("reading: {error}"))?;
        let expected = found.iter().find(|one| one.event.seq >= from && &*one.event.topic == topic);
        if next.map(|one| one.event.seq) != expected.map(|one| one.event.seq) {
            return Err(format!("reading from {from} on, another event of {topic} comes"));
        }
        if let Some(one) = found.get(dice.index(found.len())) {
            let mut reader = journal.reader(one.position);
            let same = reader.next(&mut |_, _| true).map_err(|error| format!("reading: {error}"))?;
            if same.map(|same| same.event.id) != Some(one.event.id) {
                return Err(format!("event {} is not read from its place", one.event.seq));
            }
        }
        Ok(())
    }

    /// Events were retired; those in every `owed`-th place were to be kept.
    pub(crate) fn retired(&self, range: std::ops::Range<u64>, kept: &[Event], owed: u64) -> Result<(), Wrong> {
        if range.end > self.held.max(range.start) {
            return Err(format!("{range:?} was retired, and {} is needed", self.held));
        }
        for event in kept {
            let place = self.seen.get(&event.seq.0).map(|id| self.place[id]);
            if !place.is_some_and(|place| self.offers[place].1.is(event)) {
                return Err(format!("event {} was kept, and is not that event", event.seq));
            }
        }
        let missing =
            self.seen.range(range).find(|(seq, _)| *seq % owed == 0 && !kept.iter().any(|event| event.seq.0 == **seq));
        missing.map_or(Ok(()), |(seq, _)| Err(format!("event {seq} was owed and is gone")))
    }
}
