//! What was sent, what was answered 202, and whether what arrived fits that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use ring::digest::{SHA256, digest};

/// The SHA-256 of a body.
pub(crate) type Digest = [u8; 32];

pub(crate) fn digest_of(body: &[u8]) -> Digest {
    digest(&SHA256, body).as_ref().try_into().expect("32 bytes")
}

/// One arrival at a subscriber.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Arrival {
    /// The event's id.
    pub(crate) id: String,
    /// The delivery id that the sender gave it.
    pub(crate) delivery: String,
    pub(crate) digest: Digest,
}

/// What senders know, by the delivery ids they gave.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    sent: Mutex<BTreeMap<String, Digest>>,
    acknowledged: Mutex<BTreeMap<String, String>>,
}

/// What is wrong with what arrived at a subscriber, and how much arrived.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) events: usize,
    /// Arrivals of an event after its first.
    pub(crate) duplicates: usize,
    /// Acknowledged, and never arrived.
    pub(crate) missing: usize,
    /// Arrived with another body than was sent.
    pub(crate) corrupt: usize,
    /// Arrived, and was never sent.
    pub(crate) invented: usize,
    /// Has more than one id, among arrivals and answers.
    pub(crate) ambiguous: usize,
}

impl Verdict {
    pub(crate) fn is_good(&self) -> bool {
        self.missing + self.corrupt + self.invented + self.ambiguous == 0
    }
}

impl Ledger {
    /// Called before the first byte goes out.
    pub(crate) fn send(&self, delivery: &str, body: &[u8]) {
        self.sent.lock().expect("not poisoned").insert(delivery.to_owned(), digest_of(body));
    }

    /// Called when 202 has arrived, with the event's id.
    pub(crate) fn acknowledge(&self, delivery: &str, id: &str) {
        let before = self.acknowledged.lock().expect("not poisoned").insert(delivery.to_owned(), id.to_owned());
        assert_eq!(before, None, "senders stop at the first 202");
    }

    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged.lock().expect("not poisoned").len()
    }

    pub(crate) fn judge(&self, arrivals: &[Arrival]) -> Verdict {
        let (sent, acknowledged) =
            (self.sent.lock().expect("not poisoned"), self.acknowledged.lock().expect("not poisoned"));
        let mut ids: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let mut verdict = Verdict::default();
        for arrival in arrivals {
            match sent.get(&arrival.delivery) {
                None => verdict.invented += 1,
                Some(digest) if *digest != arrival.digest => verdict.corrupt += 1,
                Some(_) => {
                    ids.entry(&arrival.delivery).or_default().insert(&arrival.id);
                }
            }
        }
        verdict.events = ids.len();
        verdict.duplicates = arrivals.len() - verdict.invented - verdict.corrupt - ids.len();
        verdict.missing = acknowledged.keys().filter(|delivery| !ids.contains_key(delivery.as_str())).count();
        for (delivery, id) in &*acknowledged {
            if let Some(ids) = ids.get_mut(delivery.as_str()) {
                ids.insert(id);
            }
        }
        verdict.ambiguous = ids.values().filter(|ids| ids.len() > 1).count();
        verdict
    }
}

#[test]
fn the_ledger_notices_everything() {
    let ledger = Ledger::default();
    for (delivery, body) in [("1", "a"), ("2", "b"), ("3", "c")] {
        ledger.send(delivery, body.as_bytes());
    }
    ledger.acknowledge("1", "id-1");
    ledger.acknowledge("2", "id-2");
    let arrival = |id: &str, delivery: &str, body: &str| Arrival {
        id: id.into(),
        delivery: delivery.into(),
        digest: digest_of(body.as_bytes()),
    };
    let good = [arrival("id-1", "1", "a"), arrival("id-2", "2", "b")];
    let verdict = |more: &[Arrival]| ledger.judge(&[&good[..], more].concat());
    let fine = Verdict { events: 2, ..Verdict::default() };
    assert_eq!(verdict(&[]), fine);
    assert_eq!(verdict(&[arrival("id-1", "1", "a")]), Verdict { duplicates: 1, ..fine });
    assert_eq!(ledger.judge(&[]), Verdict { missing: 2, ..Verdict::default() });
    let cases = [
        (arrival("id-3", "3", "c"), Verdict { events: 3, ..Verdict::default() }),
        (arrival("id-3", "3", "x"), Verdict { events: 2, corrupt: 1, ..Verdict::default() }),
        (arrival("id-4", "4", "c"), Verdict { events: 2, invented: 1, ..Verdict::default() }),
        (arrival("id-9", "1", "a"), Verdict { events: 2, duplicates: 1, ambiguous: 1, ..Verdict::default() }),
    ];
    for (arrival, want) in cases {
        assert_eq!(verdict(std::slice::from_ref(&arrival)), want, "{arrival:?}");
    }
    assert!(verdict(&[]).is_good() && !ledger.judge(&[]).is_good());
    let answered_otherwise = [arrival("id-9", "1", "a"), arrival("id-2", "2", "b")];
    assert_eq!(ledger.judge(&answered_otherwise).ambiguous, 1, "the sender was told another id");
}
