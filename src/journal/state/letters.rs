//! What can be asked and done with dead letters, and asked of what was refused. Nothing here holds up a thread, nor the
//! state for long: what concerns many letters is done a stretch at a time.

use std::collections::BTreeMap;

use super::{Attempt, Owed, State, Unconfigured};
use crate::event::{EventId, Millis, Seq};
use crate::name::Pattern;

/// Which dead letters of a subscriber.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// All there are.
    All,
    /// Those of some events. Of others nothing is said.
    Events(Vec<EventId>),
}

/// What becomes of a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is called back: owed again, with a new round of attempts.
    CalledBack,
    /// It is dropped. That it was is noted among its attempts.
    Dropped,
}

/// Events from one number to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// The first.
    pub from: Seq,
    /// The last.
    pub to: Seq,
}

/// What one step of calling back or dropping has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// How many letters it concerned.
    pub count: u64,
    /// When the oldest of their events was received.
    pub oldest: Option<Millis>,
    /// Where the next step begins; none: this was the last.
    pub next: Option<Seq>,
}

/// A dead letter, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The subscriber, configured or not.
    pub subscriber: String,
    /// The letter.
    pub owed: Owed,
}

/// A place in the list of dead letters: behind the one of that event and subscriber.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The event.
    pub seq: Seq,
    /// The subscriber.
    pub subscriber: String,
}

/// Which dead letters are looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wish {
    /// Those of one subscriber.
    pub subscriber: Option<String>,
    /// Those of events of some topics and types. Those whose topic is not known are there as well.
    pub topic: Option<Pattern>,
    /// Those behind that place.
    pub before: Option<Place>,
    /// At most so many.
    pub limit: usize,
}

/// Some dead letters, those of the newest events first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The letters: fewer than were wished for where much had to be looked through.
    pub letters: Vec<Letter>,
    /// Where the list goes on; none: this is its end.
    pub next: Option<Place>,
}

/// A subscriber that is saved and not configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Other {
    /// What it is owed.
    pub of: Unconfigured,
    /// The first event it has not examined.
    pub next: Seq,
    /// What it wanted last, a pattern a line; empty where that is not known.
    pub wanted: String,
}

/// What is noted of one event for one subscriber.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Noted {
    /// The delivery, where it is owed or dead.
    pub owed: Option<Owed>,
    /// Attempts that were refused, and what followed them, oldest first.
    pub attempts: Vec<Attempt>,
    /// What the subscriber wanted when it examined the event; empty: it was not there yet.
    pub wanted: Option<String>,
}

/// Deliveries of one event that are not done with, by how they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Refused {
    /// Tried again.
    pub retrying: u32,
    /// Given up.
    pub dead: u32,
}

impl State {
    /// Calls back or drops dead letters of a subscriber: those of a stretch, as many as one step looks at. With
    /// [`Which::Events`] one step is all, and the stretch does not matter.
    ///
    /// # Errors
    /// When the state cannot be written, or something that was sent before waits to be written: nothing was done.
    pub async fn decide(
        &self,
        subscriber: &str,
        fate: Fate,
        which: Which,
        stretch: Stretch,
        now: Millis,
    ) -> Result<Step, String> {
        let name = subscriber.to_owned();
        self.ask(move |store| store.decide(&name, fate, &which, stretch, now)).await?
    }

    /// Takes up the first of those that were called back, at most `limit`. Answers also when the event of the first that
    /// is left was received.
    ///
    /// # Errors
    /// As [`State::decide`].
    pub async fn take_up(&self, subscriber: &str, limit: u32) -> Result<(Vec<Owed>, Option<Millis>), String> {
        let name = subscriber.to_owned();
        self.ask(move |store| store.take_up(&name, limit)).await?
    }

    /// Dead letters of all subscribers, those of the newest events first.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn letters(&self, wish: Wish) -> Result<Page, String> {
        self.ask(move |store| store.letters(&wish)).await?
    }

    /// What is noted of one event, by subscriber: of all that were ever saved, configured or not.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn noted(&self, seq: Seq) -> Result<BTreeMap<String, Noted>, String> {
        self.ask(move |store| store.noted(seq)).await?
    }

    /// How the deliveries of some events stand that are not done with. Events that have none are left out.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn refused(&self, seqs: Vec<Seq>) -> Result<BTreeMap<Seq, Refused>, String> {
        self.ask(move |store| store.refused(&seqs)).await?
    }

    /// Notes that a subscriber is paused, or is not any more, on stable storage before this answers.
    ///
    /// # Errors
    /// When that failed: it is as it was before.
    pub async fn pause(&self, subscriber: &str, paused: bool) -> Result<(), String> {
        let name = subscriber.to_owned();
        self.ask(move |store| store.pause(&name, paused)).await?
    }

    /// Those that are saved and are not among these names. `last`: the last event there is.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn others(&self, names: Vec<String>, last: Seq) -> Result<Vec<Other>, String> {
        self.ask(move |store| store.others(&names, last)).await?
    }

    /// The subscribers that are paused. Waits for the disk: for the start only.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn paused(&self) -> Result<Vec<String>, String> {
        self.call(|store| store.paused())?
    }

    /// Notes what a subscriber wants from an event on, the first it will examine. Of one that is not new and of which
    /// nothing was noted before, it is taken that it always wanted this. Waits for the disk.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn wants(&self, subscriber: &str, from: Seq, is_new: bool, patterns: &str) -> Result<(), String> {
        let (name, patterns) = (subscriber.to_owned(), patterns.to_owned());
        self.call(move |store| store.want(&name, from, is_new, &patterns))?
    }
}
