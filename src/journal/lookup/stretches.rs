//! Where in the log the events of a query are, for whoever reads them again: he need not read what lies between.

use std::ops::{ControlFlow, Range};

use super::{Query, volume};
use crate::event::Seq;
use crate::journal::{Journal, Position};

/// A part of one segment in which there are events that are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// Where the first of them stands.
    pub first: Position,
    /// The number of the last of them.
    pub last: Seq,
}

/// Where the events of a query are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stretches {
    /// In the order of events, at most one a segment.
    pub stretches: Vec<Stretch>,
    /// How many events there are.
    pub count: u64,
    /// How many there were that retention has removed, as far as is known: delivery ids are remembered for longer.
    pub gone: u64,
}

impl Journal {
    /// Where the events in a range are that are looked for and also wanted by topic and type. Reads all indexes that may
    /// have some.
    #[must_use]
    pub fn stretches(&self, range: Range<u64>, query: &Query, wants: &dyn Fn(&str, Option<&str>) -> bool) -> Stretches {
        let mut all = Stretches::default();
        for volume in volume::all(&self.shared) {
            if volume.last.0 < range.start || volume.base.0 >= range.end || !query.may_match_in(&volume) {
                continue;
            }
            let mut stretch: Option<Stretch> = None;
            volume.walk(&self.shared, &mut |entry| {
                if entry.seq.0 >= range.end {
                    return ControlFlow::Break(());
                }
                if entry.seq.0 < range.start || !wants(entry.topic, entry.kind()) || !query.matches_entry(entry) {
                    return ControlFlow::Continue(());
                }
                if volume.segment.is_none() {
                    all.gone += 1;
                } else {
                    all.count += 1;
                    let first = Position { seq: entry.seq, place: Some((volume.base, entry.offset)) };
                    stretch.get_or_insert(Stretch { first, last: entry.seq }).last = entry.seq;
                }
                ControlFlow::Continue(())
            });
            all.stretches.extend(stretch);
        }
        all
    }
}
