//! The HTTP client of one sink: connections to one receiver, their limits, and what their errors are called.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy::{Builder, Client as Pool};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::connect::{Connector, DialError};
use super::{OpenError, Settings, tls};
use crate::sink::Refusal;

/// Shorter than the shortest that servers in use keep an idle connection for (5 s), so that they rarely close one
/// at the moment it is used.
const IDLE: Duration = Duration::from_secs(3);

/// The most bytes of an answer's head, and the size of the buffer it is read into.
const MAX_HEAD: usize = 64 * 1024;

/// The most headers of an answer.
const MAX_HEADERS: usize = 100;

/// How long an HTTP/2 connection with requests under way may be silent before it is asked whether it still lives, and
/// how long it has to answer. Without this a dead one would be handed out until the kernel gives it up.
const HTTP2_PING: Duration = Duration::from_secs(10);

/// Connections and requests over them. Does not follow redirects and asks no proxy. A request on a connection that
/// turns out closed before a byte of it was written is sent on another one; nothing else is sent twice.
pub(super) type Client = Pool<Connector, Full<Bytes>>;

/// A client as the settings say.
pub(super) fn open(settings: &Settings) -> Result<Client, OpenError> {
    let connector = Connector::new(tls::client(settings)?, settings.timeout);
    let mut builder: Builder = Pool::builder(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(settings.concurrency)
        .http1_max_buf_size(MAX_HEAD)
        .http1_max_headers(MAX_HEADERS)
        .http2_max_header_list_size(u32::try_from(MAX_HEAD).expect("64 KiB"))
        .http2_keep_alive_interval(HTTP2_PING)
        .http2_keep_alive_timeout(HTTP2_PING);
    Ok(builder.build(connector))
}

/// What an error of the client, or of reading an answer, means.
pub(super) fn refusal(error: &(dyn std::error::Error + 'static)) -> Refusal {
    let chain: Vec<_> = std::iter::successors(Some(error), |error| below(*error)).collect();
    if let Some(position) = chain.iter().position(|error| error.is::<DialError>()) {
        let label = match chain[position].downcast_ref::<DialError>() {
            Some(DialError::Resolve(..)) => "dns",
            Some(DialError::Blocked(..)) => "blocked",
            Some(DialError::Timeout(_)) => "timeout",
            Some(DialError::Tls(_)) => "tls",
            Some(DialError::Connect(..)) | None => "connect",
        };
        // What the client says above it adds nothing.
        return Refusal { label, reason: words(&chain[position..]), ..Refusal::default() };
    }
    // The client's own words say only that a request failed; why is below.
    let chain = if chain.len() > 1 && error.is::<hyper_util::client::legacy::Error>() { &chain[1..] } else { &chain };
    // A receiver that refuses our certificate may say so only after the handshake.
    let label = if chain.iter().any(|error| error.is::<rustls::Error>()) { "tls" } else { "protocol" };
    Refusal { label, reason: words(chain), ..Refusal::default() }
}

/// The error one level down. `io::Error` skips the error it wraps, which is the one that matters here.
fn below<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a (dyn std::error::Error + 'static)> {
    match error.downcast_ref::<std::io::Error>() {
        Some(outer) => outer.get_ref().map(|inner| inner as _),
        None => error.source(),
    }
}

/// The messages from the top down. Some errors repeat what is below them: said once.
fn words(chain: &[&(dyn std::error::Error + 'static)]) -> String {
    let mut out = String::new();
    for error in chain {
        let text = error.to_string();
        if out.is_empty() {
            out = text;
        } else if !out.ends_with(&text) {
            out.push_str(": ");
            out.push_str(&text);
        }
    }
    out
}
