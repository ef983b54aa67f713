//! Waking readers by what they want. A reader that waits at the tail is told the first event behind it that concerns
//! it, and may skip everything before: a subscriber that matches nothing costs nothing.

use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use tokio::sync::Notify;

use super::commit::{Commit, lock};
use crate::event::Seq;

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The event's number.
    pub seq: Seq,
    /// The segment, by its first event's number, and the place in its file; `None`: to be looked up.
    pub place: Option<(Seq, u64)>,
}

/// Which topics and types a reader wants.
pub type Wants = Box<dyn Fn(&str, Option<&str>) -> bool + Send + Sync>;

/// A reader's standing request to be woken.
pub struct Watch {
    wants: Wants,
    state: Mutex<WatchState>,
    matched: AtomicU64,
    since: Seq,
    /// Rung at each offer, for those who wait together.
    news: Notify,
}

#[derive(Default)]
struct WatchState {
    /// The first event that concerns the reader since it last rested.
    next: Option<Position>,
    waker: Option<Waker>,
    /// The reader has examined everything that was durable, and waits.
    resting: bool,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

impl Watch {
    /// Waits until there is something for a reader that has examined everything before `from`. Answers where to read
    /// on: everything before that is of no concern to it.
    pub async fn rest(&self, commit: &Commit, from: Seq) -> Position {
        poll_fn(|context| {
            let mut state = lock(&self.state);
            if let Some(next) = state.next.take() {
                state.resting = false;
                if next.seq >= from {
                    return Poll::Ready(next);
                }
                // The offer of an event that was read already, come late. Another may have come meanwhile and found
                // this one in its way, so the tail must be looked at again.
            }
            // The writer raises the tail first and offers afterwards. So what is durable now may have been offered
            // while an older offer stood in its way, and is examined by reading; what comes later is offered anew.
            if !state.resting && commit.durable() >= from {
                return Poll::Ready(Position { seq: from, place: None });
            }
            state.resting = true;
            state.waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Gives up waiting without having been woken: the reader goes on from the answer.
    ///
    /// Nothing before it concerns the reader.
    pub fn rouse(&self, commit: &Commit, from: Seq) -> Position {
        let mut state = lock(&self.state);
        let resting = std::mem::take(&mut state.resting);
        match state.next.take() {
            Some(next) if next.seq >= from => next,
            // Everything up to there was offered to those who wanted it, and this reader was offered nothing.
            None if resting => Position { seq: from.max(commit.offered().next()), place: None },
            // An offer that came late may have stood in the way of one that matters.
            _ => Position { seq: from, place: None },
        }
    }

    /// The first event that was offered since the last time somebody took one, for a reader that does not rest.
    pub fn take_offer(&self) -> Option<Position> {
        lock(&self.state).next.take()
    }

    /// The first event that this watch was asked about.
    #[must_use]
    pub fn since(&self) -> Seq {
        self.since
    }

    /// How many events from [`Watch::since`] on concern the reader.
    #[must_use]
    pub fn matched(&self) -> u64 {
        self.matched.load(Ordering::SeqCst)
    }

    /// Waits until more than `seen` events have come that concern the reader. Any number may wait: a reader of its own, which
    /// rests, need not be among them.
    ///
    /// What was durable when [`Watch::matched`] gave `seen` has to be looked for by reading: it may have been offered
    /// before, or be offered late.
    pub async fn news(&self, seen: u64) {
        loop {
            let mut notified = pin!(self.news.notified());
            notified.as_mut().enable();
            if self.matched() > seen {
                return;
            }
            notified.await;
        }
    }

    /// Sends away all who wait for [`Watch::news`].
    pub fn dismiss(&self) {
        self.matched.fetch_add(1, Ordering::SeqCst);
        self.news.notify_waiters();
    }

    fn offer(&self, position: Position) {
        self.matched.fetch_add(1, Ordering::SeqCst);
        self.news.notify_waiters();
        let waker = {
            let mut state = lock(&self.state);
            if state.next.is_some() {
                return;
            }
            state.next = Some(position);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// All who watch, and who of them wants what, remembered by topic and type.
#[derive(Debug, Default)]
pub(super) struct Watches {
    all: Vec<Arc<Watch>>,
    wanted_by: HashMap<Vec<u8>, Vec<Arc<Watch>>>,
    key: Vec<u8>,
}

/// Types come from outside: the memory of who wants what is emptied when it has seen this many.
const MAX_KINDS: usize = 4096;

impl Watches {
    pub(super) fn add(&mut self, wants: Wants, since: Seq) -> Arc<Watch> {
        let watch =
            Arc::new(Watch { wants, state: Mutex::default(), matched: AtomicU64::new(0), since, news: Notify::new() });
        self.all.push(Arc::clone(&watch));
        self.wanted_by.clear();
        watch
    }

    pub(super) fn remove(&mut self, watch: &Arc<Watch>) {
        self.all.retain(|other| !Arc::ptr_eq(other, watch));
        self.wanted_by.clear();
    }

    /// Tells those who want it of an event that has become durable.
    pub(super) fn offer(&mut self, topic: &[u8], kind: Option<&[u8]>, position: Position) {
        if self.all.is_empty() {
            return;
        }
        self.key.clear();
        self.key.extend_from_slice(topic);
        // No UTF-8 text has these bytes, so no two pairs look the same.
        self.key.push(if kind.is_some() { 0xff } else { 0xfe });
        self.key.extend_from_slice(kind.unwrap_or_default());
        if !self.wanted_by.contains_key(&self.key) {
            if self.wanted_by.len() >= MAX_KINDS {
                self.wanted_by.clear();
            }
            let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
            let wants = |watch: &&Arc<Watch>| (watch.wants)(text(topic), kind.map(text));
            self.wanted_by.insert(self.key.clone(), self.all.iter().filter(wants).cloned().collect());
        }
        for watch in &self.wanted_by[&self.key] {
            watch.offer(position);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::Context;

    use super::*;

    fn at(seq: u64) -> Position {
        Position { seq: Seq(seq), place: None }
    }

    fn poll(watch: &Watch, commit: &Commit, from: u64) -> Poll<Position> {
        let mut context = Context::from_waker(Waker::noop());
        pin!(watch.rest(commit, Seq(from))).poll(&mut context)
    }

    /// A tail at 10, of which nothing was offered yet, and a reader that has read all of it and rests.
    fn resting() -> (Watches, Arc<Watch>, Commit) {
        let mut watches = Watches::default();
        let watch = watches.add(Box::new(|topic, _| topic == "a"), Seq(1));
        let commit = Commit::new(Seq(4));
        commit.advance(Seq(10));
        assert_eq!(poll(&watch, &commit, 5), Poll::Ready(at(5)), "it was not looked at yet");
        assert_eq!(poll(&watch, &commit, 11), Poll::Pending);
        (watches, watch, commit)
    }

    #[test]
    fn a_late_offer_hides_no_other() {
        for rouses in [false, true] {
            let (mut watches, watch, commit) = resting();
            watches.offer(b"a", None, at(7));
            commit.set_offered(Seq(10));
            commit.advance(Seq(11));
            watches.offer(b"a", None, at(11));
            commit.set_offered(Seq(11));
            if rouses {
                assert_eq!(watch.rouse(&commit, Seq(11)), at(11));
            } else {
                assert_eq!(poll(&watch, &commit, 11), Poll::Ready(at(11)));
            }
        }
    }

    #[test]
    fn what_is_not_wanted_is_skipped_and_what_is_wanted_is_not() {
        let (mut watches, watch, commit) = resting();
        commit.advance(Seq(20));
        watches.offer(b"b", None, at(11));
        assert_eq!(poll(&watch, &commit, 11), Poll::Pending, "unwanted");
        commit.set_offered(Seq(15));
        assert_eq!(watch.rouse(&commit, Seq(11)), at(16), "up to there nothing was wanted");

        let (mut watches, watch, commit) = resting();
        commit.advance(Seq(20));
        watches.offer(b"a", Some(b"push"), at(13));
        watches.offer(b"a", None, at(14));
        commit.set_offered(Seq(20));
        assert_eq!(poll(&watch, &commit, 11), Poll::Ready(at(13)));
        assert_eq!(poll(&watch, &commit, 14), Poll::Ready(at(14)), "found by reading, whatever was offered");
        assert_eq!(watch.rouse(&commit, Seq(15)), at(15), "it did not rest since");
    }
}
