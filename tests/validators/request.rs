//! Requests and validators to ask about them.

use bytes::Bytes;
use forebay::event::{Incoming, Millis};
use forebay::secret::{Key, Secret};
use forebay::validate::{Options, Validator, Verdict};
use http::{HeaderMap, HeaderName, HeaderValue};

/// The clock of these tests.
pub(crate) const NOW: Millis = Millis(1_767_225_600_000);

/// What senders were given.
pub(crate) const ORIGIN: &str = "https://hooks.example.com";

/// A POST to that target.
pub(crate) fn post(target: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Incoming {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name: HeaderName = name.parse().expect("a header name");
        map.append(name, HeaderValue::from_str(value).expect("a header value"));
    }
    Incoming {
        method: http::Method::POST,
        target: target.to_owned(),
        headers: map,
        body: Bytes::from(body.into()),
        time: NOW,
        client: None,
    }
}

/// A secret that is always valid.
pub(crate) fn key(id: &str, secret: &[u8]) -> Key {
    let secret = Secret::new(secret.to_vec()).expect("not empty");
    Key { id: id.to_owned(), secret, not_before: None, not_after: None }
}

/// The least a table of that type has to say beside its secret.
pub(crate) fn options(kind: &str) -> Options {
    let header = matches!(kind, "hmac" | "token").then(|| HeaderName::from_static("x-mine"));
    Options { header, public_url: Some(ORIGIN.to_owned()), ..Options::default() }
}

/// A validator with one secret, `k`.
pub(crate) fn validator(kind: &str, secret: &str) -> Validator {
    let keys = if kind == "none" { Vec::new() } else { vec![key("k", secret.as_bytes())] };
    Validator::build(kind, options(kind), keys).unwrap_or_else(|errors| panic!("{kind}: {errors:?}"))
}

/// A secret of the form that type wants.
pub(crate) fn secret(kind: &str) -> &'static str {
    match kind {
        "standard-webhooks" | "svix" | "gitlab-signed" => "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "discord" => "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "azure-devops" | "basic" => "hook:p4ss-of-the-hook",
        _ => "a-secret-of-some-length",
    }
}

/// In short: `genuine`, `handshake` or the label of the refusal.
pub(crate) fn verdict(validator: &Validator, incoming: Incoming) -> &'static str {
    match validator.check(incoming, NOW) {
        Verdict::Genuine(_) => "genuine",
        Verdict::Handshake(_) => "handshake",
        Verdict::Refused(rejection, _) => rejection.label,
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut out, byte| {
        write!(out, "{byte:02x}").expect("a string takes everything");
        out
    })
}
