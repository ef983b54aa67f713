//! What operators do with subscribers and dead letters, over the API.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use super::events::{TOPICS, post};
use crate::client::eventually;
use crate::daemon::{Daemon, Home};
use crate::receiver::{Receiver, Reply};

/// A receiver whose answer can be changed, and a folder with one subscriber that posts to it.
fn stage(status: u16, more: &str) -> (Receiver, Arc<AtomicU16>, Home) {
    let answer = Arc::new(AtomicU16::new(status));
    let shared = Arc::clone(&answer);
    let receiver = Receiver::start(move |_| Reply::Status(shared.load(Ordering::SeqCst)));
    let hook = format!(
        "[subscribers.hook]\ntopics = [\"*\"]\nsink = {{ type = \"webhook\", url = \"{}?token=canary\" }}\n{more}\n",
        receiver.url()
    );
    let home = Home::new("", &(TOPICS.to_owned() + &hook));
    (receiver, answer, home)
}

fn record(daemon: &Daemon, count: usize) -> Vec<String> {
    let mut client = daemon.client();
    (0..count).map(|n| post(&mut client, &[("content-type", "text/plain")], n.to_string().as_bytes())).collect()
}

fn hook(daemon: &Daemon) -> Value {
    daemon.api("/subscribers/hook")
}

/// Waits until the subscriber shows these figures.
fn becomes(daemon: &Daemon, want: &[(&str, u64)]) {
    eventually(&format!("{want:?}"), || {
        let hook = hook(daemon);
        want.iter().all(|(field, value)| hook[field] == json!(value)).then_some(())
    });
}

/// The first event that the subscriber has not examined, as the state file has it.
fn saved_position(home: &Home) -> u64 {
    let path = home.path("journal/state.sqlite");
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("opened");
    let sql = "SELECT next FROM cursors WHERE subscriber = 'hook'";
    db.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("it is there").cast_unsigned()
}

/// What became of an event for the subscriber, and the results of its attempts.
fn fate(daemon: &Daemon, id: &str) -> (String, Vec<String>) {
    let event = daemon.api(&format!("/events/{id}"));
    let delivery = &event["deliveries"][0];
    assert_eq!(delivery["subscriber"], "hook", "{event}");
    let result = |attempt: &Value| format!("{} {}", attempt["number"], attempt["result"].as_str().expect("a word"));
    let attempts = delivery["attempts"].as_array().expect("a list").iter().map(result).collect();
    (delivery["state"].as_str().expect("a word").to_owned(), attempts)
}

#[test]
fn a_pause_outlives_the_process() {
    let (receiver, _, home) = stage(200, "");
    let daemon = home.start();
    let ids = record(&daemon, 1);
    eventually("that it was delivered is on the disk", || (saved_position(&home) == 2).then_some(()));
    let (status, paused) = daemon.api_post("/subscribers/hook/pause", &json!({}));
    assert_eq!((status, &paused["state"]), (200, &json!("paused")));
    daemon.kill();
    let daemon = home.start();
    let later = record(&daemon, 20);
    becomes(&daemon, &[("backlog", 20), ("delivered", 0)]);
    let seen = hook(&daemon);
    assert_eq!((&seen["state"], &seen["name"], &seen["topics"]), (&json!("paused"), &json!("hook"), &json!(["*"])));
    assert!(!seen.to_string().contains("canary"), "{seen}");
    assert_eq!(seen["sink"], format!("webhook {}/...", receiver.url()));
    assert_eq!(fate(&daemon, &later[3]), ("pending".into(), Vec::new()));
    assert_eq!(fate(&daemon, &ids[0]), ("delivered".into(), vec!["1 ok".into()]));
    assert_eq!(receiver.count(), 1);
    let (status, running) = daemon.api_post("/subscribers/hook/resume", &json!({}));
    assert_eq!((status, &running["state"]), (200, &json!("running")));
    receiver.wait_for(21);
    becomes(&daemon, &[("backlog", 0), ("delivered", 20)]);
    daemon.kill();
    let daemon = home.start();
    assert_eq!(hook(&daemon)["state"], "running");
    let last = record(&daemon, 1);
    let arrived = |id: &String| receiver.requests().iter().any(|request| request.header("forebay-event-id") == id);
    eventually("it delivers", || arrived(&last[0]).then_some(()));
    assert_eq!(daemon.api("/subscribers")["last_seq"], 22);
}

#[test]
fn a_letter_that_is_retried_is_delivered_and_all_its_attempts_are_told() {
    let (receiver, answer, home) = stage(500, "retry = { first = \"100ms\", max = \"100ms\", attempts = 2 }");
    let daemon = home.start();
    let ids = record(&daemon, 3);
    becomes(&daemon, &[("dead", 3), ("backlog", 0)]);
    assert!(hook(&daemon)["last_error"]["reason"].as_str().expect("a text").contains("500"));
    assert_eq!(fate(&daemon, &ids[0]), ("dead".into(), vec!["1 http_status".into(), "2 http_status".into()]));
    let page = daemon.api("/dead?limit=2");
    assert_eq!(page["dead"].as_array().map(Vec::len), Some(2));
    let letter = &page["dead"][0];
    assert_eq!((&letter["event"], &letter["seq"], &letter["topic"]), (&json!(ids[2]), &json!(3), &json!("open")));
    assert_eq!((&letter["attempts"], &letter["subscriber"]), (&json!(2), &json!("hook")));
    let rest = daemon.api(&format!("/dead?topic=op*&before={}", page["next"].as_str().expect("there is more")));
    assert_eq!((&rest["dead"][0]["event"], &rest["next"]), (&json!(ids[0]), &json!(null)));
    assert_eq!(daemon.api("/dead?topic=github")["dead"], json!([]));

    answer.store(204, Ordering::SeqCst);
    let one = json!({ "subscriber": "hook", "events": [ids[1]] });
    assert_eq!(daemon.api_post("/dead/retry", &one), (200, json!({ "count": 1 })));
    becomes(&daemon, &[("dead", 2), ("backlog", 0), ("delivered", 1)]);
    let requests = receiver.requests();
    let last = requests.last().expect("it was sent");
    assert_eq!((last.header("forebay-event-id"), last.attempt(), last.text().as_str()), (ids[1].as_str(), 3, "1"));
    let told = fate(&daemon, &ids[1]);
    assert_eq!(told, ("delivered".into(), vec!["1 http_status".into(), "2 http_status".into(), "3 ok".into()]));
    let event = daemon.api(&format!("/events/{}", ids[1]));
    let attempts = &event["deliveries"][0]["attempts"];
    assert_eq!((&attempts[2]["status"], &attempts[0]["status"]), (&json!(204), &json!(500)));
    assert_eq!(attempts[0]["answer"], "ok");
    assert!(attempts[2]["time"].is_string() && attempts[2]["duration_seconds"].is_number(), "{attempts}");

    assert_eq!(
        daemon.api_post("/dead/drop", &json!({ "subscriber": "hook", "all": true })),
        (200, json!({ "count": 2 }))
    );
    becomes(&daemon, &[("dead", 0), ("backlog", 0), ("delivered", 1)]);
    let dropped = r#"forebay_deliveries_total{subscriber="hook",outcome="dropped"}"#;
    assert_eq!(daemon.metric(dropped), Some(2.0));
    assert_eq!(fate(&daemon, &ids[0]).0, "dropped");
    assert_eq!(
        daemon.api_post("/dead/retry", &json!({ "subscriber": "hook", "all": true })),
        (200, json!({ "count": 0 }))
    );
    daemon.kill();
    let daemon = home.start();
    assert_eq!(fate(&daemon, &ids[0]).0, "dropped");
    assert_eq!(fate(&daemon, &ids[1]), told);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let (_receiver, _, home) = stage(200, "");
    let daemon = home.start();
    let all = |subscriber: &str| json!({ "subscriber": subscriber, "all": true });
    let id = "01935a5a-0000-7000-8000-00000000000b";
    for (path, body, want) in [
        ("/dead/retry", all("nobody"), 404),
        ("/dead/drop", all("nobody"), 404),
        ("/dead/drop", all(""), 400),
        ("/dead/drop", json!({ "subscriber": "hook" }), 400),
        ("/dead/drop", json!({ "subscriber": "hook", "event": id }), 400),
        ("/dead/drop", json!({ "subscriber": "hook", "events": [id], "all": true }), 400),
        ("/dead/drop", json!({ "subscriber": "hook", "events": ["1"] }), 400),
        ("/dead/drop", json!({ "subscriber": "hook", "events": [id] }), 200),
        ("/subscribers/nobody/pause", json!({}), 404),
        ("/subscribers/hook/pause", json!({ "until": 1 }), 400),
        ("/subscribers/hook/resume?now=1", json!({}), 400),
    ] {
        let (status, answer) = daemon.api_post(path, &body);
        assert_eq!(status, want, "{path} {body}: {answer}");
    }
    for (path, want) in [
        ("/subscribers/nobody", 404),
        ("/subscribers?x=1", 400),
        ("/dead?subscriber=nobody", 404),
        ("/dead?before=x", 400),
        ("/dead?before=1", 400),
        ("/dead?limit=501", 400),
        ("/dead?topic=a/b", 400),
        ("/dead?subscriber=hook&topic=open&limit=500", 200),
    ] {
        let answer = daemon.admin(&format!("/api/v1{path}"));
        assert_eq!(answer.status, want, "{path}: {}", answer.text());
    }
}

/// Wherever the process is killed while letters are called back, each of them is delivered or still a letter.
#[test]
fn calling_back_survives_kills() {
    const LETTERS: usize = 1500;
    let (receiver, answer, home) = stage(410, "");
    let daemon = home.start();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| record(&daemon, LETTERS / 4));
        }
    });
    becomes(&daemon, &[("dead", LETTERS as u64), ("backlog", 0)]);
    let before = receiver.count();
    answer.store(200, Ordering::SeqCst);
    let mut daemon = daemon;
    for round in 0..6 {
        let all = json!({ "subscriber": "hook", "all": true });
        let admin = daemon.admin.clone();
        let asking = std::thread::spawn(move || {
            let mut client = crate::client::Client::connect(&admin)?;
            client.post("/api/v1/dead/retry", &[("content-type", "application/json")], all.to_string().as_bytes())
        });
        let sent = receiver.count();
        eventually("some are delivered", || (receiver.count() > sent + 20 * round).then_some(()));
        daemon.kill();
        // The process went away while it was asked, or had answered.
        drop(asking.join().expect("no panic"));
        daemon = home.start();
    }
    assert_eq!(daemon.api_post("/dead/retry", &json!({ "subscriber": "hook", "all": true })).0, 200);
    becomes(&daemon, &[("backlog", 0), ("dead", 0)]);
    let mut seqs: Vec<u64> = receiver.requests()[before..].iter().map(crate::receiver::Request::seq).collect();
    seqs.sort_unstable();
    seqs.dedup();
    assert_eq!(seqs, (1..=LETTERS as u64).collect::<Vec<_>>());
}
