//! The counters by name. Labels come from the configuration, never from a request.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

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
struct OfSubscriber {
    subscriber: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Delivered {
    subscriber: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Attempted {
    subscriber: String,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reload {
    result: &'static str,
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
    requests: Family<Request, Counter>,
    request_seconds: Histograms<OfTopic>,
    verified: Family<Verification, Counter>,
    events: Family<OfTopic, Counter>,
    duplicates: Family<OfTopic, Counter>,
    /// What is counted of subscribers.
    pub subscribers: Subscribers,
    reloads: Family<Reload, Counter>,
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

/// The counters of one subscriber, looked up once.
#[derive(Debug, Clone)]
pub struct SubscriberMetrics {
    name: String,
    attempts: Family<Attempted, Counter>,
    /// The labels under which refused attempts were counted.
    labels: Arc<Mutex<BTreeSet<&'static str>>>,
    /// Deliveries that ended well.
    pub delivered: Counter,
    /// Deliveries that were given up.
    pub died: Counter,
    /// Dead letters that were dropped.
    pub dropped: Counter,
    /// Attempts that ended well.
    pub good_attempts: Counter,
    /// How long attempts took.
    pub attempt_seconds: Histogram,
    /// Events that match and are not done with.
    pub backlog: Gauge,
    /// How long the oldest of them has been waiting, in seconds.
    pub oldest_owed: Gauge<f64, std::sync::atomic::AtomicU64>,
    /// Dead letters there are.
    pub dead: Gauge,
    /// Events that were handed out again because somebody asked for it, and that were neither owed nor dead.
    pub replayed: Counter,
    /// Events that replays have still to do.
    pub replay_remaining: Gauge,
}

impl SubscriberMetrics {
    /// Counts one attempt that was refused, by its short label.
    pub fn refused(&self, label: &'static str) {
        self.labels.lock().unwrap_or_else(PoisonError::into_inner).insert(label);
        self.attempts.get_or_create(&Attempted { subscriber: self.name.clone(), result: label }).inc();
    }
}

/// What is counted of subscribers. Clones share it.
///
/// At rest, of the events that matched a subscriber: matched = `forebay_deliveries_total` with the outcomes `delivered`
/// and `dropped`, `forebay_dead_letters` and `forebay_backlog_events` together, by as much as each has grown. A dead
/// letter that is retried leaves the one gauge for the other. The outcome `dead` counts how often deliveries died, one
/// that is retried again and again more than once; it is no part of the sum.
#[derive(Debug, Clone)]
pub struct Subscribers {
    deliveries: Family<Delivered, Counter>,
    attempts: Family<Attempted, Counter>,
    attempt_seconds: Histograms<OfSubscriber>,
    backlog: Family<OfSubscriber, Gauge>,
    oldest_owed: Family<OfSubscriber, Gauge<f64, std::sync::atomic::AtomicU64>>,
    dead: Family<OfSubscriber, Gauge>,
    replayed: Family<OfSubscriber, Counter>,
    replay_remaining: Family<OfSubscriber, Gauge>,
}

/// The ways a delivery ends.
const OUTCOMES: [&str; 3] = ["delivered", "dead", "dropped"];

/// The label of an attempt that ended well.
const OK: &str = "ok";

impl Subscribers {
    fn new() -> Self {
        Self {
            deliveries: Family::default(),
            attempts: Family::default(),
            attempt_seconds: Family::new_with_constructor(Seconds),
            backlog: Family::default(),
            oldest_owed: Family::default(),
            dead: Family::default(),
            replayed: Family::default(),
            replay_remaining: Family::default(),
        }
    }

    fn register(&self, registry: &mut Registry) {
        registry.register("deliveries", "deliveries that ended, by outcome", self.deliveries.clone());
        registry.register("attempts", "attempts to deliver by result", self.attempts.clone());
        registry.register("attempt_duration_seconds", "how long attempts took", self.attempt_seconds.clone());
        registry.register("backlog_events", "events owed", self.backlog.clone());
        registry.register("oldest_owed_seconds", "age of the oldest event owed", self.oldest_owed.clone());
        registry.register("dead_letters", "deliveries given up", self.dead.clone());
        registry.register("replayed_events", "events handed out again that nobody was owed", self.replayed.clone());
        registry.register(
            "replay_remaining_events",
            "events that replays have still to do",
            self.replay_remaining.clone(),
        );
    }

    /// The counters of a subscriber, which are shown from now on.
    #[must_use]
    pub fn of(&self, name: &str) -> SubscriberMetrics {
        let of = OfSubscriber { subscriber: name.to_owned() };
        // One statement each: a family stays locked until the end of the statement that asks it.
        let [delivered, died, dropped] = OUTCOMES.map(|outcome| {
            let counter = self.deliveries.get_or_create(&Delivered { subscriber: name.to_owned(), outcome });
            counter.clone()
        });
        let good = Attempted { subscriber: name.to_owned(), result: OK };
        let good_attempts = self.attempts.get_or_create(&good).clone();
        let attempt_seconds = self.attempt_seconds.get_or_create(&of).clone();
        let backlog = self.backlog.get_or_create(&of).clone();
        let oldest_owed = self.oldest_owed.get_or_create(&of).clone();
        let dead = self.dead.get_or_create(&of).clone();
        let replayed = self.replayed.get_or_create(&of).clone();
        let replay_remaining = self.replay_remaining.get_or_create(&of).clone();
        let (name, attempts) = (name.to_owned(), self.attempts.clone());
        SubscriberMetrics {
            name,
            attempts,
            labels: Arc::default(),
            delivered,
            died,
            dropped,
            good_attempts,
            attempt_seconds,
            backlog,
            oldest_owed,
            dead,
            replayed,
            replay_remaining,
        }
    }

    /// Shows a subscriber no longer. Nothing may be counted with `metrics` after this.
    pub fn forget(&self, metrics: &SubscriberMetrics) {
        let subscriber = || metrics.name.clone();
        for outcome in OUTCOMES {
            self.deliveries.remove(&Delivered { subscriber: subscriber(), outcome });
        }
        let labels = std::mem::take(&mut *metrics.labels.lock().unwrap_or_else(PoisonError::into_inner));
        for result in labels.into_iter().chain([OK]) {
            self.attempts.remove(&Attempted { subscriber: subscriber(), result });
        }
        let of = OfSubscriber { subscriber: subscriber() };
        self.attempt_seconds.remove(&of);
        self.backlog.remove(&of);
        self.oldest_owed.remove(&of);
        self.dead.remove(&of);
        self.replayed.remove(&of);
        self.replay_remaining.remove(&of);
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
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(Seconds),
            verified: Family::default(),
            events: Family::default(),
            duplicates: Family::default(),
            subscribers: Subscribers::new(),
            reloads: Family::default(),
            journal_bytes: Gauge::default(),
            journal_free: Gauge::default(),
            journal_damaged: Gauge::default(),
            connections: Gauge::default(),
            body_memory: Gauge::default(),
        };
        let build = [("version", env!("CARGO_PKG_VERSION").to_owned()), ("sync", sync.to_owned())];
        // The exposition format adds `_total` to counters and `_info` to an info.
        registry.register("build", "the program and how it keeps its promise", Info::new(build.to_vec()));
        registry.register("requests", "requests on the ingress by answer", metrics.requests.clone());
        registry.register("request_duration_seconds", "from head to answer", metrics.request_seconds.clone());
        registry.register("verified", "verdicts of validators by secret", metrics.verified.clone());
        registry.register("events", "events recorded", metrics.events.clone());
        registry.register("duplicates", "deliveries seen before, not recorded again", metrics.duplicates.clone());
        metrics.subscribers.register(&mut registry);
        registry.register("config_reloads", "reloads of the configuration by result", metrics.reloads.clone());
        registry.register("journal_commit_seconds", "write and sync of a batch", commit_seconds.clone());
        registry.register("journal_commit_events", "events in a batch", commit_events.clone());
        registry.register("journal_bytes", "size of the journal's segments", metrics.journal_bytes.clone());
        registry.register("journal_free_bytes", "free space on the journal's disk", metrics.journal_free.clone());
        registry.register(
            "journal_damaged_events",
            "recorded events found damaged since the start",
            metrics.journal_damaged.clone(),
        );
        registry.register("ingress_connections", "open connections on the ingress", metrics.connections.clone());
        registry.register("ingress_body_bytes", "memory reserved for bodies in flight", metrics.body_memory.clone());
        for result in ["ok", "failed"] {
            // A rate needs a beginning.
            let _ = metrics.reloads.get_or_create(&Reload { result });
        }
        Self { registry: Mutex::new(registry), ..metrics }
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
            accepted,
            seconds,
            events,
            duplicates,
        }
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
        text::encode(&mut out, &registry).expect("a string takes every write");
        out
    }
}
