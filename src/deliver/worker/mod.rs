//! One subscriber's worker: reads on from its cursor, takes what is due, hands it to the sink, and settles.
//!
//! - [`command`] is what it is told while it works;
//! - [`letters`] is what operators do with its dead letters;
//! - [`hand_out`] chooses what goes to the sink next; [`replay`] is what goes again when there is nothing else;
//! - [`settle`] is what follows: delivered, owed or dead, and noting it.
//!
//! All that a worker knows lives in one task; nothing else changes it. Order of things, so that a crash repeats and
//! never loses: an event is noted as begun before it is handed out; the cursor passes it only when it was delivered, or
//! when the row that says it is still owed is written in the same transaction.

pub(super) mod command;
mod hand_out;
pub(super) mod letters;
mod replay;
mod settle;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::backlog::Backlog;
use super::breaker::Breaker;
use super::keeper::Shown;
use super::owed::Debts;
use super::recent::Recent;
use super::replay::Replays;
use super::status::Status;
use super::{Order, Subscriber};
use crate::event::{Millis, Seq};
use crate::filter::bodies::Bodies;
use crate::journal::state::{Change, Cursor, Memory, Recalled, Saved, State};
use crate::journal::{Hold, Journal, Position, Reader, Recorded, Watch};
use crate::metrics::SubscriberMetrics;
use crate::sink::{Delivery, Outcome, Sink};
use command::{Course, ENDED, Told};
use letters::Decision;
use replay::Replaying;

/// Refused deliveries a subscriber may owe before it reads on.
const MAX_OWED: usize = 10_000;

/// The most decisions on dead letters that wait for their turn.
const MAX_DECISIONS: usize = 16;

/// The most bytes of bodies in one batch.
const MAX_BATCH_BYTES: usize = 1 << 20;

/// How long what went well may wait to be noted.
const SETTLE: Duration = Duration::from_millis(20);

/// How often a subscriber that waits looks after its cursor.
const REST: Duration = Duration::from_secs(1);

/// After this many starts in a row that ended in a crash without progress, deliveries are tried one at a time.
const CRASHES: u32 = 3;

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
    peeked: Option<Recorded>,
    /// Events that were handed out for the first time and are not done with: when they were received, and their places.
    under_way: BTreeMap<Seq, (Millis, Position)>,
    debts: Debts,
    /// Dead letters that were called back and are not among the debts yet.
    recalled: Recalled,
    /// They could not be taken up, and it is not tried again before this.
    take_up_at: Option<Instant>,
    /// What is to be done with dead letters, a step at a time.
    decisions: VecDeque<Decision>,
    breaker: Breaker,
    /// What was delivered lately.
    recent: Recent,
    calls: JoinSet<Call>,
    change: Change,
    /// The cursor as it was last sent to the state.
    saved: Cursor,
    /// Since when something waits to be noted.
    unsettled: Option<Instant>,
    crashes: u32,
    /// Events before this were under way at a crash that may be their fault.
    suspect_until: Seq,
    /// What is under way may end the process: nothing else is handed out beside it.
    alone: bool,
    /// The journal could not be read, and is not tried again before this.
    blind_until: Option<Instant>,
    /// The last look ended at the end of the journal.
    at_tail: bool,
    /// Whose turn it is: what is due, or what is new.
    due_first: bool,
    backlog: Backlog,
    replaying: Replaying,
    /// Parsed, for filters.
    bodies: Arc<Bodies>,
}

/// Everything a worker is made of.
#[derive(Clone)]
pub(super) struct Parts {
    pub subscriber: Subscriber,
    pub sink: Arc<dyn Sink>,
    pub journal: Journal,
    pub state: State,
    pub metrics: SubscriberMetrics,
    pub status: Arc<Status>,
    pub replays: Arc<Replays>,
    /// Where it begins if it is new.
    pub from: Seq,
    /// Holds everything from there on, or from where it was.
    pub hold: Arc<Hold>,
    pub bodies: Arc<Bodies>,
}

impl Worker {
    /// Takes up where the last run left off.
    pub(super) fn new(parts: Parts) -> Result<Self, String> {
        let Parts { subscriber, sink, journal, state, metrics, status, replays, from, hold, bodies } = parts;
        let name = subscriber.name.as_str();
        let begin = |next| Cursor { next, begun: next, crashes: 0 };
        let memory = state.recall(name)?;
        let is_new = memory == Memory::New;
        let Saved { cursor: mut saved, owed, dead, recalled } = match memory {
            Memory::Saved(saved) => saved,
            Memory::New => Saved { cursor: begin(from), owed: Vec::new(), dead: 0, recalled: Recalled::default() },
            Memory::Lost => state.start_over(name, journal.earliest())?,
        };
        state.wants(name, saved.next, is_new, &subscriber.route.to_record())?;
        // What is recorded from now on was not under way then, however far ahead it was noted.
        let tried = saved.begun.min(journal.commit().durable().next());
        if tried > saved.next {
            saved.crashes = saved.crashes.saturating_add(1);
        }
        let suspect_until = if saved.crashes >= CRASHES { tried } else { Seq(0) };
        if suspect_until > saved.next {
            tracing::warn!(
                subscriber = name,
                crashes = saved.crashes,
                "the process ended several times while the same events were delivered: trying them one at a time"
            );
        }
        let route = subscriber.route.clone();
        let watch = journal.watch(Box::new(move |topic, kind| route.matches(topic, kind)));
        metrics.dead.set(dead.cast_signed());
        hold.advance(saved.next);
        let mut worker = Self {
            hold,
            reader: journal.reader(Position { seq: saved.next, place: None }),
            backlog: Backlog::begin(&journal, &subscriber, saved.next, &watch),
            watch,
            replaying: Replaying::new(replays),
            next: saved.next,
            peeked: None,
            under_way: BTreeMap::new(),
            debts: Debts::new(owed, subscriber.order),
            recalled,
            take_up_at: None,
            decisions: VecDeque::new(),
            breaker: Breaker::default(),
            recent: Recent::default(),
            calls: JoinSet::new(),
            change: Change::default(),
            saved,
            unsettled: None,
            crashes: saved.crashes,
            suspect_until,
            alone: false,
            blind_until: None,
            at_tail: false,
            due_first: false,
            subscriber,
            sink,
            journal,
            state,
            metrics,
            status,
            bodies,
        };
        worker.change.cursor = Some(saved);
        worker.settle();
        // What is shown from the start on must not look as if there were nothing to do.
        worker.peek();
        worker.show();
        worker.replaying.join(&worker.subscriber, &worker.status);
        Ok(worker)
    }

    /// What is seen of it from outside.
    pub(super) fn shown(&self) -> Shown {
        Shown {
            sink: Arc::clone(&self.sink),
            status: Arc::clone(&self.status),
            watch: Arc::clone(&self.watch),
            metrics: self.metrics.clone(),
        }
    }

    /// Remembers what its predecessor has delivered lately.
    pub(super) fn remember(&mut self, recent: Recent) {
        self.recent = recent;
    }

    /// What it holds of the journal.
    pub(super) fn hold(&self) -> Arc<Hold> {
        Arc::clone(&self.hold)
    }

    /// Delivers until it is told to stop, and then until what is under way has ended. Answers what was delivered lately.
    pub(super) async fn run(mut self, mut told: Told) -> Recent {
        let mut was_paused = false;
        loop {
            let course = told.course();
            let paused = told.is_paused();
            if was_paused && !paused {
                self.breaker.hurry(Instant::now());
            }
            was_paused = paused;
            let stopping = course != Course::Run;
            if course == Course::Abandon || stopping && self.calls.is_empty() {
                break;
            }
            let give_up_at = if let Course::Stop(until) = course { until } else { None };
            let mut pause = None;
            if !stopping {
                self.turn_replays();
                self.decide().await;
                if paused {
                    // It goes on counting what it owes.
                    self.peek();
                } else {
                    pause = self.hand_out().await;
                }
            }
            self.show();
            let now = Instant::now();
            if self.unsettled.is_some_and(|since| now.duration_since(since) >= SETTLE) {
                self.settle();
            }
            let settle_at = self.unsettled.map(|since| since + SETTLE);
            let wake_at =
                [settle_at, pause, give_up_at].into_iter().flatten().min().unwrap_or(now + REST).min(now + REST);
            // Only who has read to the end may be told to skip.
            let may_rest = !stopping && self.at_tail;
            let reads_on = !stopping && !self.at_tail && self.peeked.is_none() && self.may_read();
            if reads_on {
                tokio::task::yield_now().await;
            }
            let wake_at = if reads_on || !stopping && !self.decisions.is_empty() { now } else { wake_at };
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
                () = self.replaying.rung() => None,
                request = told.hear(self.decisions.len() < MAX_DECISIONS) => {
                    if let Some(request) = request {
                        self.asked(request);
                    }
                    None
                }
            };
            if may_rest {
                self.go_to(arrived.unwrap_or_else(|| self.watch.rouse(self.journal.commit(), self.next)));
            }
        }
        for decision in self.decisions.drain(..) {
            decision.answer_with(Err(ENDED.into()));
        }
        // An orderly end: what was under way has ended or is abandoned, and nothing is suspect at the next start.
        self.saved.begun = Seq(0);
        self.crashes = 0;
        self.leave_replay();
        self.unsettled = Some(Instant::now());
        self.settle();
        self.journal.unwatch(&self.watch);
        // Nobody delivers beside a successor.
        self.calls.shutdown().await;
        self.recent
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
        let owes = !self.debts.is_empty() || self.recalled.count > 0;
        let in_line = self.subscriber.order == Order::Strict && (owes || !self.calls.is_empty());
        let blind = self.blind_until.is_some_and(|until| Instant::now() < until);
        let owes_too_much = self.debts.len() >= MAX_OWED;
        !in_line && !blind && !owes_too_much && !self.alone && !self.debts.suspect_is_due(Millis::now())
    }
}
