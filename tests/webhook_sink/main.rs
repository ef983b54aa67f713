//! The webhook sink against receivers that listen on real sockets.

mod addresses;
mod answers;
mod connections;
mod formats;
mod receiver;
mod tls;

use std::time::Duration;

use bytes::Bytes;
use forebay::event::{Event, EventId, Headers, Millis, Seq};
use forebay::sink::webhook::{Format, Settings, Webhook};
use forebay::sink::{Delivery, Outcome, Refusal, Sink};
use uuid::Uuid;

/// The id of every event in these tests.
const ID: &str = "0199a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b";

/// What the configuration says when it says little.
fn settings(url: &str) -> Settings {
    Settings {
        url: url.parse().unwrap_or_else(|error| panic!("{url}: {error}")),
        timeout: Duration::from_secs(20),
        concurrency: 8,
        headers: Vec::new(),
        sign: Vec::new(),
        format: Format::Forward,
        give_up_on: vec![400, 410, 413, 415, 422],
        ca: None,
        client_cert: None,
    }
}

fn open(settings: &Settings) -> Webhook {
    Webhook::open(settings).unwrap_or_else(|error| panic!("{}: {error}", settings.url))
}

fn delivery(headers: &[(&str, &[u8])], body: &[u8]) -> Delivery {
    let mut wire = Vec::new();
    for (name, value) in headers {
        Headers::push_wire(&mut wire, name, value);
    }
    let event = Event {
        seq: Seq(42),
        id: EventId(ID.parse::<Uuid>().expect("an id")),
        time: Millis(1_795_420_800_123),
        topic: "github".into(),
        kind: Some("push".into()),
        delivery_id: None,
        headers: Headers::from_wire(wire.into()),
        body: Bytes::copy_from_slice(body),
    };
    Delivery { event, attempt: 3, span: None }
}

/// A small JSON event.
fn small() -> Delivery {
    delivery(&[("content-type", b"application/json")], b"{}")
}

async fn deliver(sink: &Webhook, delivery: Delivery) -> Outcome {
    let mut outcomes = sink.deliver(&[delivery]).await;
    assert_eq!(outcomes.len(), 1);
    outcomes.remove(0)
}

async fn refused(sink: &Webhook, delivery: Delivery) -> Refusal {
    deliver(sink, delivery).await.expect_err("a refusal")
}
