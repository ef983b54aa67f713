//! forebay under measurement: the release binary, a configuration file, HTTP, and nothing else of it.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{io, thread};

use crate::http_get::{ask, get};
use crate::process::Process;
use crate::request::SECRET;

/// Retention so short that the journal reuses its segments: the steady state of a daemon that has run for a while.
pub(crate) const RECYCLING: &str = r#"retain = { age = "1s", size = "256 MiB" }"#;

/// How long any start may take.
const START_LIMIT: Duration = Duration::from_secs(60);

/// What is measured, and where it may write: on the disk that the build is on. The directory goes with the value.
pub(crate) struct Site {
    pub(crate) binary: PathBuf,
    pub(crate) dir: PathBuf,
}

impl Site {
    /// Takes `binary`, or else the one that cargo built beside the bench.
    ///
    /// # Errors
    /// When the directory cannot be made, or what a run that was broken off left in it cannot be removed.
    pub(crate) fn new(binary: Option<PathBuf>) -> io::Result<Self> {
        let binary = binary.unwrap_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_forebay")));
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ingress");
        if dir.exists() {
            fs::remove_dir_all(&dir)?;
        }
        fs::create_dir_all(&dir)?;
        Ok(Self { binary, dir })
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A directory with a configuration and a journal, and the daemon that may run on it.
pub(crate) struct Daemon {
    pub(crate) ingress: SocketAddr,
    pub(crate) process: Process,
    binary: PathBuf,
    dir: PathBuf,
    admin: SocketAddr,
}

impl Daemon {
    /// Makes the directory `name` with a configuration, and starts on it. `journal` and `rest` are TOML.
    ///
    /// # Errors
    /// When it does not become ready; with the end of its log.
    pub(crate) fn start(site: &Site, name: &str, journal: &str, rest: &str) -> io::Result<Self> {
        let dir = site.dir.join(name);
        fs::create_dir_all(dir.join("journal"))?;
        fs::write(dir.join("secret"), SECRET)?;
        let (ingress, admin) = (free_port()?, free_port()?);
        let config = format!(
            "[ingress]\nlisten = \"{ingress}\"\n\n\
             [admin]\nlisten = \"{admin}\"\n\n\
             [journal]\npath = '{journal_path}'\n{journal}\n\n\
             [topics.github]\nvalidator = {{ type = \"github\", secret = {{ file = '{secret}' }} }}\n\n{rest}",
            journal_path = dir.join("journal").display(),
            secret = dir.join("secret").display(),
        );
        fs::write(dir.join("forebay.toml"), config)?;
        let process = launch(&site.binary, &dir, admin)?.0;
        Ok(Self { ingress, process, binary: site.binary.clone(), dir, admin })
    }

    /// Starts again on the same directory after [`Process::kill`]; gives the time until it was ready.
    ///
    /// # Errors
    /// As [`Daemon::start`].
    pub(crate) fn restart(&mut self) -> io::Result<Duration> {
        let (process, took) = launch(&self.binary, &self.dir, self.admin)?;
        self.process = process;
        Ok(took)
    }

    /// Removes the journal of a daemon that was killed.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub(crate) fn forget(&self) -> io::Result<()> {
        let journal = self.dir.join("journal");
        fs::remove_dir_all(&journal)?;
        fs::create_dir(&journal)
    }

    /// Asks the admin listener for anything: the status and the body.
    ///
    /// # Errors
    /// When it does not answer.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> io::Result<(u16, String)> {
        ask(self.admin, method, path, body)
    }

    /// The sum of a metric over its labels, or over those that contain `label`; nothing if it is not there.
    ///
    /// # Errors
    /// When the admin listener does not answer.
    pub(crate) fn metric(&self, name: &str, label: &str) -> io::Result<Option<f64>> {
        let (_, text) = get(self.admin, "/metrics")?;
        let values = text.lines().filter_map(|line| {
            let rest = line.strip_prefix(name).filter(|rest| rest.starts_with([' ', '{']))?;
            let (labels, value) = rest.split_at(rest.find('}').map_or(0, |end| end + 1));
            labels.contains(label).then(|| value.split_ascii_whitespace().next()?.parse::<f64>().ok())?
        });
        Ok(values.fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value)))
    }
}

/// A daemon's start: the process, and the time from before it existed until it was ready.
fn launch(binary: &Path, dir: &Path, admin: SocketAddr) -> io::Result<(Process, Duration)> {
    let log = File::options().create(true).append(true).open(dir.join("log"))?;
    let mut command = Command::new(binary);
    command.arg("-c").arg(dir.join("forebay.toml")).arg("serve");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    let begin = Instant::now();
    let mut process = Process::spawn(&mut command)?;
    loop {
        // Asking before anything listens costs the starting process nothing.
        if TcpStream::connect(admin).is_ok() && matches!(get(admin, "/readyz"), Ok((200, _))) {
            return Ok((process, begin.elapsed()));
        }
        let ended = process.exited().map(|status| format!("ended with {status}"));
        let late = (begin.elapsed() > START_LIMIT).then(|| format!("was not ready within {} s", START_LIMIT.as_secs()));
        if let Some(what) = ended.or(late) {
            let log = fs::read_to_string(dir.join("log")).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(5).collect();
            let tail: Vec<&str> = tail.into_iter().rev().collect();
            return Err(io::Error::other(format!("forebay {what}\n{}", tail.join("\n"))));
        }
        thread::sleep(Duration::from_micros(200));
    }
}

/// An address nobody listens on now. Another process may take it before it is used; then the start fails, and says so.
pub(crate) fn free_port() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}
