//! Opens and binds what a plan names, runs it, and stops it in order.

use std::fmt;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::deliver::Deliveries;
use crate::event::Millis;
use crate::http::Listen;
use crate::http::admin::AdminDoor;
use crate::http::ingest::Ingest;
use crate::http::listener::Listener;
use crate::http::server::{Limits, Server};
use crate::journal::disk::{Disk, RealDisk};
use crate::journal::state::State;
use crate::journal::{Journal, OpenError, Opening, Sync};
use crate::metrics::Metrics;
use crate::plan::Plan;
use crate::sink;

/// How long a connection is kept for another request. Longer than reverse proxies and load balancers keep theirs (nginx
/// 60 s, AWS 60 s, Google Cloud 600 s), so that it is never this side that closes while a request is on its way.
const IDLE: Duration = Duration::from_secs(650);

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

/// A daemon at work.
#[derive(Debug)]
pub struct App {
    ingest: Arc<Ingest>,
    ingress: Server,
    admin: Option<Server>,
    deliveries: Arc<Deliveries>,
    journal: Journal,
    state: State,
    drain_timeout: Duration,
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
    pub async fn start(plan: Plan) -> Result<Self, StartError> {
        let (ingress, admin) = bind_all(&plan).await?;
        let addresses = |listeners: &[Listener]| listeners.iter().map(Listener::address).collect::<Vec<_>>();
        let (ingress_addresses, admin_addresses) = (addresses(&ingress), addresses(&admin));

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
        let metrics = Metrics::new(&journal.stats().commits.seconds, &journal.stats().commits.events, sync);
        let labels = plan.keys.iter().flat_map(|(topic, keys)| keys.iter().map(move |key| (topic, key)));
        metrics.secrets(labels.map(|(topic, key)| (topic.as_str(), key.id.as_str(), key.not_after)));
        let names = sinks.iter().map(|(subscriber, _)| subscriber.name.to_string()).collect();
        let last = journal.commit().durable();
        for gone in state.retain_subscribers(names, last).map_err(|why| failed(what())(&why))? {
            if gone.is_kept() {
                tracing::warn!(
                    subscriber = gone.name,
                    refused = gone.owed,
                    dead = gone.dead,
                    "a subscriber that is still owed events is not configured any more: configure it again to deliver them"
                );
            } else {
                tracing::info!(subscriber = gone.name, "forgot a subscriber that is not configured any more");
            }
        }
        let deliveries = Deliveries::start(sinks, &journal, &state, &metrics).map_err(|why| failed(what())(&why))?;
        let deliveries = Arc::new(deliveries);
        let ingest = Arc::new(Ingest::new(&plan.ingress, plan.topics, journal.clone(), &metrics));

        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let limits = Limits {
            connections: possible_connections(plan.ingress.max_connections),
            header_timeout: plan.ingress.header_timeout,
            idle_timeout: IDLE,
            threads,
        };
        let serve = |why: io::Error| failed("start serving")(&why);
        let admin = if admin.is_empty() {
            None
        } else {
            let door = AdminDoor {
                ingest: Arc::clone(&ingest),
                token: plan.admin.token,
                metrics: render(metrics, Arc::clone(&ingest), Arc::clone(&deliveries)),
            };
            let limits = Limits { connections: 256, threads: 1, ..limits };
            Some(Server::start("admin", admin, &Arc::new(door), limits).map_err(serve)?)
        };
        let ingress = Server::start("ingress", ingress, &ingest, limits).map_err(serve)?;
        Ok(Self {
            ingest,
            ingress,
            admin,
            deliveries,
            journal,
            state,
            drain_timeout: plan.ingress.drain_timeout,
            ingress_addresses,
            admin_addresses,
            _lock: lock,
        })
    }

    /// Whether a write of the journal has failed: nothing is accepted any more, and only a restart helps.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.journal.commit().is_broken()
    }

    /// Opens files anew, after something else has moved them away.
    pub fn reopen(&self) {
        self.deliveries.reopen();
    }

    /// Stops in order: accept nothing, finish open requests, finish current attempts, close the journal.
    pub async fn stop(self) {
        let deadline = tokio::time::Instant::now() + self.drain_timeout;
        let left = || deadline.saturating_duration_since(tokio::time::Instant::now());
        self.ingest.drain();
        // What is taken last is delivered too, if there is time; a slow sender must not use up the time of the attempts.
        self.ingress.stop(left() * 2 / 3).await;
        if let Some(admin) = self.admin {
            admin.stop(left().min(Duration::from_secs(1))).await;
        }
        drop(self.ingest);
        self.deliveries.stop(left()).await;
        let (journal, state) = (self.journal, self.state);
        let closed = tokio::task::spawn_blocking(move || {
            journal.close();
            // The sweeper has ended with the journal, so nothing asks the state any more.
            drop(journal);
            state.close();
        });
        if closed.await.is_err() {
            tracing::error!("closing the journal failed");
        }
    }
}

/// Space put aside so that the state, which cannot be opened without writing, can be opened on a full disk.
const RESERVE: (&str, u64) = ("reserve", 1 << 20);

/// Opens the state; on a full disk, with the space that an earlier start has put aside.
fn open_state(disk: &RealDisk, log_has_events: bool) -> Result<State, String> {
    let (name, size) = RESERVE;
    let opened = State::open(disk.path(), log_has_events).or_else(|error| {
        if disk.free().is_ok_and(|free| free < size) && disk.remove(name).is_ok() {
            return State::open(disk.path(), log_has_events);
        }
        Err(error)
    })?;
    if disk.free().is_ok_and(|free| free > 2 * size)
        && let Err(error) = disk.create(name).and_then(|file| file.reserve(size))
    {
        tracing::warn!(%error, "cannot put space aside for a start on a full disk");
    }
    Ok(opened)
}

/// The connections there can be: the journal and the sinks need open files too, and must not be the ones that go without.
fn possible_connections(configured: usize) -> usize {
    const OTHERS: usize = 512;
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let files = files.and_then(|files| usize::try_from(files).ok()).unwrap_or(usize::MAX);
    let possible = files.saturating_sub(OTHERS).max(files / 2);
    if possible < configured {
        tracing::warn!(configured, possible, files, "`max_connections` is more than the limit on open files allows");
    }
    configured.min(possible)
}

/// Binds all listeners, or takes them from systemd: sockets named `admin` are the admin listener's, all others the
/// ingress'.
async fn bind_all(plan: &Plan) -> Result<(Vec<Listener>, Vec<Listener>), StartError> {
    let (mut ingress, mut admin) = (Vec::new(), Vec::new());
    for (name, listener) in Listener::handed_over().map_err(|why| failed("take over the sockets of systemd")(&why))? {
        if name == "admin" { admin.push(listener) } else { ingress.push(listener) }
    }
    if plan.admin.token.is_none()
        && let Some(open) = admin.iter().find(|listener| !listener.is_private())
    {
        let why = format!("the socket `{}` from systemd is not loopback: configure `admin.token`", open.address());
        return Err(failed("serve the admin listener without a token")(&why));
    }
    for (listeners, wanted) in [(&mut ingress, &plan.ingress.listen), (&mut admin, &plan.admin.listen)] {
        if listeners.is_empty() {
            for listen in wanted {
                listeners.push(bind(listen).await?);
            }
        }
    }
    Ok((ingress, admin))
}

async fn bind(listen: &Listen) -> Result<Listener, StartError> {
    Listener::bind(listen).await.map_err(|why| StartError {
        address: Some(listen.clone()),
        ..StartError::new(format!("listen on `{listen}`"), &why)
    })
}

/// Makes sure that no other process has the journal open.
fn take_lock(path: &std::path::Path) -> Result<File, OpenError> {
    use std::os::unix::fs::OpenOptionsExt;
    let file = File::options().create(true).append(true).mode(0o600).open(path.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(OpenError::Locked),
        Err(std::fs::TryLockError::Error(error)) => Err(error.into()),
    }
}

/// The metrics with everything that is looked up when somebody asks.
fn render(
    metrics: Metrics,
    ingest: Arc<Ingest>,
    deliveries: Arc<Deliveries>,
) -> Box<dyn Fn() -> String + Send + std::marker::Sync> {
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    Box::new(move || {
        let journal = ingest.journal();
        deliveries.show(Millis::now());
        metrics.ready.set((!ingest.is_draining() && journal.is_writable()).into());
        metrics.journal_bytes.set(number(journal.bytes()));
        metrics.journal_free.set(number(journal.stats().free.load(Ordering::Relaxed)));
        metrics.journal_damaged.set(number(journal.stats().damaged()));
        metrics.render()
    })
}
