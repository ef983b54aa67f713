//! Listening, and what surrounds a request: a limit on connections, time limits, and an orderly end.
//!
//! One thread accepts; as many serve as there are processors, each with a runtime of its own, so that a request never
//! changes threads. hyper speaks HTTP/1.1 only here: senders of webhooks do, and nothing has to be detected.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming as Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use super::listener::{Accepted, Listener};
use super::pace::{Pace, Paces};
use super::reply::Answer;

/// What bounds a server.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Open connections. When there are as many, nothing is accepted until one closes.
    pub connections: usize,
    /// For the head of a request, from the accept or its first byte on.
    pub header_timeout: Duration,
    /// For the next request on a connection that is kept.
    pub idle_timeout: Duration,
    /// Threads that serve.
    pub threads: usize,
}

/// The bytes hyper gathers for the head of a request; a longer one is answered 431.
const MAX_HEAD: usize = 64 * 1024;

/// Answers requests. One value for each serving thread.
pub trait Service: Send + Sync + 'static {
    /// What each thread has of its own; made on that thread, inside its runtime.
    type Local: Send + Sync + 'static;

    /// Prepares a thread.
    fn local(&self) -> Self::Local;

    /// Answers one request.
    fn answer(
        &self,
        local: &Self::Local,
        request: Request<Body>,
        peer: Option<IpAddr>,
    ) -> impl Future<Output = Answer> + Send;

    /// Tells how many connections there are.
    fn connections(&self, open: usize);
}

/// A server that runs.
#[derive(Debug)]
pub struct Server {
    stop: watch::Sender<Stop>,
    threads: Vec<JoinHandle<()>>,
    acceptors: Vec<tokio::task::JoinHandle<()>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    No,
    /// Finish what is under way.
    Drain,
    /// Drop it.
    Now,
}

impl Server {
    /// Serves what the listeners accept. Must be called within a runtime, on which the accepting is done.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start<S: Service>(
        name: &str,
        listeners: Vec<Listener>,
        service: &Arc<S>,
        limits: Limits,
    ) -> io::Result<Self> {
        let (stop, stopped) = watch::channel(Stop::No);
        let permits = Arc::new(Semaphore::new(limits.connections));
        let (mut threads, mut lines) = (Vec::new(), Vec::new());
        for number in 0..limits.threads.max(1) {
            let (line, inbox) = mpsc::unbounded_channel();
            let (service, stopped, permits) = (Arc::clone(service), stopped.clone(), Arc::clone(&permits));
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let thread = std::thread::Builder::new().name(format!("{name}-{number}")).spawn(move || {
                runtime.block_on(serve(&service, inbox, stopped, permits, limits));
                // What is still running here was told to stop and did not in time.
                runtime.shutdown_background();
            })?;
            threads.push(thread);
            lines.push(line);
        }
        let turn = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let acceptors = listeners
            .into_iter()
            .map(|listener| {
                let (lines, permits, service) = (lines.clone(), Arc::clone(&permits), Arc::clone(service));
                let (stopped, turn) = (stopped.clone(), Arc::clone(&turn));
                tokio::spawn(async move {
                    let next = move || turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    accept(listener, &lines, permits, &*service, stopped, limits.connections, next).await;
                })
            })
            .collect();
        Ok(Self { stop, threads, acceptors })
    }

    /// Stops: accepts nothing more, finishes open requests, and drops what is left when `patience` ends.
    pub async fn stop(mut self, patience: Duration) {
        self.stop.send_replace(Stop::Drain);
        for acceptor in self.acceptors.drain(..) {
            // It ends by itself, or was cancelled with the runtime.
            let _ = acceptor.await;
        }
        let deadline = tokio::time::Instant::now() + patience;
        let threads = std::mem::take(&mut self.threads);
        let ended = tokio::task::spawn_blocking(move || threads.into_iter().for_each(|thread| drop(thread.join())));
        let mut ended = pin!(ended);
        if tokio::time::timeout_at(deadline, &mut ended).await.is_err() {
            tracing::warn!("open requests did not end in time: dropped");
            self.stop.send_replace(Stop::Now);
            let _ = ended.await;
        }
    }
}

type Line = mpsc::UnboundedSender<(Accepted, OwnedSemaphorePermit)>;

async fn accept<S: Service>(
    listener: Listener,
    lines: &[Line],
    permits: Arc<Semaphore>,
    service: &S,
    mut stopped: watch::Receiver<Stop>,
    limit: usize,
    next: impl Fn() -> usize,
) {
    loop {
        let one = async {
            let permit = Arc::clone(&permits).acquire_owned().await.expect("never closed");
            (listener.accept().await, permit)
        };
        let (accepted, permit) = tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop != Stop::No) => return,
            accepted = one => accepted,
        };
        match accepted {
            Ok(accepted) => {
                service.connections(limit - permits.available_permits());
                // The thread on the other side ends after this one.
                let _ = lines[next() % lines.len()].send((accepted, permit));
            }
            // The connection broke before it was ours: the next one is not concerned.
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                // Most likely no file descriptor is left; trying at once again would only burn time.
                tracing::warn!(%error, "cannot accept connections");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// The life of one serving thread.
async fn serve<S: Service>(
    service: &Arc<S>,
    mut inbox: mpsc::UnboundedReceiver<(Accepted, OwnedSemaphorePermit)>,
    mut stopped: watch::Receiver<Stop>,
    permits: Arc<Semaphore>,
    limits: Limits,
) {
    let local = Arc::new(service.local());
    let connection_stop = stopped.clone();
    let paces = Paces::new(limits.header_timeout, limits.idle_timeout);
    let (open, mut all_closed) = mpsc::channel::<Infallible>(1);
    let mut sweep = tokio::time::interval(paces.period());
    sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            accepted = inbox.recv() => {
                let Some((accepted, permit)) = accepted else { break };
                let (service, local, pace) = (Arc::clone(service), Arc::clone(&local), paces.begin());
                let (stopped, open) = (connection_stop.clone(), open.clone());
                tokio::spawn(async move {
                    let served = match accepted {
                        Accepted::Tcp(stream, peer) => match TcpStream::from_std(stream) {
                            Ok(stream) => Ok(connection(stream, Some(peer), service, local, pace, stopped).await),
                            Err(error) => Err(error),
                        },
                        Accepted::Unix(stream) => match UnixStream::from_std(stream) {
                            Ok(stream) => Ok(connection(stream, None, service, local, pace, stopped).await),
                            Err(error) => Err(error),
                        },
                    };
                    if let Err(error) = served {
                        tracing::warn!(%error, "cannot serve a connection");
                    }
                    drop((permit, open));
                });
            }
            _ = sweep.tick() => paces.sweep(permits.available_permits() == 0),
            _ = stopped.wait_for(|stop| *stop != Stop::No) => break,
        }
    }
    // Those that were handed over before the stop are connections like any other: they see the stop and end.
    inbox.close();
    while let Some((accepted, permit)) = inbox.recv().await {
        drop((accepted, permit));
    }
    drop(open);
    loop {
        tokio::select! {
            _ = all_closed.recv() => return,
            _ = sweep.tick() => paces.sweep(false),
            _ = stopped.wait_for(|stop| *stop == Stop::Now) => return,
        }
    }
}

async fn connection<S: Service, I: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: I,
    peer: Option<IpAddr>,
    service: Arc<S>,
    local: Arc<S::Local>,
    pace: Arc<Pace>,
    mut stopped: watch::Receiver<Stop>,
) {
    let io = TokioIo::new(Paced { stream, pace: Arc::clone(&pace) });
    let answering = Arc::clone(&pace);
    let service = service_fn(move |request| {
        let (service, local, pace) = (Arc::clone(&service), Arc::clone(&local), Arc::clone(&answering));
        async move {
            pace.request_begins();
            let answer = service.answer(&local, request, peer).await;
            pace.request_ends();
            Ok::<_, Infallible>(answer)
        }
    });
    let connection = http1::Builder::new()
        // The time limits are kept by `Pace`, which tells a slow head from an idle connection.
        .header_read_timeout(None)
        .max_buf_size(MAX_HEAD)
        .half_close(false)
        .serve_connection(io, service);
    let mut connection = pin!(connection);
    let too_slow = pace.too_slow();
    let mut too_slow = pin!(too_slow);
    tokio::select! {
        biased;
        // A broken connection is the client's affair; its requests have been counted.
        _ = connection.as_mut() => return,
        () = too_slow.as_mut() => return,
        _ = stopped.wait_for(|stop| *stop != Stop::No) => connection.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        _ = connection => {}
        () = too_slow => {}
    }
}

/// A stream that tells its pace when bytes come in.
struct Paced<I> {
    stream: I,
    pace: Arc<Pace>,
}

impl<I: AsyncRead + Unpin> AsyncRead for Paced<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.pace.bytes_came();
        }
        polled
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Paced<I> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
