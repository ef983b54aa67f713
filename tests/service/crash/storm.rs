//! Many clients that post without a pause, while what they post to is killed again and again.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::ledger::Ledger;
use crate::client::{Client, github_signature};

pub(crate) const SECRET: &str = "It's a Secret to Everybody";

/// Pseudo-random numbers (xorshift64*, Vigna 2016), so that a run can be told by its seed.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) % bound
    }
}

/// The clients at work. They end when this is told to.
pub(crate) struct Storm {
    pub(crate) ledger: Arc<Ledger>,
    /// Where they post to; empty while nothing is there.
    address: Arc<Mutex<String>>,
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Storm {
    pub(crate) fn begin(clients: u64, seed: u64) -> Self {
        let (ledger, address): (Arc<Ledger>, Arc<Mutex<String>>) = Default::default();
        let stop = Arc::new(AtomicBool::new(false));
        let number = Arc::new(AtomicU64::new(0));
        let clients = (0..clients).map(|n| {
            let (ledger, address) = (Arc::clone(&ledger), Arc::clone(&address));
            let (stop, number, dice) = (Arc::clone(&stop), Arc::clone(&number), Dice::new(seed + n + 1));
            std::thread::spawn(move || Poster { ledger, address, stop, number, dice, connection: None }.run())
        });
        let clients = clients.collect();
        Self { ledger, address, stop, clients }
    }

    /// From now on they post there.
    pub(crate) fn aim(&self, address: &str) {
        address.clone_into(&mut self.address.lock().expect("not poisoned"));
    }

    /// Waits until they have stopped, and answers what they know.
    pub(crate) fn end(self) -> Arc<Ledger> {
        self.stop.store(true, Ordering::SeqCst);
        for client in self.clients {
            client.join().expect("clients do not panic");
        }
        self.ledger
    }
}

struct Poster {
    ledger: Arc<Ledger>,
    address: Arc<Mutex<String>>,
    stop: Arc<AtomicBool>,
    number: Arc<AtomicU64>,
    dice: Dice,
    connection: Option<(String, Client)>,
}

impl Poster {
    fn run(mut self) {
        while !self.stop.load(Ordering::SeqCst) {
            let number = self.number.fetch_add(1, Ordering::Relaxed);
            let delivery = format!("00000000-0000-4000-8000-{number:012}");
            let body = self.body(number);
            self.ledger.send(&delivery, &body);
            // Some senders try again when they get no answer, and some do not.
            let tries = if self.dice.below(3) == 0 { 1 } else { 200 };
            for _ in 0..tries {
                if let Some(id) = self.post(&delivery, &body) {
                    self.ledger.acknowledge(&delivery, &id);
                    break;
                }
                if self.stop.load(Ordering::SeqCst) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }

    /// Mostly small, sometimes larger than any buffer on the way.
    fn body(&mut self, number: u64) -> Vec<u8> {
        let length = match self.dice.below(100) {
            0 => 300_000 + self.dice.below(300_000),
            1..10 => self.dice.below(40_000),
            _ => self.dice.below(2_000),
        };
        let mut body = format!("{{\"number\":{number},\"filler\":\"").into_bytes();
        body.extend((0..length).map(|_| b'a' + u8::try_from(self.dice.below(26)).expect("a letter")));
        body.extend_from_slice(b"\"}");
        body
    }

    /// The event's id, if it was accepted.
    fn post(&mut self, delivery: &str, body: &[u8]) -> Option<String> {
        let address = self.address.lock().expect("not poisoned").clone();
        if self.connection.as_ref().is_none_or(|(to, _)| *to != address) {
            self.connection = Client::connect(&address).ok().map(|client| (address, client));
        }
        let (_, client) = self.connection.as_mut()?;
        let signature = github_signature(SECRET, body);
        let headers = [
            ("content-type", "application/json"),
            ("x-github-event", "push"),
            ("x-github-delivery", delivery),
            ("x-hub-signature-256", &signature),
        ];
        let answer = client.post("/api/events/http/github", &headers, body);
        let Ok(answer) = answer else {
            self.connection = None;
            return None;
        };
        assert!(matches!(answer.status, 202 | 503), "{} {}", answer.status, answer.text());
        (answer.status == 202).then(|| answer.header("forebay-event-id").expect("an id").to_owned())
    }
}
