//! The sink that posts to a URL.
//!
//! Delivered is a 2xx status, and nothing else; what becomes of the rest of the answer does not matter. Redirects are not followed,
//! and no proxy is asked, whatever the environment says. The sink sends each attempt once; a connection that the
//! receiver closed while it lay idle is replaced if nothing of the request was written to it, else that is a refusal
//! like any other, for the receiver may have acted.
//!
//! | format | body | headers |
//! | --- | --- | --- |
//! | [`Forward`](Format::Forward) | as it came | the provider's, forebay's own, Standard Webhooks' with `sign` |
//! | [`Original`](Format::Original) | as it came | the provider's alone |
//! | [`CloudEvents`](Format::CloudEvents) | CloudEvents' JSON | forebay's own, Standard Webhooks' with `sign` |
//! | [`CloudEventsBinary`](Format::CloudEventsBinary) | as it came | its attributes, and as above |
//!
//! Of the provider's headers all are passed on but these: framing and hop-by-hop headers and what `connection` names,
//! `host`, `expect`, `forwarded`, `x-forwarded-*` and `x-real-ip`, which tell of the way to forebay, and `forebay-*`,
//! which only forebay may say. `traceparent` and `tracestate` go on in every format, as they came if they are valid W3C
//! Trace Context, and else not at all. `Forward` also leaves out `accept-encoding`, sends its own `user-agent`, and puts its
//! `idempotency-key` (the event's id, the same at every attempt) in place of one that the provider sent. With `sign`
//! the three `webhook-*` headers take the place of the provider's. Configured headers come last and win.

mod address;
mod answer;
mod client;
mod connect;
mod once;
mod request;
mod tls;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, StatusCode};

pub use once::{Answered, get, post};
pub use tls::tls_client;

use self::request::Unsigned;
use crate::event::Millis;
use crate::secret::{Key, Secret};
use crate::sink::{Capacity, Delivery, Outcome, Outcomes, Receipt, Refusal, Sink};

/// How an event is posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// The exact body with the provider's headers and forebay's own.
    #[default]
    Forward,
    /// The request as it came: the provider's headers and body, nothing added.
    Original,
    /// CloudEvents 1.0, structured mode.
    CloudEvents,
    /// CloudEvents 1.0, binary mode.
    CloudEventsBinary,
}

/// A header value that is sent, perhaps a secret.
#[derive(Debug, Clone)]
pub enum HeaderText {
    /// Plain text.
    Plain(String),
    /// A secret: printed nowhere.
    Secret(Secret),
}

/// What is configured of it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `http` or `https`.
    pub url: http::Uri,
    /// For a whole attempt, from dialling to the end of the answer.
    pub timeout: Duration,
    /// The most attempts under way at once.
    pub concurrency: usize,
    /// Headers added to each request.
    pub headers: Vec<(HeaderName, HeaderText)>,
    /// Standard Webhooks secrets; each valid one signs.
    pub sign: Vec<Key>,
    /// How an event is posted.
    pub format: Format,
    /// Statuses that make a delivery dead at once.
    pub give_up_on: Vec<u16>,
    /// PEM files with certificate authorities, instead of the system's.
    pub ca: Option<PathBuf>,
    /// PEM files with client certificate chain and key.
    pub client_cert: Option<(PathBuf, PathBuf)>,
}

/// Why a sink cannot be opened. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenError {
    /// The URL is not one that can be posted to; this is what is wrong with it.
    Url(&'static str),
    /// A configured header is one that the client writes itself.
    HeaderName(HeaderName),
    /// The value of a configured header holds what a header cannot.
    HeaderValue(HeaderName),
    /// A signing secret, and what is wrong with it.
    Sign(String),
    /// A certificate or key file, and what is wrong with it.
    File(PathBuf, String),
    /// The system's certificate authorities cannot be had.
    Roots(String),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(problem) => write!(f, "the `url` {problem}"),
            Self::HeaderName(name) => write!(f, "the header `{name}` cannot be configured, forebay writes it itself"),
            Self::HeaderValue(name) => write!(f, "the value of the header `{name}` cannot be sent in a header"),
            Self::Sign(problem) => write!(f, "requests cannot be signed: {problem}"),
            Self::File(path, problem) => write!(f, "`{}` {problem}", path.display()),
            Self::Roots(problem) => write!(f, "no certificate authorities found on this system: {problem}"),
        }
    }
}

impl std::error::Error for OpenError {}

/// A receiver of webhooks, with connections of its own.
pub struct Webhook {
    template: request::Template,
    client: client::Client,
    timeout: Duration,
    concurrency: usize,
    give_up_on: Vec<u16>,
}

impl Webhook {
    /// Reads and checks everything the settings name. Connects to nothing.
    ///
    /// # Errors
    /// When the URL cannot be posted to, a certificate or key file cannot be used, a header cannot be sent, or a
    /// signing secret is not one.
    pub fn open(settings: &Settings) -> Result<Self, OpenError> {
        check_url(&settings.url)?;
        Ok(Self {
            template: request::Template::new(settings)?,
            client: client::open(settings)?,
            timeout: settings.timeout,
            concurrency: settings.concurrency,
            give_up_on: settings.give_up_on.clone(),
        })
    }

    async fn attempt(&self, delivery: &Delivery) -> Outcome {
        let now = Millis::now();
        let request = self.template.build(delivery, now).map_err(|Unsigned(reason)| Refusal {
            label: "sign",
            reason,
            ..Refusal::default()
        })?;
        let mut head = None;
        let exchange = async {
            let response = self.client.request(request).await.map_err(|error| client::refusal(&error))?;
            let (parts, body) = response.into_parts();
            head = Some(parts.status);
            match answer::read(body).await {
                Ok(answer) => self.judge(&parts, answer, now),
                // The status stands, however the rest of the answer ends.
                Err(_) => self.judge(&parts, Bytes::new(), now),
            }
        };
        match tokio::time::timeout(self.timeout, exchange).await {
            Ok(outcome) => outcome,
            Err(_) => match head.filter(StatusCode::is_success) {
                Some(status) => Ok(Receipt { status: Some(status.as_u16()) }),
                None => Err(self.too_slow(head)),
            },
        }
    }

    fn judge(&self, head: &http::response::Parts, answer: Bytes, now: Millis) -> Outcome {
        if head.status.is_success() {
            return Ok(Receipt { status: Some(head.status.as_u16()) });
        }
        Err(Refusal {
            label: "http_status",
            reason: answer::words(head.status),
            status: Some(head.status.as_u16()),
            retry_after: answer::retry_after(&head.headers, now),
            give_up: self.give_up_on.contains(&head.status.as_u16()),
            answer,
        })
    }

    fn too_slow(&self, head: Option<StatusCode>) -> Refusal {
        let limit = self.timeout;
        let reason = match head {
            None => format!("no answer within {limit:?}"),
            Some(status) => format!("the answer {} was not complete within {limit:?}", status.as_u16()),
        };
        Refusal { label: "timeout", reason, status: head.map(|status| status.as_u16()), ..Refusal::default() }
    }
}

impl Sink for Webhook {
    fn capacity(&self) -> Capacity {
        Capacity { batch: 1, parallel: self.concurrency }
    }

    fn deliver<'a>(&'a self, batch: &'a [Delivery]) -> Outcomes<'a> {
        Box::pin(async move {
            let mut outcomes = Vec::with_capacity(batch.len());
            for delivery in batch {
                outcomes.push(self.attempt(delivery).await);
            }
            outcomes
        })
    }
}

fn check_url(url: &http::Uri) -> Result<(), OpenError> {
    if !matches!(url.scheme_str(), Some("http" | "https")) {
        return Err(OpenError::Url("begins neither with `http://` nor with `https://`"));
    }
    if url.host().is_none_or(str::is_empty) {
        return Err(OpenError::Url("names no host"));
    }
    if url.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(OpenError::Url("holds a user or password; put them into `headers.authorization`"));
    }
    Ok(())
}
