//! What operators see of subscribers and do with them.

use std::fmt;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::worker::command::{ENDED, Request};
use super::worker::letters::Decision;
use super::{Deliveries, Order};
use crate::api::Time;
use crate::api::dead::{DeadLetter, DeadLetters};
use crate::api::subscribers::{LastError, Subscriber, SubscriberState, Subscribers};
use crate::event::{Millis, Seq};
use crate::journal::Position;
use crate::journal::state::letters::{Fate, Letter, Other, Place, Which, Wish};
use crate::name::Pattern;
use crate::route::Route;

/// The most calls of the state that one page of dead letters is gathered with. Where most letters are of other topics, a
/// page may stay short.
const MAX_STRIDES: u32 = 50;

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsteered {
    /// There is nobody of that name.
    Unknown(String),
    /// It makes no sense as it was asked.
    Wrong(String),
    /// It makes sense, and cannot be done.
    Refused(String),
    /// It cannot be done now.
    NotNow(String),
}

impl fmt::Display for Unsteered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(text) | Self::Wrong(text) | Self::Refused(text) | Self::NotNow(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Unsteered {}

fn unknown(name: &str) -> Unsteered {
    // It came from outside.
    let shown: String = name.chars().take(64).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    Unsteered::Unknown(format!("there is no subscriber `{shown}`"))
}

impl Deliveries {
    /// Pauses a subscriber, or lets it go on: on stable storage before this answers, so that it is kept over restarts. A
    /// paused one hands out nothing, finishes what is under way, and goes on owing what comes.
    ///
    /// # Errors
    /// When there is no such subscriber, or the state cannot be written.
    pub async fn pause(&self, name: &str, paused: bool) -> Result<(), Unsteered> {
        let (field, name) = (Arc::clone(&self.field), name.to_owned());
        // Whoever asks may go away in the middle; what is saved and what is done are the same all the same.
        let done = tokio::spawn(async move {
            let _alone = field.steering.lock().await;
            if field.requests(&name).is_none() {
                return Err(unknown(&name));
            }
            field.state.pause(&name, paused).await.map_err(Unsteered::NotNow)?;
            field.set_paused(&name, paused);
            tracing::info!(subscriber = name, paused, "an operator paused a subscriber, or let it go on");
            Ok(())
        });
        done.await.unwrap_or_else(|error| Err(Unsteered::NotNow(error.to_string())))
    }

    /// Calls dead letters of a subscriber back, or drops them. Answers how many it were. Letters that die while this goes
    /// on may be among them or not.
    ///
    /// # Errors
    /// When there is no such subscriber, one that is not configured any more should get letters back, or the state cannot
    /// be written: some may be done then, which the text says.
    pub async fn decide(&self, name: &str, fate: Fate, which: Which) -> Result<u64, Unsteered> {
        let count = match self.field.requests(name) {
            Some(requests) => {
                let (answer, answered) = oneshot::channel();
                let request = Request::Decide(Decision::new(fate, which, answer));
                let ended = || Unsteered::NotNow(ENDED.into());
                requests.send(request).await.map_err(|_| ended())?;
                answered.await.map_err(|_| ended())?.map_err(Unsteered::NotNow)?
            }
            None => self.decide_for_nobody(name, fate, which).await?,
        };
        match fate {
            Fate::CalledBack => tracing::info!(subscriber = name, count, "an operator called dead letters back"),
            Fate::Dropped => tracing::info!(subscriber = name, count, "an operator dropped dead letters"),
        }
        Ok(count)
    }

    /// The same for one that has no worker.
    async fn decide_for_nobody(&self, name: &str, fate: Fate, which: Which) -> Result<u64, Unsteered> {
        if !self.others().await?.iter().any(|other| other.of.name == name) {
            return Err(unknown(name));
        }
        if fate == Fate::CalledBack {
            let text = format!("the subscriber `{name}` is not configured: configure it again to deliver its letters");
            return Err(Unsteered::Refused(text));
        }
        // Nobody waits for this answer.
        let (answer, _) = oneshot::channel();
        let mut decision = Decision::new(fate, which, answer);
        decision.stretch.to = self.field.journal.commit().durable();
        loop {
            let _alone = self.field.steering.lock().await;
            if self.field.requests(name).is_some() {
                return Err(Unsteered::NotNow(format!("{ENDED} ({} were done)", decision.count)));
            }
            let part = decision.part();
            let step = self.field.state.decide(name, fate, part, decision.stretch, Millis::now()).await;
            let step = step.map_err(Unsteered::NotNow)?;
            if decision.done(step.count, step.next) {
                return Ok(decision.count);
            }
        }
    }

    async fn others(&self) -> Result<Vec<Other>, Unsteered> {
        let names = self.field.seen().iter().map(|seen| seen.name.to_string()).collect();
        let last = self.field.journal.commit().durable();
        self.field.state.others(names, last).await.map_err(Unsteered::NotNow)
    }

    /// Everyone there is, by name, and those that are not configured any more and still owed something.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn subscribers(&self) -> Result<Subscribers, Unsteered> {
        // First, so that one that leaves in between is there twice rather than not at all.
        let others = self.others().await?;
        let (now, last) = (Millis::now(), self.field.journal.commit().durable());
        let mut all: Vec<Subscriber> = self.field.seen().iter().map(|seen| subscriber(seen, last, now)).collect();
        for other in others.into_iter().filter(|other| other.of.is_kept()) {
            if !all.iter().any(|there| there.name == other.of.name) {
                all.push(unconfigured(other));
            }
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Subscribers { subscribers: all, last_seq: last.0 })
    }

    /// One of them.
    ///
    /// # Errors
    /// When there is no such subscriber, or the state cannot be read.
    pub async fn subscriber(&self, name: &str) -> Result<Subscriber, Unsteered> {
        let all = self.subscribers().await?.subscribers;
        all.into_iter().find(|one| one.name == name).ok_or_else(|| unknown(name))
    }

    /// Dead letters, those of the newest events first. `topic`: a topic or a pattern; `before`: what an earlier answer
    /// named as `next`.
    ///
    /// # Errors
    /// When there is no such subscriber, pattern or place, or the state cannot be read.
    pub async fn dead_letters(
        &self,
        subscriber: Option<&str>,
        topic: Option<&str>,
        limit: u32,
        before: Option<&str>,
    ) -> Result<DeadLetters, Unsteered> {
        if let Some(name) = subscriber
            && self.field.requests(name).is_none()
            && !self.others().await?.iter().any(|other| other.of.name == name)
        {
            return Err(unknown(name));
        }
        let topic = topic.map(Pattern::parse).transpose().map_err(|error| Unsteered::Wrong(error.to_string()))?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut wish = Wish {
            subscriber: subscriber.map(str::to_owned),
            topic: topic.clone(),
            before: before.map(place).transpose()?,
            limit,
        };
        let mut dead = Vec::new();
        for _ in 0..MAX_STRIDES {
            let page = self.field.state.letters(wish.clone()).await.map_err(Unsteered::NotNow)?;
            for mut letter in page.letters {
                if letter.owed.topic.is_none() {
                    (letter.owed.topic, letter.owed.kind) = self.look_up(letter.owed.seq).await;
                }
                let of = (letter.owed.topic.as_deref().unwrap_or_default(), letter.owed.kind.as_deref());
                if topic.as_ref().is_none_or(|wanted| wanted.matches(of.0, of.1)) {
                    dead.push(shown(letter));
                }
            }
            wish.before = page.next;
            wish.limit = limit.saturating_sub(dead.len());
            if wish.before.is_none() || wish.limit == 0 {
                break;
            }
        }
        Ok(DeadLetters { dead, next: wish.before.map(|at| format!("{}.{}", at.seq, at.subscriber)) })
    }

    /// Topic and type of an event, where they are not noted beside the letter: those of letters from earlier versions.
    async fn look_up(&self, seq: Seq) -> (Option<Box<str>>, Option<Box<str>>) {
        let mut reader = self.field.journal.reader(Position { seq, place: None });
        let read = tokio::task::spawn_blocking(move || reader.next(&mut |_, _| true).ok().flatten()).await;
        let found = match read.ok().flatten().filter(|recorded| recorded.event.seq == seq) {
            Some(recorded) => Some(recorded.event),
            None => self.field.state.kept(seq).await.ok().flatten(),
        };
        found.map_or((None, None), |event| (Some((&*event.topic).into()), event.kind.as_deref().map(Into::into)))
    }
}

/// Reads a place in the list of dead letters.
fn place(text: &str) -> Result<Place, Unsteered> {
    let parsed = text.split_once('.').and_then(|(seq, subscriber)| {
        let seq = seq.parse().ok().filter(|seq| i64::try_from(*seq).is_ok())?;
        Some(Place { seq: Seq(seq), subscriber: subscriber.to_owned() })
    });
    parsed.ok_or_else(|| Unsteered::Wrong("`before` is not a place in this list".into()))
}

fn shown(Letter { subscriber, owed }: Letter) -> DeadLetter {
    DeadLetter {
        subscriber,
        event: owed.id.to_string(),
        seq: owed.seq.0,
        topic: owed.topic.unwrap_or_default().into(),
        kind: owed.kind.map(Into::into),
        received: owed.id.time().to_string(),
        died: owed.due.to_string(),
        attempts: owed.attempts,
        reason: owed.reason,
    }
}

fn subscriber(seen: &super::keeper::Seen, last: Seq, now: Millis) -> Subscriber {
    use std::sync::atomic::Ordering::Relaxed;
    let configured = &seen.subscriber;
    let mut view = Subscriber {
        name: seen.name.to_string(),
        topics: patterns(&configured.route),
        filter: filter(&configured.route),
        sink: configured.sink.to_string(),
        order: match configured.order {
            Order::Parallel => "parallel".into(),
            Order::Strict => "strict".into(),
        },
        state: if seen.paused { SubscriberState::Paused } else { SubscriberState::Running },
        position: 0,
        backlog: 0,
        retrying: 0,
        oldest_owed_seconds: 0.0,
        dead: seen.metrics.dead.get().cast_unsigned(),
        delivered: seen.metrics.delivered.get(),
        next_attempt: None,
        last_error: None,
    };
    let Some(of) = &seen.shown else { return view };
    let status = &of.status;
    let time = |at: i64| (at != 0).then(|| Time::from(Millis(at).to_string()));
    if status.failing.load(Relaxed) && !seen.paused {
        view.state = SubscriberState::Failing;
    }
    view.position = status.position.load(Relaxed);
    view.backlog = status.backlog(last, of.watch.matched());
    view.retrying = status.retrying.load(Relaxed);
    view.oldest_owed_seconds = status.oldest_owed_seconds(now);
    view.next_attempt = time(status.next_attempt.load(Relaxed)).filter(|_| !seen.paused);
    view.last_error = status.last_error().map(|(at, reason)| LastError { time: at.to_string(), reason });
    view
}

fn patterns(route: &Route) -> Vec<String> {
    route.patterns.iter().map(|pattern| pattern.as_str().to_owned()).collect()
}

fn filter(route: &Route) -> Option<String> {
    route.filter.as_ref().map(|filter| filter.text().to_owned())
}

fn unconfigured(other: Other) -> Subscriber {
    let route = Route::from_record(&other.wanted);
    Subscriber {
        name: other.of.name,
        topics: patterns(&route),
        filter: filter(&route),
        sink: String::new(),
        order: String::new(),
        state: SubscriberState::Unconfigured,
        position: other.next.0,
        backlog: other.of.owed,
        retrying: other.of.owed,
        oldest_owed_seconds: 0.0,
        dead: other.of.dead,
        delivered: 0,
        next_attempt: None,
        last_error: None,
    }
}
