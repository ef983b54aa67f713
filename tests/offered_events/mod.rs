//! Events made from a number, so that what is read back can be held against what was offered.

#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::time::Duration;

use bytes::Bytes;
use forebay::event::{Event, EventId, Headers, Incoming, Millis, Seq};
use forebay::journal::{DedupeKey, Draft, Opening, Record, Settings, Sync, dedupe_key};
use forebay::validate::{Options, Validator, Verdict};

/// Random numbers that follow from a seed (splitmix64), the same on every machine.
#[derive(Debug, Clone)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to below `end`; 0 for 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.next() % end }
    }

    pub(crate) fn index(&mut self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).expect("below a usize")
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// What a provider sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offered {
    pub(crate) topic: &'static str,
    pub(crate) kind: Option<&'static str>,
    pub(crate) delivery_id: Option<String>,
    pub(crate) header: String,
    pub(crate) body: Bytes,
    pub(crate) key: DedupeKey,
    pub(crate) time: Millis,
}

impl Offered {
    /// The `n`-th delivery, with a body of this length.
    pub(crate) fn new(n: u64, length: usize, time: Millis) -> Self {
        let mut dice = Dice(n);
        let mut body = Vec::with_capacity(length + 8);
        while body.len() < length {
            body.extend_from_slice(&dice.next().to_le_bytes());
        }
        body.truncate(length);
        let topic = ["github", "bitbucketCloud", "a"][dice.index(3)];
        let kind = [None, Some("push"), Some("pull_request")][dice.index(3)];
        let delivery_id = (!dice.one_in(4)).then(|| format!("delivery-{n}"));
        let key =
            delivery_id.as_ref().map_or(DedupeKey::default(), |id| dedupe_key(uuid::Uuid::nil(), topic, id, &body));
        Self { topic, kind, delivery_id, header: format!("value {n}"), body: body.into(), key, time }
    }

    pub(crate) fn record(&self) -> Record {
        let incoming = Incoming {
            method: http::Method::POST,
            target: String::new(),
            headers: http::HeaderMap::new(),
            body: self.body.clone(),
            time: self.time,
            client: None,
        };
        let open = Validator::build("none", Options::default(), Vec::new()).expect("it needs nothing");
        let Verdict::Genuine(request) = open.check(incoming, self.time) else { panic!("it takes everything") };
        let draft = Draft {
            request: &request,
            topic: self.topic,
            kind: self.kind,
            delivery_id: self.delivery_id.as_deref(),
            key: self.key,
        };
        Record::new(draft, |out| Headers::push_wire(out, "x-test", self.header.as_bytes())).expect("small enough")
    }

    /// Whether an event is this one, byte for byte.
    pub(crate) fn is(&self, event: &Event) -> bool {
        *event.topic == *self.topic
            && event.kind.as_deref() == self.kind
            && event.delivery_id.as_deref() == self.delivery_id.as_deref()
            && event.headers.iter().eq([("x-test", self.header.as_bytes())])
            && event.body == self.body
            && event.time == self.time
    }
}

/// What was read, for messages.
pub(crate) fn names(events: &[(Seq, EventId)]) -> String {
    events.iter().map(|(seq, id)| format!("{seq}={id}")).collect::<Vec<_>>().join(" ")
}

pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// The moment at which every test begins.
pub(crate) const BEGIN: Millis = Millis(1_795_420_800_000);

pub(crate) fn settings() -> Settings {
    Settings { path: "unused".into(), sync: Sync::Always, retain_age: 365 * DAY, retain_size: 1 << 40, min_free: 0 }
}

pub(crate) fn opening(now: Millis) -> Opening {
    Opening { dedupe: 30 * DAY, floor: Seq(0), now }
}
