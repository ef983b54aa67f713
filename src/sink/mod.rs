//! Where a subscriber's events go. A sink has one verb, `deliver`; each kind lives in a file of its own.
//!
//! The contract: a delivery counts only on a *positive* sign that the receiver has it — a 2xx answer, a synced
//! file, a broker's acknowledgement. Anything else is a [`Refusal`]. A sink never retries by itself, never reorders
//! a batch, and may be asked to deliver the same event again at any time.

pub mod cloudevents;
pub mod file;
pub mod line;
pub mod readable;
pub mod stdout;
mod text;
mod thread;
pub mod webhook;
mod words;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;

use crate::event::Event;
use crate::trace::TraceParent;
pub use words::Address;

/// How much a sink takes at a time. The worker never gives it more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// The most deliveries in one call.
    pub batch: usize,
    /// The most calls under way at once.
    pub parallel: usize,
}

/// One event on its way to one subscriber.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// What is delivered.
    pub event: Event,
    /// The number of this attempt, from 1.
    pub attempt: u32,
    /// The attempt's own span, where one is made of it.
    pub span: Option<TraceParent>,
}

/// Why a delivery did not count.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Refusal {
    /// A short label for metrics, from a fixed set: `http_status`, `timeout`, `connect`, `tls`, `blocked`, `io`, ...
    pub label: &'static str,
    /// What happened, for a person. Holds no secret.
    pub reason: String,
    /// The HTTP status, where there was one.
    pub status: Option<u16>,
    /// The receiver asked not to be tried again sooner.
    pub retry_after: Option<Duration>,
    /// The receiver will never take it: no further attempt.
    pub give_up: bool,
    /// The beginning of the answer, 1 KiB at most, for whoever looks at the attempt.
    pub answer: Bytes,
}

impl Refusal {
    /// A file or pipe that would not take it.
    pub(crate) fn io(reason: String) -> Self {
        Self { label: "io", reason, ..Self::default() }
    }
}

/// The positive sign that the receiver has a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Receipt {
    /// The HTTP status, where there was one.
    pub status: Option<u16>,
}

/// What came of one delivery.
pub type Outcome = Result<Receipt, Refusal>;

/// The outcomes of a batch, one for each delivery, in their order.
pub type Outcomes<'a> = Pin<Box<dyn Future<Output = Vec<Outcome>> + Send + 'a>>;

/// Where a subscriber's events go.
pub trait Sink: Send + Sync {
    /// How much it takes at a time.
    fn capacity(&self) -> Capacity;

    /// Tries to deliver a batch once. Answers one outcome for each delivery, in their order. Dropping the future
    /// abandons the attempt: the receiver may or may not have it.
    fn deliver<'a>(&'a self, batch: &'a [Delivery]) -> Outcomes<'a>;

    /// Opens files anew, after something else has moved them away. Called on SIGHUP.
    fn reopen(&self) {}
}

/// How an event is written to stdout and files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LineFormat {
    /// forebay's own JSON envelope.
    #[default]
    Envelope,
    /// CloudEvents 1.0 in JSON.
    CloudEvents,
    /// The body and a line break.
    Raw,
    /// A few lines for whoever looks on, the body shortened. `forebay dev` alone.
    Readable {
        /// With the colours of a terminal.
        color: bool,
    },
}

/// A sink as it is configured.
#[derive(Debug, Clone)]
pub enum Settings {
    /// Standard output.
    Stdout(stdout::Settings),
    /// Files.
    File(file::Settings),
    /// A webhook.
    Webhook(Box<webhook::Settings>),
}

/// Opens a sink.
///
/// # Errors
/// In words, when its files, certificates or keys cannot be read or used.
pub fn open(settings: &Settings) -> Result<Box<dyn Sink>, String> {
    Ok(match settings {
        Settings::Stdout(settings) => Box::new(stdout::Stdout::open(settings).map_err(|error| error.to_string())?),
        Settings::File(settings) => Box::new(file::Files::open(settings).map_err(|error| error.to_string())?),
        Settings::Webhook(settings) => Box::new(webhook::Webhook::open(settings).map_err(|error| error.to_string())?),
    })
}
