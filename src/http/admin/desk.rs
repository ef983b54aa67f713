//! What the API needs of the rest of the daemon. The doors do not know the way out; whoever puts the daemon together does,
//! and sits at this desk.

use std::future::Future;
use std::pin::Pin;

use http::StatusCode;

use crate::api::replay::{Replay, Replays};
use crate::api::settings::{Configuration, Reloaded};
use crate::api::topics::Topics;
use crate::event::Millis;
use crate::http::reply::{self, Answer};
use crate::journal::state::Selection;

/// Something that is answered later.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why something could not be done, for the one who asked. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The request makes no sense: 400.
    Input(String),
    /// There is no such thing: 404.
    NotFound(String),
    /// It was there, and is not any more: 410.
    Gone(String),
    /// It makes sense, and cannot be done: 422.
    Refused(String),
    /// Not now: 503.
    Unavailable(String),
    /// It failed: 500.
    Failed(String),
}

impl Trouble {
    /// What the one who asked is told.
    #[must_use]
    pub fn answer(self) -> Answer {
        let (status, name, message) = match self {
            Self::Input(message) => (StatusCode::BAD_REQUEST, "InputError", message),
            Self::NotFound(message) => (StatusCode::NOT_FOUND, "NotFoundError", message),
            Self::Gone(message) => (StatusCode::GONE, "GoneError", message),
            Self::Refused(message) => (StatusCode::UNPROCESSABLE_ENTITY, "RefusedError", message),
            Self::Unavailable(message) => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailableError", message),
            Self::Failed(message) => (StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message),
        };
        reply::error_json(status, name, &message)
    }
}

/// Events that are to be delivered again, and to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayOrder {
    /// The subscribers; none: all that want any of the events.
    pub subscribers: Vec<String>,
    /// The events.
    pub selection: Selection,
    /// Topic and type, where it is one event.
    pub event: Option<(String, Option<String>)>,
    /// At most this many a second for each subscriber.
    pub rate: Option<u32>,
    /// Only say how many it would be.
    pub dry_run: bool,
    /// When it was asked for.
    pub now: Millis,
}

impl ReplayOrder {
    /// The events, in a few words.
    #[must_use]
    pub fn event_name(&self) -> String {
        match &self.event {
            Some((topic, Some(kind))) => format!("`{topic}.{kind}`"),
            Some((topic, None)) => format!("`{topic}` without a type"),
            None => "any of these events".to_owned(),
        }
    }
}

/// The daemon, as far as the API looks at it and steers it.
pub trait Desk: Send + Sync {
    /// The topics of the configuration in force.
    fn topics(&self) -> Topics;

    /// The configuration in force, without secrets.
    fn configuration(&self) -> Configuration;

    /// Reads the configuration anew, and puts it in force unless it is only asked what would change.
    fn reload(&self, dry_run: bool) -> Later<'_, Result<Reloaded, Trouble>>;

    /// Begins replays, on stable storage when it returns. Reads indexes and waits for the disk: not for a runtime's thread.
    ///
    /// # Errors
    /// Why none of them begins.
    fn replay(&self, order: &ReplayOrder) -> Result<Replays, Trouble>;

    /// All replays that have not ended, and the last ones that have; newest first.
    fn replays(&self) -> Vec<Replay>;

    /// Ends a replay; nothing if there is none of that number. Waits for the disk: not for a runtime's thread.
    ///
    /// # Errors
    /// When that cannot be noted.
    fn cancel_replay(&self, id: u64) -> Result<Option<Replay>, Trouble>;
}
