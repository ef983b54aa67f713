//! Deciding whether a request is genuine. The validator is pinned by the topic; nothing in a request chooses it.
//!
//! `Incoming` → [`Verified`], which only this module can make. The signature is checked over the raw bytes before
//! anything else looks at the body.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderName;

use crate::event::{Incoming, Millis};
use crate::secret::Key;

/// A request that its topic's validator has vouched for. Only a [`Validator`] makes one.
#[derive(Debug)]
pub struct Verified {
    incoming: Incoming,
    /// The id of the secret that matched; `None` where the scheme has none (`none`).
    key: Option<String>,
}

impl Verified {
    /// The request.
    #[must_use]
    pub fn incoming(&self) -> &Incoming {
        &self.incoming
    }

    /// The id of the secret that matched.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }
}

/// Why a request was refused: for the log and the metrics, never for the sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// A short label from a fixed set: `missing`, `repeated`, `malformed`, `mismatch`, `stale`, `no_valid_secret`.
    pub label: &'static str,
    /// What was wrong, in words; holds neither secret nor expected value.
    pub reason: String,
}

/// The answer a provider wants to its handshake. Nothing is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Headers of the answer.
    pub headers: Vec<(HeaderName, Bytes)>,
    /// Its body.
    pub body: Bytes,
}

/// What a validator says of a request.
#[derive(Debug)]
pub enum Verdict {
    /// Genuine: to be recorded.
    Genuine(Verified),
    /// The provider's handshake: to be answered, nothing recorded.
    Handshake(Reply),
    /// Not genuine.
    Refused(Rejection),
}

/// The hash under an HMAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC-SHA1, for providers that have nothing better.
    Sha1,
    /// HMAC-SHA256.
    Sha256,
    /// HMAC-SHA512.
    Sha512,
}

/// How a digest is written in a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Lower-case hexadecimal; upper case is read too.
    Hex,
    /// Base64 of RFC 4648 section 4, with padding.
    Base64,
}

/// Where a value is found in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A header.
    Header(HeaderName),
    /// A JSON pointer (RFC 6901) into the body.
    Body(String),
}

/// What a validator table may say beside its type and secrets. A preset takes few of them; the generic `hmac` all.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The header that carries the signature or token.
    pub header: Option<HeaderName>,
    /// The hash.
    pub algorithm: Option<Algorithm>,
    /// How the digest is written.
    pub encoding: Option<Encoding>,
    /// What stands before the digest, such as `sha256=`.
    pub prefix: Option<String>,
    /// The signed text, of `{body}`, `{timestamp}`, `{id}`, `{url}`, `{method}` and literal text.
    pub signed: Option<String>,
    /// Where the timestamp is.
    pub timestamp: Option<Source>,
    /// Where the message id is, for `{id}` in the signed text.
    pub id: Option<Source>,
    /// How far a timestamp may be from the clock.
    pub tolerance: Option<Duration>,
    /// The user name of `basic`.
    pub user: Option<String>,
    /// What the sender was given as URL, for schemes that sign it: scheme and authority, no path.
    pub public_url: Option<String>,
}

/// Why a validator cannot be built from its table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildError {
    /// The key of the table that is wrong or missing (`secret`, `header`, `signed`, ...).
    pub key: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// Decides whether a request is genuine.
#[derive(Debug)]
pub struct Validator {}

impl Validator {
    /// Builds the validator `kind`, one of [`kinds`].
    ///
    /// # Errors
    /// Every problem of the table at once.
    pub fn build(_kind: &str, _options: Options, _keys: Vec<Key>) -> Result<Self, Vec<BuildError>> {
        Ok(Self {})
    }

    /// Decides about one request at that time.
    #[must_use]
    pub fn check(&self, incoming: Incoming, _now: Millis) -> Verdict {
        Verdict::Genuine(Verified { incoming, key: None })
    }

    /// The answer to a GET on the topic, where the provider's handshake is one (Meta, Dropbox).
    #[must_use]
    pub fn challenge(&self, _query: &str) -> Option<Reply> {
        None
    }

    /// Whether the scheme compares a token instead of checking a signature: the refusal says "invalid token".
    #[must_use]
    pub fn is_token(&self) -> bool {
        false
    }

    /// The name in the configuration.
    #[must_use]
    pub fn kind(&self) -> &str {
        "none"
    }

    /// Headers that carry the topic's secret itself and are not stored.
    #[must_use]
    pub fn secret_headers(&self) -> &[HeaderName] {
        &[]
    }

    /// Where the event's type is, by the provider's documentation. The first that is there counts.
    #[must_use]
    pub fn event_type(&self) -> &[Source] {
        &[]
    }

    /// Where the delivery id is.
    #[must_use]
    pub fn delivery_id(&self) -> &[Source] {
        &[]
    }

    /// Headers with which the provider would have signed this body, for `forebay send` and tests.
    ///
    /// # Errors
    /// When this side cannot sign (ed25519 with only the public key), in words.
    pub fn sign(
        &self,
        _url: &str,
        _body: &[u8],
        _kind: Option<&str>,
        _now: Millis,
    ) -> Result<Vec<(HeaderName, String)>, String> {
        Ok(Vec::new())
    }
}

/// Every validator type there is, in the order of the documentation.
#[must_use]
pub fn kinds() -> &'static [&'static str] {
    &["none"]
}
