//! Receivers of webhooks: one that speaks HTTP and remembers what it got, and one that does to each connection what a
//! test says.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Method, Response, Uri, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A request as it arrived.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Received {
    /// All values of a header as text.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.headers.get_all(name).iter().map(|value| value.to_str().expect("text")).collect()
    }

    /// The one value of a header as text.
    pub(crate) fn one(&self, name: &str) -> &str {
        match self.all(name)[..] {
            [value] => value,
            ref others => panic!("`{name}` should be there once: {others:?}"),
        }
    }
}

/// Speaks HTTP/1.1, or what ALPN agrees on.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<Received>>>,
    connections: Arc<AtomicUsize>,
}

impl Receiver {
    /// Answers 200 to everything.
    pub(crate) async fn start() -> Self {
        Self::answering(|| Response::new(Full::default())).await
    }

    /// Answers every request like this.
    pub(crate) async fn answering(answer: impl Fn() -> Response<Full<Bytes>> + Send + Sync + 'static) -> Self {
        Self::listen(None, answer).await
    }

    /// Answers 200 to everything that gets through the handshake.
    pub(crate) async fn tls(config: rustls::ServerConfig) -> Self {
        Self::listen(Some(TlsAcceptor::from(Arc::new(config))), || Response::new(Full::default())).await
    }

    async fn listen(
        tls: Option<TlsAcceptor>,
        answer: impl Fn() -> Response<Full<Bytes>> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let (log, count, answer) = (requests.clone(), connections.clone(), Arc::new(answer));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                count.fetch_add(1, Ordering::SeqCst);
                let (log, answer, tls) = (log.clone(), answer.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(TokioIo::new(stream), false, log, answer).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                                serve(TokioIo::new(stream), h2, log, answer).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, requests, connections }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook?a=1&b=%20", self.address)
    }

    /// What arrived since this was last asked.
    pub(crate) fn take(&self) -> Vec<Received> {
        std::mem::take(&mut self.requests.lock().expect("not poisoned"))
    }

    /// The only request that arrived.
    pub(crate) fn only(&self) -> Received {
        let mut all = self.take();
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    /// How many connections were made.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn serve<I, A>(io: I, h2: bool, log: Arc<Mutex<Vec<Received>>>, answer: Arc<A>)
where
    I: Read + Write + Unpin + Send + 'static,
    A: Fn() -> Response<Full<Bytes>> + Send + Sync + 'static,
{
    let service = service_fn(move |request: http::Request<Incoming>| {
        let (log, answer) = (log.clone(), answer.clone());
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let http::request::Parts { method, uri, version, headers, .. } = parts;
            log.lock().expect("not poisoned").push(Received { method, uri, version, headers, body });
            Ok::<_, hyper::Error>(answer())
        }
    });
    // How a connection ends is the business of the tests, not of the receiver.
    let _ = if h2 {
        hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await
    } else {
        hyper::server::conn::http1::Builder::new().serve_connection(io, service).await
    };
}

/// Does this to every connection, given its number from 0. Its URL.
pub(crate) async fn raw<F, T>(each: F) -> String
where
    F: Fn(usize, TcpStream) -> T + Send + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        for number in 0.. {
            let (stream, _) = listener.accept().await.expect("a connection");
            tokio::spawn(each(number, stream));
        }
    });
    format!("http://{address}/")
}

/// Reads up to the end of a request whose body is `{}`.
pub(crate) async fn read_small(stream: &mut TcpStream) {
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\n{}") {
        assert_ne!(stream.read_buf(&mut seen).await.expect("more of the request"), 0, "cut off");
    }
}
