//! `send`: what is signed here is genuine there, and the answer is told.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::Stdio;

use forebay::validate::kinds;

use crate::client::eventually;
use crate::daemon::{Daemon, Home};
use crate::ended;

const STANDARD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SECRET: &str = "a-secret-that-is-shown-nowhere";
const PAIR: &str = "hook:p4ss-of-the-hook";

/// `hook:p4ss-of-the-hook` in base64, as it travels.
const PAIR_SENT: &str = "aG9vazpwNHNzLW9mLXRoZS1ob29r";

/// A secret of the form that validator wants.
fn secret(kind: &str) -> &'static str {
    match kind {
        "standard-webhooks" | "svix" | "gitlab-signed" => STANDARD,
        "discord" => "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "azure-devops" | "basic" => PAIR,
        _ => SECRET,
    }
}

/// A topic of every validator there is, with its name, and a subscriber that prints.
fn topics(secret: fn(&str) -> &'static str) -> String {
    let mut text = String::from("[subscribers.console]\ntopics = [\"*\"]\nsink = { type = \"stdout\" }\n");
    for kind in kinds() {
        let more = match *kind {
            "hmac" => {
                r#", header = "x-erp-signature", prefix = "v1=", signed = "{timestamp}.{body}", timestamp = { header = "x-erp-time" }"#
            }
            "token" => r#", header = "x-erp-token""#,
            _ => "",
        };
        let key = if *kind == "none" { String::new() } else { format!(", secret = \"{}\"", secret(kind)) };
        let _ = writeln!(text, "[topics.{kind}]\nvalidator = {{ type = \"{kind}\"{key}{more} }}");
        if *kind == "hmac" {
            text += "event_type = { header = \"x-erp-event\" }\ndelivery_id = { header = \"x-erp-id\" }\n";
        }
    }
    text
}

fn home(secret: fn(&str) -> &'static str) -> Home {
    Home::new("public_url = \"https://hooks.example.com\"", &topics(secret))
}

/// Sends to a topic of a daemon. Whatever comes of it, no secret is shown.
fn send(home: &Home, daemon: &Daemon, topic: &str, more: &[&str], stdin: &[u8]) -> (Option<i32>, String, String) {
    let url = format!("http://{}/api/events/http/{topic}", daemon.ingress);
    let mut command = home.command();
    command.args(["send", topic, "--to", &url]).args(more);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    // It may have read none of it.
    let _ = child.stdin.take().expect("piped").write_all(stdin);
    let ended = ended(&child.wait_with_output().expect("it ends"));
    for secret in [STANDARD, SECRET, PAIR, PAIR_SENT] {
        assert!(!ended.1.contains(secret) && !ended.2.contains(secret), "{topic}: {ended:?}");
    }
    ended
}

fn event_id(out: &str) -> String {
    let line = out.lines().find_map(|line| line.strip_prefix("event "));
    line.unwrap_or_else(|| panic!("no event: {out}")).to_owned()
}

/// The envelope of an event, once it is printed.
fn event(daemon: &Daemon, id: &str) -> serde_json::Value {
    let line = eventually("the event is printed", || daemon.out().into_iter().find(|line| line.contains(id)));
    serde_json::from_str(&line).expect("JSON")
}

#[test]
fn a_sample_of_every_provider_is_accepted_every_time() {
    let home = home(secret);
    let daemon = home.start();
    let (mut sent, mut typed) = (0, 0);
    for kind in kinds().iter().filter(|kind| **kind != "discord") {
        // Twice: a sample is a new delivery each time.
        let mut ids = BTreeSet::new();
        for _ in 0..2 {
            let (code, out, err) = send(&home, &daemon, kind, &[], b"");
            assert_eq!((code, err.as_str()), (Some(0), ""), "{kind}: {out}");
            let lines: Vec<&str> = out.lines().collect();
            let url = format!("POST http://{}/api/events/http/{kind} (", daemon.ingress);
            assert!(lines[0].starts_with(&url), "{out}");
            assert_eq!((lines[1], lines[3], lines.len()), ("202 Accepted", r#"{"status":"accepted"}"#, 4), "{out}");
            ids.insert(event_id(&out));
            if let Some((said, _)) = lines[0].rsplit_once('(').and_then(|(_, rest)| rest.split_once(", ")) {
                assert_eq!(event(&daemon, &event_id(&out))["type"], said, "{kind}");
                typed += 1;
            }
        }
        assert_eq!(ids.len(), 2, "{kind}");
        sent += 1;
    }
    assert!(sent > 35 && typed > 50, "{sent} {typed}");
    assert_eq!(daemon.stop().0.code(), Some(0));
}

#[test]
fn a_type_of_ones_own_arrives_wherever_the_topic_looks_for_it() {
    let home = home(secret);
    let daemon = home.start();
    // By the provider's header, in the provider's body, by a header that the topic names.
    for topic in ["github", "bitbucket-cloud", "gitea", "slack", "stripe", "standard-webhooks", "gitlab", "hmac"] {
        let (code, out, err) = send(&home, &daemon, topic, &["--type", "my.\"own\""], b"");
        assert_eq!((code, err.as_str()), (Some(0), ""), "{topic}: {out}");
        let event = event(&daemon, &event_id(&out));
        assert_eq!((event["topic"].as_str(), event["type"].as_str()), (Some(topic), Some("my.\"own\"")));
    }
    for (topic, more) in [("bearer", &["--type", "x"][..]), ("stripe", &["--type", "x", "--data", "-"])] {
        let (code, _, err) = send(&home, &daemon, topic, more, b"{}");
        assert_eq!(code, Some(0), "{err}");
        assert!(err.starts_with("note: `--type` may change nothing"), "{topic}: {err}");
    }
}

#[test]
fn data_is_sent_byte_for_byte() {
    let home = home(secret);
    let daemon = home.start();
    let body = b"{\r\n \"a\" : 1.50}\n";
    let file = home.path("body.json");
    std::fs::write(&file, body).expect("written");
    for data in ["-", file.to_str().expect("UTF-8")] {
        let (code, out, err) = send(&home, &daemon, "github", &["--type", "push", "--data", data], body);
        assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
        let event = event(&daemon, &event_id(&out));
        assert_eq!((&event["payload"]["a"], &event["type"]), (&serde_json::json!(1.5), &serde_json::json!("push")));
        assert_eq!(event["metadata"]["content-length"], body.len().to_string());
    }
    let (code, out, err) = send(&home, &daemon, "github", &["--data", "/nonexistent/body"], b"");
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.starts_with("error: cannot read `/nonexistent/body`: "), "{err}");
    let (code, out, _) = send(&home, &daemon, "github", &["--data", "-"], b"{not json");
    assert_eq!(code, Some(1));
    assert!(out.contains("\n400 Bad Request\n"), "{out}");
}

#[test]
fn another_secret_is_refused_and_the_answer_shown() {
    let other = |kind: &str| match kind {
        "standard-webhooks" | "svix" | "gitlab-signed" => "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "azure-devops" | "basic" => "hook:another",
        "discord" => secret("discord"),
        _ => "not-the-secret-of-the-other-side",
    };
    let (theirs, ours) = (home(other), home(secret));
    let daemon = theirs.start();
    let mut refused = 0;
    for kind in kinds().iter().filter(|kind| !matches!(**kind, "discord" | "none")) {
        let (code, out, err) = send(&ours, &daemon, kind, &[], b"");
        assert_eq!((code, err.as_str()), (Some(1), ""), "{kind}: {out}");
        assert!(out.contains("\n403 Forbidden\n{\"message\":\"invalid "), "{kind}: {out}");
        refused += 1;
    }
    assert!(refused > 35);
}

#[test]
fn the_topics_own_url_is_the_default() {
    let receiver = home(secret);
    let daemon = receiver.start();
    let topic = format!("[topics.github]\nvalidator = {{ type = \"github\", secret = \"{SECRET}\" }}\n");
    let port = daemon.ingress.rsplit(':').next().expect("a port");
    // Listening everywhere is reached on loopback.
    for (host, first) in [("127.0.0.1", ""), ("0.0.0.0", ""), ("127.0.0.1", "\"unix:ingress.sock\", ")] {
        let ours = Home::with_text(&format!("[ingress]\nlisten = [{first}\"{host}:{port}\"]\n{topic}"));
        let (code, out, err) = ended(&ours.command().args(["send", "github"]).output().expect("the binary starts"));
        assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
        event(&daemon, &event_id(&out));
    }
    for (listen, want) in [("unix:ingress.sock", "a unix socket only"), ("127.0.0.1:0", "the configured port is 0")] {
        let ours = Home::with_text(&format!("[ingress]\nlisten = \"{listen}\"\n{topic}"));
        let (code, out, err) = ended(&ours.command().args(["send", "github"]).output().expect("the binary starts"));
        assert_eq!((code, out.as_str()), (Some(2), ""), "{listen}");
        assert!(err.contains(want) && err.contains("`--to`"), "{err}");
    }
}

#[test]
fn what_cannot_be_sent_is_said() {
    let home = home(secret);
    let run = |arguments: &[&str]| {
        let output = home.command().arg("send").args(arguments).stdin(Stdio::null()).output();
        ended(&output.expect("the binary starts"))
    };
    let (code, out, err) = run(&["gihtub"]);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(err.starts_with("error: there is no topic `gihtub`; did you mean `github`?\nconfigured topics: "), "{err}");
    assert!(err.contains("`stripe`, "), "{err}");

    let (code, _, err) = run(&["discord", "--to", "http://127.0.0.1:9/"]);
    assert_eq!(code, Some(1));
    assert!(
        err.starts_with("error: cannot sign for the topic `discord` (discord): ") && err.contains("public key"),
        "{err}"
    );

    for (url, why) in [
        ("nonsense", "begins neither"),
        ("ftp://127.0.0.1/", "begins neither"),
        ("http://ada:opensesame@127.0.0.1/", "holds a user or password"),
        ("http://", "is not a URL"),
    ] {
        let (code, out, err) = run(&["github", "--to", url]);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{url}");
        assert!(err.contains(why) && !err.contains("opensesame"), "{url}: {err}");
    }

    let closed = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
    let (code, out, err) = run(&["github", "--to", &format!("http://{closed}/x?token=opensesame")]);
    assert_eq!(code, Some(1));
    assert!(err.starts_with(&format!("error: cannot post to `http://{closed}/x?...`: cannot connect to ")), "{err}");
    assert!(!out.contains("opensesame") && !err.contains("opensesame"));
}
