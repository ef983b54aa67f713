//! Reading a body within its limits: its own, the time, and the memory of all bodies in flight together.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as _, Frame, Incoming as Body};
use prometheus_client::metrics::gauge::Gauge;

use super::reply::Refusal;

/// The memory for all bodies in flight.
#[derive(Debug, Clone)]
pub(super) struct Budget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: AtomicU64,
    used: AtomicU64,
    gauge: Gauge,
}

impl Budget {
    pub(super) fn new(limit: u64, gauge: Gauge) -> Self {
        Self(Arc::new(Inner { limit: AtomicU64::new(limit), used: AtomicU64::new(0), gauge }))
    }

    /// Changes the limit. What is reserved beyond it is given back in its time.
    pub(super) fn set_limit(&self, limit: u64) {
        self.0.limit.store(limit, Ordering::Relaxed);
    }

    fn reservation(&self) -> Reservation {
        Reservation { budget: Arc::clone(&self.0), bytes: 0 }
    }
}

/// A part of the budget, given back when dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    budget: Arc<Inner>,
    bytes: u64,
}

impl Reservation {
    /// Makes the reservation at least this large, if the budget allows.
    fn grow_to(&mut self, bytes: u64) -> bool {
        let Some(more) = bytes.checked_sub(self.bytes) else { return true };
        let before = self.budget.used.fetch_add(more, Ordering::Relaxed);
        if before + more > self.budget.limit.load(Ordering::Relaxed) {
            self.budget.used.fetch_sub(more, Ordering::Relaxed);
            return false;
        }
        self.bytes = bytes;
        self.show();
        true
    }

    fn show(&self) {
        self.budget.gauge.set(self.budget.used.load(Ordering::Relaxed).cast_signed());
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
        self.show();
    }
}

/// Reads a body to its end.
///
/// A sender that says the length reserves it all before the first byte; one that does not reserves as it goes.
pub(super) async fn read(
    mut body: Body,
    length: Option<u64>,
    limit: u64,
    timeout: Duration,
    budget: &Budget,
) -> Result<(Bytes, Reservation), Refusal> {
    let mut reservation = budget.reservation();
    if !reservation.grow_to(length.unwrap_or(0)) {
        return Err(Refusal::NoRoom);
    }
    let mut first = None;
    let mut whole = Vec::new();
    // Most bodies are there already: the timer is set only for those that are not.
    let mut timer: Option<Pin<Box<tokio::time::Sleep>>> = None;
    loop {
        let frame = poll_fn(|context| {
            if let Poll::Ready(frame) = pin!(&mut body).poll_frame(context) {
                return Poll::Ready(Ok(frame));
            }
            let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
            timer.as_mut().poll(context).map(|()| Err(Refusal::BodyTimeout))
        })
        .await?;
        let Some(frame) = frame else { break };
        let frame: Frame<Bytes> = frame.map_err(|_| Refusal::BodyBroken)?;
        // Trailers are not part of what was signed.
        let Ok(data) = frame.into_data() else { continue };
        let total = first.as_ref().map_or(whole.len(), Bytes::len) + data.len();
        if total as u64 > limit {
            return Err(Refusal::TooLarge);
        }
        if !reservation.grow_to(total as u64) {
            return Err(Refusal::NoRoom);
        }
        if total == data.len() {
            first = Some(data);
            continue;
        }
        if whole.capacity() < total {
            // What the sender says it will send is reserved already. Otherwise twice as much as before, as far as there
            // is room: memory that was taken ahead counts as well.
            let ahead = length.unwrap_or_else(|| (2 * total as u64).min(limit)).max(total as u64);
            let size = if reservation.grow_to(ahead) { ahead } else { total as u64 };
            whole.reserve_exact(usize::try_from(size).unwrap_or(total).saturating_sub(whole.len()));
        }
        if let Some(first) = first.take() {
            whole.extend_from_slice(&first);
        }
        whole.extend_from_slice(&data);
    }
    Ok((first.unwrap_or_else(|| whole.into()), reservation))
}
