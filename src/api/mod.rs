//! What the admin API says, as it travels: JSON both ways, shared by the listener that answers and the commands that ask.
//!
//! - [`events`]: what was recorded, and what became of it; [`replay`]: delivering it again;
//! - [`subscribers`]: who is owed what; [`dead`]: what was given up;
//! - [`rejections`]: what was refused, and why; [`topics`]: where to post, and with which secrets;
//! - [`settings`]: the configuration in force, reloading it, and trying another on what was recorded.
//!
//! Names are `snake_case`. Times are RFC 3339 in UTC with milliseconds; durations are seconds and their names end in
//! `_seconds`. What is asked for with an unknown key is refused, so that a misspelt filter never means "all".

pub mod dead;
pub mod events;
pub mod rejections;
pub mod replay;
pub mod settings;
pub mod subscribers;
pub mod topics;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most entries of one page.
pub const MAX_LIMIT: u32 = 500;

/// The entries of a page where none are asked for.
pub const DEFAULT_LIMIT: u32 = 50;

/// The largest body of a request, in bytes.
pub const MAX_REQUEST: usize = 1 << 20;

/// A moment, RFC 3339 in UTC with milliseconds: `2026-11-23T08:00:00.123Z`.
pub type Time = String;

/// Why a request was not answered as asked: the body of every 4xx and 5xx.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// What went wrong.
    pub error: FailureText,
    /// The answer it came with.
    pub response: FailureStatus,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FailureText {
    /// A stable name for programs, such as `NotFoundError`.
    pub name: String,
    /// A sentence for people.
    pub message: String,
}

/// The answer a failure came with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FailureStatus {
    /// The HTTP status.
    #[serde(rename = "statusCode")]
    pub status_code: u16,
}

/// How many were concerned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Count {
    /// How many.
    pub count: u64,
}
