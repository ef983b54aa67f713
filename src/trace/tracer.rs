//! Makes spans, as many as may be, and puts them into a queue that something else empties. A full queue costs a span, never
//! time.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, StatusCode};
use prometheus_client::metrics::counter::Counter;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::context::{RANDOM, SAMPLED};
use super::span::{Kind, Span, Value};
use super::{Attempt, Context, TRACEPARENT, TRACESTATE, TraceParent, state};
use crate::event::{Event, unix_nanos};

/// Which spans are made.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// The share of requests without a trace of their own for which one is begun, 0 to 1.
    pub sample: f64,
    /// The most requests, and the most attempts, of which a span is made in a second.
    pub rate: u32,
}

/// Makes spans. Clones share the queue. The default makes none.
#[derive(Clone, Default)]
pub struct Tracer(Option<Arc<Inner>>);

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tracer")
    }
}

struct Inner {
    queue: mpsc::Sender<Span>,
    sample: f64,
    requests: Cap,
    attempts: Cap,
    /// Spans for which there was no room in the queue.
    dropped: Counter,
    /// Spans that were not made because there were too many.
    capped: Counter,
}

impl Tracer {
    /// Makes no spans.
    #[must_use]
    pub fn off() -> Self {
        Self(None)
    }

    /// Puts spans into a queue. `dropped` counts those for which it has no room, `capped` those that are too many.
    #[must_use]
    pub fn new(queue: mpsc::Sender<Span>, rules: Rules, dropped: Counter, capped: Counter) -> Self {
        let cap = || Cap { most: rules.rate, window: Mutex::new((Instant::now(), 0)) };
        let (requests, attempts) = (cap(), cap());
        Self(Some(Arc::new(Inner { queue, sample: rules.sample, requests, attempts, dropped, capped })))
    }

    /// A request begins. It is part of the trace that its headers name if the sender has recorded its part; without a valid
    /// context a trace is begun for some, by chance.
    #[must_use]
    pub fn request(&self, headers: &HeaderMap) -> Serving {
        Serving(self.0.as_ref().and_then(|inner| inner.serve(headers)).map(Box::new))
    }

    /// The span of an attempt that begins, if its event belongs to a trace that is recorded. It is not sent before
    /// [`Tracer::attempted`].
    #[must_use]
    pub fn attempt(&self, event: &Event) -> Option<TraceParent> {
        let inner = self.0.as_ref()?;
        let context = Context::of(&event.headers)?;
        let wanted = context.parent.is_sampled() && inner.has_room(&inner.attempts);
        wanted.then(|| TraceParent { span: new_span(), ..context.parent })
    }

    /// An attempt has ended, after so long.
    pub fn attempted(&self, attempt: &Attempt<'_>, took: Duration) {
        let (Some(inner), Some(own)) = (&self.0, attempt.span) else { return };
        let Some(context) = Context::of(&attempt.event.headers) else { return };
        let end = unix_nanos();
        let mut attributes = vec![
            ("forebay.subscriber", Value::Text(attempt.subscriber.to_owned())),
            ("forebay.topic", Value::Text(attempt.event.topic.to_string())),
            ("forebay.event.id", Value::Text(attempt.event.id.to_string())),
            ("forebay.attempt", Value::Number(attempt.number.into())),
            ("forebay.outcome", Value::Text(attempt.outcome.to_owned())),
        ];
        attributes.extend(attempt.status.map(|status| (STATUS, Value::Number(status.into()))));
        attributes.extend(attempt.refused.map(|(label, _)| ("error.type", Value::Text(label.to_owned()))));
        inner.send(Span {
            trace: own.trace,
            id: own.span,
            parent: Some(context.parent.span),
            flags: own.flags,
            state: context.state.unwrap_or_default().into_owned(),
            name: format!("deliver {}", attempt.subscriber),
            kind: Kind::Client,
            start: end.saturating_sub(nanos(took)),
            end,
            attributes,
            error: attempt.refused.map(|(_, reason)| reason.to_owned()),
        });
    }
}

const STATUS: &str = "http.response.status_code";

impl Inner {
    fn serve(self: &Arc<Self>, headers: &HeaderMap) -> Option<Open> {
        let mut parents = headers.get_all(TRACEPARENT).iter();
        let parent = match (parents.next(), parents.next()) {
            (Some(only), None) => TraceParent::parse(only.as_bytes()),
            _ => None,
        };
        let own = match parent {
            Some(parent) => parent.is_sampled().then(|| TraceParent { span: new_span(), ..parent })?,
            None => self.begin()?,
        };
        if !self.has_room(&self.requests) {
            return None;
        }
        let states = headers.get_all(TRACESTATE).iter().map(http::HeaderValue::as_bytes);
        let state = parent.and_then(|_| state::join(states)).unwrap_or_default().into_owned();
        let (tracer, parent) = (Arc::clone(self), parent.map(|parent| parent.span));
        Some(Open { tracer, own, parent, state, start: unix_nanos(), began: Instant::now(), bytes: None })
    }

    /// A trace of our own, for as many as configured.
    fn begin(&self) -> Option<TraceParent> {
        let trace = Uuid::new_v4();
        // The last 56 bits are random, which is what the flag says of them.
        let chance = trace.as_u64_pair().1 & ((1 << 56) - 1);
        #[expect(clippy::cast_precision_loss, reason = "a chance need not be exact")]
        let wanted = (chance as f64) < self.sample * (1_u64 << 56) as f64;
        wanted.then(|| TraceParent { trace: trace.into_bytes(), span: new_span(), flags: SAMPLED | RANDOM })
    }

    fn has_room(&self, cap: &Cap) -> bool {
        let room = cap.room(Instant::now());
        if !room {
            self.capped.inc();
        }
        room
    }

    fn send(&self, span: Span) {
        if self.queue.try_send(span).is_err() {
            self.dropped.inc();
        }
    }
}

/// A span's id: never zero, for bits of it say that it is random.
fn new_span() -> [u8; 8] {
    Uuid::new_v4().as_u64_pair().1.to_be_bytes()
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// So many in a second and no more, whatever senders ask for.
struct Cap {
    most: u32,
    window: Mutex<(Instant, u32)>,
}

impl Cap {
    fn room(&self, now: Instant) -> bool {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(window.0) >= Duration::from_secs(1) {
            *window = (now, 0);
        }
        let room = window.1 < self.most;
        window.1 += u32::from(room);
        room
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub struct Serving(Option<Box<Open>>);

struct Open {
    tracer: Arc<Inner>,
    own: TraceParent,
    parent: Option<[u8; 8]>,
    state: String,
    start: u64,
    began: Instant,
    bytes: Option<usize>,
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.own.fmt(f)
    }
}

impl Serving {
    /// Notes the length of the body.
    pub fn body(&mut self, bytes: usize) {
        if let Some(open) = &mut self.0 {
            open.bytes = Some(bytes);
        }
    }

    /// Whether a header of the request is replaced by [`Serving::context`], or belongs to what is replaced.
    #[must_use]
    pub fn replaces(&self, name: &HeaderName) -> bool {
        self.0.as_ref().is_some_and(|open| name == TRACEPARENT || name == TRACESTATE && open.parent.is_none())
    }

    /// What is stored as the context of the event in place of what came with it: deliveries are part of this request.
    #[must_use]
    pub fn context(&self) -> Option<TraceParent> {
        self.0.as_ref().map(|open| open.own)
    }

    /// The request is answered. `prefix` and `topic` are its path, `answer` the headers of the answer.
    pub fn end(self, prefix: &str, topic: &str, status: StatusCode, answer: &HeaderMap) {
        let Some(open) = self.0 else { return };
        let route = format!("{prefix}{topic}");
        let mut attributes = vec![
            ("http.request.method", Value::Text("POST".to_owned())),
            ("http.route", Value::Text(route.clone())),
            (STATUS, Value::Number(status.as_u16().into())),
            ("forebay.topic", Value::Text(topic.to_owned())),
        ];
        let bytes = open.bytes.and_then(|bytes| i64::try_from(bytes).ok());
        attributes.extend(bytes.map(|bytes| ("http.request.body.size", Value::Number(bytes))));
        if let Some(id) = answer.get("forebay-event-id").and_then(|id| id.to_str().ok()) {
            attributes.push(("forebay.event.id", Value::Text(id.to_owned())));
            attributes.push(("forebay.duplicate", Value::Truth(answer.contains_key("forebay-duplicate"))));
        }
        // By the conventions of OpenTelemetry only a 5xx is the server's failure.
        let error = status.is_server_error().then(|| status.to_string());
        open.tracer.send(Span {
            trace: open.own.trace,
            id: open.own.span,
            parent: open.parent,
            flags: open.own.flags,
            state: open.state,
            name: format!("POST {route}"),
            kind: Kind::Server,
            start: open.start,
            end: open.start + nanos(open.began.elapsed()),
            attributes,
            error,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracer(rules: Rules, room: usize) -> (Tracer, mpsc::Receiver<Span>, [Counter; 2]) {
        let (queue, spans) = mpsc::channel(room);
        let counters = [Counter::default(), Counter::default()];
        let [dropped, capped] = counters.clone();
        (Tracer::new(queue, rules, dropped, capped), spans, counters)
    }

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut all = HeaderMap::new();
        for (name, value) in list {
            all.append(*name, value.parse().expect("a value"));
        }
        all
    }

    const SENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const NOT_SENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

    #[test]
    fn which_requests_are_traced() {
        // (sample, headers, whether there is a span, whether it has a parent, its state)
        type Case<'a> = (f64, &'a [(&'static str, &'static str)], bool, bool, &'a str);
        let state = (TRACESTATE, "rojo=1");
        let cases: [Case; 8] = [
            (0.0, &[(TRACEPARENT, SENT), state], true, true, "rojo=1"),
            (1.0, &[(TRACEPARENT, NOT_SENT), state], false, false, ""),
            (1.0, &[], true, false, ""),
            (0.0, &[], false, false, ""),
            (1.0, &[(TRACEPARENT, "nonsense"), state], true, false, ""),
            (0.0, &[(TRACEPARENT, "nonsense")], false, false, ""),
            (1.0, &[(TRACEPARENT, SENT), (TRACEPARENT, NOT_SENT), state], true, false, ""),
            (1.0, &[state], true, false, ""),
        ];
        for (sample, list, traced, has_parent, state) in cases {
            let (tracer, mut spans, _) = tracer(Rules { sample, rate: 10 }, 10);
            let serving = tracer.request(&headers(list));
            assert_eq!(serving.context().is_some(), traced, "{list:?}");
            let name = HeaderName::from_static(TRACESTATE);
            assert_eq!(
                serving.replaces(&name),
                traced && !has_parent,
                "a state without its parent is not kept: {list:?}"
            );
            let context = serving.context();
            serving.end("/", "t", StatusCode::ACCEPTED, &HeaderMap::new());
            let span = spans.try_recv().ok();
            assert_eq!(span.is_some(), traced);
            let Some((span, context)) = span.zip(context) else { continue };
            assert_eq!((span.trace, span.id, span.flags), (context.trace, context.span, context.flags));
            assert_eq!((span.parent.is_some(), span.state.as_str()), (has_parent, state), "{list:?}");
            assert!(context.is_sampled() && context.span != [0; 8]);
            let inherited = TraceParent::parse(SENT.as_bytes()).expect("valid");
            assert_eq!((span.trace == inherited.trace, span.parent == Some(inherited.span)), (has_parent, has_parent));
        }
        let off = Tracer::default();
        assert!(off.request(&headers(&[(TRACEPARENT, SENT)])).context().is_none());
    }

    #[test]
    fn a_share_of_what_begins_here() {
        let (tracer, _spans, _) = tracer(Rules { sample: 0.25, rate: u32::MAX }, 1);
        let traced = (0..4000).filter(|_| tracer.request(&HeaderMap::new()).context().is_some()).count();
        assert!((800..1200).contains(&traced), "{traced} of 4000 is no quarter");
    }

    #[test]
    fn what_is_too_much_is_counted() {
        let (tracer, _spans, [dropped, capped]) = tracer(Rules { sample: 1.0, rate: 5 }, 2);
        let sent = headers(&[(TRACEPARENT, SENT)]);
        for _ in 0..20 {
            tracer.request(&sent).end("/", "t", StatusCode::ACCEPTED, &HeaderMap::new());
        }
        let made = 20 - capped.get();
        // A second may have begun in between.
        assert!(made >= 5 && made % 5 == 0 && dropped.get() == made - 2, "{made} made, {} dropped", dropped.get());
        let (cap, start) = (Cap { most: 1, window: Mutex::new((Instant::now(), 0)) }, Instant::now());
        let second = start + Duration::from_secs(1);
        let asked = [start, start, second, second].map(|now| cap.room(now));
        assert_eq!(asked, [true, false, true, false]);
    }
}
