//! A scheme with its keys, ready to check and to sign.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName};
use subtle::ConstantTimeEq;

use super::keys::{Held, Material, unhex};
use super::scheme::{Part, parse_signed};
use super::stamp::{Clocked, Place};
use super::text::{Raw, Text};
use super::{Algorithm, At, BuildError, Encoding, KeyForm, List, Rejection, Scheme, is_form, only};
use crate::event::{Incoming, Millis};
use crate::secret::Key;

/// The most signatures of a list that are looked at: an overlap of keys needs two or three, and Ed25519 is slow enough
/// to be worth a limit.
const MAX_SIGNATURES: usize = 16;

/// A scheme with its keys.
#[derive(Debug)]
pub struct Engine {
    header: HeaderName,
    algorithm: Algorithm,
    encoding: Encoding,
    prefix: Box<str>,
    list: Option<Separated>,
    signed: Box<str>,
    parts: Box<[Part]>,
    stamp: Option<Clocked>,
    id: Option<HeaderName>,
    /// Scheme and authority of the signed URL, where the scheme signs it.
    origin: Option<Box<str>>,
    form: KeyForm,
    keys: Vec<Held>,
}

#[derive(Debug)]
struct Separated {
    separator: u8,
    hmac: Box<str>,
    ed25519: Option<Box<str>>,
}

impl Engine {
    /// Puts a scheme and its keys together. `public_url` is scheme and authority of what the sender was given.
    ///
    /// # Errors
    /// When the signed text cannot be read or asks for what is not there, or a secret is not in the form it should have.
    pub fn new(scheme: &Scheme<'_>, keys: Vec<Key>, public_url: Option<&str>) -> Result<Self, Vec<BuildError>> {
        let mut errors = Vec::new();
        let parts = parse_signed(scheme.signed).unwrap_or_else(|error| {
            errors.push(error);
            Box::new([])
        });
        if errors.is_empty() {
            inconsistent(scheme, &parts, &mut errors);
        }
        let signs_url = parts.iter().any(|part| matches!(part, Part::Url | Part::PlainUrl));
        let origin = public_url.filter(|_| signs_url).map(|url| url.trim_end_matches('/').into());
        if signs_url && origin.is_none() {
            errors.push(
                BuildError::new("public_url", "the sender signs the URL it was given, and that is not known here")
                    .hint("set `public_url` under `[ingress]`, such as `https://hooks.example.com`"),
            );
        }
        let mut held = Vec::with_capacity(keys.len());
        for key in keys {
            match Held::new(scheme, key) {
                Ok(key) => held.push(key),
                Err(error) => errors.push(error),
            }
        }
        let (header, id, stamp) = match (
            named(scheme.header),
            scheme.id.map(named).transpose(),
            scheme.timestamp.map(Clocked::new).transpose(),
        ) {
            (Ok(header), Ok(id), Ok(stamp)) if errors.is_empty() => (header, id, stamp),
            (header, id, stamp) => {
                errors.extend([header.err(), id.err(), stamp.err()].into_iter().flatten());
                return Err(errors);
            }
        };
        Ok(Self {
            header,
            algorithm: scheme.algorithm,
            encoding: scheme.encoding,
            prefix: scheme.prefix.into(),
            list: scheme.list.map(|list| Separated {
                separator: list.separator,
                hmac: list.item.into(),
                ed25519: list.ed25519.map(Into::into),
            }),
            signed: scheme.signed.into(),
            parts,
            stamp,
            id,
            origin,
            form: scheme.key,
            keys: held,
        })
    }

    /// The scheme it was made of: whoever wants to know whether a request would pass if one thing were different changes
    /// that in it, and makes another engine of it.
    #[must_use]
    pub fn scheme(&self) -> Scheme<'_> {
        Scheme {
            header: self.header.as_str(),
            algorithm: self.algorithm,
            encoding: self.encoding,
            prefix: &self.prefix,
            list: self.list.as_ref().map(|list| List {
                separator: list.separator,
                item: &list.hmac,
                ed25519: list.ed25519.as_deref(),
            }),
            signed: &self.signed,
            timestamp: self.stamp.as_ref().map(Clocked::stamp),
            id: self.id.as_ref().map(HeaderName::as_str),
            key: self.form,
        }
    }

    /// Its secrets, whatever their time.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter().map(|held| &held.key)
    }

    /// Scheme and authority of the signed URL, where the scheme signs it.
    #[must_use]
    pub fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }

    /// The header that carries the signature.
    #[must_use]
    pub fn header(&self) -> &HeaderName {
        &self.header
    }

    /// The id of the secret with which this request was signed.
    ///
    /// # Errors
    /// Why it is not genuine.
    pub fn check(&self, incoming: &Incoming, now: Millis) -> Result<Arc<str>, Rejection> {
        let headers = &incoming.headers;
        let value = only(headers, &self.header)?;
        let signatures = value.strip_prefix(self.prefix.as_bytes()).ok_or_else(|| {
            if value.is_empty() {
                return Rejection::empty(&self.header);
            }
            Rejection::malformed(format!("`{}` does not begin with `{}`", self.header, self.prefix))
        })?;
        if signatures.is_empty() {
            return Err(Rejection::empty(&self.header));
        }
        let timestamp = self.timestamp(headers, signatures)?;
        let id = match &self.id {
            Some(header) => only(headers, header)?,
            None => b"",
        };
        let url =
            self.origin.as_ref().map_or(Cow::Borrowed(""), |origin| format!("{origin}{}", incoming.target).into());
        let raw = Raw {
            method: incoming.method.as_str(),
            url,
            body: &incoming.body,
            form: self.looks_at_form() && says_form(headers),
            timestamp,
            id,
        };
        let text = Text::new(&self.parts, raw)?;
        let key = self.matching(signatures, &text, now)?;
        if let Some(stamp) = &self.stamp {
            stamp.check(timestamp, &incoming.body, now)?;
        }
        Ok(key)
    }

    fn matching(&self, signatures: &[u8], text: &Text<'_>, now: Millis) -> Result<Arc<str>, Rejection> {
        let (mut valid, mut readable) = (false, false);
        let mut joined = None;
        for held in self.keys.iter().filter(|held| held.key.valid_at(now)) {
            valid = true;
            match &held.material {
                Material::Hmac(key) => {
                    let mut tag = None;
                    for item in self.items(signatures, |list| &list.hmac) {
                        let length = key.algorithm().digest_algorithm().output_len();
                        let Some(digest) = self.decode(item, length) else { continue };
                        readable = true;
                        let tag = tag.get_or_insert_with(|| hmac(key, text));
                        if tag.as_ref().ct_eq(&digest[..length]).into() {
                            return Ok(Arc::clone(&held.id));
                        }
                    }
                }
                Material::Ed25519(key) => {
                    for item in self.items(signatures, |list| list.ed25519.as_deref().unwrap_or(&list.hmac)) {
                        let Some(signature) = self.decode(item, 64) else { continue };
                        readable = true;
                        let message = joined.get_or_insert_with(|| join(text));
                        if key.verify(message, &signature).is_ok() {
                            return Ok(Arc::clone(&held.id));
                        }
                    }
                }
            }
        }
        Err(match (valid, readable) {
            (false, _) => Rejection::no_valid_secret(),
            (true, false) => Rejection::malformed(format!("`{}` has no signature that can be read", self.header)),
            (true, true) => Rejection::mismatch("the signature does not fit the request and any secret"),
        })
    }

    fn looks_at_form(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Payload | Part::Form))
    }

    /// The signatures in the header's value, without what names them.
    fn items<'v>(&self, value: &'v [u8], name: impl Fn(&Separated) -> &str) -> impl Iterator<Item = &'v [u8]> {
        let (single, several) = match &self.list {
            None => (Some(value), None),
            Some(list) => (None, Some(named_items(value, list.separator, name(list).as_bytes()))),
        };
        single.into_iter().chain(several.into_iter().flatten()).take(MAX_SIGNATURES)
    }

    fn decode(&self, text: &[u8], length: usize) -> Option<[u8; 64]> {
        let mut out = [0; 64];
        match self.encoding {
            Encoding::Hex => unhex(text, &mut out[..length]).then_some(out),
            Encoding::Base64 => {
                // What 88 characters may decode to before their padding is looked at.
                let mut wide = [0; 66];
                let fits = text.len() == length.div_ceil(3) * 4;
                let found = fits.then(|| STANDARD.decode_slice(text, &mut wide).ok())??;
                out[..length].copy_from_slice(&wide[..length]);
                (found == length).then_some(out)
            }
        }
    }

    fn timestamp<'v>(&self, headers: &'v HeaderMap, signatures: &'v [u8]) -> Result<&'v [u8], Rejection> {
        match (self.stamp.as_ref().map(|stamp| &stamp.place), &self.list) {
            (Some(Place::Header(header)), _) => only(headers, header),
            (Some(Place::Item(name)), Some(list)) => {
                let mut found = named_items(signatures, list.separator, name.as_bytes());
                match (found.next(), found.next()) {
                    (Some(one), None) => Ok(one),
                    (None, _) => Err(Rejection::malformed(format!("`{}` has no `{name}`", self.header))),
                    (Some(_), Some(_)) => {
                        Err(Rejection::malformed(format!("`{}` has `{name}` more than once", self.header)))
                    }
                }
            }
            _ => Ok(b""),
        }
    }

    /// The headers with which the provider would have signed this body, the signature first; where that is a list, with
    /// every secret that is valid now, else with the first. `id` is used where the scheme signs one.
    ///
    /// # Errors
    /// When this side cannot sign, in words.
    pub fn sign(&self, url: &str, body: &[u8], id: &str, now: Millis) -> Result<Vec<(HeaderName, String)>, String> {
        let keys = self.signing_keys(now)?;
        let timestamp = match &self.stamp {
            Some(stamp) => stamp.write(now),
            None => String::new(),
        };
        if let Some(stamp) = &self.stamp {
            stamp.check(timestamp.as_bytes(), body, now).map_err(|rejection| rejection.reason)?;
        }
        // A form is signed as such only by Twilio, which sends nothing else unless the URL has the body's digest.
        let form = self.parts.contains(&Part::Form) && !url.contains("bodySHA256=");
        let raw =
            Raw { method: "POST", url: url.into(), body, form, timestamp: timestamp.as_bytes(), id: id.as_bytes() };
        let text = Text::new(&self.parts, raw).map_err(|rejection| rejection.reason)?;
        let mut value = self.prefix.to_string();
        if let Some(Clocked { place: Place::Item(name), .. }) = &self.stamp {
            value.push_str(name);
            value.push_str(&timestamp);
        }
        for key in keys {
            if let Some(list) = &self.list {
                if value.len() > self.prefix.len() {
                    value.push(char::from(list.separator));
                }
                value.push_str(&list.hmac);
            }
            self.encode(hmac(key, &text).as_ref(), &mut value);
        }
        let mut headers = vec![(self.header.clone(), value)];
        if let Some(Clocked { place: Place::Header(header), .. }) = &self.stamp {
            headers.push((header.clone(), timestamp));
        }
        if let Some(header) = &self.id {
            headers.push((header.clone(), id.to_owned()));
        }
        if form {
            headers.push((CONTENT_TYPE, "application/x-www-form-urlencoded".to_owned()));
        }
        Ok(headers)
    }

    /// The keys to sign with: of those that are valid now the first, or all where there is room for several.
    fn signing_keys(&self, now: Millis) -> Result<impl Iterator<Item = &ring::hmac::Key>, String> {
        let valid = || self.keys.iter().filter(move |held| held.key.valid_at(now));
        let Some(first) = valid().next() else { return Err("no secret is valid at this time".to_owned()) };
        let room = if self.list.is_some() { MAX_SIGNATURES } else { 1 };
        let keys = valid().filter_map(|held| match &held.material {
            Material::Hmac(key) => Some(key),
            Material::Ed25519(_) => None,
        });
        let mut keys = keys.take(room).peekable();
        match keys.peek() {
            Some(_) => Ok(keys),
            None => Err(format!("the secret `{}` is a public key, which can only check", first.id)),
        }
    }

    fn encode(&self, digest: &[u8], out: &mut String) {
        use std::fmt::Write;
        match self.encoding {
            Encoding::Base64 => STANDARD.encode_string(digest, out),
            Encoding::Hex => {
                for byte in digest {
                    write!(out, "{byte:02x}").expect("a string takes everything");
                }
            }
        }
    }
}

fn named_items<'v>(value: &'v [u8], separator: u8, name: &[u8]) -> impl Iterator<Item = &'v [u8]> {
    value.split(move |byte| *byte == separator).filter_map(move |item| item.trim_ascii().strip_prefix(name))
}

fn says_form(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(is_form)
}

fn hmac(key: &ring::hmac::Key, text: &Text<'_>) -> ring::hmac::Tag {
    let mut context = ring::hmac::Context::with_key(key);
    text.feed(|piece| context.update(piece));
    context.sign()
}

/// Ed25519 hashes its message twice, so it has to be there in one piece.
fn join(text: &Text<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    text.feed(|piece| out.extend_from_slice(piece));
    out
}

pub(super) fn named(header: &str) -> Result<HeaderName, BuildError> {
    header.parse().map_err(|_| BuildError::new("header", format!("`{header}` is not a header name")))
}

/// What the signed text asks for and is not there, and what is there and not signed, which would protect nothing.
fn inconsistent(scheme: &Scheme<'_>, parts: &[Part], errors: &mut Vec<BuildError>) {
    let at = scheme.timestamp.map(|stamp| stamp.at);
    match (parts.contains(&Part::Timestamp), at) {
        (true, None) => errors.push(
            BuildError::new("timestamp", "the signed text has `{timestamp}`, and where that is is not said")
                .hint("add `timestamp = { header = \"...\" }`"),
        ),
        (true, Some(At::Body(_))) => errors.push(
            BuildError::new(
                "timestamp",
                "the signed text has `{timestamp}`, and the body is not read before it is verified",
            )
            .hint("take `{timestamp}` out of `signed`: the body, which holds it, is signed"),
        ),
        (false, Some(At::Header(_) | At::Item(_))) => errors.push(
            BuildError::new("timestamp", "the timestamp is not in the signed text, so anyone could change it")
                .hint("add `{timestamp}` to `signed`, or leave `timestamp` out"),
        ),
        _ => {}
    }
    match (parts.contains(&Part::Id), scheme.id) {
        (true, None) => errors.push(
            BuildError::new("id", "the signed text has `{id}`, and where that is is not said")
                .hint("add `id = { header = \"...\" }`"),
        ),
        (false, Some(_)) => errors.push(
            BuildError::new("id", "the id is not in the signed text")
                .hint("add `{id}` to `signed`; an id that is not signed belongs into the topic's `delivery_id`"),
        ),
        _ => {}
    }
}
