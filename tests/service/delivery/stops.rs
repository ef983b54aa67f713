//! An orderly stop in the middle of deliveries.

use std::time::{Duration, Instant};

use super::{OPEN, all_done, hook, no_rows, post_many, seqs, sorted};
use crate::daemon::Home;
use crate::receiver::{Receiver, Reply};

#[test]
fn current_attempts_are_finished_and_nothing_comes_twice() {
    let receiver = Receiver::start(|_| Reply::Late(Duration::from_millis(700), 200));
    let home = Home::new("", &(OPEN.to_owned() + &hook("hook", &receiver.url(), ", concurrency = 4", "")));
    let daemon = home.start();
    post_many(&daemon, 12);
    receiver.wait_for(4);
    let began = Instant::now();
    let (status, _, log) = daemon.stop();
    assert_eq!(status.code(), Some(0), "{}", log.join("\n"));
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(receiver.count(), 4, "nothing new was begun");

    receiver.answer(|_| Reply::Status(200));
    let daemon = home.start();
    all_done(&daemon, "hook");
    assert_eq!(sorted(seqs(&receiver.requests())), (1..=12).collect::<Vec<_>>());
}

#[test]
fn what_hangs_is_abandoned_in_time_and_comes_again() {
    let receiver = Receiver::start(|_| Reply::Hang);
    let hook = hook("hook", &receiver.url(), ", concurrency = 4, timeout = \"60s\"", "");
    let home = Home::new("drain_timeout = \"500ms\"", &(OPEN.to_owned() + &hook));
    let daemon = home.start();
    post_many(&daemon, 12);
    let mut daemon = Some(daemon);
    for life in 1..=4 {
        let current = daemon.take().unwrap_or_else(|| home.start());
        receiver.wait_for(4 * life);
        let began = Instant::now();
        let (status, _, log) = current.stop();
        let took = began.elapsed();
        assert_eq!(status.code(), Some(0), "{}", log.join("\n"));
        assert!(took >= Duration::from_millis(500) && took < Duration::from_secs(3), "{took:?}");
        assert!(log.iter().any(|line| line.contains("abandoned")), "{}", log.join("\n"));
        assert!(!log.iter().any(|line| line.contains("ended several times")), "a stop is no crash");
    }
    let hung = receiver.count();
    receiver.answer(|_| Reply::Status(200));
    let daemon = home.start();
    all_done(&daemon, "hook");
    assert_eq!(sorted(seqs(&receiver.requests()[hung..])), (1..=12).collect::<Vec<_>>());
    no_rows(&home);
}
