//! Working off replays: when nothing is due and nothing is new, events of the past are handed out again.
//!
//! A replay is a cursor beside the subscriber's own, behind it and with an end, and is noted like it: its events are
//! noted as begun before they are handed out, and it passes an event when that was delivered, or with the row that says
//! that it is owed. What a subscriber owes already, or gave up, is made due instead: one event is never under way twice.
//! [`current`] is one replay by itself.

mod current;

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Notify;

use super::hand_out::{A_LOOK, BEGUN_AHEAD};
use super::{MAX_OWED, REST, Worker};
use crate::deliver::Subscriber;
use crate::deliver::replay::Replays;
use crate::deliver::status::Status;
use crate::event::{Event, EventId, Millis, Seq};
use crate::journal::state::letters::{Fate, Stretch, Which};
use crate::journal::state::{Before, Owed, Tally};
use crate::journal::{Hold, Position, Recorded};
use crate::route::Decision;
use crate::sink::Delivery;
use current::{BATCH, Current};

/// What a worker has to do with replays.
pub(super) struct Replaying {
    replays: Arc<Replays>,
    bell: Arc<Notify>,
    /// There may be something to take.
    look: bool,
    current: Option<Box<Current>>,
    /// Holds of replays that have ended, until that is noted.
    spent: Vec<Arc<Hold>>,
}

impl Replaying {
    pub(super) fn new(replays: Arc<Replays>) -> Self {
        let bell = Arc::new(Notify::new());
        Self { replays, bell, look: true, current: None, spent: Vec::new() }
    }

    /// Says that this worker is the one that replays for a subscriber.
    pub(super) fn join(&self, subscriber: &Subscriber, status: &Arc<Status>) {
        self.replays.join(subscriber, status, &self.bell);
    }

    /// Waits until there is something to look at.
    pub(super) async fn rung(&mut self) {
        self.bell.notified().await;
        self.look = true;
    }

    /// A delivery has ended. Answers the event's place if it was handed out for a replay.
    pub(super) fn ended(&mut self, seq: Seq, refused: bool) -> Option<Position> {
        self.current.as_mut()?.ended(seq, refused)
    }

    /// A call that began with this event is about to be taken apart.
    pub(super) fn call_ended(&mut self, first: Seq) {
        if let Some(current) = &mut self.current {
            current.call_ended(first);
        }
    }
}

impl Worker {
    /// Begins and ends replays.
    pub(super) fn turn_replays(&mut self) {
        let replaying = &mut self.replaying;
        let look = std::mem::take(&mut replaying.look);
        if let Some(current) = &mut replaying.current {
            if look && replaying.replays.is_cancelled(current.id) {
                current.cancel();
            }
            if current.is_over() {
                self.end_replay();
                self.replaying.look = true;
                // The next one begins in the next turn at the latest.
                self.replaying.bell.notify_one();
            }
        } else if look && let Some(taken) = replaying.replays.take(self.subscriber.name.as_str()) {
            tracing::info!(subscriber = %self.subscriber.name, replay = taken.replay.id, "replaying");
            // Somebody has reason to think that the endpoint is well.
            self.breaker.hurry(Instant::now());
            replaying.current = Some(Box::new(Current::new(taken, &self.journal)));
        }
    }

    fn end_replay(&mut self) {
        let Some(current) = self.replaying.current.take() else { return };
        let replays = &self.replaying.replays;
        replays.note(current.id, current.cursor, current.tally, Tally::default());
        if let Some(saved) = replays.end(current.id, Millis::now()) {
            tracing::info!(
                subscriber = %self.subscriber.name, replay = saved.id, state = ?saved.state, done = saved.tally.done,
                failed = saved.tally.failed, gone = saved.tally.gone, "a replay has ended"
            );
            self.change.replays.insert(saved.id, saved);
        }
        self.replaying.spent.push(current.hold);
        self.unsettled.get_or_insert_with(Instant::now);
    }

    /// Events of a replay that may go now, and when to ask again if there are none and time alone brings some.
    pub(super) async fn take_replayed(&mut self, size: usize) -> (Vec<Delivery>, Option<Instant>) {
        // At least one call, but never so many that what is new finds no room.
        let most = (self.sink.capacity().parallel / 2).max(1);
        let has_room = |current: &Current| current.has_room(most);
        // Refused ones must leave room among the debts for what is new.
        if !self.at_tail || self.debts.len() >= MAX_OWED / 2 || !self.replaying.current.as_deref().is_some_and(has_room)
        {
            return (Vec::new(), None);
        }
        let again = self.fetch_replayed().await;
        // Something may have come meanwhile.
        self.peek();
        if !self.at_tail {
            return (Vec::new(), Some(Instant::now()));
        }
        let replays = &self.replaying.replays;
        let Some(current) = &mut self.replaying.current else { return (Vec::new(), None) };
        let (count, cost) = current.batch(size);
        if count == 0 {
            return (Vec::new(), again);
        }
        let now = Instant::now();
        if let Err(until) = current.leave(now).and_then(|()| replays.leave(cost)) {
            return (Vec::new(), Some(until));
        }
        let batch = current.take(now, count);
        if let Some(last) = batch.last()
            && current.begins(last.event.seq, BEGUN_AHEAD)
        {
            self.settle();
            self.state.settled().await;
        }
        (batch, None)
    }

    /// Reads events of a replay, if none is ready. Answers when to try again, if time alone brings some.
    async fn fetch_replayed(&mut self) -> Option<Instant> {
        let bound = self.next;
        let name = self.subscriber.name.as_str();
        let current = self.replaying.current.as_mut()?;
        if !current.wants_more() {
            return None;
        }
        if current.kept.is_some() {
            return Some(self.fetch_kept().await);
        }
        let route = &self.subscriber.route;
        let (found, more) = match current.read(bound, |topic, kind| route.matches(topic, kind)) {
            Ok(read) => read,
            Err(error) => {
                tracing::error!(subscriber = name, %error, "cannot read the journal for a replay");
                return Some(Instant::now() + REST);
            }
        };
        let Some(first) = found.first().map(|recorded| recorded.position) else {
            if current.is_read() {
                self.replaying.bell.notify_one();
            }
            // There may be a lot that nobody wants.
            tokio::task::yield_now().await;
            return more.then(Instant::now);
        };
        let seqs = found.iter().map(|recorded| recorded.event.seq).collect();
        if let Err(error) = self.admit(found, seqs).await {
            tracing::error!(subscriber = %self.subscriber.name, error, "cannot replay");
            if let Some(current) = &mut self.replaying.current {
                current.read_again(first);
            }
            return Some(Instant::now() + REST);
        }
        self.unsettled.get_or_insert_with(Instant::now);
        // All of them may have been owed or dead.
        Some(Instant::now())
    }

    /// Makes due what is owed or dead of the events that retention has taken out of the log. Answers when to go on.
    async fn fetch_kept(&mut self) -> Instant {
        if !self.change.rows.is_empty() {
            self.settle();
        }
        let done = self.admit_kept().await;
        self.unsettled.get_or_insert_with(Instant::now);
        if let Err(error) = done {
            tracing::error!(subscriber = %self.subscriber.name, error, "cannot replay");
            return Instant::now() + REST;
        }
        Instant::now()
    }

    async fn admit_kept(&mut self) -> Result<(), String> {
        let Some(current) = self.replaying.current.as_deref() else { return Ok(()) };
        let (name, earliest) = (self.subscriber.name.as_str(), self.journal.earliest());
        let range = current.kept.map_or(0..0, |from| from.0..earliest.min(current.until).0);
        let rows = if range.is_empty() { Vec::new() } else { self.state.kept_rows(name, range, BATCH).await? };
        let next = rows.last().map(|(last, _)| last.seq.next());
        let is_meant = |event: &Event| self.takes(event) && current.query.takes(event);
        let meant: Vec<Owed> = rows.into_iter().filter(|(_, event)| is_meant(event)).map(|(row, _)| row).collect();
        self.call_back(meant.iter().filter(|row| row.dead).map(|row| row.id).collect()).await?;
        for row in &meant {
            self.make_due(row.seq);
        }
        if let Some(current) = &mut self.replaying.current {
            current.kept_handled(meant.len() as u64, next);
        }
        Ok(())
    }

    /// Takes events into the replay: all, or none.
    async fn admit(&mut self, found: Vec<Recorded>, seqs: Vec<Seq>) -> Result<(), String> {
        if !self.change.rows.is_empty() {
            self.settle();
        }
        let mut before = self.state.before(self.subscriber.name.as_str(), seqs).await?;
        let dead = before.values().filter_map(|before| before.owed.as_ref()).filter(|owed| owed.dead);
        self.call_back(dead.map(|owed| owed.id).collect()).await?;
        let mut until = Instant::now() + A_LOOK;
        for recorded in found {
            let before = before.remove(&recorded.event.seq).unwrap_or_default();
            self.admit_one(recorded, &before);
            if self.subscriber.route.filter.is_some() && Instant::now() >= until {
                tokio::task::yield_now().await;
                until = Instant::now() + A_LOOK;
            }
        }
        Ok(())
    }

    fn admit_one(&mut self, recorded: Recorded, before: &Before) {
        let Recorded { event, position } = &recorded;
        let seq = event.seq;
        let suspect_until = self.replaying.current.as_ref().map_or(Seq(0), |current| current.suspect_until);
        // What waits to be taken up is not among the debts.
        let waits = before.owed.as_ref().is_some_and(|owed| owed.dead || owed.recalled);
        let handled = if waits || self.under_way.contains_key(&seq) {
            true
        } else if self.debts.contains(seq) {
            self.make_due(seq);
            true
        } else if self.judge(event) != Decision::Taken {
            true
        } else if seq < suspect_until {
            let (attempts, now) = (before.attempts, Millis::now());
            let (spent, since) = (attempts, Some(now));
            let owed = Owed { attempts, due: now, suspect: true, spent, since, ..Owed::of(event) };
            self.change.rows.insert(seq, Some(owed.clone()));
            self.debts.put(owed);
            self.debts.place(*position);
            self.metrics.replayed.inc();
            true
        } else {
            false
        };
        let Some(current) = &mut self.replaying.current else { return };
        if handled {
            current.pass_over(seq);
        } else {
            current.make_ready(recorded, before.attempts + 1);
        }
    }

    /// Whether the subscriber wants an event, all told.
    fn takes(&self, event: &Event) -> bool {
        self.subscriber.route.decide(event, || self.bodies.parsed(event)) == Decision::Taken
    }

    /// Makes a debt due that waits for its time.
    fn make_due(&mut self, seq: Seq) {
        if let Some(owed) = self.debts.make_due(seq, Millis::now()) {
            self.change.rows.insert(seq, Some(owed));
        }
    }

    /// Owes dead letters again.
    async fn call_back(&mut self, ids: Vec<EventId>) -> Result<(), String> {
        if ids.is_empty() {
            return Ok(());
        }
        let (name, all) = (self.subscriber.name.as_str(), Stretch { from: Seq(0), to: Seq(u64::MAX) });
        let which = Which::Events(ids);
        let step = self.state.decide(name, Fate::CalledBack, which, all, Millis::now()).await?;
        self.called_back(step);
        Ok(())
    }

    /// Adds to the change that is being noted how far a replay has come. Answers what may be let go once it is written.
    pub(super) fn note_replay(&mut self) -> Vec<(Arc<Hold>, Seq)> {
        let replaying = &mut self.replaying;
        let journal = &self.journal;
        replaying.spent.retain(|hold| {
            let noted = hold.from() == Seq(u64::MAX);
            if noted {
                journal.release(hold);
            }
            !noted
        });
        let mut holds: Vec<_> = replaying.spent.iter().map(|hold| (Arc::clone(hold), Seq(u64::MAX))).collect();
        if let Some(current) = &mut replaying.current
            && let Some((cursor, tally, ahead)) = current.news()
        {
            let saved = replaying.replays.note(current.id, cursor, tally, ahead);
            self.change.replays.extend(saved.map(|saved| (saved.id, saved)));
            holds.push((Arc::clone(&current.hold), cursor.next));
        }
        holds
    }

    /// An orderly end: nothing of a replay is suspect at the next start.
    pub(super) fn leave_replay(&mut self) {
        if let Some(current) = &mut self.replaying.current {
            current.end_in_order();
        }
    }
}
