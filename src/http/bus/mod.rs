//! Backstage's event bus over HTTP, at `{base_path}/bus/v1`, and what else Backstage asks of a plugin's base URL.
//!
//! - [`gate`]: who may call, decided before anything of the body is read; [`keys`]: the keys of the plugins that call;
//! - `publish`, `subscribe`, `read`: the three calls;
//! - [`reply`]: answers as Backstage gives them.
//!
//! A 404 is only ever given for what is unknown: one on a publication or a subscription would have a Backstage client turn
//! its bus off until its process restarts. Whatever else is wrong gets another status.

mod gate;
pub mod keys;
mod publish;
mod read;
mod reply;
mod subscribe;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{Method, Request, StatusCode};
use hyper::body::Incoming as Body;
use tokio::sync::{Semaphore, watch};

use super::body::Budget;
use super::reply::{Answer, Refusal};
use crate::bus::Bus;
use crate::journal::{Journal, Lane, Wants};
use crate::metrics::BusMetrics;
use crate::secret::Secret;
use keys::PluginKeys;

/// The largest body of a call, in bytes: as much as Backstage takes.
const MAX_BODY: u64 = 5 * 1024 * 1024;

/// What a probe is answered.
const OK: &str = r#"{"status":"ok"}"#;

/// The most readers that wait at once.
const MAX_READERS: usize = 20_000;

/// After this long what was handed out has arrived, or its reader is gone.
const ARRIVED: Duration = Duration::from_secs(2);

/// Reads of the disk at once.
const LOOKS_AT_ONCE: usize = 4;

/// What is configured of the bus.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Static tokens of callers.
    pub tokens: Vec<Secret>,
    /// How long an empty read is held.
    pub notify_timeout: Duration,
    /// How long a subscription that nobody reads is kept.
    pub forget_idle: Duration,
}

/// What a reload replaces.
#[derive(Debug)]
struct Site {
    settings: Settings,
    /// Before `/bus/v1`.
    base: String,
    /// Names nobody on the bus can pass for.
    ingress: BTreeSet<String>,
    body_timeout: Duration,
}

/// The bus's door. One for all threads.
pub struct BusDoor {
    site: ArcSwap<Site>,
    bus: Arc<Bus>,
    journal: Journal,
    keys: Arc<PluginKeys>,
    budget: Budget,
    metrics: BusMetrics,
    readers: Arc<AtomicUsize>,
    /// Whether any of forebay's own subscribers wants events of a topic and type.
    own: Wants,
    /// Reads of the disk at once.
    looks: Arc<Semaphore>,
    stop: watch::Sender<bool>,
}

impl fmt::Debug for BusDoor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BusDoor")
    }
}

/// What the door is made of.
pub struct Parts {
    /// The subscriptions.
    pub bus: Arc<Bus>,
    /// The journal.
    pub journal: Journal,
    /// The keys of those who call.
    pub keys: Arc<PluginKeys>,
    /// Whether any of forebay's own subscribers wants events of a topic and type.
    pub own: Wants,
    /// What is counted.
    pub metrics: BusMetrics,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parts")
    }
}

/// What a path below the base asks for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Publish,
    Subscription(String),
    Events(String),
    OpenApi,
    /// The keys of this plugin, which has none: it calls nobody.
    OwnKeys,
    /// Something on the bus that is not there.
    Nothing,
}

impl BusDoor {
    /// Puts the door together.
    pub(super) fn new(
        settings: Settings,
        ingress: &super::Ingress,
        topics: BTreeSet<String>,
        parts: Parts,
        budget: Budget,
    ) -> Self {
        let Parts { bus, journal, keys, own, metrics } = parts;
        let site = ArcSwap::from_pointee(Site::new(settings, ingress, topics));
        let (looks, stop) = (Arc::new(Semaphore::new(LOOKS_AT_ONCE)), watch::Sender::new(false));
        Self { site, bus, journal, keys, budget, metrics, readers: Arc::default(), own, looks, stop }
    }

    /// Ends all answers that are held, so that nothing waits for them; readers come again, and to the next process.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Puts other settings in force.
    pub fn change(&self, settings: Settings, ingress: &super::Ingress, topics: BTreeSet<String>) {
        self.site.store(Arc::new(Site::new(settings, ingress, topics)));
    }

    /// Forgets subscriptions that nobody reads. To be called now and then.
    pub fn sweep(&self, now: crate::event::Millis) {
        let idle = self.site.load().settings.forget_idle;
        for id in self.bus.forget_idle(idle, now) {
            tracing::info!(subscription = id, "forgot a bus subscription that nobody reads");
        }
        self.bus.note_all(ARRIVED);
        self.show();
    }

    /// Brings the metrics up to date.
    pub fn show(&self) {
        self.metrics.subscriptions.set(i64::try_from(self.bus.count()).unwrap_or(i64::MAX));
        self.metrics.waiting.set(i64::try_from(self.readers.load(Ordering::Relaxed)).unwrap_or(i64::MAX));
    }

    /// The subscriptions.
    #[must_use]
    pub fn bus(&self) -> &Arc<Bus> {
        &self.bus
    }

    /// Answers what is asked of the bus; gives the request back if it asks for something else. `closed`: nothing new is begun.
    pub(super) async fn take(
        &self,
        request: Request<Body>,
        lane: &Lane,
        closed: bool,
    ) -> Result<Answer, Request<Body>> {
        let site = self.site.load_full();
        let path = request.uri().path();
        if let "/.backstage/health/v1/readiness" | "/.backstage/health/v1/liveness" = path {
            let ready = !closed || path.ends_with("liveness");
            return Ok(if ready { super::reply::json(StatusCode::OK, OK) } else { Refusal::NoRoom.answer(false) });
        }
        let Some(asked) = site.find(path) else { return Err(request) };
        let wanted = match asked {
            Asked::Publish => Method::POST,
            Asked::Subscription(_) => Method::PUT,
            Asked::Events(_) | Asked::OpenApi | Asked::OwnKeys => Method::GET,
            Asked::Nothing => Method::OPTIONS,
        };
        if asked == Asked::OwnKeys && *request.method() == Method::GET {
            return Ok(super::reply::json(StatusCode::OK, r#"{"keys":[]}"#));
        }
        if closed {
            return Ok(Refusal::NoRoom.answer(true));
        }
        let principal = match self.gate(&site, request.headers()).await {
            Ok(principal) => principal,
            Err(answer) => {
                self.metrics.refused.inc();
                return Ok(answer);
            }
        };
        if *request.method() != wanted {
            return Ok(reply::nothing());
        }
        if let Some(answer) = reply::unknown_parameter(&request) {
            return Ok(answer);
        }
        let done = match asked {
            Asked::Publish => self.publish(&site, request, &principal, lane).await,
            Asked::Subscription(id) => self.subscribe(&site, &id, request, &principal).await,
            Asked::Events(id) => self.read(&site, &id).await,
            Asked::OpenApi => Ok(reply::openapi()),
            Asked::OwnKeys | Asked::Nothing => Ok(reply::nothing()),
        };
        Ok(done.unwrap_or_else(std::convert::identity))
    }
}

impl Site {
    fn new(settings: Settings, ingress: &super::Ingress, topics: BTreeSet<String>) -> Self {
        let base = ingress.base_path.clone();
        Self { settings, base, ingress: topics, body_timeout: ingress.body_timeout }
    }

    /// What a path asks for, if it is one of the bus.
    fn find(&self, path: &str) -> Option<Asked> {
        // A base URL that ends in `/` makes two of them.
        let rest = path.strip_prefix(self.base.as_str())?.strip_prefix('/')?.trim_start_matches('/');
        match rest {
            "openapi.json" => return Some(Asked::OpenApi),
            ".backstage/auth/v1/jwks.json" => return Some(Asked::OwnKeys),
            "bus/v1/events" => return Some(Asked::Publish),
            _ => {}
        }
        let below = rest.strip_prefix("bus").filter(|rest| rest.is_empty() || rest.starts_with('/'))?;
        let Some(subscription) = below.strip_prefix("/v1/subscriptions/") else { return Some(Asked::Nothing) };
        let (id, events) = match subscription.strip_suffix("/events") {
            Some(id) => (id, true),
            None => (subscription, false),
        };
        // An id comes as one word of the path, whatever is in it: `catalog.github-provider%3Aorg`.
        let id = super::admin::percent(id).filter(|text| !text.is_empty() && !id.contains('/'));
        Some(match (id, events) {
            (None, _) => Asked::Nothing,
            (Some(id), true) => Asked::Events(id),
            (Some(id), false) => Asked::Subscription(id),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_however_they_are_written() {
        let settings = Settings { tokens: Vec::new(), notify_timeout: Duration::ZERO, forget_idle: Duration::ZERO };
        let site =
            Site { settings, base: "/api/events".into(), ingress: BTreeSet::new(), body_timeout: Duration::ZERO };
        let subscription = |id: &str| Some(Asked::Subscription(id.into()));
        let events = |id: &str| Some(Asked::Events(id.into()));
        let table = [
            ("/api/events/bus/v1/events", Some(Asked::Publish)),
            ("/api/events//bus/v1/events", Some(Asked::Publish)),
            ("/api/events/bus/v1/subscriptions/a", subscription("a")),
            ("/api/events//bus/v1/subscriptions/a/events", events("a")),
            ("/api/events/bus/v1/subscriptions/catalog.github%3Aorg/events", events("catalog.github:org")),
            ("/api/events/bus/v1/subscriptions/a%2Fb%25%20c", subscription("a/b% c")),
            ("/api/events/bus/v1/subscriptions/events", subscription("events")),
            ("/api/events/bus/v1/subscriptions/events/events", events("events")),
            ("/api/events/bus/v1/subscriptions/a/b", Some(Asked::Nothing)),
            ("/api/events/bus/v1/subscriptions/", Some(Asked::Nothing)),
            ("/api/events/bus/v1/subscriptions//events", Some(Asked::Nothing)),
            ("/api/events/bus/v1/subscriptions/%zz", Some(Asked::Nothing)),
            ("/api/events/bus", Some(Asked::Nothing)),
            ("/api/events/bus/v2/events", Some(Asked::Nothing)),
            ("/api/events/openapi.json", Some(Asked::OpenApi)),
            ("/api/events/.backstage/auth/v1/jwks.json", Some(Asked::OwnKeys)),
            ("/api/events/http/github", None),
            ("/api/events/busy", None),
            ("/api/events", None),
            ("/bus/v1/events", None),
        ];
        for (path, want) in table {
            assert_eq!(site.find(path), want, "{path}");
        }
    }
}
