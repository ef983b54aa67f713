//! Clients that are slow, broken or mean harm nobody.

mod corpus;
mod crowd;
mod garbage;

use std::io::Write;
use std::net::TcpStream;

use self::corpus::{CASES, Fate, LINES};
use crate::client::eventually;
use crate::daemon::{Daemon, Home};
use crate::wire::{answers, exchange};

const OPEN: &str = r#"
[topics.open]
validator = { type = "none" }
accept = ["*/*"]
[topics.marker]
validator = { type = "none" }
accept = ["*/*"]
[topics.smuggled]
validator = { type = "none" }
accept = ["*/*"]
[subscribers.console]
topics = ["*"]
sink = { type = "stdout" }
"#;

const QUICK: &str = "header_timeout = \"300ms\"\nbody_timeout = \"300ms\"";

const INNER: &str = "POST /api/events/http/smuggled HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}";
const MARKER: &str =
    "POST /api/events/http/marker HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]";

fn events(daemon: &Daemon, topic: &str) -> u64 {
    daemon
        .metric(&format!("forebay_events_total{{topic=\"{topic}\"}}"))
        .expect("a topic's metric")
        .to_string()
        .parse()
        .expect("a whole number")
}

/// Sends a request and the marker behind it, and says what became of both.
fn fate(daemon: &Daemon, request: &str) -> (Vec<u16>, Fate) {
    let before = (events(daemon, "open"), events(daemon, "marker"));
    let bytes = format!("{request}{MARKER}");
    let statuses: Vec<u16> =
        answers(&exchange(&daemon.ingress, bytes.as_bytes())).iter().map(|answer| answer.status).collect();
    let taken = (events(daemon, "open") - before.0, events(daemon, "marker") - before.1);
    let fate = match (statuses.as_slice(), taken) {
        ([202, 202], (1, 1)) => Fate::Taken,
        ([202], (1, 0)) => Fate::Last,
        ([400 | 408 | 411 | 413 | 415 | 431 | 501 | 505] | [], (0, 0)) => Fate::Refused,
        other => panic!("{other:?} for {request:?}"),
    };
    (statuses, fate)
}

#[test]
fn nothing_is_smuggled_in_a_body() {
    let home = Home::new(QUICK, OPEN);
    let daemon = home.start();
    assert!(CASES.len() + LINES.len() >= 100);
    let mut wrong = Vec::new();
    for (what, headers, body, want) in CASES {
        let fill = |text: &str, length: usize| {
            text.replace("{inner}", INNER)
                .replace("{len}", &length.to_string())
                .replace("{hex}", &format!("{:x}", INNER.len()))
        };
        let body = fill(body, 0);
        let head = fill(headers, body.len());
        let request = format!("POST /api/events/http/open HTTP/1.1\r\nHost: h\r\n{head}\r\n{body}");
        let got = fate(&daemon, &request);
        if got.1 != *want {
            wrong.push(format!("{what}: {got:?} instead of {want:?}"));
        }
        assert_eq!(events(&daemon, "smuggled"), 0, "{what}");
    }
    for (line, want) in LINES {
        let request = format!("{line}\r\nHost: h\r\nContent-Length: {}\r\n\r\n{INNER}", INNER.len());
        let got = fate(&daemon, &request);
        if got.1 != *want {
            wrong.push(format!("{line}: {got:?} instead of {want:?}"));
        }
        assert_eq!(events(&daemon, "smuggled"), 0, "{line}");
    }
    // HTTP/1.0 has no chunks.
    let old = format!(
        "POST /api/events/http/open HTTP/1.0\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n{INNER}"
    );
    assert_eq!(fate(&daemon, &old).1, Fate::Refused);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(events(&daemon, "smuggled"), 0);
    assert_eq!(
        exchange(&daemon.ingress, INNER.replace("Host", "Connection: close\r\nHost").as_bytes())[9..12],
        *b"202"
    );
    assert_eq!(events(&daemon, "smuggled"), 1, "the inner request is one that would be taken");
}

/// A request that breaks off anywhere leaves nothing, and one that is whole is whole.
#[test]
fn a_client_that_vanishes_leaves_no_part_of_an_event() {
    let home = Home::new(
        QUICK,
        "[topics.github]\nvalidator = { type = \"github\", secret = \"s\" }\n\
         [subscribers.console]\ntopics = [\"*\"]\nsink = { type = \"stdout\" }\n",
    );
    let daemon = home.start();
    let body = r#"{"ref":"refs/heads/main","commits":[{"id":"0123456789abcdef"}]}"#;
    let signature = crate::client::github_signature("s", body.as_bytes());
    let head = format!(
        "POST /api/events/http/github HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n\
         X-Hub-Signature-256: {signature}\r\n"
    );
    let whole = [
        format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()),
        format!(
            "{head}Transfer-Encoding: chunked\r\n\r\n1f\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n",
            &body[..31],
            body.len() - 31,
            &body[31..]
        ),
    ];
    for request in &whole {
        for cut in 0..request.len() {
            let mut stream = TcpStream::connect(&daemon.ingress).expect("it listens");
            stream.write_all(&request.as_bytes()[..cut]).expect("sent");
            if cut % 2 == 0 {
                // A reset instead of an end.
                socket2::SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO)).expect("linger");
            }
        }
    }
    assert_eq!(events(&daemon, "github"), 0);
    // Gone before the answer, but not before the end of the request.
    for request in &whole {
        TcpStream::connect(&daemon.ingress).expect("it listens").write_all(request.as_bytes()).expect("sent");
    }
    let lines = eventually("both are recorded", || Some(daemon.out()).filter(|lines| lines.len() >= 2));
    assert_eq!(lines.len(), 2);
    for line in lines {
        let event: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(event["payload"].to_string().len(), body.len());
    }
    eventually("all are closed", || (daemon.metric("forebay_ingress_connections")? == 0.0).then_some(()));
    assert_eq!(daemon.metric("forebay_ingress_body_bytes"), Some(0.0));
    assert_eq!(events(&daemon, "github"), 2);
    assert_eq!(daemon.admin("/readyz").status, 200);
}
