//! `dead`: deliveries that were given up, and what becomes of them.

use uuid::Uuid;

use super::AdminDoor;
use super::desk::{DeadQuery, Trouble};
use super::request::{Asked, json, shown};
use crate::api::Count;
use crate::api::dead::DeadSelection;
use crate::event::EventId;
use crate::http::reply::Answer;
use crate::journal::state::letters::{Fate, Which};

/// The most events one request may name.
const MAX_EVENTS: usize = 10_000;

pub(super) async fn list(door: &AdminDoor, asked: &Asked) -> Result<Answer, Trouble> {
    asked.only(&["subscriber", "topic", "limit", "before"])?;
    let query = DeadQuery {
        subscriber: asked.get("subscriber"),
        topic: asked.get("topic"),
        limit: asked.limit()?,
        before: asked.get("before"),
    };
    json(&door.desk.dead(query).await?)
}

pub(super) async fn decide(door: &AdminDoor, asked: &Asked, fate: Fate) -> Result<Answer, Trouble> {
    asked.only(&[])?;
    let selection: DeadSelection = asked.json()?;
    let which = which(&selection)?;
    json(&Count { count: door.desk.decide(&selection.subscriber, fate, which).await? })
}

/// Which letters are meant. Nothing is taken to mean all of them but `all`.
fn which(selection: &DeadSelection) -> Result<Which, Trouble> {
    let wrong = |text: &str| Err(Trouble::Input(text.to_owned()));
    if selection.subscriber.is_empty() {
        return wrong("`subscriber` is missing: whose letters are meant");
    }
    match (selection.all, selection.events.as_slice()) {
        (true, []) => Ok(Which::All),
        (true, _) => wrong("either `events` or `all`, not both"),
        (false, []) => wrong("either `events`, the ids of some, or `\"all\": true`"),
        (false, events) if events.len() > MAX_EVENTS => {
            Err(Trouble::Input(format!("at most {MAX_EVENTS} events in one request")))
        }
        (false, events) => events.iter().map(|id| event_id(id)).collect::<Result<_, _>>().map(Which::Events),
    }
}

fn event_id(text: &str) -> Result<EventId, Trouble> {
    // Other ways to write a UUID are none to look for one.
    let id = Uuid::try_parse(text).ok().filter(|_| text.len() == uuid::fmt::Hyphenated::LENGTH);
    id.map(EventId).ok_or_else(|| Trouble::Input(format!("an event's id is a UUID; not `{}`", shown(text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_means_all_by_accident() {
        let id = "01935a5a-0000-7000-8000-00000000000b";
        let selection = |subscriber: &str, events: &[&str], all| DeadSelection {
            subscriber: subscriber.to_owned(),
            events: events.iter().map(|id| (*id).to_owned()).collect(),
            all,
        };
        assert_eq!(which(&selection("ci", &[], true)), Ok(Which::All));
        let some = Which::Events(vec![EventId(Uuid::try_parse(id).expect("an id"))]);
        assert_eq!(which(&selection("ci", &[id], false)), Ok(some));
        for wrong in [
            selection("", &[], true),
            selection("ci", &[], false),
            selection("ci", &[id], true),
            selection("ci", &["x"], false),
            selection("ci", &[&id.replace('-', "")], false),
            selection("ci", &vec![id; MAX_EVENTS + 1], false),
        ] {
            assert!(which(&wrong).is_err(), "{wrong:?}");
        }
    }
}
