//! Refused deliveries: when they are tried again, and when no more.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{all_done, home_with, no_rows, of_subscriber, post, rows, the_row};
use crate::client::eventually;
use crate::receiver::{Receiver, Reply, Request};

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
    i64::try_from(now).expect("milliseconds fit")
}

fn gaps(requests: &[Request]) -> Vec<Duration> {
    requests.windows(2).map(|pair| pair[1].at - pair[0].at).collect()
}

#[test]
fn a_refused_delivery_is_tried_again_and_never_too_early() {
    let receiver = Receiver::start(|request| match request.attempt() {
        1 => Reply::Status(500),
        2 => Reply::RetryAfter(503, 2),
        3 => Reply::Status(302),
        _ => Reply::Status(200),
    });
    let home = home_with(&receiver, "", "retry = { first = \"200ms\", max = \"300ms\" }");
    let daemon = home.start();
    post(&daemon, ["{}"]);
    let requests = receiver.wait_for(4);
    let attempts: Vec<_> = requests.iter().map(Request::attempt).collect();
    assert_eq!(attempts, [1, 2, 3, 4]);
    // Clocks of milliseconds are rounded down.
    let shortest = [200, 2000, 200].map(|gap| Duration::from_millis(gap - 1));
    for (gap, shortest) in gaps(&requests).into_iter().zip(shortest) {
        assert!(gap >= shortest, "{gap:?} instead of {shortest:?}");
    }
    let (first, last) = (&requests[0], &requests[3]);
    assert_eq!((first.header("forebay-event-id"), &first.body), (last.header("forebay-event-id"), &last.body));
    all_done(&daemon, "hook");
    no_rows(&home);
    assert_eq!(of_subscriber(&daemon, "forebay_attempts_total", "hook", ",result=\"http_status\""), 3);
    assert_eq!(of_subscriber(&daemon, "forebay_attempts_total", "hook", ",result=\"ok\""), 1);
}

#[test]
fn what_nobody_will_ever_take_becomes_a_dead_letter() {
    let receiver = Receiver::start(|request| Reply::Status(request.text().parse().expect("a status")));
    let home = home_with(&receiver, ", concurrency = 1", "retry = { first = \"1ms\", max = \"2ms\", attempts = 3 }");
    let daemon = home.start();
    post(&daemon, ["400", "410", "413", "415", "422", "500", "404", "200"]);
    let dead = |series: &str, more: &str| of_subscriber(&daemon, series, "hook", more);
    eventually("all but one are dead", || (dead("forebay_dead_letters", "") == 7).then_some(()));
    eventually("the last one is delivered", || {
        (dead("forebay_deliveries_total", ",outcome=\"delivered\"") == 1).then_some(())
    });
    all_done(&daemon, "hook");
    assert_eq!(dead("forebay_deliveries_total", ",outcome=\"dead\""), 7);
    assert_eq!(receiver.count(), 5 + 2 * 3 + 1);
    daemon.stop();
    let rows = rows(&home, "hook");
    assert_eq!(rows.len(), 7);
    for (row, (status, attempts)) in
        rows.iter().zip([(400, 1), (410, 1), (413, 1), (415, 1), (422, 1), (500, 3), (404, 3)])
    {
        assert!(row.dead && row.attempts == attempts && row.reason.contains(&status.to_string()), "{row:?}");
    }
    let daemon = home.start();
    assert_eq!(of_subscriber(&daemon, "forebay_dead_letters", "hook", ""), 7, "remembered");
    assert_eq!(receiver.count(), 12, "and left alone");
}

#[test]
fn an_event_that_grows_too_old_is_given_up() {
    let receiver = Receiver::always(503);
    let home = home_with(&receiver, "", "retry = { first = \"300ms\", max = \"300ms\", max_age = \"1s\" }");
    let daemon = home.start();
    post(&daemon, ["{}"]);
    let row = the_row(&home, "it is dead", |row| row.dead);
    let requests = receiver.requests();
    let age = requests[requests.len() - 1].at - requests[0].at;
    assert!(age <= Duration::from_millis(1050) && (2..=4).contains(&row.attempts), "{age:?} {row:?}");
    assert_eq!(requests.len(), row.attempts as usize);
    drop(daemon);
}

#[test]
fn attempts_and_due_times_survive_a_crash() {
    let receiver = Receiver::always(500);
    let home = home_with(&receiver, "", "retry = { first = \"1500ms\", max = \"1500ms\" }");
    let daemon = home.start();
    post(&daemon, ["{}"]);
    let first = the_row(&home, "the refusal is noted", |row| row.attempts == 1);
    daemon.kill();

    let daemon = home.start();
    let requests = receiver.wait_for(2);
    assert!(now() >= first.due && requests[1].attempt() == 2, "{first:?}");
    assert!(requests[1].at - requests[0].at >= Duration::from_millis(1499));
    let second = the_row(&home, "the second refusal is noted", |row| row.attempts == 2 && row.due > first.due);
    daemon.kill();

    // It dies in the middle of an attempt: that one counts too.
    receiver.answer(|_| Reply::Hang);
    let daemon = home.start();
    assert_eq!(receiver.wait_for(3)[2].attempt(), 3);
    assert!(now() >= second.due);
    daemon.kill();
    receiver.answer(|_| Reply::Status(200));
    let daemon = home.start();
    assert_eq!(receiver.wait_for(4)[3].attempt(), 4);
    all_done(&daemon, "hook");
    no_rows(&home);
}
