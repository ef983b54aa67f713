//! The admin listener: is it alive, is it ready, how is it doing.
//!
//! - `GET /healthz`: 200 as long as the process answers;
//! - `GET /readyz`: 200 while the journal takes events and nothing is stopping, else 503; never depends on sinks;
//! - `GET /metrics`: all metrics in the `OpenMetrics` text format.
//!
//! Where a token is configured, everything but the two probes asks for it.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming as Body;

use super::ingest::Ingest;
use super::reply::{self, Answer};
use super::server::Service;
use crate::secret::Secret;

/// Gives the metrics as they are now.
pub type Render = Box<dyn Fn() -> String + Send + Sync>;

/// What the admin listener works with.
pub struct AdminDoor {
    /// The ingress, for readiness.
    pub ingest: Arc<Ingest>,
    /// What a caller must show.
    pub token: Option<Secret>,
    /// Gives the metrics.
    pub metrics: Render,
}

impl fmt::Debug for AdminDoor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminDoor")
    }
}

impl AdminDoor {
    fn route(&self, request: &Request<Body>) -> Answer {
        let path = request.uri().path();
        if !matches!(path, "/healthz" | "/readyz" | "/metrics") {
            return reply::error_json(StatusCode::NOT_FOUND, "NotFoundError", "there is nothing here");
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut answer = reply::error_json(StatusCode::METHOD_NOT_ALLOWED, "NotAllowedError", "GET only");
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        match path {
            "/readyz" if self.ingest.is_draining() => {
                reply::json(StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"stopping"}"#)
            }
            "/readyz" if !self.ingest.journal().is_writable() => {
                reply::json(StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"the journal takes no events"}"#)
            }
            "/healthz" | "/readyz" => reply::json(StatusCode::OK, r#"{"status":"ok"}"#),
            _ if !self.is_allowed(request) => {
                let mut answer =
                    reply::error_json(StatusCode::UNAUTHORIZED, "AuthenticationError", "the admin token is needed");
                answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
                answer
            }
            _ => {
                let mut answer = Response::new(Full::new(Bytes::from((self.metrics)())));
                let format = "application/openmetrics-text; version=1.0.0; charset=utf-8";
                answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(format));
                answer
            }
        }
    }

    fn is_allowed(&self, request: &Request<Body>) -> bool {
        let Some(token) = &self.token else { return true };
        let mut shown = request.headers().get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (shown.next(), shown.next()) else { return false };
        // RFC 9110 section 11.1: the scheme's name is case-insensitive.
        value
            .as_bytes()
            .split_at_checked(7)
            .is_some_and(|(scheme, shown)| scheme.eq_ignore_ascii_case(b"bearer ") && token.equals(shown))
    }
}

impl Service for AdminDoor {
    type Local = ();

    fn local(&self) {}

    async fn answer(&self, (): &(), request: Request<Body>, _: Option<IpAddr>) -> Answer {
        self.route(&request)
    }

    fn connections(&self, _: i64) {}

    fn unreadable(&self, _: u16) {}
}
