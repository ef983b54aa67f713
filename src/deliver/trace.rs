//! What became of one event, subscriber by subscriber: from what the state has noted of it, and from how far each worker
//! is. A worker that is asked sends first what it has noted, and the state is asked after it: so what is told was the case
//! at one moment or a later one, never a mixture in which a refusal looks like a success.

use std::cell::OnceCell;
use std::time::Duration;

use tokio::sync::oneshot;

use super::Deliveries;
use super::keeper::Seen;
use super::recent::Sent;
use super::steer::Unsteered;
use super::worker::command::{Found, Request};
use crate::api::events::{Attempt, Delivery, DeliveryState};
use crate::event::{Event, Seq};
use crate::filter::Parsed;
use crate::journal::state::letters::Noted;
use crate::journal::state::{self, DELIVERED, DROPPED};
use crate::route::{Decision, Route};

/// How long a worker may take to say how far it is: it may wait for the disk.
const PATIENCE: Duration = Duration::from_secs(5);

/// The event that is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Traced<'a> {
    /// Its place in the journal.
    pub seq: Seq,
    /// Its topic.
    pub topic: &'a str,
    /// Its type.
    pub kind: Option<&'a str>,
    /// All of it, for filters; none if it is not there any more.
    pub event: Option<&'a Event>,
}

impl Deliveries {
    /// What became of an event, by subscriber: of those that want it, wanted it when they came to it, or have something
    /// noted of it.
    ///
    /// # Errors
    /// When the state cannot be read or written, or a worker does not answer in time.
    pub async fn trace(&self, event: Traced<'_>) -> Result<Vec<Delivery>, Unsteered> {
        let seen = self.field.seen();
        let mut asked = Vec::with_capacity(seen.len());
        for one in &seen {
            let (answer, found) = oneshot::channel();
            // A worker that has ended has noted all it knew; one that has not begun knows nothing else yet.
            let sent = one.requests.try_send(Request::Find(event.seq, answer));
            asked.push((one, sent.is_ok().then_some(found)));
        }
        let mut found = Vec::with_capacity(asked.len());
        let deadline = tokio::time::Instant::now() + PATIENCE;
        for (one, answer) in asked {
            let answer = match answer {
                None => None,
                Some(answer) => tokio::time::timeout_at(deadline, answer).await.map_err(|_| slow(one))?.ok(),
            };
            found.push((one, answer));
        }
        let mut noted = self.field.state.noted(event.seq).await.map_err(Unsteered::NotNow)?;
        let mut all = Vec::new();
        let body = OnceCell::new();
        let ask = |route: &Route| ask(route, event, &body);
        for (one, found) in found {
            let noted = noted.remove(one.name.as_str()).unwrap_or_default();
            let found = found.unwrap_or_else(|| by_position(one, event.seq));
            all.extend(told(one, ask, found, &noted));
        }
        all.extend(noted.into_iter().filter_map(|(name, noted)| of_nobody(name, &noted)));
        all.sort_by(|a, b| a.subscriber.cmp(&b.subscriber));
        Ok(all)
    }
}

fn slow(one: &Seen) -> Unsteered {
    Unsteered::NotNow(format!("the subscriber `{}` does not answer in time", one.name))
}

/// As far as can be seen from outside.
fn by_position(one: &Seen, seq: Seq) -> Found {
    let position =
        one.shown.as_ref().map_or(0, |shown| shown.status.position.load(std::sync::atomic::Ordering::Relaxed));
    if seq.0 < position { Found::Behind(None) } else { Found::Ahead }
}

/// What a subscriber that wants this makes of the event; none: that cannot be told any more.
fn ask(route: &Route, traced: Traced<'_>, body: &OnceCell<Parsed>) -> Option<Decision> {
    if !route.matches(traced.topic, traced.kind) {
        return Some(Decision::Unmatched);
    }
    match (&route.filter, traced.event) {
        (None, _) => Some(Decision::Taken),
        (Some(_), event) => event.map(|event| route.judge(event, || body.get_or_init(|| Parsed::of(event)))),
    }
}

/// What became of the event for one that is configured.
fn told(one: &Seen, ask: impl Fn(&Route) -> Option<Decision>, found: Found, noted: &Noted) -> Option<Delivery> {
    let name = one.name.to_string();
    if let Some(delivery) = refused(name.clone(), noted) {
        return Some(delivery);
    }
    let route = &one.subscriber.route;
    let sent = match found {
        Found::Ahead => return by_decision(name, ask(route)?, DeliveryState::Pending),
        Found::Behind(sent) => sent,
    };
    if noted.attempts.is_empty() && sent.is_none() {
        let decision = match noted.wanted.as_deref() {
            Some("") => return by_decision(name, ask(route)?, DeliveryState::BeforeStart),
            Some(then) => ask(&Route::from_record(then))?,
            None => ask(route)?,
        };
        if decision != Decision::Taken {
            return by_decision(name, decision, DeliveryState::Filtered);
        }
    }
    Some(delivered(name, noted, sent))
}

/// How the delivery stands if it was to be made, or that the filter stands before it; none: no pattern matches.
fn by_decision(name: String, decision: Decision, state: DeliveryState) -> Option<Delivery> {
    match decision {
        Decision::Unmatched => None,
        Decision::Taken => Some(plain(name, state)),
        Decision::Filtered => Some(plain(name, DeliveryState::Filtered)),
        Decision::Failed(failure) => {
            let reason = Some(format!("the filter fails: {failure}"));
            Some(Delivery { reason, ..plain(name, DeliveryState::Filtered) })
        }
    }
}

/// What became of it for one that is not configured any more.
fn of_nobody(name: String, noted: &Noted) -> Option<Delivery> {
    if let Some(delivery) = refused(name.clone(), noted) {
        return Some(delivery);
    }
    (!noted.attempts.is_empty()).then(|| delivered(name, noted, None))
}

/// One that is owed, dead or dropped.
fn refused(subscriber: String, noted: &Noted) -> Option<Delivery> {
    let attempts = attempts(noted);
    if let Some(owed) = &noted.owed {
        let state = match (owed.dead, attempts.is_empty()) {
            (true, _) => DeliveryState::Dead,
            (false, true) => DeliveryState::Pending,
            (false, false) => DeliveryState::Retrying,
        };
        let reason = (!owed.reason.is_empty()).then(|| owed.reason.clone());
        return Some(Delivery { subscriber, state, due: Some(owed.due.to_string()), reason, attempts });
    }
    let last = noted.attempts.last().filter(|last| last.label == DROPPED)?;
    let reason = Some(last.reason.clone());
    Some(Delivery { subscriber, state: DeliveryState::Dropped, due: None, reason, attempts })
}

fn plain(subscriber: String, state: DeliveryState) -> Delivery {
    Delivery { subscriber, state, due: None, reason: None, attempts: Vec::new() }
}

fn delivered(subscriber: String, noted: &Noted, sent: Option<Sent>) -> Delivery {
    let mut attempts = attempts(noted);
    if noted.attempts.last().is_none_or(|last| last.label != DELIVERED) {
        // Nothing is written of what goes well at once.
        attempts.push(Attempt {
            number: noted.attempts.last().map_or(1, |last| last.number + 1),
            time: sent.map(|sent| sent.time.to_string()),
            result: DELIVERED.into(),
            reason: None,
            status: sent.and_then(|sent| sent.status),
            answer: None,
            duration_seconds: sent.map(|sent| sent.took.as_secs_f64()),
        });
    }
    Delivery { attempts, ..plain(subscriber, DeliveryState::Delivered) }
}

fn attempts(noted: &Noted) -> Vec<Attempt> {
    let told = |attempt: &state::Attempt| Attempt {
        number: attempt.number,
        time: Some(attempt.time.to_string()),
        result: attempt.label.clone(),
        reason: (!attempt.reason.is_empty()).then(|| attempt.reason.clone()),
        status: attempt.status,
        answer: (!attempt.answer.is_empty()).then(|| String::from_utf8_lossy(&attempt.answer).into_owned()),
        duration_seconds: attempt.took.map(|took| took.as_secs_f64()),
    };
    noted.attempts.iter().map(told).collect()
}
