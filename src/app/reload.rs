//! Another plan in the place of the one in force: all or nothing, without refusing a request.
//!
//! Everything that can fail is done first, beside what runs: reading, planning, opening sinks. What follows cannot fail.
//! Subscribers that are the same in both plans are not touched. New ones begin before new topics are open, so that they miss
//! nothing.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::bus::names;
use super::daemon::{Daemon, InForce, show_secrets};
use crate::api::settings::{Change, Reloaded};
use crate::deliver::Subscriber;
use crate::name::SubscriberName;
use crate::plan::{Difference, Loaded, needs_restart};
use crate::sink::{self, Sink};

/// Why the configuration in force stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReloadError {
    /// There is no file to read.
    NoFile,
    /// The file is wrong: everything that is, as text.
    Wrong(String),
    /// These settings cannot change while the daemon runs.
    NeedsRestart(Vec<String>),
    /// Something could not be opened.
    CannotOpen(String),
}

impl fmt::Display for ReloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFile => f.write_str("this daemon was started without a configuration file"),
            Self::Wrong(report) => write!(f, "the configuration is wrong\n{report}"),
            Self::NeedsRestart(keys) => write!(f, "needs a restart: `{}`", keys.join("`, `")),
            Self::CannotOpen(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for ReloadError {}

/// The subscribers that change.
struct Turnover {
    gone: Vec<SubscriberName>,
    come: Vec<(Subscriber, Box<dyn Sink>)>,
}

impl Daemon {
    /// Reads the configuration and puts it in force, or only says what would change.
    pub(super) async fn reload(&self, dry_run: bool) -> Result<Reloaded, ReloadError> {
        let one_at_a_time = self.reloading.lock().await;
        let reloaded = self.try_reload(dry_run).await;
        drop(one_at_a_time);
        if !dry_run {
            self.metrics.reloaded(reloaded.is_ok());
            if let Err(error) = &reloaded {
                // What is wrong with a file has a line each.
                let why = if let ReloadError::Wrong(_) = error { "it is wrong".to_owned() } else { error.to_string() };
                tracing::error!(why, "the configuration in force stays, the file is not taken");
            }
        }
        reloaded
    }

    async fn try_reload(&self, dry_run: bool) -> Result<Reloaded, ReloadError> {
        let source = self.source.as_ref().ok_or(ReloadError::NoFile)?;
        // It reads files; what else this thread has to do does not wait for that.
        let reading = Arc::clone(source);
        let read = tokio::task::spawn_blocking(move || (reading.read)()).await;
        let read =
            read.map_err(|_| ReloadError::CannotOpen("the configuration could not be read to its end".into()))?;
        let loaded = read.map_err(|report| {
            if !dry_run {
                report.log();
            }
            ReloadError::Wrong(report.render(false).trim_end().to_owned())
        })?;
        let differences = self.in_force().written.differences(&loaded.written);
        let warnings = (!loaded.warnings.is_empty()).then(|| loaded.warnings.render(false));
        let changes: Vec<Change> = differences.into_iter().map(change).collect();
        let fixed: Vec<String> =
            changes.iter().filter(|change| change.needs_restart).map(|change| change.key.clone()).collect();
        if dry_run {
            return Ok(Reloaded { applied: false, changes, warnings });
        }
        if !fixed.is_empty() {
            return Err(ReloadError::NeedsRestart(fixed));
        }
        if self.needs_token && loaded.plan.admin.token.is_none() {
            let why = "the admin listener can be reached from outside: `admin.token` must stay".to_owned();
            return Err(ReloadError::CannotOpen(why));
        }
        let unwise = loaded.warnings.clone();
        self.put_in_force(loaded, source)?;
        unwise.log();
        tell(&changes);
        Ok(Reloaded { applied: true, changes, warnings })
    }

    fn put_in_force(&self, loaded: Loaded, source: &super::Source) -> Result<(), ReloadError> {
        let Loaded { plan, written, .. } = loaded;
        let later = InForce::new(&plan, written);
        let before = self.in_force().clone();
        let mut turnover = Turnover {
            gone: before.subscribers.iter().filter(|name| !later.subscribers.contains(name)).cloned().collect(),
            come: Vec::new(),
        };
        for subscriber in plan.subscribers {
            let name = subscriber.name.as_str();
            let table = ["subscribers", name];
            if before.subscribers.contains(&subscriber.name) && before.written.same_in(&later.written, &table) {
                continue;
            }
            let opened = sink::open(&subscriber.sink).map_err(|why| {
                ReloadError::CannotOpen(format!("cannot open the sink of subscriber `{name}`: {why}"))
            })?;
            turnover.come.push((subscriber, opened));
        }
        // From here on nothing fails.
        let dedupe = plan.topics.iter().filter_map(|topic| topic.dedupe).max().unwrap_or_default();
        self.journal.retune(&plan.journal, dedupe);
        {
            // Whoever asked for this may have a runtime of their own, on which no subscriber is to live.
            let _runtime = self.runtime.enter();
            self.deliveries.replace(&turnover.gone, turnover.come, PATIENCE);
        }
        if let (Some(bus), Some(backstage)) = (&self.bus, plan.backstage) {
            bus.change(backstage.settings, &plan.ingress, names(&plan.topics));
        }
        self.ingest.change(&plan.ingress, plan.topics, &self.metrics, plan.admin.rejections);
        show_secrets(&self.metrics, &plan.keys);
        self.guard.change(plan.admin.token, &plan.admin.listen, &plan.admin.hosts);
        (source.log)(plan.log);
        *self.in_force() = later;
        Ok(())
    }
}

/// How long attempts of a subscriber that changes may take to end. Those that do not are made again by its successor.
const PATIENCE: Duration = Duration::from_secs(30);

fn change(difference: Difference) -> Change {
    let Difference { key, before, after } = difference;
    Change { needs_restart: needs_restart(&key), key, before, after }
}

/// Says in the log what an operator did.
fn tell(changes: &[Change]) {
    for Change { key, before, after, .. } in changes {
        let (before, after) = (before.as_deref().unwrap_or_default(), after.as_deref().unwrap_or_default());
        tracing::info!(key, before, after, "the configuration changes");
    }
    tracing::info!(changes = changes.len(), "the configuration was read anew");
}
