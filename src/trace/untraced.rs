//! A build without the feature `otlp`: no spans are made, and what asks for them compiles to nothing.

use std::time::Duration;

use http::{HeaderMap, HeaderName, StatusCode};

use super::{Attempt, TraceParent};
use crate::event::Event;

/// Makes no spans.
#[derive(Debug, Clone, Default)]
pub struct Tracer;

impl Tracer {
    /// The only one there is.
    #[must_use]
    pub fn off() -> Self {
        Self
    }

    /// A request begins.
    #[inline]
    #[must_use]
    pub fn request(&self, _: &HeaderMap) -> Serving {
        Serving
    }

    /// The span of an attempt that begins: none.
    #[inline]
    #[must_use]
    pub fn attempt(&self, _: &Event) -> Option<TraceParent> {
        None
    }

    /// An attempt has ended.
    #[inline]
    pub fn attempted(&self, _: &Attempt<'_>, _: Duration) {}
}

/// A request that is not traced.
#[derive(Debug)]
pub struct Serving;

impl Serving {
    /// Notes the length of the body.
    #[inline]
    pub fn body(&mut self, _: usize) {}

    /// Whether a header of the request is replaced by [`Serving::context`]: none is.
    #[inline]
    #[must_use]
    pub fn replaces(&self, _: &HeaderName) -> bool {
        false
    }

    /// What is stored as the context of the event: what came with it.
    #[inline]
    #[must_use]
    pub fn context(&self) -> Option<TraceParent> {
        None
    }

    /// The request is answered.
    #[inline]
    pub fn end(self, _: &str, _: &str, _: StatusCode, _: &HeaderMap) {}
}
