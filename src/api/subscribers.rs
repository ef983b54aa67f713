//! Subscribers and how they are doing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Time;

/// All subscribers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Subscribers {
    /// By name.
    pub subscribers: Vec<Subscriber>,
    /// The number of the last event recorded, to compare positions with.
    pub last_seq: u64,
}

/// One subscriber.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Subscriber {
    /// Its name.
    pub name: String,
    /// The patterns of topics and types it wants.
    pub topics: Vec<String>,
    /// The filter, as written.
    pub filter: Option<String>,
    /// Where its events go, in a few words: `webhook https://ci.internal/hooks`. Without secrets and queries.
    pub sink: String,
    /// `parallel` or `strict`.
    pub order: String,
    /// How it is.
    pub state: SubscriberState,
    /// The first event it has not examined or still has under way.
    pub position: u64,
    /// Events that are owed: not delivered, and not given up. More than it is while a filter has not looked at them.
    pub backlog: u64,
    /// Of them, those that were refused and are tried again.
    pub retrying: u64,
    /// How long the oldest of them has been owed; 0: nothing is.
    pub oldest_owed_seconds: f64,
    /// Its dead letters.
    pub dead: u64,
    /// Delivered since the daemon started.
    pub delivered: u64,
    /// When the next refused delivery is tried again.
    pub next_attempt: Option<Time>,
    /// The last refusal.
    pub last_error: Option<LastError>,
}

/// How a subscriber is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubscriberState {
    /// It delivers, or waits for events.
    Running,
    /// Somebody paused it.
    Paused,
    /// Attempts only fail; it is probed at a slowing pace.
    Failing,
    /// It is not configured any more, and kept because it is still owed events.
    Unconfigured,
}

/// The last refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LastError {
    /// When.
    pub time: Time,
    /// Why.
    pub reason: String,
}
