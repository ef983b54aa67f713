//! Who may call, and what bad calls get.

use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};

use super::{Caller, TOKEN, home};
use crate::client::{Client, eventually};
use crate::daemon::{Daemon, Home};

fn ask(daemon: &Daemon, head: &str, body: &str) -> (u16, Value) {
    let mut client = Client::connect(&daemon.ingress).expect("it listens");
    let length = if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    client.send(format!("{head}\r\nhost: forebay\r\n{length}\r\n{body}").as_bytes()).expect("sent");
    let answer = client.answer().expect("an answer");
    (answer.status, serde_json::from_slice(&answer.body).unwrap_or(Value::Null))
}

#[test]
fn bad_calls_are_told_why_and_never_by_a_404() {
    let home = home("", "");
    let daemon = home.start();
    let auth = format!("authorization: Bearer {TOKEN}");
    let json = format!("{auth}\r\ncontent-type: application/json");
    let events = "POST /api/events/bus/v1/events HTTP/1.1";
    let put = "PUT /api/events/bus/v1/subscriptions/a HTTP/1.1";
    let get = "GET /api/events/bus/v1/subscriptions/a/events HTTP/1.1";
    let long = format!("{{\"event\":{{\"topic\":\"t\",\"payload\":\"{}\"}}}}", "x".repeat(6 << 20));
    // (head, body, status, name, part of the message)
    let table: &[(String, &str, u16, &str, &str)] = &[
        (events.into(), "", 401, "AuthenticationError", "Missing credentials"),
        (put.into(), "", 401, "AuthenticationError", "Missing credentials"),
        (get.into(), "", 401, "AuthenticationError", "Missing credentials"),
        ("GET /api/events/openapi.json HTTP/1.1".into(), "", 401, "AuthenticationError", "Missing credentials"),
        ("GET /api/events/bus/v1/nothing HTTP/1.1".into(), "", 401, "AuthenticationError", "Missing credentials"),
        (format!("{events}\r\nauthorization: Basic YTpi"), "", 401, "AuthenticationError", "Missing credentials"),
        (format!("{events}\r\nauthorization: Bearer wrong"), "", 401, "AuthenticationError", "Illegal token"),
        (format!("{events}\r\n{auth}\r\n{auth}"), "", 401, "AuthenticationError", "Missing credentials"),
        (format!("{events}\r\n{json}"), "", 400, "InputError", "well-formed JSON"),
        (format!("{events}\r\n{json}"), "{", 400, "InputError", "well-formed JSON"),
        (format!("{events}\r\n{json}"), "{}", 400, "InputError", "required property 'event'"),
        (format!("{events}\r\n{json}"), r#"{"event":{}}"#, 400, "InputError", "required property 'topic'"),
        (format!("{events}\r\n{json}"), &long, 413, "InputError", "too large"),
        (format!("{events}\r\n{auth}"), "{}", 400, "InputError", "unsupported media type undefined"),
        (format!("{events}\r\n{auth}\r\ncontent-type: text/plain"), "{}", 400, "InputError", "text/plain"),
        (format!("{events}\r\n{json}; charset=latin1"), "{}", 400, "InputError", "unsupported charset \"LATIN1\""),
        (format!("{put}\r\n{json}"), "[]", 400, "InputError", "must be object"),
        (format!("{put}\r\n{json}"), r#"{"topics":[1]}"#, 400, "InputError", "request/body/topics/0 must be string"),
        (
            format!("{}\r\n{json}", put.replace("/a ", "/a?b=1 ")),
            "{}",
            400,
            "InputError",
            "Unknown query parameter 'b'",
        ),
        (format!("{get}\r\n{auth}"), "", 404, "NotFoundError", "Subscription with ID 'a' not found"),
    ];
    for (head, body, status, name, message) in table {
        let (got, answer) = ask(&daemon, head, body);
        let said = answer["error"]["message"].as_str().unwrap_or_default();
        assert_eq!((got, answer["error"]["name"].as_str()), (*status, Some(*name)), "{head} {answer}");
        assert!(said.contains(message), "{head}: {said}");
        assert_eq!(answer["response"]["statusCode"], *status, "{head}");
    }
    for nothing in ["DELETE /api/events/bus/v1/subscriptions/a", "GET /api/events/bus/v1/events", "GET /api/events/bus"]
    {
        assert_eq!(ask(&daemon, &format!("{nothing} HTTP/1.1\r\n{auth}"), ""), (404, Value::Null), "{nothing}");
    }
}

#[test]
fn what_backstage_asks_of_a_plugin_is_there() {
    let home = home("", "");
    let daemon = home.start();
    assert_eq!(ask(&daemon, "GET /api/events/.backstage/auth/v1/jwks.json HTTP/1.1", ""), (200, json!({ "keys": [] })));
    for probe in ["readiness", "liveness"] {
        let head = format!("GET /.backstage/health/v1/{probe} HTTP/1.1");
        assert_eq!(ask(&daemon, &head, ""), (200, json!({ "status": "ok" })));
    }
    let (status, document) =
        ask(&daemon, &format!("GET /api/events/openapi.json HTTP/1.1\r\nauthorization: bearer {TOKEN}"), "");
    assert_eq!((status, &document["openapi"]), (200, &json!("3.1.0")));
    assert_eq!(document["paths"].as_object().map(serde_json::Map::len), Some(3));
    let mut caller = Caller::new(&daemon);
    let id = "a%2Fb%3Ac%25%20d";
    caller.subscribe(id, &["t"]);
    let (status, _) = ask(
        &daemon,
        &format!(
            "POST /api/events//bus/v1/events HTTP/1.1\r\nauthorization: Bearer {TOKEN}\r\ncontent-type: application/json"
        ),
        r#"{"event":{"topic":"t","payload":1}}"#,
    );
    assert_eq!((status, caller.gather(id, 1).len()), (201, 1), "two slashes are one");
}

#[test]
fn without_the_table_there_is_no_bus() {
    let home = Home::new("", "[topics.open]\nvalidator = { type = \"none\" }\n");
    let daemon = home.start();
    let (status, answer) = ask(&daemon, "PUT /api/events/bus/v1/subscriptions/a HTTP/1.1", "");
    assert_eq!((status, &answer["error"]["name"]), (404, &json!("NotFoundError")));
    assert_eq!(ask(&daemon, "GET /.backstage/health/v1/readiness HTTP/1.1", "").0, 404);
}

/// A Backstage whose plugins have these keys; it counts how often it is asked.
struct Backstage {
    url: String,
    sets: Arc<Mutex<Vec<(String, Value)>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Backstage {
    fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (sets, asked): (Arc<Mutex<Vec<(String, Value)>>>, Arc<Mutex<Vec<String>>>) = Default::default();
        let (answers, paths) = (Arc::clone(&sets), Arc::clone(&asked));
        std::thread::spawn(move || {
            use std::io::{BufRead, BufReader, Write};
            for stream in listener.incoming().map_while(Result::ok) {
                let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
                let line = lines.next().unwrap_or_default();
                let _ = lines.find(String::is_empty);
                let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
                let set = answers
                    .lock()
                    .expect("not poisoned")
                    .iter()
                    .find(|(of, _)| *of == path)
                    .map(|(_, set)| set.to_string());
                let (status, body) = set.map_or(("404 Not Found", String::new()), |set| ("200 OK", set));
                paths.lock().expect("not poisoned").push(path);
                let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                let _ = (&stream).write_all((head + &body).as_bytes());
            }
        });
        Self { url, sets, asked }
    }

    fn publish(&self, plugin: &str, keys: &[Value]) {
        let path = format!("/api/{plugin}/.backstage/auth/v1/jwks.json");
        let mut sets = self.sets.lock().expect("not poisoned");
        sets.retain(|(of, _)| *of != path);
        sets.push((path, json!({ "keys": keys })));
    }

    fn asked(&self) -> usize {
        self.asked.lock().expect("not poisoned").len()
    }
}

struct Key {
    pair: EcdsaKeyPair,
    kid: &'static str,
}

impl Key {
    fn new(kid: &'static str) -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("a key");
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).expect("a key");
        Self { pair, kid }
    }

    fn public(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        let [x, y] = [&point[1..33], &point[33..65]].map(|part| URL_SAFE_NO_PAD.encode(part));
        json!({ "kty": "EC", "crv": "P-256", "alg": "ES256", "x": x, "y": y, "kid": self.kid })
    }

    fn token(&self, claims: &Value) -> String {
        let header = json!({ "typ": "vnd.backstage.plugin", "alg": "ES256", "kid": self.kid });
        let signed = [&header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).expect("signed");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}

fn claims(plugin: &str) -> Value {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    json!({ "sub": plugin, "aud": "events", "iat": now, "exp": now + 3600 })
}

fn status(daemon: &Daemon, token: &str) -> u16 {
    Caller::with_token(daemon, token).publish("t", &json!(1), &[])
}

#[test]
fn plugins_are_known_by_their_keys() {
    let backstage = Backstage::start();
    let rest = "[topics.open]\nvalidator = { type = \"none\" }\n";
    let home = Home::new("", &format!("[backstage]\nurl = \"{}\"\n{rest}", backstage.url));
    let daemon = home.start();
    let (one, two, stranger) = (Key::new("one"), Key::new("two"), Key::new("one"));
    backstage.publish("catalog", &[one.public()]);
    assert_eq!(status(&daemon, &one.token(&claims("catalog"))), 204);
    assert_eq!((status(&daemon, &one.token(&claims("catalog"))), backstage.asked()), (204, 1), "the keys are kept");
    assert_eq!(status(&daemon, &stranger.token(&claims("catalog"))), 401);
    let mut user = claims("catalog");
    user["obo"] = json!("a-user-token");
    assert_eq!(status(&daemon, &one.token(&user)), 403);
    let mut other = claims("catalog");
    other["aud"] = json!("catalog");
    assert_eq!(status(&daemon, &one.token(&other)), 401);
    let mut late = claims("catalog");
    late["exp"] = json!(1);
    assert_eq!((status(&daemon, &one.token(&late)), backstage.asked()), (401, 1));
    assert_eq!(status(&daemon, &one.token(&claims("nobody"))), 401, "a plugin without keys");
    assert_eq!(status(&daemon, &two.token(&claims("catalog"))), 401);
    let asked = backstage.asked();
    for _ in 0..20 {
        assert_eq!(status(&daemon, &two.token(&claims("catalog"))), 401);
    }
    assert_eq!(backstage.asked(), asked, "it is not asked again so soon");
    for n in 0..100 {
        let status = status(&daemon, &one.token(&claims(&format!("made-up-{n}"))));
        assert!(matches!(status, 401 | 503), "{status}");
    }
    assert!(backstage.asked() < asked + 40, "strangers cost few look-ups: {}", backstage.asked());
    assert!(daemon.log().iter().all(|line| !line.contains("eyJ")), "no token in the log");
}

#[test]
fn a_backstage_that_is_away_is_not_the_callers_fault() {
    let nobody = crate::receiver::nobody();
    let rest = "[topics.open]\nvalidator = { type = \"none\" }\n";
    let home = Home::new("", &format!("[backstage]\nurl = \"http://{nobody}\"\n{rest}"));
    let daemon = home.start();
    let answer = Caller::with_token(&daemon, &Key::new("one").token(&claims("catalog"))).ask(
        "POST",
        "/bus/v1/events",
        Some(&json!({ "event": { "topic": "t", "payload": 1 } })),
    );
    assert_eq!((answer.status, answer.header("retry-after").is_some()), (503, true));
    eventually("it is in the log", || {
        daemon.log().iter().any(|line| line.contains("cannot fetch the keys")).then_some(())
    });
}
