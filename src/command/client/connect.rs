//! A connection to an admin API, over TCP, TLS or a unix socket.

use std::error::Error;
use std::io;

use http::Uri;
use hyper::rt::{Read, Write};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tower_service::Service;

use super::address::Address;
use crate::sink::webhook;

/// A stream to speak HTTP over.
pub(super) trait Stream: Read + Write + Unpin + Send {}

impl<T: Read + Write + Unpin + Send> Stream for T {}

/// Connects.
///
/// # Errors
/// In words.
pub(super) async fn connect(address: &Address) -> Result<Box<dyn Stream>, String> {
    match address {
        Address::Unix(path) => match UnixStream::connect(path).await {
            Ok(stream) => Ok(Box::new(TokioIo::new(stream))),
            Err(error) => Err(why(&error)),
        },
        Address::Http { scheme, authority, .. } => {
            let uri = Uri::builder().scheme(scheme.clone()).authority(authority.clone()).path_and_query("/").build();
            let uri = uri.map_err(|error| error.to_string())?;
            let tls = webhook::tls_client(&uri).map_err(|error| error.to_string())?;
            let mut connector =
                HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
            match connector.call(uri).await {
                Ok(stream) => Ok(Box::new(stream)),
                Err(error) => Err(why(&*error)),
            }
        }
    }
}

/// What an error means: what the system says of it, or else all that is said, from the top down.
pub(super) fn why(error: &(dyn Error + 'static)) -> String {
    let mut said: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let inner = error.downcast_ref::<io::Error>();
        if let Some(system) = inner.filter(|inner| inner.raw_os_error().is_some()) {
            return system.kind().to_string();
        }
        let text = error.to_string();
        if said.last().is_none_or(|last| !last.ends_with(&text)) {
            said.push(text);
        }
        // It skips the error it wraps, which is the one that matters.
        next = match inner.and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    said.join(": ")
}
