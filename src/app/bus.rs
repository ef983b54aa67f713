//! Opening Backstage's bus: its subscriptions, and where the keys of those who call are fetched.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use http::{StatusCode, Uri};

use super::daemon::Daemon;
use crate::api::subscribers::{Subscriber, SubscriberState};
use crate::bus::{Bus, View, topics};
use crate::deliver::Deliveries;
use crate::event::Millis;
use crate::http::bus::keys::{Fetched, PluginKeys};
use crate::http::bus::{BusDoor, Parts};
use crate::http::ingest::Ingest;
use crate::journal::Journal;
use crate::metrics::Metrics;
use crate::plan::Backstage;
use crate::sink::webhook;
use crate::topic::Topic;

/// How long a plugin may take to tell its keys.
const PATIENCE: Duration = Duration::from_secs(5);

/// The largest set of keys that is read, in bytes.
const MAX_KEYS: usize = 64 * 1024;

/// How often it is looked which subscriptions nobody reads, and how far the others were read.
const LOOK: Duration = Duration::from_secs(5);

/// The names of topics, which nobody on the bus can pass for.
pub(super) fn names(topics: &[Topic]) -> BTreeSet<String> {
    topics.iter().map(|topic| topic.name.to_string()).collect()
}

/// What the door is made of, but for the ingress beside it.
pub(super) struct Opened {
    pub(super) backstage: Backstage,
    pub(super) bus: Arc<Bus>,
    pub(super) topics: BTreeSet<String>,
}

impl Opened {
    pub(super) fn door(
        self,
        ingest: &Ingest,
        settings: &crate::http::Ingress,
        journal: &Journal,
        deliveries: &Arc<Deliveries>,
        metrics: &Metrics,
    ) -> BusDoor {
        let Self { backstage, bus, topics } = self;
        let own = Arc::clone(deliveries);
        let keys = PluginKeys::new(Box::new(move |plugin| {
            let url = format!("{}/api/{plugin}/.backstage/auth/v1/jwks.json", backstage.url);
            Box::pin(fetch(url))
        }));
        let parts = Parts {
            bus,
            journal: journal.clone(),
            keys: Arc::new(keys),
            own: Box::new(move |topic, kind| own.anybody_takes(topic, kind)),
            metrics: metrics.with_bus(),
        };
        ingest.bus_door(backstage.settings, settings, topics, parts)
    }
}

async fn fetch(url: String) -> Fetched {
    let url: Uri = url.parse().map_err(|_| "the URL of its keys is none".to_owned())?;
    match webhook::get(&url, PATIENCE, MAX_KEYS).await? {
        (StatusCode::OK, set) => Ok(Some(set.to_vec())),
        (StatusCode::NOT_FOUND, _) => Ok(None),
        (status, _) => Err(format!("its keys were asked for, and the answer was {status}")),
    }
}

/// What subscriptions of the bus are called among the subscribers.
pub(super) const BUS: &str = "backstage:";

/// Subscriptions whose backlog is counted; where there are more, a reader's position has to do.
const COUNTED: usize = 100;

impl Daemon {
    /// The subscriptions of the bus as subscribers.
    pub(super) async fn bus_subscribers(&self) -> Vec<Subscriber> {
        let Some(bus) = self.bus.as_ref().map(|door| Arc::clone(door.bus())) else { return Vec::new() };
        let journal = self.journal.clone();
        let look = move || {
            let views = bus.views();
            let counted = views.len() <= COUNTED;
            let end = journal.commit().durable().next();
            let one = |view: View| {
                let wants = |topic: &str, kind: Option<&str>| {
                    topics::may_be(view.topics.iter().map(String::as_str), topic, kind)
                };
                let backlog = if counted { journal.count(view.next.0..end.0, &wants) } else { 0 };
                Subscriber {
                    name: format!("{BUS}{}", view.id),
                    topics: view.topics,
                    filter: None,
                    sink: "read over HTTP by Backstage".into(),
                    order: "strict".into(),
                    state: SubscriberState::Running,
                    position: view.next.0,
                    backlog,
                    retrying: 0,
                    oldest_owed_seconds: 0.0,
                    dead: 0,
                    delivered: 0,
                    next_attempt: None,
                    last_error: None,
                }
            };
            views.into_iter().map(one).collect()
        };
        tokio::task::spawn_blocking(look).await.unwrap_or_default()
    }
}

/// Looks after the subscriptions for as long as it is let.
pub(super) async fn look_after(daemon: Arc<Daemon>) {
    let Some(bus) = daemon.bus.clone() else { return };
    drop(daemon);
    let mut look = tokio::time::interval(LOOK);
    loop {
        look.tick().await;
        bus.sweep(Millis::now());
    }
}
