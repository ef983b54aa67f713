//! Recorded events and what became of them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Time;

/// One event in a few words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventSummary {
    /// Its id, a UUID version 7.
    pub id: String,
    /// Its place in the journal.
    pub seq: u64,
    /// The topic it came in on.
    pub topic: String,
    /// The provider's kind of event, where there is one.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// When it was received.
    pub time: Time,
    /// The provider's delivery id, where there is one.
    pub delivery_id: Option<String>,
    /// Its size in the journal, headers and body, in bytes.
    pub size: u64,
    /// Deliveries of it that were refused and are tried again.
    #[serde(default)]
    pub retrying: u32,
    /// Deliveries of it that were given up.
    #[serde(default)]
    pub dead: u32,
}

/// A page of events, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Events {
    /// The events. A page may be short, or even empty, where much had to be looked through; `next` says if there is more.
    pub events: Vec<EventSummary>,
    /// What to ask for as `before` to go on; none at the end.
    pub next: Option<String>,
}

/// One event whole, but for its body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// The event in a few words.
    #[serde(flatten)]
    pub summary: EventSummary,
    /// Its headers, names in lower case; several values of one name are joined with `, `. Empty if the journal does not have
    /// the event any more.
    pub headers: BTreeMap<String, String>,
    /// What the sender says the body is.
    pub content_type: Option<String>,
    /// The length of the body, in bytes.
    pub body_bytes: u64,
    /// Whether headers and body are still there: retention may have removed them.
    pub retained: bool,
    /// What became of it, by subscriber; only of those that want it.
    pub deliveries: Vec<Delivery>,
}

/// What is, or was, owed to one subscriber.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Delivery {
    /// The subscriber.
    pub subscriber: String,
    /// How it stands.
    pub state: DeliveryState,
    /// When it is tried again; for a dead letter, when it died.
    pub due: Option<Time>,
    /// Why the last attempt failed.
    pub reason: Option<String>,
    /// Every attempt, oldest first.
    pub attempts: Vec<Attempt>,
}

/// How a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Not tried yet, or under way for the first time.
    Pending,
    /// Refused, and tried again.
    Retrying,
    /// Done.
    Delivered,
    /// Given up: a dead letter.
    Dead,
    /// A dead letter that somebody dropped.
    Dropped,
    /// The subscriber's filter does not want it.
    Filtered,
    /// It was recorded before the subscriber began.
    BeforeStart,
}

/// One attempt to deliver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Attempt {
    /// Which, from 1.
    pub number: u32,
    /// When it ended. Not known of deliveries that went well at the first attempt, but for the latest of them.
    pub time: Option<Time>,
    /// `ok`, or in a word what went wrong: `status`, `timeout`, `connect`.
    pub result: String,
    /// What went wrong, in words.
    pub reason: Option<String>,
    /// The HTTP status of the answer, where there was one.
    pub status: Option<u16>,
    /// The first KiB of the answer, as text.
    pub answer: Option<String>,
    /// How long it took.
    pub duration_seconds: Option<f64>,
}
