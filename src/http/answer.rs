//! The body of an answer: whole, or a stream that goes on for as long as there is something to say.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::mpsc;

use super::pace::Pace;

/// What an answer says.
pub enum Body {
    /// All of it, known from the start.
    Whole(Full<Bytes>),
    /// Piece by piece.
    Stream(Stream),
}

/// The pieces of a streaming answer. When the client is gone, the sender notices that nobody listens.
pub struct Stream {
    pieces: mpsc::Receiver<Bytes>,
    /// The connection is busy as long as this is there.
    busy: Option<Busy>,
}

struct Busy(Arc<Pace>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.stream_ends();
    }
}

impl Body {
    /// A stream, and the way to feed it. At most `ahead` pieces wait for a client that reads slowly; whoever feeds it waits
    /// then. It ends when the sender is dropped, and when the server stops.
    #[must_use]
    pub fn stream(ahead: usize) -> (mpsc::Sender<Bytes>, Self) {
        let (feed, pieces) = mpsc::channel(ahead);
        (feed, Self::Stream(Stream { pieces, busy: None }))
    }

    /// Whether the answer goes on after its head, and then keeps the connection busy until its end. Answers whether it does.
    pub(super) fn keeps_busy(&mut self, pace: &Arc<Pace>) -> bool {
        match self {
            Self::Whole(_) => false,
            Self::Stream(stream) => {
                stream.busy = Some(Busy(Arc::clone(pace)));
                pace.stream_begins();
                true
            }
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(Full::new(bytes))
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self::from(Bytes::from(text))
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Self::from(Bytes::from_static(text.as_bytes()))
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Whole(_) => "Whole",
            Self::Stream(_) => "Stream",
        })
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match self.get_mut() {
            Self::Whole(whole) => Pin::new(whole).poll_frame(context),
            // What has no end of its own must not hold up the stop.
            Self::Stream(stream) if stream.busy.as_ref().is_some_and(|busy| busy.0.is_last()) => Poll::Ready(None),
            Self::Stream(stream) => {
                stream.pieces.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(whole) => whole.is_end_stream(),
            Self::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(whole) => whole.size_hint(),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}
