//! Where in the log the events of a selection are, by the indexes: so that whoever reads them again need not read what
//! lies between. The log stays the truth: an index that does not tell of every event narrows nothing down.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::lookup::Query;
use super::segment::index_name;
use super::watch::Position;
use super::{Journal, Shared, index};
use crate::event::Seq;

/// How long the index may be behind what is recorded.
const A_MOMENT: Duration = Duration::from_millis(500);

/// A part of one segment in which there are events of a selection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Where its first event stands.
    pub first: Position,
    /// Its last event, or one behind it.
    pub last: Seq,
}

/// Where the events of a selection are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Spans {
    /// In the order of events, at most one a segment.
    pub spans: Vec<Span>,
    /// How many events there are, as far as the indexes tell.
    pub count: u64,
    /// How many there were that retention has removed, as far as is known: delivery ids are remembered longer.
    pub gone: u64,
}

impl Journal {
    /// Where the events in a range are that are looked for and wanted by topic and type. Reads the indexes: not for a
    /// runtime's thread.
    #[must_use]
    pub fn spans(&self, range: Range<u64>, query: &Query, wants: &dyn Fn(&str, Option<&str>) -> bool) -> Spans {
        let shared = &self.shared;
        // What is recorded is in the index a moment later.
        let deadline = Instant::now() + A_MOMENT;
        let last = Seq(range.end.saturating_sub(1)).min(shared.commit.durable());
        while shared.commit.offered() < last && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        let mut found = Spans::default();
        let orphans: Vec<u64> =
            super::commit::lock(&shared.orphans).range(..range.end).map(|(&base, _)| base).collect();
        for base in orphans {
            found.gone += look(shared, Seq(base), &range, query, wants).0;
        }
        let first = shared.segment_of(Seq(range.start)).map_or(range.start, |segment| segment.base.0);
        let bases: Vec<u64> = shared.segments().range(first.min(range.end)..range.end).map(|(&base, _)| base).collect();
        for base in bases {
            let (count, span) = look(shared, Seq(base), &range, query, wants);
            found.count += count;
            found.spans.extend(span);
        }
        found
    }
}

/// How many events of a segment are meant, and where they are.
fn look(
    shared: &Shared,
    base: Seq,
    range: &Range<u64>,
    query: &Query,
    wants: &dyn Fn(&str, Option<&str>) -> bool,
) -> (u64, Option<Span>) {
    let end = shared.end_of(base).min(shared.commit.durable()).min(Seq(range.end.saturating_sub(1)));
    let bytes = index::load(&*shared.disk, &index_name(base)).unwrap_or_default();
    let (mut count, mut told, mut span) = (0, 0, None);
    index::walk(&bytes, |entry| {
        told += u64::from((base..=end).contains(&entry.seq));
        let delivery_id = Some(entry.delivery_id).filter(|id| !id.is_empty());
        if !range.contains(&entry.seq.0)
            || !wants(entry.topic, entry.kind())
            || !query.matches(entry.topic, entry.kind(), entry.time, entry.id, delivery_id)
        {
            return;
        }
        count += 1;
        let here = Position { seq: entry.seq, place: Some((base, entry.offset)) };
        span.get_or_insert(Span { first: here, last: entry.seq }).last = entry.seq;
    });
    let all = (end.0 + 1).saturating_sub(base.0);
    if told < all {
        let first = Position { seq: base.max(Seq(range.start)), place: None };
        span = (first.seq <= end).then_some(Span { first, last: end });
    }
    (count, span)
}
