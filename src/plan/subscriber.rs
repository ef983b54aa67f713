//! Subscribers.

use std::sync::Arc;
use std::time::Duration;

use super::topic::Topics;
use super::{Surroundings, defaults, sink};
use crate::config::{Table, Value, suggest};
use crate::deliver::retry::Policy;
use crate::deliver::{Order, Start, Subscriber};
use crate::filter::{Filter, FilterError};
use crate::journal;
use crate::name::{Pattern, SubscriberName};
use crate::route::Route;

/// Reads `[subscribers.*]`; `None` if something was reported.
pub(super) fn all(
    file: &Table<'_>,
    around: &Surroundings<'_>,
    topics: &Topics<'_>,
    journal: &journal::Settings,
) -> Option<Vec<Subscriber>> {
    const HOW: &str = "write `[subscribers.NAME]`";
    let table = match file.get("subscribers") {
        Some(value) => Some(value.table(HOW)?),
        None => None,
    };
    let mut sinks = sink::Seen::default();
    let mut all = Vec::new();
    let mut whole = true;
    for value in table.iter().flat_map(Table::all) {
        let name = SubscriberName::parse(value.key());
        if let Err(error) = &name {
            value.wrong_key(error.to_string(), "the name is a label of metrics and part of URLs");
        }
        let Some(table) = value.table(HOW) else { continue };
        match subscriber(&table, name.ok(), around, topics, journal, &mut sinks) {
            Some(subscriber) => all.push(subscriber),
            None => whole = false,
        }
    }
    if whole {
        for (name, table) in &topics.named {
            let wanted = |subscriber: &Subscriber| {
                subscriber.route.patterns.iter().any(|pattern| pattern.may_match_topic(name.as_str()))
            };
            if !all.iter().any(wanted) && !topics.bus {
                table.warn("no subscriber wants this topic: its events are kept, and go nowhere", HOW);
            }
        }
    }
    whole.then_some(all)
}

fn subscriber(
    table: &Table<'_>,
    name: Option<SubscriberName>,
    around: &Surroundings<'_>,
    topics: &Topics<'_>,
    journal: &journal::Settings,
    sinks: &mut sink::Seen,
) -> Option<Subscriber> {
    let table = table.clone().only("subscribers.*");
    let get = |key: &str| table.get(key);
    let patterns = table
        .need("topics", "the subscriber wants no topic", "write `topics = [\"*\"]` for all of them")
        .and_then(|value| patterns(&value, topics));
    // `Some(None)`: there is none.
    let filter = get("filter").map_or(Some(None), |value| filter(&value).map(Some));
    let start = get("start").map_or(Some(Start::Now), |value| {
        value.choice("a start", &[("now", Start::Now), ("earliest", Start::Earliest)])
    });
    let order = get("order").map_or(Some(Order::Parallel), |value| {
        value.choice("an order", &[("parallel", Order::Parallel), ("strict", Order::Strict)])
    });
    let retry = get("retry").map_or(Some(Policy::default()), |value| retry(&value));
    let sink = table
        .need(
            "sink",
            "a subscriber needs a `sink`: this version has no reading over HTTP",
            "write `sink = { type = \"stdout\" }`, or another of `file`, `webhook`",
        )
        .and_then(|value| sink::read(&value, around, journal, sinks));
    let route = Route { patterns: patterns?, filter: filter? };
    Some(Subscriber { name: name?, route, start: start?, sink: sink?, retry: retry?, order: order? })
}

fn filter(value: &Value<'_>) -> Option<Arc<Filter>> {
    let text = value.string("write an expression: `filter = 'body.ref == \"refs/heads/main\"'`")?;
    match Filter::compile(text) {
        Ok(filter) => Some(Arc::new(filter)),
        Err(FilterError { range, message, hint }) => {
            value.error_within(range, message, hint);
            None
        }
    }
}

fn patterns(value: &Value<'_>, topics: &Topics<'_>) -> Option<Vec<Pattern>> {
    const HOW: &str = "write `topics = [\"github\", \"gitlab.push\"]`, or `[\"*\"]` for all";
    let entries = value.list(HOW)?;
    if entries.is_empty() {
        value.error("the subscriber wants no topic", HOW);
    }
    let names: Vec<&str> = topics.named.iter().map(|(name, _)| name.as_str()).collect();
    let read: Vec<Option<Pattern>> = entries.iter().map(|entry| pattern(entry, topics, &names)).collect();
    read.into_iter().collect()
}

fn pattern(value: &Value<'_>, topics: &Topics<'_>, names: &[&str]) -> Option<Pattern> {
    let text = value.string("a pattern is a topic, or topic and type: `\"github.push\"`")?;
    let pattern = match Pattern::parse(text) {
        Ok(pattern) => pattern,
        Err(error) => {
            value.error(error.to_string(), "a pattern is a topic, or topic and type: `\"github.push\"`");
            return None;
        }
    };
    let (topic, kind) = text.split_once('.').map_or((text, None), |(topic, kind)| (topic, Some(kind)));
    if topics.bus && !names.iter().any(|name| pattern.may_match_topic(name)) {
        // Whatever is published on the bus is a topic.
        return Some(pattern);
    }
    if !names.iter().any(|name| pattern.may_match_topic(name)) {
        let hint = match (suggest::nearest(topic, names.iter().copied()), kind) {
            (Some(near), Some(kind)) => format!("did you mean `{near}.{kind}`?"),
            (Some(near), None) => format!("did you mean `{near}`?"),
            (None, _) if names.is_empty() => "no topic is configured: add a table `[topics.NAME]`".into(),
            (None, _) => format!("topics are {}", suggest::listed(names)),
        };
        value.error(format!("`{text}` can match no configured topic"), hint);
        return None;
    }
    let mut matched = topics.good.iter().filter(|topic| pattern.may_match_topic(topic.name.as_str())).peekable();
    if kind.is_some() && matched.peek().is_some() && matched.all(|topic| topic.event_type.is_empty()) {
        value.warn(
            format!("`{text}` asks for a type, and the events of `{topic}` have none"),
            format!("set `event_type` of the topic, or write `{topic}`"),
        );
    }
    Some(pattern)
}

fn retry(value: &Value<'_>) -> Option<Policy> {
    let table = value.table("write `retry = { first = \"1s\", max = \"1h\" }`")?.only("subscribers.*.retry");
    let Policy { first, max, attempts, max_age } = Policy::default();
    let time = |key: &str, range, default: Duration| {
        table.get(key).map_or(Some(default), |value: Value<'_>| value.duration(range))
    };
    let first = time("first", defaults::RETRY_RANGE, first);
    let max = time("max", defaults::RETRY_RANGE, max);
    let max_age = time("max_age", defaults::MAX_AGE_RANGE, max_age);
    let attempts = table
        .get("attempts")
        .map_or(Some(u64::from(attempts)), |value| value.number(defaults::ATTEMPTS_RANGE))
        .and_then(|number| u32::try_from(number).ok());
    let policy = Policy { first: first?, max: max?, attempts: attempts?, max_age: max_age? };
    if policy.first > policy.max
        && let Some(value) = table.get("first").or_else(|| table.get("max"))
    {
        value.error("the first delay is longer than the longest", "`first` must not exceed `max`");
        return None;
    }
    Some(policy)
}
