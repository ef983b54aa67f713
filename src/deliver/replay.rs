//! Replays: events of the past that a subscriber gets again because somebody asked for it. What was asked for is kept
//! here and in the state; a subscriber's worker takes one after the other from here, and tells how far it has come.
//!
//! Before a replay begins its events are looked up in the indexes, on a thread of its own: how many there are, and where.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::Notify;

use super::pace::Pace;
use super::status::Status;
use super::{Subscriber, lock};
use crate::event::{Millis, Seq};
use crate::journal::lookup::{BadTerms, Query, Stretches};
use crate::journal::state::{Cursor, MAX_ENDED, Replay, State, Tally};
use crate::journal::{Hold, Journal};
use crate::name::SubscriberName;
use crate::route::Route;

pub use crate::journal::state::{ReplayState, Selection};

/// The most replays of one subscriber that have not ended.
pub const MAX_UNFINISHED: usize = 16;

/// A replay as it is seen from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayView {
    /// Its number.
    pub id: u64,
    /// Who gets the events.
    pub subscriber: String,
    /// How it stands.
    pub state: ReplayState,
    /// When it was asked for.
    pub started: Millis,
    /// When it ended.
    pub ended: Option<Millis>,
    /// How many events it is; none while they are being counted. A filter may refuse some of them.
    pub total: Option<u64>,
    /// How many were handled: delivered, owed, or passed over.
    pub done: u64,
    /// How many of them were refused at the first attempt, and are retried as any other.
    pub failed: u64,
    /// How many are not there any more.
    pub gone: u64,
    /// At most this many a second.
    pub rate: Option<u32>,
}

/// Why a replay is not begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplayError {
    /// There is no subscriber of that name.
    UnknownSubscriber(String),
    /// The subscriber has [`MAX_UNFINISHED`] replays that have not ended.
    TooMany(String),
    /// The selection makes no sense.
    Selection(BadTerms),
    /// It cannot be saved.
    State(String),
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownSubscriber(name) => write!(f, "there is no subscriber `{name}`"),
            Self::TooMany(name) => {
                write!(
                    f,
                    "the subscriber `{name}` has {MAX_UNFINISHED} replays that have not ended: wait, or cancel some"
                )
            }
            Self::Selection(bad) => bad.fmt(f),
            Self::State(error) => write!(f, "the replay cannot be saved: {error}"),
        }
    }
}

impl std::error::Error for ReplayError {}

/// All replays, shared by those who ask for them and the workers.
pub(super) struct Replays {
    journal: Journal,
    state: State,
    all: Mutex<BTreeMap<u64, Entry>>,
    lanes: Mutex<BTreeMap<String, Lane>>,
    /// Held while replays are being added, so that they are not more than there may be.
    adding: Mutex<()>,
    to_count: Mutex<ToCount>,
    pace: Mutex<Pace>,
}

impl fmt::Debug for Replays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replays").finish_non_exhaustive()
    }
}

struct Entry {
    /// As it was last said to the state.
    replay: Replay,
    /// What was handled behind the cursor.
    ahead: Tally,
    hold: Option<Arc<Hold>>,
    /// Where its events are, once they were looked up.
    stretches: Option<Arc<Stretches>>,
    /// A worker is at it.
    taken: bool,
}

/// A subscriber that can replay.
struct Lane {
    route: Route,
    status: Arc<Status>,
    bell: Arc<Notify>,
}

#[derive(Default)]
struct ToCount {
    queue: VecDeque<u64>,
    /// Somebody is at it.
    busy: bool,
}

/// A replay that a worker takes.
pub(super) struct Taken {
    pub(super) replay: Replay,
    pub(super) hold: Arc<Hold>,
    pub(super) stretches: Arc<Stretches>,
}

impl Entry {
    fn is_running(&self, subscriber: &str) -> bool {
        self.replay.state == ReplayState::Running && self.replay.subscriber == subscriber
    }

    fn view(&self) -> ReplayView {
        let Replay { id, subscriber, state, started, ended, total, tally, rate, .. } = &self.replay;
        let (done, gone) = (tally.done + self.ahead.done, tally.gone);
        ReplayView {
            id: *id,
            subscriber: subscriber.clone(),
            state: *state,
            started: *started,
            ended: *ended,
            // An index may tell of fewer events than there are.
            total: total.map(|total| total.max(done + gone)),
            done,
            failed: tally.failed + self.ahead.failed,
            gone,
            rate: *rate,
        }
    }
}

impl Replays {
    /// Recalls the replays of earlier runs.
    pub(super) fn open(journal: &Journal, state: &State) -> Result<Arc<Self>, String> {
        let entry = |replay: Replay| {
            (replay.id, Entry { replay, ahead: Tally::default(), hold: None, stretches: None, taken: false })
        };
        Ok(Arc::new(Self {
            all: Mutex::new(state.replays()?.into_iter().map(entry).collect()),
            journal: journal.clone(),
            state: state.clone(),
            lanes: Mutex::default(),
            adding: Mutex::default(),
            to_count: Mutex::default(),
            pace: Mutex::default(),
        }))
    }

    /// A worker begins for a subscriber, perhaps in the place of another. `status` says already how far it is; `bell` is
    /// rung when there is something to look at here.
    pub(super) fn join(self: &Arc<Self>, subscriber: &Subscriber, status: &Arc<Status>, bell: &Arc<Notify>) {
        let name = subscriber.name.as_str();
        let lane = Lane { route: subscriber.route.clone(), status: Arc::clone(status), bell: Arc::clone(bell) };
        lock(&self.lanes).insert(name.to_owned(), lane);
        let mut running = Vec::new();
        for (&id, entry) in lock(&self.all).iter_mut().filter(|(_, entry)| entry.replay.subscriber == name) {
            // It may want others than its predecessor.
            (entry.stretches, entry.taken) = (None, false);
            if entry.replay.state == ReplayState::Running {
                entry.hold.get_or_insert_with(|| self.journal.hold(entry.replay.cursor.next));
                running.push(id);
            } else if let Some(hold) = entry.hold.take() {
                self.journal.release(&hold);
            }
        }
        self.count(running);
    }

    /// A subscriber has left. Unless it is `forgotten` its replays go on when it comes again.
    pub(super) fn part(&self, subscriber: &str, forgotten: bool) {
        lock(&self.lanes).remove(subscriber);
        lock(&self.all).retain(|_, entry| {
            let mine = entry.replay.subscriber == subscriber;
            if mine && let Some(hold) = entry.hold.take() {
                self.journal.release(&hold);
            }
            !(mine && forgotten)
        });
    }

    /// Saves replays of a selection for these subscribers, all or none. Waits for the disk.
    ///
    /// Events that a subscriber has not come to yet are not part of it: they come to it anyway.
    pub(super) fn add(
        self: &Arc<Self>,
        subscribers: &[&SubscriberName],
        selection: &Selection,
        rate: Option<u32>,
        now: Millis,
    ) -> Result<Vec<ReplayView>, ReplayError> {
        Query::new(selection.terms()).map_err(ReplayError::Selection)?;
        let _adding = lock(&self.adding);
        let mut wanted = Vec::new();
        for name in subscribers.iter().map(|name| name.as_str()) {
            let unfinished = lock(&self.all).values().filter(|entry| entry.is_running(name)).count();
            if unfinished >= MAX_UNFINISHED {
                return Err(ReplayError::TooMany(name.to_owned()));
            }
            let until = self.reached(name)?.min(selection.until);
            let selection = Selection { until: until.max(selection.from), ..selection.clone() };
            let cursor = Cursor { next: selection.from, begun: selection.from, crashes: 0 };
            wanted.push(Replay {
                id: 0,
                subscriber: name.to_owned(),
                selection,
                rate,
                started: now,
                ended: None,
                state: ReplayState::Running,
                cursor,
                total: None,
                tally: Tally::default(),
            });
        }
        // Before it is looked up what there is: nothing of it goes any more.
        let holds: Vec<_> = wanted.iter().map(|replay| self.journal.hold(replay.cursor.next)).collect();
        let saved = self.state.add_replays(wanted).map_err(|error| {
            for hold in &holds {
                self.journal.release(hold);
            }
            ReplayError::State(error)
        })?;
        let mut views = Vec::new();
        for (replay, hold) in saved.into_iter().zip(holds) {
            let entry = Entry { replay, ahead: Tally::default(), hold: Some(hold), stretches: None, taken: false };
            views.push(entry.view());
            lock(&self.all).insert(entry.replay.id, entry);
        }
        self.count(views.iter().map(|view| view.id));
        Ok(views)
    }

    /// How many events a replay would be now, and how many more it would have been that are gone. Reads the indexes.
    pub(super) fn would_be(
        &self,
        subscriber: &SubscriberName,
        selection: &Selection,
    ) -> Result<(u64, u64), ReplayError> {
        let query = Query::new(selection.terms()).map_err(ReplayError::Selection)?;
        let until = self.reached(subscriber.as_str())?.min(selection.until);
        let stretches = self.stretches(subscriber.as_str(), selection.from.0..until.0, &query);
        Ok((stretches.count, stretches.gone))
    }

    /// Whether a subscriber takes events of a topic and type.
    pub(super) fn takes(&self, subscriber: &str, topic: &str, kind: Option<&str>) -> bool {
        lock(&self.lanes).get(subscriber).is_some_and(|lane| lane.route.matches(topic, kind))
    }

    /// The first event that a subscriber has not come to yet.
    fn reached(&self, subscriber: &str) -> Result<Seq, ReplayError> {
        let lanes = lock(&self.lanes);
        let lane = lanes.get(subscriber).ok_or_else(|| ReplayError::UnknownSubscriber(subscriber.to_owned()))?;
        Ok(lane.status.next().min(self.journal.commit().durable().next()))
    }

    fn stretches(&self, subscriber: &str, range: std::ops::Range<u64>, query: &Query) -> Stretches {
        let route = lock(&self.lanes).get(subscriber).map(|lane| lane.route.clone()).unwrap_or_default();
        if range.is_empty() {
            return Stretches::default();
        }
        self.journal.stretches(range, query, &|topic, kind| route.matches(topic, kind))
    }

    /// Every replay that is remembered, newest first.
    pub(super) fn views(&self) -> Vec<ReplayView> {
        lock(&self.all).values().rev().map(Entry::view).collect()
    }

    /// Ends a replay. What is under way is finished, and what was refused stays owed. Answers nothing if there is no
    /// such replay, and how it stands if it has ended already. Waits for the disk.
    pub(super) fn cancel(&self, id: u64, now: Millis) -> Result<Option<ReplayView>, String> {
        let saved = {
            let mut all = lock(&self.all);
            let Some(entry) = all.get_mut(&id) else { return Ok(None) };
            if entry.replay.state != ReplayState::Running {
                return Ok(Some(entry.view()));
            }
            (entry.replay.state, entry.replay.ended) = (ReplayState::Cancelled, Some(now));
            if !entry.taken
                && let Some(hold) = entry.hold.take()
            {
                self.journal.release(&hold);
            }
            entry.replay.clone()
        };
        let subscriber = saved.subscriber.clone();
        self.state.save_replay(saved)?;
        self.ring(&subscriber);
        let mut all = lock(&self.all);
        forget_old(&mut all);
        Ok(all.get(&id).map(Entry::view))
    }

    /// How many events the replays of a subscriber have still to do, as far as they were counted.
    pub(super) fn remaining(&self, subscriber: &str) -> u64 {
        let all = lock(&self.all);
        let views = all.values().filter(|entry| entry.is_running(subscriber)).map(Entry::view);
        views.map(|view| view.total.map_or(0, |total| total.saturating_sub(view.done + view.gone))).sum()
    }

    fn ring(&self, subscriber: &str) {
        if let Some(lane) = lock(&self.lanes).get(subscriber) {
            lane.bell.notify_one();
        }
    }

    /// Has replays looked up in the background.
    fn count(self: &Arc<Self>, ids: impl IntoIterator<Item = u64>) {
        let mut to_count = lock(&self.to_count);
        to_count.queue.extend(ids);
        if to_count.queue.is_empty() || std::mem::replace(&mut to_count.busy, true) {
            return;
        }
        let replays = Arc::clone(self);
        if let Err(error) = std::thread::Builder::new().name("replays".into()).spawn(move || replays.count_all()) {
            tracing::error!(%error, "cannot look up the events of a replay: it begins after the next start");
            to_count.busy = false;
        }
    }

    fn count_all(&self) {
        loop {
            let id = {
                let mut to_count = lock(&self.to_count);
                let id = to_count.queue.pop_front();
                to_count.busy = id.is_some();
                id
            };
            let Some(id) = id else { return };
            let Some(replay) = lock(&self.all).get(&id).map(|entry| entry.replay.clone()) else { continue };
            let range = replay.cursor.next.0..replay.selection.until.0;
            // It was read when the replay was asked for.
            let query = Query::new(replay.selection.terms()).unwrap_or_default();
            let stretches = self.stretches(&replay.subscriber, range, &query);
            if let Some(entry) = lock(&self.all).get_mut(&id) {
                let tally = &mut entry.replay.tally;
                if entry.replay.total.is_none() {
                    tally.gone = stretches.gone;
                }
                entry.replay.total = Some(tally.done + tally.gone + stretches.count);
                entry.stretches = Some(Arc::new(stretches));
            }
            self.ring(&replay.subscriber);
        }
    }

    /// The next replay of a subscriber, once its events have been looked up.
    pub(super) fn take(&self, subscriber: &str) -> Option<Taken> {
        let mut all = lock(&self.all);
        let entry = all.values_mut().find(|entry| entry.is_running(subscriber))?;
        let stretches = entry.stretches.clone()?;
        let hold = entry.hold.clone()?;
        entry.taken = true;
        Some(Taken { replay: entry.replay.clone(), hold, stretches })
    }

    /// Whether somebody has ended it.
    pub(super) fn is_cancelled(&self, id: u64) -> bool {
        lock(&self.all).get(&id).is_none_or(|entry| entry.replay.state == ReplayState::Cancelled)
    }

    /// Takes down how far a replay has come; `ahead`: what was handled behind its cursor. Answers what is to be saved.
    pub(super) fn note(&self, id: u64, cursor: Cursor, tally: Tally, ahead: Tally) -> Option<Replay> {
        let mut all = lock(&self.all);
        let entry = all.get_mut(&id)?;
        entry.ahead = ahead;
        (entry.replay.cursor, entry.replay.tally) = (cursor, tally);
        Some(entry.replay.clone())
    }

    /// A worker has done all of it, or all that it will after it was cancelled. Answers what is to be saved.
    pub(super) fn end(&self, id: u64, now: Millis) -> Option<Replay> {
        let mut all = lock(&self.all);
        let entry = all.get_mut(&id)?;
        let Replay { state, ended, total, tally, .. } = &mut entry.replay;
        if *state == ReplayState::Running {
            (*state, *ended) = (ReplayState::Done, Some(now));
            // What was counted and not come across is not there any more.
            tally.gone = total.unwrap_or(0).saturating_sub(tally.done).max(tally.gone);
            *total = Some(tally.done + tally.gone);
        }
        (entry.hold, entry.stretches, entry.taken) = (None, None, false);
        let saved = entry.replay.clone();
        forget_old(&mut all);
        Some(saved)
    }

    /// Whether replayed events of this cost may go now, or when to ask again.
    pub(super) fn leave(&self, cost: u32) -> Result<(), Instant> {
        lock(&self.pace).leave(Instant::now(), self.journal.commit().durable(), cost)
    }
}

fn forget_old(all: &mut BTreeMap<u64, Entry>) {
    let ended = |entry: &Entry| entry.replay.state != ReplayState::Running && !entry.taken;
    let surplus = all.values().filter(|entry| ended(entry)).count().saturating_sub(MAX_ENDED);
    let old: Vec<u64> = all.iter().filter(|(_, entry)| ended(entry)).map(|(&id, _)| id).take(surplus).collect();
    for id in old {
        all.remove(&id);
    }
}
