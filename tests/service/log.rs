//! The log as JSON: every line that the daemon writes to standard error is one object, whatever happens.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::{Map, Value};

use crate::client::{eventually, github_signature};
use crate::daemon::{Daemon, Home};
use crate::receiver::{Receiver, Reply};
use crate::wire::exchange;

const SECRET: &str = "It's a Secret to Everybody";

const TOPICS: &str = r#"
[topics.github]
validator = { type = "github", secret = "It's a Secret to Everybody" }
max_body = "1 KiB"
[topics.open]
validator = { type = "none" }
accept = ["*/*"]
"#;

/// The lines of a log. Each is an object with a time, a level, a message, and fields with nothing inside them.
fn lines(log: &[impl AsRef<str>]) -> Vec<Map<String, Value>> {
    let read = |line: &str| -> Map<String, Value> {
        let value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let Value::Object(fields) = value else { panic!("no object: {line}") };
        let text =
            |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_else(|| panic!("no `{name}`: {line}"));
        assert!(text("timestamp").parse::<jiff::Timestamp>().is_ok(), "{line}");
        assert!(["ERROR", "WARN", "INFO", "DEBUG", "TRACE"].contains(&text("level")), "{line}");
        assert!(!text("message").is_empty(), "{line}");
        assert!(fields.values().all(|value| !value.is_object() && !value.is_array()), "not flat: {line}");
        fields
    };
    log.iter().map(|line| read(line.as_ref())).collect()
}

fn home(level: &str, receiver: &Receiver) -> Home {
    let subscribers = format!(
        "[subscribers.console]\ntopics = [\"*\"]\nsink = {{ type = \"stdout\" }}\n\
         [subscribers.hook]\ntopics = [\"*\"]\nsink = {{ type = \"webhook\", url = \"{}\" }}\n\
         retry = {{ first = \"1ms\", max = \"2ms\", attempts = 2 }}\n",
        receiver.url()
    );
    let home = Home::new("", &format!("{TOPICS}{subscribers}"));
    let text = std::fs::read_to_string(home.path("forebay.toml")).expect("a configuration");
    home.configure(&text.replace("format = \"json\"", &format!("format = \"json\"\nlevel = \"{level}\"")));
    home
}

/// Requests that are taken, and every way to be refused that is logged; bytes that are no requests.
fn traffic(daemon: &Daemon) {
    let (json, good) = (("content-type", "application/json"), github_signature(SECRET, b"{}"));
    let wrong = github_signature("another", b"{}");
    for (signature, body, want) in [(&good, &b"{}"[..], 202), (&wrong, b"{}", 403), (&good, &[b'x'; 2000], 413)] {
        let headers = [json, ("x-hub-signature-256", signature.as_str()), ("x-github-event", "push")];
        assert_eq!(daemon.post("github", &headers, body).status, want);
    }
    // What comes from outside and is logged cannot break out of its line.
    let broken = github_signature(SECRET, b"{");
    assert_eq!(daemon.post("github", &[json, ("x-hub-signature-256", &broken)], b"{").status, 400);
    assert_eq!(daemon.post("github", &[json, ("x-hub-signature-256", "sha256=\"}\\")], b"{}").status, 403);
    assert_eq!(daemon.post("nowhere", &[], b"{}").status, 404);
    assert_eq!(daemon.post("open", &[("content-encoding", "gzip")], b"{}").status, 415);
    exchange(&daemon.ingress, b"\x00\xff\"}\n\n");
}

fn the<'l>(log: &'l [Map<String, Value>], words: &str) -> Vec<&'l Map<String, Value>> {
    let found: Vec<_> =
        log.iter().filter(|line| line["message"].as_str().is_some_and(|text| text.contains(words))).collect();
    assert!(!found.is_empty(), "no line says {words:?}: {log:#?}");
    found
}

#[test]
fn every_line_is_one_object_with_what_it_is_about() {
    let receiver = Receiver::start(|request| Reply::Status(if request.text() == "dies" { 500 } else { 200 }));
    let home = home("info", &receiver);
    let daemon = home.start();
    traffic(&daemon);
    let died = daemon.post("open", &[], b"dies");
    let id = died.header("forebay-event-id").expect("an id");
    let dead = "forebay_dead_letters{subscriber=\"hook\"}";
    eventually("it is dead", || (daemon.metric(dead)? > 0.0).then_some(()));
    let before = daemon.log().len();
    for number in 0..200 {
        assert_eq!(daemon.post("open", &[], number.to_string().as_bytes()).status, 202);
    }
    receiver.wait_for(203);
    eventually("all are delivered", || {
        (daemon.metric("forebay_deliveries_total{subscriber=\"console\",outcome=\"delivered\"}")? >= 202.0)
            .then_some(())
    });
    let after = daemon.log();
    let new: Vec<_> = after[before..].iter().filter(|line| !line.contains("succeed again")).collect();
    assert!(new.is_empty(), "nothing is logged for each event: {new:?}");

    // A reload that fails, and one that does not.
    let text = std::fs::read_to_string(home.path("forebay.toml")).expect("a configuration");
    home.configure(&text.replace("[topics.open]", "[topics.open]\nspeed = 1"));
    daemon.signal(Signal::HUP);
    eventually("the reload fails", || daemon.log().iter().any(|line| line.contains("in force stays")).then_some(()));
    home.configure(&text.replace("max_body = \"1 KiB\"", "max_body = \"2 KiB\""));
    daemon.signal(Signal::HUP);
    eventually("the reload is done", || daemon.log().iter().any(|line| line.contains("was read anew")).then_some(()));
    let (status, out, log) = daemon.stop();
    assert_eq!((status.code(), out.len()), (Some(0), 202));

    let log = lines(&log);
    let warning = the(&log, "secret stands in the file")[0];
    assert_eq!((&warning["level"], &warning["key"]), (&"WARN".into(), &"topics.github.validator.secret".into()));
    assert!(warning["line"].is_u64() && warning["column"].is_u64() && warning["hint"].is_string(), "{warning:?}");
    let reasons: BTreeSet<_> =
        the(&log, "refused a request").iter().map(|line| (line["topic"].as_str(), line["label"].as_str())).collect();
    let want = [("github", "mismatch"), ("github", "too_large"), ("github", "not_recorded"), ("open", "encoding")];
    assert!(want.iter().all(|(topic, label)| reasons.contains(&(Some(topic), Some(label)))), "{reasons:?}");
    for words in ["a delivery was refused", "a delivery is given up"] {
        let line = the(&log, words)[0];
        assert_eq!((&line["event"], &line["subscriber"]), (&id.into(), &"hook".into()), "{line:?}");
        assert!(line["reason"].as_str().is_some_and(|reason| reason.contains("500")), "{line:?}");
    }
    assert_eq!(the(&log, "a delivery was refused")[0]["topic"], "open");
    assert_eq!(the(&log, "unknown key")[0]["key"], "topics.open.speed");
    the(&log, "stopped");
}

/// At its most talkative, and in what libraries say too.
#[test]
fn every_line_is_one_object_at_every_level() {
    let receiver = Receiver::start(|request| Reply::Status(if request.attempt() == 1 { 500 } else { 200 }));
    let home = home("trace", &receiver);
    let daemon = home.start();
    traffic(&daemon);
    receiver.wait_for(2);
    let (status, _, log) = daemon.stop();
    assert_eq!(status.code(), Some(0));
    let log = lines(&log);
    assert!(log.iter().any(|line| line["level"] == "TRACE"), "nothing was traced: {}", log.len());
}

#[test]
fn a_start_that_fails_says_so_in_json() {
    let receiver = Receiver::always(200);
    let home = home("warn", &receiver);
    let text = std::fs::read_to_string(home.path("forebay.toml")).expect("a configuration");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let listen = format!("listen = \"{}\"", taken.local_addr().expect("an address"));
    // What is changed, the exit code, and fields of one of its lines.
    let cases: [(&str, &str, i32, &[(&str, &str)]); 4] = [
        ("listen = \"127.0.0.1:0\"", &listen, 1, &[("level", "ERROR")]),
        ("type = \"github\"", "type = \"gitbub\"", 78, &[("key", "topics.github.validator.type"), ("level", "ERROR")]),
        ("[topics.open]", "[topics.open]\nspeed = 1", 78, &[("key", "topics.open.speed")]),
        ("[topics.open]", "[topics.open", 78, &[("level", "ERROR")]),
    ];
    for (from, to, code, fields) in cases {
        home.configure(&text.replacen(from, to, 1));
        let output = home.command().arg("serve").stdin(Stdio::null()).output().expect("it runs");
        assert_eq!(output.status.code(), Some(code), "{to}");
        let said = String::from_utf8(output.stderr).expect("text");
        let log = lines(&said.lines().collect::<Vec<_>>());
        let fits =
            |line: &&Map<String, Value>| fields.iter().all(|(name, value)| line.get(*name).is_some_and(|v| v == value));
        let line = log.iter().find(fits).unwrap_or_else(|| panic!("{to}: {said}"));
        if code == 78 {
            assert!(line["line"].is_u64() && line["file"].is_string() && line["hint"].is_string(), "{line:?}");
        }
        assert!(!said.contains(SECRET), "{said}");
    }
}

const PANIC: &str = "PANIC_WITH_A_LOG_IN_JSON";

/// Runs this test once more, as a process that panics.
#[test]
fn a_panic_is_one_object_too() {
    if std::env::var_os(PANIC).is_some() {
        let format = forebay::plan::LogFormat::Json;
        forebay::logging::start(forebay::plan::Log { level: tracing::level_filters::LevelFilter::ERROR, format });
        let thread = std::thread::Builder::new().name("unlucky".into());
        let joined = thread.spawn(|| panic!("with \"quotes\"\nand a second line")).expect("a thread").join();
        assert!(joined.is_err());
        return;
    }
    for backtrace in ["0", "1"] {
        let mut command = Command::new(std::env::current_exe().expect("a path"));
        command.args(["--exact", "log::a_panic_is_one_object_too", "--nocapture"]);
        let output = command.env(PANIC, "1").env("RUST_BACKTRACE", backtrace).output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let said = String::from_utf8(output.stderr).expect("text");
        let log = lines(&said.lines().collect::<Vec<_>>());
        let [line] = &log[..] else { panic!("one line: {said}") };
        assert_eq!(line["message"], "panicked: with \"quotes\"\nand a second line");
        assert_eq!((&line["level"], &line["thread"]), (&"ERROR".into(), &"unlucky".into()));
        assert!(line["place"].as_str().is_some_and(|place| place.contains("log.rs:")), "{line:?}");
        assert_eq!(line.contains_key("backtrace"), backtrace == "1");
    }
}
