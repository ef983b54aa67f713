//! Spans to a collector by OTLP over HTTP, with the feature `otlp`. Without it a configuration that asks for it is refused.
//!
//! - [`encode`]: spans as the collector reads them, in Protobuf, written by hand: a dozen kinds of field, against twenty
//!   crates that would come along for them;
//! - [`export`]: one thread with a runtime of its own, which empties the queue. Nothing waits for it: where the collector is
//!   slow or away, spans are dropped and counted.

#[cfg(feature = "otlp")]
mod encode;
#[cfg(feature = "otlp")]
mod export;

use http::{HeaderName, Uri};

use crate::sink::webhook::HeaderText;

#[cfg(feature = "otlp")]
pub use export::Exporter;

/// Whether this build can do it.
pub const AVAILABLE: bool = cfg!(feature = "otlp");

/// What is configured of it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where spans are posted to, path and all.
    pub endpoint: Uri,
    /// Headers added to each request.
    pub headers: Vec<(HeaderName, HeaderText)>,
    /// The share of requests without a trace of their own for which one is begun, 0 to 1.
    pub sample: f64,
    /// What the collector calls this daemon.
    pub service_name: String,
    /// The most requests, and the most attempts, of which a span is made in a second.
    pub rate: u32,
}

/// Without the feature there is none.
#[cfg(not(feature = "otlp"))]
#[derive(Debug)]
pub struct Exporter;

#[cfg(not(feature = "otlp"))]
impl Exporter {
    /// Starts nothing: settings do not come this far.
    ///
    /// # Errors
    /// None.
    pub fn start(_: Option<Settings>, _: &mut crate::metrics::Metrics) -> std::io::Result<Self> {
        Ok(Self)
    }

    /// Stops nothing.
    #[expect(clippy::unused_async, reason = "as with the feature")]
    pub async fn stop(self, _: std::time::Duration) {}
}
