//! `dead`: deliveries that were given up, and what becomes of them.

use super::client::LONG_PATIENCE;
use super::failure::Failure;
use super::progress::Progress;
use super::screen::{self, Screen, Style};
use super::session::Session;
use super::table::{Cell, Column, Table};
use super::words;
use crate::api::Count;
use crate::api::dead::{DeadLetter, DeadSelection};
use crate::api::subscribers::Subscriber;
use crate::cli::operate::{DeadCommand, Letters};
use crate::sink::readable::printable;

/// The most events that are named in one call.
const BATCH: usize = 1000;

/// Does what `dead` was told.
pub(super) async fn run(session: &Session, command: &DeadCommand) -> Result<(), Failure> {
    match command {
        DeadCommand::List { subscriber, topic, page } => {
            let query = [("subscriber", subscriber.as_deref()), ("topic", topic.as_deref())];
            let list = session.client.list("dead", "dead", &query, page).await?;
            session.show_list(&list, |letters: &[DeadLetter], screen| table(letters, screen))
        }
        DeadCommand::Retry { letters } => steer(session, letters, "retry").await,
        DeadCommand::Drop { letters, yes } => {
            if !yes && screen::can_ask() {
                screen::ask(&question(session, letters).await?)?;
            }
            steer(session, letters, "drop").await
        }
    }
}

/// What somebody is asked who drops dead letters.
async fn question(session: &Session, letters: &Letters) -> Result<String, Failure> {
    let many = if letters.all {
        let path = format!("subscribers/{}", super::client::encoded(&letters.subscriber));
        let subscriber: Subscriber = session.client.get(&path, &[]).await?.read()?;
        format!("all {}", words::count(subscriber.dead, "dead letter"))
    } else {
        words::count(letters.events.len() as u64, "dead letter")
    };
    Ok(format!("This gives up {many} of `{}` for good. Go on?", printable(&letters.subscriber)))
}

/// Retries or drops, as many in one call as it takes.
async fn steer(session: &Session, letters: &Letters, verb: &str) -> Result<(), Failure> {
    let selection = |events: &[String]| DeadSelection {
        subscriber: letters.subscriber.clone(),
        events: events.to_vec(),
        all: letters.all,
    };
    let batches: Vec<DeadSelection> =
        if letters.all { vec![selection(&[])] } else { letters.events.chunks(BATCH).map(selection).collect() };
    let mut progress = Progress::new();
    let (mut done, mut asked) = (0, 0);
    for batch in &batches {
        let answer = session.client.post_within(&format!("dead/{verb}"), Some(batch), LONG_PATIENCE).await?;
        done += answer.read::<Count>()?.count;
        asked += batch.events.len() as u64;
        if batches.len() > 1 {
            progress.show(asked, Some(letters.events.len() as u64));
        }
    }
    drop(progress);
    if session.json {
        let text = serde_json::to_string(&Count { count: done }).map_err(|error| Failure::Failed(error.to_string()))?;
        return session.screen.print(&text);
    }
    session.screen.print(&told(&letters.subscriber, verb, done))
}

fn told(subscriber: &str, verb: &str, count: u64) -> String {
    let name = printable(subscriber);
    match (count, verb) {
        (0, _) => format!("{name} has no such dead letters"),
        (_, "retry") => {
            let them = words::count(count, "dead letter");
            format!("{name}: {them} to be delivered again; `forebay subscribers show {name}` shows how that goes")
        }
        _ => format!("{name}: {} dropped", words::count(count, "dead letter")),
    }
}

/// Dead letters as a table.
pub(super) fn table(letters: &[DeadLetter], screen: &Screen) -> String {
    if letters.is_empty() {
        return "no dead letters: nothing was given up".into();
    }
    let mut table = Table::new([
        Column::flexible("SUBSCRIBER", 10),
        Column::new("EVENT"),
        Column::flexible("TOPIC", 8),
        Column::flexible("TYPE", 8),
        Column::right("GIVEN UP"),
        Column::right("ATTEMPTS"),
        Column::flexible("REASON", 16),
    ]);
    for letter in letters {
        table.row([
            Cell::from(&letter.subscriber),
            (&letter.event).into(),
            Some(letter.topic.as_str()).filter(|topic| !topic.is_empty()).into(),
            letter.kind.as_deref().into(),
            words::age(&letter.died, screen.now).into(),
            words::number(letter.attempts.into()).into(),
            Cell::styled(&letter.reason, Style::Bad),
        ]);
    }
    table.lines(screen)
}
