//! The table of the API's calls: from it a request finds its way, and the `OpenAPI` document is made.

use http::Method;
use schemars::{Schema, SchemaGenerator};

use super::request::percent;
use crate::api;

/// Where the API begins. A later version that breaks callers gets another number.
pub(super) const BASE: &str = "/api/v1";

/// The calls there are. What each does stands in [`ROUTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Topics,
    Config,
    Reload,
    Plan,
    Subscribers,
    Subscriber,
    Pause,
    Resume,
    Dead,
    DeadRetry,
    DeadDrop,
    Replay,
    EventReplay,
    Replays,
    OneReplay,
    CancelReplay,
    Rejections,
    Rejection,
    Secrets,
    OpenApi,
    Events,
    Event,
    EventBody,
    EventsTail,
}

/// How one call is made.
pub(super) struct Route {
    pub(super) call: Call,
    pub(super) method: Method,
    /// Behind [`BASE`]; a name in braces stands for one word of any kind.
    pub(super) path: &'static str,
    /// What it does, in a sentence.
    pub(super) does: &'static str,
    /// Parameters of the query, and what they mean.
    pub(super) query: &'static [(&'static str, &'static str)],
    /// The JSON it takes.
    pub(super) takes: Option<fn(&mut SchemaGenerator) -> Schema>,
    pub(super) gives: Gives,
}

/// What a call answers with 200.
pub(super) enum Gives {
    /// JSON of this shape.
    Json(fn(&mut SchemaGenerator) -> Schema),
    /// Something else, by its media type.
    Other(&'static str),
}

fn of<T: schemars::JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

const NO: &[(&str, &str)] = &[];

const TOPIC: (&str, &str) = ("topic", "only events of this topic, or of this pattern, such as `github.push`");
const TYPE: (&str, &str) = ("type", "only events of this type; `*` stands for any run of characters");
const LIMIT: (&str, &str) = ("limit", "how many at most, from 1 to 500");
const BEFORE: (&str, &str) = ("before", "go on with the page behind: what `next` of the last one said");

/// Every call.
pub(super) const ROUTES: &[Route] = &[
    Route {
        call: Call::Topics,
        method: Method::GET,
        path: "/topics",
        does: "Topics with URL, validator and counts",
        query: NO,
        takes: None,
        gives: Gives::Json(of::<api::topics::Topics>),
    },
    Route {
        call: Call::Config,
        method: Method::GET,
        path: "/config",
        does: "The configuration in force, without secrets",
        query: NO,
        takes: None,
        gives: Gives::Json(of::<api::settings::Configuration>),
    },
    Route {
        call: Call::Reload,
        method: Method::POST,
        path: "/reload",
        does: "Read the configuration anew and put it in force, all or nothing; or only say what would change",
        query: NO,
        takes: Some(of::<api::settings::ReloadRequest>),
        gives: Gives::Json(of::<api::settings::Reloaded>),
    },
    Route {
        call: Call::Plan,
        method: Method::POST,
        path: "/plan",
        does: "Which way recorded events would go by another configuration: what each subscriber would gain and lose",
        query: NO,
        takes: Some(of::<api::settings::PlanRequest>),
        gives: Gives::Json(of::<api::settings::Planned>),
    },
    Route {
        call: Call::Subscribers,
        method: Method::GET,
        path: "/subscribers",
        does: "Subscribers with position, backlog and last error; also those no longer configured that are still owed events",
        query: NO,
        takes: None,
        gives: Gives::Json(of::<api::subscribers::Subscribers>),
    },
    Route {
        call: Call::Subscriber,
        method: Method::GET,
        path: "/subscribers/{name}",
        does: "One subscriber",
        query: NO,
        takes: None,
        gives: Gives::Json(of::<api::subscribers::Subscriber>),
    },
    Route {
        call: Call::Pause,
        method: Method::POST,
        path: "/subscribers/{name}/pause",
        does: "Have a subscriber hand out nothing until it is resumed, over restarts too; it goes on owing what comes",
        query: NO,
        takes: None,
        gives: Gives::Json(of::<api::subscribers::Subscriber>),
    },
    Route {
        call: Call::Resume,
        method: Method::POST,
        path: "/subscribers/{name}/resume",
        does: "Let a subscriber that was paused go on",
        query: NO,
        takes: None,
        gives: Gives::Json(of::<api::subscribers::Subscriber>),
    },
    Route {
        call: Call::Dead,
        method: Method::GET,
        path: "/dead",
        does: "Dead letters, those of the newest events first",
        query: &[("subscriber", "only those of this subscriber, configured or not"), TOPIC, LIMIT, BEFORE],
        takes: None,
        gives: Gives::Json(of::<api::dead::DeadLetters>),
    },
    Route {
        call: Call::DeadRetry,
        method: Method::POST,
        path: "/dead/retry",
        does: "Deliver dead letters after all: each gets a new round of attempts, the first at once",
        query: NO,
        takes: Some(of::<api::dead::DeadSelection>),
        gives: Gives::Json(of::<api::Count>),
    },
    Route {
        call: Call::DeadDrop,
        method: Method::POST,
        path: "/dead/drop",
        does: "Drop dead letters for good; that they were is remembered as long as their events",
        query: NO,
        takes: Some(of::<api::dead::DeadSelection>),
        gives: Gives::Json(of::<api::Count>),
    },
    Route {
        call: Call::Replay,
        method: Method::POST,
        path: "/replay",
        does: "Deliver recorded events again, whatever became of them before; or only say how many that would be",
        query: NO,
        takes: Some(of::<api::replay::ReplayRequest>),
        gives: Gives::Json(of::<api::replay::Replays>),
    },
    Route {
        call: Call::EventReplay,
        method: Method::POST,
        path: "/events/{id}/replay",
        does: "Deliver one event again",
        query: NO,
        takes: Some(of::<api::replay::EventReplayRequest>),
        gives: Gives::Json(of::<api::replay::Replays>),
    },
    Route {
        call: Call::Replays,
        method: Method::GET,
        path: "/replays",
        does: "Replays that have not ended, and the last hundred that have; newest first",
        query: NO,
        takes: None,
        gives: Gives::Json(of::<api::replay::Replays>),
    },
    Route {
        call: Call::OneReplay,
        method: Method::GET,
        path: "/replays/{id}",
        does: "One replay",
        query: NO,
        takes: None,
        gives: Gives::Json(of::<api::replay::Replay>),
    },
    Route {
        call: Call::CancelReplay,
        method: Method::POST,
        path: "/replays/{id}/cancel",
        does: "End a replay: what is under way is finished, and what was refused stays owed",
        query: NO,
        takes: None,
        gives: Gives::Json(of::<api::replay::Replay>),
    },
    Route {
        call: Call::Rejections,
        method: Method::GET,
        path: "/rejections",
        does: "The last refused requests, newest first and without secrets",
        query: &[
            ("topic", "only those to this topic"),
            ("limit", "at most so many, 1 to 500"),
            ("before", "the `next` of the page before"),
        ],
        takes: None,
        gives: Gives::Json(of::<api::rejections::Rejections>),
    },
    Route {
        call: Call::Rejection,
        method: Method::GET,
        path: "/rejections/{id}",
        does: "One refused request, and what is wrong with it",
        query: NO,
        takes: None,
        gives: Gives::Json(of::<api::rejections::Rejection>),
    },
    Route {
        call: Call::Secrets,
        method: Method::GET,
        path: "/secrets",
        does: "When each secret last matched, so that an old one can go",
        query: NO,
        takes: None,
        gives: Gives::Json(of::<api::topics::Secrets>),
    },
    Route {
        call: Call::OpenApi,
        method: Method::GET,
        path: "/openapi.json",
        does: "This document",
        query: NO,
        takes: None,
        gives: Gives::Other("application/json"),
    },
    Route {
        call: Call::Events,
        method: Method::GET,
        path: "/events",
        does: "Recorded events, newest first; also those whose bodies retention has removed, for a while",
        query: &[
            TOPIC,
            TYPE,
            ("since", "only events received at this moment or later, or within a time before now, such as `24h`"),
            ("until", "only events received before this moment, or until a time before now"),
            ("q", "only events with this text in topic, type, delivery id or id, whatever the case"),
            LIMIT,
            BEFORE,
        ],
        takes: None,
        gives: Gives::Json(of::<api::events::Events>),
    },
    Route {
        call: Call::Event,
        method: Method::GET,
        path: "/events/{id}",
        does: "One event, with what became of it",
        query: NO,
        takes: None,
        gives: Gives::Json(of::<api::events::Event>),
    },
    Route {
        call: Call::EventBody,
        method: Method::GET,
        path: "/events/{id}/body",
        does: "The exact bytes of an event's body; 410 once retention has removed them",
        query: NO,
        takes: None,
        gives: Gives::Other("application/octet-stream"),
    },
    Route {
        call: Call::EventsTail,
        method: Method::GET,
        path: "/events/tail",
        does: "Events as they are recorded, as server-sent events; the header `last-event-id` goes on behind that number",
        query: &[TOPIC, TYPE],
        takes: None,
        gives: Gives::Other("text/event-stream"),
    },
];

/// What there is at a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing.
    Nothing,
    /// Something, but for other methods.
    Methods(&'static str),
    /// A call, and the words of the path where the route has names in braces.
    Call(Call, Vec<String>),
}

/// Finds the call for a method and the path behind [`BASE`].
pub(super) fn find(method: &Method, path: &str) -> Found {
    // HEAD is GET without a body; hyper leaves it out.
    let method = if *method == Method::HEAD { &Method::GET } else { method };
    let (mut get, mut post) = (false, false);
    // A word that is written beats a name in braces, wherever it stands in the table.
    let mut fitting: Vec<(usize, &Route, Vec<String>)> =
        ROUTES.iter().filter_map(|route| fit(route.path, path).map(|words| (words.len(), route, words))).collect();
    fitting.sort_by_key(|(names, ..)| *names);
    let fewest = fitting.first().map(|(names, ..)| *names);
    for (names, route, words) in fitting {
        if Some(names) != fewest {
            break;
        }
        if route.method == *method {
            return Found::Call(route.call, words);
        }
        get |= route.method == Method::GET;
        post |= route.method == Method::POST;
    }
    match (get, post) {
        (false, false) => Found::Nothing,
        (true, false) => Found::Methods("GET, HEAD"),
        (false, true) => Found::Methods("POST"),
        (true, true) => Found::Methods("GET, HEAD, POST"),
    }
}

/// The words of a path where its template has names in braces, if it fits.
fn fit(template: &str, path: &str) -> Option<Vec<String>> {
    let (mut parts, mut words) = (path.split('/'), Vec::new());
    for want in template.split('/') {
        let part = parts.next()?;
        if want.starts_with('{') {
            words.push(percent(part).filter(|word| !word.is_empty())?);
        } else if want != part {
            return None;
        }
    }
    parts.next().is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_is_found_by_its_own_route() {
        for route in ROUTES {
            let path: Vec<&str> =
                route.path.split('/').map(|part| if part.starts_with('{') { "a%20b" } else { part }).collect();
            let path = path.join("/");
            let Found::Call(call, words) = find(&route.method, &path) else { panic!("{path} is not found") };
            assert_eq!(call, route.call, "{path}");
            assert!(words.iter().all(|word| word == "a b"), "{words:?}");
            assert!(matches!(find(&Method::DELETE, &path), Found::Methods(_)), "{path}");
            assert_eq!(find(&route.method, &format!("{path}/more/still")), Found::Nothing);
            let other = ROUTES.iter().filter(|other| other.call == route.call).count();
            assert_eq!(other, 1, "{:?} stands once", route.call);
        }
        assert_eq!(find(&Method::GET, ""), Found::Nothing);
        assert_eq!(find(&Method::GET, "/nothing"), Found::Nothing);
        assert_eq!(find(&Method::HEAD, "/topics"), find(&Method::GET, "/topics"));
    }
}
