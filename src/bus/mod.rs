//! Backstage's event bus: subscribers without a sink, which read over HTTP and move their own cursors.
//!
//! - [`topics`]: what an event of the journal is called on the bus, and what a bus event is called in the journal;
//! - [`subscription`]: one reader's topics and pointer; [`Bus`]: all of them, which survive restarts.
//!
//! The semantics are those of Backstage's `events-backend` (<https://backstage.io/docs/plugins/events/>): reading moves the
//! pointer, the same id shares the work, different ids each get everything. What differs: a pointer is written down only
//! after its events were handed out, so that a crash repeats events and loses none.

pub mod subscription;
pub mod topics;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::event::{Millis, Seq};
use crate::journal::Journal;
use crate::journal::state::{BusRow, State};
use subscription::Subscription;

/// The most subscriptions there can be.
pub const MAX_SUBSCRIPTIONS: usize = 10_000;

/// The most topics of one subscription.
pub const MAX_TOPICS: usize = 1_000;

/// The longest id and the longest topic, in bytes.
pub const MAX_NAME: usize = 255;

/// All subscriptions of the bus.
#[derive(Debug)]
pub struct Bus {
    journal: Journal,
    state: State,
    all: Mutex<HashMap<String, Arc<Subscription>>>,
}

/// Why a subscription was not made or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BusError {
    /// There are as many as there can be.
    TooMany,
    /// It could not be written down.
    NotSaved(String),
}

/// A subscription as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Its id.
    pub id: String,
    /// Its topics.
    pub topics: Vec<String>,
    /// The first event it has not read.
    pub next: Seq,
    /// When it was last read or renewed.
    pub used: Millis,
    /// Events before `next` of which it has not got all.
    pub waiting: usize,
}

impl Bus {
    /// Takes up the subscriptions where the last run left them. To be called before [`Journal::begin_retention`].
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn open(journal: &Journal, state: &State, now: Millis) -> Result<Self, String> {
        let earliest = journal.earliest();
        let last = journal.commit().durable();
        let all = state.bus_subscriptions()?.into_iter().map(|row| {
            // A pointer beyond the end is of a journal that was lost.
            let next = row.next.clamp(earliest, last.next());
            // Nobody could read while nothing ran: that is no idleness.
            (row.id.clone(), Arc::new(Subscription::open(journal, BusRow { next, used: now, ..row })))
        });
        Ok(Self { journal: journal.clone(), state: state.clone(), all: Mutex::new(all.collect()) })
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Arc<Subscription>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The subscription of an id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<Arc<Subscription>> {
        self.all().get(id).cloned()
    }

    /// Makes a subscription that begins with the next event, or gives one other topics; its pointer stays. On stable storage
    /// when this returns.
    ///
    /// # Errors
    /// When there are too many, or it cannot be written down.
    pub async fn subscribe(&self, id: &str, topics: Vec<String>, by: &str, now: Millis) -> Result<(), BusError> {
        let saved = {
            let mut all = self.all();
            if !all.contains_key(id) && all.len() >= MAX_SUBSCRIPTIONS {
                return Err(BusError::TooMany);
            }
            let next = all.get(id).map_or_else(|| self.journal.commit().durable().next(), |known| known.next());
            let row = BusRow { id: id.to_owned(), topics, next, used: now, by: by.to_owned() };
            match all.get(id) {
                Some(known) => known.change(&self.journal, &row),
                None => {
                    all.insert(id.to_owned(), Arc::new(Subscription::open(&self.journal, row.clone())));
                }
            }
            row
        };
        self.state.save_bus_subscription(saved).await.map_err(BusError::NotSaved)
    }

    /// Writes down soon how far a subscription was read, and lets the journal go on.
    pub fn note(&self, subscription: &Subscription) {
        self.note_after(subscription, Duration::ZERO);
    }

    fn note_after(&self, subscription: &Subscription, rest: Duration) {
        if let Some((row, hold)) = subscription.unsaved(rest) {
            self.state.note_bus_pointer(row, hold);
        }
    }

    /// The same for all whose last read is at least that long ago, so that what it gave has arrived: for now and then, and
    /// for an orderly end.
    pub fn note_all(&self, rest: Duration) {
        let all: Vec<Arc<Subscription>> = self.all().values().cloned().collect();
        for subscription in all {
            self.note_after(&subscription, rest);
        }
    }

    /// Whether any subscription but those named wants a topic.
    #[must_use]
    pub fn wanted(&self, topic: &str, but: &[String]) -> bool {
        self.all().iter().any(|(id, subscription)| !but.contains(id) && subscription.has(topic))
    }

    /// Forgets subscriptions nobody has read or renewed for that long. Answers their ids.
    pub fn forget_idle(&self, idle: Duration, now: Millis) -> Vec<String> {
        let limit = i64::try_from(idle.as_millis()).unwrap_or(i64::MAX);
        let is_idle = |one: &Subscription| !one.is_read() && now.0.saturating_sub(one.used().0) > limit;
        let mut forgotten = Vec::new();
        self.all().retain(|id, subscription| {
            if !is_idle(subscription) {
                return true;
            }
            subscription.close(&self.journal);
            forgotten.push(id.clone());
            false
        });
        if !forgotten.is_empty() {
            self.state.forget_bus_subscriptions(forgotten.clone());
        }
        forgotten
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.all().len()
    }

    /// All of them, by id.
    #[must_use]
    pub fn views(&self) -> Vec<View> {
        let mut views: Vec<View> = self.all().values().map(|subscription| subscription.view()).collect();
        views.sort_by(|one, other| one.id.cmp(&other.id));
        views
    }
}
