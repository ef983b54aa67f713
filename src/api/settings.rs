//! The configuration in force, reloading it, and trying another on what was recorded.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Time;

/// The configuration in force, as written; secrets are `***`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Configuration {
    /// The file.
    pub file: String,
    /// When it was read.
    pub read: Time,
    /// Every setting in the file, by its key in words: `topics.github.max_body`.
    pub settings: BTreeMap<String, String>,
}

/// What to do with the configuration file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReloadRequest {
    /// Only say what would change.
    pub dry_run: bool,
}

/// What a reload did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reloaded {
    /// Whether the new configuration is in force; `false` for a dry run.
    pub applied: bool,
    /// What is different from before.
    pub changes: Vec<Change>,
    /// What is unwise about the new configuration, as text.
    pub warnings: Option<String>,
}

/// One setting that is different.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// Its key in words.
    pub key: String,
    /// What it was, as written; none: it was not there. Secrets are `***`.
    pub before: Option<String>,
    /// What it is; none: it is not there any more.
    pub after: Option<String>,
    /// It cannot change while the daemon runs.
    pub needs_restart: bool,
}

/// Which way recorded events would go by another configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PlanRequest {
    /// The subscribers of the other configuration.
    pub subscribers: Vec<Route>,
    /// Its topics.
    pub topics: Vec<String>,
    /// Events received at or after this moment, or within a time before now, such as `24h`; none: `24h`.
    pub since: Option<String>,
    /// Events received before this moment, or until a time before now.
    pub until: Option<String>,
}

/// What a subscriber wants.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Route {
    /// Its name.
    pub name: String,
    /// Its patterns.
    pub topics: Vec<String>,
    /// Its filter.
    pub filter: Option<String>,
}

/// What another configuration would have made of recorded events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Planned {
    /// How many events were looked at.
    pub events: u64,
    /// There were more than are looked at in one call.
    pub truncated: bool,
    /// Events of topics that the other configuration does not have.
    pub without_topic: u64,
    /// Topics that the configuration in force does not have: nothing was recorded of what would come in on them.
    pub new_topics: Vec<String>,
    /// By name, those of either configuration.
    pub subscribers: Vec<PlannedSubscriber>,
}

/// What a subscriber would gain and lose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedSubscriber {
    /// Its name.
    pub name: String,
    /// It exists in the configuration in force.
    pub exists_now: bool,
    /// It exists in the other one.
    pub exists_then: bool,
    /// Events it wants now.
    pub now: u64,
    /// Events it would want.
    pub then: u64,
    /// What it would get and does not.
    pub gains: Difference,
    /// What it gets and would not.
    pub loses: Difference,
    /// Events on which a filter of either failed.
    pub filter_errors: u64,
}

/// Events that go another way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// How many.
    pub count: u64,
    /// How many by topic and type, `github.push`; the most frequent, at most 20.
    pub by_type: BTreeMap<String, u64>,
    /// The ids of a few of them.
    pub samples: Vec<String>,
}
