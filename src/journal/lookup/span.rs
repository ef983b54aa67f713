//! What is known of a segment's events without reading its index: between which moments and ids all of them lie.

use crate::event::{EventId, Millis};

/// The least and the greatest time and id of some events. Clocks jump: neither follows from the order of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::journal) struct Span {
    pub times: (Millis, Millis),
    ids: (EventId, EventId),
}

impl Span {
    /// Takes one event in.
    pub(in crate::journal) fn add(span: &mut Option<Self>, time: Millis, id: EventId) {
        let span = span.get_or_insert(Self { times: (time, time), ids: (id, id) });
        span.times = (span.times.0.min(time), span.times.1.max(time));
        span.ids = (span.ids.0.min(id), span.ids.1.max(id));
    }

    /// Whether an event of this id could be among them.
    pub(super) fn may_have(&self, id: EventId) -> bool {
        (self.ids.0..=self.ids.1).contains(&id)
    }
}
