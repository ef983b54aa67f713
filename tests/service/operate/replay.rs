//! Delivering again.

use std::process::Stdio;

use serde_json::{Value, json};

use super::deliveries::home;
use super::terminal::on_a_terminal;
use super::{command, post, run};
use crate::client::eventually;
use crate::daemon::{Daemon, Home};
use crate::receiver::{Receiver, Reply};

fn replays(home: &Home, daemon: &Daemon) -> Vec<Value> {
    run(home, daemon, &["replay", "list", "--json"]).json()["replays"].as_array().expect("a list").clone()
}

fn state(home: &Home, daemon: &Daemon) -> String {
    replays(home, daemon)[0]["state"].as_str().expect("a state").to_owned()
}

#[test]
fn events_are_delivered_again_by_their_ids_and_by_conditions() {
    let receiver = Receiver::always(200);
    let home = home(&receiver);
    let daemon = home.start();
    assert!(run(&home, &daemon, &["replay", "list"]).done().starts_with("no replays"));
    let mut client = daemon.client();
    let ids: Vec<String> = (0..10).map(|n| post(&mut client, &[("x-type", "push")], &[n])).collect();
    receiver.wait_for(10);

    assert_eq!(run(&home, &daemon, &["replay", &ids[0], "--to", "ci"]).done(), "ci: 1 event handled again\n");
    assert_eq!(receiver.wait_for(11)[10].body, [0]);
    let tree = run(&home, &daemon, &["replay", &ids[1], &ids[2], "--json"]).json();
    let done: Vec<&Value> = tree["replays"].as_array().expect("a list").iter().map(|replay| &replay["state"]).collect();
    assert_eq!(done, [&json!("done"), &json!("done")]);
    receiver.wait_for(13);

    let dry = run(&home, &daemon, &["replay", "--topic", "*", "--since", "1h", "--dry-run"]);
    assert_eq!(dry.done(), "ci: 10 events would be delivered again\n");
    assert_eq!(receiver.count(), 13);
    let by_type = run(&home, &daemon, &["replay", "--type", "push", "--query", &ids[9], "--to", "ci"]);
    assert_eq!(by_type.done(), "ci: 1 event handled again\n");
    assert_eq!(receiver.wait_for(14)[13].body, [9]);
    let all = run(&home, &daemon, &["replay", "--topic", "open.push", "--to", "ci", "--rate", "1000", "--yes"]);
    assert_eq!(all.done(), "ci: 10 events handled again\n");
    receiver.wait_for(24);
    assert!(replays(&home, &daemon).iter().all(|replay| replay["state"] == "done"));
    let listed = run(&home, &daemon, &["replay", "list"]);
    assert!(listed.done().lines().nth(1).expect("a row").contains("  done "), "{}", listed.out);
    let none = run(&home, &daemon, &["replay", "--type", "no-such", "--dry-run"]);
    assert_eq!(none.done(), "nothing to deliver again: no subscriber wants any of these events\n");

    // What is refused is retried as any other, and said.
    receiver.answer(|_| Reply::Status(503));
    let ended = run(&home, &daemon, &["replay", &ids[0]]);
    let want = "ci: 1 event handled again, 1 refused at first and retried as any other\n";
    assert_eq!(ended.done(), want);
}

#[test]
fn what_cannot_be_replayed_is_said() {
    let receiver = Receiver::always(200);
    let home = home(&receiver);
    let daemon = home.start();
    let id = post(&mut daemon.client(), &[], b"1");
    receiver.wait_for(1);
    const UNKNOWN: &str = "01935a3c-7a00-7000-8000-000000000001";
    for (arguments, want) in [
        (&["replay"][..], "which events?"),
        (&["replay", "--to", "ci"], "which events?"),
        (&["replay", "--to", "ci", &id], "put it before `--to`"),
        (&["replay", &id, "--topic", "open"], "not both"),
        (&["replay", &id, "--dry-run"], "not both"),
        (&["replay", "--since", "1h", "list"], "take no events and no conditions"),
        (&["replay", "list", "--detach"], "unexpected argument"),
    ] {
        let ended = run(&home, &daemon, arguments);
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{arguments:?}: {}", ended.err);
        assert!(ended.err.contains(want), "{arguments:?}: {}", ended.err);
    }
    assert_eq!(run(&home, &daemon, &["replay", UNKNOWN]).failed(), "there is no event of this id");
    assert!(run(&home, &daemon, &["replay", &id, "--to", "nobody"]).failed().contains("`nobody`"));
    assert!(run(&home, &daemon, &["replay", "cancel", "7"]).failed().contains("there is no replay `7`"));
    assert_eq!(receiver.count(), 1);
    // Of several the others are replayed all the same.
    let ended = run(&home, &daemon, &["replay", UNKNOWN, &id]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), "ci: 1 event handled again\n"));
    assert_eq!(ended.err, format!("error: {UNKNOWN}: there is no event of this id\n"));
    receiver.wait_for(2);
}

#[test]
fn a_replay_outlives_whoever_waits_for_it_and_can_be_ended() {
    let receiver = Receiver::always(200);
    let home = home(&receiver);
    let daemon = home.start();
    let mut client = daemon.client();
    for n in 0..200_u8 {
        post(&mut client, &[], &[n]);
    }
    receiver.wait_for(200);
    let slow = ["replay", "--since", "1h", "--to", "ci", "--rate", "1"];
    let mut waiting = command(&home, &daemon, &slow);
    let waiting = waiting.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = waiting.spawn().expect("it starts");
    eventually("it has begun", || replays(&home, &daemon).iter().any(|replay| replay["done"] != 0).then_some(()));
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it is our child");
    let output = child.wait_with_output().expect("it ends");
    let err = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]), "{err}");
    let id = replays(&home, &daemon)[0]["id"].as_str().expect("an id").to_owned();
    let daemon_named = format!("--admin http://{}", daemon.admin);
    let want = format!(
        "replay {id} goes on: `forebay {daemon_named} replay list` shows how far it is, `forebay {daemon_named} replay \
         cancel {id}` ends it\n"
    );
    assert_eq!(err, want);
    assert_eq!(state(&home, &daemon), "running");
    assert_eq!(run(&home, &daemon, &["replay", "cancel", &id]).done(), format!("replay {id} is over\n"));
    assert_eq!(state(&home, &daemon), "cancelled");

    // Nobody has to wait at all.
    let ended = run(&home, &daemon, &[&slow[..], &["--detach"]].concat());
    let id = replays(&home, &daemon)[0]["id"].as_str().expect("an id").to_owned();
    // They may not have been counted yet.
    let counted = ended.out.replace("200 events", "events");
    assert_eq!((ended.code, counted), (Some(0), format!("ci: events to be delivered again, as replay {id}\n")));
    assert!(ended.err.starts_with(&format!("replay {id} goes on: ")), "{}", ended.err);
    // Whoever waits for one that somebody else ends is told.
    let waiting = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| run(&home, &daemon, &slow));
        let id = eventually("there is another", || {
            let newest = replays(&home, &daemon)[0]["id"].as_str().expect("an id").to_owned();
            (newest != id).then_some(newest)
        });
        run(&home, &daemon, &["replay", "cancel", &id]).done();
        waiting.join().expect("no panic")
    });
    assert_eq!((waiting.code, waiting.err.as_str()), (Some(1), ""), "{}", waiting.out);
    assert!(
        waiting.out.starts_with("ci: cancelled after ") && waiting.out.ends_with(" of 200 events\n"),
        "{}",
        waiting.out
    );
}

#[test]
fn a_terminal_is_asked_about_many_events_and_shows_how_far_it_is() {
    let receiver = Receiver::always(200);
    let home = home(&receiver);
    let daemon = home.start();
    let mut client = daemon.client();
    for n in 0..1001_u32 {
        post(&mut client, &[], &n.to_be_bytes());
    }
    receiver.wait_for(1001);
    let replay =
        |more: &[&str]| command(&home, &daemon, &[&["replay", "--topic", "open", "--to", "ci"], more].concat());
    let (code, shown) = on_a_terminal(replay(&[]), 100, "n\n");
    assert_eq!(code, Some(1), "{shown}");
    assert!(shown.contains("This delivers 1,001 events again (ci 1,001). Go on? [y/N] "), "{shown}");
    assert!(replays(&home, &daemon).is_empty());
    let (code, shown) = on_a_terminal(replay(&["--rate", "1000"]), 100, "y\n");
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("Go on? [y/N] ") && shown.contains(" of 1,001 events, "), "{shown:?}");
    assert!(shown.ends_with("\x1b[1mci\x1b[0m: 1,001 events handled again\n"), "{shown:?}");
    assert_eq!(receiver.wait_for(2002).len(), 2002);
    let (code, shown) = on_a_terminal(replay(&["--yes"]), 100, "");
    assert_eq!(code, Some(0), "{shown}");
    assert!(!shown.contains("Go on?"), "{shown}");
}
