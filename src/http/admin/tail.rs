//! `events/tail`: the journal as it grows, as server-sent events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).
//!
//! Each tail reads the journal for itself. A client that reads slowly is waited for, and gets what came meanwhile from
//! the log, or what is left of it: nothing is kept for it in memory, and retention does not wait for it.

use std::fmt::Write;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Response};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;

use super::AdminDoor;
use super::desk::Trouble;
use super::events::summary;
use super::request::{Asked, shown};
use super::wanted::Wanted;
use crate::event::{Millis, Seq};
use crate::http::answer::Body;
use crate::http::reply::Answer;
use crate::journal::lookup::{Found, Query};
use crate::journal::state::letters::Refused;
use crate::journal::{Journal, Position, Reader, Watch};

/// How long there may be nothing to say. A proxy that thinks a connection dead waits longer; and a client that is gone is
/// noticed by what cannot be sent to it.
const BEAT: Duration = Duration::from_secs(15);

/// How many pieces are ready for the client.
const AHEAD: usize = 2;

/// The most events of one piece.
const PIECE: usize = 64;

pub(super) fn tail(door: &AdminDoor, asked: &Asked) -> Result<Answer, Trouble> {
    asked.only(&["topic", "type"])?;
    let wanted = Wanted { topic: asked.get("topic"), kind: asked.get("type"), ..Wanted::default() };
    let query = Arc::new(wanted.query(Millis::now())?);
    let journal = door.ingest.journal();
    let from = first(&asked.headers, journal)?;
    let Ok(place) = Arc::clone(&door.browse.tails).try_acquire_owned() else {
        return Err(Trouble::Unavailable("too many follow the journal already: try again later".into()));
    };
    let (feed, body) = Body::stream(AHEAD);
    let asks = Arc::clone(&query);
    let tail = Tail {
        watch: journal.watch(Box::new(move |topic, kind| asks.wants(topic, kind))),
        journal: journal.clone(),
        query,
        feed,
        said: Instant::now(),
        _place: place,
    };
    tokio::spawn(tail.run(from));
    let mut answer = Response::new(body);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx gathers answers otherwise.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(answer)
}

/// Where to begin: behind what the client has seen, or else with the next event.
fn first(headers: &HeaderMap, journal: &Journal) -> Result<Seq, Trouble> {
    let next = journal.commit().durable().next();
    let Some(seen) = headers.get("last-event-id").filter(|seen| !seen.is_empty()) else { return Ok(next) };
    let seen = seen.to_str().unwrap_or("\u{fffd}");
    let all_digits = seen.bytes().all(|byte| byte.is_ascii_digit());
    match seen.parse::<u64>() {
        // One that is not there yet is of another journal.
        Ok(seen) if all_digits => Ok(next.min(Seq(seen.saturating_add(1)))),
        _ => Err(Trouble::Input(format!("`last-event-id` is the number of an event; not `{}`", shown(seen)))),
    }
}

/// One who follows the journal.
struct Tail {
    journal: Journal,
    watch: Arc<Watch>,
    query: Arc<Query>,
    feed: mpsc::Sender<Bytes>,
    /// When the client was last told anything.
    said: Instant,
    _place: OwnedSemaphorePermit,
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.journal.unwatch(&self.watch);
    }
}

/// The client is gone, or the server stops.
struct Over;

impl Tail {
    async fn run(mut self, from: Seq) {
        let mut reader = self.journal.reader(Position { seq: from, place: None });
        // Where to go on after a break, also before anything came; and at once, but not over and over.
        let seen = from.0.saturating_sub(1);
        if self.say(format!("id: {seen}\nretry: 1000\n\n")).await.is_err() {
            return;
        }
        loop {
            let query = Arc::clone(&self.query);
            let reading = move || {
                let text = read(&mut reader, &query);
                (reader, text)
            };
            let (back, text) = match tokio::task::spawn_blocking(reading).await {
                Ok((reader, Ok(text))) => (reader, text),
                Ok((_, Err(error))) => {
                    tracing::warn!(%error, "cannot read the journal for who follows it");
                    return;
                }
                // The runtime ends.
                Err(_) => return,
            };
            reader = back;
            if self.tell(text).await.is_err() {
                return;
            }
            if reader.at_end() {
                let beat = self.said + BEAT;
                tokio::select! {
                    position = self.watch.rest(self.journal.commit(), reader.next_seq()) => reader.seek(position),
                    () = tokio::time::sleep_until(beat) => {}
                    () = self.feed.closed() => return,
                }
            }
        }
    }

    /// Passes events on, or shows that there is still somebody.
    async fn tell(&mut self, events: String) -> Result<(), Over> {
        if !events.is_empty() {
            self.say(events).await
        } else if self.said.elapsed() >= BEAT {
            self.say(":\n\n".into()).await
        } else {
            Ok(())
        }
    }

    async fn say(&mut self, text: String) -> Result<(), Over> {
        self.feed.send(text.into()).await.map_err(|_| Over)?;
        self.said = Instant::now();
        Ok(())
    }
}

/// The next events that are wanted, a few at a time. Their bodies are let go at once.
fn read(reader: &mut Reader, query: &Query) -> io::Result<String> {
    let mut text = String::new();
    for _ in 0..PIECE {
        let Some(recorded) = reader.next(&mut |topic, kind| query.wants(topic, kind))? else { break };
        let summary = summary(&Found::from(&recorded.event), Refused::default());
        let data = serde_json::to_string(&summary).map_err(io::Error::other)?;
        write!(text, "id: {}\nevent: event\ndata: {data}\n\n", summary.seq).map_err(io::Error::other)?;
    }
    Ok(text)
}
