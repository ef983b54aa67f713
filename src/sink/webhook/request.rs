//! From an event to the request that carries it, one function a format. What is the same for every request is made
//! once, when the sink is opened.

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::Full;

use super::sign::Signer;
use super::{Format, HeaderText, OpenError, Settings};
use crate::event::{Event, Millis};
use crate::sink::{Delivery, cloudevents, text};

const EVENT_ID: HeaderName = HeaderName::from_static("forebay-event-id");
const SEQ: HeaderName = HeaderName::from_static("forebay-seq");
const TOPIC: HeaderName = HeaderName::from_static("forebay-topic");
const TYPE: HeaderName = HeaderName::from_static("forebay-type");
const ATTEMPT: HeaderName = HeaderName::from_static("forebay-attempt");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

pub(super) const AGENT: HeaderValue = HeaderValue::from_static(concat!("forebay/", env!("CARGO_PKG_VERSION")));

/// The keys of the sink have all run out, or none has begun.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoValidKey;

/// What requests of one sink have in common.
pub(super) struct Template {
    url: Uri,
    format: Format,
    signer: Signer,
    configured: Vec<(HeaderName, HeaderValue)>,
}

impl Template {
    /// Prepares what can be prepared.
    ///
    /// # Errors
    /// When a configured header cannot be sent, or a key is not one.
    pub(super) fn new(settings: &Settings) -> Result<Self, OpenError> {
        let configured = settings
            .headers
            .iter()
            .map(|(name, text)| {
                if concerns_connection(name.as_str()) {
                    return Err(OpenError::HeaderName(name.clone()));
                }
                let (bytes, secret) = match text {
                    HeaderText::Plain(text) => (text.as_bytes(), false),
                    HeaderText::Secret(secret) => (secret.expose(), true),
                };
                let mut value = HeaderValue::from_bytes(bytes).map_err(|_| OpenError::HeaderValue(name.clone()))?;
                // Not printed, and kept out of the table that HTTP/2 compresses headers with.
                value.set_sensitive(secret);
                Ok((name.clone(), value))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            url: settings.url.clone(),
            format: settings.format,
            signer: Signer::new(&settings.sign).map_err(OpenError::SignKey)?,
            configured,
        })
    }

    /// The request for one attempt.
    ///
    /// # Errors
    /// When it is to be signed and no key is valid now: a receiver that checks signatures would take an unsigned
    /// request for a forged one.
    pub(super) fn build(&self, delivery: &Delivery, now: Millis) -> Result<Request<Full<Bytes>>, NoValidKey> {
        let event = &delivery.event;
        // Enough for what providers send and for ours, so that the map is not built twice.
        let mut headers = HeaderMap::with_capacity(32);
        let body = match self.format {
            Format::Original => {
                copy_inbound(event, &mut headers);
                event.body.clone()
            }
            Format::Forward => {
                copy_inbound(event, &mut headers);
                // The answer is for us: a provider's wish for compression would make it unreadable here.
                headers.remove(ACCEPT_ENCODING);
                self.add_ours(delivery, now, &event.body, &mut headers)?;
                event.body.clone()
            }
            Format::CloudEvents => {
                let mut body = Vec::with_capacity(event.body.len() + 1024);
                cloudevents::structured(event, &mut body);
                let body = Bytes::from(body);
                headers.insert(CONTENT_TYPE, cloudevents::MEDIA_TYPE);
                self.add_ours(delivery, now, &body, &mut headers)?;
                body
            }
            Format::CloudEventsBinary => {
                self.add_ours(delivery, now, &event.body, &mut headers)?;
                cloudevents::binary(event, &mut headers);
                event.body.clone()
            }
        };
        if body.is_empty() {
            // The client says nothing of a body that is not there, and some servers answer that with 411.
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        for (name, value) in &self.configured {
            headers.insert(name.clone(), value.clone());
        }
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.url.clone();
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// forebay's headers, in place of any that came in under the same names.
    fn add_ours(
        &self,
        delivery: &Delivery,
        now: Millis,
        body: &[u8],
        headers: &mut HeaderMap,
    ) -> Result<(), NoValidKey> {
        let event = &delivery.event;
        let id_text = event.id.to_string();
        let signature =
            if self.signer.is_empty() { None } else { Some(self.signer.sign(&id_text, now, body).ok_or(NoValidKey)?) };
        let id = shared(Bytes::from(id_text));
        if let Some(signature) = signature {
            headers.insert(WEBHOOK_ID, id.clone());
            headers.insert(WEBHOOK_TIMESTAMP, HeaderValue::from(now.seconds()));
            headers.insert(WEBHOOK_SIGNATURE, shared(Bytes::from(signature)));
        }
        headers.insert(USER_AGENT, AGENT);
        headers.insert(EVENT_ID, id.clone());
        headers.insert(IDEMPOTENCY_KEY, id);
        headers.insert(SEQ, HeaderValue::from(event.seq.0));
        headers.insert(TOPIC, text::plain(&event.topic));
        if let Some(kind) = &event.kind {
            headers.insert(TYPE, text::plain(kind));
        }
        headers.insert(ATTEMPT, HeaderValue::from(delivery.attempt));
        Ok(())
    }
}

fn shared(ascii: Bytes) -> HeaderValue {
    HeaderValue::from_maybe_shared(ascii).expect("made of visible ASCII")
}

/// Copies what the provider sent, except what was between it and us.
fn copy_inbound(event: &Event, headers: &mut HeaderMap) {
    let wire = event.headers.as_wire();
    let nominated: Vec<&[u8]> = event
        .headers
        .iter()
        .filter(|(name, _)| *name == "connection")
        .flat_map(|(_, value)| value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii))
        .collect();
    for (name, value) in event.headers.iter() {
        if stays_here(name) || nominated.iter().any(|option| option.eq_ignore_ascii_case(name.as_bytes())) {
            continue;
        }
        // The value shares the journal's bytes. Neither fails for what came through an HTTP parser.
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_maybe_shared(wire.slice_ref(value)))
        {
            headers.append(name, value);
        }
    }
}

/// Whether an inbound header is not passed on: it belonged to the inbound connection, or tells of the way there
/// (which receivers who believe forebay would believe), or pretends to be ours.
fn stays_here(name: &str) -> bool {
    concerns_connection(name)
        || matches!(name, "host" | "forwarded" | "x-real-ip")
        || name.starts_with("x-forwarded-")
        || name.starts_with("forebay-")
}

/// Framing and hop-by-hop headers (RFC 9110 7.6.1, 8.6, 10.1.1; RFC 9113 8.2.2): the client writes its own.
fn concerns_connection(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "content-length"
            | "expect"
            | "http2-settings"
            | "keep-alive"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    ) || name.starts_with("proxy-")
}
