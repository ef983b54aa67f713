//! What an answer means, and what a receiver can do with one that is too slow, too large or no answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use forebay::sink::webhook::Settings;
use forebay::sink::{Receipt, Refusal};
use http::{Response, StatusCode};
use http_body_util::Full;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use crate::receiver::{Receiver, raw, read_small};
use crate::{deliver, open, refused, settings, small};

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Response<Full<Bytes>> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).expect("a response")
}

/// A receiver that answers each request with that text and the end of the connection.
async fn saying(said: impl Into<Bytes>) -> String {
    let said = said.into();
    raw(move |_, mut stream| {
        let said = said.clone();
        async move {
            read_small(&mut stream).await;
            // It may be cut off in the middle, which can be the point.
            let _ = stream.write_all(&said).await;
            let _ = stream.shutdown().await;
        }
    })
    .await
}

#[tokio::test]
async fn delivered_is_2xx_and_nothing_else() {
    for status in (200..=599).filter(|status| status % 100 < 30) {
        let receiver =
            Receiver::answering(move || answer(status, &[("location", "/elsewhere?token=canary")], "")).await;
        let outcome = deliver(&open(&settings(&receiver.url())), small()).await;
        assert_eq!(receiver.take().len(), 1, "{status}: sent once, no redirect followed");
        if status < 300 {
            assert_eq!(outcome, Ok(Receipt { status: Some(status) }), "{status}");
            continue;
        }
        let refusal = outcome.expect_err("a refusal");
        assert_eq!((refusal.label, refusal.status), ("http_status", Some(status)));
        assert_eq!(refusal.give_up, [400, 410, 413, 415, 422].contains(&status), "{status}");
        assert!(refusal.reason.contains(&status.to_string()) && !refusal.reason.contains("canary"), "{refusal:?}");
    }
}

#[tokio::test]
async fn what_is_given_up_on_can_be_chosen() {
    for (status, give_up) in [(404, true), (400, false)] {
        let receiver = Receiver::answering(move || answer(status, &[], "")).await;
        let sink = open(&Settings { give_up_on: vec![404], ..settings(&receiver.url()) });
        assert_eq!(refused(&sink, small()).await.give_up, give_up, "{status}");
    }
}

#[tokio::test]
async fn retry_after_is_handed_on() {
    let far = "Fri, 31 Dec 2100 23:59:59 GMT";
    for (status, text, want) in [
        (503, "120", Some(Duration::from_secs(120))),
        (429, far, Some(Duration::from_secs(24 * 3600))),
        (500, "Sun, 06 Nov 1994 08:49:37 GMT", Some(Duration::ZERO)),
        (503, "soon", None),
    ] {
        let receiver = Receiver::answering(move || answer(status, &[("retry-after", text)], "")).await;
        assert_eq!(refused(&open(&settings(&receiver.url())), small()).await.retry_after, want, "{text}");
    }
}

#[tokio::test]
async fn the_beginning_of_the_answer_is_kept() {
    for (length, kept) in [(0, 0), (1, 1), (1024, 1024), (1025, 1024), (64 * 1024, 1024), (1024 * 1024, 1024)] {
        let receiver = Receiver::answering(move || answer(500, &[], &"x".repeat(length))).await;
        let Refusal { answer, label, .. } = refused(&open(&settings(&receiver.url())), small()).await;
        assert_eq!((answer, label), (Bytes::from("x".repeat(kept)), "http_status"), "{length}");
    }
}

#[tokio::test]
async fn a_slow_receiver_runs_into_the_timeout() {
    let limit = Duration::from_millis(500);
    // One that accepts and says nothing, one that stops in the head, one that stops in the body.
    for (said, status) in [("", None), ("HTTP/1.1 200 OK\r\n", None), ("HTTP/1.1 503 No\r\n\r\nhalf", Some(503))] {
        let closed = Arc::new(Notify::new());
        let noticed = closed.clone();
        let url = raw(move |_, mut stream| {
            let noticed = noticed.clone();
            async move {
                read_small(&mut stream).await;
                stream.write_all(said.as_bytes()).await.expect("written");
                assert!(matches!(stream.read(&mut [0]).await, Ok(0) | Err(_)));
                noticed.notify_one();
            }
        })
        .await;
        let refusal = refused(&open(&Settings { timeout: limit, ..settings(&url) }), small()).await;
        assert_eq!((refusal.label, refusal.status, refusal.give_up), ("timeout", status, false), "{said:?}");
        assert!(refusal.reason.contains("500ms"), "{}", refusal.reason);
        // The connection is not used again: the receiver sees it closed.
        closed.notified().await;
    }
}

#[tokio::test]
async fn a_handshake_that_does_not_end_runs_into_the_timeout() {
    let url =
        raw(|_, mut stream| async move { while stream.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {} }).await;
    let url = url.replace("http:", "https:");
    let ca = crate::tls::authority_file();
    let sink =
        open(&Settings { timeout: Duration::from_millis(500), ca: Some(ca.path().to_owned()), ..settings(&url) });
    assert_eq!(refused(&sink, small()).await.label, "timeout");
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    for (status, delivered) in [("200 OK", true), ("500 No", false)] {
        let closed = Arc::new(Notify::new());
        let noticed = closed.clone();
        let url = raw(move |_, mut stream| {
            let noticed = noticed.clone();
            async move {
                read_small(&mut stream).await;
                let head = format!("HTTP/1.1 {status}\r\ncontent-length: 99999999999\r\n\r\n");
                stream.write_all(head.as_bytes()).await.expect("written");
                // Ends only because the other side closes.
                while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
                noticed.notify_one();
            }
        })
        .await;
        let outcome = deliver(&open(&settings(&url)), small()).await;
        assert_eq!(outcome.is_ok(), delivered);
        if let Err(refusal) = outcome {
            assert_eq!((refusal.label, refusal.answer.len()), ("http_status", 1024));
        }
        closed.notified().await;
    }
}

#[tokio::test]
async fn what_is_not_an_answer_is_refused() {
    let many = (0..101).map(|n| format!("x-{n}: 1\r\n")).collect::<Vec<_>>().concat();
    let answers = [
        String::new(),
        "\r\n".repeat(3),
        "SSH-2.0-OpenSSH_9.2\r\n".to_owned(),
        "HTTP/1.1 abc\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx".to_owned(),
        format!("HTTP/1.1 200 OK\r\n{many}\r\n"),
        format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(128 * 1024)),
    ];
    for said in answers {
        let begin = said.chars().take(60).collect::<String>();
        let url = saying(said).await;
        let refusal = refused(&open(&settings(&url)), small()).await;
        assert_eq!((refusal.label, refusal.give_up), ("protocol", false), "{begin:?}: {refusal:?}");
        assert!(!refusal.reason.is_empty());
    }
}

#[tokio::test]
async fn a_yes_stands_however_it_ends() {
    let answers = [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel",
    ];
    for said in answers {
        let url = saying(said).await;
        assert_eq!(deliver(&open(&settings(&url)), small()).await.map(|_| ()), Ok(()), "{said:?}");
    }
}

#[tokio::test]
async fn a_no_stands_however_it_ends() {
    let url = saying("HTTP/1.1 410 Gone\r\ncontent-length: 10\r\n\r\nshort").await;
    let refusal = refused(&open(&settings(&url)), small()).await;
    assert_eq!((refusal.label, refusal.status, refusal.give_up), ("http_status", Some(410), true));
}

#[tokio::test]
async fn an_interim_answer_is_not_the_answer() {
    let interim = "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n";
    let url = saying(format!("{interim}HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n")).await;
    assert_eq!(refused(&open(&settings(&url)), small()).await.status, Some(StatusCode::SERVICE_UNAVAILABLE.as_u16()));
}
