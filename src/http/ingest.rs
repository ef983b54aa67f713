//! One request on a topic, from its head to its answer: limits, body, validator, record, 202.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, Method, Request};
use hyper::body::Incoming as Body;
use prometheus_client::metrics::gauge::Gauge;

use super::body::{self, Budget};
use super::client;
use super::matches::Matches;
use super::quiet::Quiet;
use super::rejections::{Cause, Keep, Rejections, Seen};
use super::reply::{self, Answer, Refusal};
use super::server::{GRACE, Service};
use super::site::{Door, Site, keep_headers};
use crate::event::{Incoming, Millis};
use crate::journal::{Draft, Journal, Lane, Record, Refused};
use crate::metrics::{Metrics, TopicMetrics};
use crate::topic::Topic;
use crate::trace::Serving;
use crate::validate::{Verdict, Verified};

/// What the ingress works with. One for all threads.
#[derive(Debug)]
pub struct Ingest {
    site: ArcSwap<Site>,
    unknown: TopicMetrics,
    journal: Journal,
    budget: Budget,
    /// When the stop began.
    draining: OnceLock<Instant>,
    quiet: Quiet,
    connections: Gauge,
    rejections: Rejections,
    matches: Arc<Matches>,
}

/// What goes with a request through its stages.
struct Way<'r> {
    peer: Option<IpAddr>,
    /// Who sent it, seen past the trusted proxies.
    client: Option<IpAddr>,
    lane: &'r Lane,
    serving: Serving,
}

impl Ingest {
    /// Puts the ingress together.
    #[must_use]
    pub fn new(
        settings: &super::Ingress,
        topics: Vec<Topic>,
        journal: Journal,
        metrics: &Metrics,
        (keep, matches): (Keep, Arc<Matches>),
    ) -> Self {
        Self {
            site: ArcSwap::from_pointee(Site::new(settings, topics, metrics, &matches)),
            unknown: metrics.topic(""),
            journal,
            budget: Budget::new(settings.max_body_memory, metrics.body_memory.clone()),
            draining: OnceLock::new(),
            quiet: Quiet::default(),
            connections: metrics.connections.clone(),
            rejections: Rejections::new(keep),
            matches,
        }
    }

    /// Puts other settings and topics in force. Requests that were under way end by the old ones.
    pub fn change(&self, settings: &super::Ingress, topics: Vec<Topic>, metrics: &Metrics, keep: Keep) {
        self.budget.set_limit(settings.max_body_memory);
        self.rejections.change(keep);
        let site = Site::new(settings, topics, metrics, &self.matches);
        for (name, before) in &self.site.load().topics {
            if let Some(door) = site.topics.get(name) {
                door.last.store(before.last.load(Ordering::Relaxed), Ordering::Relaxed);
            }
        }
        self.site.store(Arc::new(site));
    }

    /// The settings and topics in force.
    pub(super) fn site(&self) -> Arc<Site> {
        self.site.load_full()
    }

    /// The last refused requests.
    pub(super) fn rejections(&self) -> &Rejections {
        &self.rejections
    }

    /// When each secret last matched.
    pub fn matches(&self) -> &Arc<Matches> {
        &self.matches
    }

    /// The stop begins. New requests are answered 503, after a moment for those that were on their way.
    pub fn drain(&self) {
        let _ = self.draining.set(Instant::now());
    }

    /// Whether nothing new is taken: the stop has begun a moment ago, or the journal takes no events.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.draining.get().is_some_and(|since| since.elapsed() > GRACE) || !self.journal.is_writable()
    }

    /// The door of the bus, which shares the memory for bodies.
    #[must_use]
    pub fn bus_door(
        &self,
        bus: super::bus::Settings,
        settings: &super::Ingress,
        topics: BTreeSet<String>,
        parts: super::bus::Parts,
    ) -> super::bus::BusDoor {
        super::bus::BusDoor::new(bus, settings, topics, parts, self.budget.clone())
    }

    /// Whether the stop has begun.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.get().is_some()
    }

    /// When the last event of a topic was recorded, since the topic was configured.
    #[must_use]
    pub fn last_event(&self, topic: &str) -> Option<Millis> {
        let site = self.site.load();
        let last = site.topics.get(topic)?.last.load(Ordering::Relaxed);
        (last > 0).then_some(Millis(last))
    }

    /// The journal behind it.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Answers one request. `peer`: who is at the other end of the connection; none on a unix socket.
    pub async fn take(&self, request: Request<Body>, peer: Option<IpAddr>, lane: &Lane) -> Answer {
        let began = Instant::now();
        let site = self.site.load_full();
        let client = client::address(request.headers(), peer, &site.trusted_proxies);
        let seen = Seen::head(&request, peer, client);
        let Some(name) = request.uri().path().strip_prefix(site.prefix.as_str()) else {
            return self.turn_away(None, began, &seen, Refusal::UnknownPath);
        };
        let Some(door) = site.topics.get(name) else {
            return self.turn_away(None, began, &seen, Refusal::UnknownTopic);
        };
        if request.method() != Method::POST {
            if request.method() == Method::GET
                && let Some(reply) = door.topic.validator.challenge(request.uri().query().unwrap_or_default())
            {
                door.metrics.answered(reply.status, began.elapsed());
                return reply::handshake(reply);
            }
            return self.turn_away(Some(door), began, &seen, Refusal::Method);
        }
        let mut way = Way { peer, client, lane, serving: door.metrics.tracer.request(request.headers()) };
        let answer = match self.before_the_body(door, &seen) {
            Err(refusal) => refusal.answer(has_body(request.headers())),
            Ok(length) => self.with_body(door, site.body_timeout, request, length, &mut way).await,
        };
        door.metrics.answered(answer.status().as_u16(), began.elapsed());
        way.serving.end(&site.prefix, door.topic.name.as_str(), answer.status(), answer.headers());
        answer
    }

    /// Ends a request that is for no topic, or is no event.
    fn turn_away(&self, door: Option<&Door>, began: Instant, seen: &Seen<'_>, refusal: Refusal) -> Answer {
        let (label, reason) = match refusal {
            Refusal::UnknownPath => ("unknown_path", "there is nothing at this path"),
            Refusal::UnknownTopic => ("unknown_topic", "there is no such topic"),
            _ => ("method", "the method is not POST"),
        };
        let topic = door.map_or("", |door| door.topic.name.as_str());
        let cause = Cause { topic, status: refusal.status().as_u16(), label, reason: reason.into() };
        self.rejections.record(seen, cause);
        let metrics = door.map_or(&self.unknown, |door| &door.metrics);
        metrics.answered(refusal.status().as_u16(), began.elapsed());
        refusal.answer(has_body(seen.headers))
    }

    /// What can be refused without the body, and the length it says it has.
    fn before_the_body(&self, door: &Door, seen: &Seen<'_>) -> Result<Option<u64>, Refusal> {
        let (topic, headers) = (&door.topic, seen.headers);
        if self.is_closed() {
            return Err(Refusal::NoRoom);
        }
        if !topic.client_allowed(seen.client) {
            return Err(self.report(
                door,
                seen,
                forbidden(topic),
                "address",
                "the client's address is not in `allow_from`",
            ));
        }
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let identity = |value: &str| value.trim().is_empty() || value.trim().eq_ignore_ascii_case("identity");
        let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
        if !encodings.all(|value| value.to_str().is_ok_and(identity)) {
            return Err(self.report(door, seen, Refusal::MediaType, "encoding", "the body has a content encoding"));
        }
        if !topic.accepts(text(&CONTENT_TYPE)) {
            return Err(self.report(door, seen, Refusal::MediaType, "media_type", "the media type is not accepted"));
        }
        // hyper has refused a length that is no number, or several that differ.
        let length = text(&CONTENT_LENGTH).and_then(|length| length.parse().ok());
        // It takes whatever ends in `chunked`; of a body in another coding beneath (RFC 9112 section 6.1) nothing is known.
        if length.is_none() && !is_plainly_chunked(headers) {
            return Err(self.report(
                door,
                seen,
                Refusal::MediaType,
                "encoding",
                "the body has a transfer coding other than `chunked`",
            ));
        }
        if length.is_some_and(|length| length > topic.max_body) {
            return Err(self.report(door, seen, Refusal::TooLarge, "too_large", "the body is over `max_body`"));
        }
        Ok(length)
    }

    async fn with_body(
        &self,
        door: &Door,
        body_timeout: Duration,
        request: Request<Body>,
        length: Option<u64>,
        way: &mut Way<'_>,
    ) -> Answer {
        let (peer, client) = (way.peer, way.client);
        let (head, body) = request.into_parts();
        let read = body::read(body, length, door.topic.max_body, body_timeout, &self.budget).await;
        let (body, _reserved) = match read {
            Ok(read) => read,
            Err(refusal) => {
                let target = head.uri.path_and_query().map_or("", http::uri::PathAndQuery::as_str);
                let seen = Seen { method: &head.method, target, headers: &head.headers, peer, client, body: None };
                let reason = "the body did not come whole, in time and within the limits";
                return self.report(door, &seen, refusal, "body", reason).answer(true);
            }
        };
        way.serving.body(body.len());
        let target = head.uri.path_and_query().map_or_else(String::new, ToString::to_string);
        let now = Millis::now();
        let incoming = Incoming { method: head.method, target, headers: head.headers, body, time: now, client };
        match door.topic.validator.check(incoming, now) {
            Verdict::Handshake(reply) => reply::handshake(reply),
            Verdict::Refused(rejection, incoming) => {
                door.metrics.verdict("", rejection.label).inc();
                let (seen, refusal) = (Seen::whole(&incoming, peer), forbidden(&door.topic));
                self.report(door, &seen, refusal, rejection.label, rejection.reason).answer(false)
            }
            Verdict::Genuine(verified) => match self.record(door, &verified, way).await {
                Ok(answer) => answer,
                Err(refusal) => {
                    let reason = match refusal {
                        Refusal::MalformedBody => "the body is not well-formed JSON",
                        _ => "the journal takes no events at the moment",
                    };
                    let seen = Seen::whole(verified.incoming(), peer);
                    self.report(door, &seen, refusal, "not_recorded", reason).answer(false)
                }
            },
        }
    }

    /// From a genuine request to an event on stable storage.
    async fn record(&self, door: &Door, verified: &Verified, way: &Way<'_>) -> Result<Answer, Refusal> {
        let topic = &door.topic;
        let key = verified.key().unwrap_or_default();
        let (usual, counter) = door.usual.get_or_init(|| (key.to_owned(), door.metrics.verdict(key, "ok")));
        if usual == key {
            counter.inc();
        } else {
            door.metrics.verdict(key, "ok").inc();
        }
        let incoming = verified.incoming();
        let used = verified.key().and_then(|key| door.uses.iter().find(|(_, id)| id == key));
        if let Some((used, _)) = used {
            used.note(incoming.time);
        }
        let (kind, delivery_id) = door.facts(incoming)?;
        let key = match (&topic.dedupe, &delivery_id) {
            (Some(_), Some(id)) => self.journal.dedupe_key(topic.name.as_str(), id, &incoming.body),
            _ => [0; 16],
        };
        let draft = Draft {
            request: verified,
            topic: topic.name.as_str(),
            kind: kind.as_deref(),
            delivery_id: delivery_id.as_deref(),
            key,
        };
        let record = Record::new(draft, |out| keep_headers(out, &incoming.headers, topic, &way.serving))
            .map_err(|crate::journal::TooLarge| Refusal::TooLarge)?;
        let dedupe = topic.dedupe.filter(|_| delivery_id.is_some());
        let appended = self.journal.queue(record, dedupe).map_err(|refused| match refused {
            Refused::NoSpace | Refused::QueueFull | Refused::Closed => Refusal::NoRoom,
        })?;
        way.lane.recorded(self.journal.commit(), appended.ticket).await.map_err(|_| Refusal::NoRoom)?;
        if appended.duplicate {
            door.metrics.duplicates.inc();
        } else {
            door.metrics.events.inc();
            door.last.store(incoming.time.0, Ordering::Relaxed);
        }
        Ok(reply::accepted(appended.id, appended.duplicate))
    }

    /// Tells the log, and who asks later, the true reason, which the sender is not told. Gives the refusal back.
    fn report(
        &self,
        door: &Door,
        seen: &Seen<'_>,
        refusal: Refusal,
        label: &'static str,
        reason: impl Into<Cow<'static, str>>,
    ) -> Refusal {
        let reason = reason.into();
        let topic = door.topic.name.as_str();
        if let Some(suppressed) = self.quiet.may_speak(topic, label) {
            let client = seen.client.map(|address| address.to_string()).unwrap_or_default();
            tracing::warn!(topic = %topic, client, label, reason = &*reason, suppressed, "refused a request");
        }
        self.rejections.record(seen, Cause { topic, status: refusal.status().as_u16(), label, reason });
        refusal
    }
}

/// What a thread of the ingress has of its own: its lane to the journal, and the task that drives it.
#[derive(Debug)]
pub struct ThreadLane(pub(super) Arc<Lane>);

impl Service for Ingest {
    type Local = ThreadLane;

    fn local(&self) -> ThreadLane {
        let lane = self.journal.commit().lane();
        let (driven, journal) = (Arc::clone(&lane), self.journal.clone());
        tokio::spawn(async move { driven.drive(&journal).await });
        ThreadLane(lane)
    }

    async fn answer(&self, local: &ThreadLane, request: Request<Body>, peer: Option<IpAddr>) -> Answer {
        self.take(request, peer, &local.0).await
    }

    fn connections(&self, change: i64) {
        self.connections.inc_by(change);
    }

    fn unreadable(&self, status: u16) {
        self.unknown.answered(status, Duration::ZERO);
    }
}

fn forbidden(topic: &Topic) -> Refusal {
    if topic.validator.is_token() { Refusal::InvalidToken } else { Refusal::InvalidSignature }
}

/// Whether there is, or may be, a body that an early answer leaves unread.
fn has_body(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_LENGTH)
        .map_or_else(|| headers.contains_key(TRANSFER_ENCODING), |length| length.as_bytes() != b"0")
}

/// Whether a request without a length has no body, or one in chunks and nothing else.
fn is_plainly_chunked(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    codings.next().is_none_or(|only| only.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"))
        && codings.next().is_none()
}
