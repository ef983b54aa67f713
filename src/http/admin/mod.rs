//! The admin listener: is it alive, is it ready, how is it doing, what is in it; and putting things right.
//!
//! - `GET /healthz`: 200 as long as the process answers;
//! - `GET /readyz`: 200 while the journal takes events and nothing is stopping, else 503; never depends on sinks;
//! - `GET /metrics`: all metrics in the `OpenMetrics` text format;
//! - `GET /`: the page ([`page`]), which works with
//! - `/api/v1/…`: the API. [`routes`] is the table of its calls, from which [`openapi`] is made; each call is a function in
//!   the file of its subject. What concerns the way out goes through the [`Desk`].
//!
//! [`guard`] decides who may ask. Nothing here is fast or has to be: it has a thread of its own.

mod dead;
mod events;
mod guard;
mod openapi;
mod page;
mod plan;
mod rejections;
mod replay;
mod request;
mod routes;
mod secrets;
mod settings;
mod subscribers;
mod tail;
mod topics;
mod wanted;

pub mod desk;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming as Body;

pub use desk::{DeadQuery, Desk, Later, PlanOrder, ReplayOrder, Trouble};
pub use events::Browse;
pub use guard::Guard;

use super::answer::Body as AnswerBody;
use super::ingest::Ingest;
use super::reply::{self, Answer};
use super::server::Service;
use crate::journal::state::letters::Fate;
use request::Asked;
pub(in crate::http) use request::percent;
use routes::{Call, Found};

/// Gives the metrics as they are now.
pub type Render = Box<dyn Fn() -> String + Send + Sync>;

/// What the admin listener works with.
pub struct AdminDoor {
    /// The ingress, for readiness.
    pub ingest: Arc<Ingest>,
    /// Who may ask.
    pub guard: Arc<Guard>,
    /// Gives the metrics.
    pub metrics: Render,
    /// The daemon, as far as the API steers it.
    pub desk: Arc<dyn Desk>,
    /// What it takes to look at events.
    pub browse: Browse,
}

impl fmt::Debug for AdminDoor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminDoor")
    }
}

impl AdminDoor {
    async fn route(&self, request: Request<Body>, peer: Option<IpAddr>) -> Answer {
        let path = request.uri().path().to_owned();
        let probe = matches!(path.as_str(), "/healthz" | "/readyz");
        let call = path.strip_prefix(routes::BASE).map(|rest| routes::find(request.method(), rest));
        let page = page::find(&path);
        if call.is_none() && page.is_none() && !probe && path != "/metrics" {
            return reply::error_json(StatusCode::NOT_FOUND, "NotFoundError", "there is nothing here");
        }
        if call.is_none() && !matches!(*request.method(), Method::GET | Method::HEAD) {
            return not_allowed("GET, HEAD");
        }
        if probe {
            return self.probe(&path);
        }
        if let Err(refusal) = self.guard.admits(request.method(), request.headers(), peer) {
            return refusal;
        }
        // The page asks for the token itself: its files hold nothing that is worth hiding.
        if let Some(file) = page {
            return file.answer(request.headers());
        }
        if let Err(refusal) = self.guard.knows(request.headers()) {
            return refusal;
        }
        match call {
            None => {
                let mut answer = Response::new(AnswerBody::from((self.metrics)()));
                let format = "application/openmetrics-text; version=1.0.0; charset=utf-8";
                answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(format));
                answer
            }
            Some(Found::Nothing) => {
                reply::error_json(StatusCode::NOT_FOUND, "NotFoundError", "there is no such call; see openapi.json")
            }
            Some(Found::Methods(methods)) => not_allowed(methods),
            Some(Found::Call(call, words)) => {
                let mut answer = match Asked::read(request, words).await {
                    Ok(asked) => self.call(call, &asked).await.unwrap_or_else(Trouble::answer),
                    Err(trouble) => trouble.answer(),
                };
                answer.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
                answer.headers_mut().insert("x-content-type-options", HeaderValue::from_static("nosniff"));
                answer
            }
        }
    }

    fn probe(&self, path: &str) -> Answer {
        match path {
            "/readyz" if self.ingest.is_draining() => {
                reply::json(StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"stopping"}"#)
            }
            "/readyz" if !self.ingest.journal().is_writable() => {
                reply::json(StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"the journal takes no events"}"#)
            }
            _ => reply::json(StatusCode::OK, r#"{"status":"ok"}"#),
        }
    }

    /// One call of the API.
    async fn call(&self, call: Call, asked: &Asked) -> Result<Answer, Trouble> {
        match call {
            Call::Topics => topics::list(self, asked),
            Call::Config => settings::show(self, asked),
            Call::Reload => settings::reload(self, asked).await,
            Call::Plan => plan::plan(self, asked).await,
            Call::Subscribers => subscribers::list(self, asked).await,
            Call::Subscriber => subscribers::show(self, asked).await,
            Call::Pause => subscribers::pause(self, asked, true).await,
            Call::Resume => subscribers::pause(self, asked, false).await,
            Call::Dead => dead::list(self, asked).await,
            Call::DeadRetry => dead::decide(self, asked, Fate::CalledBack).await,
            Call::DeadDrop => dead::decide(self, asked, Fate::Dropped).await,
            Call::Replay => replay::begin(self, asked).await,
            Call::EventReplay => replay::begin_one(self, asked).await,
            Call::Replays => replay::list(self, asked),
            Call::OneReplay => replay::show(self, asked),
            Call::CancelReplay => replay::cancel(self, asked).await,
            Call::Rejections => rejections::list(self, asked),
            Call::Rejection => rejections::show(self, asked).await,
            Call::Secrets => secrets::list(self, asked),
            Call::OpenApi => openapi::answer(asked),
            Call::Events => events::list(self, asked).await,
            Call::Event => events::show(self, asked).await,
            Call::EventBody => events::body(self, asked).await,
            Call::EventsTail => tail::tail(self, asked),
        }
    }
}

fn not_allowed(methods: &'static str) -> Answer {
    let mut answer = reply::error_json(StatusCode::METHOD_NOT_ALLOWED, "NotAllowedError", &format!("{methods} only"));
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    answer
}

impl Service for AdminDoor {
    type Local = ();

    fn local(&self) {}

    async fn answer(&self, (): &(), request: Request<Body>, peer: Option<IpAddr>) -> Answer {
        self.route(request, peer).await
    }

    fn connections(&self, _: i64) {}

    fn unreadable(&self, _: u16) {}
}
