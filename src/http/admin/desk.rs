//! What the API needs of the rest of the daemon. The doors do not know the way out; whoever puts the daemon together does,
//! and sits at this desk.

use std::future::Future;
use std::pin::Pin;

use http::StatusCode;

use crate::api::dead::DeadLetters;
use crate::api::events::Delivery;
use crate::api::replay::{Replay, Replays};
use crate::api::settings::{Configuration, Planned, Reloaded, Route};
use crate::api::subscribers::{Subscriber, Subscribers};
use crate::api::topics::Topics;
use crate::event::{Event, Millis, Seq};
use crate::http::reply::{self, Answer};
use crate::journal::lookup::Query;
use crate::journal::state::Selection;
use crate::journal::state::letters::{Fate, Which};

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

/// Which dead letters are asked for.
#[derive(Debug, Clone, Copy)]
pub struct DeadQuery<'a> {
    /// Those of one subscriber.
    pub subscriber: Option<&'a str>,
    /// Those of events of a topic, or of a pattern.
    pub topic: Option<&'a str>,
    /// At most so many.
    pub limit: u32,
    /// Those behind what an earlier answer named as `next`.
    pub before: Option<&'a str>,
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

/// Another configuration, and the events it is tried on.
#[derive(Debug, Clone)]
pub struct PlanOrder {
    /// Its subscribers.
    pub subscribers: Vec<Route>,
    /// Its topics.
    pub topics: Vec<String>,
    /// The events.
    pub query: Query,
}

/// The daemon, as far as the API looks at it and steers it.
pub trait Desk: Send + Sync {
    /// The topics of the configuration in force.
    fn topics(&self) -> Topics;

    /// The configuration in force, without secrets.
    fn configuration(&self) -> Configuration;

    /// Reads the configuration anew, and puts it in force unless it is only asked what would change.
    fn reload(&self, dry_run: bool) -> Later<'_, Result<Reloaded, Trouble>>;

    /// All subscribers, and those that are not configured any more and still owed something.
    fn subscribers(&self) -> Later<'_, Result<Subscribers, Trouble>>;

    /// One of them.
    fn subscriber<'a>(&'a self, name: &'a str) -> Later<'a, Result<Subscriber, Trouble>>;

    /// Pauses a subscriber, or lets it go on.
    fn pause<'a>(&'a self, name: &'a str, paused: bool) -> Later<'a, Result<(), Trouble>>;

    /// Dead letters, those of the newest events first.
    fn dead<'a>(&'a self, query: DeadQuery<'a>) -> Later<'a, Result<DeadLetters, Trouble>>;

    /// Calls dead letters of a subscriber back, or drops them. Answers how many it were.
    fn decide<'a>(&'a self, name: &'a str, fate: Fate, which: Which) -> Later<'a, Result<u64, Trouble>>;

    /// What became of an event, by subscriber. `event`: all of it, for filters; none if it is not there any more.
    fn trace<'a>(
        &'a self,
        seq: Seq,
        topic: &'a str,
        kind: Option<&'a str>,
        event: Option<&'a Event>,
    ) -> Later<'a, Result<Vec<Delivery>, Trouble>>;

    /// Which way recorded events would go by another configuration. Reads many of them: for a thread of its own. Stops early
    /// when it is not `wanted` any more.
    ///
    /// # Errors
    /// What makes no sense of the other configuration, or that the journal cannot be read.
    fn plan(&self, order: &PlanOrder, wanted: &dyn Fn() -> bool) -> Result<Planned, Trouble>;

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
