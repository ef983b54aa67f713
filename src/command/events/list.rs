//! `events list`: a table of events.

use crate::api::events::EventSummary;
use crate::cli::operate::{EventFilter, Page};
use crate::command::failure::Failure;
use crate::command::screen::{Screen, Style};
use crate::command::session::Session;
use crate::command::table::{Cell, Column, Table};
use crate::command::words;

pub(super) async fn run(session: &Session, filter: &EventFilter, page: &Page) -> Result<(), Failure> {
    let query = [
        ("topic", filter.topic.as_deref()),
        ("type", filter.kind.as_deref()),
        ("since", filter.since.as_deref()),
        ("until", filter.until.as_deref()),
        ("q", filter.query.as_deref()),
    ];
    let list = session.client.list("events", "events", &query, page).await?;
    let all = *filter == EventFilter::default() && page.before.is_none();
    session.show_list(&list, |events: &[EventSummary], screen| table(events, all, screen))
}

/// The events as a table; `all`: there was no condition.
pub(in crate::command) fn table(events: &[EventSummary], all: bool, screen: &Screen) -> String {
    if events.is_empty() {
        return if all {
            "no events: nothing has been recorded yet, or retention has removed it; `forebay send TOPIC` posts a sample"
        } else {
            "no events fit these conditions"
        }
        .into();
    }
    let mut table = Table::new([
        Column::new("ID"),
        Column::right("RECEIVED"),
        Column::flexible("TOPIC", 10),
        Column::flexible("TYPE", 8),
        Column::right("SIZE"),
        Column::new("DELIVERIES"),
    ]);
    for event in events {
        table.row([
            Cell::from(&event.id),
            words::age(&event.time, screen.now).into(),
            (&event.topic).into(),
            event.kind.as_deref().into(),
            words::size(event.size).into(),
            deliveries(event),
        ]);
    }
    table.lines(screen)
}

/// What is not as it should be with the deliveries.
fn deliveries(event: &EventSummary) -> Cell {
    let (dead, retrying) = (words::number(event.dead.into()), words::number(event.retrying.into()));
    match (event.dead, event.retrying) {
        (0, 0) => None.into(),
        (0, _) => Cell::styled(&format!("{retrying} retrying"), Style::Doubtful),
        (_, 0) => Cell::styled(&format!("{dead} dead"), Style::Bad),
        _ => Cell::styled(&format!("{dead} dead, {retrying} retrying"), Style::Bad),
    }
}
