//! The same delivery again: accepted, and recorded once. And that all figures add up.

use std::sync::Barrier;

use super::{OPEN, backlog, hook, of_subscriber};
use crate::client::{Answer, eventually, github_signature};
use crate::daemon::{Daemon, Home};
use crate::receiver::{Receiver, Reply};

const SECRET: &str = "It's a Secret to Everybody";
const DELIVERY: &str = "72d3162e-cc78-11e3-81ab-4c9367dc0958";

fn deliver(daemon: &Daemon, body: &[u8]) -> Answer {
    let signature = github_signature(SECRET, body);
    let headers = [
        ("content-type", "application/json"),
        ("x-github-event", "push"),
        ("x-github-delivery", DELIVERY),
        ("x-hub-signature-256", &signature),
    ];
    daemon.post("github", &headers, body)
}

#[test]
fn the_same_delivery_is_recorded_once_whoever_comes_first() {
    let receiver = Receiver::always(200);
    let github = format!("[topics.github]\nvalidator = {{ type = \"github\", secret = \"{SECRET}\" }}\n");
    let home = Home::new("", &(github + &hook("hook", &receiver.url(), "", "")));
    let mut daemon = home.start();
    let (daemon_ref, gate, threads) = (&daemon, &Barrier::new(64), 64);
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let post = || {
            scope.spawn(move || {
                gate.wait();
                deliver(daemon_ref, b"{\"n\":1}")
            })
        };
        let posting: Vec<_> = (0..threads).map(|_| post()).collect();
        posting.into_iter().map(|thread| thread.join().expect("an answer")).collect()
    });
    let id = answers[0].header("forebay-event-id").expect("an id");
    assert!(answers.iter().all(|answer| answer.status == 202 && answer.header("forebay-event-id") == Some(id)));
    let duplicates = answers.iter().filter(|answer| answer.header("forebay-duplicate") == Some("true")).count();
    assert_eq!(duplicates, threads - 1);
    assert_eq!(daemon.metric("forebay_events_total{topic=\"github\"}"), Some(1.0));
    assert_eq!(daemon.metric("forebay_duplicates_total{topic=\"github\"}"), Some(63.0));

    for killed in [true, false] {
        if killed {
            daemon.kill();
        } else {
            daemon.stop();
        }
        daemon = home.start();
        let again = deliver(&daemon, b"{\"n\":1}");
        let seen = (again.status, again.header("forebay-event-id"), again.header("forebay-duplicate"));
        assert_eq!(seen, (202, Some(id), Some("true")), "killed: {killed}");
    }
    let other = deliver(&daemon, b"{\"n\":2}");
    assert_eq!((other.status, other.header("forebay-duplicate")), (202, None), "another body is another event");
    assert_ne!(other.header("forebay-event-id"), Some(id));
    let bodies = eventually("both events arrive", || {
        let mut bodies: Vec<_> = receiver.requests().iter().map(crate::receiver::Request::text).collect();
        bodies.sort();
        bodies.dedup();
        (bodies.len() > 1).then_some(bodies)
    });
    assert_eq!(bodies, ["{\"n\":1}", "{\"n\":2}"]);
}

#[test]
fn matched_is_delivered_and_dead_and_owed() {
    // The body says what becomes of it: a status at the first attempt, and one at all others.
    let receiver = Receiver::start(|request| {
        let text = request.text();
        let (first, later) = text.split_once(' ').expect("two statuses");
        Reply::Status(if request.attempt() == 1 { first } else { later }.parse().expect("a status"))
    });
    let other = "[topics.other]\nvalidator = { type = \"none\" }\naccept = [\"*/*\"]\n";
    let retry = "retry = { first = \"10ms\", max = \"1h\", attempts = 3 }";
    let patient = "retry = { first = \"1h\", max = \"1h\", attempts = 3 }";
    let hooks = hook("quick", &receiver.url(), "", retry)
        + &hook("patient", &receiver.url(), "", patient)
        + &hook("picky", &receiver.url(), "", retry).replace("\"*\"", "\"other\"")
        + &hook("dead", &format!("http://{}/", crate::receiver::nobody()), "", patient)
        + "[subscribers.console]\ntopics = [\"open\", \"oth*\"]\nsink = { type = \"stdout\" }\n";
    let home = Home::new("", &(OPEN.to_owned() + other + &hooks));
    let daemon = home.start();
    let bodies = ["200 0", "500 200", "410 0", "200 0", "503 500", "422 0", "200 0", "500 200", "200 0"];
    std::thread::scope(|scope| {
        for topic in ["open", "other", "open"] {
            let daemon = &daemon;
            scope.spawn(move || {
                let mut client = daemon.client();
                for body in bodies.iter().cycle().take(90) {
                    let path = format!("/api/events/http/{topic}");
                    assert_eq!(client.post(&path, &[], body.as_bytes()).expect("an answer").status, 202);
                }
            });
        }
    });
    let figures = |subscriber: &str| {
        let outcome = |outcome: &str| {
            of_subscriber(&daemon, "forebay_deliveries_total", subscriber, &format!(",outcome=\"{outcome}\""))
        };
        (outcome("delivered"), outcome("dead"), backlog(&daemon, subscriber))
    };
    // Of nine events six are taken in the end, two are given up at once, and one after three attempts.
    let quick = |matched: u64| (matched * 6 / 9, matched * 3 / 9, 0);
    let patient = (270 * 4 / 9, 270 * 2 / 9, 270 * 3 / 9);
    let expected = [
        ("quick", quick(270)),
        ("picky", quick(90)),
        ("patient", patient),
        ("dead", (0, 0, 270)),
        ("console", (270, 0, 0)),
    ];
    for (subscriber, expected) in expected {
        eventually(&format!("the figures of {subscriber} are {expected:?}"), || {
            let found = figures(subscriber);
            assert!(found.0 <= expected.0 && found.1 <= expected.1, "{subscriber}: {found:?}");
            (found == expected).then_some(())
        });
    }
    assert_eq!(of_subscriber(&daemon, "forebay_dead_letters", "quick", ""), 90);
}
