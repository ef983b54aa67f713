//! The bytes of a record and of a segment's head. Little endian throughout.
//!
//! ```text
//! record   0 magic u32 │ 4 length u32 │ 8 head checksum u32 │ 12 body checksum u32
//!         16 seq u64 │ 24 time i64 │ 32 durable u64 │ 40 id [16]
//!         56 head length u32 │ 60 flags u8 │ 61 topic length u8 │ 62 type length u16
//!         64 delivery id length u16 │ 66 zero u16 │ 68 headers length u32 │ 72 spare [16] │ 88 dedupe key [16]
//!        104 topic │ type │ delivery id │ headers │ body, padded to a multiple of 8
//! ```
//!
//! The head checksum (CRC32C, begun with the segment's salt) covers the length, and everything from the body checksum to
//! the end of the headers, and so the body through its own checksum. The salt makes records of a segment's former life, still on the
//! disk after recycling, invalid. `durable` is the last event known to be on stable storage when the record was
//! written: at recovery it tells a torn tail, which nobody was promised, from damage to something that was.

use bytes::Bytes;
use uuid::Uuid;

use crate::event::{Event, EventId, Headers, Millis, Seq, Text};
use crate::validate::Verified;

/// The first bytes of every record.
pub(super) const RECORD_BEGINS: [u8; 4] = *b"1FBY";
const SEGMENT_MAGIC: &[u8; 8] = b"FOREBAY1";

/// The version of the format this program writes.
const VERSION: u32 = 1;

/// The fixed part of a record, in bytes.
pub(super) const FIXED: usize = 104;

const ONE_HEAD: usize = 64;

/// A segment's head stands twice.
pub(super) const BOTH_HEADS: usize = 2 * ONE_HEAD;

/// The length of a segment's head, in bytes. The first record stands behind it.
pub(super) const SEGMENT_HEAD: u64 = BOTH_HEADS as u64;

const HAS_KIND: u8 = 1;
const HAS_DELIVERY_ID: u8 = 2;
const KNOWN_FLAGS: u8 = HAS_KIND | HAS_DELIVERY_ID;

/// Identifies an event for the window in which it is recorded only once: a digest of topic, delivery id and body.
/// All zero: none.
pub type DedupeKey = [u8; 16];

/// The place of the next record after one of this length.
pub(super) const fn padded(length: u64) -> u64 {
    length.next_multiple_of(8)
}

/// A record on its way to the disk: its head with the writer's fields still open, and the body as it came.
#[derive(Debug)]
pub struct Record {
    pub(super) head: Vec<u8>,
    pub(super) body: Bytes,
    pub(super) id: EventId,
    pub(super) time: Millis,
    pub(super) key: DedupeKey,
}

/// Why a request cannot be a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge;

/// The parts of a record, as the ingress knows them.
#[derive(Debug, Clone, Copy)]
pub struct Draft<'a> {
    /// The request: nothing is recorded that no validator has vouched for.
    pub request: &'a Verified,
    /// The topic's name.
    pub topic: &'a str,
    /// The event's type.
    pub kind: Option<&'a str>,
    /// The provider's delivery id.
    pub delivery_id: Option<&'a str>,
    /// See [`DedupeKey`].
    pub key: DedupeKey,
}

impl Record {
    /// Encodes all that is known before the writer gives a number. `headers` adds what is kept of the headers, in the
    /// form of [`Headers::push_wire`].
    ///
    /// # Errors
    /// When topic, type, delivery id or the whole are larger than their length fields can say.
    pub fn new(draft: Draft<'_>, headers: impl FnOnce(&mut Vec<u8>)) -> Result<Self, TooLarge> {
        let (time, body) = (draft.request.incoming().time, draft.request.incoming().body.clone());
        let id = EventId(Uuid::now_v7());
        let kind = draft.kind.unwrap_or_default();
        let delivery_id = draft.delivery_id.unwrap_or_default();
        let mut head = Vec::with_capacity(FIXED + 1024);
        head.resize(FIXED, 0);
        head.extend_from_slice(draft.topic.as_bytes());
        head.extend_from_slice(kind.as_bytes());
        head.extend_from_slice(delivery_id.as_bytes());
        let headers_at = head.len();
        headers(&mut head);
        let headers_len = head.len() - headers_at;
        let head_len = head.len();
        let length = u32::try_from(head_len + body.len()).map_err(|_| TooLarge)?;
        let mut flags = 0;
        if draft.kind.is_some() {
            flags |= HAS_KIND;
        }
        if draft.delivery_id.is_some() {
            flags |= HAS_DELIVERY_ID;
        }
        put(&mut head, 0, RECORD_BEGINS);
        put(&mut head, 4, length.to_le_bytes());
        put(&mut head, 12, crc32c::crc32c(&body).to_le_bytes());
        put(&mut head, 24, time.0.to_le_bytes());
        put(&mut head, 40, *id.0.as_bytes());
        put(&mut head, 56, u32::try_from(head_len).map_err(|_| TooLarge)?.to_le_bytes());
        put(&mut head, 60, [flags]);
        put(&mut head, 61, [u8::try_from(draft.topic.len()).map_err(|_| TooLarge)?]);
        put(&mut head, 62, u16::try_from(kind.len()).map_err(|_| TooLarge)?.to_le_bytes());
        put(&mut head, 64, u16::try_from(delivery_id.len()).map_err(|_| TooLarge)?.to_le_bytes());
        put(&mut head, 68, u32::try_from(headers_len).map_err(|_| TooLarge)?.to_le_bytes());
        put(&mut head, 88, draft.key);
        Ok(Self { head, body, id, time, key: draft.key })
    }

    /// The event's id.
    #[must_use]
    pub fn id(&self) -> EventId {
        self.id
    }

    /// The length on disk without padding.
    pub(super) fn len(&self) -> u64 {
        (self.head.len() + self.body.len()) as u64
    }

    /// The topic and the type, as they stand in the head.
    pub(super) fn names(&self) -> (&[u8], Option<&[u8]>) {
        let topic = FIXED + usize::from(self.head[61]);
        let kind = topic + usize::from(u16::from_le_bytes(get(&self.head, 62)));
        (&self.head[FIXED..topic], (self.head[60] & HAS_KIND != 0).then(|| &self.head[topic..kind]))
    }

    /// Fills in what only the writer knows. After this the head is final.
    pub(super) fn seal(&mut self, seq: Seq, durable: Seq, salt: u32) {
        put(&mut self.head, 16, seq.0.to_le_bytes());
        put(&mut self.head, 32, durable.0.to_le_bytes());
        let checksum = head_checksum(&self.head, salt);
        put(&mut self.head, 8, checksum.to_le_bytes());
    }
}

/// Over all of a head but the magic and the checksum itself. The length must be in it: a reader that believes a wrong one
/// steps over records that are whole.
fn head_checksum(head: &[u8], salt: u32) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(salt, &head[4..8]), &head[12..])
}

fn put<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    bytes[at..at + N].copy_from_slice(&value);
}

fn get<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("as long as it says")
}

/// A record's head that passed its checksum.
#[derive(Debug, Clone)]
#[expect(clippy::struct_field_names, reason = "the record has a length too")]
pub(super) struct Head {
    pub seq: Seq,
    pub time: Millis,
    pub durable: Seq,
    pub id: EventId,
    pub key: DedupeKey,
    /// The whole record without padding.
    pub length: u32,
    pub head_length: u32,
    body_checksum: u32,
    flags: u8,
    topic: u8,
    kind: u16,
    delivery_id: u16,
}

/// What stands at a place where a record might.
#[derive(Debug)]
pub(super) enum Look {
    /// A head that is whole and right.
    Head(Head),
    /// There may be one, but more bytes are needed to tell: this many from its beginning.
    Short(usize),
    /// None.
    Nothing,
}

/// Looks for a record's head at the beginning of `bytes`.
pub(super) fn look(bytes: &[u8], salt: u32) -> Look {
    if bytes.len() < FIXED {
        return Look::Short(FIXED);
    }
    let length = u32::from_le_bytes(get(bytes, 4));
    let head_length = u32::from_le_bytes(get(bytes, 56));
    let topic = bytes[61];
    let kind = u16::from_le_bytes(get(bytes, 62));
    let delivery_id = u16::from_le_bytes(get(bytes, 64));
    let headers = u32::from_le_bytes(get(bytes, 68));
    let adds_up = u64::from(head_length)
        == FIXED as u64 + u64::from(topic) + u64::from(kind) + u64::from(delivery_id) + u64::from(headers);
    if bytes[..4] != RECORD_BEGINS || !adds_up || length < head_length {
        return Look::Nothing;
    }
    let Some(head) = bytes.get(..head_length as usize) else {
        return Look::Short(head_length as usize);
    };
    if head_checksum(head, salt) != u32::from_le_bytes(get(bytes, 8)) || bytes[60] & !KNOWN_FLAGS != 0 {
        return Look::Nothing;
    }
    Look::Head(Head {
        seq: Seq(u64::from_le_bytes(get(bytes, 16))),
        time: Millis(i64::from_le_bytes(get(bytes, 24))),
        durable: Seq(u64::from_le_bytes(get(bytes, 32))),
        id: EventId(Uuid::from_bytes(get(bytes, 40))),
        key: get(bytes, 88),
        length,
        head_length,
        body_checksum: u32::from_le_bytes(get(bytes, 12)),
        flags: bytes[60],
        topic,
        kind,
        delivery_id,
    })
}

impl Head {
    /// The topic, type and delivery id, from the bytes the head was found in.
    pub(super) fn names<'b>(&self, bytes: &'b [u8]) -> (&'b [u8], &'b [u8], &'b [u8]) {
        let kind = FIXED + usize::from(self.topic);
        let delivery_id = kind + usize::from(self.kind);
        let end = delivery_id + usize::from(self.delivery_id);
        (&bytes[FIXED..kind], &bytes[kind..delivery_id], &bytes[delivery_id..end])
    }

    /// Whether the event has a type.
    pub(super) fn has_kind(&self) -> bool {
        self.flags & HAS_KIND != 0
    }

    /// The event, if `bytes` holds the whole record and the body is the one that was written.
    pub(super) fn event(&self, bytes: &Bytes) -> Option<Event> {
        let body = bytes.get(self.head_length as usize..self.length as usize)?;
        if crc32c::crc32c(body) != self.body_checksum {
            return None;
        }
        let kind = FIXED + usize::from(self.topic);
        let delivery_id = kind + usize::from(self.kind);
        let headers = delivery_id + usize::from(self.delivery_id);
        let text = |from: usize, to: usize| Text::from_utf8(bytes.slice(from..to));
        Some(Event {
            seq: self.seq,
            id: self.id,
            time: self.time,
            topic: text(FIXED, kind)?,
            kind: if self.flags & HAS_KIND == 0 { None } else { Some(text(kind, delivery_id)?) },
            delivery_id: if self.flags & HAS_DELIVERY_ID == 0 { None } else { Some(text(delivery_id, headers)?) },
            headers: Headers::from_wire(bytes.slice(headers..self.head_length as usize)),
            body: bytes.slice(self.head_length as usize..self.length as usize),
        })
    }
}

/// A segment's head. It stands twice, so that no single fault takes both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHead {
    /// The journal it belongs to.
    pub journal: Uuid,
    /// Which start of the daemon wrote it; each start is a new epoch.
    pub epoch: u64,
    /// The number of its first record.
    pub base: Seq,
    /// The last event on stable storage when it was begun.
    pub durable: Seq,
}

/// What the checksums of a segment's records begin with. It follows from what is written elsewhere too, so that a
/// damaged head costs no record.
pub(super) fn salt(journal: Uuid, base: Seq) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(journal.as_bytes()), &base.0.to_le_bytes())
}

impl SegmentHead {
    pub(super) fn encode(&self) -> [u8; BOTH_HEADS] {
        let mut bytes = [0; BOTH_HEADS];
        put(&mut bytes, 0, *SEGMENT_MAGIC);
        put(&mut bytes, 8, VERSION.to_le_bytes());
        put(&mut bytes, 16, *self.journal.as_bytes());
        put(&mut bytes, 32, self.epoch.to_le_bytes());
        put(&mut bytes, 40, self.base.0.to_le_bytes());
        put(&mut bytes, 48, self.durable.0.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..60]);
        put(&mut bytes, 60, checksum.to_le_bytes());
        bytes.copy_within(..ONE_HEAD, ONE_HEAD);
        bytes
    }

    /// Reads a head from either of its places.
    ///
    /// # Errors
    /// The version, where it is one this program does not know; `None` where it is no head at all.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Option<u32>> {
        let one = |at: usize| {
            let bytes = bytes.get(at..at + ONE_HEAD).ok_or(None)?;
            if bytes[..8] != *SEGMENT_MAGIC || crc32c::crc32c(&bytes[..60]) != u32::from_le_bytes(get(bytes, 60)) {
                return Err(None);
            }
            let version = u32::from_le_bytes(get(bytes, 8));
            if version != VERSION {
                return Err(Some(version));
            }
            Ok(Self {
                journal: Uuid::from_bytes(get(bytes, 16)),
                epoch: u64::from_le_bytes(get(bytes, 32)),
                base: Seq(u64::from_le_bytes(get(bytes, 40))),
                durable: Seq(u64::from_le_bytes(get(bytes, 48))),
            })
        };
        one(0).or_else(|first| one(ONE_HEAD).map_err(|second| first.or(second)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::Incoming;
    use crate::validate::{Options, Validator, Verdict};

    fn record(topic: &str, kind: Option<&str>, delivery_id: Option<&str>, body: &[u8]) -> Record {
        let body = Bytes::copy_from_slice(body);
        let incoming = Incoming {
            method: http::Method::POST,
            target: String::new(),
            headers: http::HeaderMap::new(),
            body,
            time: Millis(1_795_420_800_123),
            client: None,
        };
        let open = Validator::build("none", Options::default(), Vec::new()).expect("it needs nothing");
        let Verdict::Genuine(request) = open.check(incoming, Millis(0)) else { panic!("it takes everything") };
        let draft = Draft { request: &request, topic, kind, delivery_id, key: [7; 16] };
        Record::new(draft, |out| Headers::push_wire(out, "x-a", b"1")).expect("small enough")
    }

    fn bytes_of(record: &Record) -> Bytes {
        [&record.head[..], &record.body[..]].concat().into()
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(
            topic in "[a-z]{1,9}", kind in proptest::option::of(".{0,9}"), delivery_id in proptest::option::of(".{0,9}"),
            body in proptest::collection::vec(any::<u8>(), 0..300), seq in any::<u64>(), salt in any::<u32>(),
        ) {
            let mut record = record(&topic, kind.as_deref(), delivery_id.as_deref(), &body);
            record.seal(Seq(seq), Seq(3), salt);
            let bytes = bytes_of(&record);
            let Look::Head(head) = look(&bytes, salt) else { panic!("a head") };
            let event = head.event(&bytes).expect("whole");
            prop_assert_eq!(event.seq, Seq(seq));
            prop_assert_eq!(head.durable, Seq(3));
            prop_assert_eq!(event.id, record.id());
            prop_assert_eq!(&*event.topic, topic);
            prop_assert_eq!(event.kind.as_deref(), kind.as_deref());
            prop_assert_eq!(event.delivery_id.as_deref(), delivery_id.as_deref());
            prop_assert_eq!(event.headers.get("x-a"), Some(&b"1"[..]));
            prop_assert_eq!(&event.body[..], &body[..]);
        }

        #[test]
        fn no_single_bit_goes_unnoticed(body in proptest::collection::vec(any::<u8>(), 0..60), at in any::<prop::sample::Index>(), bit in 0..8_u32) {
            let mut record = record("github", Some("push"), None, &body);
            record.seal(Seq(9), Seq(8), 5);
            let mut bytes = bytes_of(&record).to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            let bytes = Bytes::from(bytes);
            if let Look::Head(head) = look(&bytes, 5) {
                prop_assert!(head.event(&bytes).is_none(), "flip at {} was not seen", at);
            }
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let bytes = Bytes::from(bytes);
            if let Look::Head(head) = look(&bytes, 0) {
                let _ = head.event(&bytes);
            }
            let _ = SegmentHead::decode(&bytes);
        }
    }

    #[test]
    fn a_segment_head_survives_one_fault() {
        let head = SegmentHead { journal: Uuid::now_v7(), epoch: 4, base: Seq(17), durable: Seq(16) };
        let bytes = head.encode();
        for at in 0..bytes.len() {
            let mut bytes = bytes;
            bytes[at] ^= 0x10;
            assert_eq!(SegmentHead::decode(&bytes), Ok(head), "fault at {at}");
        }
        let mut newer = bytes;
        for at in [0, 64] {
            newer[at + 8] = 9;
            let checksum = crc32c::crc32c(&newer[at..at + 60]);
            newer[at + 60..at + 64].copy_from_slice(&checksum.to_le_bytes());
        }
        assert_eq!(SegmentHead::decode(&newer), Err(Some(9)));
    }

    #[test]
    fn another_salt_is_another_life() {
        let mut record = record("github", None, None, b"{}");
        record.seal(Seq(1), Seq(0), 5);
        assert!(matches!(look(&bytes_of(&record), 6), Look::Nothing));
    }
}
