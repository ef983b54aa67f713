//! `subscribers`: how they are doing, and stopping and letting them go on.

use super::client::encoded;
use super::failure::Failure;
use super::screen::{Screen, Style};
use super::session::Session;
use super::sheet::Sheet;
use super::table::{Cell, Column, Table};
use super::words;
use crate::api::subscribers::{Subscriber, SubscriberState, Subscribers};
use crate::cli::operate::SubscribersCommand;

/// Does what `subscribers` was told.
pub(super) async fn run(session: &Session, command: &SubscribersCommand) -> Result<(), Failure> {
    let client = &session.client;
    match command {
        SubscribersCommand::List => session.show(&client.get("subscribers", &[]).await?, table),
        SubscribersCommand::Show { name } => {
            session.show(&client.get(&format!("subscribers/{}", encoded(name)), &[]).await?, text)
        }
        SubscribersCommand::Pause { name } => {
            let words = "is paused: what it is owed is kept until `forebay subscribers resume`";
            steer(session, name, "pause", words).await
        }
        SubscribersCommand::Resume { name } => steer(session, name, "resume", "goes on").await,
    }
}

async fn steer(session: &Session, name: &str, verb: &str, words: &str) -> Result<(), Failure> {
    let answer = session.client.post(&format!("subscribers/{}/{verb}", encoded(name)), None::<&()>).await?;
    session.show(&answer, |_: &serde::de::IgnoredAny, _| format!("{} {words}", crate::sink::readable::printable(name)))
}

/// A state and its colour.
fn state(state: SubscriberState) -> (&'static str, Style) {
    match state {
        SubscriberState::Running => ("running", Style::Good),
        SubscriberState::Paused => ("paused", Style::Doubtful),
        SubscriberState::Failing => ("failing", Style::Bad),
        SubscriberState::Unconfigured => ("unconfigured", Style::Doubtful),
    }
}

/// All of them as a table.
pub(super) fn table(answer: &Subscribers, screen: &Screen) -> String {
    if answer.subscribers.is_empty() {
        return "no subscribers: add a table `[subscribers.NAME]` to the configuration".into();
    }
    let mut table = Table::new([
        Column::new("NAME"),
        Column::new("STATE"),
        Column::right("POSITION"),
        Column::right("BACKLOG"),
        Column::right("RETRYING"),
        Column::right("DEAD"),
        Column::right("OLDEST"),
        Column::flexible("SINK", 12),
        Column::flexible("LAST ERROR", 12),
    ]);
    let bad_unless_none =
        |many: u64, style| Cell::styled(&words::number(many), if many == 0 { Style::Plain } else { style });
    for subscriber in &answer.subscribers {
        let (state, style) = state(subscriber.state);
        let error = subscriber.last_error.as_ref();
        let error = error.map(|error| format!("{}: {}", words::age(&error.time, screen.now), error.reason));
        let oldest = (subscriber.oldest_owed_seconds > 0.0).then(|| words::seconds(subscriber.oldest_owed_seconds));
        table.row([
            Cell::from(&subscriber.name),
            Cell::styled(state, style),
            words::number(subscriber.position).into(),
            words::number(subscriber.backlog).into(),
            bad_unless_none(subscriber.retrying, Style::Doubtful),
            bad_unless_none(subscriber.dead, Style::Bad),
            oldest.as_deref().into(),
            Some(subscriber.sink.as_str()).filter(|sink| !sink.is_empty()).into(),
            error.as_deref().into(),
        ]);
    }
    let recorded = words::number(answer.last_seq);
    let last =
        if answer.last_seq == 0 { "nothing recorded yet".into() } else { format!("last event recorded: {recorded}") };
    format!("{}{}", table.lines(screen), screen.paint(Style::Faint, &last))
}

/// One of them at length.
pub(super) fn text(subscriber: &Subscriber, screen: &Screen) -> String {
    let mut sheet = Sheet::new(screen);
    sheet.heading(&format!("subscriber {}", subscriber.name));
    let mut fields = vec![
        ("state", state(subscriber.state).0.to_owned()),
        ("topics", subscriber.topics.join(", ")),
        ("filter", subscriber.filter.clone().unwrap_or_else(|| "-".into())),
        ("sink", subscriber.sink.clone()),
        ("order", subscriber.order.clone()),
        ("position", words::number(subscriber.position)),
        ("backlog", words::number(subscriber.backlog)),
        ("retrying", words::number(subscriber.retrying)),
        ("dead", words::number(subscriber.dead)),
        ("delivered", format!("{} since the daemon started", words::number(subscriber.delivered))),
    ];
    if subscriber.oldest_owed_seconds > 0.0 {
        fields.push(("oldest owed", format!("for {}", words::seconds(subscriber.oldest_owed_seconds))));
    }
    if let Some(next) = &subscriber.next_attempt {
        fields.push(("next retry", words::moment(next, screen.now)));
    }
    if let Some(error) = &subscriber.last_error {
        fields.push(("last error", format!("{}: {}", words::moment(&error.time, screen.now), error.reason)));
    }
    sheet.fields(&fields);
    if subscriber.dead > 0 {
        sheet.line(2, &format!("`forebay dead list {}` shows its dead letters", subscriber.name), Style::Faint);
    }
    sheet.done()
}
