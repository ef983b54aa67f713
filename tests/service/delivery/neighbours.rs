//! Subscribers that are dead, failing or slow: they harm nobody, and get everything once they recover.

use std::time::{Duration, Instant};

use super::{OPEN, backlog, home_with, hook, post_many, seqs, sorted};
use crate::client::eventually;
use crate::daemon::Home;
use crate::receiver::{Receiver, Reply, nobody};

const EVENTS: usize = 400;

/// How long the ingress and the healthy subscriber take beside others.
fn run(others: &str) -> (Duration, Duration) {
    let healthy = Receiver::always(200);
    let home = Home::new("", &(OPEN.to_owned() + &hook("healthy", &healthy.url(), "", "") + others));
    let daemon = home.start();
    let began = Instant::now();
    post_many(&daemon, EVENTS);
    let posted = began.elapsed();
    let requests = healthy.wait_for(EVENTS);
    let delivered = began.elapsed();
    assert_eq!(sorted(seqs(&requests)), (1..=EVENTS as u64).collect::<Vec<_>>());
    (posted, delivered)
}

#[test]
fn the_dead_the_failing_and_the_slow_harm_no_other() {
    let failing = Receiver::always(500);
    let slow = Receiver::start(|_| Reply::Late(Duration::from_secs(5), 200));
    let others = hook("dead", &format!("http://{}/", nobody()), "", "retry = { first = \"1ms\", max = \"1s\" }")
        + &hook("failing", &failing.url(), ", concurrency = 64", "retry = { first = \"1ms\", max = \"1s\" }")
        + &hook("slow", &slow.url(), ", concurrency = 64", "")
        + &hook("slow_in_line", &slow.url(), "", "order = \"strict\"");
    let (posted_alone, delivered_alone) = run("");
    let (posted, delivered) = run(&others);
    println!("alone {posted_alone:?} {delivered_alone:?}, beside others {posted:?} {delivered:?}");
    assert!(failing.count() > 0 && slow.count() > 0, "the others were at work");
    let slack = Duration::from_secs(1);
    assert!(posted <= posted_alone * 5 + slack, "the ingress took {posted:?} instead of {posted_alone:?}");
    assert!(delivered <= delivered_alone * 5 + slack, "{delivered:?} instead of {delivered_alone:?}");
}

#[test]
fn an_endpoint_that_only_fails_is_probed_at_a_slowing_pace_and_recovers() {
    let receiver = Receiver::always(500);
    let home = home_with(&receiver, ", concurrency = 16", "retry = { first = \"50ms\", max = \"1h\" }");
    let daemon = home.start();
    post_many(&daemon, EVENTS);
    let says = |what: &str| daemon.log().iter().any(|line| line.contains(what));
    eventually("it is found failing", || says("deliveries only fail").then_some(()));
    std::thread::sleep(Duration::from_secs(2));
    // Ten in a row, what was under way beside them, and probes, even if chance makes each distance the shortest.
    let tried = receiver.count();
    println!("{tried} attempts until the endpoint recovers");
    assert!((11..=25 + 40).contains(&tried), "{tried} attempts");
    assert!(receiver.requests().iter().all(|request| request.attempt() <= 3), "the attempts are not used up");
    assert_eq!(backlog(&daemon, "hook"), EVENTS as u64);

    receiver.answer(|_| Reply::Status(200));
    let failed = receiver.count();
    let deadline = Instant::now() + Duration::from_secs(60);
    while receiver.count() < failed + EVENTS {
        assert!(Instant::now() < deadline, "it does not recover: {} of {EVENTS}", receiver.count() - failed);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(sorted(seqs(&receiver.requests()[failed..])), (1..=EVENTS as u64).collect::<Vec<_>>());
    assert!(says("deliveries succeed again"));
}
