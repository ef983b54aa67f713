//! `events`: what was recorded, page by page and one by one, and the exact bytes that came.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use super::AdminDoor;
use super::desk::Trouble;
use super::request::{Asked, json, shown};
use super::wanted::Wanted;
use crate::api::events::{Event as Shown, EventSummary, Events};
use crate::event::{Event, EventId, Headers, Millis, Seq};
use crate::http::answer::Body;
use crate::http::reply::Answer;
use crate::journal::lookup::Found;
use crate::journal::state::State;
use crate::journal::state::letters::Refused;

/// How many look into the journal at once; others wait. It costs processor time that the ingress needs.
const MAX_LOOKING: usize = 2;

/// How many bodies are on their way to clients at once, each in memory whole.
const MAX_BODIES: usize = 16;

/// How many follow the journal at once.
const MAX_TAILS: usize = 64;

/// What it takes to look at recorded events.
#[derive(Debug)]
pub struct Browse {
    state: State,
    looking: Arc<Semaphore>,
    bodies: Arc<Semaphore>,
    pub(super) tails: Arc<Semaphore>,
    /// Of which there is one: who calculates a plan.
    pub(super) plans: Arc<Semaphore>,
}

impl Browse {
    /// `state`: what is kept beside the journal.
    #[must_use]
    pub fn new(state: State) -> Self {
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        let (looking, bodies, tails) = (semaphore(MAX_LOOKING), semaphore(MAX_BODIES), semaphore(MAX_TAILS));
        Self { state, looking, bodies, tails, plans: semaphore(1) }
    }

    /// Does what takes time or waits for the disk, on a thread for that.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Trouble> {
        let failed = |why: &dyn std::fmt::Display| Trouble::Failed(format!("cannot look into the journal: {why}"));
        let turn = Arc::clone(&self.looking).acquire_owned().await.map_err(|error| failed(&error))?;
        let work = move || {
            let done = work();
            drop(turn);
            done
        };
        tokio::task::spawn_blocking(work).await.map_err(|error| failed(&error))
    }
}

pub(super) async fn list(door: &AdminDoor, asked: &Asked) -> Result<Answer, Trouble> {
    asked.only(&["topic", "type", "since", "until", "q", "limit", "before"])?;
    let (topic, kind) = (asked.get("topic"), asked.get("type"));
    let wanted = Wanted { topic, kind, since: asked.get("since"), until: asked.get("until"), q: asked.get("q") };
    let query = wanted.query(Millis::now())?;
    let limit = usize::try_from(asked.limit()?).unwrap_or(usize::MAX);
    let before = asked.get("before").map(cursor).transpose()?;
    let journal = door.ingest.journal().clone();
    let page = door.browse.look(move || journal.search(&query, before, limit)).await?;
    let seqs = page.events.iter().map(|found| found.seq).collect();
    let refused = door.browse.state.refused(seqs).await.map_err(Trouble::Failed)?;
    let summary = |found: &Found| summary(found, refused.get(&found.seq).copied().unwrap_or_default());
    json(&Events { events: page.events.iter().map(summary).collect(), next: page.next.map(|next| next.to_string()) })
}

/// What `next` of a page said.
fn cursor(text: &str) -> Result<Seq, Trouble> {
    let plain = !text.starts_with(['+', '0']);
    let seq = text.parse().ok().filter(|_| plain).map(Seq);
    seq.ok_or_else(|| Trouble::Input(format!("`before` is what `next` of the last page said; not `{}`", shown(text))))
}

/// An event in a few words.
pub(super) fn summary(found: &Found, refused: Refused) -> EventSummary {
    EventSummary {
        id: found.id.to_string(),
        seq: found.seq.0,
        topic: found.topic.clone(),
        kind: found.kind.clone(),
        time: found.time.to_string(),
        delivery_id: found.delivery_id.clone(),
        size: found.size,
        retrying: refused.retrying,
        dead: refused.dead,
    }
}

/// What there is of an event: what is known of it, and the event itself while the log has it or somebody is owed it.
pub(super) struct Known {
    pub(super) found: Found,
    pub(super) event: Option<Event>,
}

/// The event whose id stands in the path.
pub(super) async fn known(door: &AdminDoor, asked: &Asked) -> Result<Known, Trouble> {
    let word = asked.word(0);
    // Other ways to write a UUID are none to look for one.
    let id = Uuid::try_parse(word).ok().filter(|_| word.len() == uuid::fmt::Hyphenated::LENGTH).map(EventId);
    let id = id.ok_or_else(|| Trouble::Input(format!("an event's id is a UUID; not `{}`", shown(word))))?;
    let journal = door.ingest.journal().clone();
    let look = move || {
        let found = journal.find(id);
        let at = found.as_ref().filter(|found| found.is_retained()).map(|found| found.position);
        at.map_or(Ok(None), |at| journal.event_at(at)).map(|event| (found, event))
    };
    let failed = |error| Trouble::Failed(format!("cannot read the journal: {error}"));
    let (found, event) = door.browse.look(look).await?.map_err(failed)?;
    let event = match event {
        Some(event) => Some(event),
        None => door.browse.state.kept_by_id(id).await.map_err(Trouble::Failed)?,
    };
    let found = found.or_else(|| event.as_ref().map(Found::from));
    let found = found.ok_or_else(|| Trouble::NotFound("there is no event of this id".into()))?;
    Ok(Known { found, event })
}

pub(super) async fn show(door: &AdminDoor, asked: &Asked) -> Result<Answer, Trouble> {
    asked.only(&[])?;
    let Known { found, event } = known(door, asked).await?;
    let refused = door.browse.state.refused(vec![found.seq]).await.map_err(Trouble::Failed)?;
    let summary = summary(&found, refused.get(&found.seq).copied().unwrap_or_default());
    let headers = event.as_ref().map(|event| joined(&event.headers)).unwrap_or_default();
    let deliveries = door.desk.trace(found.seq, &found.topic, found.kind.as_deref(), event.as_ref()).await?;
    json(&Shown {
        summary,
        content_type: headers.get("content-type").cloned(),
        headers,
        body_bytes: event.as_ref().map_or(0, |event| event.body.len() as u64),
        retained: event.is_some(),
        deliveries,
    })
}

/// Headers by name; several values of one are joined as RFC 9110 section 5.3 has it.
fn joined(headers: &Headers) -> BTreeMap<String, String> {
    let mut all = BTreeMap::<String, String>::new();
    for (name, value) in headers.iter() {
        let value = String::from_utf8_lossy(value);
        all.entry(name.to_owned())
            .and_modify(|before| {
                before.push_str(", ");
                before.push_str(&value);
            })
            .or_insert_with(|| value.into_owned());
    }
    all
}

/// A body whose turn ends when it is sent.
struct Turn {
    body: Bytes,
    _permit: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Turn {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

pub(super) async fn body(door: &AdminDoor, asked: &Asked) -> Result<Answer, Trouble> {
    asked.only(&[])?;
    let Ok(permit) = Arc::clone(&door.browse.bodies).try_acquire_owned() else {
        return Err(Trouble::Unavailable("too many bodies are being read at once: try again".into()));
    };
    let Some(event) = known(door, asked).await?.event else {
        return Err(Trouble::Gone("retention has removed the body, or it is damaged".into()));
    };
    let mut answer = Response::new(Body::from(Bytes::from_owner(Turn { body: event.body, _permit: permit })));
    *answer.status_mut() = StatusCode::OK;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(harmless(event.headers.get("content-type"))));
    let name = HeaderValue::from_str(&format!("attachment; filename=\"{}\"", event.id));
    headers.insert(CONTENT_DISPOSITION, name.unwrap_or(HeaderValue::from_static("attachment")));
    // A browser that shows it all the same shows it as something that can do nothing.
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    Ok(answer)
}

/// The media type a body is given out with: what the sender said of it only where no browser runs it.
fn harmless(said: Option<&[u8]>) -> &'static str {
    let said = std::str::from_utf8(said.unwrap_or_default()).unwrap_or_default();
    let said = said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let known = ["application/json", "application/x-www-form-urlencoded", "text/plain"];
    match known.into_iter().find(|known| *known == said) {
        Some(known) => known,
        None if said.starts_with("application/") && said.ends_with("+json") => "application/json",
        None => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_harmless_types_are_given_out() {
        for (said, given) in [
            ("application/json", "application/json"),
            ("Application/JSON; charset=utf-8", "application/json"),
            ("application/cloudevents+json", "application/json"),
            ("application/x-www-form-urlencoded", "application/x-www-form-urlencoded"),
            ("text/plain;charset=utf-7", "text/plain"),
            ("text/html", "application/octet-stream"),
            ("image/svg+xml", "application/octet-stream"),
            ("text/html+json", "application/octet-stream"),
            ("application/javascript", "application/octet-stream"),
            ("", "application/octet-stream"),
        ] {
            assert_eq!(harmless(Some(said.as_bytes())), given, "{said}");
        }
        assert_eq!(harmless(None), "application/octet-stream");
        assert_eq!(harmless(Some(b"\xff")), "application/octet-stream");
    }

    #[test]
    fn repeated_headers_are_joined() {
        let mut wire = Vec::new();
        for (name, value) in [("b", &b"1"[..]), ("a", b"2"), ("b", b"\xff3")] {
            Headers::push_wire(&mut wire, name, value);
        }
        let joined = joined(&Headers::from_wire(wire.into()));
        assert_eq!(joined, BTreeMap::from([("a".into(), "2".into()), ("b".into(), "1, \u{fffd}3".into())]));
    }

    #[test]
    fn cursors() {
        assert_eq!(cursor("17"), Ok(Seq(17)));
        for bad in ["0", "017", "+17", "-1", "x", "99999999999999999999", "1.5"] {
            assert!(cursor(bad).is_err(), "{bad}");
        }
    }
}
