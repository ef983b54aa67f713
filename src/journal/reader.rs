//! Reading the log in order, from a cursor.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Shared;
use super::codec::SEGMENT_HEAD;
use super::segment::{Scanner, Segment, log_name};
use super::watch::Position;
use crate::event::{Event, Seq};

/// How much of the log is read at once. Events keep the chunk they were read in alive.
const CHUNK: usize = 256 * 1024;

/// An event and where its record stands.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The event.
    pub event: Event,
    /// Its place.
    pub position: Position,
}

/// A reader of the log. It sees what is durable, steps over what is damaged or gone, and never waits.
pub struct Reader {
    shared: Arc<Shared>,
    next: Seq,
    current: Option<(Arc<Segment>, Scanner)>,
    /// What was durable when the current chunk was read.
    seen: Seq,
    /// The last look ended at the end of what is durable.
    at_end: bool,
}

/// How many events nobody wants are stepped over in one look.
const MAX_SKIPPED: u32 = 1024;

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("next", &self.next).finish_non_exhaustive()
    }
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, from: Position) -> Self {
        let mut reader = Self { shared, next: from.seq, current: None, seen: Seq(0), at_end: false };
        reader.seek(from);
        reader
    }

    /// The number of the event that is read next, if it is still there.
    #[must_use]
    pub fn next_seq(&self) -> Seq {
        self.next
    }

    /// Goes on from another place.
    pub fn seek(&mut self, to: Position) {
        self.next = to.seq;
        let Some((base, offset)) = to.place else {
            self.current = None;
            return;
        };
        match &mut self.current {
            Some((segment, scanner)) if segment.base == base => {
                scanner.offset = offset;
                scanner.refresh();
            }
            _ => {
                let segment = self.shared.segment_of(to.seq).filter(|segment| segment.base == base);
                self.current = segment.and_then(|segment| self.scan(segment, offset).ok());
            }
        }
    }

    fn scan(&self, segment: Arc<Segment>, offset: u64) -> io::Result<(Arc<Segment>, Scanner)> {
        let file = self.shared.disk.open(&log_name(segment.base))?;
        let scanner = Scanner::new(file, segment.salt, offset, CHUNK);
        Ok((segment, scanner))
    }

    /// Whether the last [`Reader::next`] gave nothing because it came to the end of what is durable.
    #[must_use]
    pub fn at_end(&self) -> bool {
        self.at_end
    }

    /// The next event whose topic and type are wanted; nothing at the end of what is durable, and after many that are
    /// not wanted, so that a look never takes long.
    ///
    /// # Errors
    /// When the log cannot be read. Nothing is skipped: the same event is tried again next time.
    pub fn next(&mut self, wants: &mut dyn FnMut(&str, Option<&str>) -> bool) -> io::Result<Option<Recorded>> {
        self.at_end = false;
        let mut skipped = 0;
        loop {
            let durable = self.shared.commit.durable();
            if self.next > durable || self.current.is_none() && !self.enter(durable)? {
                self.at_end = true;
                return Ok(None);
            }
            let Some((segment, scanner)) = self.current.as_mut() else { return Ok(None) };
            let end = self.shared.end_of(segment.base).min(durable);
            if self.next > end {
                // The segment is read to its end and there is another one.
                self.current = None;
                continue;
            }
            if self.seen < self.next {
                // The chunk was read before this was written.
                scanner.refresh();
                self.seen = durable;
            }
            let mut found = scanner.here()?.filter(|found| found.head.seq == self.next);
            if found.is_none() && self.seen < durable {
                // What is looked for behind the damage may have been written after the chunk was read.
                scanner.refresh();
                self.seen = durable;
                found = scanner.here()?.filter(|found| found.head.seq == self.next);
            }
            if found.is_none() {
                // Damaged, or entered in the middle: on to the next that is whole.
                found = scanner.seek(self.next.0..end.0 + 1)?;
                if segment.retired.load(Ordering::SeqCst) {
                    // Not damage: retention has taken the segment away.
                    self.current = None;
                    continue;
                }
                let reached = found.as_ref().map_or(end.next(), |found| found.head.seq);
                self.shared.stats.damage(self.next, reached.0 - self.next.0);
                self.next = reached;
            }
            let Some(found) = found else { continue };
            let place = Some((segment.base, found.offset));
            scanner.skip(&found);
            self.next = found.head.seq.next();
            let (topic, kind, _) = found.head.names(&found.bytes);
            let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
            if !wants(text(topic), found.head.has_kind().then(|| text(kind))) {
                skipped += 1;
                if skipped >= MAX_SKIPPED {
                    return Ok(None);
                }
                continue;
            }
            match found.head.event(&found.bytes) {
                Some(event) => {
                    return Ok(Some(Recorded { position: Position { seq: event.seq, place }, event }));
                }
                None if segment.retired.load(Ordering::SeqCst) => self.current = None,
                None => self.shared.stats.damage(found.head.seq, 1),
            }
        }
    }

    /// Opens the segment in which the next event is, or the first behind it. Answers whether there is one.
    fn enter(&mut self, durable: Seq) -> io::Result<bool> {
        while self.next <= durable {
            let Some(segment) = self.shared.segment_of(self.next) else { return Ok(false) };
            // What is before the oldest segment has been retired.
            self.next = self.next.max(segment.base);
            let (segment, mut scanner) = match self.scan(Arc::clone(&segment), SEGMENT_HEAD) {
                Ok(opened) => opened,
                // Retired between looking and opening: the next look finds what follows it.
                Err(_) if segment.retired.load(Ordering::SeqCst) => continue,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    // Somebody took the file away; it does not come back.
                    let end = self.shared.end_of(segment.base).min(durable);
                    self.shared.stats.damage(self.next, end.next().0.saturating_sub(self.next.0));
                    self.next = self.next.max(end.next());
                    continue;
                }
                Err(error) => return Err(error),
            };
            if segment.base < self.next {
                // In the middle: the index says where, or at least from where on to look for what is at or behind it.
                scanner.offset = self.shared.offset_of(&segment, self.next).unwrap_or(SEGMENT_HEAD);
                if let Some(found) = scanner.seek(self.next.0..u64::MAX)? {
                    scanner.offset = found.offset;
                }
            }
            // Known before anything was read, so nothing up to there is missing in what was.
            self.seen = durable;
            self.current = Some((segment, scanner));
            return Ok(true);
        }
        Ok(false)
    }
}
