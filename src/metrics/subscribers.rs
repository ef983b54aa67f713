//! What is counted of subscribers.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::{Decimal, Histograms, Seconds};
use crate::trace::Tracer;

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

/// The counters of one subscriber, looked up once.
#[derive(Debug, Clone)]
pub struct SubscriberMetrics {
    name: String,
    attempts: Family<Attempted, Counter>,
    /// Makes spans of attempts.
    pub tracer: Tracer,
    /// The labels under which refused attempts were counted.
    labels: Arc<Mutex<BTreeSet<&'static str>>>,
    /// Events that match, and that the filter refused.
    pub filtered: Counter,
    /// Those of them on which it failed.
    pub filter_errors: Counter,
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
    pub oldest_owed: Decimal,
    /// Dead letters there are.
    pub dead: Gauge,
    /// Events that were handed out again because somebody asked for it, and that were neither owed nor dead.
    pub replayed: Counter,
    /// Events that replays have still to do.
    pub replay_remaining: Gauge,
    /// Whether the endpoint only fails and is probed at a slowing pace: 1 or 0.
    pub failing: Gauge,
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
/// At rest, of the events that matched a subscriber: matched + `forebay_replayed_events_total` =
/// `forebay_filtered_total`, `forebay_deliveries_total` with the outcomes `delivered` and `dropped`, `forebay_dead_letters`
/// and `forebay_backlog_events` together, by as much as each has grown. A dead letter that is retried leaves the one gauge
/// for the other. The outcome `dead` counts how often deliveries died, one that is retried again and again more than once; it is no part of the sum, and nor is
/// `forebay_filter_errors_total`, which is of those that were filtered.
#[derive(Debug, Clone)]
pub struct Subscribers {
    filtered: Family<OfSubscriber, Counter>,
    filter_errors: Family<OfSubscriber, Counter>,
    pub(super) tracer: Tracer,
    deliveries: Family<Delivered, Counter>,
    attempts: Family<Attempted, Counter>,
    attempt_seconds: Histograms<OfSubscriber>,
    backlog: Family<OfSubscriber, Gauge>,
    oldest_owed: Family<OfSubscriber, Decimal>,
    dead: Family<OfSubscriber, Gauge>,
    replayed: Family<OfSubscriber, Counter>,
    replay_remaining: Family<OfSubscriber, Gauge>,
    failing: Family<OfSubscriber, Gauge>,
}

/// The label of an attempt that ended well.
const OK: &str = "ok";

/// The ways a delivery ends.
const OUTCOMES: [&str; 3] = ["delivered", "dead", "dropped"];

impl Subscribers {
    pub(super) fn new() -> Self {
        Self {
            filtered: Family::default(),
            filter_errors: Family::default(),
            tracer: Tracer::off(),
            deliveries: Family::default(),
            attempts: Family::default(),
            attempt_seconds: Family::new_with_constructor(Seconds),
            backlog: Family::default(),
            oldest_owed: Family::default(),
            dead: Family::default(),
            replayed: Family::default(),
            replay_remaining: Family::default(),
            failing: Family::default(),
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("filtered", "events that filters refused", self.filtered.clone());
        registry.register("filter_errors", "events on which filters failed", self.filter_errors.clone());
        registry.register("deliveries", "deliveries that ended, by outcome", self.deliveries.clone());
        registry.register("attempts", "attempts to deliver by result", self.attempts.clone());
        let seconds = self.attempt_seconds.clone();
        registry.register_with_unit("attempt_duration", "how long attempts took", Unit::Seconds, seconds);
        registry.register("backlog_events", "events owed", self.backlog.clone());
        let oldest = self.oldest_owed.clone();
        registry.register_with_unit("oldest_owed", "age of the oldest event owed", Unit::Seconds, oldest);
        registry.register("dead_letters", "deliveries given up", self.dead.clone());
        registry.register("replayed_events", "events handed out again that nobody was owed", self.replayed.clone());
        registry.register(
            "replay_remaining_events",
            "events that replays have still to do",
            self.replay_remaining.clone(),
        );
        registry.register("subscriber_failing", "whether an endpoint only fails", self.failing.clone());
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
        let filtered = self.filtered.get_or_create(&of).clone();
        let filter_errors = self.filter_errors.get_or_create(&of).clone();
        let good = Attempted { subscriber: name.to_owned(), result: OK };
        let good_attempts = self.attempts.get_or_create(&good).clone();
        let attempt_seconds = self.attempt_seconds.get_or_create(&of).clone();
        let backlog = self.backlog.get_or_create(&of).clone();
        let oldest_owed = self.oldest_owed.get_or_create(&of).clone();
        let dead = self.dead.get_or_create(&of).clone();
        let replayed = self.replayed.get_or_create(&of).clone();
        let replay_remaining = self.replay_remaining.get_or_create(&of).clone();
        let failing = self.failing.get_or_create(&of).clone();
        let (name, attempts) = (name.to_owned(), self.attempts.clone());
        SubscriberMetrics {
            name,
            attempts,
            tracer: self.tracer.clone(),
            labels: Arc::default(),
            filtered,
            filter_errors,
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
            failing,
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
        self.filtered.remove(&of);
        self.filter_errors.remove(&of);
        self.attempt_seconds.remove(&of);
        self.backlog.remove(&of);
        self.oldest_owed.remove(&of);
        self.dead.remove(&of);
        self.replayed.remove(&of);
        self.replay_remaining.remove(&of);
        self.failing.remove(&of);
    }
}
