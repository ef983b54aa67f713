//! `plan`: which way recorded events would go by another configuration.

use super::client::LONG_PATIENCE;
use super::failure::Failure;
use super::screen::{Screen, Style};
use super::session::Session;
use super::table::{Cell, Column, Table};
use super::words;
use crate::api::settings::{Difference, PlanRequest, Planned, PlannedSubscriber, Route};
use crate::cli::operate::PlanArgs;
use crate::plan;
use crate::sink::readable::printable;

/// Reads the file, and asks the daemon.
pub(super) async fn run(session: &Session, args: &PlanArgs) -> Result<(), Failure> {
    let loaded = plan::load(&args.new).map_err(Failure::Configuration)?;
    let route = |subscriber: &crate::deliver::Subscriber| Route {
        name: subscriber.name.to_string(),
        topics: subscriber.route.patterns.iter().map(|pattern| pattern.as_str().to_owned()).collect(),
        filter: subscriber.route.filter.as_ref().map(|filter| filter.text().to_owned()),
    };
    let request = PlanRequest {
        subscribers: loaded.plan.subscribers.iter().map(route).collect(),
        topics: loaded.plan.topics.iter().map(|topic| topic.name.to_string()).collect(),
        since: Some(args.since.clone()),
        until: args.until.clone(),
    };
    let answer = session.client.post_within("plan", Some(&request), LONG_PATIENCE).await?;
    session.show(&answer, text)
}

/// The answer in words.
pub(super) fn text(planned: &Planned, screen: &Screen) -> String {
    let mut table = Table::new([
        Column::flexible("SUBSCRIBER", 10),
        Column::new(""),
        Column::right("NOW"),
        Column::right("THEN"),
        Column::right("GAINS"),
        Column::right("LOSES"),
    ]);
    for subscriber in &planned.subscribers {
        let (word, style) = match (subscriber.exists_now, subscriber.exists_then) {
            (false, _) => ("new", Style::Good),
            (true, false) => ("gone", Style::Bad),
            (true, true) => ("", Style::Plain),
        };
        let signed = |sign: &str, count: u64, style| match count {
            0 => Cell::from("0"),
            many => Cell::styled(&format!("{sign}{}", words::number(many)), style),
        };
        table.row([
            Cell::from(&subscriber.name),
            Cell::styled(word, style),
            words::number(subscriber.now).into(),
            words::number(subscriber.then).into(),
            signed("+", subscriber.gains.count, Style::Good),
            signed("-", subscriber.loses.count, Style::Bad),
        ]);
    }
    let mut text = table.lines(screen);
    for subscriber in &planned.subscribers {
        details(&mut text, subscriber, screen);
    }
    let mut end = format!("{} looked at", words::count(planned.events, "event"));
    if planned.truncated {
        end.push_str(", the newest: there are more; a later `--since` looks at all of them");
    }
    if !planned.new_topics.is_empty() {
        let names: Vec<String> = planned.new_topics.iter().map(|name| printable(name)).collect();
        end.push_str(&format!("\nof new topics nothing was recorded: {}", names.join(", ")));
    }
    if planned.without_topic > 0 {
        let lost = words::count(planned.without_topic, "event");
        end.push_str(&format!("\n{lost} came in on topics that would be gone: senders would get 404"));
    }
    text.push_str(&format!("\n{end}"));
    text
}

fn details(text: &mut String, subscriber: &PlannedSubscriber, screen: &Screen) {
    let name = screen.paint(Style::Strong, &printable(&subscriber.name));
    let sides: [(&str, &Difference); 2] = [("gains", &subscriber.gains), ("loses", &subscriber.loses)];
    for (verb, difference) in sides.into_iter().filter(|(_, difference)| difference.count > 0) {
        text.push_str(&format!("\n{name} {verb}\n"));
        let mut by_type: Vec<_> = difference.by_type.iter().collect();
        by_type.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (kind, count) in by_type {
            text.push_str(&format!("  {}  {}\n", words::number(*count), printable(kind)));
        }
        let samples: Vec<String> = difference.samples.iter().map(|id| printable(id)).collect();
        if !samples.is_empty() {
            let samples = screen.paint(Style::Faint, &format!("such as {}", samples.join(", ")));
            text.push_str(&format!("  {samples}\n"));
        }
    }
    if subscriber.filter_errors > 0 {
        let failed = words::count(subscriber.filter_errors, "event");
        text.push_str(&format!("\n{name}: a filter failed on {failed}, which counts as not wanted\n"));
    }
}
