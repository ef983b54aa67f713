//! `check --event`: what a configuration makes of one event.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::{ended, forebay};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/check").join(name)
}

/// What is said of a file with this text.
fn of(text: &str) -> (Option<i32>, String, String) {
    let config = fixture("forebay.toml");
    let mut command = forebay(&["check", "--event", "-", "-c", config.to_str().expect("UTF-8")]);
    let mut child = command
        .env("SECRET", "a secret that is long enough")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    // It may have seen enough before the end.
    let _ = child.stdin.take().expect("piped").write_all(text.as_bytes());
    ended(&child.wait_with_output().expect("it ends"))
}

#[test]
fn who_takes_an_event_and_why_not() {
    let (code, out, err) = of(&std::fs::read_to_string(fixture("event.json")).expect("the event"));
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let golden = std::fs::read_to_string(fixture("event.txt")).expect("the answer");
    assert_eq!(out, golden, "\n{out}");
}

#[test]
fn an_event_may_come_in_other_shapes() {
    let shows = |text: &str, parts: &[&str]| {
        let (code, out, err) = of(text);
        assert_eq!((code, err.as_str()), (Some(0), ""), "{text}");
        for part in parts {
            assert!(out.contains(part), "{part} of {text}:\n{out}");
        }
    };
    // A form, in an envelope.
    let form = r#"{"topic":"github","type":"push","metadata":{"Content-Type":"application/x-www-form-urlencoded"},
        "payload_base64":"cGF5bG9hZD0lN0IlMjJyZWYlMjIlM0ElMjJyZWZzJTJGaGVhZHMlMkZtYWluJTIyJTdE"}"#;
    shows(form, &["main      yes\n", "docs      no: its filter fails: there is no `commits`"]);
    // As `events show --json` prints it: the body is not there.
    let printed = r#"{"id":"01935a3c-7a00-7000-8000-000000000001","seq":1,"topic":"github","type":"push","size":9,"body_bytes":9,
        "time":"2026-11-23T08:00:00.123Z","headers":{"x-github-event":"issues"},"deliveries":[]}"#;
    shows(printed, &["main      unknown: its filter looks at the body", "archive   yes"]);
    shows(
        &printed.replace("\"deliveries\"", "\"body\":{\"ref\":\"refs/heads/main\"},\"deliveries\""),
        &["main      yes\n"],
    );
    shows(
        r#"{"topic":"elsewhere","type":null,"payload":null}"#,
        &[
            "topic elsewhere, without a type\n",
            "no such topic is configured",
            "archive   yes\n",
            "main      no: none of its patterns",
        ],
    );
}

#[test]
fn a_file_without_an_event_is_told_as_such() {
    let event = std::fs::read_to_string(fixture("event.json")).expect("the event");
    let cases = [
        ("", "it is empty"),
        (" \n", "it is empty"),
        ("not JSON", "it is not JSON: expected a value at byte 0"),
        ("{\"topic\":\"github\"", "it is not JSON"),
        (&*event.repeat(2), "it holds more than one"),
        ("[]", "it has no `topic`"),
        ("{\"specversion\":\"1.0\",\"type\":\"github.push\"}", "it has no `topic`"),
        ("{\"topic\":7}", "its `topic` is not a string"),
        ("{\"topic\":\"github\",\"type\":[]}", "its `type` is not a string"),
        ("{\"topic\":\"github\",\"id\":\"7\"}", "its `id` is not a UUID"),
        ("{\"topic\":\"github\",\"time\":\"today\"}", "its `time` is not a moment"),
        ("{\"topic\":\"github\",\"metadata\":[]}", "its headers are no object of strings"),
        ("{\"topic\":\"github\",\"headers\":{\"a\":1}}", "its headers are no object of strings"),
        ("{\"topic\":\"github\",\"payload_base64\":\"!\"}", "its body is not base64"),
    ];
    for (text, says) in cases {
        let (code, out, err) = of(text);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{text}");
        assert!(err.starts_with("error: `-` holds no event: ") && err.contains(says), "{text}: {err}");
    }
    let config = fixture("forebay.toml");
    let absent = ["check", "--event", "/nowhere/event.json", "-c", config.to_str().expect("UTF-8")];
    let (code, _, err) =
        ended(&forebay(&absent).env("SECRET", "a secret that is long enough").output().expect("it ends"));
    assert!(code == Some(1) && err.contains("cannot read `/nowhere/event.json`"), "{err}");
}
