//! Readers that wait: what holds them, what wakes them, what ends them.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use super::{Caller, home, post, topics};
use crate::client::eventually;

fn waiting(daemon: &crate::daemon::Daemon) -> f64 {
    daemon.metric("forebay_bus_waiting_readers").expect("it is shown")
}

#[test]
fn a_reader_is_woken_by_its_topics_only() {
    let home = home("notify_timeout = \"280s\"", "");
    let daemon = home.start();
    let (mut reader, mut publisher) = (Caller::new(&daemon), Caller::new(&daemon));
    reader.subscribe("a", &["mine", "github.push"]);
    publisher.subscribe("b", &["other"]);
    assert_eq!(reader.read("a"), None, "the head comes at once, and the answer is held");
    assert_eq!(publisher.publish("other", &json!(1), &[]), 201);
    post(&daemon, "issues", "{}");
    assert_eq!(waiting(&daemon), 1.0, "neither concerns it");
    assert_eq!(publisher.publish("mine", &json!(2), &[]), 201);
    reader.wait();
    assert_eq!(topics(&reader.read("a").expect("there it is")), ["mine"]);
    assert_eq!(reader.read("a"), None);
    post(&daemon, "push", "{}");
    reader.wait();
    assert_eq!(topics(&reader.read("a").expect("there it is")), ["github.push"]);
}

#[test]
fn a_reader_is_let_go_when_its_time_is_over() {
    let home = home("notify_timeout = \"150ms\"", "");
    let daemon = home.start();
    let mut reader = Caller::new(&daemon);
    reader.subscribe("a", &["t"]);
    for _ in 0..3 {
        let began = Instant::now();
        assert_eq!(reader.read("a"), None);
        reader.wait();
        assert!(began.elapsed() >= Duration::from_millis(150), "held for its time");
    }
}

#[test]
fn a_reader_that_goes_away_is_noticed() {
    let home = home("notify_timeout = \"280s\"", "");
    let daemon = home.start();
    let mut keeper = Caller::new(&daemon);
    keeper.subscribe("a", &["t"]);
    let mut gone = Caller::new(&daemon);
    assert_eq!((gone.read("a"), waiting(&daemon)), (None, 1.0));
    drop(gone);
    eventually("it is not waited for", || (waiting(&daemon) == 0.0).then_some(()));
}

#[test]
fn those_that_share_a_subscription_wait_together() {
    let home = home("notify_timeout = \"280s\"", "");
    let daemon = home.start();
    let mut readers: Vec<Caller> = (0..20).map(|_| Caller::new(&daemon)).collect();
    readers[0].subscribe("a", &["t"]);
    for reader in &mut readers {
        assert_eq!(reader.read("a"), None);
    }
    let mut publisher = Caller::new(&daemon);
    for n in 0..3 {
        assert_eq!(publisher.publish("t", &json!(n), &[]), 201);
    }
    let mut got = 0;
    for reader in &mut readers {
        reader.wait();
        got += reader.read("a").map_or(0, |events| events.len());
    }
    assert_eq!(got, 3, "each event once");
}

#[test]
fn a_stop_lets_everybody_go_and_keeps_nothing_back() {
    let home = home("notify_timeout = \"280s\"", "");
    let mut daemon = home.start();
    let mut reader = Caller::new(&daemon);
    reader.subscribe("a", &["t"]);
    assert_eq!(reader.read("a"), None);
    let began = Instant::now();
    daemon.signal(Signal::TERM);
    reader.wait();
    assert_eq!(daemon.wait().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(20), "it did not wait for the reader's time");
}

/// As many open files as this process may have.
fn open_many_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let files = getrlimit(Resource::Nofile);
    let enough = files.maximum.is_none_or(|most| most >= 4096);
    assert!(enough, "this test needs 4096 open files: raise the hard limit, `ulimit -Hn`");
    setrlimit(Resource::Nofile, Rlimit { current: files.maximum, ..files }).expect("the limit is raised");
}

#[test]
fn two_thousand_readers_wait_for_little() {
    open_many_files();
    let home = home("notify_timeout = \"280s\"", "");
    let daemon = home.start();
    let mut first = Caller::new(&daemon);
    let resident = |daemon: &crate::daemon::Daemon| -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line").trim().to_owned();
        line.trim_end_matches(" kB").parse().expect("a number")
    };
    let before = resident(&daemon);
    let mut readers: Vec<Caller> = Vec::new();
    for n in 0..2000 {
        let mut reader = Caller::new(&daemon);
        reader.subscribe(&format!("reader-{n}"), &["t", &format!("only-{n}")]);
        assert_eq!(reader.read(&format!("reader-{n}")), None);
        readers.push(reader);
    }
    assert_eq!(waiting(&daemon), 2000.0);
    let each = resident(&daemon).saturating_sub(before) / 2000;
    assert!(each < 64, "a waiting reader holds {each} KiB");
    assert_eq!(first.publish("only-1999", &json!(1), &[]), 201);
    readers[1999].wait();
    assert_eq!(readers[1999].read("reader-1999").map(|events| events.len()), Some(1));
    assert_eq!(waiting(&daemon), 1999.0, "nobody else was woken");
    assert_eq!(first.publish("t", &json!(2), &[]), 201);
    for (n, reader) in readers.iter_mut().enumerate().take(1999) {
        reader.wait();
        assert_eq!(reader.read(&format!("reader-{n}")).map(|events| events.len()), Some(1), "{n}");
    }
}

#[test]
fn a_subscription_nobody_reads_is_forgotten() {
    let home = home("notify_timeout = \"280s\"\nforget_idle = \"1s\"", "");
    let daemon = home.start();
    let (mut idle, mut reader) = (Caller::new(&daemon), Caller::new(&daemon));
    idle.subscribe("idle", &["t"]);
    reader.subscribe("read", &["t"]);
    assert_eq!(reader.read("read"), None);
    eventually("it is forgotten", || (daemon.metric("forebay_bus_subscriptions") == Some(1.0)).then_some(()));
    assert_eq!(idle.ask("GET", "/bus/v1/subscriptions/idle/events", None).status, 404);
    assert_eq!(waiting(&daemon), 1.0, "who waits is no idler");
}

#[test]
fn the_time_in_which_nothing_ran_is_not_idleness() {
    let home = home("forget_idle = \"2s\"", "");
    let daemon = home.start();
    Caller::new(&daemon).subscribe("a", &["t"]);
    let (status, ..) = daemon.stop();
    assert_eq!(status.code(), Some(0));
    let stopped = Instant::now();
    eventually("a long stop", || (stopped.elapsed() >= Duration::from_secs(2)).then_some(()));
    let daemon = home.start();
    let mut caller = Caller::new(&daemon);
    assert_eq!(caller.publish("t", &json!(1), &[]), 201, "it is still known");
    assert_eq!(caller.gather("a", 1).len(), 1);
}
