//! Looking into the journal by the indexes of its segments: one event by its id, and pages of those that are looked for.
//!
//! Bodies are not read, and indexes one at a time, a piece at a time. All of it blocks on the disk: not for a runtime's
//! thread. What was answered with 202 is found from that moment on. Where an index is damaged its segment is read
//! instead; where that is gone too, what is left is found.

mod query;
mod span;
mod stretches;
#[cfg(test)]
mod tests;
mod volume;

use std::collections::VecDeque;
use std::io;
use std::ops::ControlFlow;

pub use query::{BadTerms, MAX_TEXT, Query, Terms};
pub(super) use span::Span;
pub use stretches::{Stretch, Stretches};

use super::index::Entry;
use super::{Journal, Position, codec};
use crate::event::{Event, EventId, Millis, Seq};
use volume::Volume;

/// No search begins with another index after this many entries, a second or less of work.
const MAX_EXAMINED: usize = 1_000_000;

/// What is known of an event without looking at its record. Topics over 255 bytes, and types and delivery ids over
/// 1 KiB, are cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its place in the journal.
    pub seq: Seq,
    /// Its id.
    pub id: EventId,
    /// When it was received.
    pub time: Millis,
    /// The topic it came in on.
    pub topic: String,
    /// Its type, where there is one.
    pub kind: Option<String>,
    /// The provider's delivery id, where there is one.
    pub delivery_id: Option<String>,
    /// The bytes of its record: headers, body, and some 100 more.
    pub size: u64,
    /// Where its record stands; without a place, the log does not have it any more.
    pub position: Position,
}

impl Found {
    fn new(entry: &Entry<'_>, volume: &Volume) -> Self {
        let mut found = Self {
            seq: entry.seq,
            id: entry.id,
            time: entry.time,
            topic: String::new(),
            kind: None,
            delivery_id: None,
            size: 0,
            position: Position { seq: entry.seq, place: None },
        };
        found.become_that(entry, volume);
        found
    }

    /// Turns into another, in the memory of this one: a search may come upon very many before it knows the newest.
    fn become_that(&mut self, entry: &Entry<'_>, volume: &Volume) {
        let refill = |slot: &mut Option<String>, text: &str| match slot {
            Some(slot) if !text.is_empty() => text.clone_into(slot),
            _ => *slot = Some(text.to_owned()).filter(|text| !text.is_empty()),
        };
        (self.seq, self.id, self.time, self.size) = (entry.seq, entry.id, entry.time, entry.length.into());
        entry.topic.clone_into(&mut self.topic);
        refill(&mut self.kind, entry.kind);
        refill(&mut self.delivery_id, entry.delivery_id);
        let place = volume.segment.as_ref().map(|segment| (segment.base, entry.offset));
        self.position = Position { seq: entry.seq, place };
    }

    /// Whether the log still has the event.
    #[must_use]
    pub fn is_retained(&self) -> bool {
        self.position.place.is_some()
    }
}

/// Of an event that is at hand, wherever it was kept.
impl From<&Event> for Found {
    fn from(event: &Event) -> Self {
        let texts = [Some(&event.topic), event.kind.as_ref(), event.delivery_id.as_ref()];
        let names: usize = texts.into_iter().flatten().map(|text| text.len()).sum();
        Self {
            seq: event.seq,
            id: event.id,
            time: event.time,
            topic: event.topic.to_string(),
            kind: event.kind.as_ref().map(|kind| kind.to_string()),
            delivery_id: event.delivery_id.as_ref().map(|id| id.to_string()),
            size: (codec::FIXED + names + event.headers.as_wire().len() + event.body.len()) as u64,
            position: Position { seq: event.seq, place: None },
        }
    }
}

/// Some of the events that were looked for, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The events. There may be few or none although there are more.
    pub events: Vec<Found>,
    /// Where the next page begins, if there may be more: all that are left come before this one.
    pub next: Option<Seq>,
}

impl Query {
    fn matches_entry(&self, entry: &Entry<'_>) -> bool {
        let delivery_id = Some(entry.delivery_id).filter(|id| !id.is_empty());
        self.matches(entry.topic, entry.kind(), entry.time, entry.id, delivery_id)
    }

    fn may_match_in(&self, volume: &Volume) -> bool {
        volume.span.is_none_or(|span| self.may_be_within(span.times.0, span.times.1))
    }
}

impl Journal {
    /// What is known of the event of an id. Of one that retention has removed, as long as its delivery id is remembered.
    #[must_use]
    pub fn find(&self, id: EventId) -> Option<Found> {
        let mut volumes = volume::all(&self.shared);
        volumes.retain(|volume| volume.span.is_none_or(|span| span.may_have(id)));
        // Where it may be before where nothing is known: seldom are both needed.
        volumes.sort_by_key(|volume| volume.span.is_none());
        let mut found = None;
        for volume in volumes {
            volume.walk(&self.shared, &mut |entry| {
                if entry.id != id {
                    return ControlFlow::Continue(());
                }
                found = Some(Found::new(entry, &volume));
                ControlFlow::Break(())
            });
            if found.is_some() {
                break;
            }
        }
        found
    }

    /// The event of a number, if the log has it.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn event(&self, seq: Seq) -> io::Result<Option<Event>> {
        self.event_at(Position { seq, place: None })
    }

    /// The event whose record stands there, if the log has it: quicker than [`Journal::event`] where the place is known.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn event_at(&self, position: Position) -> io::Result<Option<Event>> {
        if position.seq < self.earliest() {
            return Ok(None);
        }
        let found = self.reader(position).next(&mut |_, _| true)?;
        Ok(found.map(|found| found.event).filter(|event| event.seq == position.seq))
    }

    /// The newest events that are looked for and come before another, at most `limit`, which is at least 1.
    ///
    /// What comes in meanwhile changes nothing of the pages that follow: each event is in one of them. After a million
    /// entries a page ends, however few there are in it.
    #[must_use]
    pub fn search(&self, query: &Query, before: Option<Seq>, limit: usize) -> Page {
        self.search_within(MAX_EXAMINED, query, before, limit)
    }

    fn search_within(&self, most: usize, query: &Query, before: Option<Seq>, limit: usize) -> Page {
        let before = before.unwrap_or(Seq(u64::MAX));
        let volumes = volume::all(&self.shared);
        let mut candidates =
            volumes.iter().rev().filter(|volume| volume.base < before && query.may_match_in(volume)).peekable();
        let (mut page, mut examined, limit) = (Page::default(), 0, limit.max(1));
        while let Some(volume) = candidates.next() {
            let mut newest = Newest { found: VecDeque::new(), limit: limit - page.events.len(), dropped: false };
            volume.walk(&self.shared, &mut |entry| {
                if entry.seq >= before {
                    return ControlFlow::Break(());
                }
                examined += 1;
                if query.matches_entry(entry) {
                    newest.add(entry, volume);
                }
                ControlFlow::Continue(())
            });
            page.events.extend(newest.found.into_iter().rev());
            if newest.dropped {
                page.next = page.events.last().map(|last| last.seq);
                break;
            }
            if page.events.len() >= limit || examined >= most {
                page.next = candidates.peek().map(|_| volume.base);
                break;
            }
        }
        page
    }
}

/// The last few of many.
struct Newest {
    found: VecDeque<Found>,
    limit: usize,
    dropped: bool,
}

impl Newest {
    fn add(&mut self, entry: &Entry<'_>, volume: &Volume) {
        let found = if self.found.len() < self.limit {
            Found::new(entry, volume)
        } else {
            self.dropped = true;
            let Some(mut oldest) = self.found.pop_front() else { return };
            oldest.become_that(entry, volume);
            oldest
        };
        self.found.push_back(found);
    }
}
