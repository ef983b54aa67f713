//! `events`: look at what was recorded.

pub(super) mod list;
pub(super) mod show;
pub(super) mod tail;

use super::client::encoded;
use super::failure::Failure;
use super::session::Session;
use crate::cli::operate::EventsCommand;

/// Does what `events` was told.
pub(super) async fn run(session: &Session, command: &EventsCommand) -> Result<(), Failure> {
    match command {
        EventsCommand::List { filter, page } => list::run(session, filter, page).await,
        EventsCommand::Show { id, body: true } => {
            session.client.bytes(&format!("events/{}/body", encoded(id)), |piece| session.screen.write(piece)).await
        }
        EventsCommand::Show { id, body: false } => show::run(session, id).await,
        EventsCommand::Tail { topic, kind } => tail::run(session, topic.as_deref(), kind.as_deref()).await,
    }
}
