//! What the threads of a journal share: its parts, and looking up where an event is.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};

use uuid::Uuid;

use super::commit::{Commit, lock};
use super::dedupe::Dedupe;
use super::disk::Disk;
use super::segment::{self, Segment};
use super::stats::Stats;
use super::sweep::{Hold, Retain};
use super::watch::Watches;
use super::{Record, Sync, index, lookup};
use crate::event::{Millis, Seq};

/// What waits for the writer.
pub(super) struct Queue {
    pub(super) pending: Vec<Record>,
    /// The number the next event gets.
    pub(super) next: Seq,
    pub(super) dedupe: Dedupe,
    pub(super) closed: bool,
    pub(super) writer_waits: bool,
}

/// What the threads of a journal share.
pub(super) struct Shared {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) id: Uuid,
    pub(super) sync: Sync,
    pub(super) retain: Mutex<Retain>,
    pub(super) min_free: AtomicU64,
    pub(super) queue: Mutex<Queue>,
    /// Rung when something is queued while the writer waits, and at close.
    pub(super) bell: Condvar,
    pub(super) commit: Commit,
    pub(super) segments: RwLock<BTreeMap<u64, Arc<Segment>>>,
    pub(super) spares: Mutex<Vec<String>>,
    /// Indexes whose segments are gone, each with its newest event.
    pub(super) orphans: Mutex<BTreeMap<u64, Millis>>,
    /// What segments and indexes have, but for the segment that is being written.
    pub(super) spans: Mutex<BTreeMap<u64, lookup::Span>>,
    pub(super) watches: Mutex<Watches>,
    pub(super) holds: Mutex<Vec<Arc<Hold>>>,
    /// Holds everything until all readers from before this start have their holds.
    pub(super) opening: Arc<Hold>,
    /// Whether there is space; set by the sweeper, unset by whoever finds none.
    pub(super) room: AtomicBool,
    /// The smallest and the largest that an ordinary segment is made.
    pub(super) segment_sizes: (u64, u64),
    pub(super) stats: Stats,
}

impl Shared {
    /// The size of the next segment: smaller where space or retention are tight, so that one segment is never most of
    /// what there is.
    pub(super) fn segment_size(&self) -> u64 {
        let free = self.disk.free().unwrap_or(u64::MAX).saturating_sub(self.min_free.load(Ordering::Relaxed));
        let retain = lock(&self.retain).size;
        let (smallest, largest) = self.segment_sizes;
        (free / 8).min(retain / 4).clamp(smallest, largest).next_multiple_of(4096)
    }

    pub(super) fn segments(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<u64, Arc<Segment>>> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn segments_mut(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<u64, Arc<Segment>>> {
        self.segments.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add_segment(&self, segment: &Arc<Segment>) {
        self.segments_mut().insert(segment.base.0, Arc::clone(segment));
    }

    /// The segment in which an event is, or the first behind it.
    pub(super) fn segment_of(&self, seq: Seq) -> Option<Arc<Segment>> {
        let segments = self.segments();
        let at = segments.range(..=seq.0).next_back().or_else(|| segments.range(seq.0..).next());
        at.map(|(_, segment)| Arc::clone(segment))
    }

    /// The last number that can stand in a segment.
    pub(super) fn end_of(&self, base: Seq) -> Seq {
        self.segments().range(base.0 + 1..).next().map_or(Seq(u64::MAX), |(next, _)| Seq(next - 1))
    }

    pub(super) fn count(&self, range: std::ops::Range<u64>, wants: &dyn Fn(&str, Option<&str>) -> bool) -> u64 {
        let first = self.segment_of(Seq(range.start)).map_or(range.start, |segment| segment.base.0);
        let bases: Vec<u64> = self.segments().range(first.min(range.end)..range.end).map(|(&base, _)| base).collect();
        let mut count = 0;
        for base in bases {
            let bytes = index::load(&*self.disk, &segment::index_name(Seq(base))).unwrap_or_default();
            index::walk(&bytes, |entry| {
                if range.contains(&entry.seq.0) && wants(entry.topic, entry.kind()) {
                    count += 1;
                }
            });
        }
        count
    }

    /// Where the record of an event stands in its segment, by the index.
    pub(super) fn offset_of(&self, segment: &Segment, seq: Seq) -> Option<u64> {
        let bytes = index::load(&*self.disk, &segment::index_name(segment.base)).ok()?;
        let mut offset = None;
        index::walk(&bytes, |entry| {
            if entry.seq <= seq {
                offset = Some(entry.offset);
            }
        });
        offset
    }
}
