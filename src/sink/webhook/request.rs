//! From an event to the request that carries it, one function a format. What is the same for every request is made
//! once, when the sink is opened.

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::Full;

use super::{Format, HeaderText, OpenError, Settings};
use crate::event::{Event, Millis};
use crate::signature::{Engine, Scheme};
use crate::sink::{Delivery, cloudevents, text};
use crate::trace::{Context, TRACEPARENT, TRACESTATE};

const EVENT_ID: HeaderName = HeaderName::from_static("forebay-event-id");
const SEQ: HeaderName = HeaderName::from_static("forebay-seq");
const TOPIC: HeaderName = HeaderName::from_static("forebay-topic");
const TYPE: HeaderName = HeaderName::from_static("forebay-type");
const ATTEMPT: HeaderName = HeaderName::from_static("forebay-attempt");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

pub(super) const AGENT: HeaderValue = HeaderValue::from_static(concat!("forebay/", env!("CARGO_PKG_VERSION")));

/// Why a request that is to be signed could not be, in words: the keys of the sink have all run out, or none has begun.
#[derive(Debug)]
pub(super) struct Unsigned(pub(super) String);

/// What requests of one sink have in common.
pub(super) struct Template {
    url: Uri,
    format: Format,
    /// Set where requests are signed.
    signer: Option<Engine>,
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
        Ok(Self { url: settings.url.clone(), format: settings.format, signer: signer(settings)?, configured })
    }

    /// The request for one attempt.
    ///
    /// # Errors
    /// When it is to be signed and no key is valid now: a receiver that checks signatures would take an unsigned
    /// request for a forged one.
    pub(super) fn build(&self, delivery: &Delivery, now: Millis) -> Result<Request<Full<Bytes>>, Unsigned> {
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
        add_trace(delivery, &mut headers);
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
    fn add_ours(&self, delivery: &Delivery, now: Millis, body: &[u8], headers: &mut HeaderMap) -> Result<(), Unsigned> {
        let event = &delivery.event;
        let id = event.id.to_string();
        if let Some(signer) = &self.signer {
            for (name, value) in signer.sign("", body, &id, now).map_err(Unsigned)? {
                headers.insert(name, shared(Bytes::from(value)));
            }
        }
        let id = shared(Bytes::from(id));
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

/// The trace goes on. Where a span is made of the attempt, that is where the request comes from; else the context is sent on
/// as it came, which is what the standard asks of a service that takes no part (W3C Trace Context, "processing model in
/// forwarding mode"). What is not valid stays here.
fn add_trace(delivery: &Delivery, headers: &mut HeaderMap) {
    let Some(context) = Context::of(&delivery.event.headers) else { return };
    let own = delivery.span.map(|span| span.to_string());
    headers.insert(TRACEPARENT, visible(own.as_deref().unwrap_or(context.text)));
    if let Some(state) = &context.state {
        headers.insert(TRACESTATE, visible(state));
    }
}

fn signer(settings: &Settings) -> Result<Option<Engine>, OpenError> {
    if settings.sign.is_empty() {
        return Ok(None);
    }
    Engine::new(&Scheme::STANDARD_WEBHOOKS, settings.sign.clone(), None).map(Some).map_err(|errors| {
        let problems: Vec<_> = errors.into_iter().map(|error| error.message).collect();
        OpenError::Sign(problems.join("; "))
    })
}

fn shared(ascii: Bytes) -> HeaderValue {
    HeaderValue::from_maybe_shared(ascii).expect("made of visible ASCII")
}

fn visible(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("a valid context is visible ASCII")
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
/// (which receivers who believe forebay would believe), or pretends to be ours. The trace's two go on by themselves.
fn stays_here(name: &str) -> bool {
    concerns_connection(name)
        || matches!(name, "host" | "forwarded" | "x-real-ip" | TRACEPARENT | TRACESTATE)
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
