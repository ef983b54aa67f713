//! A segment: a file of records, its name, and finding the records in it whatever happened to some of them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};

use super::codec::{self, Head, Look};
use super::disk::DiskFile;
use crate::event::{Millis, Seq};

/// The file of the segment that begins with this event.
pub(super) fn log_name(base: Seq) -> String {
    format!("{:020}.log", base.0)
}

/// The index beside it.
pub(super) fn index_name(base: Seq) -> String {
    format!("{:020}.idx", base.0)
}

/// A segment that waits to be used again.
pub(super) fn spare_name(number: u64) -> String {
    format!("spare-{number:020}.log")
}

/// The number in a file's name, if it has the given form.
pub(super) fn number_in(name: &str, prefix: &str, suffix: &str) -> Option<u64> {
    let digits = name.strip_prefix(prefix)?.strip_suffix(suffix)?;
    (digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok()).flatten()
}

/// What is known of a segment while the journal is open.
#[derive(Debug)]
pub(super) struct Segment {
    /// The number of its first event. The next segment's base bounds it.
    pub base: Seq,
    pub salt: u32,
    /// The length of the file, space that is not yet written included.
    pub bytes: AtomicU64,
    /// Its newest event, for retention by age.
    pub newest: AtomicI64,
    /// Its file is gone or belongs to another segment by now.
    pub retired: AtomicBool,
    /// Whether its file is of the ordinary size and may be used again.
    pub recyclable: bool,
}

impl Segment {
    /// The same segment, for one whose file could not be put away.
    pub(super) fn again(&self) -> Self {
        Self {
            base: self.base,
            salt: self.salt,
            bytes: AtomicU64::new(self.bytes.load(Ordering::Relaxed)),
            newest: AtomicI64::new(self.newest.load(Ordering::Relaxed)),
            retired: AtomicBool::new(false),
            recyclable: self.recyclable,
        }
    }

    pub(super) fn newest(&self) -> Millis {
        Millis(self.newest.load(Ordering::Relaxed))
    }
}

/// A record found in a segment.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub head: Head,
    pub offset: u64,
    /// The record's bytes, as far as they were wanted.
    pub bytes: Bytes,
}

/// Reads records of one segment in order, a chunk of the file at a time.
pub(super) struct Scanner {
    file: Arc<dyn DiskFile>,
    salt: u32,
    /// Where the next record is looked for.
    pub offset: u64,
    /// What has been read, from `at` on.
    chunk: Bytes,
    at: u64,
    chunk_size: usize,
    /// How much is read next: more as long as it is used, and less where most of it was not, as at a quiet tail.
    ahead: usize,
}

/// How much is read at first.
const FIRST_CHUNK: usize = 16 * 1024;

impl Scanner {
    pub(super) fn new(file: Arc<dyn DiskFile>, salt: u32, offset: u64, chunk_size: usize) -> Self {
        Self { file, salt, offset, chunk: Bytes::new(), at: 0, chunk_size, ahead: FIRST_CHUNK.min(chunk_size) }
    }

    /// Forgets what was read ahead: the file may have grown since.
    pub(super) fn refresh(&mut self) {
        let used = self.offset.saturating_sub(self.at);
        if used < self.chunk.len() as u64 / 2 {
            // It was doubled when the chunk was read.
            self.ahead = (self.ahead / 4).max(FIRST_CHUNK.min(self.chunk_size));
        }
        self.chunk = Bytes::new();
    }

    /// `wanted` bytes from the current place, or what there is of them.
    fn window(&mut self, wanted: usize) -> io::Result<Bytes> {
        let have = self.at..self.at + self.chunk.len() as u64;
        if !have.contains(&self.offset) || have.end - self.offset < wanted as u64 {
            // Never more than there is: what asks for it may be damaged.
            let left = self.file.len()?.saturating_sub(self.offset);
            let size = self.ahead.max(wanted).min(usize::try_from(left).unwrap_or(usize::MAX));
            self.ahead = self.chunk_size.min(self.ahead * 2);
            let mut buffer = BytesMut::zeroed(size);
            let read = self.file.read_at(&mut buffer, self.offset)?;
            buffer.truncate(read);
            self.chunk = buffer.freeze();
            self.at = self.offset;
        }
        let from = usize::try_from(self.offset - self.at).expect("within the chunk");
        Ok(self.chunk.slice(from..))
    }

    /// The record at the current place, with its body, if there is a valid head.
    pub(super) fn here(&mut self) -> io::Result<Option<Found>> {
        let mut wanted = codec::FIXED;
        loop {
            let bytes = self.window(wanted)?;
            match codec::look(&bytes, self.salt) {
                Look::Short(needed) if bytes.len() < needed && wanted < needed => wanted = needed,
                Look::Short(_) | Look::Nothing => return Ok(None),
                Look::Head(head) => {
                    let length = head.length as usize;
                    let bytes = if bytes.len() < length { self.window(length)? } else { bytes };
                    let bytes = bytes.slice(..length.min(bytes.len()));
                    return Ok(Some(Found { head, offset: self.offset, bytes }));
                }
            }
        }
    }

    /// Steps behind a record.
    pub(super) fn skip(&mut self, found: &Found) {
        self.offset = found.offset + codec::padded(found.head.length.into());
    }

    /// The next valid head from the current place on, which may be damaged, whose number lies in the range. Records
    /// begin at multiples of eight. Where there is none the place stays: one may be written there later.
    pub(super) fn seek(&mut self, numbers: std::ops::Range<u64>) -> io::Result<Option<Found>> {
        let began = self.offset;
        let found = self.seek_on(&numbers);
        if !matches!(found, Ok(Some(_))) {
            self.offset = began;
        }
        found
    }

    fn seek_on(&mut self, numbers: &std::ops::Range<u64>) -> io::Result<Option<Found>> {
        loop {
            if self.window(codec::FIXED)?.len() < codec::FIXED {
                return Ok(None);
            }
            match self.here()? {
                Some(found) if numbers.contains(&found.head.seq.0) => return Ok(Some(found)),
                // A record, but not one of those: nothing begins inside it.
                Some(found) if found.head.seq.0 < numbers.start => self.skip(&found),
                // Numbers only grow within a segment.
                Some(_) => return Ok(None),
                None => {
                    self.offset += 8;
                    // On to the next place that could be the beginning of one, of those that have been read.
                    let window = self.window(codec::FIXED)?;
                    let to_go = memchr::memmem::find(&window, &codec::RECORD_BEGINS).unwrap_or(window.len());
                    self.offset += (to_go / 8 * 8) as u64;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        assert_eq!(number_in(&log_name(Seq(7)), "", ".log"), Some(7));
        assert_eq!(number_in(&index_name(Seq(u64::MAX)), "", ".idx"), Some(u64::MAX));
        assert_eq!(number_in(&spare_name(3), "spare-", ".log"), Some(3));
        for other in ["state.sqlite", "1.log", "0000000000000000000x.log", "spare-00000000000000000003.log"] {
            assert_eq!(number_in(other, "", ".log"), None, "{other}");
        }
    }
}
