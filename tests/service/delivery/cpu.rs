//! Waiting costs nothing.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::{OPEN, hook, post};
use crate::daemon::Home;
use crate::receiver::{Receiver, Reply, nobody};

/// Processor time the process has used, in ticks of 10 ms (`utime` and `stime`, proc(5)).
fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    // The name in parentheses may hold anything.
    let (_, fields) = stat.rsplit_once(')').expect("a name");
    fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().expect("a number")).sum()
}

#[test]
fn subscribers_that_wait_use_no_processor() {
    // Fails until the endpoint counts as failing; then the probe hangs, and there is more to read.
    let seen = AtomicU32::new(0);
    let hanging = Receiver::start(move |_| match seen.fetch_add(1, Ordering::SeqCst) {
        0..10 => Reply::Status(500),
        _ => Reply::Hang,
    });
    let retry = "retry = { first = \"1s\", max = \"1h\" }";
    let hooks = hook("hanging", &hanging.url(), ", concurrency = 1, timeout = \"60s\"", retry)
        + &hook("dead", &format!("http://{}/", nobody()), "", "retry = { first = \"1h\", max = \"1h\" }")
        + &hook(
            "strict",
            &format!("http://{}/", nobody()),
            "",
            "order = \"strict\"\nretry = { first = \"1h\", max = \"1h\" }",
        )
        + "[subscribers.console]\ntopics = [\"open.never\"]\nsink = { type = \"stdout\" }\n";
    let home = Home::new("", &(OPEN.replace("accept", "event_type = { header = \"x-type\" }\naccept") + &hooks));
    let daemon = home.start();
    post(&daemon, (0..40).map(|n| n.to_string()));
    hanging.wait_for(11);
    let before = ticks(daemon.pid());
    std::thread::sleep(Duration::from_secs(2));
    let used = ticks(daemon.pid()) - before;
    println!("{used} ticks in two seconds");
    assert!(used < 30, "{used} ticks of 10 ms in two seconds of waiting");
}
