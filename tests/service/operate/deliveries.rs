//! Subscribers and dead letters.

use serde_json::json;

use super::terminal::on_a_terminal;
use super::{TOPICS, command, post, run};
use crate::client::eventually;
use crate::daemon::{Daemon, Home};
use crate::receiver::{Receiver, Reply};

/// A folder with the topics, and `ci`, which gets what comes in.
pub(super) fn home(receiver: &Receiver) -> Home {
    let sink = format!("sink = {{ type = \"webhook\", url = \"{}\" }}", receiver.url());
    Home::new("", &format!("{TOPICS}\n[subscribers.ci]\ntopics = [\"*\"]\n{sink}\n"))
}

fn dead(home: &Home, daemon: &Daemon) -> usize {
    let all = run(home, daemon, &["dead", "list", "--json", "--limit", "1000"]).json();
    all["dead"].as_array().expect("a list").len()
}

#[test]
fn dead_letters_are_listed_retried_and_dropped() {
    let receiver = Receiver::always(400);
    let home = home(&receiver);
    let daemon = home.start();
    assert_eq!(run(&home, &daemon, &["dead", "list"]).done(), "no dead letters: nothing was given up\n");
    let mut client = daemon.client();
    let ids: Vec<String> = (0..4).map(|n| post(&mut client, &[("x-type", "push")], &[n])).collect();
    eventually("all are given up", || (dead(&home, &daemon) == 4).then_some(()));
    let listed = run(&home, &daemon, &["dead", "list", "ci", "--topic", "open"]);
    let rows: Vec<Vec<&str>> = listed.done().lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    let found: Vec<&str> = rows.iter().map(|row| row[1]).collect();
    assert_eq!(found, ids.iter().rev().collect::<Vec<_>>());
    assert!(rows.iter().all(|row| row[0] == "ci" && row[2..4] == ["open", "push"] && row.contains(&"400")), "{rows:?}");
    // What became of it stands with the event, and in the list of events.
    let shown = run(&home, &daemon, &["events", "show", &ids[0]]);
    assert!(shown.done().contains("  ci  dead, given up ") && shown.out.contains("└─ 1"), "{}", shown.out);
    assert!(run(&home, &daemon, &["events", "list"]).done().lines().nth(1).expect("a row").ends_with("  1 dead"));

    receiver.answer(|_| Reply::Status(200));
    let retried = run(&home, &daemon, &["dead", "retry", "ci", &ids[0]]);
    assert!(retried.done().starts_with("ci: 1 dead letter to be delivered again; "), "{retried:?}");
    receiver.wait_for(5);
    eventually("it is delivered", || (dead(&home, &daemon) == 3).then_some(()));
    let shown = run(&home, &daemon, &["events", "show", &ids[0]]);
    assert!(shown.done().contains("  ci  delivered\n"), "{}", shown.out);
    assert_eq!(run(&home, &daemon, &["dead", "retry", "ci", &ids[0], "--json"]).json(), json!({"count": 0}));
    assert_eq!(run(&home, &daemon, &["dead", "drop", "ci", &ids[0]]).done(), "ci has no such dead letters\n");

    // A terminal is asked; without one it is done.
    let drop = || command(&home, &daemon, &["dead", "drop", "ci", "--all"]);
    for typed in ["n\n", "\n", "yess\n"] {
        let (code, shown) = on_a_terminal(drop(), 100, typed);
        assert_eq!(code, Some(1), "{shown}");
        assert!(shown.contains("This gives up all 3 dead letters of `ci` for good. Go on? [y/N] "), "{shown}");
        assert!(shown.ends_with("error: nothing was done\n"), "{shown}");
    }
    assert_eq!(dead(&home, &daemon), 3);
    assert_eq!(run(&home, &daemon, &["dead", "drop", "ci", &ids[1]]).done(), "ci: 1 dead letter dropped\n");
    let (code, shown) = on_a_terminal(drop(), 100, "y\n");
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.ends_with("ci: 2 dead letters dropped\n"), "{shown}");
    assert_eq!((dead(&home, &daemon), receiver.count()), (0, 5));
    let shown = run(&home, &daemon, &["events", "show", &ids[1]]);
    assert!(shown.done().contains("  ci  dropped"), "{}", shown.out);
    assert_eq!(run(&home, &daemon, &["dead", "drop", "ci", "--all", "--yes"]).code, Some(0));
}

#[test]
fn a_subscriber_is_paused_and_goes_on() {
    let receiver = Receiver::always(200);
    let home = home(&receiver);
    let daemon = home.start();
    let row = || {
        let listed = run(&home, &daemon, &["subscribers", "list"]);
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        words(listed.done().lines().nth(1).expect("a row"))
    };
    assert_eq!(row()[..2], ["ci", "running"]);
    let paused = run(&home, &daemon, &["subscribers", "pause", "ci"]);
    assert!(paused.done().starts_with("ci is paused: "), "{paused:?}");
    for n in 0..3 {
        post(&mut daemon.client(), &[], &[n]);
    }
    assert_eq!(row()[..6], ["ci", "paused", "1", "3", "0", "0"]);
    let shown = run(&home, &daemon, &["subscribers", "show", "ci"]);
    assert!(
        shown.done().contains("\n  backlog      3\n") && shown.out.contains("\n  topics       *\n"),
        "{}",
        shown.out
    );
    assert_eq!(receiver.count(), 0);
    let tree = run(&home, &daemon, &["subscribers", "resume", "ci", "--json"]).json();
    assert_eq!((&tree["name"], &tree["state"]), (&json!("ci"), &json!("running")));
    receiver.wait_for(3);
    eventually("nothing is owed", || (row()[3] == "0").then_some(()));
    let tree = run(&home, &daemon, &["subscribers", "list", "--json"]).json();
    assert_eq!(tree["last_seq"], json!(3));

    for arguments in [
        &["subscribers", "show", "nobody"][..],
        &["subscribers", "pause", "nobody"],
        &["subscribers", "resume", "../ci"],
        &["dead", "retry", "nobody", "--all"],
        &["dead", "drop", "no\u{1b}body", "--all"],
    ] {
        let ended = run(&home, &daemon, arguments);
        assert!(
            ended.failed().contains("no subscriber") && !ended.err.contains('\u{1b}'),
            "{arguments:?}: {}",
            ended.err
        );
    }
}
