//! Outcome → status and body. The one table; statuses exist in `http` only.

use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};

use super::answer::Body;
use crate::event::EventId;
use crate::validate;

/// An answer.
pub type Answer = Response<Body>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// How long a sender is asked to wait after a 503, in seconds.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("5");

/// The body of an error, in the form Backstage uses.
macro_rules! error {
    ($name:literal, $message:literal, $status:literal) => {
        concat!(
            r#"{"error":{"name":""#,
            $name,
            r#"","message":""#,
            $message,
            r#""},"response":{"statusCode":"#,
            $status,
            "}}"
        )
    };
}
/// Why a request on the ingress was not recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The body says it is JSON and is not.
    MalformedBody,
    /// The signature is wrong, missing, stale or repeated, or the address is not allowed.
    InvalidSignature,
    /// The same, where the scheme compares a token.
    InvalidToken,
    /// There is nothing at this path.
    UnknownPath,
    /// No such topic.
    UnknownTopic,
    /// A method other than POST.
    Method,
    /// The body did not come in time.
    BodyTimeout,
    /// The body broke off.
    BodyBroken,
    /// The body is over the limit.
    TooLarge,
    /// The media type, its absence or the content encoding is not taken.
    MediaType,
    /// No room: body memory, journal queue, disk, draining.
    NoRoom,
}

impl Refusal {
    /// The status.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::MalformedBody | Self::BodyBroken => StatusCode::BAD_REQUEST,
            Self::InvalidSignature | Self::InvalidToken => StatusCode::FORBIDDEN,
            Self::UnknownPath | Self::UnknownTopic => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::NoRoom => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The body: short, and the same for every way a signature can be wrong.
    fn body(self) -> &'static str {
        match self {
            Self::InvalidSignature => r#"{"message":"invalid signature"}"#,
            Self::InvalidToken => r#"{"message":"invalid token"}"#,
            Self::MalformedBody => error!("InputError", "the body is not well-formed JSON", 400),
            Self::BodyBroken => error!("InputError", "the body broke off", 400),
            Self::UnknownPath => error!("NotFoundError", "there is nothing here", 404),
            Self::UnknownTopic => error!("NotFoundError", "no such topic", 404),
            Self::Method => error!("NotAllowedError", "a topic takes POST only", 405),
            Self::BodyTimeout => error!("RequestTimeoutError", "the body took too long", 408),
            Self::TooLarge => error!("PayloadTooLargeError", "the body is over the limit", 413),
            Self::MediaType => error!("UnsupportedMediaTypeError", "the media type or encoding is not accepted", 415),
            Self::NoRoom => error!("ServiceUnavailableError", "no room at the moment, try again", 503),
        }
    }

    /// The answer. `close`: the body has not been read to its end, so the connection cannot be used again.
    #[must_use]
    pub fn answer(self, close: bool) -> Answer {
        let mut answer = json(self.status(), self.body());
        let headers = answer.headers_mut();
        if self == Self::Method {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        if self == Self::NoRoom {
            headers.insert(RETRY_AFTER, RETRY_SECONDS);
        }
        if close {
            headers.insert(CONNECTION, CLOSE);
        }
        answer
    }
}

/// A JSON answer with a fixed body.
#[must_use]
pub fn json(status: StatusCode, body: &'static str) -> Answer {
    let mut answer = Response::new(Body::from(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, JSON);
    answer
}

/// An error that is no [`Refusal`] of the ingress.
#[must_use]
pub fn error_json(status: StatusCode, name: &str, message: &str) -> Answer {
    let body = serde_json::json!({
        "error": { "name": name, "message": message },
        "response": { "statusCode": status.as_u16() },
    });
    let mut answer = Response::new(Body::from(body.to_string()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, JSON);
    answer
}

/// 202: the event is on stable storage.
///
/// # Panics
/// Never: an id is made of characters a header takes.
#[must_use]
pub fn accepted(id: EventId, duplicate: bool) -> Answer {
    let mut answer = json(StatusCode::ACCEPTED, r#"{"status":"accepted"}"#);
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    let id = id.0.hyphenated().encode_lower(&mut text);
    let id = HeaderValue::from_str(id).expect("hexadecimal digits and hyphens");
    answer.headers_mut().insert("forebay-event-id", id);
    if duplicate {
        answer.headers_mut().insert("forebay-duplicate", HeaderValue::from_static("true"));
    }
    answer
}

/// What a provider wants for its handshake.
#[must_use]
pub fn handshake(reply: validate::Reply) -> Answer {
    let mut answer = Response::new(Body::from(reply.body));
    *answer.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    for (name, value) in reply.headers {
        // A value that cannot be a header is one the sender made up: left out, and the handshake fails for it.
        if let Ok(value) = HeaderValue::from_maybe_shared(value) {
            answer.headers_mut().insert(name, value);
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_body_says_its_status() {
        use Refusal::*;
        let all =
            [MalformedBody, BodyBroken, UnknownPath, UnknownTopic, Method, BodyTimeout, TooLarge, MediaType, NoRoom];
        for refusal in all {
            let body: serde_json::Value = serde_json::from_str(refusal.body()).expect("JSON");
            assert_eq!(body["response"]["statusCode"], refusal.status().as_u16(), "{refusal:?}");
            assert!(body["error"]["name"].is_string() && body["error"]["message"].is_string());
        }
        for refusal in [InvalidSignature, InvalidToken] {
            assert_eq!(refusal.status(), 403);
            assert!(serde_json::from_str::<serde_json::Value>(refusal.body()).expect("JSON")["message"].is_string());
        }
    }
}
