//! Start, readiness, signals, and an orderly end.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::client::{Client, PATIENCE, eventually, github_signature};
use crate::daemon::{Daemon, Home};

const TOPIC: &str = r#"
[topics.github]
validator = { type = "github", secret = "It's a Secret to Everybody" }
[topics.open]
validator = { type = "none" }
[subscribers.console]
topics = ["*"]
sink = { type = "stdout" }
"#;

fn post(daemon: &Daemon) -> u16 {
    daemon.post("open", &[("content-type", "application/json")], b"{}").status
}

/// Runs a daemon that does not start, and gives its exit code and all that it said.
fn fails(mut command: Command) -> (Option<i32>, String) {
    let output = command.arg("serve").stdin(Stdio::null()).output().expect("the binary starts");
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn a_signed_push_is_recorded_answered_and_printed() {
    let home = Home::new("", TOPIC);
    let daemon = home.start();
    let body = br#"{"ref":"refs/heads/main"}"#;
    let signature = github_signature("It's a Secret to Everybody", body);
    let headers = [
        ("content-type", "application/json"),
        ("x-github-event", "push"),
        ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
        ("x-hub-signature-256", &signature),
    ];
    let answer = daemon.post("github", &headers, body);
    assert_eq!((answer.status, answer.text().as_str()), (202, r#"{"status":"accepted"}"#));
    let id = answer.header("forebay-event-id").expect("an id").to_owned();
    let line = eventually("the event is printed", || daemon.out().pop());
    let event: serde_json::Value = serde_json::from_str(&line).expect("one JSON object a line");
    assert_eq!(event["id"], id);
    assert_eq!(event["seq"], 1);
    assert_eq!(event["type"], "push");
    assert_eq!(event["payload"]["ref"], "refs/heads/main");
    assert_eq!(event["metadata"]["x-github-event"], "push");
    assert_eq!(daemon.admin("/readyz").status, 200);
    let (status, ..) = daemon.stop();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn either_signal_finishes_what_is_open_and_ends_well() {
    for signal in [Signal::TERM, Signal::INT] {
        let home = Home::new("", TOPIC);
        let mut daemon = home.start();
        let (mut idle, mut open) = (daemon.client(), daemon.client());
        assert_eq!(idle.get("/").expect("an answer").status, 404);
        let head = "POST /api/events/http/open HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\n";
        open.send(format!("{head}content-length: 2\r\n\r\n{{").as_bytes()).expect("sent");
        eventually("the request is open", || (daemon.metric("forebay_ingress_body_bytes")? > 0.0).then_some(()));
        daemon.signal(signal);
        eventually("it is not ready", || (daemon.admin("/readyz").status == 503).then_some(()));
        open.send(b"}").expect("sent");
        let answer = open.answer().expect("an answer");
        assert_eq!((answer.status, answer.header("connection")), (202, Some("close")));
        assert!(idle.answer().is_err(), "an idle connection is closed");
        assert_eq!(daemon.wait().code(), Some(0));
        assert_eq!(daemon.out().len(), 1, "what was taken last is delivered before the end");
        assert!(daemon.log().iter().any(|line| line.contains("\"message\":\"stopped\"")));
    }
}

#[test]
fn who_hangs_is_dropped_when_the_time_to_drain_is_over() {
    let home = Home::new("drain_timeout = \"500ms\"\nbody_timeout = \"30s\"", TOPIC);
    let daemon = home.start();
    assert_eq!(post(&daemon), 202);
    let mut open = daemon.client();
    let head = "POST /api/events/http/open HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\n";
    open.send(format!("{head}content-length: 2\r\n\r\n{{").as_bytes()).expect("sent");
    eventually("the request is open", || (daemon.metric("forebay_ingress_body_bytes")? > 0.0).then_some(()));
    let began = Instant::now();
    let (status, out, log) = daemon.stop();
    assert_eq!(status.code(), Some(0));
    assert!(began.elapsed() >= Duration::from_millis(300) && began.elapsed() < Duration::from_secs(5));
    assert_eq!(out.len(), 1);
    assert!(log.iter().any(|line| line.contains("did not end in time")), "{log:?}");
    assert!(open.answer().is_err());
}

#[test]
fn what_stands_in_the_way_of_a_start_is_said() {
    let home = Home::new("", TOPIC);
    let daemon = home.start();
    let (code, said) = fails(home.command());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("journal") && said.contains("another"), "the journal is taken: {said}");
    assert_eq!((post(&daemon), daemon.admin("/readyz").status), (202, 200), "the first is unharmed");

    let text = std::fs::read_to_string(home.path("forebay.toml")).expect("a configuration");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let address = taken.local_addr().expect("an address").to_string();
    let folder = home.path("file");
    std::fs::write(&folder, "a file, not a folder").expect("written");
    let sealed = home.path("sealed");
    std::fs::create_dir(&sealed).expect("a folder");
    std::fs::set_permissions(&sealed, std::fs::Permissions::from_mode(0o555)).expect("sealed");
    let long = format!("\"{}\"", home.path("x".repeat(300)).display());
    // What is changed in the configuration, the exit code, and what must be said.
    let mut cases = vec![
        ("listen = \"127.0.0.1:0\"", format!("listen = \"{address}\""), 1, vec![address.clone()]),
        ("path = \"journal\"", "path = \"file\"".to_owned(), 1, vec!["open the journal".to_owned()]),
        ("path = \"journal\"", format!("path = {long}"), 1, vec!["open the journal".to_owned()]),
        ("type = \"github\"", "type = \"gitbub\"".to_owned(), 78, vec!["did you mean `github`".to_owned()]),
        ("[topics.open]", "[topics.open]\nspeed = 1".to_owned(), 78, vec!["`speed`".to_owned(), ":".to_owned()]),
        ("[ingress]", "[ingress".to_owned(), 78, vec!["forebay.toml".to_owned()]),
    ];
    // Root may write anywhere.
    if !rustix::process::getuid().is_root() {
        cases.push(("path = \"journal\"", "path = \"sealed/a\"".to_owned(), 1, vec!["open the journal".to_owned()]));
    }
    for (from, to, want, words) in cases {
        home.configure(&text.replacen(from, &to, 1));
        let (code, said) = fails(home.command());
        assert_eq!(code, Some(want), "{to}: {said}");
        assert!(words.iter().all(|word| said.contains(word.as_str())), "{to}: {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
    std::fs::remove_file(home.path("forebay.toml")).expect("removed");
    let (code, said) = fails(home.command());
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("forebay.toml"), "{said}");
    assert_eq!(daemon.stop().0.code(), Some(0));
}

#[test]
fn systemd_is_told() {
    let mut home = Home::new("", TOPIC);
    let socket = UnixDatagram::bind(home.path("notify")).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    home.env.push(("NOTIFY_SOCKET".into(), home.path("notify").display().to_string()));
    home.env.push(("WATCHDOG_USEC".into(), "300000".into()));
    let hear = |what: &str| {
        eventually(what, || {
            let mut text = [0; 4096];
            let length = socket.recv(&mut text).expect("a message");
            String::from_utf8_lossy(&text[..length]).lines().any(|line| line == what).then_some(())
        });
        Instant::now()
    };
    let daemon = home.start();
    hear("READY=1");
    let first = hear("WATCHDOG=1");
    hear("WATCHDOG=1");
    let third = hear("WATCHDOG=1");
    assert!(third - first < Duration::from_secs(2), "{:?}", third - first);
    daemon.signal(Signal::TERM);
    hear("STOPPING=1");
    assert_eq!(daemon.stop().0.code(), Some(0));
}

#[test]
fn a_daemon_that_does_not_start_does_not_say_it_is_ready() {
    let mut home = Home::new("", TOPIC);
    let socket = UnixDatagram::bind(home.path("notify")).expect("a socket");
    socket.set_nonblocking(true).expect("not blocking");
    home.env.push(("NOTIFY_SOCKET".into(), home.path("notify").display().to_string()));
    let text = std::fs::read_to_string(home.path("forebay.toml")).expect("a configuration");
    std::fs::write(home.path("file"), "").expect("written");
    home.configure(&text.replacen("path = \"journal\"", "path = \"file\"", 1));
    assert_eq!(fails(home.command()).0, Some(1));
    assert!(socket.recv(&mut [0; 100]).is_err());
}

#[test]
fn a_file_that_was_moved_away_is_opened_anew() {
    let home = Home::new(
        "",
        "[topics.open]\nvalidator = { type = \"none\" }\n\
         [subscribers.archive]\ntopics = [\"*\"]\nsink = { type = \"file\", path = \"events.ndjson\" }\n",
    );
    let daemon = home.start();
    let lines = |name: &str| std::fs::read_to_string(home.path(name)).map_or(0, |text| text.lines().count());
    assert_eq!(post(&daemon), 202);
    eventually("it is written", || (lines("events.ndjson") == 1).then_some(()));
    std::fs::rename(home.path("events.ndjson"), home.path("old.ndjson")).expect("moved");
    daemon.signal(Signal::HUP);
    eventually("the signal is seen", || daemon.log().iter().any(|line| line.contains("SIGHUP")).then_some(()));
    assert_eq!(post(&daemon), 202);
    eventually("the new file is written", || (lines("events.ndjson") == 1).then_some(()));
    assert_eq!(lines("old.ndjson"), 1);
    assert_eq!(daemon.stop().0.code(), Some(0));
}

/// The disk fails the n-th sync of the journal, and every one after it: what was answered 202 is there, and nothing else
/// is answered so.
#[test]
fn a_disk_that_fails_is_not_believed() {
    for when in [12, 25, 40] {
        let home = Home::new("", TOPIC);
        let ours = home.command();
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync,fsync"]);
        command.args(["-e", &format!("inject=fdatasync,fsync:error=EIO:when={when}+")]);
        command.arg(ours.get_program()).args(ours.get_args()).arg("serve");
        let mut daemon = Daemon::spawn(command);
        let (mut acked, mut over) = (Vec::new(), false);
        for number in 0..500 {
            let body = format!("[{number}]");
            let request = format!(
                "POST /api/events/http/open HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\n\
                 content-length: {}\r\n\r\n{body}",
                body.len()
            );
            let answer = Client::connect(&daemon.ingress).and_then(|mut client| {
                client.send(request.as_bytes())?;
                client.answer()
            });
            match answer {
                Ok(answer) if answer.status == 202 => {
                    assert!(!over, "a 202 after the disk failed");
                    acked.push(answer.header("forebay-event-id").expect("an id").to_owned());
                }
                Ok(answer) => {
                    assert_eq!(answer.status, 503);
                    over = true;
                }
                Err(_) => {
                    over = true;
                    break;
                }
            }
        }
        assert!(over && !acked.is_empty(), "{} taken", acked.len());
        let status = daemon.wait();
        assert_eq!(status.code(), Some(1), "{:?}", daemon.log());
        assert!(daemon.log().iter().any(|line| line.contains("\"ERROR\"")), "somebody must act: {:?}", daemon.log());
        let printed = daemon.out();
        let daemon = home.start();
        assert_eq!(post(&daemon), 202, "the next start works");
        eventually("all that was taken is printed", || {
            let all: String = printed.iter().cloned().chain(daemon.out()).collect();
            acked.iter().all(|id| all.contains(id.as_str())).then_some(())
        });
    }
}
