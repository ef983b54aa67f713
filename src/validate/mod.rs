//! Deciding whether a request is genuine. The validator is pinned by the topic; nothing in a request chooses it.
//!
//! `Incoming` → [`Verified`], which only this module can make. The signature is checked over the raw bytes before
//! anything else looks at the body.

mod build;
pub mod doctor;
mod handshake;
mod leak;
pub mod plugin_token;
mod presets;
mod token;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderName;
use uuid::Uuid;

pub use self::doctor::is_readable_signature;
pub use self::leak::{Readings, shows_token};
pub use crate::signature::{Algorithm, BuildError, Encoding, Rejection, Source};

use self::handshake::Handshake;
use self::token::Token;
use crate::event::{Incoming, Millis};
use crate::secret::{Key, KeyLabel, Secret};
use crate::signature::Engine;

/// A request that its topic's validator has vouched for. Only a [`Validator`] makes one.
#[derive(Debug)]
pub struct Verified {
    incoming: Incoming,
    /// The id of the secret that matched; `None` where the scheme has none (`none`).
    key: Option<Arc<str>>,
}

impl Verified {
    /// The request.
    #[must_use]
    pub fn incoming(&self) -> &Incoming {
        &self.incoming
    }

    /// The request, for whoever takes its body and headers over.
    #[must_use]
    pub fn into_incoming(self) -> Incoming {
        self.incoming
    }

    /// The id of the secret that matched.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }
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
    /// Not genuine; the request is given back to whoever wants to know more.
    Refused(Rejection, Incoming),
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
    /// Where the timestamp is: whole seconds since 1970, or milliseconds, which have twelve digits and more.
    pub timestamp: Option<Source>,
    /// Where the message id is, for `{id}` in the signed text.
    pub id: Option<Source>,
    /// How far a timestamp may be from the clock; five minutes where a scheme has one and nothing is said.
    pub tolerance: Option<Duration>,
    /// The user name of `basic`. Without it the secret is `user:password`.
    pub user: Option<String>,
    /// What Meta shows in its handshake. Without it, any of the secrets.
    pub verify_token: Option<Secret>,
    /// What the sender was given as URL, for schemes that sign it: scheme and authority, no path.
    pub public_url: Option<String>,
}

/// Decides whether a request is genuine.
#[derive(Debug)]
pub struct Validator {
    kind: &'static str,
    decide: Decide,
    handshake: Handshake,
    event_type: Vec<Source>,
    delivery_id: Vec<Source>,
    secret_headers: Vec<HeaderName>,
    challenge_tokens: Vec<Secret>,
    /// All secrets of the topic, to notice them where they do not belong.
    secrets: Vec<Secret>,
}

/// All the ways in.
#[derive(Debug)]
enum Decide {
    /// Anyone.
    Open,
    /// Whoever shows the secret.
    Token(Token),
    /// Whoever signed with it.
    Signature(Box<Engine>),
}

impl Validator {
    /// Builds the validator `kind`, one of [`kinds`].
    ///
    /// # Errors
    /// Every problem of the table at once.
    #[expect(clippy::needless_pass_by_value, reason = "secrets are taken over, and a table is used once")]
    pub fn build(kind: &str, options: Options, keys: Vec<Key>) -> Result<Self, Vec<BuildError>> {
        let secrets = keys.iter().map(|key| key.secret.clone()).collect();
        Ok(Self { secrets, ..build::build(kind, &options, keys)? })
    }

    /// Decides about one request at that time.
    #[must_use]
    pub fn check(&self, incoming: Incoming, now: Millis) -> Verdict {
        let key = match &self.decide {
            Decide::Open => return Verdict::Genuine(Verified { incoming, key: None }),
            Decide::Token(token) => token.check(&incoming, now),
            Decide::Signature(engine) => {
                if !incoming.headers.contains_key(engine.header())
                    && let Some(reply) = self.handshake.unsigned(&incoming)
                {
                    return Verdict::Handshake(reply);
                }
                engine.check(&incoming, now)
            }
        };
        match key {
            Err(rejection) => Verdict::Refused(presets::explained(rejection, &incoming.headers), incoming),
            Ok(key) => match self.handshake.verified(&incoming) {
                Some(reply) => Verdict::Handshake(reply),
                None => Verdict::Genuine(Verified { incoming, key: Some(key) }),
            },
        }
    }

    /// The answer to a GET on the topic, where the provider's handshake is one (Meta, Dropbox). `query` is what stands
    /// behind the `?`. A secret of Meta's list counts here whatever its time window: the answer gives nothing away.
    #[must_use]
    pub fn challenge(&self, query: &str) -> Option<Reply> {
        self.handshake.challenge(query, self.challenge_tokens.iter())
    }

    /// Whether the scheme compares a token instead of checking a signature: the refusal says "invalid token".
    #[must_use]
    pub fn is_token(&self) -> bool {
        matches!(self.decide, Decide::Token(_))
    }

    /// The name in the configuration.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.kind
    }

    /// Headers that carry the topic's secret itself and are not stored.
    #[must_use]
    pub fn secret_headers(&self) -> &[HeaderName] {
        &self.secret_headers
    }

    /// Whether a header's value holds one of the topic's secrets: such a header is not stored, whatever its name.
    ///
    /// It has happened: GitHub sent hook secrets in `X-Github-Encoded-Secret`, September 2025 to January 2026.
    #[must_use]
    pub fn shows_secret(&self, value: &[u8]) -> bool {
        self.secrets.iter().any(|secret| {
            let secret = secret.expose();
            // A very short secret is found in anything, and protects nothing.
            secret.len() >= 8 && secret.len() <= value.len() && memchr::memmem::find(value, secret).is_some()
        })
    }

    /// All secrets but for the secrets themselves, in the order of the configuration.
    #[must_use]
    pub fn keys(&self) -> Vec<KeyLabel> {
        match &self.decide {
            Decide::Open => Vec::new(),
            Decide::Token(token) => token.keys().map(Key::label).collect(),
            Decide::Signature(engine) => engine.keys().map(Key::label).collect(),
        }
    }

    /// Where the event's type is, by the provider's documentation. The first that is there and not empty counts.
    #[must_use]
    pub fn event_type(&self) -> &[Source] {
        &self.event_type
    }

    /// Where the delivery id is. The first that is there and not empty counts.
    #[must_use]
    pub fn delivery_id(&self) -> &[Source] {
        &self.delivery_id
    }

    /// Headers with which the provider would have signed this body, for `forebay send` and tests: the signature or token
    /// first, then what is signed beside the body, then the event type and a fresh delivery id where those are headers.
    /// `url` is the whole URL as the sender was given it. Where a content type is among them, the body has to be sent
    /// as that.
    ///
    /// # Errors
    /// When this side cannot sign (Ed25519 with only the public key, a body without the timestamp that Linear wants in
    /// it), in words.
    pub fn sign(
        &self,
        url: &str,
        body: &[u8],
        kind: Option<&str>,
        now: Millis,
    ) -> Result<Vec<(HeaderName, String)>, String> {
        let id = fresh_id(now);
        let mut headers = match &self.decide {
            Decide::Open => Vec::new(),
            Decide::Token(token) => vec![token.sign(now)?],
            Decide::Signature(engine) => engine.sign(url, body, &id, now)?,
        };
        let header = |sources: &[Source]| {
            sources.iter().find_map(|source| match source {
                Source::Header(name) => Some(name.clone()),
                Source::Body(_) => None,
            })
        };
        if let (Some(name), Some(kind)) = (header(&self.event_type), kind) {
            headers.push((name, kind.to_owned()));
        }
        // A signed id is there already.
        if let Some(name) = header(&self.delivery_id).filter(|name| headers.iter().all(|(known, _)| known != name)) {
            headers.push((name, id));
        }
        Ok(headers)
    }
}

/// A new id, of the time that is given and of chance.
fn fresh_id(now: Millis) -> String {
    let seconds = u64::try_from(now.seconds()).unwrap_or_default();
    let nanos = u32::try_from(now.0.rem_euclid(1000) * 1_000_000).unwrap_or_default();
    Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos)).hyphenated().to_string()
}

/// Every validator type there is, in the order of the documentation.
#[must_use]
pub fn kinds() -> &'static [&'static str] {
    &presets::KINDS
}
