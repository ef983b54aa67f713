//! All that is known of the events of one segment: its index, and what stands in the segment behind the index's end.
//!
//! An index is written behind the commit, may have ended early for want of space, and may be damaged. The segment itself
//! has what its index lacks, as long as it is there.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::span::Span;
use crate::event::Seq;
use crate::journal::Shared;
use crate::journal::codec::{self, SEGMENT_HEAD};
use crate::journal::commit::lock;
use crate::journal::index::{self, Entry};
use crate::journal::segment::{Found, Scanner, Segment, index_name, log_name};

/// How much of a segment is read at once.
const CHUNK: usize = 256 * 1024;

/// A segment, or the index that outlives it.
pub(super) struct Volume {
    /// The number of its first event.
    pub base: Seq,
    /// The last number that can be in it.
    pub last: Seq,
    /// `None`: only its index is left.
    pub segment: Option<Arc<Segment>>,
    /// `None`: not known, as of the one that is being written.
    pub span: Option<Span>,
}

/// Every volume there is, oldest first.
pub(super) fn all(shared: &Shared) -> Vec<Volume> {
    // What is durable now is found: in the indexes, or behind them in the last segment.
    let mut last = shared.commit.durable();
    let mut there: BTreeMap<u64, Option<Arc<Segment>>> =
        shared.segments().iter().map(|(&base, segment)| (base, Some(Arc::clone(segment)))).collect();
    // Looked at second: a segment that goes is put here before it is taken from there.
    for &base in lock(&shared.orphans).keys() {
        there.entry(base).or_insert(None);
    }
    let spans = lock(&shared.spans);
    let mut volumes: Vec<Volume> = Vec::with_capacity(there.len());
    for (base, segment) in there.into_iter().rev() {
        volumes.push(Volume { base: Seq(base), last, segment, span: spans.get(&base).copied() });
        last = Seq(base - 1);
    }
    volumes.reverse();
    volumes
}

impl Volume {
    /// Goes over the entries in order, until there are no more or it is told to stop.
    pub(super) fn walk(&self, shared: &Shared, each: &mut dyn FnMut(&Entry<'_>) -> ControlFlow<()>) {
        let mut place = Place { next: self.base, offset: SEGMENT_HEAD, stopped: false };
        self.walk_index(shared, &mut place, each);
        let Some(segment) = self.segment.as_ref().filter(|_| place.next <= self.last && !place.stopped) else { return };
        self.walk_log(shared, segment, &mut place, each);
        if segment.retired.load(Ordering::SeqCst) && !place.stopped {
            // It went meanwhile, and its index was made whole before.
            self.walk_index(shared, &mut place, each);
        }
    }

    fn walk_index(&self, shared: &Shared, place: &mut Place, each: &mut dyn FnMut(&Entry<'_>) -> ControlFlow<()>) {
        let name = index_name(self.base);
        let walked = index::walk_file(&*shared.disk, &name, |entry| place.visit(entry, self.last, each));
        match walked {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::warn!(%error, name, "cannot read an index file");
            }
            _ => {}
        }
    }

    fn walk_log(
        &self,
        shared: &Shared,
        segment: &Segment,
        place: &mut Place,
        each: &mut dyn FnMut(&Entry<'_>) -> ControlFlow<()>,
    ) {
        let Ok(file) = shared.disk.open(&log_name(segment.base)) else { return };
        let mut scanner = Scanner::new(file, segment.salt, place.offset, CHUNK);
        while place.next <= self.last
            && let Ok(Some(found)) = scanner.seek(place.next.0..self.last.0 + 1)
        {
            scanner.skip(&found);
            if place.visit(&entry_of(&found), self.last, each).is_break() {
                return;
            }
        }
    }
}

/// How far a walk has come.
struct Place {
    /// The number that is looked for next.
    next: Seq,
    /// Where in the segment to look for it.
    offset: u64,
    /// No more is wanted.
    stopped: bool,
}

impl Place {
    fn visit(
        &mut self,
        entry: &Entry<'_>,
        last: Seq,
        each: &mut dyn FnMut(&Entry<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        if entry.seq < self.next {
            return ControlFlow::Continue(());
        }
        if entry.seq > last {
            // Recorded since the walk began.
            self.next = last.next();
            return ControlFlow::Break(());
        }
        self.next = entry.seq.next();
        self.offset = entry.offset + codec::padded(entry.length.into());
        let flow = each(entry);
        self.stopped = flow.is_break();
        flow
    }
}

/// What the index would say of a record.
fn entry_of(found: &Found) -> Entry<'_> {
    let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
    let (topic, kind, delivery_id) = found.head.names(&found.bytes);
    Entry {
        seq: found.head.seq,
        offset: found.offset,
        time: found.head.time,
        id: found.head.id,
        key: found.head.key,
        length: found.head.length,
        topic: text(topic),
        kind: text(kind),
        delivery_id: text(delivery_id),
    }
}
