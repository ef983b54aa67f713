//! The sink that posts to a URL.

use std::path::PathBuf;
use std::time::Duration;

use http::HeaderName;

use crate::secret::{Key, Secret};

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
