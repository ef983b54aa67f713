//! The words of a scheme: what is signed, with what, and how the digest is written in its header.

use std::time::Duration;

use super::BuildError;

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

impl Algorithm {
    pub(super) fn hmac(self) -> ring::hmac::Algorithm {
        match self {
            Self::Sha1 => ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => ring::hmac::HMAC_SHA256,
            Self::Sha512 => ring::hmac::HMAC_SHA512,
        }
    }
}

/// How a digest is written in a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Lower-case hexadecimal; upper case is read too.
    Hex,
    /// Base64 of RFC 4648 section 4, with padding.
    Base64,
}

/// How a provider signs. A preset is a constant; a user's own borrows from the configuration while it is built.
#[derive(Debug, Clone, Copy)]
pub struct Scheme<'a> {
    /// The header that carries the signature.
    pub header: &'a str,
    /// The hash.
    pub algorithm: Algorithm,
    /// How the digest is written.
    pub encoding: Encoding,
    /// What the header's value begins with.
    pub prefix: &'a str,
    /// Set where the header is a list.
    pub list: Option<List<'a>>,
    /// The signed text: literal text and `{body}`, `{timestamp}`, `{id}`, `{method}`, `{url}`; `{payload}` is the body,
    /// or in form mode the decoded `payload` field; `{form}` the sorted fields of a form (Twilio); `{plain_url}` the URL
    /// with some escapes decoded (`HubSpot`).
    pub signed: &'a str,
    /// The time of signing.
    pub timestamp: Option<Stamp<'a>>,
    /// The header with the id of the message.
    pub id: Option<&'a str>,
    /// What a secret stands for.
    pub key: KeyForm,
}

/// A header that is a list.
#[derive(Debug, Clone, Copy)]
pub struct List<'a> {
    /// What stands between the items.
    pub separator: u8,
    /// What an item that holds a signature begins with. All others are passed over.
    pub item: &'a str,
    /// The same for Ed25519, where the scheme has it.
    pub ed25519: Option<&'a str>,
}

/// The time of signing.
#[derive(Debug, Clone, Copy)]
pub struct Stamp<'a> {
    /// Where it is.
    pub at: At<'a>,
    /// What it counts.
    pub unit: Unit,
    /// How far it may be from the clock.
    pub tolerance: Duration,
    /// Whether that goes for the future too, or the future is not looked at.
    pub future: bool,
}

/// Where a timestamp is.
#[derive(Debug, Clone, Copy)]
pub enum At<'a> {
    /// In a header of its own.
    Header(&'a str),
    /// In the signature header's list, in the item that begins so.
    Item(&'a str),
    /// In the JSON body, by pointer; looked at after the signature was found good.
    Body(&'a str),
}

/// What a timestamp counts since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Millis,
    /// Whichever its size says: twelve digits and more are milliseconds.
    Either,
}

/// What a secret stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyForm {
    /// Its own bytes are the HMAC key.
    Bytes,
    /// Base64 of the HMAC key, `whsec_` before it or not; `whpk_` and the base64 of an Ed25519 public key where the
    /// scheme has that (Standard Webhooks, "Signature scheme").
    Base64,
    /// An Ed25519 public key in hexadecimal.
    HexPublic,
}

impl Scheme<'static> {
    /// Standard Webhooks 1.0 ("Verifying signatures"), symmetric: HMAC-SHA256 over `{id}.{timestamp}.{body}`, `v1,` and
    /// base64; those of several keys separated by a space, so that a receiver may know any of them.
    pub const STANDARD_WEBHOOKS: Self = Self {
        header: "webhook-signature",
        algorithm: Algorithm::Sha256,
        encoding: Encoding::Base64,
        prefix: "",
        list: Some(List { separator: b' ', item: "v1,", ed25519: None }),
        signed: "{id}.{timestamp}.{body}",
        timestamp: Some(Stamp {
            at: At::Header("webhook-timestamp"),
            unit: Unit::Seconds,
            tolerance: Duration::from_secs(300),
            future: true,
        }),
        id: Some("webhook-id"),
        key: KeyForm::Base64,
    };
}

/// A piece of the signed text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Literal(Box<[u8]>),
    Body,
    Timestamp,
    Id,
    Method,
    Url,
    PlainUrl,
    Payload,
    Form,
}

const PLACES: [(&str, Part); 8] = [
    ("body", Part::Body),
    ("timestamp", Part::Timestamp),
    ("id", Part::Id),
    ("method", Part::Method),
    ("url", Part::Url),
    ("plain_url", Part::PlainUrl),
    ("payload", Part::Payload),
    ("form", Part::Form),
];

/// Reads a signed text.
pub(super) fn parse_signed(template: &str) -> Result<Box<[Part]>, BuildError> {
    let error = |message: String| {
        BuildError::new("signed", message)
            .hint("such as `{timestamp}.{body}`, of `{body}`, `{timestamp}`, `{id}`, `{url}`, `{method}`")
    };
    let mut parts = Vec::new();
    let mut rest = template;
    while !rest.is_empty() {
        let Some(inside) = rest.strip_prefix('{') else {
            let (literal, after) = rest.split_at(rest.find('{').unwrap_or(rest.len()));
            if literal.contains('}') {
                return Err(error("a `}` has no `{`".to_owned()));
            }
            parts.push(Part::Literal(literal.as_bytes().into()));
            rest = after;
            continue;
        };
        let (name, after) = inside.split_once('}').ok_or_else(|| error("a `{` has no `}`".to_owned()))?;
        let (_, part) = PLACES
            .iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(|| error(format!("`{{{name}}}` is not known")))?;
        parts.push(part.clone());
        rest = after;
    }
    if !parts.iter().any(|part| matches!(part, Part::Body | Part::Payload | Part::Form)) {
        return Err(error("the body is not in the signed text".to_owned()));
    }
    Ok(parts.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_texts_are_read() {
        let literal = |text: &str| Part::Literal(text.as_bytes().into());
        let table: [(&str, &[Part]); 4] = [
            ("{body}", &[Part::Body]),
            ("v0:{timestamp}:{body}", &[literal("v0:"), Part::Timestamp, literal(":"), Part::Body]),
            ("{method}{url}{body}", &[Part::Method, Part::Url, Part::Body]),
            ("{id}.{body}!", &[Part::Id, literal("."), Part::Body, literal("!")]),
        ];
        for (template, want) in table {
            assert_eq!(&*parse_signed(template).expect("read"), want, "{template}");
        }
        for bad in ["", "{timestamp}", "{bdy}", "{body", "body}", "{body}}", "{{body}}", "{}{body}"] {
            let error = parse_signed(bad).expect_err(bad);
            assert_eq!(error.key, "signed");
        }
    }
}
