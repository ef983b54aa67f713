//! The page of the admin listener, in a browser, served by the real binary.

#[path = "../service/client.rs"]
#[expect(dead_code, reason = "some of it is for other tests")]
#[allow(unreachable_pub, reason = "it is written for a test binary of its own")]
mod client;
#[path = "../service/daemon.rs"]
#[expect(dead_code, reason = "the tests of the service use the rest")]
#[allow(unreachable_pub, reason = "it is written for a test binary of its own")]
mod daemon;
mod driver;
mod look;
mod operate;
mod reach;
#[path = "../service/receiver.rs"]
#[expect(dead_code, reason = "the tests of the service use the rest")]
#[allow(unreachable_pub, reason = "it is written for a test binary of its own")]
mod receiver;

use client::{Answer, github_signature};
use daemon::{Daemon, Home};

const SECRET: &str = "It's a Secret to Everybody";

/// A topic as GitHub signs, and a subscriber that a receiver stands for.
fn home(receiver: &str) -> Home {
    let retry = r#"retry = { first = "100ms", max = "200ms" }"#;
    let subscriber = format!(
        "[subscribers.ci]\ntopics = [\"github\"]\n{retry}\nsink = {{ type = \"webhook\", url = \"{receiver}\" }}\n"
    );
    Home::new("", &format!("{}{subscriber}", topic()))
}

fn topic() -> String {
    format!("[topics.github]\nvalidator = {{ type = \"github\", secret = \"{SECRET}\" }}\n")
}

/// Posts a body as GitHub would.
fn post(daemon: &Daemon, kind: &str, delivery: &str, body: &str) -> Answer {
    let signature = github_signature(SECRET, body.as_bytes());
    let headers = [
        ("content-type", "application/json"),
        ("x-github-event", kind),
        ("x-github-delivery", delivery),
        ("x-hub-signature-256", signature.as_str()),
    ];
    let answer = daemon.post("github", &headers, body.as_bytes());
    assert_eq!(answer.status, 202, "{}", answer.text());
    answer
}
