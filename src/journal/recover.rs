//! Finding out at start what the last run left: which segments there are, where the log ends, what was damaged.
//!
//! Only the last segment is read. A record in it that is not valid is either the torn end of a batch whose sync never
//! finished, which nobody was promised: the log is cut there; or it is damage to something recorded, when a later record
//! says that all up to here was durable: it is stepped over and counted. Nothing is ever written into a segment of an
//! earlier run, so nothing can be mistaken for what was written behind a cut.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};
use std::time::Duration;

use uuid::Uuid;

use super::codec::{self, DedupeKey, SEGMENT_HEAD, SegmentHead};
use super::dedupe::Dedupe;
use super::disk::Disk;
use super::index;
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
    /// Recorded events that are damaged, as far as it is known.
    pub damaged: u64,
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
        damaged: 0,
        torn: false,
    };
    for (&base, head) in logs.iter().zip(&heads) {
        found.segments.insert(base, Arc::new(describe(disk, id, Seq(base), head.as_ref())?));
    }
    if let Some(segment) = found.segments.values().next_back().cloned() {
        recover_last(disk, &segment, &mut found)?;
    }
    load_indexes(disk, &indexes, now, window, &mut found);
    drop_empty_segments(disk, &mut found)?;
    Ok(found)
}

fn read_heads(disk: &dyn Disk, logs: &[u64]) -> Result<Vec<Option<SegmentHead>>, OpenError> {
    let mut heads = Vec::with_capacity(logs.len());
    for &base in logs {
        let mut bytes = [0; SEGMENT_HEAD as usize];
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
fn recover_last(disk: &dyn Disk, segment: &Segment, found: &mut Recovered) -> Result<(), OpenError> {
    let file = disk.open(&log_name(segment.base))?;
    // What its index says was recorded: an entry is written only behind a sync.
    let mut promised = Seq(found.last.0.max(segment.base.0 - 1));
    if let Ok(bytes) = index::load(disk, &index_name(segment.base)) {
        index::walk(&bytes, |entry| promised = promised.max(entry.seq));
    }
    let mut scanner = Scanner::new(Arc::clone(&file), segment.salt, SEGMENT_HEAD, CHUNK);
    let (mut next, mut entries) = (segment.base, Vec::new());
    let mut end = SEGMENT_HEAD;
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
        // Something later may say that this was durable.
        let at = scanner.offset;
        let Some(later) = later_witness(&mut scanner, next)? else { break };
        if later.head.durable < next && promised < next {
            scanner.offset = at;
            break;
        }
        let lost = later.head.seq.0 - next.0;
        tracing::error!(from = next.0, lost, "recorded events in the journal are damaged");
        found.damaged += lost;
        next = later.head.seq;
        promised = promised.max(later.head.durable);
    }
    let last = Seq(next.0 - 1);
    if promised > last {
        let lost = promised.0 - last.0;
        tracing::error!(from = next.0, lost, "recorded events at the end of the journal are damaged");
        found.damaged += lost;
    }
    scanner.offset = end;
    found.torn = scanner.seek(next.0..u64::MAX)?.is_some();
    found.last = last.max(promised);
    // What the last run had written and not yet synced counts from now on, so it must be on stable storage too.
    file.sync()?;
    rewrite_index(disk, segment.base, &entries);
    Ok(())
}

/// The next whole record behind a place where none is, with a number that may follow.
fn later_witness(scanner: &mut Scanner, next: Seq) -> io::Result<Option<super::segment::Found>> {
    loop {
        let Some(later) = scanner.seek(next.0..u64::MAX)? else { return Ok(None) };
        if later.head.seq > next && later.head.event(&later.bytes).is_some() {
            return Ok(Some(later));
        }
        scanner.offset += 8;
    }
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

/// Fills the memory of deliveries, newest segment first, and learns how old each segment is.
fn load_indexes(disk: &dyn Disk, indexes: &[u64], now: Millis, window: Duration, found: &mut Recovered) {
    let oldest = now.0.saturating_sub(i64::try_from(window.as_millis()).unwrap_or(i64::MAX));
    let mut seen: Vec<(Millis, DedupeKey, crate::event::EventId)> = Vec::new();
    let bases: std::collections::BTreeSet<u64> =
        indexes.iter().copied().chain(found.segments.keys().copied()).collect();
    for &base in bases.iter().rev() {
        let segment = found.segments.get(&base);
        let mut bytes = index::load(disk, &index_name(Seq(base))).unwrap_or_default();
        let last = found.segments.range(base + 1..).next().map_or(found.last.0, |(next, _)| next - 1);
        let (mut newest, mut entries, mut reached) = (Millis(0), Vec::new(), base - 1);
        let mut whole = index::walk(&bytes, |entry| {
            newest = newest.max(entry.time);
            reached = entry.seq.0;
            entries.push((entry.time, entry.key, entry.id));
        });
        whole &= reached >= last;
        if !whole && let Some(segment) = segment {
            tracing::info!(segment = base, "making the index of a journal segment anew");
            bytes = scan_whole(disk, segment, last);
            rewrite_index(disk, Seq(base), &bytes);
            entries.clear();
            newest = Millis(0);
            index::walk(&bytes, |entry| {
                newest = newest.max(entry.time);
                entries.push((entry.time, entry.key, entry.id));
            });
        }
        if let Some(segment) = segment {
            segment.newest.store(newest.0, std::sync::atomic::Ordering::Relaxed);
        }
        if segment.is_none() {
            found.orphans.insert(base, newest);
        }
        if newest.0 >= oldest && seen.len() < super::dedupe::MAX_REMEMBERED && !window.is_zero() {
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

/// Segments in which nothing was ever recorded: one is left by every start after which nothing came.
fn drop_empty_segments(disk: &dyn Disk, found: &mut Recovered) -> io::Result<()> {
    let bases: Vec<u64> = found.segments.keys().copied().collect();
    for (n, base) in bases.iter().enumerate() {
        let end = bases.get(n + 1).copied().unwrap_or(found.last.0 + 1);
        if end <= *base {
            disk.remove(&log_name(Seq(*base)))?;
            let _ = disk.remove(&index_name(Seq(*base)));
            found.segments.remove(base);
        }
    }
    Ok(())
}
