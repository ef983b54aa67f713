//! `topics`: where senders post, and what came of it.

use super::AdminDoor;
use super::desk::Trouble;
use super::request::{Asked, json};
use crate::http::reply::Answer;

pub(super) fn list(door: &AdminDoor, asked: &Asked) -> Result<Answer, Trouble> {
    asked.only(&[])?;
    json(&door.desk.topics())
}
