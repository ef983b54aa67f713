//! `dev`: its lines are pasted into a shell, and nothing of it stays behind.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::client::eventually;
use crate::{ended, forebay};

/// A `dev` that runs. Killed when dropped.
struct Dev {
    child: Child,
    out: Arc<Mutex<String>>,
    /// Its directory for temporary files.
    temporary: TempDir,
}

impl Dev {
    fn start(listen: &str) -> Self {
        let temporary = tempfile::tempdir().expect("a folder");
        let mut command = forebay(&["dev", "--listen", listen]);
        command.env("TMPDIR", temporary.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let out = Arc::<Mutex<String>>::default();
        let (into, stdout) = (Arc::clone(&out), child.stdout.take().expect("piped"));
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let mut out = into.lock().expect("not poisoned");
                out.push_str(&line);
                out.push('\n');
            }
        });
        let mut dev = Self { child, out, temporary };
        eventually("dev says what is there", || {
            if let Some(status) = dev.child.try_wait().expect("it is our child") {
                panic!("it ended with {status}: {}", dev.err());
            }
            dev.out().contains("Events, as they come:").then_some(())
        });
        dev
    }

    fn out(&self) -> String {
        self.out.lock().expect("not poisoned").clone()
    }

    /// What it wrote to standard error until its end.
    fn err(&mut self) -> String {
        let mut text = String::new();
        self.child.stderr.take().expect("piped").read_to_string(&mut text).expect("UTF-8");
        text
    }

    fn curl_lines(&self) -> Vec<String> {
        self.out().lines().filter(|line| line.starts_with("curl ")).map(str::to_owned).collect()
    }

    fn files(&self) -> usize {
        std::fs::read_dir(self.temporary.path()).expect("the folder").count()
    }

    /// Sends a signal, and waits for the end.
    fn end(&mut self, signal: Signal) -> (Option<i32>, String) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process");
        kill_process(pid, signal).expect("it is our child");
        let status = eventually("dev ends", || self.child.try_wait().expect("it is our child"));
        (status.code(), self.err())
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // It has ended already, or the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a line as it is pasted, and gives what it prints.
fn paste(line: &str) -> String {
    let found = Command::new("curl").arg("--version").stdout(Stdio::null()).status().is_ok();
    assert!(found, "this test needs `curl`");
    let (code, out, err) = ended(&Command::new("sh").args(["-c", line]).output().expect("a shell"));
    assert_eq!((code, err.as_str()), (Some(0), ""), "{line}");
    out
}

fn event_id(answer: &str) -> String {
    let line = answer.lines().find_map(|line| line.strip_prefix("forebay-event-id: "));
    line.unwrap_or_else(|| panic!("no id: {answer}")).trim().to_owned()
}

#[test]
fn every_line_is_accepted_as_often_as_it_is_pasted() {
    let mut dev = Dev::start("127.0.0.1:0");
    let lines = dev.curl_lines();
    assert_eq!(lines.len(), 3, "{}", dev.out());
    assert_eq!(dev.files(), 1);
    for (line, (topic, kind, shown)) in lines.iter().zip([
        ("bitbucketCloud", "repo:push", "\n  {\n    \"push\": {\n      \"changes\": ["),
        ("github", "push", "\n  {\n    \"ref\": \"refs/heads/main\","),
        ("open", "-", "\n  {\n    \"message\": \"hello\","),
    ]) {
        assert!(line.contains(&format!("/http/{topic}'")), "{topic}: {line}");
        let mut ids = BTreeSet::new();
        for _ in 0..2 {
            let answer = paste(line);
            assert!(answer.starts_with("HTTP/1.1 202 Accepted"), "{answer}");
            let id = event_id(&answer);
            let event = eventually("the event is printed", || {
                let out = dev.out();
                let (head, body) = out.split_once(&id)?;
                (body.matches('\n').count() > 4)
                    .then(|| format!("{}{id}{body}", head.lines().last().unwrap_or_default()))
            });
            let first = event.lines().next().expect("a line");
            let words: Vec<&str> = first.split_whitespace().collect();
            assert_eq!((words[1], words[2], words[4], words[5]), (topic, kind, "B", id.as_str()), "{first}");
            assert!(words[0].ends_with('Z') && words[3].parse::<u32>().is_ok_and(|size| size > 20), "{first}");
            assert!(event.contains(shown), "{event}");
            ids.insert(id);
        }
        assert_eq!(ids.len(), 2, "{topic}: what is pasted again is an event of its own");
    }
    assert!(!dev.out().contains('\x1b'), "colours are for terminals");
    // Nobody but the holder of the secret gets into a signed topic, and only the log says why.
    let forged = lines[1].replace("sha256=", "sha256=0");
    assert!(paste(&forged).starts_with("HTTP/1.1 403 "));
    let (code, err) = dev.end(Signal::INT);
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(err.lines().count(), 1, "{err}");
    assert!(err.contains("refused a request"), "{err}");
    assert_eq!(dev.files(), 0, "the journal is gone");
}

#[test]
fn no_signal_leaves_anything_behind() {
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        let mut dev = Dev::start("127.0.0.1:0");
        assert_eq!(dev.files(), 1);
        assert_eq!(dev.end(signal), (Some(0), String::new()), "{signal:?}");
        assert_eq!(dev.files(), 0, "{signal:?}");
    }
}

#[test]
fn secrets_are_of_one_run_alone() {
    let (one, two) = (Dev::start("127.0.0.1:0"), Dev::start("127.0.0.1:0"));
    let port = |line: &str| line.split("127.0.0.1:").nth(1).and_then(|rest| rest.split('/').next()).map(str::to_owned);
    let (from, to) = (&one.curl_lines()[1], &two.curl_lines()[1]);
    let moved = from.replace(&port(from).expect("a port"), &port(to).expect("a port"));
    assert!(paste(&moved).starts_with("HTTP/1.1 403 "), "{moved}");
}

#[test]
fn a_unix_socket_and_an_open_address_are_reached() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("it's a socket");
    for listen in [format!("unix:{}", socket.display()), "0.0.0.0:0".to_owned()] {
        let dev = Dev::start(&listen);
        for line in dev.curl_lines() {
            assert!(paste(&line).starts_with("HTTP/1.1 202 "), "{line}");
        }
    }
}

#[test]
fn a_busy_port_is_said_with_a_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let temporary = tempfile::tempdir().expect("a folder");
    let output = forebay(&["dev", "--listen", &address]).env("TMPDIR", temporary.path()).output();
    let (code, out, err) = ended(&output.expect("the binary starts"));
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.starts_with(&format!("error: cannot listen on `{address}`: ")), "{err}");
    assert!(err.ends_with("\nhint: `--listen 127.0.0.1:0` takes any port that is free\n"), "{err}");
    assert_eq!(std::fs::read_dir(temporary.path()).expect("the folder").count(), 0);
}
