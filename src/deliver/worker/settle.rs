//! What follows an attempt: delivered, owed, or dead; and noting it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{Call, Worker};
use crate::deliver::dice;
use crate::deliver::recent::Sent;
use crate::deliver::retry::Next;
use crate::deliver::status::Examined;
use crate::event::{Millis, Seq};
use crate::journal::state::{Attempt, Cursor, DELIVERED, Owed};
use crate::sink::{Delivery, Receipt, Refusal};
use crate::trace;

impl Worker {
    /// Takes the outcomes of a call that has ended.
    pub(super) fn finish(&mut self, call: Result<Call, tokio::task::JoinError>) {
        // A sink that panics has ended the process in a release build; elsewhere the panic goes on.
        let (batch, outcomes, took) = match call {
            Ok(call) => call,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        assert_eq!(batch.len(), outcomes.len(), "a sink answers for each delivery");
        let now = Millis::now();
        self.unsettled.get_or_insert_with(Instant::now);
        // Whatever was alone was all there was.
        self.alone = false;
        let mut refused = false;
        self.replaying.call_ended(batch[0].event.seq);
        for (delivery, outcome) in batch.into_iter().zip(outcomes) {
            // Each took as long as the call that it was in.
            self.metrics.attempt_seconds.observe(took.as_secs_f64());
            let begun = self.under_way.remove(&delivery.event.seq).map(|(_, position)| position);
            let replayed = self.replaying.ended(delivery.event.seq, outcome.is_err());
            let since = replayed.map(|_| now);
            self.metrics.replayed.inc_by(replayed.is_some().into());
            match outcome {
                Ok(receipt) => self.delivered(&delivery, receipt, now, took),
                Err(refusal) => {
                    refused = true;
                    self.refused(&delivery, &refusal, (now, took), since);
                    if let Some(position) = begun.or(replayed) {
                        self.debts.place(position);
                    }
                }
            }
        }
        if refused {
            self.settle();
        }
    }

    fn delivered(&mut self, delivery: &Delivery, receipt: Receipt, now: Millis, took: Duration) {
        self.metrics.good_attempts.inc();
        self.metrics.delivered.inc();
        self.traced(delivery, took, "delivered", receipt.status, None);
        let seq = delivery.event.seq;
        if self.debts.remove(seq).is_some() {
            self.change.rows.insert(seq, None);
        }
        if delivery.attempt > 1 {
            self.change.attempts.push(Attempt {
                seq,
                number: delivery.attempt,
                time: now,
                label: DELIVERED.into(),
                reason: String::new(),
                status: receipt.status,
                answer: Vec::new(),
                took: Some(took),
            });
        } else {
            self.recent.note(Sent { seq, time: now, status: receipt.status, took });
        }
        if self.breaker.succeeded() {
            tracing::warn!(subscriber = %self.subscriber.name, "deliveries succeed again");
        }
    }

    /// `since`: when it was begun anew, if this was the first attempt since then.
    fn refused(
        &mut self,
        delivery: &Delivery,
        refusal: &Refusal,
        (now, took): (Millis, Duration),
        since: Option<Millis>,
    ) {
        self.metrics.refused(refusal.label);
        self.status.failed(now, &refusal.reason);
        if self.breaker.is_first_refusal() {
            tracing::warn!(
                subscriber = %self.subscriber.name, seq = delivery.event.seq.0, event = %delivery.event.id,
                topic = &*delivery.event.topic, attempt = delivery.attempt,
                reason = refusal.reason, "a delivery was refused; further refusals are not logged until one succeeds"
            );
        }
        let (event, policy) = (&delivery.event, self.subscriber.retry);
        if self.breaker.failed(refusal, &policy, Instant::now(), dice()) {
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
            took: Some(took),
        });
        let anew = || Owed { spent: delivery.attempt - 1, since, ..Owed::of(event) };
        let before = self.debts.get(event.seq).cloned().unwrap_or_else(anew);
        let mut owed = Owed {
            attempts: delivery.attempt,
            due: now,
            // It came to an answer, so it did not end the process.
            suspect: false,
            reason: refusal.reason.clone(),
            ..before
        };
        let since = owed.since.unwrap_or(event.time);
        let next = policy.after_refusal(owed.round(), since, now, refusal, dice());
        let outcome = if let Next::At(_) = next { "retry" } else { "dead" };
        self.traced(delivery, took, outcome, refusal.status, Some((refusal.label, &refusal.reason)));
        match next {
            Next::At(due) => {
                owed.due = due;
                self.change.rows.insert(owed.seq, Some(owed.clone()));
                self.debts.put(owed);
            }
            Next::GivenUp | Next::OutOfAttempts | Next::TooOld => self.bury(owed),
        }
    }

    fn traced(
        &self,
        delivery: &Delivery,
        took: Duration,
        outcome: &'static str,
        status: Option<u16>,
        refused: Option<(&'static str, &str)>,
    ) {
        let Delivery { event, attempt: number, span } = delivery;
        let subscriber = self.subscriber.name.as_str();
        let attempt = trace::Attempt { event, span: *span, subscriber, number: *number, outcome, status, refused };
        self.metrics.tracer.attempted(&attempt, took);
    }

    /// Makes a dead letter of a delivery.
    pub(super) fn bury(&mut self, mut owed: Owed) {
        tracing::error!(
            subscriber = %self.subscriber.name, seq = owed.seq.0, event = %owed.id, attempts = owed.attempts,
            reason = owed.reason, "a delivery is given up: dead letter"
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
    pub(super) fn settle(&mut self) {
        let next = self.first_not_done();
        if next > self.saved.next {
            self.crashes = 0;
        }
        self.saved = Cursor { next, begun: self.saved.begun.max(next), crashes: self.crashes };
        self.change.cursor = Some(self.saved);
        let mut holds = self.note_replay();
        holds.push((Arc::clone(&self.hold), next));
        self.state.change(self.subscriber.name.as_str(), std::mem::take(&mut self.change), holds);
        self.unsettled = None;
    }

    /// Everything before this is delivered, dead, noted as owed, or not wanted.
    fn first_not_done(&self) -> Seq {
        let peeked = self.peeked.as_ref().map(|recorded| recorded.event.seq);
        let under_way = self.under_way.keys().next().copied();
        [peeked, under_way].into_iter().flatten().fold(self.next, Seq::min)
    }

    /// Shows outside how it stands.
    pub(super) fn show(&mut self) {
        // Before looking whether it is at the end: what comes in between is counted by whoever looks.
        let matched = self.watch.matched();
        let retrying = self.debts.len() as u64 + self.recalled.count;
        let open = retrying + self.under_way.len() as u64 + u64::from(self.peeked.is_some());
        let at_the_end = self.peeked.is_none() && self.next > self.journal.commit().durable();
        let backlog = open + self.backlog.unread(matched, at_the_end);
        let received = [
            self.peeked.as_ref().map(|recorded| recorded.event.time),
            self.under_way.values().map(|(received, _)| *received).min(),
            self.debts.oldest().map(|owed| owed.id.time()),
            self.recalled.oldest,
        ];
        let oldest = received.into_iter().flatten().min().map_or(0, |time| time.0);
        self.status.position.store(self.first_not_done().0, Ordering::Relaxed);
        self.status.examined(Examined { next: self.next, matched, backlog });
        self.status.oldest_owed.store(oldest, Ordering::Relaxed);
        self.status.failing.store(self.breaker.is_failing(), Ordering::Relaxed);
        self.status.retrying.store(retrying, Ordering::Relaxed);
        self.status.next_attempt.store(self.next_attempt(open).map_or(0, |at| at.0), Ordering::Relaxed);
    }

    /// When something that waits for time alone is tried next.
    fn next_attempt(&self, open: u64) -> Option<Millis> {
        let due = self.debts.next_due();
        match self.breaker.leave_at() {
            Some(probe) if open > 0 => {
                let now = Millis::now();
                let wait = probe.saturating_duration_since(Instant::now()).as_millis();
                let probe = Millis(now.0.saturating_add(i64::try_from(wait).unwrap_or(i64::MAX)));
                Some(probe.max(due.unwrap_or(probe)))
            }
            _ => due,
        }
    }
}
