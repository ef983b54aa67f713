//! Connections: used again, replaced when closed, given up when the attempt is.

use std::sync::Arc;

use forebay::sink::webhook::Settings;
use forebay::sink::{Receipt, Sink};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::receiver::{Receiver, raw, read_small};
use crate::{deliver, open, refused, settings, small};

#[tokio::test]
async fn one_after_the_other_uses_one_connection() {
    let receiver = Receiver::start().await;
    let sink = open(&settings(&receiver.url()));
    for _ in 0..50 {
        deliver(&sink, small()).await.expect("delivered");
    }
    assert_eq!((receiver.take().len(), receiver.connections()), (50, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_shared_under_concurrency() {
    let receiver = Receiver::start().await;
    let sink = Arc::new(open(&settings(&receiver.url())));
    assert_eq!((sink.capacity().batch, sink.capacity().parallel), (1, 8));
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let sink = sink.clone();
            tokio::spawn(async move {
                for _ in 0..100 {
                    deliver(&sink, small()).await.expect("delivered");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a task");
    }
    assert_eq!(receiver.take().len(), 800);
    // A dialling may be overtaken by a connection that comes free, so there can be more than 8, but not many.
    assert!((1..=32).contains(&receiver.connections()), "{}", receiver.connections());
}

#[tokio::test]
async fn a_connection_closed_while_idle_is_replaced() {
    // Every connection is closed after one answer, without having said so.
    let url = raw(|_, mut stream| async move {
        read_small(&mut stream).await;
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.expect("written");
    })
    .await;
    let sink = open(&settings(&url));
    let mut before_failed = false;
    let mut delivered = 0;
    for _ in 0..50 {
        let outcome = deliver(&sink, small()).await;
        if let Err(refusal) = &outcome {
            // Written just as the receiver closed: it may have acted, so this is not for the sink to repeat.
            assert_eq!(refusal.label, "protocol");
            assert!(!before_failed, "the next attempt is made on a new connection");
        }
        before_failed = outcome.is_err();
        delivered += usize::from(outcome.is_ok());
    }
    assert!(delivered >= 25, "{delivered}");
}

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let refusal = refused(&open(&settings(&format!("http://{address}/path?token=canary"))), small()).await;
    assert_eq!((refusal.label, refusal.status, refusal.give_up), ("connect", None, false));
    assert!(refusal.reason.contains(&address.to_string()), "{}", refusal.reason);
    assert!(refusal.reason.to_lowercase().contains("refused") && !refusal.reason.contains("canary"));
}

#[tokio::test]
async fn a_name_that_cannot_exist() {
    // A label has at most 63 characters (RFC 1035 2.3.4), so no server needs to be asked.
    let host = format!("{}.invalid", "x".repeat(70));
    let refusal = refused(&open(&settings(&format!("http://{host}/"))), small()).await;
    assert_eq!(refusal.label, "dns", "{}", refusal.reason);
    assert!(refusal.reason.contains(&host));
}

#[tokio::test]
async fn the_next_address_is_tried() {
    // `localhost` may be ::1 first; the receiver listens on 127.0.0.1 only.
    let receiver = Receiver::start().await;
    let url = format!("http://localhost:{}/", receiver.address.port());
    deliver(&open(&settings(&url)), small()).await.expect("delivered");
    assert_eq!(receiver.only().one("host"), format!("localhost:{}", receiver.address.port()));
}

#[tokio::test]
async fn dropping_the_attempt_closes_its_connection() {
    let (arrived, closed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell_arrived, tell_closed) = (arrived.clone(), closed.clone());
    let url = raw(move |_, mut stream| {
        let (arrived, closed) = (tell_arrived.clone(), tell_closed.clone());
        async move {
            read_small(&mut stream).await;
            arrived.notify_one();
            assert!(matches!(stream.read(&mut [0]).await, Ok(0) | Err(_)));
            closed.notify_one();
        }
    })
    .await;
    let sink = open(&settings(&url));
    tokio::select! {
        outcome = deliver(&sink, small()) => panic!("nothing was answered: {outcome:?}"),
        () = arrived.notified() => {}
    }
    closed.notified().await;
}

#[tokio::test]
async fn a_batch_has_an_outcome_for_each() {
    let receiver = Receiver::start().await;
    let sink = open(&Settings { concurrency: 1, ..settings(&receiver.url()) });
    let outcomes = sink.deliver(&[small(), small(), small()]).await;
    assert_eq!(outcomes, [1, 2, 3].map(|_| Ok(Receipt { status: Some(200) })));
    assert_eq!(receiver.take().len(), 3);
    assert!(sink.deliver(&[]).await.is_empty());
}
