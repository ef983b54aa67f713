//! Why was it refused? Asked of the daemon that refused it.

use serde_json::Value;

use crate::client::{eventually, github_signature};
use crate::daemon::{Daemon, Home};

const TOPICS: &str = r#"
[topics.github]
validator = { type = "github", secrets = [
  { id = "new", file = "new" },
  { id = "old", file = "old", not_after = 2020-01-01T00:00:00Z },
] }
max_body = "1 KiB"
[topics.gitlab]
validator = { type = "gitlab", secret = { file = "token" } }
[topics.fenced]
validator = { type = "none" }
allow_from = ["203.0.113.0/24"]
[topics.open]
validator = { type = "none" }
"#;

const NEW: &str = "canary-new-secret-5d41";
const OLD: &str = "canary-old-secret-7d79";
const TOKEN: &str = "canary-token-9f3a-1a7b";

fn home(ingress: &str, admin: &str) -> Home {
    let home = Home::new(ingress, "");
    let text = std::fs::read_to_string(home.path("forebay.toml")).expect("a configuration");
    home.configure(&(text.replace("[admin]", &format!("[admin]\n{admin}")) + TOPICS));
    for (name, secret) in [("new", NEW), ("old", OLD), ("token", TOKEN)] {
        std::fs::write(home.path(name), secret).expect("written");
    }
    home
}

fn get(daemon: &Daemon, path: &str) -> Value {
    let answer = daemon.admin(&format!("/api/v1/{path}"));
    let text = answer.text();
    assert_eq!(answer.status, 200, "{path}: {text}");
    assert!(!text.contains("canary"), "{path}: {text}");
    serde_json::from_str(&text).expect("JSON")
}

/// The last rejection, whole.
fn last(daemon: &Daemon) -> Value {
    let list = get(daemon, "rejections?limit=1");
    get(daemon, &format!("rejections/{}", list["rejections"][0]["id"].as_str().expect("a rejection")))
}

fn faults(rejection: &Value) -> Vec<&str> {
    let findings = rejection["findings"].as_array().expect("findings").iter();
    findings.map(|finding| finding["fault"].as_str().expect("a name")).collect()
}

#[test]
fn a_refused_request_is_explained() {
    let home = home("trusted_proxies = []", "");
    let daemon = home.start();
    let json = ("content-type", "application/json");
    let good = github_signature(NEW, b"{}");
    let retired = github_signature(OLD, b"{}");
    let pretty = github_signature(NEW, b"{\n  \"a\": 1\n}");
    let broken = github_signature(NEW, b"{");
    let large = "x".repeat(2000);
    let bearer = format!("Bearer {TOKEN}");
    // Topic, headers, body, status, fault, what the cure says.
    type Row<'r> = (&'r str, Vec<(&'r str, &'r str)>, &'r str, u16, &'r str, &'r str);
    let table: Vec<Row<'_>> = vec![
        ("github", vec![json, ("x-hub-signature-256", &retired)], "{}", 403, "retired-secret", "`not_after` of `old`"),
        ("github", vec![json, ("x-hub-signature-256", &pretty)], "{\"a\":1}", 403, "body-reserialised", "very bytes"),
        ("github", vec![json, ("x-hub-signature-256", &good)], "[]", 403, "no-match", "2 bytes came"),
        ("github", vec![json, ("x-hub-signature-256", &good[7..])], "{}", 403, "signature-prefix", "`sha256=`"),
        ("github", vec![json, ("x-hub-signature-256", NEW)], "{}", 403, "token-shown", "sign"),
        ("github", vec![json, ("x-github-event", "push")], "{}", 403, "missing-signature", "enter the secret"),
        ("github", vec![json, ("x-hub-signature-256", &broken)], "{", 400, "not-json", "have the sender send JSON"),
        ("github", vec![json], &large, 413, "too-large", "`max_body`"),
        ("github", vec![("content-type", "text/plain; x=y")], "{}", 415, "media-type", "\"text/plain\""),
        ("github", vec![], "{}", 415, "media-type", "\"*/*\""),
        ("github", vec![json, ("content-encoding", "gzip")], "{}", 415, "content-encoding", "uncompressed"),
        ("gitlab", vec![json, ("authorization", &bearer)], "{}", 403, "wrong-header", "`x-gitlab-token`"),
        ("gitlab", vec![json, ("x-gitlab-token", OLD)], "{}", 403, "another-topics-secret", "`github`"),
        ("fenced", vec![json], "{}", 403, "address-not-allowed", "`allow_from`"),
        ("fenced", vec![json, ("x-forwarded-for", "203.0.113.7")], "{}", 403, "untrusted-proxy", "\"127.0.0.1\""),
        ("Github", vec![json], "{}", 404, "unknown-topic", "`/api/events/http/github`"),
        ("gitlb", vec![json], "{}", 404, "unknown-topic", "`/api/events/http/gitlab`"),
        ("github/", vec![json], "{}", 404, "unknown-topic", "`/api/events/http/github`"),
        ("something-else", vec![json], "{}", 404, "unknown-topic", "configure the topic"),
    ];
    for (topic, headers, body, status, fault, cure) in &table {
        let answer = daemon.post(topic, headers, body.as_bytes());
        assert_eq!(answer.status, *status, "{topic} {fault}: {}", answer.text());
        let rejection = last(&daemon);
        assert_eq!(rejection["status"], *status, "{rejection}");
        assert_eq!(faults(&rejection)[0], *fault, "{rejection:#}");
        let change = rejection["findings"][0]["change"].as_str().expect("a cure");
        assert!(change.contains(cure), "{fault}: {change}");
        assert_eq!(rejection["client"], "127.0.0.1", "{rejection}");
        assert_eq!(rejection["method"], "POST");
    }
    let get_it = daemon.client().get("/api/events/http/github?token=canary").expect("an answer");
    assert_eq!(get_it.status, 405);
    let rejection = last(&daemon);
    assert_eq!((faults(&rejection), &rejection["label"]), (vec!["method"], &Value::from("method")));
    assert_eq!(rejection["target"], "/api/events/http/github?token=***");
    let wrong = daemon.client().post("/webhooks/github", &[], b"{}").expect("an answer");
    assert_eq!(wrong.status, 404);
    let rejection = last(&daemon);
    assert_eq!((faults(&rejection), &rejection["topic"]), (vec!["wrong-path"], &Value::from("")));
    let all = get(&daemon, "rejections?limit=500");
    assert_eq!(all["rejections"].as_array().map(Vec::len), Some(table.len() + 2));
    let first = get(&daemon, "rejections?limit=20");
    let rest = get(&daemon, &format!("rejections?limit=20&before={}", first["next"].as_str().expect("more")));
    assert!(rest["next"].is_null() && rest["rejections"][0] == all["rejections"][20], "{rest}");
    let some = get(&daemon, "rejections?topic=fenced");
    assert_eq!(some["rejections"].as_array().map(Vec::len), Some(2));
    for (path, status) in [
        ("rejections?topics=x", 400),
        ("rejections?limit=0", 400),
        ("rejections?before=x", 400),
        ("rejections/x", 400),
        ("rejections/019aa000-0000-7000-8000-000000000000", 404),
        ("secrets?x=1", 400),
    ] {
        assert_eq!(daemon.admin(&format!("/api/v1/{path}")).status, status, "{path}");
    }
    assert!(!daemon.log().join("\n").contains("canary"));
}

#[test]
fn what_came_is_shown_without_secrets() {
    let home = home("", "rejections = { keep = 10, bodies = 64 }");
    let daemon = home.start();
    let signature = github_signature("somebody-elses", b"{}");
    let shown = |headers: &[(&str, &str)], body: &str| {
        let json = [&[("content-type", "application/json")], headers].concat();
        assert_eq!(daemon.post("github", &json, body.as_bytes()).status, 403);
        last(&daemon)
    };
    let headers = [
        ("x-hub-signature-256", signature.as_str()),
        ("cookie", "canary"),
        ("authorization", "Basic Y2FuYXJ5"),
        ("x-github-token", "canary"),
        ("x-leak", TOKEN),
        ("x-github-event", "push"),
    ];
    let rejection = shown(&headers, "{\"n\": 1}");
    let want = [
        ("x-hub-signature-256", signature.as_str()),
        ("cookie", "*** (6 bytes)"),
        ("authorization", "Basic *** (8 bytes)"),
        ("x-github-token", "*** (6 bytes)"),
        ("x-leak", "*** (22 bytes)"),
        ("x-github-event", "push"),
    ];
    for (name, value) in want {
        assert_eq!(rejection["headers"][name], value, "{rejection:#}");
    }
    assert_eq!((&rejection["body"], &rejection["body_bytes"]), (&"{\"n\": 1}".into(), &8.into()));
    let rejection = shown(&headers, &format!("{{\"token\":\"{TOKEN}\"}}"));
    assert!(rejection["body"].is_null() && rejection["body_bytes"] == 34, "{rejection:#}");
    let rejection = shown(&headers, &"x".repeat(100));
    assert_eq!((&rejection["body"], &rejection["body_bytes"]), (&"x".repeat(64).into(), &100.into()));
    assert_eq!(faults(&rejection), ["body-not-kept"]);
}

#[test]
fn a_flood_is_bounded_and_a_reload_changes_the_bounds() {
    let home = home("", "rejections = { keep = 5 }");
    let daemon = home.start();
    let json = [("content-type", "application/json")];
    assert_eq!(daemon.post("gitlab", &json, b"{}").status, 403);
    let mut client = daemon.client();
    for _ in 0..500 {
        assert_eq!(client.post("/api/events/http/github", &json, b"{}").expect("an answer").status, 403);
    }
    let topics = |daemon: &Daemon| -> Vec<String> {
        let list = get(daemon, "rejections");
        let all = list["rejections"].as_array().expect("a list").iter();
        all.map(|rejection| rejection["topic"].as_str().expect("a topic").to_owned()).collect()
    };
    assert_eq!(topics(&daemon), ["github", "github", "github", "github", "gitlab"]);
    let text = std::fs::read_to_string(home.path("forebay.toml")).expect("a configuration");
    home.configure(&text.replace("keep = 5", "keep = 2"));
    let mut admin = crate::client::Client::connect(&daemon.admin).expect("it listens");
    let reload = admin.post("/api/v1/reload", &[("content-type", "application/json")], b"{}").expect("an answer");
    assert_eq!(reload.status, 200, "{}", reload.text());
    assert_eq!(topics(&daemon), ["github", "gitlab"]);
}

/// What the API says of a secret.
fn secret(daemon: &Daemon, id: &str) -> Value {
    let all = get(daemon, "secrets");
    let found = all["secrets"].as_array().expect("a list").iter().find(|one| one["secret"] == id);
    found.unwrap_or_else(|| panic!("no `{id}` in {all}")).clone()
}

#[test]
fn the_last_match_of_a_secret_outlives_the_daemon() {
    let home = home("", "");
    let daemon = home.start();
    let all = get(&daemon, "secrets");
    let ids: Vec<_> = all["secrets"].as_array().expect("a list").iter().map(|one| &one["secret"]).collect();
    assert_eq!(ids, ["new", "old", "token"], "topics without secrets have none: {all}");
    let old = secret(&daemon, "old");
    assert_eq!((&old["state"], &old["not_after"]), (&"retired".into(), &"2020-01-01T00:00:00.000Z".into()));
    assert!(old["last_matched"].is_null() && old["not_before"].is_null(), "{old}");
    let post = |daemon: &Daemon, body: &str, status: u16| {
        let signature = github_signature(NEW, body.as_bytes());
        let headers = [("content-type", "application/json"), ("x-hub-signature-256", signature.as_str())];
        assert_eq!(daemon.post("github", &headers, body.as_bytes()).status, status);
    };
    post(&daemon, "{}", 202);
    post(&daemon, "[]", 202);
    let first = secret(&daemon, "new");
    assert_eq!((&first["matched"], &first["state"]), (&2.into(), &"active".into()));
    // What a stop saves is exact.
    assert_eq!(daemon.stop().0.code(), Some(0));
    let daemon = home.start();
    let again = secret(&daemon, "new");
    assert_eq!((&again["last_matched"], &again["matched"]), (&first["last_matched"], &0.into()));
    assert_eq!(again["known_since"], first["known_since"]);
    // What a crash leaves was saved some seconds before.
    post(&daemon, "{\"a\":1}", 202);
    let matched = secret(&daemon, "new")["last_matched"].clone();
    assert_ne!(matched, first["last_matched"]);
    let saved = rusqlite::Connection::open(home.path("journal/state.sqlite")).expect("a database");
    let before: i64 = first["last_matched"]
        .as_str()
        .and_then(|time| time.parse::<jiff::Timestamp>().ok())
        .expect("a time")
        .as_millisecond();
    eventually("the match is saved", || {
        let last: i64 =
            saved.query_row("SELECT last FROM secret_uses WHERE secret = 'new'", [], |row| row.get(0)).ok()?;
        (last > before).then_some(())
    });
    drop(saved);
    daemon.kill();
    let daemon = home.start();
    assert_eq!(secret(&daemon, "new")["last_matched"], matched);
}
