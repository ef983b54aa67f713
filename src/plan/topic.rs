//! Topics.

use std::collections::BTreeMap;
use std::time::Duration;

use super::listen::{Way, is_local, networks};
use super::{Surroundings, defaults, source, validator};
use crate::config::{Table, Value};
use crate::name::TopicName;
use crate::secret::KeyLabel;
use crate::topic::{MediaType, Topic};

/// The topics of a file, those that could be read and those that are merely named.
#[derive(Default)]
pub(super) struct Topics<'t> {
    pub(super) good: Vec<Topic>,
    /// The secrets of the good ones.
    pub(super) keys: BTreeMap<TopicName, Vec<KeyLabel>>,
    /// Every topic with its table, so that one mistake in a topic is not reported again of all who name it.
    pub(super) named: Vec<(TopicName, Table<'t>)>,
    /// There is a bus, on which there may be any other topic.
    pub(super) bus: bool,
}

/// Reads `[topics.*]`.
pub(super) fn all<'t>(file: &Table<'t>, around: &Surroundings<'_>, ingress: &Way<'_>) -> Topics<'t> {
    const HOW: &str = "write `[topics.NAME]`";
    let mut topics = Topics { bus: file.has("backstage"), ..Topics::default() };
    let table = file.get("topics").and_then(|value| value.table(HOW));
    for value in table.iter().flat_map(Table::all) {
        let name = TopicName::parse(value.key());
        if let Err(error) = &name {
            value.wrong_key(error.to_string(), "the name is part of the topic's URL");
        }
        let Some(table) = value.table(HOW) else { continue };
        let table = table.only("topics.*");
        if let Ok(name) = &name {
            topics.named.push((name.clone(), table.clone()));
        }
        if let Some((topic, keys)) = topic(&table, name.ok(), around, ingress) {
            topics.keys.insert(topic.name.clone(), keys);
            topics.good.push(topic);
        }
    }
    if topics.named.is_empty() && table.is_none_or(|table| table.all().next().is_none()) {
        file.warn("no topic is configured: every request is refused", "add a table `[topics.NAME]`");
    }
    topics
}

fn topic(
    table: &Table<'_>,
    name: Option<TopicName>,
    around: &Surroundings<'_>,
    ingress: &Way<'_>,
) -> Option<(Topic, Vec<KeyLabel>)> {
    let get = |key: &str| table.get(key);
    let max_body = get("max_body").map_or(Some(ingress.max_body), |value| max_body(&value, ingress));
    let allow_from = get("allow_from").map(|value| allow_from(&value, ingress)).unwrap_or_default();
    let dedupe = get("dedupe").map_or(Some(Some(defaults::DEDUPE)), |value| dedupe(&value));
    let accept = get("accept").map_or_else(MediaType::defaults, |value| media_types(&value));
    let places =
        |key: &str| get(key).map(|value| value.one_or_more().iter().filter_map(source::one).collect::<Vec<_>>());
    let (event_type, delivery_id) = (places("event_type"), places("delivery_id"));
    let (validator, keys) = validator::read(table, around, ingress.settings.public_url.as_deref())?;
    let topic = Topic {
        name: name?,
        max_body: max_body?,
        allow_from,
        dedupe: dedupe?,
        accept,
        event_type: event_type.unwrap_or_else(|| validator.event_type().to_vec()),
        delivery_id: delivery_id.unwrap_or_else(|| validator.delivery_id().to_vec()),
        validator,
    };
    Some((topic, keys))
}

fn max_body(value: &Value<'_>, ingress: &Way<'_>) -> Option<u64> {
    let bytes = value.size(defaults::MAX_BODY_RANGE)?;
    if bytes > ingress.settings.max_body_memory {
        value.error(
            "one body may be larger than all bodies together",
            "`max_body` must not exceed `ingress.max_body_memory`",
        );
        return None;
    }
    Some(bytes)
}

fn allow_from(value: &Value<'_>, ingress: &Way<'_>) -> Vec<ipnet::IpNet> {
    let nets: Vec<_> = networks(value).into_iter().map(|(net, _)| net).collect();
    let listen = &ingress.settings.listen;
    // Whoever reaches a local address is a proxy: without trust in it every client has the proxy's address.
    let behind = !listen.is_empty() && listen.iter().all(is_local) && ingress.settings.trusted_proxies.is_empty();
    if behind && nets.iter().any(|net| !net.addr().is_loopback()) {
        value.warn(
            "the ingress listens locally and trusts no proxy, so no client can have one of these addresses",
            "set `ingress.trusted_proxies = [\"127.0.0.1\"]` if a proxy stands in front",
        );
    }
    nets
}

/// `Some(None)`: switched off.
#[expect(clippy::option_option, reason = "the outer one is whether it could be read")]
fn dedupe(value: &Value<'_>) -> Option<Option<Duration>> {
    match value.string("write a time such as `\"24h\"`, or `\"off\"`")? {
        "off" => Some(None),
        _ => value.duration(defaults::KEEP_RANGE).map(Some),
    }
}

fn media_types(value: &Value<'_>) -> Vec<MediaType> {
    const HOW: &str = "write `accept = [\"application/json\"]`; `*` stands for anything, as in `\"*/*\"`";
    let entries = value.list(HOW).unwrap_or_default();
    if entries.is_empty() && value.is_list() {
        value.error("no media type is accepted", HOW);
    }
    let mut kinds = Vec::new();
    for entry in entries {
        let Some(text) = entry.string(HOW) else { continue };
        match MediaType::parse(text) {
            Some(kind) => kinds.push(kind),
            None => entry.error(format!("`{text}` is not a media type"), HOW),
        }
    }
    kinds
}
