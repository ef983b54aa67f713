//! The one signature scheme, both ways: checking what a provider signed, and signing as it would. A provider is a
//! value of [`Scheme`].

mod engine;
pub(crate) mod form;
mod keys;
mod scheme;
mod stamp;
mod text;

use std::borrow::Cow;

use http::{HeaderMap, HeaderName};

pub use engine::Engine;
pub(crate) use form::{decode as unescape, fields};
pub use form::{form_payload, is_form};
pub use keys::key_length;
pub(crate) use keys::unhex;
pub use scheme::{Algorithm, At, Encoding, KeyForm, List, Scheme, Stamp, Unit};

use crate::json::{self, Pointer};

/// Where a value is found in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A header.
    Header(HeaderName),
    /// A JSON pointer (RFC 6901) into the body.
    Body(Pointer),
}

/// Why a request was refused: for the log and the metrics, never for the sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// A short label, one of [`Rejection::LABELS`].
    pub label: &'static str,
    /// What was wrong, in words; holds neither secret nor expected value.
    pub reason: String,
}

impl Rejection {
    /// Every label there is.
    pub const LABELS: [&str; 7] = ["missing", "empty", "repeated", "malformed", "mismatch", "stale", "no_valid_secret"];

    /// A header that has to be there is not.
    pub(crate) fn missing(header: &HeaderName) -> Self {
        Self { label: "missing", reason: format!("`{header}` is missing") }
    }

    /// The header is there and says nothing.
    pub(crate) fn empty(header: &HeaderName) -> Self {
        Self { label: "empty", reason: format!("`{header}` is empty") }
    }

    /// What is there cannot be read.
    pub(crate) fn malformed(reason: String) -> Self {
        Self { label: "malformed", reason }
    }

    /// What is there is readable and wrong.
    pub(crate) fn mismatch(reason: &str) -> Self {
        Self { label: "mismatch", reason: reason.to_owned() }
    }

    /// No secret of the list is in its time.
    pub(crate) fn no_valid_secret() -> Self {
        Self { label: "no_valid_secret", reason: "no secret of this topic is valid at this time".to_owned() }
    }
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

impl BuildError {
    /// An error about that key.
    pub(crate) fn new(key: &'static str, message: impl Into<String>) -> Self {
        Self { key, message: message.into(), hint: None }
    }

    /// The same with what to do about it.
    #[must_use]
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// The one value of a header. A repeated one is refused: two readers might not take the same.
pub(crate) fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<&'h [u8], Rejection> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().ok_or_else(|| Rejection::missing(name))?;
    if values.next().is_some() {
        return Err(Rejection { label: "repeated", reason: format!("`{name}` is there more than once") });
    }
    Ok(value.as_bytes())
}

/// Strings, numbers and booleans in a JSON body, by pointer, as text. Only for bodies whose signature was good.
pub(crate) fn in_body<'b, const N: usize>(body: &'b [u8], pointers: [&Pointer; N]) -> [Option<Cow<'b, str>>; N] {
    let found = json::find(body, pointers).unwrap_or_default();
    let mut texts = found.into_iter().map(|raw| json::text(raw?));
    std::array::from_fn(|_| texts.next().flatten())
}
