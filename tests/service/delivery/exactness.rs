//! What arrives at a webhook is what was sent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{OPEN, hook};
use crate::client::github_signature;
use crate::daemon::Home;
use crate::receiver::Receiver;

const SECRET: &str = "It's a Secret to Everybody";

#[test]
fn body_and_headers_arrive_as_they_came() {
    let receiver = Receiver::always(200);
    let key = STANDARD.encode(b"0123456789abcdef0123456789abcdef");
    let github = format!("[topics.github]\nvalidator = {{ type = \"github\", secret = \"{SECRET}\" }}\n");
    let sign = format!(", sign = {{ secret = \"whsec_{key}\" }}");
    let home = Home::new("", &(github + &hook("hook", &receiver.url(), &sign, "")));
    let daemon = home.start();

    let body = "{ \"ref\":\r\n\t\"refs/heads/m\\u0061in\", \"π\": 1.0e0, \"a\":1, \"a\":2 }\n\n".as_bytes();
    let signature = github_signature(SECRET, body);
    let headers = [
        ("content-type", "application/json; charset=utf-8"),
        ("x-github-event", "push"),
        ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
        ("x-hub-signature-256", &signature),
        ("x-twice", "one"),
        ("x-twice", "two"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("tracestate", "rojo=1"),
        ("authorization", "Bearer not-for-others"),
        ("cookie", "not=for-others"),
        ("forebay-attempt", "77"),
        ("idempotency-key", "the-senders"),
    ];
    let answer = daemon.post("github", &headers, body);
    assert_eq!(answer.status, 202, "{}", answer.text());
    let id = answer.header("forebay-event-id").expect("an id");

    let request = receiver.wait_for(1).remove(0);
    assert_eq!(request.body, body);
    assert_eq!(github_signature(SECRET, &request.body), request.header("x-hub-signature-256"));
    let expected = [
        ("content-type", "application/json; charset=utf-8"),
        ("x-github-event", "push"),
        ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
        ("forebay-event-id", id),
        ("forebay-seq", "1"),
        ("forebay-topic", "github"),
        ("forebay-type", "push"),
        ("forebay-attempt", "1"),
        ("idempotency-key", id),
        ("webhook-id", id),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("tracestate", "rojo=1"),
        ("authorization", ""),
        ("cookie", ""),
    ];
    for (name, value) in expected {
        assert_eq!(request.header(name), value, "{name}");
    }
    let twice: Vec<_> = request.headers.iter().filter(|(name, _)| name == "x-twice").map(|(_, value)| value).collect();
    assert_eq!(twice, ["one", "two"]);
    // Standard Webhooks: HMAC-SHA256 over `id.timestamp.body`.
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"0123456789abcdef0123456789abcdef");
    let signed = [format!("{id}.{}.", request.header("webhook-timestamp")).as_bytes(), body].concat();
    let signature = format!("v1,{}", STANDARD.encode(ring::hmac::sign(&key, &signed)));
    assert_eq!(request.header("webhook-signature"), signature);
}

#[test]
fn any_bytes_arrive_as_they_came() {
    let receiver = Receiver::always(204);
    let home = Home::new("", &(OPEN.to_owned() + &hook("hook", &receiver.url(), ", concurrency = 1", "")));
    let daemon = home.start();
    let all: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let bodies = [&b""[..], b"\0", b"\r\n\r\n", b"not json", &all];
    super::post(&daemon, bodies);
    let requests = receiver.wait_for(bodies.len());
    for (request, body) in requests.iter().zip(bodies) {
        assert!(request.body == body, "{} bytes instead of {}", request.body.len(), body.len());
    }
    assert_eq!(super::seqs(&requests), [1, 2, 3, 4, 5]);
}
