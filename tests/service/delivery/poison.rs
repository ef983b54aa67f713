//! An event whose delivery ends the process must not do so for ever, and must not hold up the others.

use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Signal, kill_process};

use super::{OPEN, all_done, home_with, hook, post, rows};
use crate::client::eventually;
use crate::daemon::Home;
use crate::receiver::{Receiver, Reply};

const POISON: u64 = 4;
const EVENTS: u64 = 12;

/// Which daemon runs: who delivers the poison kills it.
fn kill(pid: &AtomicU32) {
    let pid =
        eventually("it is known who asks", || i32::try_from(pid.load(Ordering::SeqCst)).ok().and_then(Pid::from_raw));
    kill_process(pid, Signal::KILL).expect("it is our child");
}

/// Starts daemons until one does not die but has done everything. Answers how many died.
fn deaths(home: &Home, pid: &AtomicU32, done: impl Fn() -> bool) -> u32 {
    let mut deaths = 0;
    loop {
        pid.store(0, Ordering::SeqCst);
        let mut command = home.command();
        let child = command.arg("serve").stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        let mut child = Guard(child);
        pid.store(child.0.id(), Ordering::SeqCst);
        let died = eventually("it dies, or is done", || {
            let died = child.0.try_wait().expect("it is our child").is_some();
            (died || done()).then_some(died)
        });
        if !died {
            return deaths;
        }
        deaths += 1;
        assert!(deaths < 12, "it dies again and again: {:?}", rows(home, "hook"));
    }
}

fn is_buried(home: &Home) -> bool {
    matches!(&rows(home, "hook")[..], [row] if row.seq == POISON && row.dead && row.attempts == 4)
}

fn survives(poisonous_from: u32) {
    let pid = Arc::new(AtomicU32::new(0));
    let victim = Arc::clone(&pid);
    let receiver = Receiver::start(move |request| {
        if request.seq() != POISON {
            return Reply::Status(200);
        }
        if request.attempt() < poisonous_from {
            return Reply::Status(500);
        }
        kill(&victim);
        Reply::Hang
    });
    let home = Home::new("", OPEN);
    let daemon = home.start();
    post(&daemon, (0..EVENTS).map(|n| n.to_string()));
    daemon.stop();
    let text = std::fs::read_to_string(home.path("forebay.toml")).expect("written");
    let more = "start = \"earliest\"\nretry = { first = \"100ms\", max = \"100ms\", attempts = 4 }";
    home.configure(&(text + &hook("hook", &receiver.url(), ", concurrency = 4", more)));

    let delivered = || {
        let mut seqs: Vec<u64> = receiver.requests().iter().map(super::Request::seq).collect();
        seqs.sort_unstable();
        seqs.dedup();
        seqs.len() as u64 == EVENTS
    };
    let deaths = deaths(&home, &pid, || delivered() && is_buried(&home));
    println!("poisonous from attempt {poisonous_from}: {deaths} deaths");
    assert!(deaths >= 3, "the poison was at work");
}

struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        // It has ended already, or is not needed any more.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_event_that_kills_at_its_first_attempt_becomes_a_dead_letter() {
    survives(1);
}

#[test]
fn an_event_that_kills_at_a_retry_becomes_a_dead_letter() {
    survives(2);
}

#[test]
fn an_event_that_kills_when_it_is_replayed_becomes_a_dead_letter() {
    let receiver = Receiver::always(200);
    let more = "retry = { first = \"100ms\", max = \"100ms\", attempts = 4 }";
    let home = home_with(&receiver, ", concurrency = 4", more);
    let daemon = home.start();
    post(&daemon, (0..EVENTS).map(|n| n.to_string()));
    receiver.wait_for(12);
    all_done(&daemon, "hook");
    let pid = Arc::new(AtomicU32::new(daemon.pid()));
    let victim = Arc::clone(&pid);
    receiver.answer(move |request| {
        if request.seq() != POISON {
            return Reply::Status(200);
        }
        kill(&victim);
        Reply::Hang
    });
    assert_eq!(daemon.api_post("/replay", &serde_json::json!({})).0, 200);
    eventually("it is poisoned", || (receiver.count() > 12).then_some(()));
    let mut daemon = daemon;
    daemon.wait();
    let again = || {
        let requests = receiver.requests().split_off(12);
        (1..=EVENTS).all(|seq| requests.iter().any(|request| request.seq() == seq))
    };
    let deaths = deaths(&home, &pid, || again() && is_buried(&home));
    assert!(deaths >= 3, "the poison was at work");
    let daemon = home.start();
    let replay = &daemon.api("/replays")["replays"][0];
    assert_eq!(
        (&replay["state"], &replay["done"]),
        (&serde_json::json!("done"), &serde_json::json!(EVENTS)),
        "{replay}"
    );
}
