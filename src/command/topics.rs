//! `topics`: where to post, and what came of it.

use super::failure::Failure;
use super::screen::Screen;
use super::session::Session;
use super::table::{Cell, Column, Table};
use super::words;
use crate::api::topics::{Topic, Topics};
use crate::cli::operate::TopicsCommand;

/// Does what `topics` was told.
pub(super) async fn run(session: &Session, command: &TopicsCommand) -> Result<(), Failure> {
    match command {
        TopicsCommand::List => session.show(&session.client.get("topics", &[]).await?, table),
    }
}

/// All of them as a table.
pub(super) fn table(answer: &Topics, screen: &Screen) -> String {
    if answer.topics.is_empty() {
        return "no topics: add a table `[topics.NAME]` to the configuration".into();
    }
    let mut table = Table::new([
        Column::new("NAME"),
        Column::new("VALIDATOR"),
        Column::right("EVENTS"),
        Column::right("AGAIN"),
        Column::right("REFUSED"),
        Column::right("LAST EVENT"),
        Column::flexible("URL", 20),
    ]);
    for topic in &answer.topics {
        let last = topic.last_event.as_deref().map(|time| words::age(time, screen.now));
        table.row([
            Cell::from(&topic.name),
            (&topic.validator).into(),
            words::number(topic.events).into(),
            words::number(topic.duplicates).into(),
            words::number(refused(topic)).into(),
            last.as_deref().into(),
            (&topic.url).into(),
        ]);
    }
    table.lines(screen)
}

/// Requests that were answered with a 4xx or 5xx.
fn refused(topic: &Topic) -> u64 {
    topic.requests.iter().filter(|(status, _)| status.starts_with(['4', '5'])).map(|(_, count)| count).sum()
}
