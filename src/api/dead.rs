//! Dead letters: deliveries that were given up.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Time;

/// A page of dead letters, newest event first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeadLetters {
    /// The letters.
    pub dead: Vec<DeadLetter>,
    /// What to ask for as `before` to go on; none at the end.
    pub next: Option<String>,
}

/// One delivery that was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeadLetter {
    /// Who did not get it.
    pub subscriber: String,
    /// The event's id.
    pub event: String,
    /// The event's place in the journal.
    pub seq: u64,
    /// The event's topic; empty where it is not known any more.
    pub topic: String,
    /// The event's type, where there is one.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// When the event was received.
    pub received: Time,
    /// When the delivery was given up.
    pub died: Time,
    /// Attempts that were made.
    pub attempts: u32,
    /// Why the last one failed.
    pub reason: String,
}

/// Which dead letters of a subscriber are meant: some, or all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DeadSelection {
    /// Whose.
    pub subscriber: String,
    /// The ids of the events; at most 10,000.
    pub events: Vec<String>,
    /// All of them; `events` must be empty then.
    pub all: bool,
}
