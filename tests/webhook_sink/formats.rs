//! Exact bytes and headers of each format, and the signatures.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use forebay::event::Millis;
use forebay::secret::{Key, Secret};
use forebay::sink::webhook::{Format, HeaderText, OpenError, Settings, Webhook};
use http::{HeaderName, Method, Version};
use serde_json::Value;

use crate::receiver::{Received, Receiver};
use crate::{ID, deliver, delivery, open, refused, settings, small};

/// Not UTF-8, not JSON, with both kinds of line break.
const BODY: &[u8] = b"{\"a\" : 1.0}\r\n\n\xff\x00";

/// What a provider's request looks like after it came through a proxy, with everything in it that stays here.
const INBOUND: &[(&str, &[u8])] = &[
    ("host", b"hooks.example.com"),
    ("content-type", b"application/json; charset=UTF-8"),
    ("content-length", b"999"),
    ("transfer-encoding", b"chunked"),
    ("connection", b"close, X-Hop"),
    ("x-hop", b"1"),
    ("keep-alive", b"timeout=5"),
    ("te", b"trailers"),
    ("trailer", b"x"),
    ("upgrade", b"h2c"),
    ("http2-settings", b"AAMAAABkAAQAAP__"),
    ("proxy-authorization", b"Basic eA=="),
    ("proxy-connection", b"keep-alive"),
    ("expect", b"100-continue"),
    ("forwarded", b"for=1.2.3.4"),
    ("x-forwarded-for", b"1.2.3.4"),
    ("x-forwarded-host", b"hooks.example.com"),
    ("x-real-ip", b"1.2.3.4"),
    ("forebay-event-id", b"forged"),
    ("forebay-admin", b"forged"),
    ("user-agent", b"GitHub-Hookshot/1234567"),
    ("accept", b"*/*"),
    ("accept-encoding", b"gzip"),
    ("idempotency-key", b"from the provider"),
    ("webhook-signature", b"v1,inbound"),
    ("x-github-event", b"push"),
    ("x-hub-signature-256", b"sha256=757107ea0eb2509fc211221cce984b8a"),
    ("x-twice", b"one"),
    ("x-twice", b"two"),
    ("x-latin", b"caf\xe9"),
];

fn pairs(request: &Received) -> BTreeMap<String, Vec<Vec<u8>>> {
    let mut all = BTreeMap::<_, Vec<_>>::new();
    for (name, value) in &request.headers {
        all.entry(name.to_string()).or_default().push(value.as_bytes().to_vec());
    }
    all
}

fn expected(list: &[(&str, &[u8])]) -> BTreeMap<String, Vec<Vec<u8>>> {
    let mut all = BTreeMap::<_, Vec<_>>::new();
    for (name, value) in list {
        all.entry((*name).to_owned()).or_default().push(value.to_vec());
    }
    all
}

async fn one(change: impl FnOnce(&mut Settings)) -> Received {
    let receiver = Receiver::start().await;
    let mut settings = settings(&receiver.url());
    change(&mut settings);
    deliver(&open(&settings), delivery(INBOUND, BODY)).await.expect("delivered");
    let request = receiver.only();
    assert_eq!(request.method, Method::POST);
    assert_eq!(request.uri, "/hook?a=1&b=%20");
    assert_eq!(request.version, Version::HTTP_11);
    assert_eq!(request.one("host"), receiver.address.to_string());
    request
}

#[tokio::test]
async fn forward_is_the_request_and_ours() {
    let request = one(|_| ()).await;
    assert_eq!(request.body, BODY);
    let mut found = pairs(&request);
    found.remove("host");
    let length = BODY.len().to_string();
    assert_eq!(
        found,
        expected(&[
            ("content-type", b"application/json; charset=UTF-8"),
            ("content-length", length.as_bytes()),
            ("user-agent", concat!("forebay/", env!("CARGO_PKG_VERSION")).as_bytes()),
            ("accept", b"*/*"),
            ("webhook-signature", b"v1,inbound"),
            ("x-github-event", b"push"),
            ("x-hub-signature-256", b"sha256=757107ea0eb2509fc211221cce984b8a"),
            ("x-twice", b"one"),
            ("x-twice", b"two"),
            ("x-latin", b"caf\xe9"),
            ("forebay-event-id", ID.as_bytes()),
            ("forebay-seq", b"42"),
            ("forebay-topic", b"github"),
            ("forebay-type", b"push"),
            ("forebay-attempt", b"3"),
            ("idempotency-key", ID.as_bytes()),
        ])
    );
}

/// A service that takes no part in a trace sends its context on as it came, and one that is not valid not at all.
#[tokio::test]
async fn the_trace_goes_on() {
    let (parent, state) = (b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", b"rojo=50%,congo=t61rcWkgMzE");
    let valid = [("traceparent", &parent[..]), ("tracestate", &state[..20]), ("tracestate", b"b=2")];
    let unlike = [("traceparent", &parent[..54]), ("tracestate", &state[..])];
    let twice = [("traceparent", &parent[..]), ("traceparent", &parent[..]), ("tracestate", &state[..])];
    let stateless = [("traceparent", &parent[..]), ("tracestate", b"no state")];
    for format in [Format::Forward, Format::Original, Format::CloudEvents, Format::CloudEventsBinary] {
        let receiver = Receiver::start().await;
        let mut settings = settings(&receiver.url());
        settings.format = format;
        let sink = open(&settings);
        for headers in [&valid[..], &unlike, &twice, &stateless, &valid[1..]] {
            deliver(&sink, delivery(headers, b"{}")).await.expect("delivered");
        }
        let sent: Vec<_> = receiver.take().iter().map(pairs).collect();
        let of = |at: usize, name: &str| sent[at].get(name).cloned().unwrap_or_default();
        assert_eq!(of(0, "traceparent"), [parent], "{format:?}");
        assert_eq!(of(0, "tracestate"), [b"rojo=50%,congo=t61rc,b=2"], "{format:?}");
        assert_eq!((of(3, "traceparent"), of(3, "tracestate")), (vec![parent.to_vec()], vec![]), "{format:?}");
        for none in [1, 2, 4] {
            assert_eq!((of(none, "traceparent"), of(none, "tracestate")), (vec![], vec![]), "{format:?} {none}");
        }
    }
}

#[tokio::test]
async fn original_is_the_request_alone() {
    let request = one(|settings| {
        settings.format = Format::Original;
        settings.sign = vec![key("whsec_AAAA")];
    })
    .await;
    assert_eq!(request.body, BODY);
    let mut found = pairs(&request);
    found.remove("host");
    let length = BODY.len().to_string();
    assert_eq!(
        found,
        expected(&[
            ("content-type", b"application/json; charset=UTF-8"),
            ("content-length", length.as_bytes()),
            ("user-agent", b"GitHub-Hookshot/1234567"),
            ("accept", b"*/*"),
            ("accept-encoding", b"gzip"),
            ("idempotency-key", b"from the provider"),
            ("webhook-signature", b"v1,inbound"),
            ("x-github-event", b"push"),
            ("x-hub-signature-256", b"sha256=757107ea0eb2509fc211221cce984b8a"),
            ("x-twice", b"one"),
            ("x-twice", b"two"),
            ("x-latin", b"caf\xe9"),
        ])
    );
}

#[tokio::test]
async fn cloudevents_structured() {
    let request = one(|settings| settings.format = Format::CloudEvents).await;
    assert_eq!(request.one("content-type"), "application/cloudevents+json; charset=utf-8");
    assert_eq!(request.one("idempotency-key"), ID);
    assert!(request.headers.get("x-github-event").is_none());
    let parsed: Value = serde_json::from_slice(&request.body).expect("JSON");
    assert_eq!(parsed["specversion"], "1.0");
    assert_eq!(parsed["id"], ID);
    assert_eq!(parsed["source"], "/topics/github");
    assert_eq!(parsed["type"], "github.push");
    assert_eq!(parsed["time"], "2026-11-23T08:00:00.123Z");
    assert_eq!(parsed["datacontenttype"], "application/json; charset=UTF-8");
    assert_eq!(parsed["forebayseq"], "42");
    assert_eq!(parsed["data_base64"], STANDARD.encode(BODY), "not JSON, whatever it says of itself");
}

#[tokio::test]
async fn cloudevents_binary() {
    let request = one(|settings| settings.format = Format::CloudEventsBinary).await;
    assert_eq!(request.body, BODY);
    for (name, value) in [
        ("content-type", "application/json; charset=UTF-8"),
        ("ce-specversion", "1.0"),
        ("ce-id", ID),
        ("ce-source", "/topics/github"),
        ("ce-type", "github.push"),
        ("ce-time", "2026-11-23T08:00:00.123Z"),
        ("ce-forebayseq", "42"),
        ("ce-forebaytopic", "github"),
        ("ce-forebaytype", "push"),
        ("forebay-attempt", "3"),
    ] {
        assert_eq!(request.one(name), value, "{name}");
    }
    assert!(request.headers.get("x-github-event").is_none());
}

#[tokio::test]
async fn a_type_can_hold_anything() {
    let receiver = Receiver::start().await;
    for (format, header, want) in [
        (Format::Forward, "forebay-type", "a\"b é\r\nx: y"),
        (Format::CloudEventsBinary, "ce-type", "github.a\"b é\r\nx: y"),
    ] {
        let mut odd = small();
        odd.event.kind = Some("a\"b é\r\nx: y".into());
        deliver(&open(&Settings { format, ..settings(&receiver.url()) }), odd).await.expect("delivered");
        let request = receiver.only();
        assert!(request.headers.get("x").is_none());
        assert_eq!(decode(request.one(header)), want);
    }
    let mut none = small();
    none.event.kind = None;
    deliver(&open(&settings(&receiver.url())), none).await.expect("delivered");
    assert!(receiver.only().headers.get("forebay-type").is_none());
}

/// Percent-decoding, as a receiver would do it.
fn decode(text: &str) -> String {
    let mut parts = text.split('%');
    let mut out = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        out.push(u8::from_str_radix(&part[..2], 16).expect("two hexadecimal digits"));
        out.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(out).expect("UTF-8")
}

#[tokio::test]
async fn an_empty_body_has_a_length() {
    let receiver = Receiver::start().await;
    deliver(&open(&settings(&receiver.url())), delivery(&[], b"")).await.expect("delivered");
    let request = receiver.only();
    assert_eq!(request.one("content-length"), "0");
    assert!(request.headers.get("content-type").is_none() && request.body.is_empty());
}

#[tokio::test]
async fn a_large_body_arrives_whole() {
    let receiver = Receiver::start().await;
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[n as usize % 3]).collect();
    deliver(&open(&settings(&receiver.url())), delivery(&[], &body)).await.expect("delivered");
    assert!(receiver.only().body == body);
}

fn header(name: &'static str, text: HeaderText) -> (HeaderName, HeaderText) {
    (HeaderName::from_static(name), text)
}

#[tokio::test]
async fn configured_headers_win() {
    let request = one(|settings| {
        settings.headers = vec![
            header("authorization", HeaderText::Secret(Secret::new(b"Bearer canary".to_vec()).expect("a secret"))),
            header("x-twice", HeaderText::Plain("ours".into())),
            header("user-agent", HeaderText::Plain("custom".into())),
            header("idempotency-key", HeaderText::Plain("custom".into())),
        ];
    })
    .await;
    assert_eq!(request.one("authorization"), "Bearer canary");
    for (name, want) in [("x-twice", "ours"), ("user-agent", "custom"), ("idempotency-key", "custom")] {
        assert_eq!(request.one(name), want);
    }
}

#[test]
fn what_cannot_be_opened() {
    let with = |name, text: &[u8]| Settings {
        headers: vec![header(name, HeaderText::Secret(Secret::new(text.to_vec()).expect("a secret")))],
        ..settings("http://localhost/")
    };
    let opening = |settings: Settings| Webhook::open(&settings).err().expect("an error");
    assert_eq!(opening(with("content-length", b"1")), OpenError::HeaderName(http::header::CONTENT_LENGTH));
    assert_eq!(opening(with("connection", b"close")), OpenError::HeaderName(http::header::CONNECTION));
    let error = opening(with("x-token", b"canary\n"));
    assert_eq!(error, OpenError::HeaderValue(HeaderName::from_static("x-token")));
    assert!(!format!("{error} {error:?}").contains("canary"));
    let error = opening(Settings { sign: vec![key("whsec_canary!")], ..settings("http://localhost/") });
    assert_eq!(error, OpenError::Sign("the secret `k` is not base64".into()));
    assert!(!error.to_string().contains("canary"));
    for url in ["ftp://localhost/", "/path", "localhost", "http://user:canary@localhost/", "https://@localhost/"] {
        let error = opening(settings(url));
        assert!(matches!(error, OpenError::Url(_)), "{url}: {error}");
        assert!(!error.to_string().contains("canary"));
    }
}

fn key(text: &str) -> Key {
    Key { id: "k".into(), secret: Secret::new(text.into()).expect("a secret"), not_before: None, not_after: None }
}

#[tokio::test]
async fn signatures_verify() {
    let keys = [[7_u8; 32], [8; 32]];
    let begun = UNIX_EPOCH.elapsed().expect("after 1970").as_secs();
    for format in [Format::Forward, Format::CloudEvents, Format::CloudEventsBinary] {
        let request = one(|settings| {
            settings.format = format;
            settings.sign = keys.iter().map(|bytes| key(&format!("whsec_{}", STANDARD.encode(bytes)))).collect();
            let expired = Key { not_after: Some(Millis(1)), ..key("whsec_AAAA") };
            settings.sign.push(expired);
        })
        .await;
        assert_eq!(request.one("webhook-id"), ID);
        let timestamp = request.one("webhook-timestamp");
        let signed_at: u64 = timestamp.parse().expect("seconds");
        let ended = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        assert!((begun..=ended).contains(&signed_at));
        let signed = [ID.as_bytes(), b".", timestamp.as_bytes(), b".", &request.body].concat();
        let signatures: Vec<&str> = request.one("webhook-signature").split(' ').collect();
        assert_eq!(signatures.len(), keys.len(), "{format:?}");
        for (signature, bytes) in signatures.iter().zip(&keys) {
            let mac = STANDARD.decode(signature.strip_prefix("v1,").expect("version 1")).expect("base64");
            let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, bytes);
            ring::hmac::verify(&key, &signed, &mac).unwrap_or_else(|_| panic!("{format:?}"));
        }
    }
}

#[tokio::test]
async fn nothing_goes_out_unsigned_when_it_should_be_signed() {
    let receiver = Receiver::start().await;
    let expired = Key { not_after: Some(Millis(1)), ..key("whsec_AAAA") };
    let sink = open(&Settings { sign: vec![expired], ..settings(&receiver.url()) });
    assert_eq!(refused(&sink, small()).await.label, "sign");
    assert!(receiver.take().is_empty() && receiver.connections() == 0);
}
