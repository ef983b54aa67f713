//! A span: one operation of this daemon within a trace, as it is sent to a collector.

/// Which side of a request it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A request that was answered.
    Server,
    /// A request that was made.
    Client,
}

/// What is told of a span beside its times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// Yes or no.
    Truth(bool),
}

/// See the module. Holds no secret.
#[derive(Debug, Clone)]
pub struct Span {
    /// The trace.
    pub trace: [u8; 16],
    /// Its own id.
    pub id: [u8; 8],
    /// The span it is part of, here or elsewhere; none if the trace begins with it.
    pub parent: Option<[u8; 8]>,
    /// The flags of the trace.
    pub flags: u8,
    /// `tracestate`, or empty.
    pub state: String,
    /// What it is, from a small set of names.
    pub name: String,
    /// Which side it is.
    pub kind: Kind,
    /// When it began, in nanoseconds since 1970.
    pub start: u64,
    /// When it ended, in nanoseconds since 1970.
    pub end: u64,
    /// What else is told of it, by the names of OpenTelemetry's conventions where there is one.
    pub attributes: Vec<(&'static str, Value)>,
    /// Why it failed, if it did.
    pub error: Option<String>,
}
