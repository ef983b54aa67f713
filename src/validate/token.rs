//! Schemes that do not sign: a header holds the secret, alone or as HTTP authentication.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderName;
use zeroize::Zeroizing;

use super::{BuildError, Rejection};
use crate::event::{Incoming, Millis};
use crate::secret::{Key, Secret};
use crate::signature::only;

/// How the header holds the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Its value is the secret.
    Raw,
    /// `Bearer SECRET` (RFC 6750).
    Bearer,
    /// `Basic`, base64 of `user:password` (RFC 7617).
    Basic,
}

/// A header that has to hold one of the secrets.
#[derive(Debug)]
pub(super) struct Token {
    header: HeaderName,
    shape: Shape,
    /// What has to be shown, with the id.
    keys: Vec<(Key, Arc<str>)>,
}

impl Token {
    /// With `user`, the secrets of `Basic` are passwords; without, they are `user:password`.
    pub(super) fn new(
        header: HeaderName,
        shape: Shape,
        user: Option<&str>,
        keys: Vec<Key>,
    ) -> Result<Self, Vec<BuildError>> {
        let mut errors = Vec::new();
        if user.is_some_and(|user| user.contains(':')) {
            errors.push(BuildError::new("user", "a user name of Basic authentication has no `:` (RFC 7617)"));
        }
        let keys = keys
            .into_iter()
            .filter_map(|key| {
                let id = Arc::from(key.id.as_str());
                let key =
                    if shape == Shape::Basic { with_user(user, key).map_err(|e| errors.push(e)).ok()? } else { key };
                Some((key, id))
            })
            .collect();
        if errors.is_empty() { Ok(Self { header, shape, keys }) } else { Err(errors) }
    }

    pub(super) fn header(&self) -> &HeaderName {
        &self.header
    }

    pub(super) fn shape(&self) -> Shape {
        self.shape
    }

    /// What has to be shown, whatever its time.
    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter().map(|(key, _)| key)
    }

    /// The id of the secret that was shown.
    pub(super) fn check(&self, incoming: &Incoming, now: Millis) -> Result<Arc<str>, Rejection> {
        let value = only(&incoming.headers, &self.header)?;
        if value.is_empty() {
            return Err(Rejection::empty(&self.header));
        }
        let decoded;
        let shown = match self.shape {
            Shape::Raw => value,
            Shape::Bearer => self.after(value, "bearer")?,
            Shape::Basic => {
                let encoded = self.after(value, "basic")?;
                decoded = Zeroizing::new(
                    STANDARD
                        .decode(encoded)
                        .map_err(|_| Rejection::malformed(format!("`{}` is not base64 after `Basic`", self.header)))?,
                );
                &decoded
            }
        };
        let mut valid = self.keys.iter().filter(|(key, _)| key.valid_at(now)).peekable();
        if valid.peek().is_none() {
            return Err(Rejection::no_valid_secret());
        }
        valid
            .find(|(key, _)| key.secret.equals(shown))
            .map(|(_, id)| Arc::clone(id))
            .ok_or_else(|| Rejection::mismatch("the token is none of the secrets"))
    }

    /// The credentials after the name of the authentication scheme, which is read in either case (RFC 9110).
    fn after<'v>(&self, value: &'v [u8], scheme: &str) -> Result<&'v [u8], Rejection> {
        let credentials = value
            .split_at_checked(scheme.len())
            .filter(|(name, _)| name.eq_ignore_ascii_case(scheme.as_bytes()))
            .and_then(|(_, rest)| rest.strip_prefix(b" "))
            .map(<[u8]>::trim_ascii)
            .ok_or_else(|| Rejection::malformed(format!("`{}` is not of the scheme `{scheme}`", self.header)))?;
        if credentials.is_empty() { Err(Rejection::empty(&self.header)) } else { Ok(credentials) }
    }

    /// The header with a secret in it.
    pub(super) fn sign(&self, now: Millis) -> Result<(HeaderName, String), String> {
        let (key, id) = self.keys.iter().find(|(key, _)| key.valid_at(now)).ok_or("no secret is valid at this time")?;
        let text = || std::str::from_utf8(key.secret.expose()).map_err(|_| format!("the secret `{id}` is not text"));
        let value = match self.shape {
            Shape::Raw => text()?.to_owned(),
            Shape::Bearer => format!("Bearer {}", text()?),
            Shape::Basic => format!("Basic {}", STANDARD.encode(key.secret.expose())),
        };
        Ok((self.header.clone(), value))
    }
}

fn with_user(user: Option<&str>, key: Key) -> Result<Key, BuildError> {
    let Some(user) = user else {
        return if key.secret.expose().contains(&b':') {
            Ok(key)
        } else {
            Err(BuildError::new("secret", format!("the secret `{}` is not `user:password`", key.id))
                .hint("write the secret as `user:password`, or add `user`"))
        };
    };
    let pair = [user.as_bytes(), b":", key.secret.expose()].concat();
    let secret = Secret::new(pair).map_err(|error| BuildError::new("secret", error.to_string()))?;
    Ok(Key { secret, ..key })
}
