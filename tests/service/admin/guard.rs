//! Who may use the admin API, and what bad requests get.

use crate::client::Client;
use crate::daemon::Home;

const TOPIC: &str = "[topics.open]\nvalidator = { type = \"none\" }\n";

fn ask(address: &str, head: &str) -> (u16, String) {
    let mut client = Client::connect(address).expect("it listens");
    client.send(format!("{head}\r\n\r\n").as_bytes()).expect("sent");
    let answer = client.answer().expect("an answer");
    (answer.status, answer.text())
}

#[test]
fn pages_of_other_origins_can_do_nothing() {
    let home = Home::new("", TOPIC);
    let daemon = home.start();
    let host = daemon.admin.clone();
    // (request line, further headers, status)
    let table: &[(&str, &str, u16)] = &[
        ("GET /api/v1/topics HTTP/1.1", "host: HOST", 200),
        ("GET /api/v1/topics HTTP/1.1", "host: rebound.example", 403),
        ("GET /metrics HTTP/1.1", "host: rebound.example", 403),
        ("GET / HTTP/1.1", "host: rebound.example", 403),
        ("GET /healthz HTTP/1.1", "host: rebound.example", 200),
        ("POST /api/v1/reload HTTP/1.1", "host: HOST\r\norigin: http://evil.example", 403),
        ("POST /api/v1/reload HTTP/1.1", "host: HOST\r\norigin: null", 403),
        ("POST /api/v1/reload HTTP/1.1", "host: HOST\r\nsec-fetch-site: cross-site", 403),
        ("POST /api/v1/reload HTTP/1.1", "host: HOST\r\norigin: http://HOST\r\nsec-fetch-site: same-origin", 200),
        ("OPTIONS /api/v1/reload HTTP/1.1", "host: HOST\r\norigin: http://evil.example", 403),
        ("GET /api/v1/reload HTTP/1.1", "host: HOST", 405),
        ("DELETE /api/v1/topics HTTP/1.1", "host: HOST", 405),
        ("GET /api/v1/nothing HTTP/1.1", "host: HOST", 404),
        ("GET /api/v1 HTTP/1.1", "host: HOST", 404),
        ("GET /api/v1/topics?limit=3 HTTP/1.1", "host: HOST", 400),
        ("GET /api/v1/topics?%zz HTTP/1.1", "host: HOST", 400),
    ];
    for (line, headers, want) in table {
        let (status, body) = ask(&daemon.admin, &format!("{line}\r\n{}", headers.replace("HOST", &host)));
        assert_eq!(status, *want, "{line} {headers}: {body}");
        if status >= 400 {
            let body: serde_json::Value = serde_json::from_str(&body).expect("an error is JSON");
            assert_eq!(body["response"]["statusCode"], status, "{line}");
            assert!(body["error"]["message"].is_string() && body["error"]["name"].is_string(), "{line}");
        }
    }
}

#[test]
fn bodies_are_json_and_bounded() {
    let home = Home::new("", TOPIC);
    let daemon = home.start();
    let long = "x".repeat(2 << 20);
    let table = [
        ("content-type: application/json", "{", 400),
        ("content-type: application/json", r#"{"dry_run":true,"surprise":1}"#, 400),
        ("content-type: application/json", "[]", 400),
        ("content-type: text/plain", r#"{"dry_run":true}"#, 400),
        ("content-type: application/x-www-form-urlencoded", "dry_run=true", 400),
        ("content-type: application/json", long.as_str(), 400),
        ("content-type: application/json; charset=utf-8", r#"{"dry_run":true}"#, 200),
        ("accept: */*", "", 200),
    ];
    for (header, body, want) in table {
        let head =
            format!("POST /api/v1/reload HTTP/1.1\r\nhost: localhost\r\n{header}\r\ncontent-length: {}", body.len());
        let mut client = Client::connect(&daemon.admin).expect("it listens");
        client.send(format!("{head}\r\n\r\n").as_bytes()).expect("sent");
        // It may have been refused by now.
        let _ = client.send(body.as_bytes());
        let answer = client.answer().expect("an answer");
        assert_eq!(answer.status, want, "{header} {}: {}", &body[..body.len().min(40)], answer.text());
    }
}

#[test]
fn the_token_is_asked_for_where_there_is_one() {
    let text = "[ingress]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"sesame-open-the-door\"\n\
        [journal]\npath = \"journal\"\nmin_free = \"1 MiB\"\n[log]\nformat = \"json\"\n";
    let home = Home::with_text(&format!("{text}{TOPIC}"));
    let daemon = home.start();
    for (path, without) in [
        ("/api/v1/topics", 401),
        ("/api/v1/openapi.json", 401),
        ("/metrics", 401),
        ("/", 200),
        ("/healthz", 200),
        ("/readyz", 200),
    ] {
        let head = format!("GET {path} HTTP/1.1\r\nhost: anything.example");
        assert_eq!(ask(&daemon.admin, &head).0, without, "{path}");
        let wrong = format!("{head}\r\nauthorization: Bearer sesame-open-the-doors");
        assert_eq!(ask(&daemon.admin, &wrong).0, without, "{path}");
        let (status, body) = ask(&daemon.admin, &format!("{head}\r\nauthorization: Bearer sesame-open-the-door"));
        assert_eq!(status, 200, "{path}");
        assert!(!body.contains("sesame"), "{path}");
    }
    let config = ask(
        &daemon.admin,
        "GET /api/v1/config HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer sesame-open-the-door",
    );
    assert!(config.1.contains(r#""admin.token":"***""#), "{}", config.1);
}
