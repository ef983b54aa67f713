//! Filters in the running daemon: who gets what, what is counted and told of the rest, and what another configuration
//! would have made of it.

use serde_json::{Value, json};

use crate::client::eventually;
use crate::daemon::{Daemon, Home};
use crate::receiver::{Receiver, nobody};

const TOPICS: &str = r#"
[topics.open]
validator = { type = "none" }
accept = ["*/*"]
dedupe = "off"
event_type = { header = "x-type" }
[topics.other]
validator = { type = "none" }
"#;

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

fn hook(name: &str, url: &str, filter: &str, more: &str) -> String {
    format!(
        "[subscribers.{name}]\ntopics = [\"open\"]\nfilter = '{filter}'\nsink = {{ type = \"webhook\", url = \"{url}\" }}\n{more}\n"
    )
}

/// Type, content type and body: bodies with a `ref`, and one of each kind without.
const EVENTS: [(&str, &str, &str); 8] = [
    ("push", JSON, r#"{"ref":"main","n":1}"#),
    ("push", JSON, r#"{"ref":"dev","n":2}"#),
    ("push", FORM, "payload=%7B%22ref%22%3A%22main%22%2C%22n%22%3A3%7D"),
    ("push", FORM, "ref=main"),
    ("issues", JSON, r#"{"n":4}"#),
    ("issues", "text/plain", "no JSON"),
    ("", JSON, r#"{"ref":"main","n":5}"#),
    ("push", JSON, "[]"),
];

/// Records all of them, and answers their ids.
fn record(daemon: &Daemon) -> Vec<String> {
    let mut client = daemon.client();
    EVENTS
        .iter()
        .map(|(kind, content_type, body)| {
            let headers = [("content-type", *content_type), ("x-type", *kind)];
            let headers = &headers[..if kind.is_empty() { 1 } else { 2 }];
            let answer = client.post("/api/events/http/open", headers, body.as_bytes()).expect("an answer");
            assert_eq!(answer.status, 202, "{body}: {}", answer.text());
            answer.header("forebay-event-id").expect("an id").to_owned()
        })
        .collect()
}

/// What is counted of a subscriber: filtered, failed, delivered, dead letters, backlog.
fn figures(daemon: &Daemon, name: &str) -> [u64; 5] {
    let of = |series: &str| {
        let value = daemon.metric(series).unwrap_or_else(|| panic!("there is no {series}"));
        value.to_string().parse().expect("a whole number")
    };
    [
        of(&format!("forebay_filtered_total{{subscriber=\"{name}\"}}")),
        of(&format!("forebay_filter_errors_total{{subscriber=\"{name}\"}}")),
        of(&format!("forebay_deliveries_total{{subscriber=\"{name}\",outcome=\"delivered\"}}")),
        of(&format!("forebay_dead_letters{{subscriber=\"{name}\"}}")),
        of(&format!("forebay_backlog_events{{subscriber=\"{name}\"}}")),
    ]
}

fn becomes(daemon: &Daemon, name: &str, want: [u64; 5]) {
    eventually(&format!("{name} is at {want:?}"), || (figures(daemon, name) == want).then_some(()));
}

/// How an event stands, by subscriber.
fn states(daemon: &Daemon, id: &str) -> Vec<String> {
    let event = daemon.api(&format!("/events/{id}"));
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let deliveries = event["deliveries"].as_array().expect("a list").iter();
    deliveries.map(|one| format!("{} {}", text(&one["subscriber"]), text(&one["state"]))).collect()
}

#[test]
fn a_subscriber_gets_what_its_filter_wants_and_the_figures_add_up() {
    let (main, strict, all) = (Receiver::always(200), Receiver::always(200), Receiver::always(200));
    let config = [
        TOPICS,
        &hook("main", &main.url(), r#"has(body.ref) && body.ref == "main""#, ""),
        &hook("strict", &strict.url(), r#"type == "push" && body.n != 2"#, "order = \"strict\""),
        &hook("gone", &format!("http://{}/", nobody()), r#"type == "" || body == 0"#, ""),
        &hook("picky", &all.url(), "time.getFullYear() < 2000", ""),
        &hook("all", &all.url(), "true", ""),
    ]
    .concat();
    let home = Home::new("", &config);
    let daemon = home.start();
    let ids = record(&daemon);

    // Of eight: three have the ref; three are no objects, which cannot be asked whether they have one.
    becomes(&daemon, "main", [5, 3, 3, 0, 0]);
    becomes(&daemon, "strict", [6, 2, 2, 0, 0]);
    becomes(&daemon, "gone", [7, 0, 0, 0, 1]);
    becomes(&daemon, "picky", [8, 0, 0, 0, 0]);
    becomes(&daemon, "all", [0, 0, 8, 0, 0]);
    let mut bodies: Vec<String> = main.wait_for(3).iter().map(super::receiver::Request::text).collect();
    bodies.sort();
    let mut want = [EVENTS[0].2, EVENTS[2].2, EVENTS[6].2];
    want.sort_unstable();
    assert_eq!(bodies, want, "the exact bodies, a form as it came");
    let bodies: Vec<String> = strict.wait_for(2).iter().map(super::receiver::Request::text).collect();
    assert_eq!(bodies, [EVENTS[0].2, EVENTS[2].2], "in order");

    assert_eq!(
        states(&daemon, &ids[1]),
        ["all delivered", "gone filtered", "main filtered", "picky filtered", "strict filtered"]
    );
    eventually("the one that nobody takes is tried again", || {
        let want = ["all delivered", "gone retrying", "main delivered", "picky filtered", "strict filtered"];
        (states(&daemon, &ids[6]) == want).then_some(())
    });
    let event = daemon.api(&format!("/events/{}", ids[7]));
    let reason = &event["deliveries"][2]["reason"];
    assert_eq!(reason, "the filter fails: this must be a map, and is `list`", "{event}");
    assert_eq!(daemon.api("/subscribers/main")["filter"], json!(r#"has(body.ref) && body.ref == "main""#));

    // After a restart nothing is looked at again, and nothing comes twice.
    drop(daemon.stop());
    let daemon = home.start();
    becomes(&daemon, "main", [0, 0, 0, 0, 0]);
    becomes(&daemon, "gone", [0, 0, 0, 0, 1]);
    record(&daemon);
    becomes(&daemon, "main", [5, 3, 3, 0, 0]);
    becomes(&daemon, "gone", [7, 0, 0, 0, 2]);
    assert_eq!((main.wait_for(6).len(), strict.wait_for(4).len()), (6, 4));
}

#[test]
fn what_was_waiting_and_what_is_replayed_is_filtered_as_well() {
    let receiver = Receiver::always(200);
    let home = Home::new("", &[TOPICS, &hook("all", &receiver.url(), "true", "")].concat());
    let daemon = home.start();
    for _ in 0..3 {
        record(&daemon);
    }
    becomes(&daemon, "all", [0, 0, 24, 0, 0]);
    // A newcomer begins with what was recorded, after a reload.
    let main = Receiver::always(200);
    let text = std::fs::read_to_string(home.path("forebay.toml")).expect("the configuration");
    let reload = |filter: &str| {
        home.configure(&[text.as_str(), &hook("main", &main.url(), filter, "start = \"earliest\"")].concat());
        let (status, answer) = daemon.api_post("/reload", &json!({}));
        assert_eq!(status, 200, "{answer}");
    };
    reload(r#"has(body.ref) && body.ref == "main""#);
    eventually("it has come", || daemon.metric("forebay_filtered_total{subscriber=\"main\"}"));
    becomes(&daemon, "main", [15, 9, 9, 0, 0]);
    main.wait_for(9);

    // Another filter goes on where the one before it was.
    let other = r#"type == "issues" && body != null"#;
    reload(other);
    let shown = || daemon.api("/subscribers/main")["filter"].clone();
    eventually("the other filter is in force", || (shown() == json!(other)).then_some(()));
    record(&daemon);
    becomes(&daemon, "main", [22, 9, 10, 0, 0]);

    let (status, begun) = daemon.api_post("/replay", &json!({ "subscribers": ["main"] }));
    assert_eq!((status, &begun["replays"][0]["subscriber"]), (200, &json!("main")), "{begun}");
    eventually("the replay is done", || (daemon.api("/replays")["replays"][0]["state"] == "done").then_some(()));
    let requests = main.wait_for(14);
    assert_eq!(requests.len(), 14, "of 32 events four fit");
    assert!(requests[9..].iter().all(|request| request.text() == EVENTS[4].2));
    becomes(&daemon, "main", [22, 9, 14, 0, 0]);
}

#[test]
fn another_configuration_is_tried_on_what_was_recorded() {
    let url = Receiver::always(200).url();
    let before = [TOPICS, &hook("ci", &url, r#"type == "push""#, ""), &hook("old", &url, "true", "")].concat();
    let home = Home::new("", &before);
    let daemon = home.start();
    let ids = record(&daemon);
    assert_eq!(daemon.post("other", &[("content-type", JSON)], b"{}").status, 202);
    let text = std::fs::read_to_string(home.path("forebay.toml")).expect("the configuration");
    let then = [
        TOPICS.replace("topics.other", "topics.fresh"),
        hook("ci", &url, r#"body.ref == "main""#, ""),
        hook("new", &url, r#"type == "issues""#, ""),
    ];
    let new = home.path("new.toml");
    std::fs::write(&new, text.replace(&before, &then.concat())).expect("written");
    let run = |more: &[&str]| {
        let mut command = home.command();
        command.arg("plan").arg(&new).args(["--admin", &format!("http://{}", daemon.admin)]).args(more);
        let output = command.env_remove("FOREBAY_ADMIN").output().expect("the binary starts");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        assert_eq!((output.status.code(), &*text(output.stderr)), (Some(0), ""), "{more:?}");
        text(output.stdout)
    };

    let planned: Value = serde_json::from_str(&run(&["--since", "1h", "--json"])).expect("JSON");
    let numbers = |name: &str| {
        let all = planned["subscribers"].as_array().expect("a list");
        let one = all.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("{name}: {planned}"));
        ["/now", "/then", "/gains/count", "/loses/count", "/filter_errors"]
            .map(|at| one.pointer(at).and_then(Value::as_u64).expect("a number"))
    };
    assert_eq!((&planned["events"], &planned["without_topic"]), (&json!(9), &json!(1)));
    assert_eq!((&planned["new_topics"], &planned["truncated"]), (&json!(["fresh"]), &json!(false)));
    assert_eq!(numbers("ci"), [5, 3, 1, 3, 4]);
    assert_eq!(numbers("old"), [8, 0, 0, 8, 0]);
    assert_eq!(numbers("new"), [0, 2, 2, 0, 0]);
    let ci = &planned["subscribers"][0];
    assert_eq!((&ci["gains"]["by_type"], &ci["gains"]["samples"]), (&json!({ "open": 1 }), &json!([ids[6]])));
    assert_eq!(ci["loses"]["by_type"], json!({ "open.push": 3 }));

    let words = run(&[]);
    for part in ["old", "gone", "-8", "of new topics nothing was recorded: fresh", "9 events looked at"] {
        assert!(words.contains(part), "{part}: {words}");
    }
    let long_ago = run(&["--since", "2001-01-01T00:00:00Z", "--until", "2001-01-02T00:00:00Z", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&long_ago).expect("JSON")["events"], json!(0));

    // What makes no sense is told, and the daemon goes on.
    for (request, says) in [
        (
            json!({ "subscribers": [{ "name": "a", "topics": ["*"], "filter": "body.a = 1" }] }),
            "`subscribers[0].filter`",
        ),
        (json!({ "subscribers": [{ "name": "a", "topics": ["*"], "filters": "true" }] }), "filters"),
        (json!({ "since": "yesterday" }), "`since`"),
        (json!({ "topics": ["a b"] }), "`topics`"),
    ] {
        let (status, answer) = daemon.api_post("/plan", &request);
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(status == 400 && message.contains(says), "{request}: {status} {message}");
    }
    assert_eq!(daemon.post("open", &[("content-type", JSON), ("x-type", "push")], b"{}").status, 202);
}
