//! A topic: a named ingress with its validator and limits, and where the event's type and delivery id are.

use std::time::Duration;

use ipnet::IpNet;

use crate::name::TopicName;
use crate::validate::{Source, Validator};

/// A media type as `type/subtype`; `*` stands for anything in either part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaType(pub String);

/// A configured topic, ready for requests.
#[derive(Debug)]
pub struct Topic {
    /// Its name.
    pub name: TopicName,
    /// What decides whether a request is genuine.
    pub validator: Validator,
    /// The largest body, in bytes.
    pub max_body: u64,
    /// Client addresses that may send; empty: any.
    pub allow_from: Vec<IpNet>,
    /// How long a delivery id is remembered; `None`: not at all.
    pub dedupe: Option<Duration>,
    /// The media types that are taken.
    pub accept: Vec<MediaType>,
    /// Where the event's type is; the first that is there counts.
    pub event_type: Vec<Source>,
    /// Where the delivery id is; the first that is there counts.
    pub delivery_id: Vec<Source>,
}
