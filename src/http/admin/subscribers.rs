//! `subscribers`: who is owed what, and pausing them.

use serde::Deserialize;

use super::AdminDoor;
use super::desk::Trouble;
use super::request::{Asked, json};
use crate::http::reply::Answer;

pub(super) async fn list(door: &AdminDoor, asked: &Asked) -> Result<Answer, Trouble> {
    asked.only(&[])?;
    json(&door.desk.subscribers().await?)
}

pub(super) async fn show(door: &AdminDoor, asked: &Asked) -> Result<Answer, Trouble> {
    asked.only(&[])?;
    json(&door.desk.subscriber(asked.word(0)).await?)
}

/// A body in which nothing can be said.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

pub(super) async fn pause(door: &AdminDoor, asked: &Asked, paused: bool) -> Result<Answer, Trouble> {
    asked.only(&[])?;
    let Nothing {} = asked.json()?;
    let name = asked.word(0);
    door.desk.pause(name, paused).await?;
    json(&door.desk.subscriber(name).await?)
}
