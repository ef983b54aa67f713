//! Delivering recorded events again: to whom it was asked for, behind what is new, over a crash, and until it is cancelled.

use std::collections::BTreeSet;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::{OPEN, all_done, home_with, hook, no_rows, of_subscriber, post, post_many, rows, seqs, sorted, the_row};
use crate::client::eventually;
use crate::daemon::{Daemon, Home};
use crate::receiver::{Receiver, Reply, Request};

/// A topic whose events have a type.
const TYPED: &str =
    "[topics.typed]\nvalidator = { type = \"none\" }\naccept = [\"*/*\"]\nevent_type = { header = \"x-type\" }\n";

fn post_typed(daemon: &Daemon, kind: &str, body: &str) -> String {
    let answer = daemon.post("typed", &[("x-type", kind)], body.as_bytes());
    assert_eq!(answer.status, 202, "{}", answer.text());
    answer.header("forebay-event-id").expect("an id").to_owned()
}

fn begin(daemon: &Daemon, request: &Value) -> Vec<Value> {
    let (status, answer) = daemon.api_post("/replay", request);
    assert_eq!(status, 200, "{answer}");
    answer["replays"].as_array().expect("a list").clone()
}

/// Begins a replay for one subscriber, and answers its id.
fn begin_one(daemon: &Daemon, request: &Value) -> String {
    let replays = begin(daemon, request);
    assert_eq!(replays.len(), 1, "{replays:?}");
    replays[0]["id"].as_str().expect("an id").to_owned()
}

fn replay(daemon: &Daemon, id: &str) -> Value {
    daemon.api(&format!("/replays/{id}"))
}

fn ended(daemon: &Daemon, id: &str, state: &str) -> Value {
    eventually(&format!("the replay is {state}"), || Some(replay(daemon, id)).filter(|replay| replay["state"] == state))
}

/// Done, and how many events it was; none of them was refused.
fn done(daemon: &Daemon, id: &str, count: u64) {
    let replay = ended(daemon, id, "done");
    let figures = ["total", "done", "failed", "gone"].map(|name| replay[name].as_u64().expect("a number"));
    assert_eq!(figures, [count, count, 0, 0], "{replay}");
}

fn range(from: u64, to: u64) -> Vec<u64> {
    (from..=to).collect()
}

/// What the figures of a subscriber add up to, whatever was replayed.
fn adds_up(daemon: &Daemon, subscriber: &str, matched: u64) {
    let of = |name, more| of_subscriber(daemon, name, subscriber, more);
    eventually("the figures add up", || {
        let replayed = of("forebay_replayed_events_total", "");
        let delivered = of("forebay_deliveries_total", ",outcome=\"delivered\"");
        let (dead, backlog) = (of("forebay_dead_letters", ""), of("forebay_backlog_events", ""));
        println!("{subscriber}: {matched} + {replayed} = {delivered} + {dead} + {backlog}");
        (matched + replayed == delivered + dead + backlog).then_some(())
    });
}

#[test]
fn it_reaches_one_subscriber_with_what_was_asked_for_and_nobody_else() {
    let (ci, archive) = (Receiver::always(200), Receiver::always(200));
    let hooks = hook("ci", &ci.url(), "", "") + &hook("archive", &archive.url(), "", "");
    let home = Home::new("", &(TYPED.to_owned() + &hooks));
    let daemon = home.start();
    let kinds = ["push", "pull"];
    let ids: Vec<String> = (0..60_usize).map(|n| post_typed(&daemon, kinds[n % 2], &format!("body {n}"))).collect();
    let first = [&ci, &archive].map(|receiver| receiver.wait_for(60));
    let wanted = json!({ "subscribers": ["ci"], "type": "push" });

    let mut dry = wanted.clone();
    dry["dry_run"] = json!(true);
    let would = &begin(&daemon, &dry)[0];
    assert_eq!(
        (&would["state"], &would["total"], &would["id"]),
        (&json!("dry_run"), &json!(30), &json!("")),
        "{would}"
    );
    assert_eq!(daemon.api("/replays")["replays"], json!([]), "it was only asked");

    let id = begin_one(&daemon, &wanted);
    done(&daemon, &id, 30);
    let again = &ci.requests()[60..];
    assert_eq!(sorted(seqs(again)), range(1, 60).into_iter().step_by(2).collect::<Vec<_>>());
    for request in again {
        let before = first[0].iter().find(|before| before.seq() == request.seq()).expect("it came before");
        assert_eq!(request.header("forebay-event-id"), before.header("forebay-event-id"));
        assert_eq!((&request.body, request.attempt()), (&before.body, 1));
    }
    let (status, answer) = daemon.api_post(&format!("/events/{}/replay", ids[7]), &json!({}));
    assert_eq!((status, answer["replays"].as_array().map(Vec::len)), (200, Some(2)), "nobody is named: {answer}");
    eventually("both have it", || (ci.count() == 91 && archive.count() == 61).then_some(()));
    let last = [&ci, &archive].map(|receiver| receiver.requests().last().expect("it came").clone());
    assert!(last.iter().all(|request| request.header("forebay-event-id") == ids[7] && request.text() == "body 7"));
    for (subscriber, replayed) in [("ci", 31), ("archive", 1)] {
        all_done(&daemon, subscriber);
        adds_up(&daemon, subscriber, 60);
        eventually("it is counted", || {
            (of_subscriber(&daemon, "forebay_replayed_events_total", subscriber, "") == replayed).then_some(())
        });
    }
    assert_eq!(of_subscriber(&daemon, "forebay_replay_remaining_events", "ci", ""), 0);
    assert_eq!(daemon.api("/replays")["replays"].as_array().map(Vec::len), Some(3));
}

#[test]
fn what_cannot_be_is_said() {
    let receiver = Receiver::always(200);
    let hooks = hook("pushes", &receiver.url(), "", "").replace("\"*\"", "\"typed.push\"");
    let home = Home::new("", &(TYPED.to_owned() + &hooks));
    let daemon = home.start();
    let (push, pull) = (post_typed(&daemon, "push", "1"), post_typed(&daemon, "pull", "2"));
    receiver.wait_for(1);
    let nobody = "0193ac3e-0000-7000-8000-000000000000";
    let one = |id: &str| format!("/events/{id}/replay");
    for (path, body, status, says) in [
        (one(&pull), json!({ "subscribers": ["pushes"] }), 422, "`pushes` does not take `typed.pull`"),
        (one(&pull), json!({}), 422, "no subscriber takes `typed.pull`"),
        (one(&push), json!({ "subscribers": ["pushes", "nobody"] }), 422, "no subscriber `nobody`"),
        (one(nobody), json!({}), 404, "no event"),
        (one("x"), json!({}), 400, "UUID"),
        (one(&push), json!({ "rate": 1 }), 400, "rate"),
        ("/replay".into(), json!({ "subscriber": "pushes" }), 400, "`subscriber`"),
        ("/replay".into(), json!({ "rate": 0 }), 400, "`rate`"),
        ("/replay".into(), json!({ "since": "yesterday" }), 400, "`since`"),
        ("/replay".into(), json!({ "topic": "a b" }), 400, "`topic`"),
        ("/replay".into(), json!({ "type": "pull" }), 422, "no subscriber takes"),
        ("/replays/7/cancel".into(), json!({}), 404, "no replay `7`"),
        ("/replays/x/cancel".into(), json!({}), 404, "no replay `x`"),
    ] {
        let (got, answer) = daemon.api_post(&path, &body);
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(got == status && message.contains(says), "{path} {body}: {got} {answer}");
    }
    assert_eq!(daemon.api("/replays")["replays"], json!([]), "nothing was begun");
    for _ in 0..16 {
        begin(&daemon, &json!({ "subscribers": ["pushes"], "rate": 1, "topic": "typed" }));
    }
    eventually("they have ended", || {
        let replays = daemon.api("/replays");
        replays["replays"].as_array()?.iter().all(|replay| replay["state"] == "done").then_some(())
    });
    receiver.answer(|_| Reply::Hang);
    let begin_another = || daemon.api_post("/replay", &json!({ "subscribers": ["pushes"] }));
    let begun = (0..17).map(|_| begin_another()).take_while(|(status, _)| *status == 200).count();
    assert_eq!(begun, 16, "at most so many wait");
    let (status, answer) = begin_another();
    assert!(status == 422 && answer["error"]["message"].as_str().expect("a text").contains("16 replays"), "{answer}");
}

#[test]
fn it_goes_on_after_a_kill() {
    const EVENTS: u64 = 600;
    let receiver = Receiver::always(200);
    let home = home_with(&receiver, ", concurrency = 4", "");
    let daemon = home.start();
    post_many(&daemon, 600);
    receiver.wait_for(600);
    all_done(&daemon, "hook");
    receiver.answer(|_| Reply::Late(Duration::from_millis(3), 200));
    let id = begin_one(&daemon, &json!({}));
    let mut lives = Vec::new();
    let mut daemon = Some(daemon);
    for life in 1..=3_usize {
        let before = receiver.count();
        receiver.wait_for(600 + life * 150);
        daemon.take().expect("it runs").kill();
        lives.push(seqs(&receiver.requests()[before..]));
        daemon = Some(home.start());
    }
    let daemon = daemon.expect("it runs");
    let before = receiver.count();
    let replay = ended(&daemon, &id, "done");
    assert!(replay["done"] == replay["total"] && replay["total"] == EVENTS && replay["gone"] == 0, "{replay}");
    lives.push(seqs(&receiver.requests()[before..]));
    let all: BTreeSet<u64> = lives.iter().flatten().copied().collect();
    assert!(all.into_iter().eq(1..=EVENTS), "every event came again");
    let firsts: Vec<u64> = lives.iter().map(|seqs| seqs.iter().copied().min().unwrap_or(0)).collect();
    println!("begun with {firsts:?}");
    assert!(firsts.windows(2).all(|pair| pair[0] < pair[1]), "it does not begin anew: {firsts:?}");
}

#[test]
fn what_is_new_comes_before_what_is_replayed() {
    const LIVE: usize = 25;
    let receiver = Receiver::always(200);
    let home = home_with(&receiver, ", concurrency = 4", "");
    let daemon = home.start();
    post_many(&daemon, 4000);
    receiver.wait_for(4000);
    all_done(&daemon, "hook");
    // The receiver is what limits the replay.
    receiver.answer(|_| Reply::Late(Duration::from_millis(1), 200));
    let id = begin_one(&daemon, &json!({}));
    let mut client = daemon.client();
    for live in 0..LIVE {
        receiver.wait_for(4000 + live * 20 + 20);
        let answer = client.post("/api/events/http/open", &[], b"new").expect("an answer");
        let (at, seq) = (receiver.count(), 4001 + live as u64);
        assert_eq!(answer.status, 202);
        let requests = receiver.wait_for(at + 60);
        let place = requests.iter().position(|request| request.seq() == seq);
        // Two are under way, and some follow before the worker is told.
        assert!(place.is_some_and(|place| place < at + 50), "{place:?} instead of {at}");
    }
    assert_eq!(replay(&daemon, &id)["state"], "running", "void: the replay was over before");
    done(&daemon, &id, 4000);
}

#[test]
fn a_cancelled_one_stays_cancelled() {
    let receiver = Receiver::always(200);
    let home = home_with(&receiver, "", "");
    let daemon = home.start();
    post_many(&daemon, 300);
    receiver.wait_for(300);
    all_done(&daemon, "hook");
    let ids = [100, 200].map(|rate| begin_one(&daemon, &json!({ "rate": rate })));
    receiver.wait_for(310);
    // The second one has not begun yet.
    for id in ids.iter().rev() {
        let (status, answer) = daemon.api_post(&format!("/replays/{id}/cancel"), &json!({}));
        assert_eq!((status, &answer["state"]), (200, &json!("cancelled")));
    }
    let (status, again) = daemon.api_post(&format!("/replays/{}/cancel", ids[0]), &json!({}));
    assert_eq!((status, &again["state"]), (200, &json!("cancelled")), "it was cancelled before");
    let first = eventually("what was under way has ended", || {
        let view = replay(&daemon, &ids[0]);
        (view["done"].as_u64() == Some(receiver.count() as u64 - 300)).then_some(view)
    });
    assert!((10..290).contains(&first["done"].as_u64().expect("a number")), "{first}");
    assert_eq!(replay(&daemon, &ids[1])["done"], 0, "one after the other");
    adds_up(&daemon, "hook", 300);
    let count = receiver.count();
    daemon.kill();
    let daemon = home.start();
    post(&daemon, ["more"]);
    receiver.wait_for(count + 1);
    all_done(&daemon, "hook");
    // The last of its figures may have been lost.
    assert!(ended(&daemon, &ids[0], "cancelled")["done"].as_u64() <= first["done"].as_u64());
    assert_eq!(receiver.count(), count + 1);
    let id = begin_one(&daemon, &json!({}));
    done(&daemon, &id, 301);
}

#[test]
fn what_is_owed_or_dead_is_made_due_and_never_twice() {
    let well = Arc::new(AtomicBool::new(false));
    let is_well = Arc::clone(&well);
    let receiver = Receiver::start(move |request| match request.seq() {
        1 if !is_well.load(Ordering::SeqCst) => Reply::Status(500),
        2 if !is_well.load(Ordering::SeqCst) => Reply::Status(410),
        _ => Reply::Status(200),
    });
    let home = home_with(&receiver, "", "retry = { first = \"1h\", max = \"1h\" }");
    let daemon = home.start();
    post(&daemon, ["owed", "dead", "delivered"]);
    eventually("they are refused", || (rows(&home, "hook").len() == 2 && receiver.count() == 3).then_some(()));
    well.store(true, Ordering::SeqCst);
    let id = begin_one(&daemon, &json!({}));
    done(&daemon, &id, 3);
    all_done(&daemon, "hook");
    no_rows(&home);
    let again = receiver.requests().split_off(3);
    assert_eq!(sorted(seqs(&again)), [1, 2, 3]);
    let attempts: Vec<_> = [1, 2, 3].map(|seq| again.iter().find(|it| it.seq() == seq).map(Request::attempt)).to_vec();
    assert_eq!(attempts, [Some(2), Some(2), Some(1)]);
    assert_eq!(of_subscriber(&daemon, "forebay_replayed_events_total", "hook", ""), 1, "the others were owed or dead");
    assert_eq!(of_subscriber(&daemon, "forebay_dead_letters", "hook", ""), 0);
    adds_up(&daemon, "hook", 3);
}

#[test]
fn what_is_refused_again_is_retried_as_any_other() {
    let receiver = Receiver::always(200);
    let home = home_with(&receiver, "", "retry = { first = \"20ms\", max = \"50ms\", attempts = 3 }");
    let daemon = home.start();
    post(&daemon, (0..20).map(|n| n.to_string()));
    receiver.wait_for(20);
    all_done(&daemon, "hook");
    receiver.answer(|request| match (request.seq(), request.attempt()) {
        (7, _) => Reply::Status(500),
        (seq, 1) if seq % 2 == 0 => Reply::Status(500),
        _ => Reply::Status(200),
    });
    let id = begin_one(&daemon, &json!({}));
    let view = ended(&daemon, &id, "done");
    assert_eq!((&view["done"], &view["failed"]), (&json!(20), &json!(11)), "{view}");
    all_done(&daemon, "hook");
    let row = the_row(&home, "the one that nobody takes is a dead letter", |row| row.dead);
    assert_eq!((row.seq, row.attempts), (7, 3));
    assert_eq!(receiver.count(), 20 + 20 + 10 + 2);
    adds_up(&daemon, "hook", 20);
}

#[test]
fn in_line_they_come_one_at_a_time_and_a_failure_holds_the_line() {
    let receiver = Receiver::always(200);
    let strict = "order = \"strict\"\nretry = { first = \"20ms\", max = \"40ms\" }";
    let home = home_with(&receiver, ", concurrency = 8", strict);
    let daemon = home.start();
    post(&daemon, (0..6).map(|n| n.to_string()));
    receiver.wait_for(6);
    all_done(&daemon, "hook");
    let (busy, most) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (now, peak) = (Arc::clone(&busy), Arc::clone(&most));
    receiver.answer(move |request| {
        peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(2));
        now.fetch_sub(1, Ordering::SeqCst);
        Reply::Status(if (request.seq(), request.attempt()) == (3, 1) { 500 } else { 200 })
    });
    let id = begin_one(&daemon, &json!({}));
    ended(&daemon, &id, "done");
    assert_eq!(seqs(&receiver.requests()[6..]), [1, 2, 3, 3, 4, 5, 6]);
    assert_eq!(most.load(Ordering::SeqCst), 1);
}

#[test]
fn a_dead_letter_comes_again_though_its_segment_is_gone() {
    let receiver = Receiver::start(|request| Reply::Status(if request.seq() == 2 { 410 } else { 200 }));
    let home = home_with(&receiver, "", "");
    let text = std::fs::read_to_string(home.path("forebay.toml")).expect("written");
    home.configure(&text.replace("[log]", "retain = { size = \"2 MiB\", age = \"1h\" }\n[log]"));
    let daemon = home.start();
    let ids: Vec<String> = ["the first", "the second"]
        .map(|body| daemon.post("open", &[], body.as_bytes()).header("forebay-event-id").expect("an id").to_owned())
        .to_vec();
    eventually("one is dead", || rows(&home, "hook").iter().any(|row| row.dead).then_some(()));
    post(&daemon, (0..30).map(|n| format!("{n} {}", "x".repeat(200_000))));
    eventually("the first segment goes", || (!home.path(format!("journal/{:020}.log", 1)).exists()).then_some(()));
    all_done(&daemon, "hook");
    receiver.answer(|_| Reply::Status(200));
    let replay = |id: &str| daemon.api_post(&format!("/events/{id}/replay"), &json!({}));
    assert_eq!(replay(&ids[0]).0, 410, "it was delivered, and is gone");
    let count = receiver.count();
    assert_eq!(replay(&ids[1]).0, 200);
    let last = receiver.wait_for(count + 1).pop().expect("it came");
    assert_eq!((last.header("forebay-event-id"), last.text().as_str()), (&*ids[1], "the second"));
    no_rows(&home);
}

#[test]
fn a_file_gets_them_again_too() {
    let home = Home::new("", OPEN);
    let file = home.path("archive.ndjson");
    let text = std::fs::read_to_string(home.path("forebay.toml")).expect("written");
    let sink = format!(
        "[subscribers.file]\ntopics = [\"open\"]\nsink = {{ type = \"file\", path = \"{}\" }}\n",
        file.display()
    );
    home.configure(&(text + &sink));
    let daemon = home.start();
    post_many(&daemon, 500);
    all_done(&daemon, "file");
    let id = begin_one(&daemon, &json!({ "topic": "open" }));
    done(&daemon, &id, 500);
    let text = std::fs::read_to_string(&file).expect("written");
    assert_eq!(text.lines().count(), 1000);
    adds_up(&daemon, "file", 500);
}

#[test]
fn what_is_damaged_is_passed_over_and_said_to_be_gone() {
    let receiver = Receiver::always(200);
    let home = home_with(&receiver, "", "");
    let daemon = home.start();
    post(&daemon, (0..40).map(|n| format!("number {n}.")));
    receiver.wait_for(40);
    all_done(&daemon, "hook");
    let log = home.path(format!("journal/{:020}.log", 1));
    let (bytes, damaged) = (std::fs::read(&log).expect("read"), b"number 17.");
    let at = bytes.windows(damaged.len()).position(|window| window == damaged).expect("it is there");
    let file = std::fs::File::options().write(true).open(&log).expect("opened");
    file.write_all_at(b"N", at as u64).expect("written");
    let id = begin_one(&daemon, &json!({}));
    let view = ended(&daemon, &id, "done");
    assert_eq!(["total", "done", "gone"].map(|name| view[name].as_u64()), [Some(40), Some(39), Some(1)], "{view}");
    let again = sorted(seqs(&receiver.requests()[40..]));
    assert_eq!(again, (1..=40).filter(|seq| *seq != 18).collect::<Vec<_>>());
}
