//! The way out: one independent worker a subscriber, reading the journal from a cursor of its own.
//!
//! - [`worker`] reads on, hands out, settles: what a subscriber does, step by step;
//! - [`keeper`] sees to it that each subscriber has one worker, whatever becomes of the configuration;
//! - [`retry`] says when a refused delivery is tried again; [`breaker`] slows down for an endpoint that only fails;
//! - [`replay`] delivers again what was delivered, because somebody asked for it, at a [`pace`] that harms nobody;
//! - [`owed`] is what was refused and not given up; [`recent`] what went well lately; [`backlog`] counts what was not read
//!   yet; [`status`] shows it;
//! - [`steer`] is what operators see and do; [`trace`] what became of one event.
//!
//! A slow or dead subscriber delays and harms no other, and never the ingress: they share nothing but the journal.

mod backlog;
mod breaker;
mod keeper;
mod owed;
mod pace;
mod recent;
pub mod replay;
pub mod retry;
pub mod status;
pub mod steer;
pub mod trace;
mod worker;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::event::Millis;
use crate::journal::Journal;
use crate::journal::state::State;
use crate::metrics::Metrics;
use crate::name::SubscriberName;
use crate::route::Route;
use crate::sink::{self, Sink};
pub(crate) use keeper::tell_of;
use keeper::{Field, Newcomer, Turn, keep};
use replay::{ReplayError, ReplayView, Selection};
use status::Status;
use worker::Worker;
use worker::command::Course;

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
    /// The events it wants.
    pub route: Route,
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
    field: Arc<Field>,
    keepers: Mutex<JoinSet<()>>,
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
        let field = Arc::new(Field::new(journal, state, metrics)?);
        let mut ready = Vec::new();
        for (subscriber, sink) in subscribers {
            let newcomer = Newcomer::new(journal, subscriber, sink);
            let told = field.enter(&newcomer);
            let name = newcomer.name().clone();
            let worker = Worker::new(field.equip(newcomer))?;
            field.present(&name, &worker);
            ready.push((name, worker, told));
        }
        // Where a new subscriber begins must not be forgotten: it would begin again behind what it has not got yet.
        if let Err(error) = state.barrier() {
            tracing::warn!(%error, "cannot save where subscribers begin");
        }
        state.all_have_begun();
        journal.begin_retention();
        let mut keepers = JoinSet::new();
        for (name, worker, told) in ready {
            keepers.spawn(keep(Arc::clone(&field), name, Turn::Ready(Box::new(worker), told)));
        }
        Ok(Self { field, keepers: Mutex::new(keepers) })
    }

    /// Has subscribers leave and others come, without touching the rest. Must be called within a runtime; returns at
    /// once, and what is to be done is done in the background.
    ///
    /// Who is `gone` hands out nothing more, finishes what is under way within `patience`, and abandons it after that;
    /// then it is forgotten if it is owed nothing, and otherwise remembered for the day it comes again. One that comes
    /// under a name that is there takes over where the other one ends. One that is new and starts `now` gets what is
    /// recorded from this call on. After [`Deliveries::stop`] nothing happens.
    pub fn replace(&self, gone: &[SubscriberName], come: Vec<(Subscriber, Box<dyn Sink>)>, patience: Duration) {
        let until = Instant::now() + patience;
        let mut keepers = lock(&self.keepers);
        // Those that have ended.
        while keepers.try_join_next().is_some() {}
        self.field.dismiss(gone, until);
        for (subscriber, sink) in come {
            let newcomer = Newcomer::new(&self.field.journal, subscriber, sink);
            let name = newcomer.name().clone();
            if let Some((newcomer, told)) = self.field.succeed(newcomer, until) {
                keepers.spawn(keep(Arc::clone(&self.field), name, Turn::Next(newcomer, told)));
            }
        }
    }

    /// Whether any subscriber wants events of a topic and type.
    #[must_use]
    pub fn anybody_takes(&self, topic: &str, kind: Option<&str>) -> bool {
        self.field.seen().iter().any(|seen| seen.subscriber.route.matches(topic, kind))
    }

    /// Brings the metrics of all subscribers up to date: what was answered before is in them.
    pub fn show(&self, now: Millis) {
        let commit = self.field.journal.commit();
        let durable = commit.durable();
        let deadline = Instant::now() + A_MOMENT;
        while commit.offered() < durable && Instant::now() < deadline {
            std::thread::yield_now();
        }
        for (name, shown) in self.field.shown() {
            shown.metrics.replay_remaining.set(self.field.replays.remaining(name.as_str()).cast_signed());
            let backlog = shown.status.backlog(durable, shown.watch.matched());
            shown.metrics.backlog.set(backlog.cast_signed());
            shown.metrics.oldest_owed.set(shown.status.oldest_owed_seconds(now));
            shown.metrics.failing.set(shown.status.failing.load(Ordering::Relaxed).into());
        }
    }

    /// What each subscriber wants, as it was configured last.
    pub fn routes(&self) -> Vec<(SubscriberName, Route)> {
        self.field.seen().into_iter().map(|seen| (seen.name, seen.subscriber.route.clone())).collect()
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
        self.field.replays.add(subscribers, selection, rate, Millis::now())
    }

    /// How many events a replay would be now, and how many more it would have been that are gone. Reads the indexes: not
    /// for a runtime's thread.
    ///
    /// # Errors
    /// When there is no such subscriber, or the selection makes no sense.
    pub fn would_replay(&self, subscriber: &SubscriberName, selection: &Selection) -> Result<(u64, u64), ReplayError> {
        self.field.replays.would_be(subscriber, selection)
    }

    /// The subscribers there are.
    #[must_use]
    pub fn names(&self) -> Vec<SubscriberName> {
        self.field.shown().into_iter().map(|(name, _)| name).collect()
    }

    /// Whether a subscriber takes events of a topic and type, as far as its patterns tell.
    #[must_use]
    pub fn takes(&self, subscriber: &SubscriberName, topic: &str, kind: Option<&str>) -> bool {
        self.field.replays.takes(subscriber.as_str(), topic, kind)
    }

    /// All replays that have not ended, and the last ones that have; newest first.
    #[must_use]
    pub fn replays(&self) -> Vec<ReplayView> {
        self.field.replays.views()
    }

    /// Ends a replay: what is under way is finished, and what was refused stays owed. Answers nothing if there is no
    /// such replay, and how it stands if it has ended already. On stable storage when this returns: waits for the disk.
    ///
    /// # Errors
    /// When the disk does not take it: it is ended, but begins again at the next start.
    pub fn cancel_replay(&self, id: u64) -> Result<Option<ReplayView>, String> {
        self.field.replays.cancel(id, Millis::now())
    }

    /// How each subscriber is doing.
    pub fn status(&self) -> Vec<(SubscriberName, Arc<Status>)> {
        self.field.shown().into_iter().map(|(name, shown)| (name, shown.status)).collect()
    }

    /// Has every sink open its files anew.
    pub fn reopen(&self) {
        for (_, shown) in self.field.shown() {
            shown.sink.reopen();
        }
    }

    /// Stops: hands out nothing more, finishes current attempts, and abandons what is left when `patience` ends. What is
    /// abandoned is delivered again after the next start.
    pub async fn stop(&self, patience: Duration) {
        self.field.end(Course::Stop(None));
        let mut keepers = std::mem::take(&mut *lock(&self.keepers));
        if tokio::time::timeout(patience, ended(&mut keepers)).await.is_err() {
            tracing::warn!("attempts did not end in time: abandoned, and made again after the next start");
            self.field.end(Course::Abandon);
            if tokio::time::timeout(LAST_NOTES, ended(&mut keepers)).await.is_err() {
                keepers.shutdown().await;
            }
        }
    }
}

/// How long figures may wait for what was recorded a moment ago.
const A_MOMENT: Duration = Duration::from_millis(20);

/// How long workers may take to note where they are once they have abandoned everything.
const LAST_NOTES: Duration = Duration::from_secs(1);

async fn ended(keepers: &mut JoinSet<()>) {
    while keepers.join_next().await.is_some() {}
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number from 0 up to 1, for jitter.
fn dice() -> f64 {
    // Version 4 UUIDs are 122 random bits; no other source of randomness is needed for so little.
    let bits = uuid::Uuid::new_v4().as_u64_pair().1 & ((1 << 52) - 1);
    #[expect(clippy::cast_precision_loss, reason = "52 bits fit")]
    let dice = bits as f64 / (1_u64 << 52) as f64;
    dice
}
