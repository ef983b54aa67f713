//! `config` and `reload`: the configuration in force, and putting another one in force.

use super::AdminDoor;
use super::desk::Trouble;
use super::request::{Asked, json};
use crate::api::settings::ReloadRequest;
use crate::http::reply::Answer;

pub(super) fn show(door: &AdminDoor, asked: &Asked) -> Result<Answer, Trouble> {
    asked.only(&[])?;
    json(&door.desk.configuration())
}

pub(super) async fn reload(door: &AdminDoor, asked: &Asked) -> Result<Answer, Trouble> {
    asked.only(&[])?;
    let request: ReloadRequest = asked.json()?;
    json(&door.desk.reload(request.dry_run).await?)
}
