//! What an event is called. On the bus a topic is any text; in the journal an event has a topic and perhaps a type.
//!
//! An event of an ingress topic is published twice, as Backstage's routers do: as `github.push`, then as `github`. One that
//! was published on the bus has the one topic it was published under, whatever dots are in it. In the journal that is cut
//! at the first dot, so that forebay's own subscribers can name it: `scaffolder.task`.
//!
//! But nobody on the bus can pass for an ingress topic: an event that is published under the name of one, or below it, is
//! kept under a name that no pattern of a subscriber matches. Only other readers of the bus get it. (Otherwise a relay to
//! Backstage's own ingress, which publishes what it gets, would go round in circles.)

use std::borrow::Cow;

use crate::event::Event;
use crate::name::TopicName;

/// The header of a recorded event that says who published it on the bus. What comes in over the ingress cannot have it: its
/// headers by this prefix are not stored.
pub const PUBLISHER: &str = "forebay-bus-publisher";

/// The header with the id of a subscription that has had the event already; as often as there are such.
pub const NOTIFIED: &str = "forebay-bus-notified";

/// The prefix of both.
pub const RESERVED: &str = "forebay-bus-";

/// What a topic of the journal begins with that no pattern matches.
const APART: &str = "bus/";

/// What an event that is published on the bus is called in the journal: topic and type.
#[must_use]
pub fn recorded(topic: &str, is_ingress: impl Fn(&str) -> bool) -> (Cow<'_, str>, Option<&str>) {
    let (first, rest) = match topic.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (topic, None),
    };
    if TopicName::parse(first).is_err() || rest == Some("") || is_ingress(first) {
        return (Cow::Owned(format!("{APART}{topic}")), None);
    }
    (Cow::Borrowed(first), rest)
}

/// The bus topics of an event, in the order in which they are published.
#[must_use]
pub fn published(event: &Event) -> Vec<String> {
    let (topic, kind) = (&*event.topic, event.kind.as_deref());
    if event.headers.get(PUBLISHER).is_some() {
        return vec![match (topic.strip_prefix(APART), kind) {
            (Some(full), _) => full.to_owned(),
            (None, Some(kind)) => format!("{topic}.{kind}"),
            (None, None) => topic.to_owned(),
        }];
    }
    kind.map(|kind| format!("{topic}.{kind}")).into_iter().chain([topic.to_owned()]).collect()
}

/// Whether an event of this topic and type may be called by one of `topics` on the bus. Only a look at the whole event tells
/// for certain.
pub fn may_be<'t>(mut topics: impl Iterator<Item = &'t str>, topic: &str, kind: Option<&str>) -> bool {
    let full = topic.strip_prefix(APART);
    topics.any(|wanted| match (full, kind) {
        (Some(full), _) => wanted == full,
        (None, None) => wanted == topic,
        (None, Some(kind)) => {
            let rest = wanted.strip_prefix(topic);
            rest.is_some_and(|rest| rest.is_empty() || rest.strip_prefix('.').is_some_and(|rest| rest == kind))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EventId, Headers, Millis, Seq};

    fn event(topic: &str, kind: Option<&str>, from_bus: bool) -> Event {
        let mut wire = Vec::new();
        if from_bus {
            Headers::push_wire(&mut wire, PUBLISHER, b"plugin:catalog");
        }
        Event {
            seq: Seq(1),
            id: EventId(uuid::Uuid::nil()),
            time: Millis(0),
            topic: topic.into(),
            kind: kind.map(Into::into),
            delivery_id: None,
            headers: Headers::from_wire(wire.into()),
            body: bytes::Bytes::new(),
        }
    }

    #[test]
    fn what_is_published_comes_back_under_its_name() {
        // (bus topic, topic and type in the journal)
        let table = [
            ("scaffolder.task", "scaffolder", Some("task")),
            ("experimental.catalog.errors", "experimental", Some("catalog.errors")),
            ("signals", "signals", None),
            ("github", "bus/github", None),
            ("github.push", "bus/github.push", None),
            ("githubs", "githubs", None),
            ("", "bus/", None),
            ("a.", "bus/a.", None),
            (".a", "bus/.a", None),
            ("a:b.c", "bus/a:b.c", None),
        ];
        for (bus, topic, kind) in table {
            let (got_topic, got_kind) = recorded(bus, |name| name == "github");
            assert_eq!((&*got_topic, got_kind), (topic, kind), "{bus}");
            assert_eq!(published(&event(topic, kind, true)), [bus], "{bus}");
            assert!(may_be([bus].into_iter(), topic, kind), "{bus}");
            assert!(!may_be(["other"].into_iter(), topic, kind), "{bus}");
        }
    }

    #[test]
    fn an_ingress_event_is_published_twice_the_sub_topic_first() {
        assert_eq!(published(&event("github", Some("push"), false)), ["github.push", "github"]);
        assert_eq!(published(&event("github", None, false)), ["github"]);
        for (wanted, want) in [("github", true), ("github.push", true), ("github.pushed", false), ("githu", false)] {
            assert_eq!(may_be([wanted].into_iter(), "github", Some("push")), want, "{wanted}");
        }
    }
}
