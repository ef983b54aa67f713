//! Which trace an event belongs to: the context that came with it, by W3C Trace Context.
//!
//! The headers `traceparent` and `tracestate` are stored with an event as they came, like all others. Looked into they are
//! on the way out, by [`Context`]: a valid context goes on with each delivery, of an invalid one neither header does.
//!
//! With the feature `otlp`, and where it is configured, the daemon takes part in traces: a [`Tracer`] makes a span of a request
//! and of each attempt to deliver its event. The request's span is then stored as the event's context, and an attempt's is
//! what its request says. Without the feature all of that is nothing.

mod context;
#[cfg(feature = "otlp")]
pub mod span;
mod state;
#[cfg(feature = "otlp")]
mod tracer;
#[cfg(not(feature = "otlp"))]
mod untraced;

use crate::event::Event;
pub use context::{Context, TraceParent};
#[cfg(feature = "otlp")]
pub use tracer::{Rules, Serving, Tracer};
#[cfg(not(feature = "otlp"))]
pub use untraced::{Serving, Tracer};

/// The header that says which trace and which span of it a request belongs to, in lower case.
pub const TRACEPARENT: &str = "traceparent";

/// The header with what tracing systems add to that, in lower case.
pub const TRACESTATE: &str = "tracestate";

/// An attempt to deliver that has ended.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// What was delivered.
    pub event: &'a Event,
    /// Its span, from [`Tracer::attempt`].
    pub span: Option<TraceParent>,
    /// To whom.
    pub subscriber: &'a str,
    /// The number of the attempt, from 1.
    pub number: u32,
    /// `delivered`, `retry` or `dead`.
    pub outcome: &'static str,
    /// The HTTP status, where there was one.
    pub status: Option<u16>,
    /// The label and the reason of a refusal.
    pub refused: Option<(&'static str, &'a str)>,
}
