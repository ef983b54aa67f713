//! The request that is posted: a GitHub push of 8 KiB, signed, with a delivery id that is new every time.

use std::fmt::Write as _;

use ring::hmac;

/// A push as GitHub sends it. Its shape is that of the examples in the npm package `@octokit/webhooks-examples`.
pub(crate) const PUSH: &[u8] = include_bytes!("../push.json");

/// What both sides sign with.
pub(crate) const SECRET: &str = "the-keepers-of-the-weir-know-it";

/// Where the daemon takes the request; the baselines take it anywhere.
pub(crate) const PATH: &str = "/api/events/http/github";

/// What the name of the event follows.
const EVENT: &str = "X-GitHub-Event: ";

/// Hex digits at the end of a delivery id that count the requests.
pub(crate) const COUNTER_DIGITS: usize = 12;

/// Head and body in one buffer; only the delivery id changes between requests, and nothing signs that.
pub(crate) struct Request {
    bytes: Vec<u8>,
    counter_at: usize,
    event_at: usize,
    sent: u64,
}

impl Request {
    pub(crate) fn new(body: &[u8]) -> Self {
        let mut head = format!(
            "POST {PATH} HTTP/1.1\r\n\
             Host: hooks.example.com\r\n\
             User-Agent: GitHub-Hookshot/044aadd\r\n\
             Content-Length: {}\r\n\
             Accept: */*\r\n\
             Content-Type: application/json\r\n\
             X-GitHub-Event: push\r\n\
             X-GitHub-Hook-ID: 292430182\r\n\
             X-GitHub-Hook-Installation-Target-ID: 550276318\r\n\
             X-GitHub-Hook-Installation-Target-Type: repository\r\n\
             X-Hub-Signature: sha1={}\r\n\
             X-Hub-Signature-256: sha256={}\r\n",
            body.len(),
            sign(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, body),
            sign(hmac::HMAC_SHA256, body),
        );
        let event_at = head.find(EVENT).map_or(0, |at| at + EVENT.len());
        // The process id keeps a second run on the same journal from looking like redeliveries of the first.
        let _ = write!(head, "X-GitHub-Delivery: {:08x}-0000-4000-8000-", std::process::id());
        let counter_at = head.len();
        let _ = write!(head, "{:0COUNTER_DIGITS$x}\r\n\r\n", 0);
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body);
        Self { bytes, counter_at, event_at, sent: 0 }
    }

    /// Says that it is another event, which nothing signs. Answers what it was.
    pub(crate) fn change_event(&mut self, name: [u8; 4]) -> [u8; 4] {
        let mut before = name;
        before.swap_with_slice(&mut self.bytes[self.event_at..self.event_at + 4]);
        before
    }

    /// The next request's bytes. Its delivery id is one that no earlier request had.
    pub(crate) fn next(&mut self) -> &[u8] {
        self.sent += 1;
        let mut rest = self.sent;
        for digit in self.bytes[self.counter_at..self.counter_at + COUNTER_DIGITS].iter_mut().rev() {
            *digit = b"0123456789abcdef"[(rest & 15) as usize];
            rest >>= 4;
        }
        &self.bytes
    }
}

/// A push of about `size` bytes: the same JSON with white space behind it.
pub(crate) fn padded_push(size: usize) -> Vec<u8> {
    let mut body = PUSH.to_vec();
    body.resize(size.max(body.len()), b' ');
    body
}

/// The number in the delivery id at the start of `id`, if it is one of ours.
pub(crate) fn delivery_number(id: &[u8]) -> Option<u64> {
    let counter = id.get(24..24 + COUNTER_DIGITS)?;
    u64::from_str_radix(std::str::from_utf8(counter).ok()?, 16).ok()
}

fn sign(algorithm: hmac::Algorithm, body: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(algorithm, SECRET.as_bytes()), body);
    tag.as_ref().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
