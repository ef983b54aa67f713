//! Working off replays: when nothing is due and nothing is new, events of the past are handed out again.
//!
//! A replay is a cursor beside the subscriber's own, behind it and with an end, and is noted like it: its events are
//! noted as begun before they are handed out, and it passes an event when that was delivered, or with the row that says
//! that it is owed. What a subscriber owes already, or gave up, is made due instead: one event is never under way twice.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Notify;

use super::hand_out::BEGUN_AHEAD;
use super::{CRASHES, MAX_BATCH_BYTES, MAX_OWED, REST, Worker};
use crate::deliver::pace::{self, Meter};
use crate::deliver::replay::{Replays, Taken};
use crate::event::{Event, EventId, Millis, Seq};
use crate::journal::lookup::{Query, Stretches};
use crate::journal::state::letters::{self, Stretch, Which};
use crate::journal::state::{Before, Cursor, Owed, Replay, Tally};
use crate::journal::{Hold, Journal, Position, Reader, Recorded};
use crate::route;
use crate::sink::Delivery;

/// Events that are read at a time, and the most in one call of a sink: what is new waits for no more than that.
const BATCH: usize = 64;

/// The most events that are read and not passed by the cursor: what a crash may repeat.
const WINDOW: usize = 1024;

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

/// What became of an event of a replay that the cursor has not passed.
enum Fate {
    Ready,
    UnderWay(Position),
    Handled { refused: bool },
}

struct Current {
    id: u64,
    until: Seq,
    rate: Option<u32>,
    query: Query,
    hold: Arc<Hold>,
    stretches: Arc<Stretches>,
    /// Where to go on looking for events that are owed or dead and not in the log any more; `None`: nowhere.
    kept: Option<Seq>,
    /// The stretch that is being read or comes next.
    at: usize,
    /// The reader is in it.
    entered: bool,
    reader: Reader,
    /// Everything before this was read, or is of no interest.
    next: Seq,
    /// Read, and not to be handed out yet.
    peeked: Option<Recorded>,
    /// What can be handed out, each with the number of its attempt.
    ready: VecDeque<(Recorded, u32)>,
    window: BTreeMap<Seq, Fate>,
    /// Calls of the sink that are under way.
    calls: usize,
    meter: Meter,
    cursor: Cursor,
    tally: Tally,
    /// How it was last noted.
    noted: (Cursor, Tally, Tally),
    /// Events before this were under way at a crash that may be their fault.
    suspect_until: Seq,
    cancelled: bool,
}

impl Replaying {
    pub(super) fn new(replays: Arc<Replays>, bell: Arc<Notify>) -> Self {
        Self { replays, bell, look: true, current: None, spent: Vec::new() }
    }

    /// Waits until there is something to look at.
    pub(super) async fn rung(&mut self) {
        self.bell.notified().await;
        self.look = true;
    }

    /// A delivery has ended. Answers the event's place if it was handed out for a replay.
    pub(super) fn ended(&mut self, seq: Seq, refused: bool) -> Option<Position> {
        let fate = self.current.as_mut()?.window.get_mut(&seq)?;
        let Fate::UnderWay(position) = *fate else { return None };
        *fate = Fate::Handled { refused };
        Some(position)
    }

    /// A call that began with this event is about to be taken apart.
    pub(super) fn call_ended(&mut self, first: Seq) {
        if let Some(current) = &mut self.current
            && let Some(Fate::UnderWay(_)) = current.window.get(&first)
        {
            current.calls -= 1;
        }
    }
}

impl Current {
    fn new(taken: Taken, journal: &Journal) -> Self {
        let Taken { replay, hold, stretches } = taken;
        let Replay { id, selection, rate, mut cursor, tally, .. } = replay;
        let tried = cursor.begun.min(selection.until);
        if tried > cursor.next {
            cursor.crashes = cursor.crashes.saturating_add(1);
        }
        let suspect_until = if cursor.crashes >= CRASHES { tried } else { Seq(0) };
        // So that the crashes are noted with the first that is handed out.
        cursor.begun = cursor.next;
        Self {
            id,
            until: selection.until,
            rate,
            // It was read when the replay was asked for.
            query: Query::new(selection.terms()).unwrap_or_default(),
            hold,
            stretches,
            kept: Some(cursor.next),
            at: 0,
            entered: false,
            reader: journal.reader(Position { seq: cursor.next, place: None }),
            next: cursor.next,
            peeked: None,
            ready: VecDeque::new(),
            window: BTreeMap::new(),
            calls: 0,
            meter: Meter::default(),
            cursor,
            tally,
            noted: (cursor, tally, Tally::default()),
            suspect_until,
            cancelled: false,
        }
    }

    /// Reads on, not beyond `bound`. Answers what was found, and whether there is more to look at right away.
    fn read(&mut self, bound: Seq, wants: impl Fn(&str, Option<&str>) -> bool) -> io::Result<(Vec<Recorded>, bool)> {
        let bound = bound.min(self.until);
        let (mut found, mut bytes) = (Vec::new(), 0);
        while found.len() < BATCH && bytes < MAX_BATCH_BYTES {
            let recorded = if let Some(peeked) = self.peeked.take() {
                peeked
            } else {
                let Some(stretch) = self.stretches.stretches.get(self.at) else {
                    self.next = self.until;
                    break;
                };
                if self.next > stretch.last {
                    self.at += 1;
                    self.entered = false;
                    continue;
                }
                if !std::mem::replace(&mut self.entered, true) {
                    self.next = stretch.first.seq;
                    self.reader.seek(stretch.first);
                }
                if self.next >= bound {
                    break;
                }
                let query = &self.query;
                match self.reader.next(&mut |topic, kind| wants(topic, kind) && query.wants(topic, kind))? {
                    Some(recorded) => recorded,
                    None => {
                        self.next = self.reader.next_seq();
                        return Ok((found, !self.reader.at_end()));
                    }
                }
            };
            let event = &recorded.event;
            if event.seq >= bound {
                self.next = event.seq;
                self.peeked = Some(recorded);
                break;
            }
            self.next = event.seq.next();
            if self.query.takes(event) {
                bytes += event.body.len();
                found.push(recorded);
            }
        }
        Ok((found, false))
    }

    /// Forgets that anything from there on was read.
    fn read_again(&mut self, from: Position) {
        self.peeked = None;
        self.next = from.seq;
        self.reader.seek(from);
        self.at = self.stretches.stretches.partition_point(|stretch| stretch.last < from.seq);
        self.entered = true;
    }

    /// Moves the cursor past what has been handled.
    fn pass(&mut self) {
        while let Some(entry) = self.window.first_entry() {
            let Fate::Handled { refused } = *entry.get() else { break };
            entry.remove();
            self.tally.done += 1;
            self.tally.failed += u64::from(refused);
        }
        let next = self.window.keys().next().map_or(self.next, |first| self.next.min(*first));
        if next > self.cursor.next {
            self.cursor.crashes = 0;
        }
        self.cursor.next = next;
        self.cursor.begun = self.cursor.begun.max(next);
    }

    /// What was handled behind the cursor.
    fn ahead(&self) -> Tally {
        let mut ahead = Tally::default();
        for fate in self.window.values() {
            if let Fate::Handled { refused } = *fate {
                ahead.done += 1;
                ahead.failed += u64::from(refused);
            }
        }
        ahead
    }

    fn is_over(&self) -> bool {
        let all = self.cancelled || self.next >= self.until;
        all && self.calls == 0 && self.window.is_empty()
    }

    /// The next batch, as large as its rate allows.
    fn batch(&self, size: usize) -> (usize, u32) {
        let at_a_time = self.rate.map_or(BATCH, |rate| (rate as usize / 10).clamp(1, BATCH));
        let (mut bytes, mut cost) = (0, 0_u32);
        let mut count = 0;
        for (recorded, _) in self.ready.iter().take(size.min(at_a_time)) {
            if bytes >= MAX_BATCH_BYTES {
                break;
            }
            count += 1;
            bytes += recorded.event.body.len();
            cost = cost.saturating_add(pace::cost(recorded.event.body.len()));
        }
        (count, cost)
    }
}

impl Worker {
    /// Begins and ends replays.
    pub(super) fn turn_replays(&mut self) {
        let replaying = &mut self.replaying;
        let look = std::mem::take(&mut replaying.look);
        if let Some(current) = &mut replaying.current {
            if look && !current.cancelled && replaying.replays.is_cancelled(current.id) {
                current.cancelled = true;
                for (recorded, _) in current.ready.drain(..) {
                    current.window.remove(&recorded.event.seq);
                }
            }
            current.pass();
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
        let has_room = |current: &Current| !current.cancelled && current.calls < most;
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
        let leave = current.meter.leave(now).and_then(|()| replays.leave(cost));
        if let Err(until) = leave {
            return (Vec::new(), Some(until));
        }
        if let Some(rate) = current.rate {
            current.meter.take(now, u32::try_from(count).unwrap_or(u32::MAX), rate);
        }
        current.calls += 1;
        let mut batch = Vec::with_capacity(count);
        for (Recorded { event, position }, attempt) in current.ready.drain(..count) {
            current.window.insert(event.seq, Fate::UnderWay(position));
            batch.push(Delivery { event, attempt });
        }
        if let Some(last) = batch.last()
            && last.event.seq >= current.cursor.begun
        {
            current.cursor.begun = Seq(last.event.seq.0 + BEGUN_AHEAD);
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
        if !current.ready.is_empty() || current.window.len() >= WINDOW {
            return None;
        }
        if current.kept.is_some() {
            return Some(self.fetch_kept().await);
        }
        let patterns = &self.subscriber.patterns;
        let (found, more) = match current.read(bound, |topic, kind| route::wants(patterns, topic, kind)) {
            Ok(read) => read,
            Err(error) => {
                tracing::error!(subscriber = name, %error, "cannot read the journal for a replay");
                return Some(Instant::now() + REST);
            }
        };
        let Some(first) = found.first().map(|recorded| recorded.position) else {
            if current.next >= current.until {
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
        let patterns = &self.subscriber.patterns;
        let is_meant =
            |event: &Event| route::wants(patterns, &event.topic, event.kind.as_deref()) && current.query.takes(event);
        let meant: Vec<Owed> = rows.into_iter().filter(|(_, event)| is_meant(event)).map(|(row, _)| row).collect();
        self.call_back(meant.iter().filter(|row| row.dead).map(|row| row.id).collect()).await?;
        for row in &meant {
            self.make_due(row.seq);
        }
        if let Some(current) = &mut self.replaying.current {
            current.kept = next;
            // They were counted as gone.
            current.tally.done += meant.len() as u64;
            current.tally.gone = current.tally.gone.saturating_sub(meant.len() as u64);
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
        for recorded in found {
            let before = before.remove(&recorded.event.seq).unwrap_or_default();
            self.admit_one(recorded, &before);
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
            current.window.insert(seq, Fate::Handled { refused: false });
        } else {
            current.window.insert(seq, Fate::Ready);
            current.ready.push_back((recorded, before.attempts + 1));
        }
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
        let step = self.state.decide(name, letters::Fate::CalledBack, which, all, Millis::now()).await?;
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
        if let Some(current) = &mut replaying.current {
            current.pass();
            let state = (current.cursor, current.tally, current.ahead());
            if state != current.noted {
                current.noted = state;
                let saved = replaying.replays.note(current.id, state.0, state.1, state.2);
                self.change.replays.extend(saved.map(|saved| (saved.id, saved)));
                holds.push((Arc::clone(&current.hold), current.cursor.next));
            }
        }
        holds
    }

    /// An orderly end: nothing of a replay is suspect at the next start.
    pub(super) fn leave_replay(&mut self) {
        if let Some(current) = &mut self.replaying.current {
            current.pass();
            (current.cursor.begun, current.cursor.crashes) = (Seq(0), 0);
        }
    }
}
