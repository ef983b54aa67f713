//! `order = "strict"`: one at a time, in journal order, and a failure holds the line.

use super::{all_done, home_with, post, rows, seqs};
use crate::client::eventually;
use crate::receiver::{Receiver, Reply};

const STRICT: &str = "order = \"strict\"\nretry = { first = \"20ms\", max = \"40ms\" }";

fn bodies(count: u32) -> impl Iterator<Item = String> {
    (0..count).map(|n| n.to_string())
}

#[test]
fn a_failure_holds_the_line() {
    let receiver = Receiver::start(|request| match (request.seq(), request.attempt()) {
        (2, 1..=3) | (5, 1) => Reply::Status(500),
        _ => Reply::Status(200),
    });
    let home = home_with(&receiver, ", concurrency = 8", STRICT);
    let daemon = home.start();
    post(&daemon, bodies(7));
    receiver.wait_for(11);
    all_done(&daemon, "hook");
    assert_eq!(seqs(&receiver.requests()), [1, 2, 2, 2, 2, 3, 4, 5, 5, 6, 7]);
}

#[test]
fn the_order_survives_a_crash() {
    let receiver = Receiver::start(|request| Reply::Status(if request.seq() == 4 { 500 } else { 200 }));
    let home = home_with(&receiver, ", concurrency = 8", STRICT);
    let daemon = home.start();
    post(&daemon, bodies(9));
    eventually("the fourth is owed", || (rows(&home, "hook").first()?.attempts >= 2).then_some(()));
    daemon.kill();
    let before = receiver.count();
    assert_eq!(receiver.requests().iter().map(super::Request::seq).max(), Some(4));

    receiver.answer(|_| Reply::Status(200));
    let daemon = home.start();
    all_done(&daemon, "hook");
    assert_eq!(seqs(&receiver.requests()[before..]), [4, 5, 6, 7, 8, 9]);
}

#[test]
fn what_was_owed_before_it_became_strict_is_delivered_in_order_too() {
    let receiver = Receiver::always(500);
    let parallel = "retry = { first = \"20ms\", max = \"5s\" }";
    let home = home_with(&receiver, ", concurrency = 8", parallel);
    let daemon = home.start();
    post(&daemon, bodies(6));
    eventually("all are owed", || (rows(&home, "hook").len() == 6).then_some(()));
    daemon.kill();

    receiver.answer(|_| Reply::Status(200));
    let text = std::fs::read_to_string(home.path("forebay.toml")).expect("written");
    home.configure(&text.replace(parallel, STRICT));
    let before = receiver.count();
    let daemon = home.start();
    all_done(&daemon, "hook");
    assert_eq!(seqs(&receiver.requests()[before..]), [1, 2, 3, 4, 5, 6]);
}
