//! The servers that forebay is compared with, and the receiver it delivers to. Each runs as a process of its own: this
//! executable, started again as `server KIND`. They are as fast as hyper reasonably gets, so that the ratios are honest.

use std::convert::Infallible;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener as StdListener};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{io, process, thread};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use ring::hmac;
use subtle::ConstantTimeEq;
use tokio::net::TcpStream;
use tokio::runtime::Builder;

use crate::process::Process;
use crate::request::{SECRET, delivery_number};

/// Threads that serve, in either runtime.
const WORKERS: usize = 2;
/// Delivery numbers the receiver tells apart.
const NUMBERS: u64 = 1 << 26;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Reads the body and answers 202.
    Bare,
    /// Also checks GitHub's signature.
    Hmac,
    /// Reads the body, notes the delivery id and answers 200; `GET` tells how many different ids it has seen.
    Receiver,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, clap::ValueEnum)]
pub(crate) enum Runtime {
    /// One tokio runtime with two work-stealing threads.
    MultiThread,
    /// A single-threaded tokio runtime on each of two threads; connections are dealt to them in turn.
    PerCore,
}

impl Runtime {
    pub(crate) const ALL: [Self; 2] = [Self::MultiThread, Self::PerCore];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::MultiThread => "multi-thread",
            Self::PerCore => "thread-per-core",
        }
    }
}

/// One of the servers, running.
pub(crate) struct Baseline {
    pub(crate) process: Process,
    pub(crate) addr: SocketAddr,
}

impl Baseline {
    pub(crate) fn start(kind: Kind, runtime: Runtime) -> io::Result<Self> {
        let name = |value: &dyn Fn() -> Option<clap::builder::PossibleValue>| {
            value().map(|value| value.get_name().to_owned()).unwrap_or_default()
        };
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("server").arg(name(&|| clap::ValueEnum::to_possible_value(&kind)));
        command.arg("--runtime").arg(name(&|| clap::ValueEnum::to_possible_value(&runtime)));
        // The open standard input is what tells it that the bench is still there.
        let mut process = Process::spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
        let stdout = process.child().stdout.take().ok_or_else(|| io::Error::other("no standard output"))?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let addr = line.trim().parse().map_err(|_| io::Error::other(format!("the {kind:?} server did not start")))?;
        Ok(Self { process, addr })
    }
}

/// Runs one until its standard input ends.
///
/// # Errors
/// When it cannot listen.
pub(crate) fn serve(kind: Kind, runtime: Runtime) -> io::Result<()> {
    let listener = StdListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        process::exit(0);
    });
    let server = Arc::new(Server {
        kind,
        key: hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()),
        seen: match kind {
            Kind::Receiver => (0..NUMBERS / 64).map(|_| AtomicU64::new(0)).collect(),
            Kind::Bare | Kind::Hmac => Box::default(),
        },
        distinct: AtomicU64::new(0),
    });
    match runtime {
        Runtime::MultiThread => on_all_threads(listener, &server),
        Runtime::PerCore => on_each_thread(&listener, &server),
    }
}

fn on_all_threads(listener: StdListener, server: &Arc<Server>) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    Builder::new_multi_thread().worker_threads(WORKERS).enable_io().build()?.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(connection(stream, server.clone()));
        }
    })
}

fn on_each_thread(listener: &StdListener, server: &Arc<Server>) -> io::Result<()> {
    let mut workers = Vec::new();
    for _ in 0..WORKERS {
        let (hand, mut dealt) = tokio::sync::mpsc::unbounded_channel();
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let server = server.clone();
        thread::spawn(move || {
            runtime.block_on(async {
                while let Some(stream) = dealt.recv().await {
                    if let Ok(stream) = TcpStream::from_std(stream) {
                        tokio::spawn(connection(stream, server.clone()));
                    }
                }
            });
        });
        workers.push(hand);
    }
    for worker in workers.iter().cycle() {
        let (stream, _) = listener.accept()?;
        stream.set_nonblocking(true)?;
        worker.send(stream).map_err(io::Error::other)?;
    }
    Ok(())
}

struct Server {
    kind: Kind,
    key: hmac::Key,
    seen: Box<[AtomicU64]>,
    distinct: AtomicU64,
}

async fn connection(stream: TcpStream, server: Arc<Server>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| server.answer(request));
    // A connection that breaks is the client's to report.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

impl Server {
    async fn answer(&self, request: http::Request<Incoming>) -> Result<http::Response<Full<Bytes>>, Infallible> {
        if request.method() == Method::GET {
            let count = self.distinct.load(Ordering::Acquire).to_string();
            return Ok(http::Response::new(Full::new(Bytes::from(count))));
        }
        let (head, mut body) = request.into_parts();
        // The signature is taken over the pieces as they come, so the body need not be put together first.
        let mut signed = (self.kind == Kind::Hmac).then(|| hmac::Context::with_key(&self.key));
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return Ok(plain(StatusCode::BAD_REQUEST)) };
            if let (Some(signed), Some(data)) = (&mut signed, frame.data_ref()) {
                signed.update(data);
            }
        }
        let genuine = signed.is_none_or(|signed| {
            let header =
                head.headers.get("x-hub-signature-256").and_then(|value| value.as_bytes().strip_prefix(b"sha256="));
            header.and_then(unhex).is_some_and(|given| given.ct_eq(signed.sign().as_ref()).into())
        });
        if !genuine {
            return Ok(plain(StatusCode::FORBIDDEN));
        }
        if self.kind == Kind::Receiver {
            return Ok(plain(self.note(&head)));
        }
        let mut answer = http::Response::new(Full::new(Bytes::from_static(br#"{"status":"accepted"}"#)));
        *answer.status_mut() = StatusCode::ACCEPTED;
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(answer)
    }

    fn note(&self, head: &http::request::Parts) -> StatusCode {
        let Some(number) = head.headers.get("x-github-delivery").and_then(|id| delivery_number(id.as_bytes())) else {
            return StatusCode::BAD_REQUEST;
        };
        let number = number % NUMBERS;
        let (word, bit) = (usize::try_from(number / 64).unwrap_or(0), 1 << (number % 64));
        if self.seen[word].fetch_or(bit, Ordering::AcqRel) & bit == 0 {
            self.distinct.fetch_add(1, Ordering::AcqRel);
        }
        StatusCode::OK
    }
}

fn plain(status: StatusCode) -> http::Response<Full<Bytes>> {
    let mut answer = http::Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}

fn unhex(text: &[u8]) -> Option<[u8; 32]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let pairs: &[u8; 64] = text.try_into().ok()?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(pairs.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}
