//! Delivering events again on purpose.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Time;

/// What to deliver again, and to whom. All conditions must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReplayRequest {
    /// The subscribers. None: all that want any of the events.
    pub subscribers: Vec<String>,
    /// Only events of this topic, or of this pattern, such as `github.push`.
    pub topic: Option<String>,
    /// Only events of this type.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Only events received at or after this moment, or within a time before now, such as `24h`.
    pub since: Option<String>,
    /// Only events received before this moment, or until a time before now.
    pub until: Option<String>,
    /// Only events with this text in topic, type, delivery id or id.
    pub q: Option<String>,
    /// At most this many a second for each subscriber.
    pub rate: Option<u32>,
    /// Only say how many it would be.
    pub dry_run: bool,
}

/// To whom one event is delivered again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EventReplayRequest {
    /// The subscribers. None: all that want it.
    pub subscribers: Vec<String>,
}

/// Several replays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Replays {
    /// Newest first.
    pub replays: Vec<Replay>,
}

/// One replay: events that one subscriber gets again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Replay {
    /// Its id; empty in the answer to a `dry_run`.
    pub id: String,
    /// The subscriber.
    pub subscriber: String,
    /// How it stands.
    pub state: ReplayState,
    /// When it was asked for.
    pub started: Time,
    /// How many events it is; none while they are being counted. A filter may refuse some of them.
    pub total: Option<u64>,
    /// How many were handled: delivered, owed, or passed over.
    pub done: u64,
    /// How many of them were refused at the first attempt; they are retried as any other.
    pub failed: u64,
    /// How many retention had removed.
    pub gone: u64,
    /// At most this many a second.
    pub rate: Option<u32>,
}

/// How a replay stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReplayState {
    /// Waiting for its turn, or under way.
    Running,
    /// Every event has been handled.
    Done,
    /// Somebody ended it.
    Cancelled,
    /// It was only asked how many it would be.
    DryRun,
}
