//! Looking at what was recorded.

use serde_json::Value;

use crate::client::{Answer, Client, eventually, github_signature};
use crate::daemon::{Daemon, Home};
use crate::receiver::Receiver;

const SECRET: &str = "It's a Secret to Everybody";

pub(crate) const TOPICS: &str = r#"
[topics.github]
validator = { type = "github", secret = "It's a Secret to Everybody" }
[topics.open]
validator = { type = "none" }
accept = ["*/*"]
"#;

/// Posts to the open topic and answers the event's id.
pub(crate) fn post(client: &mut Client, headers: &[(&str, &str)], body: &[u8]) -> String {
    let answer = client.post("/api/events/http/open", headers, body).expect("an answer");
    assert_eq!(answer.status, 202, "{}", answer.text());
    answer.header("forebay-event-id").expect("an id").to_owned()
}

fn github(daemon: &Daemon, event: &str, delivery: &str) -> String {
    let body = format!("{{\"delivery\":\"{delivery}\"}}");
    let signature = github_signature(SECRET, body.as_bytes());
    let headers = [
        ("content-type", "application/json"),
        ("x-hub-signature-256", signature.as_str()),
        ("x-github-event", event),
        ("x-github-delivery", delivery),
    ];
    let answer = daemon.post("github", &headers, body.as_bytes());
    assert_eq!(answer.status, 202, "{}", answer.text());
    answer.header("forebay-event-id").expect("an id").to_owned()
}

/// All pages of a listing; `between` is called after each.
fn pages(daemon: &Daemon, query: &str, mut between: impl FnMut()) -> Vec<Value> {
    let (mut all, mut before) = (Vec::new(), String::new());
    loop {
        let page = daemon.api(&format!("/events?{query}{before}"));
        all.extend(page["events"].as_array().expect("a list").iter().cloned());
        let Some(next) = page["next"].as_str() else { return all };
        before = format!("&before={next}");
        between();
    }
}

fn ids(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["id"].as_str().expect("an id")).collect()
}

/// The ids on all pages of a listing.
fn listed(daemon: &Daemon, query: &str) -> Vec<String> {
    ids(&pages(daemon, query, || ())).into_iter().map(str::to_owned).collect()
}

fn get(daemon: &Daemon, path: &str) -> Answer {
    daemon.admin(&format!("/api/v1/events{path}"))
}

#[test]
fn pages_have_no_gap_and_no_repeat_while_events_come_in() {
    let home = Home::new("", TOPICS);
    let daemon = home.start();
    let mut client = daemon.client();
    let mut posted: Vec<String> = (0..300_u32).map(|n| post(&mut client, &[], &n.to_be_bytes())).collect();
    posted.reverse();
    let mut more = 0_u32;
    let all = pages(&daemon, "limit=37", || {
        more += 1;
        post(&mut client, &[], &more.to_be_bytes());
    });
    assert_eq!(ids(&all), posted);
    let seqs: Vec<u64> = all.iter().map(|event| event["seq"].as_u64().expect("a number")).collect();
    assert_eq!(seqs, (1..=300).rev().collect::<Vec<_>>());
    assert!(more >= 8, "several pages");
    assert_eq!(daemon.api("/events")["events"].as_array().expect("a list").len(), 50, "where no limit is asked for");
}

#[test]
fn every_parameter_narrows_the_search() {
    let home = Home::new("", TOPICS);
    let daemon = home.start();
    let push = github(&daemon, "push", "One-1");
    let answered = std::time::Instant::now();
    let apart = std::time::Duration::from_millis(2);
    eventually("another millisecond", || (answered.elapsed() >= apart).then_some(()));
    let pull = github(&daemon, "pull_request", "Two-2");
    let time = daemon.api(&format!("/events/{pull}"))["time"].as_str().expect("a time").to_owned();
    eventually("another millisecond", || {
        let id = post(&mut daemon.client(), &[], b"x");
        (daemon.api(&format!("/events/{id}"))["time"].as_str().expect("a time") > time.as_str()).then_some(())
    });
    let open = listed(&daemon, "topic=open");
    assert!(!open.is_empty());
    let both = vec![pull.clone(), push.clone()];
    let all = [open.clone(), both.clone()].concat();
    let later: Vec<String> = listed(&daemon, &format!("since={time}"));
    assert!(later.len() < all.len() && later.contains(&pull), "{later:?}");
    let part = &push[14..];
    let table: &[(&str, &[String])] = &[
        ("", &all),
        ("limit=1", &all),
        ("topic=github", &both),
        ("topic=github.push", std::slice::from_ref(&push)),
        ("topic=*.pu*", &both),
        ("type=pull_request", std::slice::from_ref(&pull)),
        ("type=pu*", &both),
        ("type=Push", &[]),
        ("topic=open&type=push", &[]),
        ("q=one-", std::slice::from_ref(&push)),
        ("q=PULL_", std::slice::from_ref(&pull)),
        ("q=GITHUB", &both),
        (&format!("q={part}"), std::slice::from_ref(&push)),
        ("q=delivery", &[]),
        ("since=1h", &all),
        ("until=1h", &[]),
        ("since=0s", &[]),
        ("since=2020-01-01T00:00:00Z&until=2021-01-01T00:00:00Z", &[]),
        ("since=2020-01-01T00:00:00+01:00&until=2100-01-01T00:00:00-08:00", &all),
        (&format!("topic=github&since=2020-01-01T00:00:00Z&until={time}&q=one"), std::slice::from_ref(&push)),
        ("topic=", &all),
    ];
    for (query, expected) in table {
        assert_eq!(listed(&daemon, query), *expected, "{query}");
    }
    let shown = &daemon.api("/events?q=two-2")["events"][0];
    assert_eq!((&shown["topic"], &shown["type"]), (&"github".into(), &"pull_request".into()));
    assert_eq!((&shown["delivery_id"], &shown["retrying"]), (&"Two-2".into(), &0.into()));
    assert_eq!(shown["time"], time);
}

#[test]
fn bad_input_is_refused_and_named() {
    let home = Home::new("", TOPICS);
    let daemon = home.start();
    post(&mut daemon.client(), &[], b"x");
    // (path, status, what the message names)
    let table = [
        ("?limit=0", 400, "`limit`"),
        ("?limit=501", 400, "`limit`"),
        ("?limit=-1", 400, "`limit`"),
        ("?limit=ten", 400, "`limit`"),
        ("?before=x", 400, "`before`"),
        ("?before=0", 400, "`before`"),
        ("?before=-4", 400, "`before`"),
        ("?before=99999999999999999999999", 400, "`before`"),
        ("?since=yesterday", 400, "`since`"),
        ("?until=2026-11-23", 400, "`until`"),
        ("?until=24", 400, "`until`"),
        ("?since=1h&until=2h", 400, "`since` is later than `until`"),
        ("?since=2026-11-23T08:00:00Z&until=2026-11-22T08:00:00Z", 400, "later"),
        ("?topic=a%20b", 400, "`topic`"),
        ("?topic=.push", 400, "`topic`"),
        ("?topics=github", 400, "topics"),
        ("?topic=a&topic=b", 400, "topic"),
        ("?q=%ff", 400, "query"),
        ("?limit=500&before=1", 200, ""),
        ("/tail?limit=3", 400, "limit"),
        ("/tail?topic=a/b", 400, "`topic`"),
        ("/1", 400, "UUID"),
        ("/not-a-uuid-but-as-long-as-one-is-yes", 400, "UUID"),
        ("/0193b3a0c0007000800000000000abcd", 400, "UUID"),
        ("/0193b3a0-c000-7000-8000-00000000abcd", 404, "no event"),
        ("/00000000-0000-0000-0000-000000000000", 404, "no event"),
        ("/0193b3a0-c000-7000-8000-00000000abcd/body", 404, "no event"),
        ("/x/body", 400, "UUID"),
        ("/0193b3a0-c000-7000-8000-00000000abcd?x=1", 400, "x"),
        ("/0193b3a0-c000-7000-8000-00000000abcd/headers", 404, "no such call"),
    ];
    for (path, status, names) in table {
        let answer = get(&daemon, path);
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        if status != 200 {
            let failure: Value = serde_json::from_slice(&answer.body).expect("JSON");
            let message = failure["error"]["message"].as_str().expect("a message");
            assert!(message.contains(names), "{path}: {message}");
        }
    }
    let mut client = Client::connect(&daemon.admin).expect("it listens");
    client.send(b"GET /api/v1/events/tail HTTP/1.1\r\nhost: localhost\r\nlast-event-id: 1x\r\n\r\n").expect("sent");
    assert_eq!(client.answer().expect("an answer").status, 400);
}

#[test]
fn an_event_is_there_as_soon_as_it_is_accepted() {
    let home = Home::new("", TOPICS);
    let daemon = home.start();
    let (mut client, mut admin) = (daemon.client(), Client::connect(&daemon.admin).expect("it listens"));
    for n in 0..500_u32 {
        let id = post(&mut client, &[], &n.to_be_bytes());
        let shown = admin.get(&format!("/api/v1/events/{id}")).expect("an answer");
        assert_eq!(shown.status, 200, "event {n} is not found: {}", shown.text());
        let page = admin.get("/api/v1/events?limit=1").expect("an answer");
        let page: Value = serde_json::from_slice(&page.body).expect("JSON");
        assert_eq!(ids(page["events"].as_array().expect("a list")), [id], "event {n} is not listed");
    }
}

#[test]
fn a_restart_changes_nothing_of_it() {
    let home = Home::new("", TOPICS);
    let daemon = home.start();
    let mut client = daemon.client();
    let body = |n: u8| (0..=255).cycle().skip(n.into()).take(1000).collect::<Vec<u8>>();
    let posted: Vec<String> = (0..40).map(|n| post(&mut client, &[("x-n", "1")], &body(n))).collect();
    let list = pages(&daemon, "limit=7", || ());
    let shown: Vec<Value> = posted.iter().map(|id| daemon.api(&format!("/events/{id}"))).collect();
    daemon.kill();
    let daemon = home.start();
    assert_eq!(pages(&daemon, "limit=7", || ()), list);
    for (n, id) in (0..).zip(&posted) {
        assert_eq!(daemon.api(&format!("/events/{id}")), shown[usize::from(n)]);
        assert_eq!(get(&daemon, &format!("/{id}/body")).body, body(n));
    }
    let new = post(&mut daemon.client(), &[], b"new");
    assert_eq!(daemon.api("/events?limit=1")["events"][0]["id"], new);
}

#[test]
fn an_event_is_shown_whole() {
    let home = Home::new("", TOPICS);
    let daemon = home.start();
    let every: Vec<u8> = (0..=255).collect();
    let script = b"<script>alert(1)</script>";
    // (content type, body, the content type it is given out with)
    let table: &[(&str, &[u8], &str)] = &[
        ("application/octet-stream", &every, "application/octet-stream"),
        ("application/json", br#"{ "a":1}"#, "application/json"),
        ("text/html; charset=utf-8", script, "application/octet-stream"),
        ("text/plain", script, "text/plain"),
        ("image/svg+xml", b"<svg/>", "application/octet-stream"),
        ("text/plain", b"", "text/plain"),
    ];
    for (content_type, body, given) in table {
        let headers = [("content-type", *content_type), ("X-Many", "one"), ("x-many", "two"), ("x-latin", "caf\u{e9}")];
        let id = post(&mut daemon.client(), &headers, body);
        let shown = daemon.api(&format!("/events/{id}"));
        assert_eq!((&shown["id"], &shown["retained"]), (&id.as_str().into(), &true.into()));
        assert_eq!(shown["content_type"], *content_type);
        assert_eq!(shown["headers"]["content-type"], *content_type);
        assert_eq!(shown["headers"]["x-many"], "one, two");
        assert_eq!(shown["headers"]["x-latin"], "caf\u{e9}");
        assert_eq!(shown["body_bytes"], body.len());
        assert!(shown["size"].as_u64().expect("a number") > body.len() as u64);
        assert!(shown["deliveries"].is_array());
        let answer = get(&daemon, &format!("/{id}/body"));
        assert_eq!((answer.status, &*answer.body), (200, *body));
        assert_eq!(answer.header("content-type"), Some(*given));
        assert_eq!(answer.header("content-disposition"), Some(format!("attachment; filename=\"{id}\"").as_str()));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("content-security-policy"), Some("default-src 'none'; sandbox"));
    }
    let large: Vec<u8> = every.iter().copied().cycle().take(5 << 20).collect();
    let id = post(&mut daemon.client(), &[], &large);
    assert!(get(&daemon, &format!("/{id}/body")).body == large);
    assert_eq!(get(&daemon, &format!("/{}/body", id.to_uppercase())).status, 200, "whatever the case");
}

#[test]
fn what_retention_removed_is_said_to_be_gone_unless_it_is_still_owed() {
    let receiver =
        Receiver::start(|request| crate::receiver::Reply::Status(if request.seq() == 2 { 410 } else { 200 }));
    let hook = format!(
        "[subscribers.hook]\ntopics = [\"*\"]\nsink = {{ type = \"webhook\", url = \"{}\" }}\n",
        receiver.url()
    );
    let home = Home::new("", &(TOPICS.to_owned() + &hook));
    let text = std::fs::read_to_string(home.path("forebay.toml")).expect("written");
    home.configure(&text.replace("[log]", "retain = { size = \"2 MiB\", age = \"1h\" }\n[log]"));
    let daemon = home.start();
    let mut client = daemon.client();
    let (gone, dead) = (post(&mut client, &[], b"the first"), post(&mut client, &[], b"the second"));
    eventually("it is a dead letter", || (daemon.api(&format!("/events/{dead}"))["dead"] == 1).then_some(()));
    assert_eq!(daemon.api("/events")["events"][0]["dead"], 1, "in the list too");
    (0..30).for_each(|_| drop(post(&mut client, &[], &vec![b'x'; 200_000])));
    let body = |id: &str| get(&daemon, &format!("/{id}/body"));
    eventually("the first segment goes", || (body(&gone).status == 410).then_some(()));
    let shown = daemon.api(&format!("/events/{gone}"));
    assert_eq!((&shown["retained"], &shown["topic"]), (&false.into(), &"open".into()));
    assert_eq!((&shown["headers"], &shown["body_bytes"]), (&serde_json::json!({}), &0.into()));
    assert!(listed(&daemon, "").contains(&gone), "what is known of it is still listed");
    assert_eq!((body(&dead).status, &*body(&dead).body), (200, &b"the second"[..]));
    let shown = daemon.api(&format!("/events/{dead}"));
    assert_eq!((&shown["retained"], &shown["dead"]), (&true.into(), &1.into()));
}
