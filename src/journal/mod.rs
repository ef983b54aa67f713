//! The durable, ordered log of events: the only truth.
//!
//! The cast:
//!
//! - a [`Record`] is made by the way in and queued with [`Journal::append`], which gives a [`Ticket`];
//! - the *writer*, one thread, takes all that is queued, numbers it, writes it, syncs once, and raises the tail;
//! - [`Commit`] tells who waits for a ticket, through the [`Lane`] of their thread;
//! - a [`Reader`] reads what is durable, in order; a [`Watch`] wakes it when something it wants has come;
//! - [`lookup`] finds events by what stands in the indexes;
//! - the *sweeper*, another thread, watches the free space and retires segments that nobody needs any more;
//! - `state::State` keeps beside the log where each subscriber is, and what was refused.
//!
//! Promised: an event whose ticket came back good is on stable storage (with [`Sync::Always`]) and will be read by
//! every reader, byte for byte, in the same place of the order, until it is retired. Not promised: anything about an
//! event whose ticket did not come back; it may be read later or not. Damage on the disk is stepped over, counted, and
//! never handed out.
//!
//! One process owns the directory. The files: `NNN.log` segments and `NNN.idx` their indexes (NNN: the number of the
//! first event), `spare-NNN.log` segments to be used again, `state.sqlite`, `lock`, and
//! `reserve`, space that a start on a full disk gives up to be able to open the state.

mod codec;
pub mod commit;
mod dedupe;
pub mod disk;
mod index;
pub mod lookup;
mod reader;
mod recover;
mod segment;
mod shared;
pub mod state;
mod stats;
mod stepped;
mod sweep;
mod watch;
mod writer;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use uuid::Uuid;

pub use codec::{DedupeKey, Draft, Record, TooLarge};
pub use commit::{Commit, Lane, NotRecorded, Ticket};
pub use dedupe::key as dedupe_key;
pub use reader::{Reader, Recorded};
pub use recover::OpenError;
pub use stats::Stats;
pub use stepped::Stepped;
pub use sweep::{Hold, Keeper};
pub use watch::{Position, Wants, Watch};

use commit::lock;
use disk::Disk;
use shared::{Queue, Shared};
use sweep::Retain;
use writer::Writer;

use crate::event::{EventId, Millis, Seq};

/// When an event counts as recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sync {
    /// After `fdatasync`.
    #[default]
    Always,
    /// When the kernel has it: lost if the machine goes down, not if the process does.
    Never,
}

/// What is configured of the journal.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The directory.
    pub path: PathBuf,
    /// When an event counts as recorded.
    pub sync: Sync,
    /// Events that every subscriber is done with are kept this long...
    pub retain_age: Duration,
    /// ...and as long as the journal is no larger than this, in bytes.
    pub retain_size: u64,
    /// Below this much free space on the disk, in bytes, nothing is accepted.
    pub min_free: u64,
}

/// The size of an ordinary segment, in bytes, where there is room for it.
const SEGMENT_SIZE: u64 = 64 << 20;

/// A segment is not made smaller than this for want of room.
const SMALLEST_SEGMENT: u64 = 1 << 20;

/// The most events that wait for the writer at once; beyond it the ingress answers 503.
const MAX_QUEUED: usize = 65_536;

/// Why an event was not even queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The disk is too full.
    NoSpace,
    /// Too many events wait for the writer.
    QueueFull,
    /// The journal is closed, or was given up after a failed write.
    Closed,
}

/// What became of an event that was offered.
#[derive(Debug, Clone, Copy)]
pub struct Appended {
    /// The event's id: its own, or that of the first one where it was seen before.
    pub id: EventId,
    /// When this is redeemed, the event is recorded.
    pub ticket: Ticket,
    /// It was seen before, and is not recorded again.
    pub duplicate: bool,
}

/// A handle on the journal. Clones share it.
#[derive(Clone)]
pub struct Journal {
    shared: Arc<Shared>,
    threads: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("id", &self.shared.id).finish_non_exhaustive()
    }
}

/// What is wanted of a journal beside its settings.
#[derive(Debug, Clone, Copy)]
pub struct Opening {
    /// The longest time any topic remembers delivery ids.
    pub dedupe: Duration,
    /// An event known to have been recorded, whatever the log says.
    pub floor: Seq,
    /// The time by the wall clock.
    pub now: Millis,
}

impl Journal {
    /// Opens the journal in a directory, recovering what the last run left, and starts its threads.
    ///
    /// # Errors
    /// When the files cannot be read or written, or belong to a later version.
    pub fn open(
        disk: Arc<dyn Disk>,
        settings: &Settings,
        opening: Opening,
        keeper: Arc<dyn Keeper>,
    ) -> Result<Self, OpenError> {
        let (journal, mut writer) = Self::assemble(disk, settings, opening, (SMALLEST_SEGMENT, SEGMENT_SIZE))?;
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new().name(name.into()).spawn(work).map_err(OpenError::Io)
        };
        let shared = Arc::clone(&journal.shared);
        lock(&shared.holds).push(Arc::clone(&shared.opening));
        let threads = vec![
            spawn("journal-writer", Box::new(move || writer.run()))?,
            spawn("journal-sweeper", Box::new(move || sweep::run(&shared, &*keeper)))?,
        ];
        *lock(&journal.threads) = threads;
        Ok(journal)
    }

    fn assemble(
        disk: Arc<dyn Disk>,
        settings: &Settings,
        opening: Opening,
        segment_sizes: (u64, u64),
    ) -> Result<(Self, Writer), OpenError> {
        let Opening { dedupe, floor, now } = opening;
        let found = recover::recover(&*disk, floor, now, dedupe, dedupe::MAX_REMEMBERED)?;
        if found.torn {
            tracing::warn!(
                behind = found.last.0,
                "the end of the last run's journal is torn: cut off what was never answered"
            );
        }
        let stats = Stats::new();
        for (from, count) in found.damaged {
            stats.damage(from, count);
        }
        let shared = Arc::new(Shared {
            disk,
            id: found.id,
            sync: settings.sync,
            retain: Mutex::new(Retain { age: settings.retain_age, size: settings.retain_size, dedupe }),
            min_free: AtomicU64::new(settings.min_free),
            queue: Mutex::new(Queue {
                pending: Vec::new(),
                next: found.last.next(),
                dedupe: found.dedupe,
                closed: false,
                writer_waits: false,
            }),
            bell: Condvar::new(),
            commit: Commit::new(found.last),
            segments: RwLock::new(found.segments),
            spares: Mutex::new(found.spares),
            orphans: Mutex::new(found.orphans),
            spans: Mutex::new(found.spans),
            watches: Mutex::default(),
            holds: Mutex::default(),
            opening: Arc::new(Hold::new(Seq(0))),
            room: AtomicBool::new(true),
            segment_sizes,
            stats,
        });
        let mut writer = Writer::new(Arc::clone(&shared), found.epoch);
        sweep::look_at_space(&shared);
        writer.prepare()?;
        Ok((Self { shared, threads: Arc::default() }, writer))
    }

    /// Queues an event. It is recorded when the ticket says so, and not before.
    ///
    /// `dedupe`: if an event with the same [`DedupeKey`] was recorded within this time, that one counts.
    ///
    /// # Errors
    /// Why the event was not queued.
    pub fn append(&self, record: Record, dedupe: Option<Duration>) -> Result<Appended, Refused> {
        let appended = self.queue(record, dedupe)?;
        self.ring_writer();
        Ok(appended)
    }

    /// As [`Journal::append`], but the writer is not told: [`Lane::recorded`] sees to that, together with others.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub fn queue(&self, record: Record, dedupe: Option<Duration>) -> Result<Appended, Refused> {
        if !self.shared.room.load(Ordering::Relaxed) {
            return Err(Refused::NoSpace);
        }
        let mut queue = lock(&self.shared.queue);
        if queue.closed {
            return Err(Refused::Closed);
        }
        if queue.pending.len() >= MAX_QUEUED {
            return Err(Refused::QueueFull);
        }
        let generation = self.shared.commit.generation();
        if let Some(window) = dedupe
            && let Some(id) = queue.dedupe.find(&record.key, record.time, window)
        {
            // The first one may still wait for its sync; all that is queued so far includes it.
            let ticket = Ticket { seq: Seq(queue.next.0 - 1), generation };
            return Ok(Appended { id, ticket, duplicate: true });
        }
        let seq = queue.next;
        queue.next = seq.next();
        let id = record.id;
        if queue.dedupe.insert(record.key, id, record.time) {
            self.shared.stats.forgot_early();
        }
        queue.pending.push(record);
        Ok(Appended { id, ticket: Ticket { seq, generation }, duplicate: false })
    }

    /// Tells the writer that something is queued, if it waits.
    fn ring_writer(&self) {
        let wake = std::mem::take(&mut lock(&self.shared.queue).writer_waits);
        if wake {
            self.shared.bell.notify_one();
        }
    }

    /// What an event is known by while delivery ids are remembered.
    #[must_use]
    pub fn dedupe_key(&self, topic: &str, delivery_id: &str, body: &[u8]) -> DedupeKey {
        dedupe::key(self.shared.id, topic, delivery_id, body)
    }

    /// The journal's own id: the same for as long as the directory is.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.shared.id
    }

    /// What tells of commits.
    #[must_use]
    pub fn commit(&self) -> &Commit {
        &self.shared.commit
    }

    /// Figures for metrics.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.shared.stats
    }

    /// Whether events are being taken: there is space, and no write has failed.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.shared.room.load(Ordering::Relaxed) && !self.shared.commit.is_broken()
    }

    /// The number of the oldest event that is still there.
    #[must_use]
    pub fn earliest(&self) -> Seq {
        self.shared.segments().keys().next().map_or(self.shared.commit.durable().next(), |&base| Seq(base))
    }

    /// The bytes of all segments.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.shared.segments().values().map(|segment| segment.bytes.load(Ordering::Relaxed)).sum()
    }

    /// A reader that begins there.
    #[must_use]
    pub fn reader(&self, from: Position) -> Reader {
        Reader::new(Arc::clone(&self.shared), from)
    }

    /// How many events in a range are of a wanted topic and type. Reads the indexes: not for a runtime's thread.
    #[must_use]
    pub fn count(&self, range: std::ops::Range<u64>, wants: &dyn Fn(&str, Option<&str>) -> bool) -> u64 {
        self.shared.count(range, wants)
    }

    /// A standing request to be woken for events of some topics and types.
    #[must_use]
    pub fn watch(&self, wants: Wants) -> Arc<Watch> {
        let mut watches = lock(&self.shared.watches);
        // Events are offered under this lock, a batch at a time.
        watches.add(wants, self.shared.commit.offered().next())
    }

    /// Takes a [`Journal::watch`] back.
    pub fn unwatch(&self, watch: &Arc<Watch>) {
        lock(&self.shared.watches).remove(watch);
    }

    /// Keeps events from `from` on until the hold is moved or let go.
    #[must_use]
    pub fn hold(&self, from: Seq) -> Arc<Hold> {
        let hold = Arc::new(Hold::new(from));
        lock(&self.shared.holds).push(Arc::clone(&hold));
        hold
    }

    /// Says that every reader from before this start has its hold. Until then nothing is retired.
    pub fn begin_retention(&self) {
        self.release(&self.shared.opening);
    }

    /// Lets a hold go.
    pub fn release(&self, hold: &Arc<Hold>) {
        lock(&self.shared.holds).retain(|other| !Arc::ptr_eq(other, hold));
    }

    /// Changes what is kept for how long, and how much space is left alone. `dedupe`: the longest time any topic remembers
    /// delivery ids; what was forgotten already stays so.
    pub fn retune(&self, settings: &Settings, dedupe: Duration) {
        *lock(&self.shared.retain) = Retain { age: settings.retain_age, size: settings.retain_size, dedupe };
        self.shared.min_free.store(settings.min_free, Ordering::Relaxed);
        self.shared.stats.wake_sweeper();
    }

    /// Takes no further event, writes what is queued, and ends the threads.
    pub fn close(&self) {
        lock(&self.shared.queue).closed = true;
        self.shared.bell.notify_all();
        self.shared.stats.wake_sweeper();
        for thread in lock(&self.threads).drain(..) {
            // A thread that panicked has ended the process in a release build.
            let _ = thread.join();
        }
    }
}
