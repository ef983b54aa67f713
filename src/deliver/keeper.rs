//! Sees to it that each subscriber has one worker and never two: the next one of a name begins when the last one has
//! ended, with what that one noted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use super::recent::Recent;
use super::replay::Replays;
use super::status::Status;
use super::worker::command::{Course, Rein, Request, Told, reins};
use super::worker::{Parts, Worker};
use super::{Start, Subscriber, lock};
use crate::event::Seq;
use crate::filter::bodies::Bodies;
use crate::journal::state::{State, Unconfigured};
use crate::journal::{Hold, Journal, Watch};
use crate::metrics::{Metrics, SubscriberMetrics, Subscribers};
use crate::name::SubscriberName;
use crate::sink::Sink;

/// How long to wait before a worker that could not begin tries again.
const PAUSE: Duration = Duration::from_secs(1);

/// What all workers stand on, and who there is.
#[derive(Debug)]
pub(super) struct Field {
    pub journal: Journal,
    pub replays: Arc<Replays>,
    pub state: State,
    metrics: Subscribers,
    roster: Mutex<Roster>,
    /// Shared, so that each body is parsed once, whatever looks at it.
    bodies: Arc<Bodies>,
    /// Held by whoever does something that others must not do at the same time, and that waits for the state.
    pub steering: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Roster {
    slots: BTreeMap<SubscriberName, Slot>,
    /// Who is paused, here or not.
    paused: BTreeSet<String>,
    /// Nobody comes any more.
    closed: bool,
}

/// One name. It has a keeper for as long as it is here.
#[derive(Debug)]
struct Slot {
    /// How the worker that is there, or about to begin, is told.
    rein: Rein,
    paused: watch::Sender<bool>,
    metrics: SubscriberMetrics,
    /// As it was configured last.
    subscriber: Arc<Subscriber>,
    /// Of the worker that has begun last.
    shown: Option<Shown>,
    /// Who takes over when it has ended.
    next: Option<Newcomer>,
}

/// What is seen of a worker from outside.
#[derive(Clone)]
pub(super) struct Shown {
    pub sink: Arc<dyn Sink>,
    pub status: Arc<Status>,
    pub watch: Arc<Watch>,
    pub metrics: SubscriberMetrics,
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.status.fmt(f)
    }
}

/// What can be seen of one name.
pub(super) struct Seen {
    pub name: SubscriberName,
    pub subscriber: Arc<Subscriber>,
    pub paused: bool,
    pub metrics: SubscriberMetrics,
    /// None before its first worker has begun.
    pub shown: Option<Shown>,
    pub requests: mpsc::Sender<Request>,
}

/// A subscriber that has no worker yet.
pub(super) struct Newcomer {
    subscriber: Subscriber,
    sink: Arc<dyn Sink>,
    /// Where it begins if it is new.
    from: Seq,
    /// Holds everything until the worker has found out where it begins.
    hold: Arc<Hold>,
}

impl std::fmt::Debug for Newcomer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.subscriber.fmt(f)
    }
}

impl Newcomer {
    pub(super) fn new(journal: &Journal, subscriber: Subscriber, sink: Box<dyn Sink>) -> Self {
        // First, so that what is the oldest event then stays it.
        let hold = journal.hold(Seq(0));
        let from = match subscriber.start {
            Start::Now => journal.commit().durable().next(),
            Start::Earliest => journal.earliest(),
        };
        Self { subscriber, sink: Arc::from(sink), from, hold }
    }

    pub(super) fn name(&self) -> &SubscriberName {
        &self.subscriber.name
    }
}

impl Field {
    pub(super) fn new(journal: &Journal, state: &State, metrics: &Metrics) -> Result<Self, String> {
        let paused = state.paused()?.into_iter().collect();
        Ok(Self {
            replays: Replays::open(journal, state)?,
            journal: journal.clone(),
            state: state.clone(),
            metrics: metrics.subscribers.clone(),
            roster: Mutex::new(Roster { paused, ..Roster::default() }),
            bodies: Arc::default(),
            steering: tokio::sync::Mutex::default(),
        })
    }

    /// Makes room for a name that is not there.
    pub(super) fn enter(&self, newcomer: &Newcomer) -> Told {
        self.enter_into(&mut lock(&self.roster), newcomer)
    }

    fn enter_into(&self, roster: &mut Roster, newcomer: &Newcomer) -> Told {
        let name = newcomer.name();
        let (paused, _) = watch::channel(roster.paused.contains(name.as_str()));
        let (rein, told) = reins(&paused);
        let metrics = self.metrics.of(name.as_str());
        let subscriber = Arc::new(newcomer.subscriber.clone());
        let slot = Slot { rein, paused, metrics, subscriber, shown: None, next: None };
        roster.slots.insert(newcomer.name().clone(), slot);
        told
    }

    /// What the worker of a name that is there is made of.
    pub(super) fn equip(&self, newcomer: Newcomer) -> Parts {
        let Newcomer { subscriber, sink, from, hold } = newcomer;
        let metrics = lock(&self.roster).slots.get(&subscriber.name).map(|slot| slot.metrics.clone());
        Parts {
            metrics: metrics.unwrap_or_else(|| self.metrics.of(subscriber.name.as_str())),
            subscriber,
            sink,
            journal: self.journal.clone(),
            state: self.state.clone(),
            status: Arc::new(Status::new()),
            replays: Arc::clone(&self.replays),
            from,
            hold,
            bodies: Arc::clone(&self.bodies),
        }
    }

    /// Shows a worker that is about to run.
    pub(super) fn present(&self, name: &SubscriberName, worker: &Worker) {
        if let Some(slot) = lock(&self.roster).slots.get_mut(name) {
            slot.shown = Some(worker.shown());
        }
    }

    /// Everyone who is there.
    pub(super) fn shown(&self) -> Vec<(SubscriberName, Shown)> {
        let roster = lock(&self.roster);
        roster.slots.iter().filter_map(|(name, slot)| Some((name.clone(), slot.shown.clone()?))).collect()
    }

    /// What can be seen of everyone, and how they are asked.
    pub(super) fn seen(&self) -> Vec<Seen> {
        let seen = |(name, slot): (&SubscriberName, &Slot)| Seen {
            name: name.clone(),
            subscriber: Arc::clone(&slot.subscriber),
            paused: *slot.paused.borrow(),
            metrics: slot.metrics.clone(),
            shown: slot.shown.clone(),
            requests: slot.rein.requests(),
        };
        lock(&self.roster).slots.iter().map(seen).collect()
    }

    /// The way by which one is asked, if it is there.
    pub(super) fn requests(&self, name: &str) -> Option<mpsc::Sender<Request>> {
        let roster = lock(&self.roster);
        let (_, slot) = roster.slots.iter().find(|(there, _)| there.as_str() == name)?;
        Some(slot.rein.requests())
    }

    /// Pauses a name, or lets it go on, now and whenever it comes again.
    pub(super) fn set_paused(&self, name: &str, paused: bool) {
        let mut roster = lock(&self.roster);
        if paused {
            roster.paused.insert(name.to_owned());
        } else {
            roster.paused.remove(name);
        }
        if let Some((_, slot)) = roster.slots.iter().find(|(there, _)| there.as_str() == name) {
            slot.paused.send_replace(paused);
        }
    }

    /// Tells some to leave.
    pub(super) fn dismiss(&self, names: &[SubscriberName], until: Instant) {
        let mut roster = lock(&self.roster);
        if roster.closed {
            return;
        }
        for name in names {
            let Some(slot) = roster.slots.get_mut(name) else { continue };
            slot.rein.steer(Course::Stop(Some(until)));
            if let Some(other) = slot.next.take() {
                self.journal.release(&other.hold);
            }
        }
    }

    /// Has a newcomer take over from the one of that name. Gives it back if there is none.
    pub(super) fn succeed(&self, newcomer: Newcomer, until: Instant) -> Option<(Newcomer, Told)> {
        let mut roster = lock(&self.roster);
        if roster.closed {
            self.journal.release(&newcomer.hold);
            return None;
        }
        let Some(slot) = roster.slots.get_mut(newcomer.name()) else {
            let told = self.enter_into(&mut roster, &newcomer);
            return Some((newcomer, told));
        };
        slot.rein.steer(Course::Stop(Some(until)));
        if let Some(other) = slot.next.replace(newcomer) {
            self.journal.release(&other.hold);
        }
        None
    }

    /// Tells all that this is the end.
    pub(super) fn end(&self, course: Course) {
        let mut roster = lock(&self.roster);
        roster.closed = true;
        roster.slots.values().for_each(|slot| slot.rein.steer(course));
    }

    /// Makes a worker, however often that has to be tried. There is none if it is told to stop before.
    async fn begin(&self, newcomer: Newcomer, mut told: Told) -> Option<(Box<Worker>, Told)> {
        let parts = self.equip(newcomer);
        let name = parts.subscriber.name.clone();
        while told.course() == Course::Run {
            let attempt = parts.clone();
            // What operators do with letters of subscribers that are not there must not happen at the same time.
            let alone = self.steering.lock().await;
            match tokio::task::spawn_blocking(move || Worker::new(attempt)).await {
                Ok(Ok(worker)) => {
                    self.present(&name, &worker);
                    return Some((Box::new(worker), told));
                }
                Ok(Err(error)) => {
                    tracing::error!(subscriber = %name, error, "cannot begin to deliver: trying again");
                }
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                // The runtime ends.
                Err(_) => return None,
            }
            drop(alone);
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                _ = told.hear(false) => {}
            }
        }
        self.let_go(&parts.hold);
        None
    }

    /// Lets go what a worker has held, unless this is the end of all: then it is needed after the next start.
    fn let_go(&self, hold: &Arc<Hold>) {
        if !lock(&self.roster).closed {
            self.journal.release(hold);
        }
    }

    /// Who takes over, if anybody does.
    fn successor(&self, name: &SubscriberName) -> Option<Turn> {
        let mut roster = lock(&self.roster);
        let closed = roster.closed;
        let slot = roster.slots.get_mut(name)?;
        let newcomer = slot.next.take().filter(|_| !closed)?;
        let (rein, told) = reins(&slot.paused);
        slot.rein = rein;
        slot.subscriber = Arc::new(newcomer.subscriber.clone());
        Some(Turn::Next(newcomer, told))
    }

    /// What follows when the worker of a name has ended.
    async fn follow(&self, name: &SubscriberName) -> Option<Turn> {
        if let Some(turn) = self.successor(name) {
            return Some(turn);
        }
        if lock(&self.roster).closed {
            return None;
        }
        let last = self.journal.commit().durable();
        match self.state.dismiss(name.as_str(), last).await {
            Ok(gone) => {
                if let Some(gone) = &gone {
                    tell_of(gone);
                    if !gone.is_kept() {
                        lock(&self.roster).paused.remove(name.as_str());
                    }
                }
                self.replays.part(name.as_str(), !gone.as_ref().is_some_and(Unconfigured::is_kept));
            }
            // It is done at the next start.
            Err(error) => tracing::warn!(subscriber = %name, error, "cannot forget a subscriber that has left"),
        }
        // Somebody may have come meanwhile.
        let mut roster = lock(&self.roster);
        if roster.slots.get(name).is_some_and(|slot| slot.next.is_none())
            && let Some(slot) = roster.slots.remove(name)
        {
            self.metrics.forget(&slot.metrics);
            return None;
        }
        drop(roster);
        self.successor(name)
    }
}

/// Logs what becomes of a subscriber that is not configured any more.
pub(crate) fn tell_of(gone: &Unconfigured) {
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

/// Whose turn it is.
pub(super) enum Turn {
    /// A worker that is ready.
    Ready(Box<Worker>, Told),
    /// One that has no worker yet.
    Next(Newcomer, Told),
}

/// Keeps a name at work until nobody of that name is wanted any more.
pub(super) async fn keep(field: Arc<Field>, name: SubscriberName, mut turn: Turn) {
    let mut recent = Recent::default();
    loop {
        let begun = match turn {
            Turn::Ready(worker, told) => Some((worker, told)),
            Turn::Next(newcomer, told) => field.begin(newcomer, told).await,
        };
        if let Some((mut worker, told)) = begun {
            let hold = worker.hold();
            worker.remember(recent);
            recent = worker.run(told).await;
            field.let_go(&hold);
        }
        match field.follow(&name).await {
            Some(next) => turn = next,
            None => return,
        }
    }
}
