//! The webhook sink.

use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::PathBuf;

use http::{HeaderName, HeaderValue, Uri};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{Surroundings, defaults, secret};
use crate::config::{Table, Value};
use crate::secret::Key;
use crate::signature::key_length;
use crate::sink::webhook::{Format, HeaderText, Settings};

/// Reads the table of a webhook sink.
pub(super) fn read(table: &Table<'_>, around: &Surroundings<'_>) -> Option<Settings> {
    let get = |key: &str| table.get(key);
    let url = table
        .need("url", "the webhook sink has no `url`", "write `url = \"https://ci.example.com/hooks\"`")
        .and_then(|value| url(&value, "events"));
    let timeout =
        get("timeout").map_or(Some(defaults::WEBHOOK_TIMEOUT), |value| value.duration(defaults::TIMEOUT_RANGE));
    let concurrency = get("concurrency")
        .map_or(Some(defaults::WEBHOOK_CONCURRENCY), |value| value.number(defaults::CONCURRENCY_RANGE));
    let sign = get("sign").map_or(Some(Vec::new()), |value| sign(&value, around));
    let headers = get("headers").map_or(Some(Vec::new()), |value| headers(&value, around, get("sign").is_some()));
    let format = get("format").map_or(Some(Format::default()), |value| {
        value.choice(
            "a format of this sink",
            &[
                ("forward", Format::Forward),
                ("original", Format::Original),
                ("cloudevents", Format::CloudEvents),
                ("cloudevents-binary", Format::CloudEventsBinary),
            ],
        )
    });
    if let (Some(Format::Original), Some(value)) = (format, get("sign")) {
        value.wrong_key(
            "an original request is sent as it came, without a signature of ours",
            "leave out `sign`, or `format`",
        );
    }
    let give_up_on = get("give_up_on").map_or(Some(defaults::GIVE_UP_ON.to_vec()), |value| statuses(&value));
    let ca = get("ca").map_or(Some(None), |value| pem(&value, around, Pem::Certificates).map(Some));
    let client_cert = client_cert(table, around);
    Some(Settings {
        url: url?,
        timeout: timeout?,
        concurrency: usize::try_from(concurrency?).ok()?,
        headers: headers?,
        sign: sign?,
        format: format?,
        give_up_on: give_up_on?,
        ca: ca?,
        client_cert: client_cert?,
    })
}

/// A URL that can be posted to; `what` travels there.
pub(super) fn url(value: &Value<'_>, what: &str) -> Option<Uri> {
    const HINT: &str = "write `\"https://host/path\"`";
    let text = value.string(HINT)?;
    if text.contains(['@', '?']) {
        // A password or a token in the query is a secret as well.
        value.mask();
    }
    let Ok(uri) = text.parse::<Uri>() else {
        value.error("this is not a URL", HINT);
        return None;
    };
    match uri.scheme_str() {
        Some("http" | "https") => {}
        Some(other) => {
            value.error(format!("`{other}` is not a scheme of a webhook"), "it must be `http` or `https`");
            return None;
        }
        None => {
            value.error("the URL has no scheme", HINT);
            return None;
        }
    }
    let Some(host) = uri.host().filter(|host| !host.is_empty()) else {
        value.error("the URL has no host", HINT);
        return None;
    };
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        value.error(
            "the URL must not hold a user or password",
            "send them as a header: `headers = { authorization = { env = \"NAME\" } }`",
        );
        return None;
    }
    if text.contains('#') {
        value.error("the URL has a fragment, which is never sent", "remove what follows the `#`");
        return None;
    }
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
    if address.is_some_and(|address| is_refused(&address)) {
        value.error(
            format!("`{host}` is a link-local, metadata or unspecified address"),
            "webhooks are never sent to those; name the receiver by its own address",
        );
        return None;
    }
    if uri.scheme_str() == Some("http") && !address.map_or_else(|| is_near(host), |address| is_private(&address)) {
        value.warn(format!("{what} travel to `{host}` in the clear"), "use `https`");
    }
    Some(uri)
}

fn is_refused(address: &IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(four) => four.is_link_local() || four.is_unspecified() || four.is_broadcast(),
        // fd00:ec2::254 answers for instance metadata on one large cloud.
        IpAddr::V6(six) => {
            six.is_unicast_link_local()
                || six.is_unspecified()
                || six.segments() == [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254]
        }
    }
}

fn is_private(address: &IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(four) => four.is_loopback() || four.is_private(),
        IpAddr::V6(six) => six.is_loopback() || six.is_unique_local(),
    }
}

/// Whether a host name is one of a private network: without a dot, or under a domain that is never public.
fn is_near(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let private = [".internal", ".local", ".localhost", ".lan", ".home.arpa", ".svc", ".test"];
    !host.contains('.') || private.iter().any(|end| host.ends_with(end))
}

/// What the sink, or HTTP itself, sets.
const OURS: [&str; 15] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "idempotency-key",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
];

/// Headers that are added to a request; `signs`: those of a signature are set already.
pub(super) fn headers(
    value: &Value<'_>,
    around: &Surroundings<'_>,
    signs: bool,
) -> Option<Vec<(HeaderName, HeaderText)>> {
    let table = value.table("write `headers = { authorization = { env = \"NAME\" } }`")?;
    let mut headers: Vec<(HeaderName, HeaderText)> = Vec::new();
    let mut whole = true;
    for entry in table.all() {
        let name = name(&entry, signs);
        let text = header_text(&entry, around);
        match (name, text) {
            (Some(name), Some(text)) => {
                if headers.iter().any(|(other, _)| *other == name) {
                    entry
                        .wrong_key(format!("the header `{name}` is set twice"), "case does not matter in header names");
                    whole = false;
                }
                headers.push((name, text));
            }
            _ => whole = false,
        }
    }
    whole.then_some(headers)
}

fn name(entry: &Value<'_>, signs: bool) -> Option<HeaderName> {
    let Ok(name) = entry.key().parse::<HeaderName>() else {
        entry.wrong_key(
            format!("`{}` is not a header name", entry.key()),
            "a header name has letters, digits and `-`, such as `x-token`",
        );
        return None;
    };
    let text = name.as_str();
    let signing = signs && ["webhook-id", "webhook-timestamp", "webhook-signature"].contains(&text);
    if OURS.contains(&text) || text.starts_with("forebay-") || signing {
        entry.wrong_key(format!("the sink sets the header `{name}` itself"), "remove it");
        return None;
    }
    Some(name)
}

fn header_text(entry: &Value<'_>, around: &Surroundings<'_>) -> Option<HeaderText> {
    // Whatever stands here may be a token.
    if !entry.is_string() {
        let (secret, _) = secret::one(entry, around)?;
        if HeaderValue::from_bytes(secret.expose()).is_err() {
            entry.error(
                "the secret cannot be sent in a header",
                "a header value has no line breaks or control characters",
            );
            return None;
        }
        return Some(HeaderText::Secret(secret));
    }
    entry.mask();
    let text = entry.string("")?;
    if HeaderValue::from_str(text).is_err() {
        entry.error("this cannot be sent in a header", "a header value has no line breaks or control characters");
        return None;
    }
    let key = entry.key().to_ascii_lowercase();
    if ["authorization", "cookie", "token", "secret", "key", "password"].iter().any(|word| key.contains(word)) {
        entry.warn(
            "the header's secret stands in the file",
            "write `{ env = \"NAME\" }` or `{ file = \"PATH\" }` instead",
        );
    }
    Some(HeaderText::Plain(text.to_owned()))
}

fn sign(value: &Value<'_>, around: &Surroundings<'_>) -> Option<Vec<Key>> {
    const HOW: &str = "write `sign = { secret = { file = \"PATH\" } }`";
    const WHSEC: &str = "a Standard Webhooks secret is `whsec_` and the base64 of 24 to 64 random bytes; \
                         make one with `echo whsec_$(openssl rand -base64 32)`";
    let table = value.table(HOW)?.only("sink.webhook.sign");
    let keys = secret::keys(&table, around);
    if !keys.given {
        table.missing("secret", "there is nothing to sign with", HOW);
        return None;
    }
    let place = table.get("secret").or_else(|| table.get("secrets"))?;
    for key in &keys.keys {
        match key_length(key.secret.expose()) {
            None => {
                place.error(format!("the secret `{}` is not a Standard Webhooks secret", key.id), WHSEC);
                return None;
            }
            Some(length) if !(24..=64).contains(&length) => {
                place.warn(format!("the secret `{}` has {length} bytes", key.id), WHSEC);
            }
            Some(_) => {}
        }
    }
    (!keys.keys.is_empty()).then_some(keys.keys)
}

fn statuses(value: &Value<'_>) -> Option<Vec<u16>> {
    let entries = value.list("write `give_up_on = [400, 410]`")?;
    let read: Vec<Option<u64>> = entries.iter().map(|entry| entry.number(defaults::STATUS_RANGE)).collect();
    read.into_iter().map(|status| u16::try_from(status?).ok()).collect()
}

#[derive(Clone, Copy, PartialEq)]
enum Pem {
    Certificates,
    Key,
}

/// A PEM file, seen to hold what is wanted of it.
fn pem(value: &Value<'_>, around: &Surroundings<'_>, wanted: Pem) -> Option<PathBuf> {
    let path = around.path(value.string("name a PEM file")?);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) => {
            let message = match error.kind() {
                ErrorKind::NotFound => format!("there is no file `{}`", path.display()),
                kind => format!("cannot read `{}`: {kind}", path.display()),
            };
            value.error(message, "a relative path begins at the folder of this file");
            return None;
        }
    };
    let (good, what) = match wanted {
        Pem::Certificates => {
            let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
            (read.is_ok_and(|read| !read.is_empty()), "certificate")
        }
        Pem::Key => (PrivateKeyDer::from_pem_slice(&bytes).is_ok(), "private key"),
    };
    if !good {
        value.error(
            format!("`{}` holds no {what} in PEM", path.display()),
            format!("it needs a block `BEGIN {}`", what.to_uppercase()),
        );
        return None;
    }
    value.mark(&bytes);
    Some(path)
}

#[expect(clippy::option_option, reason = "the outer one is whether it could be read")]
fn client_cert(table: &Table<'_>, around: &Surroundings<'_>) -> Option<Option<(PathBuf, PathBuf)>> {
    const BOTH: &str = "a client certificate needs both `client_cert` and `client_key`, which may be one file";
    match (table.get("client_cert"), table.get("client_key")) {
        (None, None) => Some(None),
        (Some(_), None) => {
            table.missing("client_key", "there is `client_cert` without `client_key`", BOTH);
            None
        }
        (None, Some(_)) => {
            table.missing("client_cert", "there is `client_key` without `client_cert`", BOTH);
            None
        }
        (Some(cert), Some(key)) => {
            let cert = pem(&cert, around, Pem::Certificates);
            let key = pem(&key, around, Pem::Key);
            Some(Some((cert?, key?)))
        }
    }
}
