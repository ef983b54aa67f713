//! The counters by name. Labels come from the configuration, never from a request. `docs/observability.md` says what each
//! of them means and which of them add up to which.

mod process;
mod subscribers;

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

pub use subscribers::{SubscriberMetrics, Subscribers};

use crate::event::Millis;
use crate::trace::Tracer;

type Decimal = Gauge<f64, std::sync::atomic::AtomicU64>;

/// Labels of [`Metrics::requests`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    topic: String,
    code: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfTopic {
    topic: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Verification {
    topic: String,
    secret: String,
    result: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfSecret {
    topic: String,
    secret: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reload {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfSpans {
    result: &'static str,
}

/// What became of spans.
#[derive(Debug, Clone)]
pub struct SpanMetrics {
    /// The collector took them.
    pub sent: Counter,
    /// The collector did not want them.
    pub refused: Counter,
    /// There was no room for them, or the collector could not be reached for long.
    pub dropped: Counter,
    /// Not made, because there were too many in a second.
    pub capped: Counter,
}

/// From a quarter of a millisecond to half a minute.
#[derive(Clone)]
struct Seconds;

impl MetricConstructor<Histogram> for Seconds {
    fn new_metric(&self) -> Histogram {
        Histogram::new(exponential_buckets(0.000_25, 2.0, 18))
    }
}

type Histograms<L> = Family<L, Histogram, Seconds>;

/// Every metric there is.
pub struct Metrics {
    registry: Mutex<Registry>,
    /// What every program shows of itself, under names without a prefix.
    process: Registry,
    requests: Family<Request, Counter>,
    request_seconds: Histograms<OfTopic>,
    verified: Family<Verification, Counter>,
    events: Family<OfTopic, Counter>,
    duplicates: Family<OfTopic, Counter>,
    /// What is counted of subscribers.
    pub subscribers: Subscribers,
    reloads: Family<Reload, Counter>,
    spans: Family<OfSpans, Counter>,
    tracer: Tracer,
    secrets: Family<OfSecret, Decimal>,
    /// Whether events are taken: 1 or 0, as `/readyz` says.
    pub ready: Gauge,
    /// Bytes of the journal.
    pub journal_bytes: Gauge,
    /// Free bytes on its disk.
    pub journal_free: Gauge,
    /// Recorded events lost to damage.
    pub journal_damaged: Gauge,
    /// Open connections on the ingress.
    pub connections: Gauge,
    /// Bytes reserved for bodies in flight.
    pub body_memory: Gauge,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

/// The counters of one topic, looked up once.
#[derive(Debug, Clone)]
pub struct TopicMetrics {
    name: String,
    requests: Family<Request, Counter>,
    verified: Family<Verification, Counter>,
    /// Makes spans of requests.
    pub tracer: Tracer,
    /// The most frequent answer, without a look-up.
    accepted: Counter,
    seconds: Histogram,
    /// Events recorded.
    pub events: Counter,
    /// Deliveries seen before.
    pub duplicates: Counter,
}

impl TopicMetrics {
    /// Counts one answer, and how long it took.
    pub fn answered(&self, code: u16, took: Duration) {
        if code == 202 {
            self.accepted.inc();
        } else {
            self.requests.get_or_create(&Request { topic: self.name.clone(), code }).inc();
        }
        self.seconds.observe(took.as_secs_f64());
    }

    /// How many requests were answered with each status so far.
    #[must_use]
    pub fn answers(&self) -> std::collections::BTreeMap<u16, u64> {
        let count = |code: u16| {
            let counter = self.requests.get(&Request { topic: self.name.clone(), code })?;
            Some((code, counter.get())).filter(|(_, count)| *count > 0)
        };
        (200..600).filter_map(count).collect()
    }

    /// The counter of one secret's verdicts; `result` is `ok` or the label of a rejection.
    pub fn verdict(&self, secret: &str, result: &str) -> Counter {
        let labels = Verification { topic: self.name.clone(), secret: secret.to_owned(), result: result.to_owned() };
        self.verified.get_or_create(&labels).clone()
    }
}

/// What is counted of the bus.
#[derive(Debug, Clone, Default)]
pub struct BusMetrics {
    /// Events published and recorded.
    pub published: Counter,
    /// Events published that nobody was left to be notified of.
    pub dropped: Counter,
    /// Events handed to readers.
    pub read: Counter,
    /// Calls without good credentials.
    pub refused: Counter,
    /// Subscriptions there are.
    pub subscriptions: Gauge,
    /// Readers that wait for news.
    pub waiting: Gauge,
}

impl BusMetrics {
    fn register(&self, registry: &mut Registry) {
        registry.register("bus_published", "bus events recorded", self.published.clone());
        registry.register("bus_dropped", "bus events nobody was left to be notified of", self.dropped.clone());
        registry.register("bus_read", "events handed to readers of the bus", self.read.clone());
        registry.register("bus_unauthorized", "bus calls without good credentials", self.refused.clone());
        registry.register("bus_subscriptions", "subscriptions of the bus", self.subscriptions.clone());
        registry.register("bus_waiting_readers", "readers of the bus that wait", self.waiting.clone());
    }
}

impl Metrics {
    /// Shows what is counted of the bus, where there is one.
    #[must_use]
    pub fn with_bus(&self) -> BusMetrics {
        let bus = BusMetrics::default();
        bus.register(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner));
        bus
    }

    /// All metrics at zero. `commit`: the journal's histograms of seconds and events in a batch.
    #[must_use]
    pub fn new(commit_seconds: &Histogram, commit_events: &Histogram, sync: &str) -> Self {
        let mut registry = Registry::with_prefix("forebay");
        let metrics = Self {
            registry: Mutex::default(),
            process: process::registry(),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(Seconds),
            verified: Family::default(),
            events: Family::default(),
            duplicates: Family::default(),
            subscribers: Subscribers::new(),
            reloads: Family::default(),
            spans: Family::default(),
            tracer: Tracer::off(),
            secrets: Family::default(),
            ready: Gauge::default(),
            journal_bytes: Gauge::default(),
            journal_free: Gauge::default(),
            journal_damaged: Gauge::default(),
            connections: Gauge::default(),
            body_memory: Gauge::default(),
        };
        let build = [("version", env!("CARGO_PKG_VERSION").to_owned()), ("sync", sync.to_owned())];
        // The exposition format adds `_total` to counters, `_info` to an info and the unit to what has one.
        registry.register("build", "the program and how it keeps its promise", Info::new(build.to_vec()));
        registry.register("ready", "whether events are taken", metrics.ready.clone());
        metrics.register_ingress(&mut registry);
        metrics.subscribers.register(&mut registry);
        registry.register("config_reloads", "reloads of the configuration by result", metrics.reloads.clone());
        registry.register("otlp_spans", "spans by what became of them", metrics.spans.clone());
        let (seconds, bytes) = (|| Unit::Seconds, || Unit::Bytes);
        let (of_disk, of_files) = (&metrics.journal_free, &metrics.journal_bytes);
        registry.register_with_unit("journal_commit", "write and sync of a batch", seconds(), commit_seconds.clone());
        registry.register("journal_commit_events", "events in a batch", commit_events.clone());
        registry.register_with_unit("journal", "size of the journal's segments", bytes(), of_files.clone());
        registry.register_with_unit("journal_free", "free space on the journal's disk", bytes(), of_disk.clone());
        let damaged = metrics.journal_damaged.clone();
        registry.register("journal_damaged_events", "recorded events found damaged since the start", damaged);
        for result in ["ok", "failed"] {
            // A rate needs a beginning.
            let _ = metrics.reloads.get_or_create(&Reload { result });
        }
        Self { registry: Mutex::new(registry), ..metrics }
    }

    fn register_ingress(&self, registry: &mut Registry) {
        registry.register("requests", "requests on the ingress by answer", self.requests.clone());
        let seconds = self.request_seconds.clone();
        registry.register_with_unit("request_duration", "from head to answer", Unit::Seconds, seconds);
        registry.register("verified", "verdicts of validators by secret", self.verified.clone());
        registry.register("events", "events recorded", self.events.clone());
        registry.register("duplicates", "deliveries seen before, not recorded again", self.duplicates.clone());
        let (help, expiry) = ("when a secret ends to be valid, in Unix time", self.secrets.clone());
        registry.register_with_unit("secret_expiry_timestamp", help, Unit::Seconds, expiry);
        registry.register("ingress_connections", "open connections on the ingress", self.connections.clone());
        let reserved = self.body_memory.clone();
        registry.register_with_unit("ingress_body", "memory reserved for bodies in flight", Unit::Bytes, reserved);
    }

    /// Shows when the secrets of topics end to be valid, in place of what was shown before. One without an end is shown as
    /// infinity, so that the latest of a topic is the end of what the topic takes.
    pub fn secrets<'a>(&self, secrets: impl Iterator<Item = (&'a str, &'a str, Option<Millis>)>) {
        self.secrets.clear();
        for (topic, secret, not_after) in secrets {
            let of = OfSecret { topic: topic.to_owned(), secret: secret.to_owned() };
            #[expect(clippy::cast_precision_loss, reason = "milliseconds of our time fit")]
            let end = not_after.map_or(f64::INFINITY, |end| end.0 as f64 / 1000.0);
            self.secrets.get_or_create(&of).set(end);
        }
    }

    /// The counters of a topic. An unknown topic counts under the empty name.
    #[must_use]
    pub fn topic(&self, name: &str) -> TopicMetrics {
        let of = OfTopic { topic: name.to_owned() };
        // A counter that is looked up is shown, at zero too: a rate needs a beginning.
        let events = self.events.get_or_create(&of).clone();
        let duplicates = self.duplicates.get_or_create(&of).clone();
        let seconds = self.request_seconds.get_or_create(&of).clone();
        let accepted = self.requests.get_or_create(&Request { topic: name.to_owned(), code: 202 }).clone();
        TopicMetrics {
            name: name.to_owned(),
            requests: self.requests.clone(),
            verified: self.verified.clone(),
            tracer: self.tracer.clone(),
            accepted,
            seconds,
            events,
            duplicates,
        }
    }

    /// The counters of spans, which are shown from now on.
    #[must_use]
    pub fn spans(&self) -> SpanMetrics {
        let [sent, refused, dropped, capped] = ["sent", "refused", "dropped", "capped"].map(|result| {
            let counter = self.spans.get_or_create(&OfSpans { result });
            counter.clone()
        });
        SpanMetrics { sent, refused, dropped, capped }
    }

    /// Has whoever is counted from now on make spans with this.
    pub fn trace_with(&mut self, tracer: &Tracer) {
        self.tracer = tracer.clone();
        self.subscribers.tracer = tracer.clone();
    }

    /// Counts a reload of the configuration.
    pub fn reloaded(&self, good: bool) {
        self.reloads.get_or_create(&Reload { result: if good { "ok" } else { "failed" } }).inc();
    }

    /// All of it in the OpenMetrics text format 1.0.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "a string takes every write")]
    pub fn render(&self) -> String {
        let mut out = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        text::encode_registry(&mut out, &registry).expect("a string takes every write");
        text::encode_registry(&mut out, &self.process).expect("a string takes every write");
        text::encode_eof(&mut out).expect("a string takes every write");
        out
    }
}
