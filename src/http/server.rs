//! Listening, and what surrounds a request: a limit on connections, time limits, and an orderly end.
//!
//! One thread accepts; as many serve as there are processors, each with a runtime of its own, so that a request never
//! changes threads, and nothing that deliveries do keeps a client waiting. hyper speaks HTTP/1.1 only here: senders of webhooks do, and nothing has to be detected.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::thread::JoinHandle;
use std::time::Duration;

use http::Request;
use http::header::{CONNECTION, HeaderValue};
use hyper::body::Incoming as Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use super::listener::{Accepted, Acceptor, Listener};
use super::pace::{Pace, Paces};
use super::quiet::Quiet;
use super::reply::Answer;
use super::stream::{Shared, Socket};

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

/// How long after the beginning of a stop requests are still taken on connections that were open before it. Their senders
/// could not know, and most do not try again.
pub(super) const GRACE: Duration = Duration::from_millis(100);

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

    /// Tells that there is one connection more (1) or less (-1).
    fn connections(&self, change: i64);

    /// Tells that a request could not be read, and was answered with this status.
    fn unreadable(&self, status: u16);
}

/// A server that runs.
#[derive(Debug)]
pub struct Server {
    stop: watch::Sender<Stop>,
    /// The one that accepts, then those that serve.
    threads: Vec<JoinHandle<()>>,
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
    /// Serves what the listeners accept.
    ///
    /// # Errors
    /// When a thread or its runtime cannot be started.
    pub fn start<S: Service>(
        name: &str,
        listeners: Vec<Listener>,
        service: &Arc<S>,
        limits: Limits,
    ) -> io::Result<Self> {
        let (stop, stopped) = watch::channel(Stop::No);
        // Each accepting task holds a permit while it waits; that of the only one is for the last connection.
        let permits = Arc::new(Semaphore::new(limits.connections + listeners.len().saturating_sub(1)));
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
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let acceptors = {
            let _inside = runtime.enter();
            listeners.iter().map(Listener::acceptor).collect::<io::Result<Vec<_>>>()?
        };
        let thread = std::thread::Builder::new().name(format!("{name}-accept")).spawn(move || {
            let turn = Arc::new(AtomicUsize::new(0));
            let lines: Arc<[Line]> = lines.into();
            runtime.block_on(async {
                let mut accepting = tokio::task::JoinSet::new();
                for acceptor in acceptors {
                    let (lines, permits) = (Arc::clone(&lines), Arc::clone(&permits));
                    accepting.spawn(accept(acceptor, lines, permits, stopped.clone(), Arc::clone(&turn)));
                }
                while accepting.join_next().await.is_some() {}
            });
            // Only now is nothing accepted any more; a unix socket is removed.
            drop(listeners);
        })?;
        threads.insert(0, thread);
        Ok(Self { stop, threads })
    }

    /// Stops: accepts nothing more, finishes open requests, and drops what is left when `patience` ends.
    pub async fn stop(mut self, patience: Duration) {
        self.stop.send_replace(Stop::Drain);
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

async fn accept(
    acceptor: Acceptor,
    lines: Arc<[Line]>,
    permits: Arc<Semaphore>,
    mut stopped: watch::Receiver<Stop>,
    turn: Arc<AtomicUsize>,
) {
    let quiet = Quiet::default();
    loop {
        let one = async {
            let permit = Arc::clone(&permits).acquire_owned().await.expect("never closed");
            (acceptor.accept().await, permit)
        };
        let (accepted, permit) = tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop != Stop::No) => return,
            accepted = one => accepted,
        };
        match accepted {
            // The thread on the other side ends after this one.
            Ok(accepted) => {
                let turn = turn.fetch_add(1, Ordering::Relaxed);
                drop(lines[turn % lines.len()].send((accepted, permit)));
            }
            // The connection broke before it was ours: the next one is not concerned.
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                // Most likely no file descriptor is left; trying at once again would only burn time.
                if let Some(suppressed) = quiet.may_speak("", "accept") {
                    tracing::warn!(%error, suppressed, "cannot accept connections");
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    use io::ErrorKind::{HostUnreachable, NetworkDown, NetworkUnreachable, PermissionDenied};
    // The second half: accept(2), "error handling", passes on what befell the new connection; a firewall gives EPERM.
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
        || matches!(error.kind(), HostUnreachable | NetworkDown | NetworkUnreachable | PermissionDenied)
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
    let begin = |accepted, permit: OwnedSemaphorePermit, open: mpsc::Sender<Infallible>| {
        let (counted, pace) = (Counted::new(service), paces.begin());
        let (service, local, stopped) = (Arc::clone(service), Arc::clone(&local), connection_stop.clone());
        tokio::spawn(async move {
            let served = match accepted {
                Accepted::Tcp(stream, peer) => match TcpStream::from_std(stream) {
                    Ok(stream) => {
                        connection(stream, Some(peer), service, local, pace, stopped).await;
                        Ok(())
                    }
                    Err(error) => Err(error),
                },
                Accepted::Unix(stream) => match UnixStream::from_std(stream) {
                    Ok(stream) => {
                        connection(stream, None, service, local, pace, stopped).await;
                        Ok(())
                    }
                    Err(error) => Err(error),
                },
            };
            if let Err(error) = served {
                tracing::warn!(%error, "cannot serve a connection");
            }
            drop((counted, permit, open));
        });
    };
    loop {
        tokio::select! {
            accepted = inbox.recv() => {
                let Some((accepted, permit)) = accepted else { break };
                begin(accepted, permit, open.clone());
            }
            _ = sweep.tick() => paces.sweep(permits.available_permits() == 0),
            _ = stopped.wait_for(|stop| *stop != Stop::No) => break,
        }
    }
    // Those that were handed over before the stop are connections like any other: they see the stop and end.
    inbox.close();
    while let Some((accepted, permit)) = inbox.recv().await {
        begin(accepted, permit, open.clone());
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

/// Counts a connection as long as it is there.
struct Counted<S: Service>(Arc<S>);

impl<S: Service> Counted<S> {
    fn new(service: &Arc<S>) -> Self {
        service.connections(1);
        Self(Arc::clone(service))
    }
}

impl<S: Service> Drop for Counted<S> {
    fn drop(&mut self) {
        self.0.connections(-1);
    }
}

async fn connection<S: Service, I: Socket>(
    socket: I,
    peer: Option<IpAddr>,
    service: Arc<S>,
    local: Arc<S::Local>,
    pace: Arc<Pace>,
    mut stopped: watch::Receiver<Stop>,
) {
    let socket = Arc::new(socket);
    let io = TokioIo::new(Paced { stream: Shared(Arc::clone(&socket)), pace: Arc::clone(&pace) });
    let (answering, told) = (Arc::clone(&pace), Arc::clone(&service));
    let service = service_fn(move |request| {
        let (service, local, pace) = (Arc::clone(&service), Arc::clone(&local), Arc::clone(&answering));
        async move {
            pace.request_begins();
            let mut answer = service.answer(&local, request, peer).await;
            if pace.is_last() {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            // Only refusals leave a body unread.
            let closes = !answer.status().is_success() && answer.headers().contains_key(CONNECTION);
            if !answer.body_mut().keeps_busy(&pace) {
                pace.request_ends(closes);
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let ended = |end: hyper::Result<()>| match end {
        // hyper closes the connection without an answer.
        Err(error) if error.is_parse_version_h2() => {}
        // hyper tells the two apart in its answer and in its words only.
        Err(error) if error.is_parse_too_large() && error.to_string().starts_with("URI") => told.unreadable(414),
        Err(error) if error.is_parse_too_large() => told.unreadable(431),
        Err(error) if error.is_parse() => told.unreadable(400),
        // Otherwise a broken connection is the client's affair; its requests have been counted.
        _ => {}
    };
    let connection = http1::Builder::new()
        // The time limits are kept by `Pace`, which tells a slow head from an idle connection.
        .header_read_timeout(None)
        .max_buf_size(MAX_HEAD)
        // A client that has said all may close its half, and is answered all the same; and who hangs up while the
        // journal syncs does not end the work on its request, so that what is recorded is also counted.
        .half_close(true)
        .serve_connection(io, service);
    let mut connection = pin!(connection);
    let too_slow = async {
        tokio::select! {
            () = pace.too_slow() => {}
            () = pace.gone(&*socket) => {}
        }
    };
    let mut too_slow = pin!(too_slow);
    tokio::select! {
        biased;
        end = connection.as_mut() => return ended(end),
        () = too_slow.as_mut() => return,
        _ = stopped.wait_for(|stop| *stop != Stop::No) => {}
    }
    if pace.ends_soon() {
        // hyper would close at once, over a request that is on its way.
        tokio::select! {
            biased;
            end = connection.as_mut() => return ended(end),
            () = too_slow.as_mut() => return,
            () = tokio::time::sleep(GRACE) => {}
        }
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        end = connection => ended(end),
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

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Paced<I> {
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

    /// Closes this half, and where the client may still be sending, waits for its end: closing over bytes that were not
    /// read resets the connection, and the client may lose the answer (RFC 9112 section 9.6).
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        if !self.pace.lingers() {
            return Poll::Ready(Ok(()));
        }
        let mut scratch = [std::mem::MaybeUninit::uninit(); 4096];
        loop {
            let mut unread = ReadBuf::uninit(&mut scratch);
            let read = ready!(Pin::new(&mut self.stream).poll_read(context, &mut unread));
            if read.is_err() || unread.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}
