//! Looking at events.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use super::{TOPICS, bare, command, post, run};
use crate::client::PATIENCE;
use crate::daemon::{Daemon, Home};

#[test]
fn events_are_listed_page_by_page_and_as_one() {
    let home = Home::new("", TOPICS);
    let daemon = home.start();
    assert!(run(&home, &daemon, &["events", "list"]).done().starts_with("no events: nothing has been recorded yet"));
    assert_eq!(run(&home, &daemon, &["events", "list", "--json"]).json(), json!({"events": [], "next": null}));

    let mut client = daemon.client();
    let kinds = ["push", "issues"];
    let ids: Vec<String> =
        (0..1203_usize).map(|n| post(&mut client, &[("x-type", kinds[n % 2])], n.to_string().as_bytes())).collect();
    let newest_first = |ids: &[String]| ids.iter().rev().map(|id| json!(id)).collect::<Vec<_>>();
    let listed = |arguments: &[&str]| {
        let all = run(&home, &daemon, &[&["events", "list", "--json"], arguments].concat()).json();
        let ids: Vec<Value> =
            all["events"].as_array().expect("a list").iter().map(|event| event["id"].clone()).collect();
        (ids, all["next"].clone())
    };
    // More than the API gives at once.
    assert_eq!(listed(&["--limit", "2000"]), (newest_first(&ids), Value::Null));
    let (first, next) = listed(&["--limit", "1200"]);
    assert_eq!(first, newest_first(&ids[3..]));
    let next = next.as_str().expect("there is more").to_owned();
    assert_eq!(listed(&["--before", &next]), (newest_first(&ids[..3]), Value::Null));
    let pushed: Vec<String> = ids.iter().step_by(2).cloned().collect();
    assert_eq!(listed(&["--type", "push", "--limit", "602"]).0, newest_first(&pushed));

    // Cut off, it says how to go on, beside the output.
    let ended = run(&home, &daemon, &["events", "list"]);
    assert_eq!((ended.code, ended.out.lines().count()), (Some(0), 51), "{}", ended.err);
    let more = ended.err.trim_end();
    assert!(more.starts_with("there is more: go on with `--before ") && more.contains("more than 50 with `--limit`"));
    let next = more.split('`').nth(1).and_then(|option| option.strip_prefix("--before ")).expect("an option");
    let ended = run(&home, &daemon, &["events", "list", "--before", next, "--limit", "2"]);
    assert!(ended.out.lines().nth(1).expect("a row").starts_with(&ids[1203 - 51]), "{}", ended.out);

    for arguments in [
        &["--query", "nothing like it"][..],
        &["--topic", "github"],
        &["--until", "2020-01-01T00:00:00Z"],
        &["--type", "pull"],
    ] {
        let arguments = [&["events", "list"], arguments].concat();
        assert_eq!(run(&home, &daemon, &arguments).done(), "no events fit these conditions\n");
    }
    let ended = run(&home, &daemon, &["events", "list", "--topic", "a b"]);
    assert!(ended.failed().contains("`topic`"), "{}", ended.err);
}

#[test]
fn an_event_is_shown_and_its_body_is_given_exactly() {
    let home = Home::new("", TOPICS);
    let daemon = home.start();
    let mut client = daemon.client();
    let body = b"{\r\n \"a\" : 1.50, \"b\": \"\xc3\xa4\"}\n";
    let headers = [("content-type", "application/json"), ("x-type", "push"), ("x-delivery", "d-1")];
    let id = post(&mut client, &headers, body);
    let shown = run(&home, &daemon, &["events", "show", &id]);
    let shown = shown.done();
    assert!(shown.starts_with(&format!("event {id}\n")), "{shown}");
    for part in ["topic        open\n", "type         push\n", "delivery id  d-1\n", "x-delivery      d-1\n"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(shown.ends_with("\n  {\n    \"a\": 1.50,\n    \"b\": \"ä\"\n  }\n"), "{shown}");
    let tree = run(&home, &daemon, &["events", "show", &id, "--json"]).json();
    assert_eq!((&tree["id"], &tree["headers"]["x-type"]), (&json!(id), &json!("push")));

    let bytes: Vec<u8> = (0..=255_u8).cycle().take(3_000_000).collect();
    for body in [body.as_slice(), b"", b"\xff\x00\n", &bytes] {
        let id = post(&mut client, &[("content-type", "application/octet-stream")], body);
        let output = command(&home, &daemon, &["events", "show", &id, "--body"]).output().expect("the binary starts");
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
        assert!(output.stdout == body, "{} bytes of {}", output.stdout.len(), body.len());
    }
    const UNKNOWN: &str = "01935a3c-7a00-7000-8000-000000000001";
    for arguments in [&["events", "show", UNKNOWN][..], &["events", "show", UNKNOWN, "--body"]] {
        assert_eq!(run(&home, &daemon, arguments).failed(), "there is no event of this id");
    }
}

/// Posts to the topic whose events say in their bodies what they are.
fn post_sly(daemon: &Daemon, body: &str) -> String {
    let answer = daemon.post("sly", &[("content-type", "application/json")], body.as_bytes());
    assert_eq!(answer.status, 202, "{}", answer.text());
    answer.header("forebay-event-id").expect("an id").to_owned()
}

/// Whoever may post to a topic chooses these.
#[test]
fn what_senders_chose_is_not_obeyed() {
    let home = Home::new("", TOPICS);
    let daemon = home.start();
    let evil = "\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}\r\n";
    let body = json!({"type": evil, "id": evil, "more": "\u{9b}31m"}).to_string();
    let id = post_sly(&daemon, &body);
    let show = ["events", "show", &id];
    for arguments in [&["events", "list"][..], &["events", "list", "--json"], &show, &[&show[..], &["--json"]].concat()]
    {
        let ended = run(&home, &daemon, arguments);
        let out = ended.done();
        let obeyed: Vec<char> = out.chars().filter(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}').collect();
        assert!(obeyed.is_empty(), "{arguments:?}: {obeyed:?} in {out:?}");
        assert!(out.contains("\\u001b]0;owned\\u0007\\u009b2J\\u202e"), "{arguments:?}: {out}");
        if arguments.contains(&"--json") {
            // It is the same JSON.
            let tree: Value = serde_json::from_str(out).expect("JSON");
            let event = if tree["events"].is_array() { &tree["events"][0] } else { &tree };
            assert_eq!(event["delivery_id"], json!(evil));
        }
    }
}

/// A command that goes on, and its lines as they come.
struct Following {
    child: Child,
    out: Receiver<String>,
    err: Receiver<String>,
}

impl Following {
    fn start(mut command: Command) -> Self {
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        fn lines(stream: impl std::io::Read + Send + 'static) -> Receiver<String> {
            let (send, lines) = channel();
            std::thread::spawn(move || {
                BufReader::new(stream).lines().map_while(Result::ok).try_for_each(|line| send.send(line))
            });
            lines
        }
        let (out, err) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
        Self { child, out: lines(out), err: lines(err) }
    }

    #[track_caller]
    fn line(&self) -> String {
        self.out.recv_timeout(PATIENCE).expect("a line")
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Posts until the one who follows has seen one: nobody says when he is there.
fn until_seen(daemon: &Daemon, following: &Following) {
    let mut client = daemon.client();
    for _ in 0..1000 {
        post(&mut client, &[("x-type", "first")], b"0");
        if following.out.recv_timeout(std::time::Duration::from_millis(20)).is_ok() {
            // What else of these comes is not what is looked for.
            return;
        }
    }
    panic!("nothing is followed");
}

#[track_caller]
fn sees(following: &Following, id: &str) -> String {
    loop {
        let line = following.line();
        if line.contains(id) {
            return line;
        }
        assert!(line.contains("first"), "{line} instead of {id}");
    }
}

#[test]
fn a_tail_goes_on_over_a_restart_without_a_gap() {
    let home = Home::with_text(&format!(
        "[ingress]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"unix:admin.sock\"\n[journal]\npath = \"journal\"\n\
         min_free = \"1 MiB\"\n[log]\nformat = \"json\"\n{TOPICS}"
    ));
    let daemon = home.start();
    let tail = |arguments: &[&str]| {
        let mut command = bare(&home);
        command.args(["events", "tail"]).args(arguments);
        Following::start(command)
    };
    let (words, json, pushes) = (tail(&[]), tail(&["--json"]), tail(&["--type", "push"]));
    for following in [&words, &json] {
        until_seen(&daemon, following);
    }
    let client = daemon.client();
    let evil = "\u{9b}2J";
    let id = post_sly(&daemon, &json!({"type": evil}).to_string());
    assert!(sees(&words, &id).contains("  sly  \\u009b2J  "));
    let tree: Value = serde_json::from_str(&sees(&json, &id)).expect("JSON");
    assert_eq!((&tree["id"], &tree["type"]), (&json!(id), &json!(evil)));
    drop(client);
    daemon.stop();
    for following in [&words, &json] {
        let lost = following.err.recv_timeout(PATIENCE).expect("it says so");
        assert!(lost.starts_with("lost the daemon ("), "{lost}");
    }

    let daemon = home.start();
    // Before anybody can be back.
    let missed: Vec<String> = (0..3).map(|n| post(&mut daemon.client(), &[("x-type", "push")], &[n])).collect();
    for following in [&words, &json] {
        for id in &missed {
            assert!(following.line().contains(id), "the next one is the next one");
        }
        assert_eq!(following.err.recv_timeout(PATIENCE).as_deref(), Ok("found it again"));
    }
    // Of all that was posted this one saw no other.
    assert!(pushes.line().contains(&missed[0]));
}
