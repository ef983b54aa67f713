//! The index of a segment: one short entry an event, in a file beside the segment, written behind the commit.
//!
//! It answers without touching bodies: what was seen (for dedupe), what is there (for listings), and where. It outlives
//! the segment for as long as delivery ids are remembered. An entry is only ever written for an event that is already
//! on stable storage, so a valid entry is also proof that the event was recorded. Losing an index costs a scan of its
//! segment.

use std::io;
use std::ops::ControlFlow;

use uuid::Uuid;

use super::codec::{DedupeKey, Head, Record};
use super::disk::{Disk, DiskFile};
use crate::event::{EventId, Millis, Seq};

/// The fixed part of an entry.
///
/// `0 checksum u32 │ 4 length u16 │ 6 topic u8 │ 7 zero │ 8 seq │ 16 offset │ 24 time │ 32 id [16] │ 48 key [16] │
/// 64 record length u32 │ 68 type length u16 │ 70 delivery id length u16 │ 72 topic │ type │ delivery id`
const FIXED: usize = 72;

/// What the index says of one event. A text that was cut within a character reads as empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    /// Its number.
    pub seq: Seq,
    /// Where its record stands in the segment.
    pub offset: u64,
    /// When it was received.
    pub time: Millis,
    /// Its id.
    pub id: EventId,
    /// What it is known by for dedupe; all zero: nothing.
    pub key: DedupeKey,
    /// The length of its record.
    pub length: u32,
    /// The topic.
    pub topic: &'a str,
    /// The type; empty: none.
    pub kind: &'a str,
    /// The delivery id; empty: none.
    pub delivery_id: &'a str,
}

impl Entry<'_> {
    /// The type, where there is one.
    pub(super) fn kind(&self) -> Option<&str> {
        Some(self.kind).filter(|kind| !kind.is_empty())
    }
}

fn push(out: &mut Vec<u8>, numbers: (Seq, u64, Millis, EventId, &DedupeKey, u32), names: [&[u8]; 3]) {
    let (seq, offset, time, id, key, length) = numbers;
    let [topic, kind, delivery_id] = names;
    // What does not fit is cut: the index is for finding, the record has it whole.
    let topic = &topic[..topic.len().min(255)];
    let kind = &kind[..kind.len().min(1024)];
    let delivery_id = &delivery_id[..delivery_id.len().min(1024)];
    let from = out.len();
    let total = FIXED + topic.len() + kind.len() + delivery_id.len();
    let short = |n: usize| u16::try_from(n).expect("bounded above");
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&short(total).to_le_bytes());
    out.extend_from_slice(&[u8::try_from(topic.len()).expect("bounded above"), 0]);
    out.extend_from_slice(&seq.0.to_le_bytes());
    out.extend_from_slice(&offset.to_le_bytes());
    out.extend_from_slice(&time.0.to_le_bytes());
    out.extend_from_slice(id.0.as_bytes());
    out.extend_from_slice(key);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&short(kind.len()).to_le_bytes());
    out.extend_from_slice(&short(delivery_id.len()).to_le_bytes());
    out.extend_from_slice(topic);
    out.extend_from_slice(kind);
    out.extend_from_slice(delivery_id);
    let checksum = crc32c::crc32c(&out[from + 4..]);
    out[from..from + 4].copy_from_slice(&checksum.to_le_bytes());
}

/// Adds the entry of a record that has just been written at `offset`.
pub(super) fn push_record(out: &mut Vec<u8>, seq: Seq, offset: u64, record: &Record) {
    let number = |at: usize| usize::from(u16::from_le_bytes([record.head[at], record.head[at + 1]]));
    let topic = super::codec::FIXED + usize::from(record.head[61]);
    let kind = topic + number(62);
    let delivery_id = kind + number(64);
    let names = [&record.head[super::codec::FIXED..topic], &record.head[topic..kind], &record.head[kind..delivery_id]];
    let length = u32::try_from(record.len()).expect("checked when it was made");
    push(out, (seq, offset, record.time, record.id, &record.key, length), names);
}

/// Adds the entry of a record found in a segment.
pub(super) fn push_found(out: &mut Vec<u8>, offset: u64, head: &Head, bytes: &[u8]) {
    let (topic, kind, delivery_id) = head.names(bytes);
    push(out, (head.seq, offset, head.time, head.id, &head.key, head.length), [topic, kind, delivery_id]);
}

/// Walks the entries of an index file until its end, or to the first that is damaged.
///
/// Answers whether every byte belonged to a good entry.
pub(super) fn walk<'a>(bytes: &'a [u8], mut each: impl FnMut(Entry<'a>)) -> bool {
    let mut rest = bytes;
    while !rest.is_empty() {
        let Some(entry) = first(&mut rest) else { return false };
        each(entry);
    }
    true
}

/// The most bytes of an entry.
const MAX_ENTRY: usize = FIXED + 255 + 1024 + 1024;

/// How much of an index is in memory at once where not all of it is needed.
const CHUNK: usize = 256 * 1024;

/// As [`walk`], over a file of which only a piece is in memory, until there are no more entries or it is told to stop.
///
/// # Errors
/// When the file cannot be opened or read.
pub(super) fn walk_file(
    disk: &dyn Disk,
    name: &str,
    mut each: impl FnMut(&Entry<'_>) -> ControlFlow<()>,
) -> io::Result<()> {
    let file = disk.open(name)?;
    let mut buffer = vec![0; CHUNK];
    let (mut offset, mut have) = (0, 0);
    loop {
        let read = file.read_at(&mut buffer[have..], offset)?;
        offset += read as u64;
        have += read;
        let mut rest = &buffer[..have];
        while read == 0 || rest.len() >= MAX_ENTRY {
            let Some(entry) = first(&mut rest) else { return Ok(()) };
            if each(&entry).is_break() {
                return Ok(());
            }
        }
        let left = rest.len();
        buffer.copy_within(have - left..have, 0);
        have = left;
    }
}

fn first<'a>(rest: &mut &'a [u8]) -> Option<Entry<'a>> {
    let bytes = *rest;
    if bytes.len() < FIXED {
        return None;
    }
    let u16_at = |at: usize| usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
    let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight"));
    let total = u16_at(4);
    let entry = bytes.get(..total)?;
    let topic = FIXED + usize::from(bytes[6]);
    let kind = topic + u16_at(68);
    let delivery_id = kind + u16_at(70);
    if delivery_id != total
        || crc32c::crc32c(&entry[4..]) != u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    {
        return None;
    }
    let text = |from: usize, to: usize| std::str::from_utf8(&entry[from..to]).unwrap_or_default();
    *rest = &bytes[total..];
    Some(Entry {
        seq: Seq(u64_at(8)),
        offset: u64_at(16),
        time: Millis(u64_at(24).cast_signed()),
        id: EventId(Uuid::from_bytes(bytes[32..48].try_into().expect("sixteen"))),
        key: bytes[48..64].try_into().expect("sixteen"),
        length: u32::from_le_bytes(bytes[64..68].try_into().expect("four")),
        topic: text(FIXED, topic),
        kind: text(topic, kind),
        delivery_id: text(kind, delivery_id),
    })
}

/// The whole of an index file.
///
/// # Errors
/// When it cannot be opened or read.
pub(super) fn load(disk: &dyn Disk, name: &str) -> io::Result<Vec<u8>> {
    let file = disk.open(name)?;
    let length = usize::try_from(file.len()?).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let mut bytes = vec![0; length];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Writes the index of the open segment as it grows. A failure is not the event's: the index is left short and made
/// anew from the segment at the next start.
pub(super) struct IndexWriter {
    file: Option<std::sync::Arc<dyn DiskFile>>,
    length: u64,
}

impl IndexWriter {
    pub(super) fn create(disk: &dyn Disk, name: &str) -> Self {
        let file =
            disk.create(name).inspect_err(|error| tracing::warn!(%error, name, "cannot make an index file")).ok();
        Self { file, length: 0 }
    }

    pub(super) fn append(&mut self, entries: &[u8]) {
        let Some(file) = &self.file else { return };
        match file.write_at(&mut [io::IoSlice::new(entries)], self.length) {
            Ok(()) => self.length += entries.len() as u64,
            Err(error) => {
                tracing::warn!(%error, "cannot write an index file; it is made anew at the next start");
                self.file = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_and_damage_ends_the_walk() {
        let mut bytes = Vec::new();
        for n in 1..=3 {
            let names: [&[u8]; 3] = [b"github", if n == 2 { b"" } else { b"push" }, b"id"];
            push(&mut bytes, (Seq(n), n * 8, Millis(5), EventId(Uuid::from_u128(n.into())), &[1; 16], 99), names);
        }
        let mut all = Vec::new();
        assert!(walk(&bytes, |entry| all.push(entry)));
        assert_eq!(all.iter().map(|e| e.seq.0).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!((all[0].topic, all[1].kind, all[2].delivery_id), ("github", "", "id"));
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 4;
            let mut seen = Vec::new();
            assert!(!walk(&bad, |entry| seen.push(entry)), "flip at {at}");
            assert_eq!(seen[..], all[..seen.len()], "flip at {at}");
        }
    }
}
