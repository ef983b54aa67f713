//! The sweeper: watches the free space, and retires segments that nobody needs any more.
//!
//! A segment goes when every reader that holds events is past it, and it is older than `retain.age` or the journal is
//! larger than `retain.size`. What is still owed out of it is copied out of the way first, by the [`Keeper`].

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::commit::lock;
use super::segment::{Segment, index_name, log_name, spare_name};
use super::watch::Position;
use super::{Reader, Shared, recover};
use crate::event::{Event, Millis, Seq};

/// How often the free space is looked at, and retention.
const PERIOD: Duration = Duration::from_millis(500);

/// The most segments kept to be used again.
const MAX_SPARES: usize = 4;

/// How long what is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retain {
    pub age: Duration,
    pub size: u64,
    /// Indexes outlive their segments by this.
    pub dedupe: Duration,
}

/// A reader's claim on all events from some number on.
#[derive(Debug)]
pub struct Hold(AtomicU64);

impl Hold {
    pub(super) fn new(from: Seq) -> Self {
        Self(AtomicU64::new(from.0))
    }

    /// The first event that is still needed.
    #[must_use]
    pub fn from(&self) -> Seq {
        Seq(self.0.load(Ordering::SeqCst))
    }

    /// Lets go what is before. Only once the reader will not come back for it, not even after a power cut.
    pub fn advance(&self, from: Seq) {
        self.0.fetch_max(from.0, Ordering::SeqCst);
    }
}

/// Who is asked before events are removed.
pub trait Keeper: Send + std::marker::Sync {
    /// The numbers in the range whose events are still owed or dead, and not kept yet.
    ///
    /// # Errors
    /// When that cannot be told: nothing is removed then.
    fn needed(&self, range: std::ops::Range<u64>) -> Result<Vec<u64>, String>;

    /// Keeps an event until nobody owes it any more, on stable storage before this returns.
    ///
    /// # Errors
    /// When that failed: nothing is removed then.
    fn keep(&self, events: &[Event]) -> Result<(), String>;
}

/// Nothing is kept: for a journal without subscribers.
impl Keeper for () {
    fn needed(&self, _: std::ops::Range<u64>) -> Result<Vec<u64>, String> {
        Ok(Vec::new())
    }

    fn keep(&self, _: &[Event]) -> Result<(), String> {
        Ok(())
    }
}

pub(super) fn run(shared: &Arc<Shared>, keeper: &dyn Keeper) {
    let closed = || lock(&shared.queue).closed;
    while !closed() {
        look_at_space(shared);
        retire(shared, keeper, Millis::now());
        shared.stats.sweeper_waits(PERIOD, closed);
    }
}

/// Opens or closes the ingress by the free space.
pub(super) fn look_at_space(shared: &Shared) {
    let free = match shared.disk.free() {
        Ok(free) => free,
        Err(error) => {
            tracing::warn!(%error, "cannot tell the free space of the journal's disk");
            u64::MAX
        }
    };
    shared.stats.free.store(free, Ordering::Relaxed);
    let min_free = shared.min_free.load(Ordering::Relaxed);
    let room = free >= min_free;
    if shared.room.swap(room, Ordering::SeqCst) != room {
        if room {
            tracing::warn!(free, "there is space for the journal again: taking events");
        } else {
            tracing::error!(free, min_free, "the journal's disk is too full: refusing events until there is space");
        }
    }
}

/// Retires what can go, oldest first.
pub(super) fn retire(shared: &Arc<Shared>, keeper: &dyn Keeper, now: Millis) {
    while let Some((segment, end)) = oldest_to_go(shared, now) {
        if let Err(error) = keep_owed(shared, keeper, &segment, end) {
            tracing::warn!(%error, segment = segment.base.0, "cannot retire a journal segment");
            break;
        }
        recover::save_index(&*shared.disk, &segment, end - 1);
        segment.retired.store(true, Ordering::SeqCst);
        // At every moment it is known of one or the other, so that nobody who lists events misses any.
        lock(&shared.orphans).insert(segment.base.0, segment.newest());
        shared.segments_mut().remove(&segment.base.0);
        if let Err(error) = put_away(shared, &segment) {
            tracing::warn!(%error, segment = segment.base.0, "cannot remove a journal segment");
            // It stays, and so do all younger ones: a hole between segments looks like lost events at the next start.
            shared.add_segment(&Arc::new(segment.again()));
            lock(&shared.orphans).remove(&segment.base.0);
            break;
        }
        // How much is to go follows from what is free by now.
        if let Ok(free) = shared.disk.free() {
            shared.stats.free.store(free, Ordering::Relaxed);
        }
        // For the same reason: a file system may keep the removal of the next one and not this one.
        if let Err(error) = shared.disk.sync_dir() {
            tracing::warn!(%error, "cannot sync the journal's directory");
            break;
        }
    }
    drop_old_indexes(shared, now);
}

/// The oldest segment and the number behind its last event, if it may go.
fn oldest_to_go(shared: &Shared, now: Millis) -> Option<(Arc<Segment>, u64)> {
    let retain = *lock(&shared.retain);
    let segments = shared.segments();
    let total: u64 = segments.values().map(|segment| segment.bytes.load(Ordering::Relaxed)).sum();
    let mut oldest = segments.values();
    let segment = oldest.next()?;
    // The last one is being written.
    let end = oldest.next()?.base.0;
    let held = lock(&shared.holds).iter().map(|hold| hold.from().0).min().unwrap_or(u64::MAX);
    let age = now.0.saturating_sub(segment.newest().0);
    let old = age > i64::try_from(retain.age.as_millis()).unwrap_or(i64::MAX);
    (held >= end && (old || total > retain.size || is_tight(shared))).then(|| (Arc::clone(segment), end))
}

fn keep_owed(shared: &Arc<Shared>, keeper: &dyn Keeper, segment: &Segment, end: u64) -> Result<(), String> {
    let needed: BTreeSet<u64> = keeper.needed(segment.base.0..end)?.into_iter().collect();
    let (Some(&first), Some(&last)) = (needed.first(), needed.last()) else { return Ok(()) };
    let mut kept = Vec::new();
    let mut reader = Reader::new(Arc::clone(shared), Position { seq: Seq(first), place: None });
    while reader.next_seq().0 <= last {
        // A damaged one is counted by the reader, and cannot be kept.
        let Some(found) = reader.next(&mut |_, _| true).map_err(|error| error.to_string())? else { break };
        if needed.contains(&found.event.seq.0) {
            kept.push(found.event);
        }
    }
    if kept.is_empty() { Ok(()) } else { keeper.keep(&kept) }
}

/// Whether the disk is so full that events nobody owes any more have to make room, whatever retention says: before the
/// ingress is closed, not after.
fn is_tight(shared: &Shared) -> bool {
    let min_free = shared.min_free.load(Ordering::Relaxed);
    let ahead = (min_free / 2).clamp(2 * super::SMALLEST_SEGMENT, 2 * super::SEGMENT_SIZE);
    shared.stats.free.load(Ordering::Relaxed) < min_free.saturating_add(ahead)
}

/// Makes a spare of the file, or removes it. It is no error if it is gone already.
fn put_away(shared: &Shared, segment: &Segment) -> std::io::Result<()> {
    let name = log_name(segment.base);
    let mut spares = lock(&shared.spares);
    let tight = is_tight(shared);
    if tight {
        // Space is worth more than speed now. One that cannot be removed is found again at the next start.
        spares.drain(..).for_each(|spare| drop(shared.disk.remove(&spare)));
    }
    let full_size = segment.bytes.load(Ordering::Relaxed) >= shared.segment_size();
    let done = if segment.recyclable && full_size && !tight && spares.len() < MAX_SPARES {
        let spare = spare_name(segment.base.0);
        shared.disk.rename(&name, &spare).map(|()| spares.push(spare))
    } else {
        shared.disk.remove(&name)
    };
    done.or_else(|error| match shared.disk.open(&name) {
        Err(gone) if gone.kind() == ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })
}

/// Removes indexes of segments that are gone, once no delivery id in them is remembered any more.
fn drop_old_indexes(shared: &Shared, now: Millis) {
    let window = i64::try_from(lock(&shared.retain).dedupe.as_secs()).unwrap_or(i64::MAX);
    lock(&shared.orphans).retain(|&base, newest| {
        if now.seconds().saturating_sub(newest.seconds()) <= window {
            return true;
        }
        let name = index_name(Seq(base));
        if let Err(error) = shared.disk.remove(&name)
            && error.kind() != ErrorKind::NotFound
        {
            tracing::warn!(%error, name, "cannot remove an old index file");
        }
        lock(&shared.spans).remove(&base);
        false
    });
}
