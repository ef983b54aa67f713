//! Every answer of the ingress.

mod rows;
mod sockets;
mod space;
mod stored;

use self::rows::{ACCEPTED, LARGE, MEDIA, NO_ROOM, ROWS, Row, SLOW};
use crate::client::{Answer, Client, github_signature};
use crate::daemon::{Daemon, Home};
use crate::wire::{answers, exchange};

const SECRET: &str = "It's a Secret to Everybody";

const INGRESS: &str = r#"
body_timeout = "400ms"
header_timeout = "2s"
"#;

const TOPICS: &str = r#"
[topics.github]
validator = { type = "github", secret = "It's a Secret to Everybody" }
[topics.gitea]
validator = { type = "gitea", secret = "It's a Secret to Everybody" }
[topics.gitlab]
validator = { type = "gitlab", secret = "It's a Secret to Everybody" }
[topics.small]
validator = { type = "github", secret = "It's a Secret to Everybody" }
max_body = "16 B"
[topics.bytes]
validator = { type = "none" }
accept = ["*/*"]
[topics.text]
validator = { type = "none" }
accept = ["text/*"]
[topics.walled]
validator = { type = "none" }
allow_from = ["10.0.0.0/8"]
[topics.walledToken]
validator = { type = "gitlab", secret = "It's a Secret to Everybody" }
allow_from = ["10.0.0.0/8"]
[subscribers.console]
topics = ["*"]
sink = { type = "stdout" }
"#;

const HOOK: &str = "/api/events/http/github";

fn request(row: &Row) -> Vec<u8> {
    let (line, headers, body, ..) = row;
    let mut text = format!("{line} HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n", body.len());
    for header in headers.lines() {
        text.push_str(&header.replace("{sig}", &github_signature(SECRET, body.as_bytes())));
        text.push_str("\r\n");
    }
    (text + "\r\n" + body).into_bytes()
}

/// An answer's own headers: those that every answer has are looked at here.
fn own_headers(answer: &Answer) -> Vec<String> {
    let mut own = Vec::new();
    for (name, value) in &answer.headers {
        match name.as_str() {
            "date" => {}
            "content-type" => assert_eq!(value, "application/json"),
            "content-length" => assert!(answer.body.is_empty() || *value == answer.body.len().to_string()),
            "forebay-event-id" => own.push(name.clone()),
            _ => own.push(format!("{name}: {value}")),
        }
    }
    own.sort();
    own
}

fn daemon() -> (Home, Daemon) {
    let home = Home::new(INGRESS, TOPICS);
    let daemon = home.start();
    (home, daemon)
}

#[test]
fn every_row_of_the_table() {
    let (_home, daemon) = daemon();
    assert!(ROWS.len() > 60);
    let mut accepted = 0;
    for row in ROWS {
        let (line, headers, body, status, text, own) = row;
        let mut bytes = request(row);
        // A second request shows whether the connection goes on, and is at the same time its end.
        bytes.extend_from_slice(b"GET /end HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        let all = if line.starts_with("HEAD") {
            let mut client = Client::connect(&daemon.ingress).expect("it listens");
            client.send(&request(row)).expect("sent");
            vec![client.head().expect("an answer")]
        } else {
            answers(&exchange(&daemon.ingress, &bytes))
        };
        let case = format!("{line} | {headers} | {body:?}");
        assert_eq!((all[0].status, all[0].text().as_str()), (*status, *text), "{case}");
        assert_eq!(own_headers(&all[0]), own.lines().collect::<Vec<_>>(), "{case}");
        let closes = own.contains("connection: close") || line.starts_with("HEAD");
        assert_eq!(all.len(), if closes { 1 } else { 2 }, "{case}");
        accepted += usize::from(*status == 202);
    }
    let lines =
        crate::client::eventually("all are printed", || Some(daemon.out()).filter(|lines| lines.len() >= accepted));
    assert_eq!(lines.len(), accepted, "nothing else was recorded");
}

/// Requests that are not one row of text, with what answers them.
#[test]
fn the_rest_of_the_table() {
    let (_home, daemon) = daemon();
    let sign = |body: &str| github_signature(SECRET, body.as_bytes());
    let json = "host: test\r\ncontent-type: application/json";
    let long = "a".repeat(200_000);
    let many = "x-a: b\r\n".repeat(101);
    let cases = [
        ("slow", format!("POST {HOOK} HTTP/1.1\r\n{json}\r\ncontent-length: 10\r\n\r\n{{}}"), 408, SLOW),
        (
            "slow chunks",
            format!("POST {HOOK} HTTP/1.1\r\n{json}\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{{}}\r\n"),
            408,
            SLOW,
        ),
        (
            "chunks over the limit",
            format!(
                "POST /api/events/http/small HTTP/1.1\r\n{json}\r\nx-hub-signature-256: {}\r\n\
                 transfer-encoding: chunked\r\n\r\n9\r\n[12345,12\r\n9\r\n34567890]\r\n0\r\n\r\n",
                sign("[12345,1234567890]")
            ),
            413,
            LARGE,
        ),
        (
            "length over everything",
            format!("POST {HOOK} HTTP/1.1\r\n{json}\r\ncontent-length: 9223372036854775807\r\n\r\n"),
            413,
            LARGE,
        ),
        (
            "a coding beneath chunked",
            format!(
                "POST {HOOK} HTTP/1.1\r\n{json}\r\nx-hub-signature-256: {}\r\n\
                 transfer-encoding: gzip, chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n",
                sign("{}")
            ),
            415,
            MEDIA,
        ),
        ("a header too long", format!("POST {HOOK} HTTP/1.1\r\n{json}\r\nx-a: {long}\r\n\r\n"), 431, ""),
        ("a target too long", format!("POST {HOOK}?{long} HTTP/1.1\r\n{json}\r\n\r\n"), 431, ""),
        ("too many headers", format!("POST {HOOK} HTTP/1.1\r\n{json}\r\n{many}\r\n"), 431, ""),
        ("no HTTP", "hello\r\n\r\n".to_owned(), 400, ""),
    ];
    for (what, request, status, body) in cases {
        let all = answers(&exchange(&daemon.ingress, request.as_bytes()));
        assert_eq!(all.len(), 1, "{what}: the connection is closed");
        assert_eq!((all[0].status, all[0].text().as_str()), (status, body), "{what}");
        assert_eq!(all[0].header("connection"), Some("close"), "{what}");
    }
    assert_eq!(daemon.metric("forebay_requests_total{topic=\"\",code=\"431\"}"), Some(3.0));
    assert_eq!(daemon.metric("forebay_requests_total{topic=\"\",code=\"400\"}"), Some(1.0));
    assert!(daemon.out().is_empty(), "nothing was recorded");
}

#[test]
fn a_large_body_that_is_refused_early_does_not_cost_the_answer() {
    let (_home, daemon) = daemon();
    let body = vec![b'x'; 30 << 20];
    for topic in ["github", "nothing"] {
        let mut client = daemon.client();
        // Sends all of it before it reads.
        let answer = client.post(&format!("/api/events/http/{topic}"), &[("content-type", "application/json")], &body);
        assert_eq!(answer.expect("an answer").status, if topic == "github" { 413 } else { 404 });
    }
}

#[test]
fn a_client_that_waits_for_100_is_told_to_go_on_or_refused_at_once() {
    let (_home, daemon) = daemon();
    let send = |topic: &str, headers: &str| {
        let head = format!(
            "POST /api/events/http/{topic} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\
             expect: 100-continue\r\ncontent-length: 2\r\n{headers}\r\n\r\n"
        );
        let mut client = Client::connect(&daemon.ingress).expect("it listens");
        client.send(head.as_bytes()).expect("sent");
        client
    };
    let signature =
        format!("content-type: application/json\r\nx-hub-signature-256: {}", github_signature(SECRET, b"{}"));
    let mut client = send("github", &signature);
    assert_eq!(client.answer().expect("an interim answer").status, 100);
    client.send(b"{}").expect("sent");
    assert_eq!(client.answer().expect("an answer").status, 202);
    assert_eq!(send("nothing", &signature).answer().expect("an answer").status, 404);
    assert_eq!(send("github", "content-type: text/plain").answer().expect("an answer").status, 415);
}

#[test]
fn a_client_may_close_its_half_and_send_many_at_once() {
    let (_home, daemon) = daemon();
    let bytes: Vec<u8> = (0..40)
        .flat_map(|n| {
            format!("POST /api/events/http/bytes HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\n{n:02}")
                .into_bytes()
        })
        .collect();
    let mut stream = std::net::TcpStream::connect(&daemon.ingress).expect("it listens");
    std::io::Write::write_all(&mut stream, &bytes).expect("sent");
    stream.shutdown(std::net::Shutdown::Write).expect("half closed");
    let all = answers(&crate::wire::rest(&mut stream));
    assert_eq!(all.iter().filter(|answer| answer.status == 202).count(), 40);
}

#[test]
fn the_same_again_is_accepted_and_recorded_once() {
    let (home, daemon) = daemon();
    let post = |daemon: &Daemon, delivery: &str, body: &str| {
        let signature = github_signature(SECRET, body.as_bytes());
        let headers = [
            ("content-type", "application/json"),
            ("x-github-delivery", delivery),
            ("x-hub-signature-256", signature.as_str()),
        ];
        let answer = daemon.post("github", &headers, body.as_bytes());
        assert_eq!((answer.status, answer.text().as_str()), (202, ACCEPTED));
        let id = answer.header("forebay-event-id").expect("an id").to_owned();
        (id, answer.header("forebay-duplicate").map(str::to_owned))
    };
    let (first, fresh) = post(&daemon, "a", "{}");
    assert_eq!(fresh, None);
    let yes = Some("true".to_owned());
    assert_eq!(post(&daemon, "a", "{}"), (first.clone(), yes.clone()));
    // Neither the id alone nor the body alone makes a duplicate.
    assert_eq!((post(&daemon, "a", "[]").1, post(&daemon, "b", "{}").1), (None, None));
    assert_eq!(daemon.metric("forebay_events_total{topic=\"github\"}"), Some(3.0));
    assert_eq!(daemon.metric("forebay_duplicates_total{topic=\"github\"}"), Some(1.0));
    assert_eq!(daemon.stop().0.code(), Some(0));
    assert_eq!(post(&home.start(), "a", "{}"), (first, yes), "also after a restart");
}

#[test]
fn gitea_signs_the_payload_of_a_form() {
    let (_home, daemon) = daemon();
    let payload = r#"{"ref":"refs/heads/a b"}"#;
    let signature = github_signature(SECRET, payload.as_bytes());
    let form = "payload=%7B%22ref%22%3A%22refs%2Fheads%2Fa+b%22%7D";
    let send = |signature: &str| {
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("x-gitea-event", "push"),
            ("x-gitea-signature", signature),
        ];
        daemon.post("gitea", &headers, form.as_bytes()).status
    };
    assert_eq!(send(signature.trim_start_matches("sha256=")), 202);
    assert_eq!(send(github_signature(SECRET, form.as_bytes()).trim_start_matches("sha256=")), 403);
    let line = crate::client::eventually("it is printed", || daemon.out().pop());
    let event: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!((event["topic"].as_str(), event["type"].as_str()), (Some("gitea"), Some("push")));
}

/// Headers, and the status that answers them.
type Case = (&'static [(&'static str, &'static str)], u16);

#[test]
fn addresses_are_seen_through_trusted_proxies_only() {
    let walled = r#"
[topics.walled]
validator = { type = "none" }
allow_from = ["203.0.113.0/24", "2001:db8::/32"]
"#;
    // The proxies that are trusted, the headers, and what is answered to a peer on the loopback.
    let cases: [(&str, &[Case]); 2] = [
        (
            r#"trusted_proxies = ["127.0.0.0/8", "10.0.0.0/8"]"#,
            &[
                (&[], 403),
                (&[("x-forwarded-for", "203.0.113.9")], 202),
                (&[("x-forwarded-for", "198.51.100.1, 203.0.113.9, 10.1.1.1")], 202),
                (&[("x-forwarded-for", "203.0.113.9, 198.51.100.1")], 403),
                (&[("x-forwarded-for", "203.0.113.9"), ("x-forwarded-for", "198.51.100.1")], 403),
                (&[("x-forwarded-for", "203.0.113.9, unknown")], 403),
                (&[("x-forwarded-for", "2001:db8::7")], 202),
                (&[("forwarded", "for=203.0.113.9;proto=https;by=10.0.0.1")], 202),
                (&[("forwarded", "for=\"[2001:db8::7]:4711\"")], 202),
                (&[("forwarded", "for=203.0.113.9, for=198.51.100.1")], 403),
                (&[("forwarded", "for=203.0.113.9"), ("x-forwarded-for", "198.51.100.1")], 403),
            ],
        ),
        (r#"trusted_proxies = ["192.0.2.1"]"#, &[(&[("x-forwarded-for", "203.0.113.9")], 403), (&[], 403)]),
    ];
    for (ingress, rows) in cases {
        let home = Home::new(ingress, walled);
        let daemon = home.start();
        for (headers, status) in rows {
            let mut all = vec![("content-type", "application/json")];
            all.extend_from_slice(headers);
            assert_eq!(daemon.post("walled", &all, b"{}").status, *status, "{ingress}: {headers:?}");
        }
    }
}
