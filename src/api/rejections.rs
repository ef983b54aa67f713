//! The last refused requests, without secrets.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Time;

/// The last refused requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rejections {
    /// Newest first.
    pub rejections: Vec<RejectionSummary>,
    /// What to ask for as `before` to go on; none at the end.
    pub next: Option<String>,
}

/// One refused request in a few words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RejectionSummary {
    /// Its id.
    pub id: String,
    /// When it was refused.
    pub time: Time,
    /// The topic; empty where there is none of the name that was asked for.
    pub topic: String,
    /// Who sent it, seen past the trusted proxies; none on a unix socket.
    pub client: Option<String>,
    /// The method.
    pub method: String,
    /// The path, and the query with its values hidden.
    pub target: String,
    /// The status of the answer.
    pub status: u16,
    /// In a word why, as in the metric `forebay_verified_total`.
    pub label: String,
    /// The true reason, which the sender was not told.
    pub reason: String,
}

/// One refused request, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rejection {
    /// The request in a few words.
    #[serde(flatten)]
    pub summary: RejectionSummary,
    /// The headers, names in lower case; what may be a secret is `***`.
    pub headers: BTreeMap<String, String>,
    /// The length of the body as far as it is known, in bytes.
    pub body_bytes: Option<u64>,
    /// The body as text, as far as it was kept and may be shown.
    pub body: Option<String>,
    /// What would have matched, most likely first.
    pub findings: Vec<Finding>,
}

/// One thing that is wrong, or would have helped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// A stable name for programs, such as `retired-secret`.
    pub fault: String,
    /// What was found.
    pub found: String,
    /// What to change.
    pub change: String,
}
