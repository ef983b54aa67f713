//! The last refused requests, kept in memory so that somebody can find out why.
//!
//! - [`Rejections`], here: the ring; what is recorded while a request is refused is copied, bounded, and not looked at;
//! - `redact`: what of it may be shown; `findings`: what is wrong with it.
//!
//! The requests are kept as they came, with whatever secrets are in them, and leave memory only through `redact`.

pub(super) mod findings;
pub(super) mod redact;

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use uuid::Uuid;

use crate::event::{Headers, Incoming, Millis};

/// The bytes of all that is kept together.
const MAX_BYTES: usize = 16 << 20;

/// The longest path and query that are kept, in bytes.
const MAX_TARGET: usize = 4096;

/// What a request takes beside its bytes: the record itself and its place in the list.
const OVERHEAD: usize = size_of::<Rejected>() + 64;

/// What is configured of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// How many requests are kept; 0: none.
    pub requests: usize,
    /// How much of the body of each, in bytes; 0: nothing.
    pub bodies: usize,
}

/// A request at the moment it is refused.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) method: &'a Method,
    /// Path and query.
    pub(super) target: &'a str,
    pub(super) headers: &'a HeaderMap,
    /// Who is at the other end of the connection.
    pub(super) peer: Option<IpAddr>,
    /// Who sent it, seen past the trusted proxies.
    pub(super) client: Option<IpAddr>,
    /// The body, where it was read.
    pub(super) body: Option<&'a [u8]>,
}

impl<'a> Seen<'a> {
    /// One of which nothing but the head was read.
    pub(super) fn head<B>(request: &'a Request<B>, peer: Option<IpAddr>, client: Option<IpAddr>) -> Self {
        let target = request.uri().path_and_query().map_or("", http::uri::PathAndQuery::as_str);
        Self { method: request.method(), target, headers: request.headers(), peer, client, body: None }
    }

    /// One that was read whole.
    pub(super) fn whole(request: &'a Incoming, peer: Option<IpAddr>) -> Self {
        let Incoming { method, target, headers, body, client, .. } = request;
        Self { method, target, headers, peer, client: *client, body: Some(body) }
    }
}

/// Why it is refused.
#[derive(Debug)]
pub(super) struct Cause<'a> {
    /// The topic; empty where there is none of the name that was asked for.
    pub(super) topic: &'a str,
    /// The status of the answer.
    pub(super) status: u16,
    /// In a word.
    pub(super) label: &'static str,
    /// In words; holds no secret.
    pub(super) reason: Cow<'static, str>,
}

/// A refused request.
#[derive(Debug)]
pub(super) struct Rejected {
    pub(super) id: Uuid,
    /// Its place in the order they came in.
    pub(super) number: u64,
    pub(super) time: Millis,
    pub(super) topic: Box<str>,
    pub(super) status: u16,
    pub(super) label: &'static str,
    pub(super) reason: Cow<'static, str>,
    pub(super) method: Method,
    pub(super) target: Box<str>,
    pub(super) headers: Headers,
    pub(super) peer: Option<IpAddr>,
    pub(super) client: Option<IpAddr>,
    /// What was kept of the body.
    pub(super) body: Bytes,
    /// How long the body was, as far as that is known.
    pub(super) length: Option<u64>,
}

impl Rejected {
    /// Whether all of the body is there.
    pub(super) fn is_whole(&self) -> bool {
        self.length == Some(self.body.len() as u64)
    }

    fn bytes(&self) -> usize {
        OVERHEAD
            + self.topic.len()
            + self.target.len()
            + self.headers.as_wire().len()
            + self.body.len()
            + self.reason.len()
    }

    /// The request as its validator saw it.
    pub(super) fn request(&self) -> Incoming {
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers.iter() {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_bytes(value)) {
                headers.append(name, value);
            }
        }
        Incoming {
            method: self.method.clone(),
            target: self.target.to_string(),
            headers,
            body: self.body.clone(),
            time: self.time,
            client: self.client,
        }
    }
}

/// The ring. One for all threads.
///
/// Each topic has its share, and requests to no topic have one together: a flood of one kind pushes out its own, and leaves
/// the others where they are.
#[derive(Debug)]
pub(super) struct Rejections {
    requests: AtomicUsize,
    bodies: AtomicUsize,
    ring: Mutex<Ring>,
    /// One diagnosis at a time: it may take a processor for a second.
    pub(super) diagnosing: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug, Default)]
struct Ring {
    groups: HashMap<Box<str>, Group>,
    count: usize,
    bytes: usize,
    number: u64,
}

/// The requests to one topic, oldest first.
#[derive(Debug, Default)]
struct Group {
    list: VecDeque<Arc<Rejected>>,
    bytes: usize,
}

impl Rejections {
    pub(super) fn new(keep: Keep) -> Self {
        Self {
            requests: AtomicUsize::new(keep.requests),
            bodies: AtomicUsize::new(keep.bodies),
            ring: Mutex::default(),
            diagnosing: Arc::default(),
        }
    }

    /// Keeps so much from now on.
    pub(super) fn change(&self, keep: Keep) {
        self.requests.store(keep.requests, Ordering::Relaxed);
        self.bodies.store(keep.bodies, Ordering::Relaxed);
        let gone = self.ring().shrink(keep.requests);
        drop(gone);
    }

    /// Keeps a request. On the way of every refusal: what is long is done outside the lock.
    pub(super) fn record(&self, seen: &Seen<'_>, cause: Cause<'_>) {
        let keep = self.requests.load(Ordering::Relaxed);
        if keep == 0 {
            return;
        }
        let mut rejected = Box::new(copied(seen, cause, self.bodies.load(Ordering::Relaxed)));
        let gone = {
            let mut ring = self.ring();
            ring.number += 1;
            rejected.number = ring.number;
            ring.push(Arc::new(*rejected));
            ring.shrink(keep)
        };
        // Freed outside of the lock.
        drop(gone);
    }

    /// The newest first, of one topic or of all; `before`: only those with a lower number.
    pub(super) fn list(&self, topic: Option<&str>, before: u64, limit: usize) -> Vec<Arc<Rejected>> {
        let mut found: Vec<_> = {
            let ring = self.ring();
            let groups = ring.groups.iter().filter(|(name, _)| topic.is_none_or(|topic| topic == &***name));
            let earlier = |rejected: &&Arc<Rejected>| rejected.number < before;
            groups.flat_map(|(_, group)| group.list.iter().rev().filter(earlier).take(limit)).cloned().collect()
        };
        found.sort_unstable_by_key(|rejected| std::cmp::Reverse(rejected.number));
        found.truncate(limit);
        found
    }

    pub(super) fn find(&self, id: Uuid) -> Option<Arc<Rejected>> {
        let ring = self.ring();
        ring.groups.values().flat_map(|group| &group.list).find(|rejected| rejected.id == id).cloned()
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn push(&mut self, rejected: Arc<Rejected>) {
        let bytes = rejected.bytes();
        self.count += 1;
        self.bytes += bytes;
        let group = match self.groups.get_mut(&*rejected.topic) {
            Some(group) => group,
            None => self.groups.entry(rejected.topic.clone()).or_default(),
        };
        group.bytes += bytes;
        group.list.push_back(rejected);
    }

    /// Takes out the oldest of whoever has most, until what is left is within the bounds.
    fn shrink(&mut self, keep: usize) -> Vec<Arc<Rejected>> {
        let mut gone = Vec::new();
        loop {
            let most = if self.count > keep {
                self.groups.iter_mut().max_by_key(|(_, group)| group.list.len())
            } else if self.bytes > MAX_BYTES {
                self.groups.iter_mut().max_by_key(|(_, group)| group.bytes)
            } else {
                return gone;
            };
            let Some((name, group)) = most else { return gone };
            if let Some(oldest) = group.list.pop_front() {
                let bytes = oldest.bytes();
                group.bytes -= bytes;
                self.bytes -= bytes;
                self.count -= 1;
                gone.push(oldest);
            }
            if group.list.is_empty() {
                let name = name.clone();
                self.groups.remove(&name);
            }
        }
    }
}

/// What is kept of a request: copies, so that no buffer of a connection is held for the sake of a part of it.
fn copied(seen: &Seen<'_>, cause: Cause<'_>, bodies: usize) -> Rejected {
    let known = !cause.topic.is_empty();
    let mut wire = Vec::with_capacity(if known { 1024 } else { 128 });
    for (name, value) in seen.headers {
        // Who asks for what is not there tells little by the rest, and most of them are not senders at all.
        if known || *name == HOST || *name == USER_AGENT {
            Headers::push_wire(&mut wire, name.as_str(), value.as_bytes());
        }
    }
    let body = seen.body.unwrap_or_default();
    let said = seen.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let time = Millis::now();
    let mut end = seen.target.len().min(MAX_TARGET);
    while !seen.target.is_char_boundary(end) {
        end -= 1;
    }
    Rejected {
        id: id(time),
        number: 0,
        time,
        topic: cause.topic.into(),
        status: cause.status,
        label: cause.label,
        reason: cause.reason,
        method: seen.method.clone(),
        target: seen.target[..end].into(),
        headers: Headers::from_wire(wire.into()),
        peer: seen.peer,
        client: seen.client,
        body: Bytes::copy_from_slice(&body[..body.len().min(bodies)]),
        length: seen.body.map_or(said, |body| Some(body.len() as u64)),
    }
}

/// A UUID version 7 of that time.
fn id(time: Millis) -> Uuid {
    let seconds = u64::try_from(time.seconds()).unwrap_or_default();
    let nanos = u32::try_from(time.0.rem_euclid(1000) * 1_000_000).unwrap_or_default();
    Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuse(ring: &Rejections, topic: &str, target: &str, body: &[u8]) {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("h"));
        headers.insert("x-signature", HeaderValue::from_static("s"));
        let seen =
            Seen { method: &Method::POST, target, headers: &headers, peer: None, client: None, body: Some(body) };
        ring.record(&seen, Cause { topic, status: 403, label: "mismatch", reason: "no".into() });
    }

    fn targets(ring: &Rejections, topic: Option<&str>, limit: usize) -> Vec<String> {
        ring.list(topic, u64::MAX, limit).iter().map(|rejected| rejected.target.to_string()).collect()
    }

    #[test]
    fn the_last_are_kept_and_a_flood_pushes_out_its_own() {
        let ring = Rejections::new(Keep { requests: 4, bodies: 3 });
        refuse(&ring, "quiet", "/q", b"abc");
        for number in 0..1000 {
            refuse(&ring, "loud", &format!("/{number}"), b"abcd");
        }
        assert_eq!(targets(&ring, None, 10), ["/999", "/998", "/997", "/q"]);
        assert_eq!(targets(&ring, Some("quiet"), 10), ["/q"]);
        assert_eq!(targets(&ring, Some("other"), 10), [""; 0]);
        assert_eq!(targets(&ring, None, 2), ["/999", "/998"]);
        let earlier = ring.list(None, 1001, 2);
        assert_eq!(earlier.iter().map(|rejected| rejected.number).collect::<Vec<_>>(), [1000, 999]);
        let [loud, .., quiet] = &ring.list(None, u64::MAX, 10)[..] else { panic!("four are kept") };
        assert_eq!((&quiet.body[..], quiet.length, quiet.is_whole()), (&b"abc"[..], Some(3), true));
        assert_eq!((&loud.body[..], loud.length, loud.is_whole()), (&b"abc"[..], Some(4), false));
        assert_eq!(ring.find(quiet.id).map(|found| found.number), Some(1));
        assert_eq!(quiet.id.get_version_num(), 7);
        assert_eq!(quiet.request().headers.len(), 2);
        refuse(&ring, "", "/nowhere", b"");
        assert_eq!(ring.list(Some(""), u64::MAX, 1)[0].request().headers.len(), 1, "of no topic only the host is kept");
        ring.change(Keep { requests: 1, bodies: 0 });
        assert_eq!(ring.list(None, u64::MAX, 10).len(), 1);
        ring.change(Keep { requests: 0, bodies: 0 });
        refuse(&ring, "loud", "/after", b"x");
        assert!(ring.list(None, u64::MAX, 10).is_empty());
        assert_eq!(ring.ring().bytes, 0);
    }

    #[test]
    fn all_bodies_together_are_bounded() {
        let body = vec![b'x'; 1 << 20];
        let ring = Rejections::new(Keep { requests: 10_000, bodies: body.len() });
        refuse(&ring, "small", "/small", b"x");
        for _ in 0..100 {
            refuse(&ring, "large", "/large", &body);
        }
        let kept = ring.ring().bytes;
        assert!(kept <= MAX_BYTES && kept > MAX_BYTES / 2, "{kept}");
        assert_eq!(targets(&ring, Some("small"), 10), ["/small"]);
        refuse(&ring, "large", &"/é".repeat(MAX_TARGET), b"");
        assert!(ring.list(None, u64::MAX, 1)[0].target.len() <= MAX_TARGET);
    }

    #[test]
    fn many_at_once_are_all_counted() {
        let ring = Rejections::new(Keep { requests: 50, bodies: 16 });
        std::thread::scope(|scope| {
            for topic in ["a", "b", "c", "d"] {
                let ring = &ring;
                scope.spawn(move || (0..500).for_each(|_| refuse(ring, topic, "/", b"body")));
            }
        });
        let ring = ring.ring();
        assert_eq!((ring.number, ring.count), (2000, 50));
        let sums = ring.groups.values().flat_map(|group| &group.list).map(|rejected| rejected.bytes()).sum::<usize>();
        assert_eq!(ring.bytes, sums);
        assert!(ring.groups.values().all(|group| group.list.len() >= 12), "each has its share");
    }
}
