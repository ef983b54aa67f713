//! Who gets what, how often, and across restarts.

use serde_json::{Value, json};

use super::{Caller, home, post, topics};
use crate::client::eventually;

#[test]
fn the_same_id_shares_and_different_ids_each_get_everything() {
    let home = home("", "");
    let daemon = home.start();
    let (mut one, mut two) = (Caller::new(&daemon), Caller::new(&daemon));
    assert_eq!(one.publish("scaffolder.task", &json!(0), &[]), 204, "nobody wants it: it is dropped");
    one.subscribe("a", &["scaffolder.task"]);
    one.subscribe("b", &["scaffolder.task", "signals"]);
    for n in 0..25 {
        assert_eq!(one.publish("scaffolder.task", &json!({ "n": n }), &[]), 201);
    }
    let numbers = |events: &[Value]| -> Vec<i64> {
        events.iter().map(|event| event["payload"]["n"].as_i64().expect("a number")).collect()
    };
    let first = one.read("a").expect("there are events");
    let second = two.read("a").expect("there are more");
    assert_eq!((numbers(&first), numbers(&second)), ((0..10).collect(), (10..20).collect()));
    assert_eq!(numbers(&one.read("a").expect("the rest")), (20..25).collect::<Vec<_>>());
    assert_eq!(numbers(&two.gather("b", 25)), (0..25).collect::<Vec<_>>());
    assert_eq!(one.publish("signals", &json!(null), &[]), 201);
    assert_eq!(two.gather("b", 1), [json!({ "topic": "signals", "payload": null })]);
}

#[test]
fn who_has_had_an_event_does_not_get_it_again() {
    let home = home("", "");
    let daemon = home.start();
    let mut caller = Caller::new(&daemon);
    caller.subscribe("a", &["t"]);
    caller.subscribe("b", &["t"]);
    assert_eq!(caller.publish("t", &json!(1), &["a", "b"]), 204, "nobody is left");
    assert_eq!(caller.publish("t", &json!(2), &["a"]), 201);
    assert_eq!(caller.publish("t", &json!(3), &["x"]), 201);
    let payloads = |events: Vec<Value>| events.iter().map(|event| event["payload"].clone()).collect::<Vec<_>>();
    assert_eq!(payloads(caller.gather("a", 1)), [json!(3)]);
    assert_eq!(payloads(caller.gather("b", 2)), [json!(2), json!(3)]);
}

#[test]
fn an_existing_subscription_keeps_its_pointer_and_changes_its_topics() {
    let home = home("", "");
    let daemon = home.start();
    let mut caller = Caller::new(&daemon);
    caller.subscribe("a", &["t"]);
    assert_eq!(caller.publish("t", &json!(1), &[]), 201);
    caller.subscribe("a", &["t", "u"]);
    assert_eq!(caller.publish("u", &json!(2), &[]), 201);
    assert_eq!(topics(&caller.gather("a", 2)), ["t", "u"]);
    caller.subscribe("a", &[]);
    assert_eq!(caller.publish("t", &json!(3), &[]), 204);
}

#[test]
fn ingress_events_come_twice_the_sub_topic_first() {
    let home = home("", "");
    let daemon = home.start();
    let mut caller = Caller::new(&daemon);
    caller.subscribe("both", &["github", "github.push"]);
    caller.subscribe("one", &["github.push"]);
    caller.subscribe("bare", &["github"]);
    post(&daemon, "push", r#"{"ref": "refs/heads/main", "n": 1.0}"#);
    post(&daemon, "issues", r#"{"n":2}"#);
    assert_eq!(topics(&caller.gather("both", 3)), ["github.push", "github", "github"]);
    let one = caller.gather("one", 1);
    assert_eq!((topics(&one), &one[0]["payload"]["ref"]), (vec!["github.push"], &json!("refs/heads/main")));
    assert_eq!(topics(&caller.gather("bare", 2)), ["github", "github"]);
    let shown = daemon.api("/subscribers");
    let names: Vec<&str> =
        shown["subscribers"].as_array().expect("a list").iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(names, ["backstage:bare", "backstage:both", "backstage:one"]);
}

#[test]
fn nobody_on_the_bus_passes_for_an_ingress_topic() {
    let rest = "[subscribers.all]\ntopics = [\"*\"]\nsink = { type = \"stdout\" }\n\
        [subscribers.tasks]\ntopics = [\"scaffolder.task\"]\nsink = { type = \"file\", path = \"tasks.ndjson\" }\n";
    let home = home("", rest);
    let daemon = home.start();
    let mut caller = Caller::new(&daemon);
    caller.subscribe("a", &["github", "github.push"]);
    assert_eq!(caller.publish("github.push", &json!({ "forged": true }), &[]), 201);
    assert_eq!(caller.publish("github", &json!({ "forged": true }), &["a"]), 204);
    assert_eq!(caller.publish("scaffolder.task", &json!({ "id": 7 }), &[]), 201, "our own subscribers want it");
    assert_eq!(topics(&caller.gather("a", 1)), ["github.push"], "once, and not as `github`");
    let line = eventually("the task arrives", || {
        std::fs::read_to_string(home.path("tasks.ndjson")).ok().filter(|text| text.ends_with('\n'))
    });
    let event: Value = serde_json::from_str(&line).expect("one line of JSON");
    assert_eq!(
        (&event["topic"], &event["type"], &event["payload"]),
        (&json!("scaffolder"), &json!("task"), &json!({ "id": 7 }))
    );
    let out = eventually("it is printed too", || Some(daemon.out()).filter(|out| !out.is_empty()));
    assert!(out.iter().all(|line| !line.contains("forged")), "{out:?}");
}

#[test]
fn a_sender_cannot_claim_to_be_the_bus() {
    let home = home("", "");
    let daemon = home.start();
    let mut caller = Caller::new(&daemon);
    caller.subscribe("a", &["github", "github.push"]);
    let headers = [
        ("content-type", "application/json"),
        ("x-github-event", "push"),
        ("forebay-bus-publisher", "plugin:catalog"),
        ("forebay-bus-notified", "a"),
    ];
    assert_eq!(daemon.post("github", &headers, b"{}").status, 202);
    assert_eq!(topics(&caller.gather("a", 2)), ["github.push", "github"]);
}

#[test]
fn subscriptions_and_pointers_survive_a_kill() {
    let home = home("", "");
    let daemon = home.start();
    let mut caller = Caller::new(&daemon);
    caller.subscribe("catalog.github-provider%3Aorg", &["t"]);
    for n in 0..15 {
        assert_eq!(caller.publish("t", &json!(n), &[]), 201);
    }
    assert_eq!(caller.read("catalog.github-provider%3Aorg").map(|events| events.len()), Some(10));
    daemon.kill();
    let daemon = home.start();
    let mut caller = Caller::new(&daemon);
    let rest = caller.gather("catalog.github-provider%3Aorg", 5);
    let payloads: Vec<i64> = rest.iter().map(|event| event["payload"].as_i64().expect("a number")).collect();
    // What was handed out just before the kill may come again; nothing is missing.
    assert_eq!(payloads.last(), Some(&14).filter(|_| payloads.len() == 5).or(payloads.last()));
    let mut all = payloads;
    while all.last() != Some(&14) {
        let more = caller.gather("catalog.github-provider%3Aorg", 1);
        all.extend(more.iter().map(|event| event["payload"].as_i64().expect("a number")));
    }
    assert!((10..15).all(|n| all.contains(&n)), "{all:?}");
    let (status, ..) = daemon.stop();
    assert_eq!(status.code(), Some(0));
    let daemon = home.start();
    let mut caller = Caller::new(&daemon);
    assert_eq!(caller.publish("t", &json!("after"), &[]), 201, "it is still known");
    let next = caller.gather("catalog.github-provider%3Aorg", 1);
    assert_eq!(next[0]["payload"], "after", "an orderly end repeats nothing");
}

#[test]
fn what_is_not_json_is_passed_over() {
    let home = home("", "accept = [\"*/*\"]\n");
    let daemon = home.start();
    let mut caller = Caller::new(&daemon);
    caller.subscribe("a", &["github"]);
    assert_eq!(daemon.post("github", &[("content-type", "text/plain")], b"no JSON").status, 202);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(daemon.post("github", &form, b"payload=%7B%22a%22%3A1%7D").status, 202);
    assert_eq!(caller.gather("a", 1), [json!({ "topic": "github", "payload": { "a": 1 } })]);
}
