//! Finding out at start what the last run left: which segments there are, where the log ends, what was damaged.
//!
//! Only the last segment is read. A record in it that is not valid is either the torn end of a batch whose sync never
//! finished, which nobody was promised: the log is cut there; or it is damage to something recorded, when any later
//! record or the index says that all up to here was durable: it is stepped over and counted. Nothing new is ever written
//! into a segment of an earlier run, so nothing can be mistaken for what was written behind a cut.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use uuid::Uuid;

use super::codec::{self, DedupeKey, SEGMENT_HEAD, SegmentHead};
use super::dedupe::Dedupe;
use super::disk::{Disk, DiskFile};
use super::index;
use super::lookup::Span;
use super::segment::{Scanner, Segment, index_name, log_name, number_in};
use super::writer::is_spare;
use crate::event::{Millis, Seq};

/// How much of a segment is read at once.
const CHUNK: usize = 1 << 20;

/// What was found.
pub(super) struct Recovered {
    pub id: Uuid,
    /// The epoch of this run.
    pub epoch: u64,
    pub segments: BTreeMap<u64, Arc<Segment>>,
    /// The last event of the log.
    pub last: Seq,
    pub dedupe: Dedupe,
    pub spares: Vec<String>,
    /// Indexes whose segments are gone, each with its newest event.
    pub orphans: BTreeMap<u64, Millis>,
    /// What is in each segment and index.
    pub spans: BTreeMap<u64, Span>,
    /// Recorded events that are damaged, as far as it is known: the first of each stretch, and how many.
    pub damaged: Vec<(Seq, u64)>,
    /// Records of the last batch that were never promised to anybody and are not whole.
    pub torn: bool,
}

/// Why a journal cannot be opened.
#[derive(Debug)]
pub enum OpenError {
    /// The directory or a file in it cannot be read or written.
    Io(io::Error),
    /// Another process has it open.
    Locked,
    /// It was written by a later version of the program.
    Version(u32),
    /// The state beside the log cannot be opened.
    State(String),
}

impl std::fmt::Display for OpenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::Locked => f.write_str("another process has it open"),
            Self::Version(version) => {
                write!(f, "it is of format {version}, and this program knows formats up to 1: use a later version")
            }
            Self::State(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for OpenError {}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Looks at what is there. `floor`: an event known from elsewhere to have been recorded, whatever the log says.
pub(super) fn recover(
    disk: &dyn Disk,
    floor: Seq,
    now: Millis,
    window: Duration,
    limit: usize,
) -> Result<Recovered, OpenError> {
    let names = disk.list()?;
    let numbers = |suffix: &str| {
        let mut numbers: Vec<u64> =
            names.iter().filter_map(|name| number_in(name, "", suffix)).filter(|&base| base > 0).collect();
        numbers.sort_unstable();
        numbers
    };
    let (logs, indexes) = (numbers(".log"), numbers(".idx"));
    let heads = read_heads(disk, &logs)?;
    let id = heads.iter().flatten().map(|head| head.journal).next().unwrap_or_else(Uuid::now_v7);
    let epoch = heads.iter().flatten().map(|head| head.epoch).max().unwrap_or(0) + 1;

    let mut found = Recovered {
        id,
        epoch,
        segments: BTreeMap::new(),
        last: Seq(floor.0.max(logs.last().map_or(0, |base| base.saturating_sub(1)))),
        dedupe: Dedupe::new(window, limit),
        spares: names.into_iter().filter(|name| is_spare(name)).collect(),
        orphans: BTreeMap::new(),
        spans: BTreeMap::new(),
        damaged: Vec::new(),
        torn: false,
    };
    for (&base, head) in logs.iter().zip(&heads) {
        found.segments.insert(base, Arc::new(describe(disk, id, Seq(base), head.as_ref())?));
    }
    if let Some(segment) = found.segments.values().next_back().cloned() {
        recover_last(disk, &segment, &mut found)?;
    }
    note_lost_segments(disk, &indexes, &mut found);
    load_indexes(disk, &indexes, now, window, &mut found);
    forget_empty_segment(&mut found);
    Ok(found)
}

fn read_heads(disk: &dyn Disk, logs: &[u64]) -> Result<Vec<Option<SegmentHead>>, OpenError> {
    let mut heads = Vec::with_capacity(logs.len());
    for &base in logs {
        let mut bytes = [0; codec::BOTH_HEADS];
        let read = disk.open(&log_name(Seq(base)))?.read_at(&mut bytes, 0)?;
        heads.push(match SegmentHead::decode(&bytes[..read]) {
            Ok(head) => Some(head),
            Err(Some(version)) => return Err(OpenError::Version(version)),
            Err(None) => {
                // A crash between making the file and writing its head, or damage. The records do not need it.
                tracing::warn!(segment = base, "a journal segment has no valid head");
                None
            }
        });
    }
    Ok(heads)
}

fn describe(disk: &dyn Disk, id: Uuid, base: Seq, head: Option<&SegmentHead>) -> io::Result<Segment> {
    let bytes = disk.open(&log_name(base))?.len()?;
    Ok(Segment {
        base,
        salt: codec::salt(head.map_or(id, |head| head.journal), base),
        bytes: AtomicU64::new(bytes),
        newest: AtomicI64::new(i64::MAX),
        retired: AtomicBool::new(false),
        recyclable: true,
    })
}

/// Reads the last segment to its end, and makes its index anew on the way.
fn recover_last(disk: &dyn Disk, segment: &Segment, found: &mut Recovered) -> io::Result<()> {
    let file = disk.open(&log_name(segment.base))?;
    // What its index says was recorded: an entry is written only behind a sync.
    let mut promised = Seq(found.last.0.max(segment.base.0 - 1));
    if let Ok(bytes) = index::load(disk, &index_name(segment.base)) {
        index::walk(&bytes, |entry| promised = promised.max(entry.seq));
    }
    let mut scanner = Scanner::new(Arc::clone(&file), segment.salt, SEGMENT_HEAD, CHUNK);
    let (mut next, mut entries) = (segment.base, Vec::new());
    let mut end = SEGMENT_HEAD;
    let mut looked_ahead = false;
    loop {
        if let Some(here) = scanner.here()?
            && here.head.seq == next
            && here.head.event(&here.bytes).is_some()
        {
            index::push_found(&mut entries, here.offset, &here.head, &here.bytes);
            promised = promised.max(here.head.durable);
            next = here.head.seq.next();
            scanner.skip(&here);
            end = scanner.offset;
            continue;
        }
        if !looked_ahead {
            // Something later may say that this was durable; not the next one, if both are of one batch.
            looked_ahead = true;
            let witness = durable_behind(&mut scanner, next)?;
            found.torn = witness.is_some_and(|durable| durable.max(promised) < next);
            promised = promised.max(witness.unwrap_or_default());
        }
        let Some(later) = next_whole(&mut scanner, next, promised)? else { break };
        found.damaged.push((next, later.0 - next.0));
        next = later;
    }
    let last = Seq(next.0 - 1);
    if promised > last {
        found.damaged.push((next, promised.0 - last.0));
    }
    make_safe(&*file, &entries, promised, end)?;
    if found.damaged.is_empty() && file.len()? > end {
        // The torn end, and the space that was reserved. Where something was damaged, all is left for who wants to look.
        match file.set_len(end) {
            Ok(()) => segment.bytes.store(end, Ordering::Relaxed),
            Err(error) => tracing::warn!(%error, segment = segment.base.0, "cannot trim a journal segment"),
        }
    }
    file.sync()?;
    found.last = last.max(promised);
    rewrite_index(disk, segment.base, &entries);
    Ok(())
}

/// What all heads from here on say was durable when they were written, if there are any.
fn durable_behind(scanner: &mut Scanner, next: Seq) -> io::Result<Option<Seq>> {
    let (began, mut durable) = (scanner.offset, None);
    while let Some(found) = scanner.seek(next.0..u64::MAX)? {
        durable = durable.max(Some(found.head.durable));
        scanner.skip(&found);
    }
    scanner.offset = began;
    Ok(durable)
}

/// Goes to the next whole record with a number from `next` up to `promised`, or to the one right behind it: the last
/// batch, which nothing vouches for, goes on where the promised ones end, damaged or not.
fn next_whole(scanner: &mut Scanner, next: Seq, promised: Seq) -> io::Result<Option<Seq>> {
    if promised < next {
        return Ok(None);
    }
    while let Some(found) = scanner.seek(next.0..promised.0.saturating_add(2))? {
        if found.head.event(&found.bytes).is_some() {
            scanner.offset = found.offset;
            return Ok(Some(found.head.seq));
        }
        scanner.skip(&found);
    }
    Ok(None)
}

/// Writes again what was read but never promised, so that the next sync says something about it: what the kernel shows
/// may never have reached the disk if the last run ended on a failed sync, and would not be tried again.
fn make_safe(file: &dyn DiskFile, entries: &[u8], promised: Seq, end: u64) -> io::Result<()> {
    let mut from = end;
    index::walk(entries, |entry| {
        if entry.seq > promised {
            from = from.min(entry.offset);
        }
    });
    let mut buffer = vec![0; CHUNK.min(usize::try_from(end - from).unwrap_or(CHUNK))];
    while from < end {
        let wanted = buffer.len().min(usize::try_from(end - from).unwrap_or(CHUNK));
        let read = file.read_at(&mut buffer[..wanted], from)?;
        if read == 0 {
            break;
        }
        file.write_at(&mut [io::IoSlice::new(&buffer[..read])], from)?;
        from += read as u64;
    }
    Ok(())
}

fn rewrite_index(disk: &dyn Disk, base: Seq, entries: &[u8]) {
    let name = index_name(base);
    let written = disk
        .create(&name)
        .and_then(|file| file.write_at(&mut [io::IoSlice::new(entries)], 0).and_then(|()| file.sync()));
    if let Err(error) = written {
        tracing::warn!(%error, name, "cannot write an index file; it is made anew at the next start");
    }
}

/// Indexes behind the last segment: the files of those segments are lost, and their numbers are not given out again.
fn note_lost_segments(disk: &dyn Disk, indexes: &[u64], found: &mut Recovered) {
    for &base in indexes.iter().filter(|&base| Some(base) > found.segments.keys().next_back()) {
        let mut last = found.last;
        index::walk(&index::load(disk, &index_name(Seq(base))).unwrap_or_default(), |entry| last = last.max(entry.seq));
        if last > found.last {
            found.damaged.push((found.last.next(), last.0 - found.last.0));
            found.last = last;
        }
    }
}

/// Fills the memory of deliveries, newest segment first, and learns how old each segment is.
fn load_indexes(disk: &dyn Disk, indexes: &[u64], now: Millis, window: Duration, found: &mut Recovered) {
    // In whole seconds, as they are remembered.
    let oldest = now.seconds().saturating_sub(i64::try_from(window.as_secs()).unwrap_or(i64::MAX));
    let mut seen: Vec<(Millis, DedupeKey, crate::event::EventId)> = Vec::new();
    let bases: std::collections::BTreeSet<u64> =
        indexes.iter().copied().chain(found.segments.keys().copied()).collect();
    for &base in bases.iter().rev() {
        let segment = found.segments.get(&base);
        let mut bytes = index::load(disk, &index_name(Seq(base))).unwrap_or_default();
        let last = found.segments.range(base + 1..).next().map_or(found.last.0, |(next, _)| next - 1);
        let (mut span, mut entries, mut reached) = (None, Vec::new(), base - 1);
        let mut whole = index::walk(&bytes, |entry| {
            Span::add(&mut span, entry.time, entry.id);
            reached = entry.seq.0;
            if entry.key != DedupeKey::default() {
                entries.push((entry.time, entry.key, entry.id));
            }
        });
        whole &= reached >= last;
        if !whole && let Some(segment) = segment {
            tracing::info!(segment = base, "making the index of a journal segment anew");
            bytes = scan_whole(disk, segment, last);
            rewrite_index(disk, Seq(base), &bytes);
            entries.clear();
            span = None;
            index::walk(&bytes, |entry| {
                Span::add(&mut span, entry.time, entry.id);
                if entry.key != DedupeKey::default() {
                    entries.push((entry.time, entry.key, entry.id));
                }
            });
        }
        found.spans.extend(span.map(|span| (base, span)));
        let newest = span.map_or(Millis(0), |span| span.times.1);
        if let Some(segment) = segment {
            segment.newest.store(newest.0, Ordering::Relaxed);
        }
        if segment.is_none() {
            found.orphans.insert(base, newest);
        }
        if newest.seconds() >= oldest && seen.len() < super::dedupe::MAX_REMEMBERED && !window.is_zero() {
            seen.append(&mut entries);
        }
    }
    seen.sort_unstable_by_key(|(time, ..)| *time);
    for (time, key, id) in seen {
        found.dedupe.insert(key, id, time);
    }
}

/// The entries of all valid records of a segment up to `last`.
fn scan_whole(disk: &dyn Disk, segment: &Segment, last: u64) -> Vec<u8> {
    let mut entries = Vec::new();
    let Ok(file) = disk.open(&log_name(segment.base)) else { return entries };
    let mut scanner = Scanner::new(file, segment.salt, SEGMENT_HEAD, CHUNK);
    let mut next = segment.base.0;
    while next <= last {
        let Ok(Some(record)) = scanner.seek(next..last + 1) else { break };
        index::push_found(&mut entries, record.offset, &record.head, &record.bytes);
        next = record.head.seq.0 + 1;
        scanner.skip(&record);
    }
    entries
}

/// A segment in which nothing was ever recorded: one is left by every start after which nothing came. The writer puts
/// its first one in the place of the file. It is not removed before that: if all others were retired, it alone tells
/// the journal's id and the next number.
fn forget_empty_segment(found: &mut Recovered) {
    let next = found.last.next();
    found.segments.remove(&next.0);
}

/// Makes sure that the index of a segment that is about to go is whole and on stable storage: it outlives it.
pub(super) fn save_index(disk: &dyn Disk, segment: &Segment, last: u64) {
    let name = index_name(segment.base);
    let mut reached = 0;
    let whole = index::load(disk, &name).is_ok_and(|bytes| index::walk(&bytes, |entry| reached = entry.seq.0))
        && reached >= last;
    if whole && disk.open(&name).and_then(|file| file.sync()).is_ok() {
        return;
    }
    // Also after a failed sync: trying it again would prove nothing, writing the whole again does.
    rewrite_index(disk, segment.base, &scan_whole(disk, segment, last));
    if let Err(error) = disk.sync_dir() {
        tracing::warn!(%error, name, "cannot sync an index file: its delivery ids may be forgotten at the next start");
    }
}
