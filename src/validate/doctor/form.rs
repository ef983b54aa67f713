//! How a signature is written: what can be read out of a header that this scheme does not read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;

use super::Finding;
use super::keys::{from_hex, unbase64};
use crate::signature::{Algorithm, At, Encoding, Scheme};

/// A digest that was read out of a header, and the header as it should have been.
#[derive(Debug)]
pub(super) struct Form {
    /// By the digest's length.
    pub(super) algorithm: Algorithm,
    /// The same digest as this scheme writes it.
    pub(super) value: HeaderValue,
    /// What is different about it.
    pub(super) findings: Vec<Finding>,
}

/// The most pieces of a value that are looked at.
const MAX_PIECES: usize = 16;

/// The longest prefix that is read, and shown.
const MAX_PREFIX: usize = 16;

/// Everything in a header's value that may be a digest, written as `scheme` writes it. `kind`: the validator's type.
pub(super) fn readings(value: &str, scheme: &Scheme<'_>, kind: &str) -> Vec<Form> {
    let mut forms = Vec::new();
    for piece in pieces(value, scheme).take(MAX_PIECES) {
        for (before, text) in splits(piece) {
            let Some((digest, encoding, note)) = digest(text) else { continue };
            let Some(algorithm) = by_length(digest.len()) else { continue };
            let Some(value) = written(value, scheme, &digest) else { continue };
            let mut findings = Vec::new();
            let expected = format!("{}{}", scheme.prefix, scheme.list.map_or("", |list| list.item));
            let hash = algorithm != scheme.algorithm;
            // With another hash goes its name, and one thing is to be changed.
            if before != expected && !(hash && before.starts_with(name(algorithm))) {
                findings.push(prefix(before, &expected, scheme, kind));
            }
            if encoding != scheme.encoding || note.is_some() {
                findings.push(encoded(encoding, note, scheme, kind));
            }
            if hash {
                findings.push(hashed(algorithm, before, scheme, kind));
            }
            forms.push(Form { algorithm, value, findings });
            break;
        }
    }
    forms
}

/// Whether there is a signature in a header's value that some scheme could read: a value without one may be the very secret.
#[must_use]
pub fn is_readable_signature(value: &str) -> bool {
    let pieces = std::iter::once(value).chain(value.split([',', ';', ' ']));
    pieces.map(str::trim).take(MAX_PIECES).flat_map(splits).any(|(_, text)| digest(text).is_some())
}

/// The items of a list; of another value all of it, and then what may be items.
fn pieces<'v>(value: &'v str, scheme: &Scheme<'_>) -> impl Iterator<Item = &'v str> {
    let separator = scheme.list.map(|list| char::from(list.separator));
    let whole = value.trim();
    let is_separator = move |c| separator.map_or(matches!(c, ',' | ';' | ' '), |only| only == c);
    let parts = value.split(is_separator).map(str::trim).filter(move |part| *part != whole && !part.is_empty());
    std::iter::once(whole).chain(parts)
}

/// A piece without a prefix, and with the one it may have.
fn splits(piece: &str) -> impl Iterator<Item = (&str, &str)> {
    let end = piece.find(['=', ',', ':', ' ']).map(|at| at + 1).filter(|at| *at <= MAX_PREFIX);
    std::iter::once(0).chain(end).map(|at| piece.split_at(at))
}

/// A digest in any form, with what is unusual about it beside its encoding.
fn digest(text: &str) -> Option<(Vec<u8>, Encoding, Option<&'static str>)> {
    let bare = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let quoted = bare.map(|_| "in quotes");
    let bytes = bare.unwrap_or(text).as_bytes();
    if let Some(digest) = from_hex(bytes).filter(|digest| by_length(digest.len()).is_some()) {
        return Some((digest, Encoding::Hex, quoted));
    }
    let digest = unbase64(bytes).filter(|digest| by_length(digest.len()).is_some())?;
    let note = match STANDARD.decode(bytes) {
        Ok(_) => quoted,
        Err(_) => Some("in the alphabet for URLs or without its padding"),
    };
    Some((digest, Encoding::Base64, note))
}

fn by_length(length: usize) -> Option<Algorithm> {
    match length {
        20 => Some(Algorithm::Sha1),
        32 => Some(Algorithm::Sha256),
        64 => Some(Algorithm::Sha512),
        _ => None,
    }
}

/// The header as it should be, with the timestamp in it where that is its place.
fn written(value: &str, scheme: &Scheme<'_>, digest: &[u8]) -> Option<HeaderValue> {
    let mut out = scheme.prefix.to_owned();
    if let Some(list) = scheme.list {
        if let Some(At::Item(name)) = scheme.timestamp.map(|stamp| stamp.at) {
            let stamp = value.split([',', ';', ' ']).find(|item| item.trim().starts_with(name))?;
            out.push_str(stamp.trim());
            out.push(char::from(list.separator));
        }
        out.push_str(list.item);
    }
    match scheme.encoding {
        Encoding::Hex => out.push_str(&hex(digest)),
        Encoding::Base64 => out.push_str(&STANDARD.encode(digest)),
    }
    HeaderValue::from_str(&out).ok()
}

/// Lower-case hexadecimal.
pub(in crate::validate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

/// Says what to change: the table where the scheme is the user's own, else the sender.
pub(super) fn cure(kind: &str, setting: &str, sender: &str) -> String {
    match kind {
        "hmac" => format!("set {setting} in the topic's `validator`"),
        _ => format!("have the sender {sender}; or describe its scheme with `type = \"hmac\"` and {setting}"),
    }
}

fn prefix(before: &str, expected: &str, scheme: &Scheme<'_>, kind: &str) -> Finding {
    let plain = before.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_=,: ".contains(&b));
    let there = match before {
        "" => "nothing".to_owned(),
        _ if plain => format!("`{before}`"),
        _ => "something else".to_owned(),
    };
    let wanted = if expected.is_empty() { "nothing".to_owned() } else { format!("`{expected}`") };
    let setting = if plain { format!("`prefix = \"{before}\"`") } else { "its `prefix`".to_owned() };
    Finding::new(
        "signature-prefix",
        format!("before the signature in `{}` stands {there}, and {wanted} should", scheme.header),
        cure(kind, &setting, &format!("write {wanted} before the signature")),
    )
}

fn encoded(encoding: Encoding, note: Option<&str>, scheme: &Scheme<'_>, kind: &str) -> Finding {
    let name = |encoding| match encoding {
        Encoding::Hex => "hex",
        Encoding::Base64 => "base64",
    };
    let (found, wanted) = (name(encoding), name(scheme.encoding));
    let note = note.map(|note| format!(", {note}")).unwrap_or_default();
    let change = if found == wanted {
        format!("have the sender write plain {wanted}")
    } else {
        cure(kind, &format!("`encoding = \"{found}\"`"), &format!("write it in {wanted}"))
    };
    Finding::new(
        "signature-encoding",
        format!("the signature in `{}` is written in {found}{note}, and should be in {wanted}", scheme.header),
        change,
    )
}

fn hashed(algorithm: Algorithm, before: &str, scheme: &Scheme<'_>, kind: &str) -> Finding {
    let (found, wanted) = (name(algorithm), name(scheme.algorithm));
    let mut setting = format!("`algorithm = \"{found}\"`");
    if before.starts_with(found) && before != scheme.prefix {
        setting = format!("{setting} and `prefix = \"{found}=\"`");
    }
    Finding::new(
        "wrong-algorithm",
        format!("the signature is an HMAC with {found}, and should be one with {wanted}"),
        cure(kind, &setting, &format!("sign with {wanted}")),
    )
}

fn name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Sha1 => "sha1",
        Algorithm::Sha256 => "sha256",
        Algorithm::Sha512 => "sha512",
    }
}
