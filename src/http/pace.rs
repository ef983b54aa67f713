//! How long a connection may take for what it does.
//!
//! hyper's own limit on heads also ends connections that merely wait for their next request. That is too early for a
//! reverse proxy, which keeps connections for a minute or so: it would post into a connection that is being closed,
//! and the webhook would be lost with a 502. So waiting has a limit of its own here, longer than a proxy's.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::stream::Socket;

/// The head of a request is awaited or coming in.
const HEAD: u64 = 0;
/// A request is being answered; body and answer have limits of their own.
const BUSY: u64 = 1;
/// The connection is kept for another request.
const IDLE: u64 = 2;

/// All is answered, and what the client still sends is read and thrown away, so that it gets to read the answer.
const LINGER: u64 = 3;

/// How long what nobody wants is read.
const LINGER_LIMIT: Duration = Duration::from_secs(5);

/// How long a connection may wait for its next request while new ones cannot be accepted.
const CROWDED_IDLE: Duration = Duration::from_secs(1);

/// What one connection is doing, and since when.
#[derive(Debug)]
pub(super) struct Pace {
    began: Instant,
    /// The phase in the lowest two bits, above them the milliseconds from `began` to its beginning.
    state: AtomicU64,
    slow: AtomicBool,
    /// The server stops: the next request is the last.
    last: AtomicBool,
    bell: Notify,
    /// An answer goes on, for as long as there is something to say.
    streaming: AtomicBool,
    turn: Notify,
}

impl Pace {
    fn enter(&self, phase: u64) {
        let since = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX >> 2);
        self.state.store(since << 2 | phase, Ordering::Relaxed);
    }

    pub(super) fn bytes_came(&self) {
        if self.state.load(Ordering::Relaxed) & 3 == IDLE {
            self.enter(HEAD);
        }
    }

    pub(super) fn request_begins(&self) {
        self.enter(BUSY);
    }

    /// `closes`: the answer ends the connection, and part of the request may be unread.
    pub(super) fn request_ends(&self, closes: bool) {
        self.enter(if closes { LINGER } else { IDLE });
    }

    /// The head of an answer is done, and the rest comes bit by bit.
    pub(super) fn stream_begins(&self) {
        self.streaming.store(true, Ordering::SeqCst);
        self.turn.notify_one();
    }

    /// All of it has been said.
    pub(super) fn stream_ends(&self) {
        self.streaming.store(false, Ordering::SeqCst);
        self.turn.notify_one();
        self.request_ends(false);
    }

    async fn until_streaming(&self, wanted: bool) {
        while self.streaming.load(Ordering::SeqCst) != wanted {
            self.turn.notified().await;
        }
    }

    /// Ends when the client has gone while it was being streamed to. At any other time a client that closes its half has
    /// said all, and waits for its answer.
    pub(super) async fn gone(&self, socket: &impl Socket) {
        loop {
            self.until_streaming(true).await;
            tokio::select! {
                () = socket.hung_up() => return,
                () = self.until_streaming(false) => {}
            }
        }
    }

    /// Whether the connection is to be closed after the present request.
    pub(super) fn is_last(&self) -> bool {
        self.last.load(Ordering::Relaxed)
    }

    /// The server stops. Whether the connection is free to take another, last request.
    pub(super) fn ends_soon(&self) -> bool {
        self.last.store(true, Ordering::Relaxed);
        matches!(self.state.load(Ordering::Relaxed) & 3, HEAD | IDLE)
    }

    /// Asked when the connection is being closed: whether the client may still be sending what will not be read.
    pub(super) fn lingers(&self) -> bool {
        match self.state.load(Ordering::Relaxed) & 3 {
            LINGER => true,
            // The head could not be read. In a stop it may as well be that none has come.
            HEAD if !self.is_last() => {
                self.enter(LINGER);
                true
            }
            _ => false,
        }
    }

    /// Ends when the connection has taken too long.
    pub(super) async fn too_slow(&self) {
        while !self.slow.load(Ordering::Relaxed) {
            self.bell.notified().await;
        }
    }
}

/// The connections of one thread.
#[derive(Debug)]
pub(super) struct Paces {
    header: Duration,
    idle: Duration,
    all: Mutex<Vec<Weak<Pace>>>,
}

impl Paces {
    pub(super) fn new(header: Duration, idle: Duration) -> Self {
        Self { header, idle, all: Mutex::default() }
    }

    /// How often [`Paces::sweep`] is to be called: the limits are kept to this accuracy.
    pub(super) fn period(&self) -> Duration {
        (self.header.min(self.idle) / 4).clamp(Duration::from_millis(20), Duration::from_millis(500))
    }

    /// A connection that was accepted now, and owes the head of its first request.
    pub(super) fn begin(&self) -> Arc<Pace> {
        let (state, slow) = (AtomicU64::new(HEAD), AtomicBool::new(false));
        let last = AtomicBool::new(false);
        let (streaming, turn) = (AtomicBool::new(false), Notify::new());
        let pace = Pace { began: Instant::now(), state, slow, last, bell: Notify::new(), streaming, turn };
        let pace = Arc::new(pace);
        self.all.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&pace));
        pace
    }

    /// Ends the connections that have taken too long. Where it is crowded, those that only wait for another request
    /// make room for new ones.
    pub(super) fn sweep(&self, crowded: bool) {
        let idle = if crowded { self.idle.min(CROWDED_IDLE) } else { self.idle };
        self.all.lock().unwrap_or_else(PoisonError::into_inner).retain(|pace| {
            let Some(pace) = pace.upgrade() else { return false };
            let state = pace.state.load(Ordering::Relaxed);
            let limit = match state & 3 {
                HEAD => self.header,
                IDLE => idle,
                LINGER => self.header.min(LINGER_LIMIT),
                _ => return true,
            };
            if pace.began.elapsed().saturating_sub(Duration::from_millis(state >> 2)) > limit {
                pace.slow.store(true, Ordering::Relaxed);
                pace.bell.notify_one();
            }
            true
        });
    }
}
