//! Bytes that are no requests, and requests that are nearly some.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use super::{OPEN, QUICK};
use crate::client::Client;
use crate::daemon::Home;
use crate::wire::rest;

/// Xorshift: the same bytes in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).expect("48 bits") % sides
    }
}

const SEED: &[u8] = b"POST /api/events/http/open HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n\
    Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n2\r\n[]\r\n0\r\n\r\n\
    POST /api/events/http/open HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}";

fn mangle(dice: &mut Dice) -> Vec<u8> {
    if dice.roll(4) == 0 {
        return (0..dice.roll(600)).map(|_| u8::try_from(dice.roll(256)).expect("a byte")).collect();
    }
    let mut bytes = SEED.to_vec();
    for _ in 0..=dice.roll(6) {
        let (at, to) = (dice.roll(bytes.len()), dice.roll(bytes.len()));
        match dice.roll(5) {
            0 => bytes[at] = u8::try_from(dice.roll(256)).expect("a byte"),
            1 => drop(bytes.remove(at)),
            2 => bytes.insert(at, b"\r\n\t :;,\0\x7f\xff09aF-"[dice.roll(15)]),
            3 => bytes.swap(at, to),
            _ => drop(bytes.splice(at..at, SEED[..to.min(SEED.len())].to_vec())),
        }
    }
    bytes
}

#[test]
fn any_bytes_are_answered_or_dropped() {
    let home = Home::new(QUICK, OPEN);
    let daemon = home.start();
    let mut dice = Dice(0x5eed_f03e_bab5_0001);
    let end = Instant::now() + Duration::from_secs(4);
    let (mut sent, mut good) = (0, 0);
    while sent < 3000 && Instant::now() < end {
        let bytes = mangle(&mut dice);
        let mut stream = TcpStream::connect(&daemon.ingress).expect("it listens");
        stream.set_read_timeout(Some(crate::client::PATIENCE)).expect("a timeout");
        // Who is refused cannot always send all.
        let _ = stream.write_all(&bytes).and_then(|()| stream.shutdown(Shutdown::Write));
        let answer = rest(&mut stream);
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 "), "{:?}", String::from_utf8_lossy(&answer));
        good += usize::from(memchr::memmem::find(&answer, b"202 Accepted").is_some());
        sent += 1;
    }
    assert!(sent > 100 && good > 0 && good < sent, "{good} of {sent}");
    for line in daemon.out() {
        let event: serde_json::Value = serde_json::from_str(&line).expect("every event is whole");
        assert!(event["topic"] != "smuggled");
    }
    let mut client = Client::connect(&daemon.ingress).expect("it listens");
    assert_eq!(client.post("/api/events/http/open", &[], b"{}").expect("an answer").status, 202);
    assert!(!daemon.log().iter().any(|line| line.contains("panick") || line.contains("\"ERROR\"")));
    assert_eq!(daemon.stop().0.code(), Some(0));
}
