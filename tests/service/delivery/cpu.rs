//! Waiting costs nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::{OPEN, hook, post};
use crate::client::eventually;
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
    // Fails until the endpoints count as failing; then the probes hang, and there is more to read.
    let hanging = Receiver::always(500);
    let retry = "retry = { first = \"500ms\", max = \"1h\" }";
    let patient = "retry = { first = \"1h\", max = \"1h\" }";
    let nobody = format!("http://{}/", nobody());
    let hooks: String =
        (0..4).map(|n| hook(&format!("hanging{n}"), &hanging.url(), ", timeout = \"60s\"", retry)).collect();
    let hooks = hooks
        + &hook("dead", &nobody, "", patient)
        + &hook("strict", &nobody, "", &format!("order = \"strict\"\n{patient}"))
        + "[subscribers.console]\ntopics = [\"open.never\"]\nsink = { type = \"stdout\" }\n";
    let home = Home::new("", &(OPEN.replace("accept", "event_type = { header = \"x-type\" }\naccept") + &hooks));
    let daemon = home.start();
    post(&daemon, (0..40).map(|n| n.to_string()));
    let failing = |line: &&String| line.contains("deliveries only fail") && line.contains("hanging");
    eventually("all are found failing", || (daemon.log().iter().filter(failing).count() == 4).then_some(()));
    let (hung, hangs) = (Arc::new(AtomicU32::new(0)), 4);
    let count = Arc::clone(&hung);
    hanging.answer(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        Reply::Hang
    });
    eventually("the probes hang", || (hung.load(Ordering::SeqCst) == hangs).then_some(()));
    let before = ticks(daemon.pid());
    std::thread::sleep(Duration::from_secs(2));
    let used = ticks(daemon.pid()) - before;
    println!("{used} ticks in two seconds");
    assert!(used < 30, "{used} ticks of 10 ms in two seconds of waiting");
    assert_eq!(hung.load(Ordering::SeqCst), hangs, "a failing endpoint is probed with one delivery at a time");
}
