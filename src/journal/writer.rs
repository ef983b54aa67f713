//! The one thread that writes. Everything that queued up while the last sync ran is the next batch: one write, one
//! `fdatasync`, then everybody who waits is answered.

use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use super::codec::{self, Record, SEGMENT_HEAD, SegmentHead};
use super::commit::lock;
use super::disk::DiskFile;
use super::index::{self, IndexWriter};
use super::lookup::Span;
use super::segment::{Segment, index_name, log_name, number_in, spare_name};
use super::watch::Position;
use super::{Shared, Sync};
use crate::event::Seq;

/// Padding between records.
const ZEROS: [u8; 8] = [0; 8];

pub(super) struct Writer {
    shared: Arc<Shared>,
    epoch: u64,
    open: Option<OpenSegment>,
    entries: Vec<u8>,
}

struct OpenSegment {
    segment: Arc<Segment>,
    file: Arc<dyn DiskFile>,
    index: IndexWriter,
    /// Where the next record goes.
    offset: u64,
    /// The length of the file with the space that was reserved.
    size: u64,
    span: Option<Span>,
}

/// Why a batch could not be written.
enum Failure {
    /// There is no other segment to be had, most likely for want of space. Nothing that was written is in doubt.
    NoSegment(io::Error),
    /// A write or sync failed.
    Broken(io::Error),
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, epoch: u64) -> Self {
        Self { shared, epoch, open: None, entries: Vec::new() }
    }

    /// Writes batches until the journal is closed and the queue is empty, or a write fails.
    pub(super) fn run(&mut self) {
        let mut batch = Vec::new();
        loop {
            {
                let mut queue = lock(&self.shared.queue);
                while queue.pending.is_empty() && !queue.closed {
                    queue.writer_waits = true;
                    queue = self.shared.bell.wait(queue).unwrap_or_else(PoisonError::into_inner);
                }
                queue.writer_waits = false;
                if queue.pending.is_empty() {
                    break;
                }
                std::mem::swap(&mut batch, &mut queue.pending);
            }
            if !self.commit(&mut batch) {
                return;
            }
        }
        self.close_segment();
    }

    /// Writes what is queued now, if anything. For a journal without a thread of its own.
    pub(super) fn step(&mut self) -> bool {
        if self.shared.commit.is_broken() {
            return false;
        }
        let mut batch = std::mem::take(&mut lock(&self.shared.queue).pending);
        batch.is_empty() || self.commit(&mut batch)
    }

    /// Writes one batch and tells everybody. Answers whether the journal can go on.
    fn commit(&mut self, batch: &mut Vec<Record>) -> bool {
        let first = self.shared.commit.durable().next();
        let mut done = 0;
        while done < batch.len() {
            let began = Instant::now();
            let seq = Seq(first.0 + done as u64);
            match self.write(&mut batch[done..], seq) {
                Ok(count) => {
                    let last = Seq(seq.0 + count as u64 - 1);
                    self.shared.commit.advance(last);
                    self.shared.stats.commits.observe(began.elapsed(), count);
                    self.publish(&batch[done..done + count], seq);
                    done += count;
                }
                Err(Failure::NoSegment(error)) => {
                    tracing::error!(%error, "cannot make another journal segment: refusing events until that works");
                    self.shared.room.store(false, Ordering::SeqCst);
                    self.turn_away(batch.split_off(done));
                    break;
                }
                Err(Failure::Broken(error)) => {
                    tracing::error!(%error, "writing the journal failed: nothing is accepted any more; restart to recover");
                    lock(&self.shared.queue).closed = true;
                    self.shared.commit.break_off();
                    return false;
                }
            }
        }
        batch.clear();
        true
    }

    /// Writes as many records as fit into the open segment, at least one, and syncs them.
    fn write(&mut self, batch: &mut [Record], first: Seq) -> Result<usize, Failure> {
        let wanted = codec::padded(batch[0].len());
        if self.open.as_ref().is_none_or(|open| open.size - open.offset < wanted) {
            self.leave_segment();
            self.open = Some(self.open_segment(first, wanted)?);
        }
        let open = self.open.as_mut().expect("opened above");
        let durable = Seq(first.0 - 1);
        let mut parts = Vec::with_capacity(batch.len() * 3);
        let (mut count, mut offset) = (0, open.offset);
        self.entries.clear();
        for record in &mut *batch {
            let end = offset + codec::padded(record.len());
            if end > open.size {
                break;
            }
            let seq = Seq(first.0 + count as u64);
            record.seal(seq, durable, open.segment.salt);
            index::push_record(&mut self.entries, seq, offset, record);
            offset = end;
            count += 1;
        }
        for record in &batch[..count] {
            parts.push(IoSlice::new(&record.head));
            if !record.body.is_empty() {
                parts.push(IoSlice::new(&record.body));
            }
            let rest = codec::padded(record.len()) - record.len();
            if rest > 0 {
                parts.push(IoSlice::new(&ZEROS[..usize::try_from(rest).expect("below eight")]));
            }
        }
        open.file.write_at(&mut parts, open.offset).map_err(Failure::Broken)?;
        if self.shared.sync == Sync::Always {
            open.file.sync().map_err(Failure::Broken)?;
        }
        open.offset = offset;
        let newest = batch[..count].iter().map(|record| record.time.0).max().unwrap_or_default();
        open.segment.newest.fetch_max(newest, Ordering::Relaxed);
        Ok(count)
    }

    /// What follows a commit and nobody waits for: the index, and waking readers.
    fn publish(&mut self, batch: &[Record], first: Seq) {
        let open = self.open.as_mut().expect("it has just been written to");
        open.index.append(&self.entries);
        let mut offset = open.offset - batch.iter().map(|record| codec::padded(record.len())).sum::<u64>();
        let mut watches = lock(&self.shared.watches);
        let mut seq = first;
        for record in batch {
            let (topic, kind) = record.names();
            Span::add(&mut open.span, record.time, record.id);
            watches.offer(topic, kind, Position { seq, place: Some((open.segment.base, offset)) });
            offset += codec::padded(record.len());
            seq = seq.next();
        }
        self.shared.commit.set_offered(Seq(seq.0 - 1));
    }

    /// Gives back the numbers of records that found no room, and of all that are queued behind them.
    fn turn_away(&self, mut refused: Vec<Record>) {
        let mut queue = lock(&self.shared.queue);
        refused.append(&mut queue.pending);
        for record in &refused {
            queue.dedupe.remove(&record.key);
        }
        queue.next = self.shared.commit.durable().next();
        self.shared.commit.end_generation();
    }

    /// Ends a segment that is full. What little is unused stays with the file, so that it can be used again.
    fn leave_segment(&mut self) {
        if let Some(OpenSegment { segment, span: Some(span), .. }) = &self.open {
            lock(&self.shared.spans).insert(segment.base.0, *span);
        }
        if self.open.as_ref().is_some_and(|open| open.segment.recyclable && open.size - open.offset <= open.size / 4) {
            self.open = None;
        } else {
            self.close_segment();
        }
    }

    pub(super) fn close_segment(&mut self) {
        let Some(open) = self.open.take() else { return };
        if open.size > open.offset {
            // Space that was reserved and not used: given back. Nothing depends on it having worked.
            if let Err(error) = open.file.set_len(open.offset) {
                tracing::warn!(%error, "cannot trim a journal segment");
            } else {
                open.segment.bytes.store(open.offset, Ordering::Relaxed);
            }
        }
    }

    /// A file to make a segment of, under the name of a spare: one that is no longer needed, or a new one.
    fn blank(&self, base: Seq, ordinary: bool) -> io::Result<(String, Arc<dyn DiskFile>)> {
        let disk = &*self.shared.disk;
        let mut spares = lock(&self.shared.spares);
        while ordinary && let Some(spare) = spares.pop() {
            match disk.open(&spare) {
                Ok(file) => return Ok((spare, file)),
                Err(error) => tracing::warn!(%error, spare, "cannot use a spare journal segment again"),
            }
        }
        let name = spare_name(base.0);
        spares.retain(|spare| *spare != name);
        let file = disk.create(&name)?;
        Ok((name, file))
    }

    /// Makes the next segment. It gets its name when its head is on stable storage, all at once: whatever had the name
    /// before, an empty segment of an earlier start, tells the journal's id and place until then.
    fn open_segment(&mut self, base: Seq, wanted: u64) -> Result<OpenSegment, Failure> {
        let shared = &self.shared;
        let ordinary = shared.segment_size();
        let size = ordinary.max(SEGMENT_HEAD + wanted);
        let (blank, file) = self.blank(base, size == ordinary).map_err(Failure::NoSegment)?;
        if let Err(error) = file.reserve(size) {
            let _ = shared.disk.remove(&blank);
            return Err(Failure::NoSegment(error));
        }
        let size = file.len().map_err(Failure::Broken)?.max(size);
        let head = SegmentHead { journal: shared.id, epoch: self.epoch, base, durable: shared.commit.durable() };
        file.write_at(&mut [IoSlice::new(&head.encode())], 0).map_err(Failure::Broken)?;
        file.sync().map_err(Failure::Broken)?;
        if let Err(error) = shared.disk.rename(&blank, &log_name(base)) {
            lock(&shared.spares).push(blank);
            return Err(Failure::NoSegment(error));
        }
        shared.disk.sync_dir().map_err(Failure::Broken)?;
        // An index without a segment may be left of an earlier start; from now on it is this segment's.
        lock(&shared.orphans).remove(&base.0);
        let segment = Arc::new(Segment {
            base,
            salt: codec::salt(shared.id, base),
            bytes: AtomicU64::new(size),
            newest: AtomicI64::new(0),
            retired: AtomicBool::new(false),
            recyclable: size == ordinary,
        });
        shared.add_segment(&segment);
        let index = IndexWriter::create(&*shared.disk, &index_name(base));
        // There is one more segment: perhaps another one can go, and be used again.
        shared.stats.wake_sweeper();
        Ok(OpenSegment { segment, file, index, offset: SEGMENT_HEAD, size, span: None })
    }

    /// Opens the first segment of this start, so that an unusable disk is found out before anything is accepted.
    pub(super) fn prepare(&mut self) -> io::Result<()> {
        let base = self.shared.commit.durable().next();
        match self.open_segment(base, 0) {
            Ok(open) => self.open = Some(open),
            Err(Failure::NoSegment(error)) => {
                tracing::error!(%error, "cannot make a journal segment: refusing events until that works");
                self.shared.room.store(false, Ordering::SeqCst);
            }
            Err(Failure::Broken(error)) => return Err(error),
        }
        Ok(())
    }
}

/// Whether a file is a spare segment.
pub(super) fn is_spare(name: &str) -> bool {
    number_in(name, "spare-", ".log").is_some()
}
