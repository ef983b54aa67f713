//! Dialling: name to addresses, the policy on each, a TCP connection to the first that takes it.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_rustls::HttpsConnector;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tower_service::Service;

use super::address;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Dialling<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum DialError {
    /// The name does not resolve.
    Resolve(String, io::Error),
    /// Every address is one that must not be dialled; this is the first, and why.
    Blocked(IpAddr, &'static str),
    /// No address took the connection; this is what the last one said.
    Connect(SocketAddr, io::Error),
    /// It took too long.
    Timeout(Duration),
    /// The TLS handshake failed.
    Tls(BoxError),
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve(host, _) => write!(f, "cannot resolve `{host}`"),
            Self::Blocked(address, why) => write!(f, "`{address}` is {why}, which is never dialled"),
            Self::Connect(address, _) => write!(f, "cannot connect to {address}"),
            Self::Timeout(limit) => write!(f, "no connection within {limit:?}"),
            Self::Tls(_) => f.write_str("the TLS handshake failed"),
        }
    }
}

impl std::error::Error for DialError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Resolve(_, error) | Self::Connect(_, error) => Some(error),
            Self::Tls(error) => Some(&**error),
            Self::Blocked(..) | Self::Timeout(_) => None,
        }
    }
}

/// Opens TCP connections.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dialler {
    limit: Duration,
}

impl Dialler {
    /// `limit` is for the whole of one dialling, over all addresses.
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit }
    }

    async fn dial(self, uri: Uri) -> Result<TcpStream, DialError> {
        let host = uri.host().unwrap_or_default();
        let host = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host);
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        let deadline = Instant::now() + self.limit;

        let addresses: Vec<SocketAddr> = match host.parse::<IpAddr>() {
            Ok(literal) => vec![SocketAddr::new(literal, port)],
            Err(_) => timeout_at(deadline, tokio::net::lookup_host((host, port)))
                .await
                .map_err(|_| DialError::Timeout(self.limit))?
                .map_err(|error| DialError::Resolve(host.to_owned(), error))?
                .collect(),
        };

        let mut problem = None;
        let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
        for address in addresses {
            if let Some(why) = address::denied(address.ip()) {
                // What an address that may be dialled says is of more use.
                problem.get_or_insert(DialError::Blocked(address.ip(), why));
            } else {
                // A share of the time for each, so that one that swallows packets does not use up that of the next.
                let share = deadline.saturating_duration_since(Instant::now()) / left;
                match timeout(share, TcpStream::connect(address)).await {
                    Ok(Ok(stream)) => {
                        // Without it a request in two writes waits for a delayed acknowledgement, 40 ms.
                        stream.set_nodelay(true).map_err(|error| DialError::Connect(address, error))?;
                        return Ok(stream);
                    }
                    Ok(Err(error)) => problem = Some(DialError::Connect(address, error)),
                    Err(_) => problem = Some(DialError::Timeout(self.limit)),
                }
            }
            left -= 1;
        }
        Err(problem.unwrap_or_else(|| {
            DialError::Resolve(host.to_owned(), io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
        }))
    }
}

impl Service<Uri> for Dialler {
    type Response = TokioIo<TcpStream>;
    type Error = DialError;
    type Future = Dialling<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let dialling = self.dial(uri);
        Box::pin(async move { dialling.await.map(TokioIo::new) })
    }
}

/// [`Dialler`], and TLS over it where the URL says so, with one limit over both.
///
/// The limit is here and not only around the attempt, because the client goes on with a dialling whose attempt found
/// another connection free meanwhile; nothing else would end that one.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    inner: HttpsConnector<Dialler>,
    limit: Duration,
}

impl Connector {
    pub(super) fn new(tls: rustls::ClientConfig, limit: Duration) -> Self {
        let inner = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .wrap_connector(Dialler::new(limit));
        Self { inner, limit }
    }
}

impl Service<Uri> for Connector {
    type Response = <HttpsConnector<Dialler> as Service<Uri>>::Response;
    type Error = DialError;
    type Future = Dialling<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.inner.call(uri);
        let limit = self.limit;
        Box::pin(async move {
            match timeout(limit, connecting).await {
                Ok(Ok(stream)) => Ok(stream),
                // What is not from the dialler is from the handshake.
                Ok(Err(error)) => Err(match error.downcast::<DialError>() {
                    Ok(dialling) => *dialling,
                    Err(handshake) => DialError::Tls(handshake),
                }),
                Err(_) => Err(DialError::Timeout(limit)),
            }
        })
    }
}
