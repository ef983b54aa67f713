//! Backstage's event bus, spoken to as Backstage's client does.

mod callers;
mod delivery;
mod holding;

use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::daemon::{Daemon, Home};

pub(crate) const TOKEN: &str = "a-static-token-of-the-test";

/// A daemon with a bus, an open and a signed topic, and further lines of configuration.
pub(crate) fn home(backstage: &str, rest: &str) -> Home {
    Home::new(
        "",
        &format!(
            "[backstage]\nurl = \"http://127.0.0.1:9\"\ntokens = [\"{TOKEN}\"]\n{backstage}\n\
             [topics.github]\nvalidator = {{ type = \"none\" }}\nevent_type = {{ header = \"x-github-event\" }}\n{rest}"
        ),
    )
}

/// Someone who calls the bus.
pub(crate) struct Caller {
    pub(crate) client: Client,
    token: String,
}

impl Caller {
    pub(crate) fn new(daemon: &Daemon) -> Self {
        Self { client: daemon.client(), token: TOKEN.to_owned() }
    }

    pub(crate) fn with_token(daemon: &Daemon, token: &str) -> Self {
        Self { client: daemon.client(), token: token.to_owned() }
    }

    pub(crate) fn send(&mut self, method: &str, path: &str, body: Option<&Value>) {
        let body = body.map(Value::to_string);
        let length = body.as_ref().map(|body| format!("content-length: {}\r\n", body.len())).unwrap_or_default();
        let head = format!(
            "{method} /api/events{path} HTTP/1.1\r\nhost: forebay\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\nuser-agent: node\r\n{length}\r\n{}",
            self.token,
            body.unwrap_or_default()
        );
        self.client.send(head.as_bytes()).expect("the connection is kept");
    }

    pub(crate) fn ask(&mut self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.send(method, path, body);
        self.client.answer().expect("an answer")
    }

    pub(crate) fn subscribe(&mut self, id: &str, topics: &[&str]) {
        let answer = self.ask("PUT", &format!("/bus/v1/subscriptions/{id}"), Some(&json!({ "topics": topics })));
        assert_eq!((answer.status, answer.body.len()), (201, 0), "{}", answer.text());
    }

    pub(crate) fn publish(&mut self, topic: &str, payload: &Value, notified: &[&str]) -> u16 {
        let body = json!({ "event": { "topic": topic, "payload": payload }, "notifiedSubscribers": notified });
        self.ask("POST", "/bus/v1/events", Some(&body)).status
    }

    /// Reads once: the events, or nothing where the answer is held.
    pub(crate) fn read(&mut self, id: &str) -> Option<Vec<Value>> {
        self.send("GET", &format!("/bus/v1/subscriptions/{id}/events"), None);
        let head = self.client.head().expect("a head");
        match head.status {
            200 => {
                let length = head.header("content-length").expect("a length").parse().expect("a number");
                let body: Value = serde_json::from_slice(&self.client.body(length).expect("a body")).expect("JSON");
                Some(body["events"].as_array().expect("events").clone())
            }
            202 => {
                let timeout: u64 =
                    head.header("backstage-events-notify-timeout").expect("a time").parse().expect("milliseconds");
                assert!(timeout > 0 && Duration::from_millis(timeout) < Duration::from_secs(300));
                None
            }
            status => panic!("{status}"),
        }
    }

    /// Reads until there are so many events.
    pub(crate) fn gather(&mut self, id: &str, count: usize) -> Vec<Value> {
        let mut all = Vec::new();
        while all.len() < count {
            match self.read(id) {
                Some(events) => all.extend(events),
                None => self.wait(),
            }
        }
        all
    }

    /// Waits for the end of an answer that is held. It has no body.
    pub(crate) fn wait(&mut self) {
        assert_eq!(self.client.chunks().expect("it ends"), b"");
    }
}

pub(crate) fn topics(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["topic"].as_str().expect("a topic")).collect()
}

pub(crate) fn post(daemon: &Daemon, kind: &str, body: &str) {
    let headers = [("content-type", "application/json"), ("x-github-event", kind)];
    assert_eq!(daemon.post("github", &headers, body.as_bytes()).status, 202);
}
