//! Which trace an event belongs to: the context that came with it, by W3C Trace Context.
//!
//! The headers `traceparent` and `tracestate` are stored with an event as they came, like all others. Looked into they are
//! on the way out, by [`Context`]: a valid context goes on with each delivery, of an invalid one neither header does.

mod context;
mod state;

pub use context::{Context, TraceParent};

/// The header that says which trace and which span of it a request belongs to, in lower case.
pub const TRACEPARENT: &str = "traceparent";

/// The header with what tracing systems add to that, in lower case.
pub const TRACESTATE: &str = "tracestate";
