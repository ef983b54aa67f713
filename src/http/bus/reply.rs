//! Answers of the bus, in the words and statuses of Backstage's `events-backend`.

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};

use crate::http::answer::Body;
use crate::http::reply::{Answer, error_json};

/// Only a status.
pub(super) fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Body::from(""));
    *answer.status_mut() = status;
    answer
}

/// There is nothing at this path, or not by this method: 404 without a body.
pub(super) fn nothing() -> Answer {
    empty(StatusCode::NOT_FOUND)
}

/// The request makes no sense.
pub(super) fn input(message: &str) -> Answer {
    error_json(StatusCode::BAD_REQUEST, "InputError", message)
}

/// The calls take no parameters.
pub(super) fn unknown_parameter<B>(request: &Request<B>) -> Option<Answer> {
    let first = request.uri().query()?.split('&').find(|pair| !pair.is_empty())?;
    let name = first.split('=').next().unwrap_or_default();
    let shown: String = name.chars().take(64).filter(|c| !c.is_control()).collect();
    Some(input(&format!("Unknown query parameter '{shown}'")))
}

/// What the bus can do, for programs.
pub(super) fn openapi() -> Answer {
    let mut answer = Response::new(Body::from(include_str!("openapi.json")));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    answer
}
