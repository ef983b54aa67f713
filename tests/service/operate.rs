//! The commands that ask a running daemon, as somebody at a shell has them.

mod deliveries;
mod doctor;
mod events;
mod reach;
mod replay;
mod settings;
mod terminal;

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::client::Client;
use crate::daemon::{Daemon, Home};

/// A topic that takes anything, and one with a secret.
const TOPICS: &str = r#"
[topics.github]
validator = { type = "github", secret = "It's a Secret to Everybody" }
[topics.open]
validator = { type = "none" }
accept = ["*/*"]
dedupe = "off"
event_type = { header = "x-type" }
delivery_id = { header = "x-delivery" }
[topics.sly]
validator = { type = "none" }
event_type = { body = "/type" }
delivery_id = { body = "/id" }
"#;

/// What a command did.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ended {
    fn of(mut command: Command) -> Self {
        let output = command.stdin(Stdio::null()).output().expect("the binary starts");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// The output of a command that did what it was told, and had nothing to say beside it.
    #[track_caller]
    fn done(&self) -> &str {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""), "{}", self.out);
        &self.out
    }

    #[track_caller]
    fn json(&self) -> Value {
        let out = self.done();
        assert_eq!(out.lines().count(), 1, "one document on one line: {out}");
        serde_json::from_str(out).expect("JSON")
    }

    /// Why a command failed with 1 and without any output.
    #[track_caller]
    fn failed(&self) -> &str {
        assert_eq!((self.code, self.out.as_str()), (Some(1), ""), "{}", self.err);
        self.err.strip_prefix("error: ").unwrap_or_else(|| panic!("{}", self.err)).trim_end()
    }
}

/// The binary without what an environment may tell it.
fn bare(home: &Home) -> Command {
    let mut command = home.command();
    for name in ["FOREBAY_CONFIG", "FOREBAY_ADMIN", "FOREBAY_ADMIN_TOKEN", "NO_COLOR", "COLUMNS"] {
        command.env_remove(name);
    }
    command
}

/// A command for that daemon, whose port no configuration tells.
fn command(home: &Home, daemon: &Daemon, arguments: &[&str]) -> Command {
    let mut command = bare(home);
    command.args(arguments).arg("--admin").arg(format!("http://{}", daemon.admin));
    command
}

fn run(home: &Home, daemon: &Daemon, arguments: &[&str]) -> Ended {
    Ended::of(command(home, daemon, arguments))
}

/// Posts to the open topic, and gives the event's id.
fn post(client: &mut Client, headers: &[(&str, &str)], body: &[u8]) -> String {
    let answer = client.post("/api/events/http/open", headers, body).expect("an answer");
    assert_eq!(answer.status, 202, "{}", answer.text());
    answer.header("forebay-event-id").expect("an id").to_owned()
}
