//! Telling those who wait that their event is on stable storage.
//!
//! The writer raises one number after each sync. Every thread that serves requests has a *lane*: the waiters of its
//! own tasks, and one driver task. The writer wakes a lane's driver once a batch; the driver wakes its neighbours
//! without leaving the thread. Waking each waiter from the writer would cost a system call for each.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::Journal;
use crate::event::Seq;

/// Locks, whatever a panicking thread left behind: the values under these locks are whole at every moment.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why an event was not recorded although it was queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotRecorded {
    /// There was no space for it; the journal goes on and takes events again when there is.
    NoSpace,
    /// A write or sync failed: the journal takes no event any more until the next start.
    Broken,
}

/// What an event was given when it was queued: redeemed by [`Commit::outcome`].
#[derive(Debug, Clone, Copy)]
pub struct Ticket {
    pub(super) seq: Seq,
    /// Numbers are given out anew after a batch that found no space; this tells the two lives of a number apart.
    pub(super) generation: u64,
}

/// The state of the last commit, shared by the writer and all who wait.
#[derive(Debug, Default)]
pub struct Commit {
    durable: AtomicU64,
    /// All up to here was offered to the watching readers.
    offered: AtomicU64,
    broken: AtomicBool,
    generation: AtomicU64,
    /// For each generation that ended: the last event of it that was recorded.
    ends: Mutex<Vec<u64>>,
    lanes: Mutex<Vec<Arc<Lane>>>,
    /// For threads that wait without a runtime.
    bell: (Mutex<()>, Condvar),
}

impl Commit {
    pub(super) fn new(durable: Seq) -> Self {
        Self { durable: AtomicU64::new(durable.0), offered: AtomicU64::new(durable.0), ..Self::default() }
    }

    /// The last event on stable storage.
    #[must_use]
    pub fn durable(&self) -> Seq {
        Seq(self.durable.load(Ordering::SeqCst))
    }

    /// The last event that the watching readers were told of: a moment behind [`Commit::durable`].
    #[must_use]
    pub fn offered(&self) -> Seq {
        Seq(self.offered.load(Ordering::SeqCst))
    }

    pub(super) fn set_offered(&self, seq: Seq) {
        self.offered.store(seq.0, Ordering::SeqCst);
    }

    /// Whether a write or sync has failed.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::SeqCst)
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    /// What became of a ticket, if that is known yet.
    #[must_use]
    pub fn outcome(&self, ticket: Ticket) -> Option<Result<(), NotRecorded>> {
        if self.generation() != ticket.generation {
            let ends = lock(&self.ends);
            let end = usize::try_from(ticket.generation).ok().and_then(|n| ends.get(n)).copied().unwrap_or(u64::MAX);
            return Some(if ticket.seq.0 <= end { Ok(()) } else { Err(NotRecorded::NoSpace) });
        }
        if self.durable() >= ticket.seq {
            // The generation may have ended between the two looks, and the number been given out anew.
            return if self.generation() == ticket.generation { Some(Ok(())) } else { self.outcome(ticket) };
        }
        self.is_broken().then_some(Err(NotRecorded::Broken))
    }

    /// Says that all up to `durable` is on stable storage.
    pub(super) fn advance(&self, durable: Seq) {
        self.durable.store(durable.0, Ordering::SeqCst);
        self.ring();
    }

    /// Says that nothing after the last [`Commit::advance`] of this generation was recorded.
    pub(super) fn end_generation(&self) {
        lock(&self.ends).push(self.durable().0);
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.ring();
    }

    /// Says that nothing will be recorded any more.
    pub(super) fn break_off(&self) {
        self.broken.store(true, Ordering::SeqCst);
        self.ring();
    }

    fn ring(&self) {
        for lane in &*lock(&self.lanes) {
            lane.ring();
        }
        // Taken and let go, so that nobody is between looking and waiting.
        drop(lock(&self.bell.0));
        self.bell.1.notify_all();
    }

    /// A lane for the tasks of one thread.
    pub fn lane(&self) -> Arc<Lane> {
        let lane = Arc::new(Lane::default());
        lock(&self.lanes).push(Arc::clone(&lane));
        lane
    }

    /// Takes a lane out again.
    pub fn leave(&self, lane: &Arc<Lane>) {
        lock(&self.lanes).retain(|other| !Arc::ptr_eq(other, lane));
    }

    /// Waits on this thread for a ticket's outcome. For threads outside a runtime.
    ///
    /// # Errors
    /// Why the event was not recorded.
    pub fn wait(&self, ticket: Ticket) -> Result<(), NotRecorded> {
        let mut guard = lock(&self.bell.0);
        loop {
            if let Some(outcome) = self.outcome(ticket) {
                return outcome;
            }
            guard = self.bell.1.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The waiters of one thread.
#[derive(Debug, Default)]
pub struct Lane {
    inner: Mutex<Waiters>,
}

#[derive(Debug, Default)]
struct Waiters {
    queue: VecDeque<(Ticket, Waker)>,
    driver: Option<Waker>,
    /// Something was queued, and the writer has not been told.
    queued: bool,
}

impl Lane {
    fn ring(&self) {
        let driver = {
            let mut inner = lock(&self.inner);
            if inner.queue.is_empty() { None } else { inner.driver.take() }
        };
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    /// Waits for a ticket's outcome. Something on the same thread must run [`Lane::drive`].
    ///
    /// # Errors
    /// Why the event was not recorded.
    pub async fn recorded(&self, commit: &Commit, ticket: Ticket) -> Result<(), NotRecorded> {
        poll_fn(|context| {
            if let Some(outcome) = commit.outcome(ticket) {
                return Poll::Ready(outcome);
            }
            let mut inner = lock(&self.inner);
            // Looked at again under the lock: the writer rings after it has changed the state, and takes this lock.
            if let Some(outcome) = commit.outcome(ticket) {
                return Poll::Ready(outcome);
            }
            inner.queue.push_back((ticket, context.waker().clone()));
            // The driver tells the writer when its turn comes, behind all tasks of this thread that are ready now: they
            // make it into the same batch.
            let driver = if std::mem::replace(&mut inner.queued, true) { None } else { inner.driver.clone() };
            drop(inner);
            if let Some(driver) = driver {
                driver.wake();
            }
            Poll::Pending
        })
        .await
    }

    /// Tells the writer of what was queued on this lane, and the waiters of what was recorded. Never ends.
    pub fn drive<'a>(&'a self, journal: &'a Journal) -> Drive<'a> {
        Drive { lane: self, journal }
    }
}

/// See [`Lane::drive`].
#[derive(Debug)]
pub struct Drive<'a> {
    lane: &'a Lane,
    journal: &'a Journal,
}

impl Future for Drive<'_> {
    type Output = std::convert::Infallible;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut inner = lock(&self.lane.inner);
        inner.driver = Some(context.waker().clone());
        // Numbers are queued nearly in order; a waiter behind a larger number is woken with that one at the latest.
        while let Some((ticket, _)) = inner.queue.front()
            && self.journal.commit().outcome(*ticket).is_some()
        {
            if let Some((_, waker)) = inner.queue.pop_front() {
                waker.wake();
            }
        }
        let queued = std::mem::take(&mut inner.queued);
        drop(inner);
        if queued {
            self.journal.ring_writer();
        }
        Poll::Pending
    }
}
