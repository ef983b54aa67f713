//! `plan`: which way recorded events would go by another configuration.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::AdminDoor;
use super::desk::{PlanOrder, Trouble};
use super::request::{Asked, json};
use super::wanted::Wanted;
use crate::api::settings::PlanRequest;
use crate::event::Millis;
use crate::http::reply::Answer;

/// How far back it looks where nothing is said.
const SINCE: &str = "24h";

/// The least urgent there is: whatever else the machine has to do comes first.
const NICE: i32 = 19;

pub(super) async fn plan(door: &AdminDoor, asked: &Asked) -> Result<Answer, Trouble> {
    asked.only(&[])?;
    let PlanRequest { subscribers, topics, since, until } = asked.json()?;
    let wanted =
        Wanted { since: Some(since.as_deref().unwrap_or(SINCE)), until: until.as_deref(), ..Wanted::default() };
    let order = PlanOrder { subscribers, topics, query: wanted.query(Millis::now())? };
    let turn = Arc::clone(&door.browse.plans).try_acquire_owned();
    let turn = turn.map_err(|_| Trouble::Unavailable("another plan is being calculated: try again".into()))?;
    let desk = Arc::clone(&door.desk);
    let (answer, answered) = oneshot::channel();
    let work = move || {
        // Of this thread alone. Where it is not granted, it is a thread like any other.
        let _ = rustix::process::setpriority_process(None, NICE);
        let planned = desk.plan(&order, &|| !answer.is_closed());
        drop(turn);
        // Whoever asked may have gone away.
        let _ = answer.send(planned);
    };
    let failed = |why: &dyn std::fmt::Display| Trouble::Failed(format!("cannot look into the journal: {why}"));
    std::thread::Builder::new().name("plan".into()).spawn(work).map_err(|error| failed(&error))?;
    json(&answered.await.map_err(|error| failed(&error))??)
}
