//! One subscriber's worker: reads on from its cursor, takes what is due, hands it to the sink, and settles.
//!
//! All that a worker knows lives in one task; nothing else changes it. Order of things, so that a crash repeats and
//! never loses: an event is noted as begun before it is handed out; the cursor passes it only when it was delivered, or
//! when the row that says it is still owed is written in the same transaction.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::backlog::Backlog;
use super::breaker::{Breaker, Leave};
use super::owed::Debts;
use super::retry::Next;
use super::status::Status;
use super::{Order, Start, Subscriber};
use crate::event::{Event, Millis, Seq};
use crate::journal::state::{Attempt, Change, Cursor, Memory, Owed, State};
use crate::journal::{Hold, Journal, Position, Reader, Watch};
use crate::metrics::SubscriberMetrics;
use crate::route;
use crate::sink::{Delivery, Outcome, Refusal, Sink};

/// Refused deliveries a subscriber may owe before it reads on.
const MAX_OWED: usize = 10_000;

/// The most bytes of bodies in one batch.
const MAX_BATCH_BYTES: usize = 1 << 20;

/// Events are noted as begun this many ahead, so that it costs nothing for each.
const BEGUN_AHEAD: u64 = 1024;

/// How long what went well may wait to be noted.
const SETTLE: Duration = Duration::from_millis(20);

/// How often a subscriber that waits looks after its cursor.
const REST: Duration = Duration::from_secs(1);

/// After this many starts in a row that ended in a crash without progress, deliveries are tried one at a time.
const CRASHES: u32 = 3;

/// What a worker is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    /// Deliver.
    Run,
    /// Finish what is under way, and end.
    Stop,
}

type Call = (Vec<Delivery>, Vec<Outcome>, Duration);

/// See the module.
pub(super) struct Worker {
    subscriber: Subscriber,
    sink: Arc<dyn Sink>,
    journal: Journal,
    state: State,
    metrics: SubscriberMetrics,
    status: Arc<Status>,
    watch: Arc<Watch>,
    hold: Arc<Hold>,
    reader: Reader,
    /// The first event that has not been read.
    next: Seq,
    /// Read, wanted, and not handed out yet.
    peeked: Option<Event>,
    /// Events that were handed out for the first time and are not done with, and when they were received.
    under_way: BTreeMap<Seq, Millis>,
    debts: Debts,
    breaker: Breaker,
    calls: JoinSet<Call>,
    change: Change,
    /// The cursor as it was last sent to the state.
    saved: Cursor,
    /// Since when something waits to be noted.
    unsettled: Option<Instant>,
    crashes: u32,
    /// Events before this were under way at a crash that may be their fault.
    suspect_until: Seq,
    /// Whose turn it is: what is due, or what is new.
    due_first: bool,
    backlog: Backlog,
}

/// Everything a worker is made of.
pub(super) struct Parts {
    pub subscriber: Subscriber,
    pub sink: Arc<dyn Sink>,
    pub journal: Journal,
    pub state: State,
    pub metrics: SubscriberMetrics,
    pub status: Arc<Status>,
}

impl Worker {
    /// Takes up where the last run left off.
    pub(super) fn new(parts: Parts) -> Result<Self, String> {
        let Parts { subscriber, sink, journal, state, metrics, status } = parts;
        let name = subscriber.name.as_str();
        let begin = |next| Cursor { next, begun: next, crashes: 0 };
        let (mut saved, owed, dead) = match state.recall(name)? {
            Memory::Saved(saved) => (saved.cursor, saved.owed, saved.dead),
            Memory::New if subscriber.start == Start::Now => (begin(journal.commit().durable().next()), Vec::new(), 0),
            Memory::New | Memory::Lost => (begin(journal.earliest()), Vec::new(), 0),
        };
        if saved.begun > saved.next {
            saved.crashes = saved.crashes.saturating_add(1);
        }
        let suspect_until = if saved.crashes >= CRASHES { saved.begun } else { Seq(0) };
        if suspect_until > saved.next {
            tracing::warn!(
                subscriber = name,
                crashes = saved.crashes,
                "the process ended several times while the same events were delivered: trying them one at a time"
            );
        }
        let patterns = subscriber.patterns.clone();
        let watch = journal.watch(Box::new(move |topic, kind| route::wants(&patterns, topic, kind)));
        metrics.dead.set(dead.cast_signed());
        let mut worker = Self {
            hold: journal.hold(saved.next),
            reader: journal.reader(Position { seq: saved.next, place: None }),
            backlog: Backlog::begin(&journal, &subscriber, saved.next, Arc::clone(&watch)),
            watch,
            next: saved.next,
            peeked: None,
            under_way: BTreeMap::new(),
            debts: Debts::new(owed),
            breaker: Breaker::default(),
            calls: JoinSet::new(),
            change: Change::default(),
            saved,
            unsettled: None,
            crashes: saved.crashes,
            suspect_until,
            due_first: false,
            subscriber,
            sink,
            journal,
            state,
            metrics,
            status,
        };
        worker.change.cursor = Some(saved);
        worker.settle();
        Ok(worker)
    }

    /// Delivers until it is told to stop, and then until what is under way has ended.
    pub(super) async fn run(mut self, mut commands: watch::Receiver<Command>) {
        loop {
            let stopping = *commands.borrow_and_update() == Command::Stop;
            if stopping && self.calls.is_empty() {
                break;
            }
            let mut pause = None;
            if !stopping {
                pause = self.hand_out().await;
            }
            self.show();
            let now = Instant::now();
            if self.unsettled.is_some_and(|since| now.duration_since(since) >= SETTLE) {
                self.settle();
            }
            let settle_at = self.unsettled.map(|since| since + SETTLE);
            let wake_at = [settle_at, pause].into_iter().flatten().min().unwrap_or(now + REST).min(now + REST);
            let may_rest = !stopping && self.peeked.is_none() && self.may_read();
            let arrived = tokio::select! {
                biased;
                Some(call) = self.calls.join_next(), if !self.calls.is_empty() => {
                    self.finish(call);
                    while let Some(call) = self.calls.try_join_next() {
                        self.finish(call);
                    }
                    None
                }
                position = self.watch.rest(self.journal.commit(), self.next), if may_rest => Some(position),
                () = tokio::time::sleep_until(wake_at.into()) => None,
                _ = commands.changed() => None,
            };
            if may_rest {
                self.go_to(arrived.unwrap_or_else(|| self.watch.rouse(self.journal.commit(), self.next)));
            }
        }
        // An orderly end: nothing is under way, so nothing is suspect at the next start.
        self.saved.begun = Seq(0);
        self.unsettled = Some(Instant::now());
        self.settle();
        self.journal.unwatch(&self.watch);
    }

    /// Nothing between where it is and there concerns this subscriber.
    fn go_to(&mut self, position: Position) {
        if position.seq > self.next || position.place.is_some() {
            self.next = position.seq;
            self.reader.seek(position);
            self.unsettled.get_or_insert_with(Instant::now);
        }
    }

    fn may_read(&self) -> bool {
        let in_line = self.subscriber.order == Order::Strict && !(self.debts.is_empty() && self.calls.is_empty());
        !in_line && self.debts.len() < MAX_OWED && !self.debts.any_suspect()
    }

    /// Hands out as much as the sink takes. Answers when there may be more to hand out, if time alone brings it.
    async fn hand_out(&mut self) -> Option<Instant> {
        let capacity = self.sink.capacity();
        while self.calls.len() < capacity.parallel {
            let leave = self.breaker.leave(Instant::now());
            match leave {
                Leave::Wait(until) => {
                    self.peek();
                    return Some(until);
                }
                Leave::Probe if !self.calls.is_empty() => return None,
                Leave::Probe | Leave::Free => {}
            }
            let single = leave == Leave::Probe || self.subscriber.order == Order::Strict;
            let size = if single { 1 } else { capacity.batch };
            self.due_first = !self.due_first;
            let mut batch = if self.due_first { self.take_due(size).await } else { self.take_new(size).await };
            if batch.is_empty() {
                batch = if self.due_first { self.take_new(size).await } else { self.take_due(size).await };
            }
            if batch.is_empty() {
                return self.debts.next_due().map(until);
            }
            let sink = Arc::clone(&self.sink);
            self.calls.spawn(async move {
                let began = Instant::now();
                let outcomes = sink.deliver(&batch).await;
                (batch, outcomes, began.elapsed())
            });
        }
        self.peek();
        None
    }

    /// Deliveries that were refused and are due again.
    async fn take_due(&mut self, size: usize) -> Vec<Delivery> {
        let mut batch = Vec::new();
        while batch.len() < size {
            let Some(mut owed) = self.debts.take_due(Millis::now()) else { break };
            if owed.suspect && !(batch.is_empty() && self.calls.is_empty()) {
                // It goes alone, so that nothing else is blamed with it.
                self.debts.put(owed);
                break;
            }
            let Some(event) = self.owed_event(&owed) else { continue };
            if owed.suspect {
                // Noted before it is made, so that it counts even if it ends the process.
                owed.attempts += 1;
                owed.reason = "the process ended while this was being delivered".into();
                let delay = self.subscriber.retry.delay(owed.attempts, super::dice());
                owed.due = Millis(owed.due.0.saturating_add(i64::try_from(delay.as_millis()).unwrap_or(i64::MAX)));
                if owed.attempts > self.subscriber.retry.attempts {
                    self.bury(owed);
                    continue;
                }
                self.debts.update(owed.clone());
                self.change.rows.insert(owed.seq, Some(owed.clone()));
                self.settle();
                self.state.settled().await;
                batch.push(Delivery { event, attempt: owed.attempts });
                break;
            }
            batch.push(Delivery { event, attempt: owed.attempts + 1 });
        }
        batch
    }

    fn owed_event(&mut self, owed: &Owed) -> Option<Event> {
        let position = Position { seq: owed.seq, place: None };
        let read = self.journal.reader(position).next(&mut |_, _| true);
        let found = match read {
            Ok(found) => found.map(|recorded| recorded.event).filter(|event| event.seq == owed.seq),
            Err(error) => {
                tracing::error!(%error, "cannot read the journal");
                None
            }
        };
        let found = found.or_else(|| self.state.kept(owed.seq).ok().flatten());
        if found.is_none() {
            tracing::error!(
                subscriber = %self.subscriber.name, event = %owed.id,
                "an event that is owed is not in the journal any more: damaged"
            );
            let reason = format!("the event is damaged in the journal; before that: {}", owed.reason);
            self.bury(Owed { reason, ..owed.clone() });
        }
        found
    }

    /// New events, as many as the sink takes at a time.
    async fn take_new(&mut self, size: usize) -> Vec<Delivery> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < size && bytes < MAX_BATCH_BYTES && self.may_read() {
            self.peek();
            let Some(event) = self.peeked.take() else { break };
            if event.seq < self.suspect_until {
                self.debts.put(Owed {
                    seq: event.seq,
                    id: event.id,
                    attempts: 0,
                    due: Millis::now(),
                    dead: false,
                    suspect: true,
                    reason: String::new(),
                });
                self.change.rows.insert(event.seq, self.debts.get(event.seq).cloned());
                self.unsettled.get_or_insert_with(Instant::now);
                break;
            }
            bytes += event.body.len();
            self.under_way.insert(event.seq, event.time);
            batch.push(Delivery { event, attempt: 1 });
        }
        if let Some(last) = batch.last()
            && last.event.seq >= self.saved.begun
        {
            self.saved.begun = Seq(last.event.seq.0 + BEGUN_AHEAD);
            self.unsettled.get_or_insert_with(Instant::now);
            self.settle();
            self.state.settled().await;
        }
        batch
    }

    /// Reads on to the next event that is wanted.
    fn peek(&mut self) {
        if self.peeked.is_some() || !self.may_read() {
            return;
        }
        let patterns = &self.subscriber.patterns;
        match self.reader.next(&mut |topic, kind| route::wants(patterns, topic, kind)) {
            Ok(found) => {
                self.next = self.reader.next_seq();
                self.peeked = found.map(|recorded| recorded.event);
                self.backlog.taken += u64::from(self.peeked.is_some());
            }
            Err(error) => {
                let text = format!("cannot read the journal: {error}");
                tracing::error!(subscriber = %self.subscriber.name, "{text}");
                self.status.failed(Millis::now(), &text);
            }
        }
    }

    fn finish(&mut self, call: Result<Call, tokio::task::JoinError>) {
        // A sink that panics has ended the process in a release build; elsewhere the panic goes on.
        let (batch, outcomes, took) = match call {
            Ok(call) => call,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        assert_eq!(batch.len(), outcomes.len(), "a sink answers for each delivery");
        self.metrics.attempt_seconds.observe(took.as_secs_f64());
        let now = Millis::now();
        self.unsettled.get_or_insert_with(Instant::now);
        let mut refused = false;
        for (delivery, outcome) in batch.into_iter().zip(outcomes) {
            self.under_way.remove(&delivery.event.seq);
            match outcome {
                Ok(()) => self.delivered(delivery.event.seq),
                Err(refusal) => {
                    refused = true;
                    self.refused(&delivery, &refusal, now);
                }
            }
        }
        if refused {
            self.settle();
        }
    }

    fn delivered(&mut self, seq: Seq) {
        self.metrics.good_attempts.inc();
        self.metrics.delivered.inc();
        if self.debts.remove(seq).is_some() {
            self.change.rows.insert(seq, None);
        }
        if self.breaker.succeeded() {
            tracing::warn!(subscriber = %self.subscriber.name, "deliveries succeed again");
        }
    }

    fn refused(&mut self, delivery: &Delivery, refusal: &Refusal, now: Millis) {
        self.metrics.refused(refusal.label);
        self.status.failed(now, &refusal.reason);
        let (event, policy) = (&delivery.event, self.subscriber.retry);
        if self.breaker.failed(refusal, &policy, Instant::now(), super::dice()) {
            tracing::warn!(
                subscriber = %self.subscriber.name, reason = refusal.reason,
                "deliveries only fail: probing at a slowing pace"
            );
        }
        self.change.attempts.push(Attempt {
            seq: event.seq,
            number: delivery.attempt,
            time: now,
            label: refusal.label.into(),
            reason: refusal.reason.clone(),
            status: refusal.status,
            answer: refusal.answer.to_vec(),
        });
        let mut owed = Owed {
            seq: event.seq,
            id: event.id,
            attempts: delivery.attempt,
            due: now,
            dead: false,
            // It came to an answer, so it did not end the process.
            suspect: false,
            reason: refusal.reason.clone(),
        };
        match policy.after_refusal(delivery.attempt, event.time, now, refusal, super::dice()) {
            Next::At(due) => {
                owed.due = due;
                self.change.rows.insert(owed.seq, Some(owed.clone()));
                self.debts.put(owed);
            }
            Next::GivenUp | Next::OutOfAttempts | Next::TooOld => self.bury(owed),
        }
    }

    /// Makes a dead letter of a delivery.
    fn bury(&mut self, mut owed: Owed) {
        tracing::error!(
            subscriber = %self.subscriber.name, event = %owed.id, attempts = owed.attempts, reason = owed.reason,
            "a delivery is given up: dead letter"
        );
        self.debts.remove(owed.seq);
        owed.dead = true;
        owed.due = Millis::now();
        self.change.rows.insert(owed.seq, Some(owed));
        self.metrics.died.inc();
        self.metrics.dead.inc();
        self.unsettled.get_or_insert_with(Instant::now);
    }

    /// Notes what has happened since the last time.
    fn settle(&mut self) {
        let next = self.first_not_done();
        if next > self.saved.next {
            self.crashes = 0;
        }
        self.saved = Cursor { next, begun: self.saved.begun.max(next), crashes: self.crashes };
        self.change.cursor = Some(self.saved);
        let hold = Some((Arc::clone(&self.hold), next));
        self.state.change(self.subscriber.name.as_str(), std::mem::take(&mut self.change), hold);
        self.unsettled = None;
    }

    /// Everything before this is delivered, dead, noted as owed, or not wanted.
    fn first_not_done(&self) -> Seq {
        let peeked = self.peeked.as_ref().map(|event| event.seq);
        let under_way = self.under_way.keys().next().copied();
        [peeked, under_way].into_iter().flatten().fold(self.next, Seq::min)
    }

    /// Shows outside how it stands.
    fn show(&mut self) {
        let open = self.under_way.len() + self.debts.len() + usize::from(self.peeked.is_some());
        let at_the_end = self.peeked.is_none() && self.next > self.journal.commit().durable();
        let backlog = open as u64 + self.backlog.unread(at_the_end);
        let received = [
            self.peeked.as_ref().map(|event| event.time),
            self.under_way.values().min().copied(),
            self.debts.oldest().and_then(|seq| self.debts.get(seq)).map(|owed| owed.id.time()),
        ];
        let oldest = received.into_iter().flatten().min().map_or(0, |time| time.0);
        self.status.position.store(self.first_not_done().0, Ordering::Relaxed);
        self.status.backlog.store(backlog, Ordering::Relaxed);
        self.status.oldest_owed.store(oldest, Ordering::Relaxed);
        self.status.failing.store(self.breaker.is_failing(), Ordering::Relaxed);
    }
}

/// The moment on the monotonic clock when the wall clock will show that time.
fn until(due: Millis) -> Instant {
    let left = u64::try_from(due.0.saturating_sub(Millis::now().0)).unwrap_or(0);
    Instant::now() + Duration::from_millis(left)
}
