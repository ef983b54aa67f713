//! Why was this request refused? The known faults are tried offline, one after the other: what would have matched if one
//! thing were different.
//!
//! - `trial`: one question, would this request pass under these circumstances;
//! - `signature`: the order in which they are asked of a scheme that signs, and `token` of one that does not;
//! - `keys`, `form`, `bodies` with `restyle`, `urls`, `schemes`: the circumstances.
//!
//! A fault that is named was proved by a signature or token that fits, unless it says that it is a guess; guesses are made
//! only where nothing fits. No finding holds a secret, a signature that would have been right, or a value of a query.

mod bodies;
mod form;
mod keys;
mod restyle;
mod schemes;
mod signature;
mod token;
mod trial;
mod urls;

use http::{HeaderMap, HeaderName};

pub(super) use self::form::hex;
pub use self::form::is_readable_signature;
pub(super) use self::keys::{from_hex, unbase64};

use super::presets::{PRESETS, Place, Preset, Way};
use super::{Decide, Validator, Verdict};
use crate::event::{Incoming, Millis};

/// The largest body that is tried in other forms, in bytes; a larger one only as it came.
pub const MAX_BODY: usize = 1 << 20;

/// A topic, as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Its name.
    pub topic: &'a str,
    /// Its validator.
    pub validator: &'a Validator,
}

/// A request that was refused.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// All topics: the secret may be another one's.
    pub topics: &'a [Known<'a>],
    /// The one that was asked for.
    pub validator: &'a Validator,
    /// The request.
    pub request: &'a Incoming,
    /// Whether its body is all there; of a part nothing can be said about a signature.
    pub whole: bool,
    /// When it was judged.
    pub now: Millis,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// A stable name for programs, such as `retired-secret`.
    pub fault: &'static str,
    /// What was found.
    pub found: String,
    /// What to change.
    pub change: String,
}

impl Finding {
    /// A finding in words.
    pub fn new(fault: &'static str, found: impl Into<String>, change: impl Into<String>) -> Self {
        Self { fault, found: found.into(), change: change.into() }
    }
}

/// What is wrong with a request that the validator of its topic did not take; most likely first, and never nothing.
///
/// Takes up to about a second of processor time for a body of [`MAX_BODY`].
#[must_use]
pub fn diagnose(case: Case<'_>) -> Vec<Finding> {
    let rejection = match case.validator.check(copy(case.request), case.now) {
        Verdict::Refused(rejection, _) => rejection,
        Verdict::Genuine(_) | Verdict::Handshake(_) => {
            return vec![Finding::new(
                "genuine-now",
                "the request passes by the configuration that is in force now",
                "have the sender send it again; where it cannot, nothing can be done for this one",
            )];
        }
    };
    match &case.validator.decide {
        Decide::Open => Vec::new(),
        Decide::Token(token) => token::findings(&case, token, &rejection),
        Decide::Signature(engine) => signature::findings(&case, engine, &rejection),
    }
}

fn copy(request: &Incoming) -> Incoming {
    Incoming {
        method: request.method.clone(),
        target: request.target.clone(),
        headers: request.headers.clone(),
        body: request.body.clone(),
        time: request.time,
        client: request.client,
    }
}

/// The one value of a header, as text; none where there are several, or bytes that are no text.
fn one<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())?.to_str().ok()
}

fn preset(kind: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.kind == kind)
}

/// The header in which a provider signs or shows its token.
fn proof(preset: &Preset) -> Option<&'static str> {
    match preset.way {
        Way::Signed(scheme) => Some(scheme.header),
        Way::Raw(header) => header,
        _ => None,
    }
}

/// The headers that tell a provider besides its signature, as far as they are there.
fn marks<'p>(preset: &'p Preset, headers: &'p HeaderMap) -> impl Iterator<Item = &'static str> + use<'p> {
    preset.event_type.iter().chain(preset.delivery_id).filter_map(|place| match place {
        Place::Header(name) if headers.contains_key(*name) => Some(*name),
        _ => None,
    })
}

/// Names in backticks, `a`, `b` and `c`.
fn listed<T: AsRef<str>>(names: &[T]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{}`", name.as_ref())).collect();
    match quoted.split_last() {
        Some((last, before)) if !before.is_empty() => format!("{} and {last}", before.join(", ")),
        _ => quoted.concat(),
    }
}

/// Whether a header's value could be a signature or a token rather than a word: what a misplaced one is looked for by.
fn is_opaque(name: &HeaderName, value: &str) -> bool {
    const PLAIN: [&str; 5] = ["user-agent", "traceparent", "content-type", "accept", "host"];
    value.len() >= 20 && !value.contains(' ') && !PLAIN.contains(&name.as_str())
}
