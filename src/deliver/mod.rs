//! The way out: one independent worker a subscriber, reading the journal from a cursor of its own.
//!
//! - [`worker`] reads on, hands out, settles: what a subscriber does, step by step;
//! - [`retry`] says when a refused delivery is tried again; [`breaker`] slows down for an endpoint that only fails;
//! - [`replay`] delivers again what was delivered, because somebody asked for it, at a [`pace`] that harms nobody;
//! - [`owed`] is what was refused and not given up; [`backlog`] counts what was not read yet; [`status`] shows it.
//!
//! A slow or dead subscriber delays and harms no other, and never the ingress: they share nothing but the journal.

mod backlog;
mod breaker;
mod owed;
mod pace;
pub mod replay;
pub mod retry;
pub mod status;
mod worker;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::event::Millis;
use crate::journal::state::State;
use crate::journal::{Journal, Watch};
use crate::metrics::{Metrics, SubscriberMetrics};
use crate::name::{Pattern, SubscriberName};
use crate::sink::{self, Sink};
use replay::{ReplayError, ReplayView, Replays, Selection};
use status::Status;
use worker::{Command, Parts, Worker};

/// Where a new subscriber begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the next event.
    Now,
    /// With the oldest event the journal still has.
    Earliest,
}

/// How deliveries of one subscriber relate to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// A refused delivery lets later ones overtake it.
    Parallel,
    /// One at a time in journal order; a refused one holds the line.
    Strict,
}

/// A configured subscriber.
#[derive(Debug, Clone)]
pub struct Subscriber {
    /// Its name.
    pub name: SubscriberName,
    /// The events it wants; one pattern is enough.
    pub patterns: Vec<Pattern>,
    /// Where it begins when it is new.
    pub start: Start,
    /// Where its events go.
    pub sink: sink::Settings,
    /// How it retries.
    pub retry: retry::Policy,
    /// How its deliveries relate.
    pub order: Order,
}

/// All subscribers at work.
#[derive(Debug)]
pub struct Deliveries {
    commands: watch::Sender<Command>,
    workers: Mutex<JoinSet<()>>,
    subscribers: BTreeMap<SubscriberName, Shown>,
    journal: Journal,
    replays: Arc<Replays>,
}

/// What is seen of a subscriber from outside.
struct Shown {
    sink: Arc<dyn Sink>,
    status: Arc<Status>,
    watch: Arc<Watch>,
    metrics: SubscriberMetrics,
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.status.fmt(f)
    }
}

impl Deliveries {
    /// Starts a worker for each subscriber. Must be called within a runtime.
    ///
    /// # Errors
    /// When the saved state of a subscriber cannot be read.
    pub fn start(
        subscribers: Vec<(Subscriber, Box<dyn Sink>)>,
        journal: &Journal,
        state: &State,
        metrics: &Metrics,
    ) -> Result<Self, String> {
        let (commands, told) = watch::channel(Command::Run);
        let replays = Replays::open(journal, state)?;
        let (mut workers, mut shown) = (JoinSet::new(), BTreeMap::new());
        for (subscriber, sink) in subscribers {
            let name = subscriber.name.clone();
            let sink: Arc<dyn Sink> = Arc::from(sink);
            let (status, metrics) = (Arc::new(Status::new()), metrics.subscriber(name.as_str()));
            let parts = Parts {
                subscriber,
                sink: Arc::clone(&sink),
                journal: journal.clone(),
                state: state.clone(),
                metrics: metrics.clone(),
                status: Arc::clone(&status),
                replays: Arc::clone(&replays),
            };
            let worker = Worker::new(parts)?;
            let watch = worker.watch();
            workers.spawn(worker.run(told.clone()));
            shown.insert(name, Shown { sink, status, watch, metrics });
        }
        // Where a new subscriber begins must not be forgotten: it would begin again behind what it has not got yet.
        if let Err(error) = state.barrier() {
            tracing::warn!(%error, "cannot save where subscribers begin");
        }
        journal.begin_retention();
        Ok(Self { commands, workers: Mutex::new(workers), subscribers: shown, journal: journal.clone(), replays })
    }

    /// Brings the metrics of all subscribers up to date: what was answered before is in them.
    pub fn show(&self, now: Millis) {
        let durable = self.journal.commit().durable();
        let deadline = Instant::now() + A_MOMENT;
        while self.journal.commit().offered() < durable && Instant::now() < deadline {
            std::thread::yield_now();
        }
        for (name, shown) in &self.subscribers {
            shown.metrics.replay_remaining.set(self.replays.remaining(name.as_str()).cast_signed());
            let backlog = shown.status.backlog(durable, shown.watch.matched());
            shown.metrics.backlog.set(backlog.cast_signed());
            shown.metrics.oldest_owed.set(shown.status.oldest_owed_seconds(now));
        }
    }

    /// Delivers events again to a subscriber: those of the selection that it takes, has come to, and that are still
    /// there, whatever became of them. On stable storage when this returns: waits for the disk.
    ///
    /// What is new is delivered before. `rate`: at most so many a second.
    ///
    /// # Errors
    /// When there is no such subscriber, it has too many replays, the selection makes no sense, or the disk does not
    /// take it.
    pub fn replay(
        &self,
        subscriber: &SubscriberName,
        selection: &Selection,
        rate: Option<u32>,
    ) -> Result<ReplayView, ReplayError> {
        let mut replays = self.replay_to(&[subscriber], selection, rate)?;
        replays.pop().ok_or_else(|| ReplayError::UnknownSubscriber(subscriber.to_string()))
    }

    /// As [`Deliveries::replay`] for several subscribers: all of them, or none.
    ///
    /// # Errors
    /// As [`Deliveries::replay`].
    pub fn replay_to(
        &self,
        subscribers: &[&SubscriberName],
        selection: &Selection,
        rate: Option<u32>,
    ) -> Result<Vec<ReplayView>, ReplayError> {
        self.replays.add(subscribers, selection, rate, Millis::now())
    }

    /// How many events a replay would be now, and how many more it would have been that are gone. Reads the indexes: not
    /// for a runtime's thread.
    ///
    /// # Errors
    /// When there is no such subscriber, or the selection makes no sense.
    pub fn would_replay(&self, subscriber: &SubscriberName, selection: &Selection) -> Result<(u64, u64), ReplayError> {
        self.replays.would_be(subscriber, selection)
    }

    /// All replays that have not ended, and the last ones that have; newest first.
    #[must_use]
    pub fn replays(&self) -> Vec<ReplayView> {
        self.replays.views()
    }

    /// Ends a replay: what is under way is finished, and what was refused stays owed. Answers nothing if there is no
    /// such replay, and how it stands if it has ended already. On stable storage when this returns: waits for the disk.
    ///
    /// # Errors
    /// When the disk does not take it: it is ended, but begins again at the next start.
    pub fn cancel_replay(&self, id: u64) -> Result<Option<ReplayView>, String> {
        self.replays.cancel(id, Millis::now())
    }

    /// How each subscriber is doing.
    pub fn status(&self) -> impl Iterator<Item = (&SubscriberName, &Status)> {
        self.subscribers.iter().map(|(name, shown)| (name, &*shown.status))
    }

    /// Has every sink open its files anew.
    pub fn reopen(&self) {
        for shown in self.subscribers.values() {
            shown.sink.reopen();
        }
    }

    /// Stops: hands out nothing more, finishes current attempts, and abandons what is left when `patience` ends. What is
    /// abandoned is delivered again after the next start.
    pub async fn stop(&self, patience: Duration) {
        self.commands.send_replace(Command::Stop);
        let mut workers = std::mem::take(&mut *self.workers.lock().unwrap_or_else(PoisonError::into_inner));
        if tokio::time::timeout(patience, ended(&mut workers)).await.is_err() {
            tracing::warn!("attempts did not end in time: abandoned, and made again after the next start");
            self.commands.send_replace(Command::Abandon);
            if tokio::time::timeout(LAST_NOTES, ended(&mut workers)).await.is_err() {
                workers.shutdown().await;
            }
        }
    }
}

/// How long figures may wait for what was recorded a moment ago.
const A_MOMENT: Duration = Duration::from_millis(20);

/// How long workers may take to note where they are once they have abandoned everything.
const LAST_NOTES: Duration = Duration::from_secs(1);

async fn ended(workers: &mut JoinSet<()>) {
    while workers.join_next().await.is_some() {}
}

/// A number from 0 up to 1, for jitter.
fn dice() -> f64 {
    // Version 4 UUIDs are 122 random bits; no other source of randomness is needed for so little.
    let bits = uuid::Uuid::new_v4().as_u64_pair().1 & ((1 << 52) - 1);
    #[expect(clippy::cast_precision_loss, reason = "52 bits fit")]
    let dice = bits as f64 / (1_u64 << 52) as f64;
    dice
}
