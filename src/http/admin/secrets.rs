//! `secrets`: when each secret of each topic last matched.

use super::AdminDoor;
use super::desk::Trouble;
use super::request::{Asked, json};
use crate::api::topics::Secrets;
use crate::event::Millis;
use crate::http::reply::Answer;

pub(super) fn list(door: &AdminDoor, asked: &Asked) -> Result<Answer, Trouble> {
    asked.only(&[])?;
    let (site, matches, now) = (door.ingest.site(), door.ingest.matches(), Millis::now());
    let of_topic = |topic: &crate::topic::Topic| {
        let labels = topic.validator.keys().into_iter();
        labels.map(|label| matches.tell(topic.name.as_str(), &label, now)).collect::<Vec<_>>()
    };
    json(&Secrets { secrets: site.topics().flat_map(of_topic).collect() })
}
