//! Start, readiness, signals, and an orderly end.

use crate::client::{eventually, github_signature};
use crate::daemon::Home;

const TOPIC: &str = r#"
[topics.github]
validator = { type = "github", secret = "It's a Secret to Everybody" }
[subscribers.console]
topics = ["*"]
sink = { type = "stdout" }
"#;

#[test]
fn a_signed_push_is_recorded_answered_and_printed() {
    let home = Home::new("", TOPIC);
    let daemon = home.start();
    let body = br#"{"ref":"refs/heads/main"}"#;
    let signature = github_signature("It's a Secret to Everybody", body);
    let headers = [
        ("content-type", "application/json"),
        ("x-github-event", "push"),
        ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
        ("x-hub-signature-256", &signature),
    ];
    let answer = daemon.post("github", &headers, body);
    assert_eq!((answer.status, answer.text().as_str()), (202, r#"{"status":"accepted"}"#));
    let id = answer.header("forebay-event-id").expect("an id").to_owned();
    let line = eventually("the event is printed", || daemon.out().pop());
    let event: serde_json::Value = serde_json::from_str(&line).expect("one JSON object a line");
    assert_eq!(event["id"], id);
    assert_eq!(event["seq"], 1);
    assert_eq!(event["type"], "push");
    assert_eq!(event["payload"]["ref"], "refs/heads/main");
    assert_eq!(event["metadata"]["x-github-event"], "push");
    assert_eq!(daemon.admin("/readyz").status, 200);
    let (status, ..) = daemon.stop();
    assert_eq!(status.code(), Some(0));
}
