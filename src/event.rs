//! What travels through the daemon: a request as it came in (`Incoming`), and an event as the journal keeps it.

use std::fmt;
use std::net::IpAddr;
use std::ops::Deref;

use bytes::Bytes;
use http::HeaderMap;
use uuid::Uuid;

/// The place of an event in the journal, from 1 upwards without gaps as they are given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seq(pub u64);

impl Seq {
    /// The one after this.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What an event is called everywhere outside: a UUID version 7 (RFC 9562), the same at every delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub Uuid);

impl EventId {
    /// When it was given, which is when its event was received.
    #[must_use]
    pub fn time(self) -> Millis {
        let (high, _) = self.0.as_u64_pair();
        Millis((high >> 16).cast_signed())
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// A moment by the wall clock, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Millis(pub i64);

impl Millis {
    /// The present moment by this machine's clock.
    #[must_use]
    pub fn now() -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// Reads RFC 3339 with any offset; what is finer than a millisecond is cut off.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|moment| Self(moment.as_millisecond()))
    }

    /// The whole seconds of it.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }
}

/// The present moment by this machine's clock, in nanoseconds since 1970.
#[cfg(feature = "otlp")]
#[must_use]
pub fn unix_nanos() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// RFC 3339 in UTC with milliseconds, `2026-11-23T08:00:00.123Z`.
impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(moment) => write!(f, "{moment:.3}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

/// UTF-8 text that shares the bytes it was read from.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Text(Bytes);

impl Text {
    /// Takes the bytes as text if they are UTF-8.
    #[must_use]
    pub fn from_utf8(bytes: Bytes) -> Option<Self> {
        std::str::from_utf8(&bytes).is_ok().then_some(Self(bytes))
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(&self.0).expect("checked when it was made")
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// A request on a topic, whole, as it came in. Nobody has vouched for it yet.
#[derive(Debug)]
pub struct Incoming {
    /// `POST`, or what the request said.
    pub method: http::Method,
    /// The path and query as sent.
    pub target: String,
    /// All headers, names in lower case.
    pub headers: HeaderMap,
    /// The exact bytes of the body.
    pub body: Bytes,
    /// When the body was complete, by this machine's clock.
    pub time: Millis,
    /// Who sent it, seen past the trusted proxies.
    pub client: Option<IpAddr>,
}

/// The headers of a recorded event: lower-case names and the values as bytes, in the order they came.
///
/// Kept in the journal's own form, a sequence of `u16` name length, name, `u32` value length, value (little endian),
/// and walked when someone looks.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Headers(Bytes);

impl Headers {
    /// Takes over the journal's form. What does not parse ends the walk early.
    #[must_use]
    pub fn from_wire(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The journal's form.
    #[must_use]
    pub fn as_wire(&self) -> &Bytes {
        &self.0
    }

    /// Adds one header in the journal's form to `out`.
    ///
    /// # Panics
    /// When a name is over 64 KiB or a value over 4 GiB; the ingress' limit on headers is far below both.
    pub fn push_wire(out: &mut Vec<u8>, name: &str, value: &[u8]) {
        out.extend_from_slice(&u16::try_from(name.len()).expect("header name below 64 KiB").to_le_bytes());
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(&u32::try_from(value.len()).expect("header value below 4 GiB").to_le_bytes());
        out.extend_from_slice(value);
    }

    /// Every header in order. A name may come more than once.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let mut rest: &[u8] = &self.0;
        std::iter::from_fn(move || {
            let (name, after) = split_prefixed::<2>(rest)?;
            let (value, after) = split_prefixed::<4>(after)?;
            rest = after;
            Some((std::str::from_utf8(name).ok()?, value))
        })
    }

    /// The first value of a header, by its lower-case name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(n, _)| *n == name).map(|(_, value)| value)
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(n, v)| (n, String::from_utf8_lossy(v)))).finish()
    }
}

/// Splits a length of `N` bytes, little endian, and that many bytes from the front.
fn split_prefixed<const N: usize>(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_at_checked(N)?;
    let mut wide = [0; 8];
    wide[..N].copy_from_slice(length);
    rest.split_at_checked(usize::try_from(u64::from_le_bytes(wide)).ok()?)
}

/// A request that was accepted, as the journal gives it back.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its place in the journal.
    pub seq: Seq,
    /// Its name outside.
    pub id: EventId,
    /// When it was received.
    pub time: Millis,
    /// The topic it came in on.
    pub topic: Text,
    /// The provider's kind of event, such as `push`.
    pub kind: Option<Text>,
    /// The provider's own id of the delivery.
    pub delivery_id: Option<Text>,
    /// The headers that are kept.
    pub headers: Headers,
    /// The exact bytes that were signed.
    pub body: Bytes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_walk_back() {
        let mut wire = Vec::new();
        Headers::push_wire(&mut wire, "x-github-event", b"push");
        Headers::push_wire(&mut wire, "x-empty", b"");
        Headers::push_wire(&mut wire, "x-github-event", b"\xff");
        let headers = Headers::from_wire(wire.clone().into());
        let all: Vec<_> = headers.iter().collect();
        assert_eq!(all, [("x-github-event", &b"push"[..]), ("x-empty", b""), ("x-github-event", b"\xff")]);
        assert_eq!(headers.get("x-github-event"), Some(&b"push"[..]));
        assert_eq!(headers.get("absent"), None);
        for cut in 0..wire.len() {
            let torn = Headers::from_wire(wire[..cut].to_vec().into());
            assert!(torn.iter().count() < 3, "cut at {cut}");
        }
    }

    #[test]
    fn time_is_rfc_3339_with_milliseconds() {
        assert_eq!(Millis(1_795_420_800_123).to_string(), "2026-11-23T08:00:00.123Z");
        assert_eq!(Millis(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Millis::parse("2026-11-23T09:00:00.123456+01:00"), Some(Millis(1_795_420_800_123)));
        assert_eq!(Millis::parse("2026-11-23T09:00:00"), None, "nobody knows where");
    }
}
