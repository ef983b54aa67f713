//! Why requests were refused, and which secrets are used.

use serde_json::json;

use super::{TOPICS, run};
use crate::client::github_signature;
use crate::daemon::Home;

const SECRET: &str = "It's a Secret to Everybody";

#[test]
fn a_refusal_is_explained_and_a_secret_that_matched_is_noted() {
    let home = Home::new("", TOPICS);
    let daemon = home.start();
    for arguments in [&["doctor"][..], &["doctor", "--list"], &["doctor", "--topic", "open"]] {
        assert_eq!(run(&home, &daemon, arguments).done(), "nothing was refused that the daemon remembers\n");
    }
    assert_eq!(run(&home, &daemon, &["doctor", "--json"]).json(), json!(null));
    assert!(run(&home, &daemon, &["secrets"]).done().lines().nth(1).expect("a row").contains("  never "));

    let body = b"{\"ref\":\"main\"}";
    let signature = github_signature(SECRET, body);
    // The usual mistake: something on the way has written the JSON anew.
    let headers =
        [("content-type", "application/json"), ("x-github-event", "push"), ("x-hub-signature-256", &*signature)];
    assert_eq!(daemon.post("github", &headers, b"{\"ref\": \"main\"}").status, 403);
    assert_eq!(daemon.post("gihtub", &headers, body).status, 404);
    let listed = run(&home, &daemon, &["doctor", "--list"]);
    let rows: Vec<&str> = listed.done().lines().collect();
    assert_eq!(rows.len(), 3, "{}", listed.out);
    assert!(
        rows[1].contains("  404 ") && rows[2].contains("  403 ") && rows[2].contains("  github "),
        "{}",
        listed.out
    );
    assert_eq!(run(&home, &daemon, &["doctor", "--list", "--limit", "1"]).done().lines().count(), 2);

    let last = run(&home, &daemon, &["doctor", "--topic", "github"]);
    let last = last.done();
    for part in ["refused request ", "request   POST /api/events/http/github\n", "answered  403\n", "\nfindings\n  1. "]
    {
        assert!(last.contains(part), "{part}: {last}");
    }
    assert!(!last.contains(SECRET), "{last}");
    let id = rows[2].split(' ').next().expect("an id");
    assert_eq!(run(&home, &daemon, &["doctor", id]).done(), last);
    let tree = run(&home, &daemon, &["doctor", id, "--json"]).json();
    assert_eq!((&tree["id"], &tree["status"]), (&json!(id), &json!(403)));
    const UNKNOWN: &str = "01935a3c-7a00-7000-8000-000000000001";
    assert!(run(&home, &daemon, &["doctor", UNKNOWN]).failed().contains("there is no such rejection"));

    assert_eq!(daemon.post("github", &headers, body).status, 202);
    let used = run(&home, &daemon, &["secrets"]);
    let row: Vec<&str> = used.done().lines().nth(1).expect("a row").split_whitespace().collect();
    assert_eq!(
        (row[0], row[2], row[row.len() - 2], row[row.len() - 1]),
        ("github", "active", "1", "always"),
        "{row:?}"
    );
    let tree = run(&home, &daemon, &["secrets", "--json"]).json();
    assert_eq!(tree["secrets"][0]["matched"], json!(1));
}
