//! What operators do with a subscriber's dead letters. There may be far more than fit in memory: they are called back and
//! dropped a step at a time between deliveries, and those called back wait in the state until there is room among the
//! debts.

use std::time::Instant;

use tokio::sync::oneshot;

use super::command::{Found, Request};
use super::{MAX_OWED, REST, Worker};
use crate::event::{Millis, Seq};
use crate::journal::state::letters::{Fate, Step, Stretch, Which};

/// So many are taken up at a time; and while there are fewer among the debts than that, more are taken up, however many
/// debts there are.
const AT_A_TIME: u32 = 200;

/// The most ids in one step.
const IDS: usize = 200;

/// Dead letters that are to be called back or dropped.
#[derive(Debug)]
pub(in crate::deliver) struct Decision {
    pub fate: Fate,
    pub which: Which,
    /// What is left to be looked at. Letters that die again meanwhile stand before it, and are left alone.
    pub stretch: Stretch,
    /// How many it concerned so far.
    pub count: u64,
    /// Is told how many it was in the end.
    pub answer: oneshot::Sender<Result<u64, String>>,
}

impl Decision {
    pub(in crate::deliver) fn new(fate: Fate, which: Which, answer: oneshot::Sender<Result<u64, String>>) -> Self {
        // Numbers are those of SQLite, which have a sign.
        let stretch = Stretch { from: Seq(0), to: Seq(i64::MAX.cast_unsigned()) };
        Self { fate, which, stretch, count: 0, answer }
    }

    /// Ends it.
    pub(super) fn answer_with(self, result: Result<(), String>) {
        let result = match result {
            Ok(()) => Ok(self.count),
            Err(error) if self.count == 0 => Err(error),
            Err(error) => Err(format!("{error} ({} were done)", self.count)),
        };
        // Whoever asked may be gone by now.
        let _ = self.answer.send(result);
    }

    /// What is looked at in the next step.
    pub(in crate::deliver) fn part(&mut self) -> Which {
        match &mut self.which {
            Which::All => Which::All,
            Which::Events(ids) => Which::Events(ids.split_off(ids.len().saturating_sub(IDS))),
        }
    }

    /// Takes note of a step that was done, and answers whether it was the last.
    pub(in crate::deliver) fn done(&mut self, count: u64, next: Option<Seq>) -> bool {
        self.count += count;
        match (&self.which, next) {
            (Which::All, Some(next)) => {
                self.stretch.from = next;
                next > self.stretch.to
            }
            (Which::All, None) => true,
            (Which::Events(ids), _) => ids.is_empty(),
        }
    }
}

impl Worker {
    /// Hears a request.
    pub(super) fn asked(&mut self, request: Request) {
        match request {
            Request::Decide(mut decision) => {
                let last = self.journal.commit().durable();
                decision.stretch.to = decision.stretch.to.min(last);
                self.decisions.push_back(decision);
            }
            Request::Find(seq, answer) => {
                self.settle();
                let peeked = self.peeked.as_ref().is_some_and(|recorded| recorded.event.seq == seq);
                let ahead = seq >= self.next || peeked || self.under_way.contains_key(&seq);
                let found = if ahead { Found::Ahead } else { Found::Behind(self.recent.find(seq)) };
                // Whoever asked may be gone by now.
                let _ = answer.send(found);
            }
        }
    }

    /// Does the next step of what is to be done with dead letters.
    pub(super) async fn decide(&mut self) {
        let Some(mut decision) = self.decisions.pop_front() else { return };
        // What has died a moment ago is to be among them.
        self.settle();
        let (name, now) = (self.subscriber.name.as_str(), Millis::now());
        let (fate, part) = (decision.fate, decision.part());
        let step = match self.state.decide(name, fate, part, decision.stretch, now).await {
            Ok(step) => step,
            Err(error) => return decision.answer_with(Err(error)),
        };
        match fate {
            Fate::CalledBack => self.called_back(step),
            Fate::Dropped => {
                self.metrics.dead.dec_by(step.count.cast_signed());
                self.metrics.dropped.inc_by(step.count);
            }
        }
        if decision.done(step.count, step.next) {
            decision.answer_with(Ok(()));
        } else {
            self.decisions.push_front(decision);
        }
    }

    /// Some dead letters are owed again, and wait in the state.
    pub(super) fn called_back(&mut self, step: Step) {
        self.metrics.dead.dec_by(step.count.cast_signed());
        self.recalled.count += step.count;
        self.recalled.oldest = [self.recalled.oldest, step.oldest].into_iter().flatten().min();
        self.breaker.hurry(Instant::now());
    }

    /// Takes up some of those that were called back, if nothing else is due. Many that are refused again must leave room
    /// for what is new, and many debts must leave room for a few that were called back.
    pub(super) async fn take_up(&mut self) {
        let now = Millis::now();
        let few = self.debts.taken_up() < usize::try_from(AT_A_TIME).unwrap_or(usize::MAX);
        let room = few || self.debts.len() < MAX_OWED / 2;
        let later = self.take_up_at.is_some_and(|at| Instant::now() < at);
        if self.recalled.count == 0 || later || !room || self.debts.next_due().is_some_and(|due| due <= now) {
            return;
        }
        match self.state.take_up(self.subscriber.name.as_str(), AT_A_TIME).await {
            Ok((owed, oldest)) => {
                self.recalled.count = self.recalled.count.saturating_sub(owed.len() as u64);
                if oldest.is_none() {
                    self.recalled.count = 0;
                }
                self.recalled.oldest = oldest;
                for owed in owed {
                    self.debts.put(owed);
                }
            }
            Err(error) => {
                let subscriber = self.subscriber.name.as_str();
                tracing::error!(subscriber, error, "cannot take up dead letters that were called back");
                self.take_up_at = Some(Instant::now() + REST);
            }
        }
    }
}
