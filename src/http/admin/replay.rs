//! `replays`: delivering recorded events again, and how far that has come.

use std::sync::Arc;

use super::AdminDoor;
use super::desk::{ReplayOrder, Trouble};
use super::events::{self, Known};
use super::request::{Asked, json, shown};
use super::wanted::Wanted;
use crate::api::replay::{EventReplayRequest, ReplayRequest, Replays};
use crate::event::Millis;
use crate::http::reply::Answer;
use crate::journal::state::Selection;

/// Several events, to several subscribers.
pub(super) async fn begin(door: &AdminDoor, asked: &Asked) -> Result<Answer, Trouble> {
    asked.only(&[])?;
    let ReplayRequest { subscribers, topic, kind, since, until, q, rate, dry_run } = asked.json()?;
    let now = Millis::now();
    if rate == Some(0) {
        return Err(Trouble::Input("`rate` is at least 1: without it there is no limit".into()));
    }
    let wanted = Wanted {
        topic: topic.as_deref(),
        kind: kind.as_deref(),
        since: since.as_deref(),
        until: until.as_deref(),
        q: q.as_deref(),
    };
    let terms = wanted.terms(now)?;
    let selection = Selection { since: terms.since, until_time: terms.until, topic, kind, q, ..Selection::default() };
    ask(door, ReplayOrder { subscribers, selection, event: None, rate, dry_run, now }).await
}

/// One event.
pub(super) async fn begin_one(door: &AdminDoor, asked: &Asked) -> Result<Answer, Trouble> {
    asked.only(&[])?;
    let EventReplayRequest { subscribers } = asked.json()?;
    let Known { found, event } = events::known(door, asked).await?;
    if event.is_none() {
        return Err(Trouble::Gone("retention has removed the event, or it is damaged".into()));
    }
    let order = ReplayOrder {
        subscribers,
        selection: Selection::one(found.seq),
        event: Some((found.topic, found.kind)),
        rate: None,
        dry_run: false,
        now: Millis::now(),
    };
    ask(door, order).await
}

async fn ask(door: &AdminDoor, order: ReplayOrder) -> Result<Answer, Trouble> {
    let desk = Arc::clone(&door.desk);
    json(&door.browse.look(move || desk.replay(&order)).await??)
}

pub(super) fn list(door: &AdminDoor, asked: &Asked) -> Result<Answer, Trouble> {
    asked.only(&[])?;
    json(&Replays { replays: door.desk.replays() })
}

pub(super) fn show(door: &AdminDoor, asked: &Asked) -> Result<Answer, Trouble> {
    asked.only(&[])?;
    let id = asked.word(0);
    let found = door.desk.replays().into_iter().find(|replay| replay.id == id);
    json(&found.ok_or_else(|| unknown(id))?)
}

pub(super) async fn cancel(door: &AdminDoor, asked: &Asked) -> Result<Answer, Trouble> {
    asked.only(&[])?;
    let word = asked.word(0);
    let id = word.parse::<u64>().ok().filter(|id| id.to_string() == word).ok_or_else(|| unknown(word))?;
    let desk = Arc::clone(&door.desk);
    let cancelled = door.browse.look(move || desk.cancel_replay(id)).await??;
    json(&cancelled.ok_or_else(|| unknown(word))?)
}

fn unknown(id: &str) -> Trouble {
    Trouble::NotFound(format!("there is no replay `{}`, or it ended long ago", shown(id)))
}
