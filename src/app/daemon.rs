//! What runs, and what of the configuration is in force: shared by the doors and by whoever steers.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Source;
use crate::api;
use crate::deliver::Deliveries;
use crate::event::Millis;
use crate::http::admin::Guard;
use crate::http::bus::BusDoor;
use crate::http::ingest::Ingest;
use crate::journal::Journal;
use crate::journal::state::State;
use crate::metrics::Metrics;
use crate::name::{SubscriberName, TopicName};
use crate::plan::{Plan, Written};
use crate::secret::KeyLabel;

/// See the module.
pub(super) struct Daemon {
    pub(super) ingest: Arc<Ingest>,
    pub(super) guard: Arc<Guard>,
    pub(super) deliveries: Arc<Deliveries>,
    pub(super) bus: Option<Arc<BusDoor>>,
    pub(super) journal: Journal,
    pub(super) state: State,
    pub(super) metrics: Arc<Metrics>,
    pub(super) in_force: Mutex<InForce>,
    /// Where subscribers live.
    pub(super) runtime: tokio::runtime::Handle,
    pub(super) source: Option<Arc<Source>>,
    /// Held by the one reload there is at a time.
    pub(super) reloading: tokio::sync::Mutex<()>,
    /// The admin listener can be reached from outside: without a token it must not be.
    pub(super) needs_token: bool,
}

impl fmt::Debug for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Daemon")
    }
}

/// What is kept of a plan once it is opened.
#[derive(Debug, Clone)]
pub(super) struct InForce {
    pub(super) written: Written,
    pub(super) read: Millis,
    pub(super) drain_timeout: Duration,
    pub(super) subscribers: Vec<SubscriberName>,
    pub(super) topics: Vec<api::topics::Topic>,
}

impl InForce {
    pub(super) fn new(plan: &Plan, written: Written) -> Self {
        let topic = |topic: &crate::topic::Topic| {
            let wanting = plan.subscribers.iter().filter(|subscriber| {
                subscriber.route.patterns.iter().any(|pattern| pattern.may_match_topic(topic.name.as_str()))
            });
            api::topics::Topic {
                name: topic.name.to_string(),
                url: plan.topic_url(&topic.name),
                validator: topic.validator.kind().to_owned(),
                max_body: topic.max_body,
                subscribers: wanting.map(|subscriber| subscriber.name.to_string()).collect(),
                events: 0,
                duplicates: 0,
                requests: std::collections::BTreeMap::new(),
                last_event: None,
            }
        };
        Self {
            written,
            read: Millis::now(),
            drain_timeout: plan.ingress.drain_timeout,
            subscribers: plan.subscribers.iter().map(|subscriber| subscriber.name.clone()).collect(),
            topics: plan.topics.iter().map(topic).collect(),
        }
    }
}

impl Daemon {
    pub(super) fn in_force(&self) -> MutexGuard<'_, InForce> {
        self.in_force.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The metrics with everything that is looked up when somebody asks.
    pub(super) fn metrics(&self) -> String {
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let (journal, metrics) = (&self.journal, &self.metrics);
        self.deliveries.show(Millis::now());
        metrics.ready.set((!self.ingest.is_draining() && journal.is_writable()).into());
        if let Some(bus) = &self.bus {
            bus.show();
        }
        metrics.journal_bytes.set(number(journal.bytes()));
        metrics.journal_free.set(number(journal.stats().free.load(Ordering::Relaxed)));
        metrics.journal_damaged.set(number(journal.stats().damaged()));
        metrics.render()
    }
}

/// Shows how long the secrets of topics are valid.
pub(super) fn show_secrets(metrics: &Metrics, keys: &BTreeMap<TopicName, Vec<KeyLabel>>) {
    let all = keys.iter().flat_map(|(topic, keys)| keys.iter().map(move |key| (topic, key)));
    metrics.secrets(all.map(|(topic, key)| (topic.as_str(), key.id.as_str(), key.not_after)));
}
