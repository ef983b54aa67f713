//! What a reload replaces: the topics, each with all that is looked up once, and how the ingress treats them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, PROXY_AUTHORIZATION};
use prometheus_client::metrics::counter::Counter;

use super::matches::{Matches, Use};
use super::rejections::findings::Place;
use super::reply::Refusal;
use crate::bus::topics::RESERVED;
use crate::event::{Headers, Incoming};
use crate::json::{self, Pointer};
use crate::metrics::{Metrics, TopicMetrics};
use crate::topic::{Topic, form_payload, is_form, is_json};
use crate::trace::{Serving, TRACEPARENT};
use crate::validate::Source;

/// The longest event type that is kept, in bytes; a longer one counts as none.
const MAX_TYPE: usize = 256;

/// The longest delivery id that is kept, in bytes; a longer one counts as none.
const MAX_DELIVERY_ID: usize = 512;

/// What a reload replaces, all at once: a request is answered by the one it found.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) prefix: String,
    pub(super) topics: HashMap<String, Door>,
    pub(super) body_timeout: Duration,
    pub(super) trusted_proxies: Vec<ipnet::IpNet>,
}

impl Site {
    pub(super) fn new(settings: &super::Ingress, topics: Vec<Topic>, metrics: &Metrics, matches: &Matches) -> Self {
        let door = |topic: Topic| {
            let pointers = topic.event_type.iter().chain(&topic.delivery_id).filter_map(|source| match source {
                Source::Body(pointer) => Some(pointer.clone()),
                Source::Header(_) => None,
            });
            let pointers = pointers.collect();
            let metrics = metrics.topic(topic.name.as_str());
            let keys = topic.validator.keys();
            let uses = keys.into_iter().map(|key| (matches.of(topic.name.as_str(), &key.id), key.id)).collect();
            let door = Door { metrics, pointers, usual: OnceLock::new(), uses, last: AtomicI64::new(0), topic };
            (door.topic.name.as_str().to_owned(), door)
        };
        Self {
            prefix: format!("{}/http/", settings.base_path),
            topics: topics.into_iter().map(door).collect(),
            body_timeout: settings.body_timeout,
            trusted_proxies: settings.trusted_proxies.clone(),
        }
    }

    /// The topics, by name.
    pub(super) fn topics(&self) -> impl Iterator<Item = &Topic> {
        let mut topics: Vec<_> = self.topics.values().map(|door| &door.topic).collect();
        topics.sort_unstable_by(|a, b| a.name.as_str().cmp(b.name.as_str()));
        topics.into_iter()
    }

    /// What a diagnosis needs of it.
    pub(super) fn place(&self) -> Place<'_> {
        Place { topics: self.topics().collect(), prefix: &self.prefix, trusted_proxies: &self.trusted_proxies }
    }
}

/// A topic with all that is looked up once.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) topic: Topic,
    pub(super) metrics: TopicMetrics,
    /// The pointers of event type and delivery id, in this order.
    pointers: Vec<Pointer>,
    /// The counter of the secret that matched first, most likely the only one, by its id.
    pub(super) usual: OnceLock<(String, Counter)>,
    /// The matches of each secret, with its id.
    pub(super) uses: Vec<(Arc<Use>, String)>,
    /// When the last event was recorded, in milliseconds since 1970; 0: none was.
    pub(super) last: AtomicI64,
}

type Facts = (Option<String>, Option<String>);

impl Door {
    /// The event's type and delivery id. A body that says it is JSON must be.
    pub(super) fn facts(&self, incoming: &Incoming) -> Result<Facts, Refusal> {
        let content_type = incoming.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let must_be_json = is_json(content_type);
        let form = if is_form(content_type) { form_payload(&incoming.body) } else { None };
        let body: &[u8] = form.as_deref().unwrap_or(&incoming.body);
        let found = if self.pointers.is_empty() {
            if must_be_json { json::check(body).map(|()| Vec::new()) } else { Ok(Vec::new()) }
        } else {
            json::find(body, &self.pointers)
        };
        let found = match found {
            Ok(found) => found,
            Err(_) if must_be_json => return Err(Refusal::MalformedBody),
            Err(_) => Vec::new(),
        };
        let mut values = found.into_iter();
        let mut first = |sources: &[Source], limit: usize| {
            let mut value = None;
            for source in sources {
                let here = match source {
                    Source::Header(name) => incoming.headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned),
                    Source::Body(_) => values.next().flatten().and_then(json::text).map(Cow::into_owned),
                };
                value = value.or(here.filter(|text| !text.is_empty() && text.len() <= limit));
            }
            value
        };
        let kind = first(&self.topic.event_type, MAX_TYPE);
        let delivery_id = first(&self.topic.delivery_id, MAX_DELIVERY_ID);
        Ok((kind, delivery_id))
    }
}

/// Adds the headers that are stored: all but credentials, and those that carry the topic's secret itself.
pub(super) fn keep_headers(out: &mut Vec<u8>, headers: &HeaderMap, topic: &Topic, serving: &Serving) {
    for (name, value) in headers {
        let reserved = name.as_str().starts_with(RESERVED);
        let credential = reserved || *name == AUTHORIZATION || *name == COOKIE || *name == PROXY_AUTHORIZATION;
        if !credential
            && !topic.validator.secret_headers().contains(name)
            && !topic.validator.shows_secret(value.as_bytes())
            && !serving.replaces(name)
        {
            Headers::push_wire(out, name.as_str(), value.as_bytes());
        }
    }
    if let Some(own) = serving.context() {
        Headers::push_wire(out, TRACEPARENT, own.to_string().as_bytes());
    }
}
