//! Opens and binds what a plan names, runs it, and stops it in order.
//!
//! - [`open`]: what is opened and bound; [`daemon`]: what runs, shared by all who look at it;
//! - [`reload`]: another plan in the place of this one; [`desk`]: what the admin API sees of all that.

mod bus;
mod daemon;
mod desk;
mod open;
mod plan;
mod reload;
mod replay;

use std::fmt;
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::bus::Bus;
use crate::deliver::Deliveries;
use crate::event::Millis;
use crate::http::Listen;
use crate::http::admin::{AdminDoor, Browse, Guard};
use crate::http::front::Front;
use crate::http::ingest::Ingest;
use crate::http::listener::Listener;
use crate::http::matches::Matches;
use crate::http::server::{Limits, Server};
use crate::journal::disk::{Disk, RealDisk};
use crate::journal::{Journal, Opening, Sync};
use crate::metrics::Metrics;
use crate::otlp::Exporter;
use crate::plan::{Loaded, Log, Report};
use crate::sink;

use daemon::{Daemon, InForce, show_secrets};
use open::{bind_all, open_state, possible_connections, take_lock};
pub use reload::ReloadError;

/// How long a connection is kept for another request. Longer than reverse proxies and load balancers keep theirs (nginx
/// 60 s, AWS 60 s, Google Cloud 600 s), so that it is never this side that closes while a request is on its way.
const IDLE: Duration = Duration::from_secs(650);

/// How long a stop waits for the last spans.
const LAST_SPANS: Duration = Duration::from_secs(2);

/// Why the daemon cannot start.
#[derive(Debug)]
pub struct StartError {
    /// What was being done.
    pub what: String,
    /// Why it failed.
    pub why: String,
    /// The address that could not be listened on, where it was that.
    pub address: Option<Listen>,
}

impl StartError {
    /// It failed while doing that.
    #[must_use]
    pub fn new(what: impl Into<String>, why: &dyn fmt::Display) -> Self {
        Self { what: what.into(), why: why.to_string(), address: None }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: {}", self.what, self.why)
    }
}

impl std::error::Error for StartError {}

fn failed(what: impl Into<String>) -> impl FnOnce(&dyn fmt::Display) -> StartError {
    let what = what.into();
    move |why| StartError::new(what, why)
}

/// Where the configuration came from, to read it again. A daemon without one cannot be reloaded.
pub struct Source {
    /// The file, as it is called.
    pub file: String,
    /// Reads it.
    pub read: Box<dyn Fn() -> Result<Loaded, Report> + Send + std::marker::Sync>,
    /// Changes how much is logged.
    pub log: Box<dyn Fn(Log) + Send + std::marker::Sync>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.file.fmt(f)
    }
}

/// A daemon at work.
#[derive(Debug)]
pub struct App {
    daemon: Arc<Daemon>,
    ingress: Server,
    admin: Option<Server>,
    /// Saves from time to time when secrets last matched.
    keeping: tokio::task::JoinHandle<()>,
    /// Looks after the subscriptions of the bus.
    looking: tokio::task::JoinHandle<()>,
    exporter: Exporter,
    /// Where the ingress listens.
    pub ingress_addresses: Vec<String>,
    /// Where the admin listener listens.
    pub admin_addresses: Vec<String>,
    /// Held as long as the daemon runs.
    _lock: File,
}

impl App {
    /// Opens and binds everything, and begins to serve. Must be called within a runtime.
    ///
    /// # Errors
    /// What could not be opened or bound.
    pub async fn start(loaded: Loaded, source: Option<Source>) -> Result<Self, StartError> {
        let Loaded { plan, written, .. } = loaded;
        let (ingress, admin) = bind_all(&plan).await?;
        let addresses = |listeners: &[Listener]| listeners.iter().map(Listener::address).collect::<Vec<_>>();
        let (ingress_addresses, admin_addresses) = (addresses(&ingress), addresses(&admin));
        let in_force = InForce::new(&plan, written);
        let (settings, open_token) = (plan.ingress.clone(), admin.iter().any(|listener| !listener.is_private()));

        let mut sinks = Vec::new();
        for subscriber in plan.subscribers {
            let opened = sink::open(&subscriber.sink)
                .map_err(|why| failed(format!("open the sink of subscriber `{}`", subscriber.name))(&why))?;
            sinks.push((subscriber, opened));
        }

        let path = plan.journal.path.clone();
        let what = || format!("open the journal `{}`", path.display());
        let disk = RealDisk::open(&path).map_err(|why| failed(what())(&why))?;
        let lock = take_lock(&path).map_err(|why| failed(what())(&why))?;
        let is_log = |name: &String| std::path::Path::new(name).extension().is_some_and(|extension| extension == "log");
        let has_log = disk.list().map_err(|why| failed(what())(&why))?.iter().any(is_log);
        let state = open_state(&disk, has_log).map_err(|why| failed(what())(&why))?;
        let opening = Opening {
            dedupe: plan.topics.iter().filter_map(|topic| topic.dedupe).max().unwrap_or_default(),
            floor: state.floor().map_err(|why| failed(what())(&why))?,
            now: Millis::now(),
        };
        let journal = Journal::open(Arc::new(disk), &plan.journal, opening, Arc::new(state.clone()))
            .map_err(|why| failed(what())(&why))?;
        if plan.journal.sync == Sync::Never {
            tracing::warn!("`sync = \"never\"`: a 202 does not mean that the event is on the disk");
        }

        let sync = if plan.journal.sync == Sync::Never { "never" } else { "always" };
        let mut metrics = Metrics::new(&journal.stats().commits.seconds, &journal.stats().commits.events, sync);
        show_secrets(&metrics, &plan.keys);
        let exporter = Exporter::start(plan.otlp, &mut metrics).map_err(|why| failed("start sending spans")(&why))?;
        let metrics = Arc::new(metrics);
        let names = sinks.iter().map(|(subscriber, _)| subscriber.name.to_string()).collect();
        let last = journal.commit().durable();
        for gone in state.retain_subscribers(names, last).map_err(|why| failed(what())(&why))? {
            crate::deliver::tell_of(&gone);
        }
        // Before the subscribers begin, with whom retention begins.
        let opened = match plan.backstage {
            None => None,
            Some(backstage) => {
                let bus = Arc::new(Bus::open(&journal, &state, opening.now).map_err(|why| failed(what())(&why))?);
                Some(bus::Opened { backstage, bus, topics: bus::names(&plan.topics) })
            }
        };
        let deliveries = Deliveries::start(sinks, &journal, &state, &metrics).map_err(|why| failed(what())(&why))?;
        let deliveries = Arc::new(deliveries);
        let matches = Arc::new(Matches::new(state.secret_uses().map_err(|why| failed(what())(&why))?));
        let kept = (plan.admin.rejections, Arc::clone(&matches));
        let ingest = Arc::new(Ingest::new(&settings, plan.topics, journal.clone(), &metrics, kept));

        let bus = opened.map(|opened| Arc::new(opened.door(&ingest, &settings, &journal, &deliveries, &metrics)));
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let limits = Limits {
            connections: possible_connections(settings.max_connections),
            header_timeout: settings.header_timeout,
            idle_timeout: IDLE,
            threads,
        };
        let daemon = Arc::new(Daemon {
            ingest: Arc::clone(&ingest),
            guard: Arc::new(Guard::new(plan.admin.token, &plan.admin.listen, &plan.admin.hosts)),
            deliveries,
            bus: bus.clone(),
            journal,
            state,
            metrics,
            in_force: Mutex::new(in_force),
            source: source.map(Arc::new),
            runtime: tokio::runtime::Handle::current(),
            reloading: tokio::sync::Mutex::new(()),
            needs_token: open_token,
        });
        let serve = |why: io::Error| failed("start serving")(&why);
        let admin = if admin.is_empty() {
            None
        } else {
            let render = Arc::clone(&daemon);
            let door = AdminDoor {
                ingest: Arc::clone(&ingest),
                guard: Arc::clone(&daemon.guard),
                metrics: Box::new(move || render.metrics()),
                desk: Arc::clone(&daemon) as _,
                browse: Browse::new(daemon.state.clone()),
            };
            let limits = Limits { connections: 256, threads: 1, ..limits };
            Some(Server::start("admin", admin, &Arc::new(door), limits).map_err(serve)?)
        };
        let front = Arc::new(Front { ingest, bus });
        let ingress = Server::start("ingress", ingress, &front, limits).map_err(serve)?;
        let looking = tokio::spawn(bus::look_after(Arc::clone(&daemon)));
        let keeping = tokio::spawn(matches.keep(daemon.state.clone()));
        Ok(Self { daemon, ingress, admin, keeping, looking, exporter, ingress_addresses, admin_addresses, _lock: lock })
    }

    /// Whether a write of the journal has failed: nothing is accepted any more, and only a restart helps.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.daemon.journal.commit().is_broken()
    }

    /// Reads the configuration anew and puts it in force, all or nothing; and opens files anew, after something else has
    /// moved them away.
    ///
    /// # Errors
    /// Why the configuration in force stays.
    pub async fn reload(&self) -> Result<(), ReloadError> {
        let reloaded = self.daemon.reload(false).await;
        // Whatever became of the configuration: whoever rotates logs has moved the files away.
        self.daemon.deliveries.reopen();
        reloaded.map(|_| ())
    }

    /// Stops in order: accept nothing, finish open requests, finish current attempts, close the journal.
    pub async fn stop(self) {
        let Self { daemon, ingress, admin, keeping, looking, exporter, .. } = self;
        let deadline = tokio::time::Instant::now() + daemon.in_force().drain_timeout;
        let left = || deadline.saturating_duration_since(tokio::time::Instant::now());
        daemon.ingest.drain();
        if let Some(bus) = &daemon.bus {
            bus.stop();
        }
        // What is taken last is delivered too, if there is time; a slow sender must not use up the time of the attempts.
        ingress.stop(left() * 2 / 3).await;
        if let Some(admin) = admin {
            admin.stop(left().min(Duration::from_secs(1))).await;
        }
        daemon.deliveries.stop(left()).await;
        for task in [keeping, looking] {
            task.abort();
            // It holds the state, which closes when nobody does any more.
            let _ = task.await;
        }
        if let Some(bus) = &daemon.bus {
            bus.bus().note_all(Duration::ZERO);
        }
        if let Err(error) = daemon.ingest.matches().save(&daemon.state).await {
            tracing::warn!(error, "cannot save when secrets last matched");
        }
        let (journal, state) = (daemon.journal.clone(), daemon.state.clone());
        drop(daemon);
        let closed = tokio::task::spawn_blocking(move || {
            journal.close();
            // The sweeper has ended with the journal, so nothing asks the state any more.
            drop(journal);
            state.close();
        });
        if closed.await.is_err() {
            tracing::error!("closing the journal failed");
        }
        exporter.stop(left().min(LAST_SPANS)).await;
    }
}
