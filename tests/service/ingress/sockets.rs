//! Unix sockets, and sockets that are handed over: a restart behind one refuses nobody and loses nothing.

use std::collections::HashSet;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{ACCEPTED, NO_ROOM};
use crate::client::{Client, eventually};
use crate::daemon::{Daemon, Home};
use crate::wire::answers;

const OPEN: &str = r#"
[topics.open]
validator = { type = "none" }
[subscribers.console]
topics = ["*"]
sink = { type = "stdout" }
"#;

const POST: &[u8] = b"POST /api/events/http/open HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n\
    content-length: 2\r\nconnection: close\r\n\r\n{}";

#[test]
fn a_unix_socket_is_an_ingress_like_any_other() {
    let text = format!(
        "[ingress]\nlisten = [\"unix:in.sock\", \"127.0.0.1:0\"]\nmax_connections = 1\n[admin]\nlisten = \
         \"127.0.0.1:0\"\n[journal]\npath = \"journal\"\nmin_free = 0\n[log]\nformat = \"json\"\n{OPEN}"
    );
    let home = Home::with_text(&text);
    let path = home.path("in.sock");
    let ask = || {
        let mut stream = UnixStream::connect(&path).expect("it listens");
        std::io::Write::write_all(&mut stream, POST).expect("sent");
        answers(&crate::wire::rest(&mut stream)).remove(0)
    };
    for _ in 0..2 {
        let daemon = home.start();
        let (unix, tcp) = daemon.ingress.split_once(", ").expect("two addresses");
        assert_eq!(unix, format!("unix:{}", path.display()));
        assert_eq!(ask().text(), ACCEPTED);
        // No listener keeps the last place from the other.
        let mut client = Client::connect(tcp).expect("it listens");
        client.send(POST).expect("sent");
        assert_eq!(client.answer().expect("an answer").status, 202);
        // A daemon that is killed leaves the socket behind, and the next one clears it away.
        daemon.kill();
        assert!(path.exists());
    }
    let daemon = home.start();
    assert_eq!(ask().status, 202);
    assert_eq!(daemon.stop().0.code(), Some(0));
    assert!(!path.exists(), "an orderly end leaves no socket");
}

/// Starts a daemon on a socket it is given as systemd does it.
fn activated(home: &Home, listener: &TcpListener, pid: &str) -> Daemon {
    let script = format!("exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_FDNAMES=in LISTEN_PID={pid} exec \"$@\" serve");
    let ours = home.command();
    let mut command = Command::new("sh");
    command.args(["-c", &script, "sh"]).arg(ours.get_program()).args(ours.get_args());
    let fd = OwnedFd::from(listener.try_clone().expect("a second descriptor"));
    Daemon::spawn_with(command, Stdio::from(fd))
}

#[test]
fn a_restart_behind_an_activated_socket_refuses_nobody() {
    const LIVES: usize = 6;
    let home = Home::new("drain_timeout = \"10s\"", OPEN);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let address = listener.local_addr().expect("an address").to_string();
    let (over, acked) = (AtomicBool::new(false), AtomicU64::new(0));
    let (ids, trouble) = (Mutex::new(HashSet::new()), Mutex::new(Vec::new()));
    let mut printed = Vec::new();
    std::thread::scope(|scope| {
        let clients = [false, false, true, true].map(|keeps| {
            let (over, acked, ids, trouble, address) = (&over, &acked, &ids, &trouble, &address);
            scope.spawn(move || {
                let mut kept = None;
                while !over.load(Ordering::Relaxed) {
                    let client = kept.take().map_or_else(|| Client::connect(address), Ok);
                    let answer = client.and_then(|mut client| {
                        let answer = client.post(
                            "/api/events/http/open",
                            &[
                                ("content-type", "application/json"),
                                ("connection", if keeps { "keep-alive" } else { "close" }),
                            ],
                            b"{}",
                        )?;
                        if answer.header("connection") != Some("close") && keeps {
                            kept = Some(client);
                        }
                        Ok(answer)
                    });
                    match answer {
                        Ok(answer) if answer.status == 202 => {
                            let id = answer.header("forebay-event-id").expect("an id").to_owned();
                            ids.lock().expect("not poisoned").insert(id);
                            acked.fetch_add(1, Ordering::Relaxed);
                        }
                        other => trouble.lock().expect("not poisoned").push(format!("{other:?}")),
                    }
                }
            })
        });
        let mut clients = clients.into_iter();
        for life in 0..LIVES {
            let daemon = activated(&home, &listener, "$$");
            assert_eq!(daemon.ingress, address);
            let enough = acked.load(Ordering::Relaxed) + 200;
            eventually("clients are served", || (acked.load(Ordering::Relaxed) >= enough).then_some(()));
            if life + 1 == LIVES {
                over.store(true, Ordering::Relaxed);
                clients.by_ref().for_each(|client| client.join().expect("clients do not panic"));
                let backlog = "forebay_backlog_events{subscriber=\"console\"}";
                eventually("all is delivered", || (daemon.metric(backlog)? == 0.0).then_some(()));
            }
            let (status, out, log) = daemon.stop();
            assert_eq!(status.code(), Some(0), "{log:?}");
            printed.extend(out);
        }
    });
    let trouble = trouble.into_inner().expect("not poisoned");
    assert!(trouble.is_empty(), "{} of {acked:?}: {:?}", trouble.len(), &trouble[..trouble.len().min(5)]);
    let printed: HashSet<String> = printed.iter().map(|line| id(line)).collect();
    let ids = ids.into_inner().expect("not poisoned");
    let lost: Vec<_> = ids.difference(&printed).collect();
    assert!(lost.is_empty(), "{} of {} lost, such as {:?}", lost.len(), ids.len(), lost[0]);
}

fn id(line: &str) -> String {
    let event: serde_json::Value = serde_json::from_str(line).expect("JSON");
    event["id"].as_str().expect("an id").to_owned()
}

#[test]
fn sockets_for_another_process_are_left_alone() {
    let home = Home::new("", OPEN);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let daemon = activated(&home, &listener, "1");
    assert_ne!(daemon.ingress, listener.local_addr().expect("an address").to_string());
}

#[test]
fn systemd_hands_over_sockets() {
    let home = Home::new("", OPEN);
    let text = std::fs::read_to_string(home.path("forebay.toml")).expect("a configuration");
    home.configure(&text.replacen("listen = \"127.0.0.1:0\"", "listen = \"127.0.0.1:1\"", 1));
    let (socket, ours) = (home.path("systemd.sock"), home.command());
    let mut command = Command::new("systemd-socket-activate");
    command.arg("-l").arg(&socket).arg(ours.get_program()).args(ours.get_args()).arg("serve");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("systemd-socket-activate, of Debian's package systemd, is there");
    let mut stream = eventually("it listens", || UnixStream::connect(&socket).ok());
    std::io::Write::write_all(&mut stream, POST).expect("sent");
    let all = answers(&crate::wire::rest(&mut stream));
    child.kill().expect("it is our child");
    child.wait().expect("it is our child");
    assert_eq!(all[0].status, 202);
}

#[test]
fn while_it_stops_nothing_new_is_taken() {
    let home = Home::new("body_timeout = \"10s\"\ndrain_timeout = \"20s\"", OPEN);
    let daemon = home.start();
    let (head, body) = POST.split_at(POST.len() - 1);
    let (mut open, mut late, mut idle) = (daemon.client(), daemon.client(), daemon.client());
    open.send(head).expect("sent");
    late.send(&POST[..30]).expect("sent");
    idle.send(POST).expect("sent");
    assert_eq!(idle.answer().expect("an answer").status, 202);
    // The open request has been seen once its body's memory is reserved.
    eventually("the request is open", || (daemon.metric("forebay_ingress_body_bytes")? >= 2.0).then_some(()));
    daemon.signal(rustix::process::Signal::TERM);
    eventually("it is not ready", || (daemon.admin("/readyz").status == 503).then_some(()));
    assert_eq!(daemon.admin("/healthz").status, 200);
    eventually("nothing is accepted", || Client::connect(&daemon.ingress).is_err().then_some(()));
    // Longer than the moment for requests that were on their way.
    std::thread::sleep(std::time::Duration::from_millis(150));
    late.send(&POST[30..]).expect("sent");
    let answer = late.answer().expect("an answer");
    assert_eq!((answer.status, answer.text().as_str()), (503, NO_ROOM));
    assert_eq!((answer.header("retry-after"), answer.header("connection")), (Some("5"), Some("close")));
    open.send(body).expect("sent");
    assert_eq!(open.answer().expect("an answer").status, 202);
    let mut daemon = daemon;
    assert_eq!(daemon.wait().code(), Some(0));
    assert_eq!(daemon.out().len(), 2);
}
