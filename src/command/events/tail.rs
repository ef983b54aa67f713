//! `events tail`: events as they are recorded, over as many connections as it takes.

use std::time::Duration;

use crate::api::events::EventSummary;
use crate::command::client::Stream;
use crate::command::failure::Failure;
use crate::command::screen::{Screen, Style};
use crate::command::session::Session;
use crate::command::words;
use crate::sink::readable::printable;

/// The longest wait before a lost daemon is asked again.
const LONGEST: Duration = Duration::from_secs(10);

pub(super) async fn run(session: &Session, topic: Option<&str>, kind: Option<&str>) -> Result<(), Failure> {
    let query = [("topic", topic), ("type", kind)];
    let mut last: Option<String> = None;
    // That it cannot be had at all is no reason to wait.
    let mut stream = session.client.stream("events/tail", &query, None).await?;
    loop {
        let broke = follow(session, &mut stream, &mut last).await?;
        session.screen.note(&format!("lost the daemon ({}); looking for it again", printable(&broke)));
        stream = again(session, &query, last.as_deref()).await?;
        session.screen.note("found it again");
    }
}

/// Prints until the stream ends; why it ended.
async fn follow(session: &Session, stream: &mut Stream, last: &mut Option<String>) -> Result<String, Failure> {
    loop {
        let message = match stream.next().await {
            Ok(message) => message,
            Err(why) => return Ok(why),
        };
        if let Some(data) = &message.data {
            session.screen.print(&shown(data, session))?;
        }
        if message.id.is_some() {
            last.clone_from(&message.id);
        }
    }
}

fn shown(data: &str, session: &Session) -> String {
    match serde_json::from_str::<EventSummary>(data) {
        Ok(event) if !session.json => line(&event, &session.screen),
        // JSON is wanted, or it is a notice, or from another version.
        _ => printable(data),
    }
}

/// Asks until somebody answers, at a slowing pace. What the daemon says against it is final.
async fn again(session: &Session, query: &[(&str, Option<&str>)], last: Option<&str>) -> Result<Stream, Failure> {
    let mut wait = Duration::from_millis(250);
    loop {
        tokio::time::sleep(wait).await;
        match session.client.stream("events/tail", query, last).await {
            Ok(stream) => return Ok(stream),
            Err(failure) if failure.may_pass() => wait = (wait * 2).min(LONGEST),
            Err(failure) => return Err(failure),
        }
    }
}

/// An event on a line of its own.
pub(in crate::command) fn line(event: &EventSummary, screen: &Screen) -> String {
    let kind = event.kind.as_deref().map_or_else(|| "-".into(), printable);
    format!(
        "{}  {}  {}  {}",
        screen.paint(Style::Faint, &printable(&event.time)),
        screen.paint(Style::Strong, &format!("{}  {kind}", printable(&event.topic))),
        words::size(event.size),
        screen.paint(Style::Faint, &printable(&event.id)),
    )
}
