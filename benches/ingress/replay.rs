//! The ingress beside a replay: a subscriber that wants nothing of the load gets older events again, by webhook.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::baseline::{Baseline, Kind, Runtime};
use crate::client::{Load, drive};
use crate::daemon::Daemon;
use crate::request::Request;
use crate::stats::number;

/// How many events are replayed.
pub(crate) const EVENTS: u64 = 100_000;

/// What the replayed events are, and the load is not.
const EVENT: [u8; 4] = *b"fork";

/// How long anything may take that is not measured.
const LIMIT: Duration = Duration::from_secs(120);

/// Who gets the events again.
pub(crate) struct Again {
    webhook: Baseline,
    /// How many were replayed beside the load.
    pub(crate) replayed: u64,
}

impl Again {
    pub(crate) fn start() -> io::Result<Self> {
        Ok(Self { webhook: Baseline::start(Kind::Receiver, Runtime::MultiThread)?, replayed: 0 })
    }

    /// The subscriber, in TOML.
    pub(crate) fn subscriber(&self) -> String {
        format!(
            "[subscribers.again]\ntopics = [\"github.fork\"]\n\
             sink = {{ type = \"webhook\", url = \"http://{}/\", concurrency = 32 }}\n",
            self.webhook.addr
        )
    }

    /// Records the events, and waits until they were delivered for the first time.
    ///
    /// # Errors
    /// When they are not.
    pub(crate) fn fill(daemon: &Daemon, request: &mut Request) -> io::Result<()> {
        let event = request.change_event(EVENT);
        let load = Load { connections: 64, warm: Duration::ZERO, measure: Duration::from_millis(500) };
        let mut accepted = 0;
        while accepted < EVENTS {
            accepted += drive(daemon.ingress, &daemon.process, request, load)?.accepted;
        }
        request.change_event(event);
        wait("the first deliveries", || {
            let delivered = daemon.metric("forebay_deliveries_total", "outcome=\"delivered\"")?;
            Ok((delivered.unwrap_or(0.0) >= number(accepted)).then_some(()))
        })
    }

    /// Begins to replay them, and answers when it is under way, with its number.
    ///
    /// # Errors
    /// When it does not begin.
    pub(crate) fn begin(daemon: &Daemon) -> io::Result<String> {
        let begun = ask(daemon, "POST", "/api/v1/replay", &json!({ "subscribers": ["again"] }))?;
        let id = begun["replays"][0]["id"].as_str().map(str::to_owned);
        let id = id.ok_or_else(|| io::Error::other(format!("no replay: {begun}")))?;
        wait("the first replayed event", || Ok((done(&replay(daemon, &id)?) > 0).then_some(())))?;
        Ok(id)
    }

    /// Ends the replay.
    ///
    /// # Errors
    /// When it had come to its end before: then it was not beside the load.
    pub(crate) fn end(&mut self, daemon: &Daemon, id: &str) -> io::Result<()> {
        let cancelled = ask(daemon, "POST", &format!("/api/v1/replays/{id}/cancel"), &json!({}))?;
        self.replayed += done(&cancelled);
        if cancelled["state"] != "cancelled" || done(&cancelled) == 0 {
            return Err(io::Error::other(format!("the replay was not beside the load: {cancelled}")));
        }
        Ok(())
    }

    /// How many events a second it replays while the ingress has nothing to do.
    ///
    /// # Errors
    /// When it does not come to its end.
    pub(crate) fn alone(daemon: &Daemon) -> io::Result<f64> {
        let begin = Instant::now();
        let id = Self::begin(daemon)?;
        let events = wait("the end of the replay", || {
            let replay = replay(daemon, &id)?;
            Ok((replay["state"] == "done").then(|| done(&replay)))
        })?;
        Ok(number(events) / begin.elapsed().as_secs_f64())
    }
}

fn replay(daemon: &Daemon, id: &str) -> io::Result<Value> {
    ask(daemon, "GET", &format!("/api/v1/replays/{id}"), &Value::Null)
}

fn done(replay: &Value) -> u64 {
    replay["done"].as_u64().unwrap_or(0)
}

fn ask(daemon: &Daemon, method: &str, path: &str, body: &Value) -> io::Result<Value> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let (status, text) = daemon.ask(method, path, &body)?;
    if status != 200 {
        return Err(io::Error::other(format!("{method} {path}: {status} {text}")));
    }
    serde_json::from_str(&text).map_err(io::Error::other)
}

fn wait<T>(what: &str, mut look: impl FnMut() -> io::Result<Option<T>>) -> io::Result<T> {
    let begin = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if begin.elapsed() > LIMIT {
            return Err(io::Error::other(format!("{what}: not within {} s", LIMIT.as_secs())));
        }
        thread::sleep(Duration::from_millis(5));
    }
}
