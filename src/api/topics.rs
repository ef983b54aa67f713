//! Topics, and the secrets that matched on them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Time;

/// All topics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Topics {
    /// By name.
    pub topics: Vec<Topic>,
}

/// One topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Where senders post to it.
    pub url: String,
    /// The validator's type.
    pub validator: String,
    /// The largest body it takes, in bytes.
    pub max_body: u64,
    /// The subscribers that may want its events.
    pub subscribers: Vec<String>,
    /// Events recorded since the daemon started.
    pub events: u64,
    /// Deliveries seen before since the daemon started.
    pub duplicates: u64,
    /// Requests since the daemon started, by the status of the answer.
    pub requests: BTreeMap<String, u64>,
    /// When the last event was recorded, since the daemon started.
    pub last_event: Option<Time>,
}

/// When each secret last matched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Secrets {
    /// By topic, and in the order of the configuration.
    pub secrets: Vec<SecretUse>,
}

/// When one secret last matched. Never the secret itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretUse {
    /// The topic.
    pub topic: String,
    /// The secret's id.
    pub secret: String,
    /// Whether it is valid now.
    pub state: SecretState,
    /// Not valid earlier.
    pub not_before: Option<Time>,
    /// Not valid at this time or later.
    pub not_after: Option<Time>,
    /// Since when its matches are noted: one that has not matched since may have matched before.
    pub known_since: Time,
    /// When it last matched, also before the daemon's last start.
    pub last_matched: Option<Time>,
    /// How often it matched since the daemon started.
    pub matched: u64,
}

/// Whether a secret is valid now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecretState {
    /// It may match.
    Active,
    /// Its `not_before` has not come.
    NotYet,
    /// Its `not_after` has passed.
    Retired,
}
