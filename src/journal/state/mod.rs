//! What is kept beside the log: where each subscriber is, what was refused, what is dead. In `SQLite`, readable with
//! `sqlite3 state.sqlite`.
//!
//! A cursor for what went well, rows for what did not: the happy path writes nothing for each delivery. The state may
//! lag behind what happened; then deliveries are repeated, never lost. It is written by one thread off the answer path,
//! which gathers everything that came while the last transaction ran, and goes on in memory while the disk is full.

mod bus;
pub mod letters;
mod replays;
mod store;
mod uses;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

pub use replays::{Before, MAX_ENDED, Replay, ReplayState, Selection, Tally};

use super::commit::lock;
use super::{Hold, Keeper};
use crate::event::{Event, EventId, Millis, Seq};

pub use bus::BusRow;
use store::Store;
pub use uses::SecretUse;

/// A delivery that was refused at least once and is not done with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    /// The event.
    pub seq: Seq,
    /// Its id.
    pub id: EventId,
    /// Attempts so far.
    pub attempts: u32,
    /// When it is tried again; for a dead letter, when it died.
    pub due: Millis,
    /// It was given up.
    pub dead: bool,
    /// An operator has called the dead letter back, and its worker has not taken it up yet.
    pub recalled: bool,
    /// It was under way when the process died: its next attempt is noted before it is made.
    pub suspect: bool,
    /// Why the last attempt failed.
    pub reason: String,
    /// Attempts that were made before it was last called back: they do not count any more.
    pub spent: u32,
    /// When it was last called back: its age counts from there.
    pub since: Option<Millis>,
    /// The event's topic; unknown of what an earlier version has noted.
    pub topic: Option<Box<str>>,
    /// The event's type.
    pub kind: Option<Box<str>>,
}

impl Owed {
    /// A delivery of which nothing is known but its event.
    #[must_use]
    pub fn of(event: &Event) -> Self {
        Self {
            seq: event.seq,
            id: event.id,
            attempts: 0,
            due: Millis::default(),
            dead: false,
            recalled: false,
            suspect: false,
            reason: String::new(),
            spent: 0,
            since: None,
            // Copies: the event's own texts would keep its body in memory.
            topic: Some((&*event.topic).into()),
            kind: event.kind.as_deref().map(Into::into),
        }
    }

    /// Attempts that count.
    #[must_use]
    pub fn round(&self) -> u32 {
        self.attempts.saturating_sub(self.spent)
    }
}

/// What [`Attempt::label`] says of one that ended well.
pub const DELIVERED: &str = "ok";

/// What [`Attempt::label`] says where a dead letter was dropped. It is no attempt, and ends their list.
pub const DROPPED: &str = "dropped";

/// One attempt that was refused, or that ended well after others were refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The event.
    pub seq: Seq,
    /// Which attempt, from 1.
    pub number: u32,
    /// When it ended.
    pub time: Millis,
    /// The short label of the refusal, [`DELIVERED`], or [`DROPPED`].
    pub label: String,
    /// What happened.
    pub reason: String,
    /// The HTTP status, where there was one.
    pub status: Option<u16>,
    /// The beginning of the answer.
    pub answer: Vec<u8>,
    /// How long it took; unknown of what an earlier version has noted.
    pub took: Option<Duration>,
}

/// Where a subscriber is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The first event it has not examined.
    pub next: Seq,
    /// Events before this may have been tried although the cursor has not passed them.
    pub begun: Seq,
    /// How often in a row the process died with deliveries begun and none done.
    pub crashes: u32,
}

/// What is saved of a subscriber.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// Where it is.
    pub cursor: Cursor,
    /// What it owes, dead letters and those that were called back not included.
    pub owed: Vec<Owed>,
    /// How many dead letters it has.
    pub dead: u64,
    /// Those that were called back.
    pub recalled: Recalled,
}

/// Dead letters that were called back and wait in the state to be taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recalled {
    /// How many.
    pub count: u64,
    /// When the event of the first was received.
    pub oldest: Option<Millis>,
}

/// What is known of a subscriber at start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Memory {
    /// It was never seen before.
    New,
    /// This is where it was.
    Saved(Saved),
    /// It was there, but what was saved is lost: it begins with the oldest event, and repeats what it had. What is left
    /// of it is in [`State::start_over`].
    Lost,
}

/// A subscriber the state knows and the configuration does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unconfigured {
    /// Its name.
    pub name: String,
    /// It has not read the journal to the end, or not all that it is to replay.
    pub behind: bool,
    /// Refused deliveries it still owes.
    pub owed: u64,
    /// Its dead letters.
    pub dead: u64,
}

impl Unconfigured {
    /// Whether there is anything to keep of it.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.behind || self.owed + self.dead > 0
    }
}

/// A change of one subscriber's state.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// The new cursor.
    pub cursor: Option<Cursor>,
    /// Rows to write, or to remove.
    pub rows: BTreeMap<Seq, Option<Owed>>,
    /// Attempts to note.
    pub attempts: Vec<Attempt>,
    /// Replays that have come further, by their numbers.
    pub replays: BTreeMap<u64, Replay>,
}

/// The most attempts that wait in memory while the state cannot be written. Beyond it the oldest are not noted.
const MAX_WAITING_ATTEMPTS: usize = 10_000;

impl Change {
    fn merge(&mut self, later: Self) {
        self.cursor = later.cursor.or(self.cursor);
        self.rows.extend(later.rows);
        self.attempts.extend(later.attempts);
        self.replays.extend(later.replays);
        if let Some(surplus) = self.attempts.len().checked_sub(MAX_WAITING_ATTEMPTS) {
            self.attempts.drain(..surplus);
        }
    }
}

enum Job {
    Change {
        subscriber: String,
        change: Change,
        holds: Vec<(Arc<Hold>, Seq)>,
    },
    /// Something to be done with the store, behind all that was sent before.
    Call(Box<dyn FnOnce(&mut Store) + Send>),
}

/// A handle on the state. Clones share it.
#[derive(Debug, Clone)]
pub struct State {
    jobs: Sender<Job>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
    /// What was saved is lost, and not all subscribers have begun anew yet.
    lost: Arc<AtomicBool>,
}

impl State {
    /// Opens the state beside a log. `log_has_events`: whether there is anything it should know of.
    ///
    /// A state that is damaged is put aside, and every subscriber begins anew with the oldest event.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn open(directory: &Path, log_has_events: bool) -> Result<Self, String> {
        let (store, lost) = Store::open(directory, log_has_events)?;
        let (jobs, inbox) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("journal-state".into())
            .spawn(move || run(store, &inbox))
            .map_err(|error| error.to_string())?;
        Ok(Self { jobs, thread: Arc::new(Mutex::new(Some(thread))), lost: Arc::new(AtomicBool::new(lost)) })
    }

    /// Has something done on the state's thread, behind everything that was sent before, and waits for it.
    fn call<T: Send + 'static>(&self, work: impl FnOnce(&mut Store) -> T + Send + 'static) -> Result<T, String> {
        let (answer, inbox) = mpsc::sync_channel(1);
        let job = Job::Call(Box::new(move |store| {
            // Whoever asked may be gone by now.
            let _ = answer.send(work(store));
        }));
        self.jobs.send(job).map_err(|_| "the state is closed".to_owned())?;
        inbox.recv().map_err(|_| "the state is closed".to_owned())
    }

    /// As [`State::call`], without holding up a thread.
    async fn ask<T: Send + 'static>(&self, work: impl FnOnce(&mut Store) -> T + Send + 'static) -> Result<T, String> {
        let closed = || "the state is closed".to_owned();
        let (answer, done) = tokio::sync::oneshot::channel();
        let job = Job::Call(Box::new(move |store| {
            // Whoever asked may be gone by now.
            let _ = answer.send(work(store));
        }));
        self.jobs.send(job).map_err(|_| closed())?;
        done.await.map_err(|_| closed())
    }

    /// What is known of a subscriber. Waits for the disk: not for a runtime's thread once there is work.
    ///
    /// # Errors
    /// When the state cannot be read, or something that was sent before waits to be written.
    pub fn recall(&self, subscriber: &str) -> Result<Memory, String> {
        let name = subscriber.to_owned();
        let memory = self.call(move |store| store.recall(&name))??;
        Ok(if memory == Memory::New && self.lost.load(Ordering::SeqCst) { Memory::Lost } else { memory })
    }

    /// Says that all subscribers there were have said where they begin: one that is unknown from now on is new, even if
    /// what was saved was lost.
    pub fn all_have_begun(&self) {
        self.lost.store(false, Ordering::SeqCst);
    }

    /// Forgets what was saved of a subscriber that begins anew with the event `earliest`, but for what it is known to
    /// owe of the events before that, which are kept outside the log.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn start_over(&self, subscriber: &str, earliest: Seq) -> Result<Saved, String> {
        let name = subscriber.to_owned();
        self.call(move |store| store.start_over(&name, earliest))?
    }

    /// Puts all that was sent before on stable storage. Waits for the disk.
    ///
    /// # Errors
    /// When that failed.
    pub fn barrier(&self) -> Result<(), String> {
        self.call(Store::barrier)?
    }

    /// Notes a change soon. Once it is written, the holds are moved on, so that retention may follow.
    pub fn change(&self, subscriber: &str, change: Change, holds: impl IntoIterator<Item = (Arc<Hold>, Seq)>) {
        let holds = holds.into_iter().collect();
        // After the close nothing is written any more; what is not noted is delivered again.
        let _ = self.jobs.send(Job::Change { subscriber: subscriber.to_owned(), change, holds });
    }

    /// Waits until everything sent before has been tried to be written, without holding up a thread.
    pub async fn settled(&self) {
        // Closed in between: nothing is written any more.
        let _ = self.ask(|_| ()).await;
    }

    /// The highest number any cursor has: an event known to have been recorded.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn floor(&self) -> Result<Seq, String> {
        self.call(|store| store.floor())?
    }

    /// The event of a number that retention has taken out of the log, where it is still owed.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn kept(&self, seq: Seq) -> Result<Option<Event>, String> {
        self.ask(move |store| store.kept(seq)).await?
    }

    /// The same by the event's id: it may be kept for longer than the log's indexes know it.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn kept_by_id(&self, id: EventId) -> Result<Option<Event>, String> {
        self.ask(move |store| store.kept_by_id(id)).await?
    }

    /// Forgets subscribers that are no longer configured and owed nothing. The others are kept as they are, for the
    /// day they are configured again: a name misspelt once must not cost an event. `last`: the last event there is.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn retain_subscribers(&self, names: Vec<String>, last: Seq) -> Result<Vec<Unconfigured>, String> {
        self.call(move |store| store.retain_subscribers(&names, last))?
    }

    /// As [`State::retain_subscribers`], for one that has left. Nothing is answered if it was not known.
    ///
    /// # Errors
    /// When the state cannot be written, or something that was sent before waits to be written.
    pub async fn dismiss(&self, subscriber: &str, last: Seq) -> Result<Option<Unconfigured>, String> {
        let name = subscriber.to_owned();
        self.ask(move |store| store.dismiss(&name, last)).await?
    }

    /// The refused attempts of one delivery, in order.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn attempts(&self, subscriber: &str, seq: Seq) -> Result<Vec<Attempt>, String> {
        let name = subscriber.to_owned();
        self.call(move |store| store.attempts(&name, seq))?
    }

    /// Writes what was sent, and ends the thread.
    pub fn close(self) {
        let thread = lock(&self.thread).take();
        drop(self.jobs);
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

impl Keeper for State {
    fn needed(&self, range: std::ops::Range<u64>) -> Result<Vec<u64>, String> {
        // The cursors on which the holds rest must be on stable storage before anything behind them goes.
        self.call(move |store| {
            // What is before the oldest segment is gone.
            store.forget_attempts(range.start)?;
            store.barrier()?;
            store.needed(range)
        })?
    }

    fn keep(&self, events: &[Event]) -> Result<(), String> {
        let events = events.to_vec();
        self.call(move |store| store.keep(&events))?
    }
}

/// How long to wait before a transaction that failed is tried again.
const PAUSE: Duration = Duration::from_millis(500);

fn run(mut store: Store, inbox: &Receiver<Job>) {
    let mut waiting: HashMap<String, Change> = HashMap::new();
    let mut holds: Vec<(Arc<Hold>, Seq)> = Vec::new();
    let mut failing = false;
    loop {
        let first = if waiting.is_empty() {
            inbox.recv().ok()
        } else {
            match inbox.recv_timeout(PAUSE) {
                Ok(job) => Some(job),
                Err(mpsc::RecvTimeoutError::Timeout) => None,
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
            }
        };
        if first.is_none() && waiting.is_empty() {
            return;
        }
        let mut calls = Vec::new();
        for job in first.into_iter().chain(std::iter::from_fn(|| inbox.try_recv().ok())) {
            match job {
                Job::Change { subscriber, change, holds: moved } => {
                    waiting.entry(subscriber).or_default().merge(change);
                    holds.extend(moved);
                }
                Job::Call(call) => {
                    calls.push(call);
                    // What was sent after the question is not part of its answer.
                    break;
                }
            }
        }
        if !waiting.is_empty() {
            match store.write(&waiting) {
                Ok(()) => {
                    waiting.clear();
                    for (hold, next) in holds.drain(..) {
                        hold.advance(next);
                    }
                    if std::mem::take(&mut failing) {
                        tracing::warn!("the delivery state can be written again");
                    }
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::error!(%error, "cannot write the delivery state: deliveries go on, and are repeated if the process ends now");
                    }
                }
            }
        }
        store.behind = failing;
        for call in calls {
            call(&mut store);
        }
    }
}
