//! The real binary with a configuration and a folder of its own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tempfile::TempDir;

use crate::client::{Answer, Client, eventually};

/// A folder with a configuration in it, for one daemon after the other.
pub(crate) struct Home {
    folder: TempDir,
    /// Set for each daemon that is started here.
    pub env: Vec<(String, String)>,
}

/// The lines every test's configuration begins with: any port, a journal in the folder, a log that is easy to read back.
const PREAMBLE: &str = r#"
[ingress]
listen = "127.0.0.1:0"
INGRESS
[admin]
listen = "127.0.0.1:0"
[journal]
path = "journal"
min_free = "1 MiB"
[log]
format = "json"
"#;

impl Home {
    /// `ingress`: further lines for the table `[ingress]`; `rest`: topics and subscribers.
    pub(crate) fn new(ingress: &str, rest: &str) -> Self {
        Self::with_text(&(PREAMBLE.replace("INGRESS", ingress) + rest))
    }

    /// The whole text of the configuration.
    pub(crate) fn with_text(text: &str) -> Self {
        let home = Self { folder: tempfile::tempdir().expect("a folder"), env: Vec::new() };
        home.configure(text);
        home
    }

    pub(crate) fn configure(&self, text: &str) {
        std::fs::write(self.path("forebay.toml"), text).expect("the configuration is written");
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_forebay"));
        command.arg("-c").arg(self.path("forebay.toml"));
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts a daemon and waits until it is ready.
    pub(crate) fn start(&self) -> Daemon {
        let mut command = self.command();
        command.arg("serve");
        Daemon::spawn(command)
    }
}

/// A daemon that runs. Killed when dropped.
pub(crate) struct Daemon {
    child: Child,
    /// `host:port` of the ingress.
    pub ingress: String,
    /// `host:port` of the admin listener.
    pub admin: String,
    log: Arc<Mutex<Vec<String>>>,
    out: Arc<Mutex<Vec<String>>>,
    readers: Vec<JoinHandle<()>>,
}

fn gather(stream: impl std::io::Read + Send + 'static, into: &Arc<Mutex<Vec<String>>>) -> JoinHandle<()> {
    let into = Arc::clone(into);
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            into.lock().expect("not poisoned").push(line);
        }
    })
}

/// A field of the line that says the daemon is ready, in either format.
fn ready(line: &str, field: &str) -> Option<String> {
    if let Ok(line) = serde_json::from_str::<serde_json::Value>(line) {
        return (line["message"] == "ready").then(|| line[field].as_str().expect("an address").to_owned());
    }
    let value = line.split_once(" ready ")?.1.split_once(&format!("{field}=\""))?.1;
    Some(value.split('"').next()?.to_owned())
}

impl Daemon {
    /// Starts a command that ends up serving, and waits until it says so.
    pub(crate) fn spawn(command: Command) -> Self {
        Self::spawn_with(command, Stdio::null())
    }

    /// The same, with something as standard input.
    pub(crate) fn spawn_with(mut command: Command, input: Stdio) -> Self {
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let (log, out) = (Arc::default(), Arc::default());
        let readers =
            vec![gather(child.stderr.take().expect("piped"), &log), gather(child.stdout.take().expect("piped"), &out)];
        let (mut ingress, mut admin) = (String::new(), String::new());
        let mut daemon = Self { child, ingress: String::new(), admin: String::new(), log, out, readers };
        eventually("the daemon is ready", || {
            if let Some(status) = daemon.child.try_wait().expect("it is our child") {
                panic!("the daemon ended with {status} instead of being ready:\n{}", daemon.log().join("\n"));
            }
            let log = daemon.log();
            let ready = |field: &str| log.iter().find_map(|line| ready(line, field));
            (ingress, admin) = (ready("ingress")?, ready("admin")?);
            Some(())
        });
        (daemon.ingress, daemon.admin) = (ingress, admin);
        daemon
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().expect("not poisoned").clone()
    }

    /// What it has written to standard output so far.
    pub(crate) fn out(&self) -> Vec<String> {
        self.out.lock().expect("not poisoned").clone()
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.ingress).expect("the ingress listens")
    }

    /// Posts to a topic on a connection of its own.
    pub(crate) fn post(&self, topic: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.client().post(&format!("/api/events/http/{topic}"), headers, body).expect("an answer")
    }

    pub(crate) fn admin(&self, path: &str) -> Answer {
        Client::connect(&self.admin).expect("the admin listener listens").get(path).expect("an answer")
    }

    /// Asks the admin API: what it answers to a GET below `/api/v1`, which must be 200.
    pub(crate) fn api(&self, path: &str) -> serde_json::Value {
        let answer = self.admin(&format!("/api/v1{path}"));
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        serde_json::from_slice(&answer.body).expect("JSON")
    }

    /// Has the admin API do something.
    pub(crate) fn api_post(&self, path: &str, body: &serde_json::Value) -> (u16, serde_json::Value) {
        let mut client = Client::connect(&self.admin).expect("the admin listener listens");
        let json = [("content-type", "application/json")];
        let answer = client.post(&format!("/api/v1{path}"), &json, body.to_string().as_bytes()).expect("an answer");
        (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
    }

    /// The value of a metric, by its name with labels, such as `forebay_events_total{topic="github"}`.
    pub(crate) fn metric(&self, series: &str) -> Option<f64> {
        let text = self.admin("/metrics").text();
        let line = text.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(rustix::process::Pid::from_raw).expect("a process");
        rustix::process::kill_process(pid, signal).expect("it is our child");
    }

    /// SIGKILL. Answers when the process is gone.
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.child.kill().expect("it is our child");
        self.wait();
        self.out()
    }

    /// SIGTERM, and how it ended.
    pub(crate) fn stop(mut self) -> (ExitStatus, Vec<String>, Vec<String>) {
        self.signal(rustix::process::Signal::TERM);
        let status = self.wait();
        (status, self.out(), self.log())
    }

    /// Waits for the end, and for the last line of output.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let status = eventually("the daemon ends", || self.child.try_wait().expect("it is our child"));
        for reader in self.readers.drain(..) {
            reader.join().expect("readers do not panic");
        }
        status
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It has ended already, or the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
