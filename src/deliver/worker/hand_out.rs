//! What is handed out next: what is due again and what is new take turns.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{MAX_BATCH_BYTES, REST, Worker};
use crate::deliver::breaker::Leave;
use crate::deliver::{Order, dice};
use crate::event::{Event, Millis, Seq};
use crate::journal::state::Owed;
use crate::route::Decision;
use crate::sink::Delivery;

/// Events are noted as begun this many ahead, so that it costs nothing for each.
pub(super) const BEGUN_AHEAD: u64 = 1024;

/// How long a look may take before others have their turn, but for the one event that takes longest.
pub(super) const A_LOOK: Duration = Duration::from_millis(2);

/// What became of the event of a delivery that is owed.
enum Found {
    Event(Event),
    /// It is nowhere.
    Gone,
    /// It may be there, but cannot be read now.
    Unreadable,
}

impl Worker {
    /// Hands out as much as the sink takes. Answers when there may be more to hand out, if time alone brings it.
    pub(super) async fn hand_out(&mut self) -> Option<Instant> {
        let capacity = self.sink.capacity();
        let parallel = if self.subscriber.order == Order::Strict { 1 } else { capacity.parallel };
        let mut pause = None;
        while self.calls.len() < parallel && !self.alone {
            let leave = self.breaker.leave(Instant::now());
            match leave {
                Leave::Wait(until) => {
                    pause = Some(until);
                    break;
                }
                Leave::Probe if !self.calls.is_empty() => break,
                Leave::Probe | Leave::Free => {}
            }
            let single = leave == Leave::Probe || self.subscriber.order == Order::Strict;
            let size = if single { 1 } else { capacity.batch };
            self.due_first = !self.due_first;
            let mut batch = if self.due_first { self.take_due(size).await } else { self.take_new(size).await };
            if batch.is_empty() {
                batch = if self.due_first { self.take_new(size).await } else { self.take_due(size).await };
            }
            let mut replay_at = None;
            if batch.is_empty() {
                (batch, replay_at) = self.take_replayed(size).await;
            }
            if batch.is_empty() {
                // One that is due and was not taken waits for what is under way, not for time.
                let now = Millis::now();
                let due = self.debts.next_due().filter(|due| *due > now || self.calls.is_empty());
                pause = due.map(|due| until(due, now)).into_iter().chain(replay_at).min();
                break;
            }
            for delivery in &mut batch {
                delivery.span = self.metrics.tracer.attempt(&delivery.event);
            }
            let sink = Arc::clone(&self.sink);
            self.calls.spawn(async move {
                let began = Instant::now();
                let outcomes = sink.deliver(&batch).await;
                (batch, outcomes, began.elapsed())
            });
        }
        self.peek();
        pause
    }

    /// Deliveries that were refused and are due again. Each attempt is noted before it is made, so that it counts even
    /// if it ends the process.
    async fn take_due(&mut self, size: usize) -> Vec<Delivery> {
        self.take_up().await;
        let policy = self.subscriber.retry;
        let mut batch = Vec::new();
        while batch.len() < size {
            let now = Millis::now();
            let Some(mut owed) = self.debts.take_due(now) else { break };
            if owed.suspect && !(batch.is_empty() && self.calls.is_empty()) {
                // It goes alone, so that nothing else is blamed with it.
                self.debts.put(owed);
                break;
            }
            if owed.round() >= policy.attempts {
                // The process ended during the last one, or there may be fewer now.
                owed.reason = format!("no attempt is left; before that: {}", owed.reason);
                self.bury(owed);
                continue;
            }
            let event = match self.owed_event(&owed).await {
                Found::Event(event) => event,
                Found::Gone => {
                    owed.reason = format!("the event is damaged in the journal; before that: {}", owed.reason);
                    self.bury(owed);
                    continue;
                }
                Found::Unreadable => {
                    self.debts.put(Owed { due: after(now, REST), ..owed });
                    break;
                }
            };
            owed.attempts += 1;
            owed.due = after(now, policy.delay(owed.round(), dice()));
            if owed.suspect {
                owed.reason = "the process ended while this was being delivered".into();
            }
            batch.push(Delivery { event, attempt: owed.attempts, span: None });
            self.change.rows.insert(owed.seq, Some(owed.clone()));
            self.alone = owed.suspect;
            self.debts.update(owed);
            if self.alone {
                break;
            }
        }
        if !batch.is_empty() {
            self.settle();
            self.state.settled().await;
        }
        batch
    }

    async fn owed_event(&mut self, owed: &Owed) -> Found {
        let unreadable = |error: &dyn std::fmt::Display| {
            tracing::error!(subscriber = %self.subscriber.name, event = %owed.id, %error, "cannot read an event that is owed");
            Found::Unreadable
        };
        let mut reader = self.journal.reader(self.debts.position(owed.seq));
        match reader.next(&mut |_, _| true) {
            Ok(Some(recorded)) if recorded.event.seq == owed.seq => {
                self.debts.place(recorded.position);
                return Found::Event(recorded.event);
            }
            Ok(_) => {}
            Err(error) => return unreadable(&error),
        }
        match self.state.kept(owed.seq).await {
            Ok(Some(event)) => Found::Event(event),
            Ok(None) => {
                tracing::error!(
                    subscriber = %self.subscriber.name, event = %owed.id,
                    "an event that is owed is not in the journal any more: damaged"
                );
                Found::Gone
            }
            Err(error) => unreadable(&error),
        }
    }

    /// New events, as many as the sink takes at a time.
    async fn take_new(&mut self, size: usize) -> Vec<Delivery> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < size && bytes < MAX_BATCH_BYTES && self.may_read() {
            self.peek();
            let Some(recorded) = self.peeked.take() else { break };
            let (event, position) = (recorded.event, recorded.position);
            if event.seq < self.suspect_until {
                let owed = Owed { due: Millis::now(), suspect: true, ..Owed::of(&event) };
                self.change.rows.insert(owed.seq, Some(owed.clone()));
                self.debts.put(owed);
                self.debts.place(position);
                self.unsettled.get_or_insert_with(Instant::now);
                break;
            }
            bytes += event.body.len();
            self.under_way.insert(event.seq, (event.time, position));
            batch.push(Delivery { event, attempt: 1, span: None });
        }
        if let Some(last) = batch.last()
            && last.event.seq >= self.saved.begun
        {
            self.saved.begun = Seq(last.event.seq.0 + BEGUN_AHEAD);
            self.settle();
            self.state.settled().await;
        }
        batch
    }

    /// Reads on to the next event that is wanted, unless its filter refuses so many before it that others must have their
    /// turn first.
    pub(super) fn peek(&mut self) {
        self.at_tail = false;
        if self.peeked.is_some() {
            return;
        }
        let mut until = None;
        while self.may_read() && self.look() && self.peeked.is_none() {
            let now = Instant::now();
            if now >= *until.get_or_insert(now + A_LOOK) {
                break;
            }
        }
    }

    /// What the filter says of an event that the patterns match.
    pub(super) fn judge(&self, event: &Event) -> Decision {
        self.subscriber.route.judge(event, || self.bodies.parsed(event))
    }

    /// Reads one event that the patterns match, and takes it if the filter wants it. Answers whether there was one.
    fn look(&mut self) -> bool {
        let route = &self.subscriber.route;
        match self.reader.next(&mut |topic, kind| route.matches(topic, kind)) {
            Ok(found) => {
                if self.next != self.reader.next_seq() {
                    self.next = self.reader.next_seq();
                    self.unsettled.get_or_insert_with(Instant::now);
                }
                self.at_tail = found.is_none() && self.reader.at_end();
                self.backlog.taken += u64::from(found.is_some());
                self.blind_until = None;
                let Some(recorded) = found else { return false };
                let decision = self.judge(&recorded.event);
                if decision == Decision::Taken {
                    self.peeked = Some(recorded);
                } else {
                    self.metrics.filtered.inc();
                    self.metrics.filter_errors.inc_by(matches!(decision, Decision::Failed(_)).into());
                }
                true
            }
            Err(error) => {
                let text = format!("cannot read the journal: {error}");
                tracing::error!(subscriber = %self.subscriber.name, "{text}");
                self.status.failed(Millis::now(), &text);
                self.blind_until = Some(Instant::now() + REST);
                false
            }
        }
    }
}

fn after(now: Millis, delay: Duration) -> Millis {
    Millis(now.0.saturating_add(i64::try_from(delay.as_millis()).unwrap_or(i64::MAX)))
}

/// The moment on the monotonic clock when the wall clock, which shows `now`, will show that time.
fn until(due: Millis, now: Millis) -> Instant {
    Instant::now() + Duration::from_millis(u64::try_from(due.0.saturating_sub(now.0)).unwrap_or(0))
}
