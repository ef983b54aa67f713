//! `dev`: a daemon to try, with no configuration at all and nothing left behind.

use std::fmt::Write as _;
use std::fs::DirBuilder;
use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use http::header::CONTENT_TYPE;
use uuid::Uuid;

use super::sample::sample;
use super::serve::{OnHangup, until_stopped};
use crate::app::App;
use crate::cli::DevArgs;
use crate::event::Millis;
use crate::logging;
use crate::plan::{self, Loaded, Plan};
use crate::sink::{LineFormat, Settings, stdout};
use crate::topic::Topic;

/// Serves until a signal ends it, and takes the journal away.
#[must_use]
pub fn run(args: &DevArgs) -> ExitCode {
    let mut loaded = match make_plan(&args.listen) {
        Ok(loaded) => loaded,
        Err(why) => return super::misused(&why),
    };
    let scratch = match Scratch::new() {
        Ok(scratch) => scratch,
        Err(why) => return super::fail(&why),
    };
    let plan = &mut loaded.plan;
    plan.journal.path.clone_from(&scratch.0);
    let calls = match plan.topics.iter().map(|topic| Call::new(plan, topic)).collect::<Result<Vec<_>, _>>() {
        Ok(calls) => calls,
        Err(why) => return super::fail(&why),
    };
    logging::start(plan.log);
    let base_path = plan.ingress.base_path.clone();
    let ready = |app: &App| super::say(&welcome(app, &base_path, &scratch.0, &calls));
    let code = until_stopped(loaded, None, OnHangup::Stop, ready).unwrap_or_else(|error| {
        let hint =
            if error.address.is_some() { "\nhint: `--listen 127.0.0.1:0` takes any port that is free" } else { "" };
        super::fail(&format!("{error}{hint}"))
    });
    match scratch.remove() {
        Ok(()) => code,
        Err(why) => super::fail(&why),
    }
}

/// The configuration, with secrets of chance.
///
/// # Errors
/// What is wrong with the address to listen on.
fn make_plan(listen: &str) -> Result<Loaded, String> {
    let secret = || format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    // Text in quotation marks is written the same in JSON and in TOML.
    let listen = serde_json::Value::from(listen);
    // A line that is pasted again is to be seen again: nothing is a duplicate here.
    let text = format!(
        r#"
[ingress]
listen = {listen}
drain_timeout = "3s"
[admin]
listen = "127.0.0.1:0"
[journal]
retain = {{ age = "1d", size = "64 MiB" }}
min_free = "16 MiB"
[log]
level = "warn"
[topics.github]
validator = {{ type = "github", secret = "{}" }}
dedupe = "off"
[topics.bitbucketCloud]
validator = {{ type = "bitbucket-cloud", secret = "{}" }}
dedupe = "off"
[topics.open]
validator = {{ type = "none" }}
accept = ["*/*"]
dedupe = "off"
[subscribers.console]
topics = ["*"]
start = "earliest"
sink = {{ type = "stdout" }}
"#,
        secret(),
        secret(),
    );
    let mut loaded = plan::parse(&text, "dev", Path::new("")).map_err(|report| {
        let mut why = "`--listen` is not an address to listen on".to_owned();
        for problem in report.problems().iter().filter(|problem| problem.level == crate::config::Level::Error) {
            let _ = write!(why, ": {}", problem.message);
            let _ = problem.hint.as_ref().map(|hint| write!(why, "; {hint}"));
        }
        why
    })?;
    let color = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    for subscriber in &mut loaded.plan.subscribers {
        subscriber.sink = Settings::Stdout(stdout::Settings { format: LineFormat::Readable { color } });
    }
    Ok(loaded)
}

/// A directory of this run alone, gone at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("forebay-dev-{}", Uuid::new_v4().simple()));
        // Fails if anything has that name already, so nobody can have put it there for us.
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => Ok(Self(path)),
            Err(error) => Err(format!("cannot make the directory `{}`: {error}", path.display())),
        }
    }

    fn remove(mut self) -> Result<(), String> {
        let path = std::mem::take(&mut self.0);
        std::fs::remove_dir_all(&path).map_err(|error| format!("cannot remove `{}`: {error}", path.display()))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty() {
            // Another error is being told already.
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// A request that a topic takes.
struct Call {
    topic: String,
    what: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Call {
    fn new(plan: &Plan, topic: &Topic) -> Result<Self, String> {
        let now = Millis::now();
        let sample = sample(topic.validator.kind(), None, &Uuid::new_v4().hyphenated().to_string(), now);
        // The schemes of these topics sign neither URL nor time, so the line is good as long as the daemon runs.
        let url = plan.topic_url(&topic.name);
        let signed = topic.validator.sign(&url, sample.body.as_bytes(), sample.kind.as_deref(), now)?;
        let mut headers = vec![(CONTENT_TYPE.to_string(), "application/json".to_owned())];
        headers.extend(signed.into_iter().map(|(name, value)| (name.to_string(), value)));
        let what = match topic.validator.kind() {
            "none" => "takes anything from anyone".to_owned(),
            kind => format!("takes what is signed as {kind} does"),
        };
        Ok(Self { topic: topic.name.to_string(), what, headers, body: sample.body })
    }

    /// A line for a shell.
    fn line(&self, (options, origin): &(String, String), base_path: &str) -> String {
        // A proxy of the environment has no business between this machine and itself.
        let mut line = format!("curl -sSi --noproxy '*'{options}");
        for (name, value) in &self.headers {
            let _ = write!(line, " -H {}", quoted(&format!("{name}: {value}")));
        }
        let url = format!("{origin}{base_path}/http/{}", self.topic);
        let _ = write!(line, " --data-binary {} {}", quoted(&self.body), quoted(&url));
        line
    }
}

/// The text as one word of a shell, taken literally.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// What curl needs to reach an address of the ingress: options, and scheme and authority.
fn reached(address: &str) -> (String, String) {
    match (address.strip_prefix("unix:"), address.parse::<SocketAddr>()) {
        (Some(path), _) => (format!(" --unix-socket {}", quoted(path)), "http://localhost".to_owned()),
        (None, Ok(socket)) => (String::new(), format!("http://{}", super::reachable(socket))),
        (None, Err(_)) => (String::new(), format!("http://{address}")),
    }
}

/// What is there, and how to post to it.
fn welcome(app: &App, base_path: &str, journal: &Path, calls: &[Call]) -> String {
    let ingress = app.ingress_addresses.first().map_or("", String::as_str);
    let admin = app.admin_addresses.first().map_or("", String::as_str);
    let reached = reached(ingress);
    let mut text = String::from("forebay dev: everything here is gone when it stops, with Ctrl-C\n\n");
    let _ =
        writeln!(text, "  ingress  {}{base_path}/http/TOPIC", if reached.0.is_empty() { &reached.1 } else { ingress });
    let _ = writeln!(text, "  page     http://{admin}/");
    let _ = writeln!(text, "  journal  {}", journal.display());
    text.push_str("\nPaste a line into another shell:\n");
    for call in calls {
        let _ = write!(text, "\n# {}: {}\n{}\n", call.topic, call.what, call.line(&reached, base_path));
    }
    text.push_str("\nEvents, as they come:\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_a_shell() {
        assert_eq!(quoted("a b$c\\n"), "'a b$c\\n'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }

    #[test]
    fn addresses_as_curl_reaches_them() {
        for (address, options, origin) in [
            ("127.0.0.1:8080", "", "http://127.0.0.1:8080"),
            ("0.0.0.0:80", "", "http://127.0.0.1:80"),
            ("[::]:80", "", "http://[::1]:80"),
            ("unix:/tmp/a b", " --unix-socket '/tmp/a b'", "http://localhost"),
        ] {
            assert_eq!(reached(address), (options.to_owned(), origin.to_owned()), "{address}");
        }
    }
}
