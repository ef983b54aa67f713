//! What of a request's headers is kept, and what never reaches the disk.

use super::{SECRET, TOPICS};
use crate::client::{eventually, github_signature};
use crate::daemon::Home;
use crate::wire::files;

#[test]
fn credentials_and_secrets_are_not_stored() {
    let home = Home::new("", TOPICS);
    let daemon = home.start();
    let signature = github_signature(SECRET, b"{}");
    let headers = [
        ("content-type", "application/json"),
        ("x-hub-signature-256", signature.as_str()),
        ("authorization", "Bearer canary-authorization"),
        ("cookie", "session=canary-cookie"),
        ("Cookie", "more=canary-second-cookie"),
        ("proxy-authorization", "Basic canary-proxy"),
        ("x-debug", SECRET),
        ("x-debug-more", "secret=It's a Secret to Everybody; and so on"),
        ("x-kept", "canary-kept"),
        ("x-kept", "canary-kept-too"),
    ];
    assert_eq!(daemon.post("github", &headers, b"{}").status, 202);
    let token = [("content-type", "application/json"), ("x-gitlab-token", SECRET), ("x-gitlab-event", "Push Hook")];
    assert_eq!(daemon.post("gitlab", &token, b"{}").status, 202);
    let lines = eventually("both are printed", || Some(daemon.out()).filter(|lines| lines.len() == 2));
    for line in &lines {
        let event: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let metadata = event["metadata"].as_object().expect("headers").keys().map(String::as_str).collect::<Vec<_>>();
        for gone in ["authorization", "cookie", "proxy-authorization", "x-debug", "x-debug-more", "x-gitlab-token"] {
            assert!(!metadata.contains(&gone), "{gone} in {line}");
        }
        assert!(metadata.contains(&"x-kept") || metadata.contains(&"x-gitlab-event"), "{line}");
    }
    assert_eq!(daemon.stop().0.code(), Some(0));
    let files = files(&home.path("journal"));
    let contents: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).expect("a file")).collect();
    let found = |needle: &str| contents.iter().any(|bytes| memchr::memmem::find(bytes, needle.as_bytes()).is_some());
    assert!(found("canary-kept-too"), "the search finds what is there");
    for needle in ["canary-authorization", "canary-cookie", "canary-second-cookie", "canary-proxy", SECRET] {
        assert!(!found(needle), "{needle}");
    }
}
