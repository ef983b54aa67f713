//! Replays: events of the past that one subscriber gets again, by a second cursor that has an end.

use crate::event::{Event, Millis, Seq};
use crate::journal::lookup::Terms;

use std::collections::BTreeMap;

use super::store::Store;
use super::{Cursor, Owed, State};

/// Which events are delivered again. All conditions must hold; what is absent is not asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The first event.
    pub from: Seq,
    /// The first event that is not meant any more.
    pub until: Seq,
    /// A topic, or a pattern as a subscriber has them.
    pub topic: Option<String>,
    /// A type; `*` stands for any run of characters.
    pub kind: Option<String>,
    /// Received at this moment or later.
    pub since: Option<Millis>,
    /// Received before this moment.
    pub until_time: Option<Millis>,
    /// Part of the topic, type, delivery id or event id.
    pub q: Option<String>,
}

impl Selection {
    /// One event.
    #[must_use]
    pub fn one(seq: Seq) -> Self {
        Self { from: seq, until: seq.next(), ..Self::default() }
    }

    /// All conditions but the numbers.
    #[must_use]
    pub fn terms(&self) -> Terms<'_> {
        Terms {
            topic: self.topic.as_deref(),
            kind: self.kind.as_deref(),
            since: self.since,
            until: self.until_time,
            text: self.q.as_deref(),
        }
    }
}

/// Everything there is.
impl Default for Selection {
    fn default() -> Self {
        let (topic, kind, q) = (None, None, None);
        Self { from: Seq(1), until: Seq(u64::MAX >> 1), topic, kind, since: None, until_time: None, q }
    }
}

/// How many replays are remembered that have ended.
pub const MAX_ENDED: usize = 100;

/// How a replay stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplayState {
    /// Waiting for its turn, or under way.
    Running,
    /// Every event has been handled.
    Done,
    /// Somebody ended it.
    Cancelled,
}

/// How far a replay has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Events that were handled: delivered, owed, or passed over.
    pub done: u64,
    /// Those of them that were refused at the first attempt, and are owed since.
    pub failed: u64,
    /// Events that are not there any more.
    pub gone: u64,
}

/// One replay, as it is saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// Its number, which is never given out again.
    pub id: u64,
    /// Who gets the events.
    pub subscriber: String,
    /// Which events.
    pub selection: Selection,
    /// At most this many a second.
    pub rate: Option<u32>,
    /// When it was asked for.
    pub started: Millis,
    /// When it ended.
    pub ended: Option<Millis>,
    /// How it stands.
    pub state: ReplayState,
    /// Where it is; `begun` and `crashes` as for a subscriber's own cursor.
    pub cursor: Cursor,
    /// How many events it is, once they have been counted.
    pub total: Option<u64>,
    /// How many of the events before the cursor went which way.
    pub tally: Tally,
}

/// What was noted of one delivery before it is made again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Before {
    /// The delivery, where it is owed or dead.
    pub owed: Option<Owed>,
    /// The number of the last attempt that was noted; 0: none was.
    pub attempts: u32,
}

impl State {
    /// Saves new replays under numbers of their own, which they are given, all or none. On stable storage when it
    /// returns: waits for the disk.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn add_replays(&self, replays: Vec<Replay>) -> Result<Vec<Replay>, String> {
        self.call(move |store| store.add_replays(replays))?
    }

    /// Saves how replays stand. On stable storage when it returns: waits for the disk.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn save_replay(&self, replay: Replay) -> Result<(), String> {
        self.call(move |store| store.save_replay(&replay))?
    }

    /// All replays that are remembered, oldest first. Waits for the disk: for the start only.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn replays(&self) -> Result<Vec<Replay>, String> {
        self.call(Store::replays)?
    }

    /// What is noted of the deliveries of these events. Those of which nothing is are left out.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn before(&self, subscriber: &str, seqs: Vec<Seq>) -> Result<BTreeMap<Seq, Before>, String> {
        let name = subscriber.to_owned();
        self.ask(move |store| store.before(&name, &seqs)).await?
    }

    /// The first deliveries in a range that are owed or dead and whose events retention has taken out of the log, with
    /// these events; at most `limit`.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn kept_rows(
        &self,
        subscriber: &str,
        range: std::ops::Range<u64>,
        limit: usize,
    ) -> Result<Vec<(Owed, Event)>, String> {
        let name = subscriber.to_owned();
        self.ask(move |store| store.kept_rows(&name, range, limit)).await?
    }
}
