//! What filters say of events.

use bytes::Bytes;
use uuid::Uuid;

use super::*;
use crate::event::{EventId, Headers, Millis, Seq};

/// An event on the topic `github` with these headers and this body.
pub(super) fn event(kind: Option<&str>, headers: &[(&str, &[u8])], body: &str) -> Event {
    let mut wire = Vec::new();
    for (name, value) in headers {
        Headers::push_wire(&mut wire, name, value);
    }
    Event {
        seq: Seq(7),
        id: EventId(Uuid::from_u128(0x0193_5a3c_7a00_7000_8000_0000_0000_0001)),
        time: Millis(1_795_420_800_123),
        topic: "github".into(),
        kind: kind.map(Into::into),
        delivery_id: None,
        headers: Headers::from_wire(wire.into()),
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}
