//! From the start of the process to `/readyz`: with nothing, and with a great deal owed.

use std::io;
use std::time::{Duration, Instant};

use crate::client::{Load, drive};
use crate::daemon::{Daemon, Site, free_port};
use crate::request::Request;
use crate::sample::micros;
use crate::stats::Spread;

/// Starts of each sort.
const STARTS: usize = 10;

/// The time the daemon has to count what was owed before its start.
const COUNTING: Duration = Duration::from_secs(60);

/// Milliseconds.
pub(crate) struct Starts {
    /// In a directory without a journal.
    pub(crate) first: Spread,
    /// Again on the journal that was made then, after a kill.
    pub(crate) again: Spread,
}

/// # Errors
/// When the daemon does not become ready.
pub(crate) fn measure(site: &Site) -> io::Result<Starts> {
    let (mut first, mut again) = (Vec::new(), Vec::new());
    for index in 0..STARTS {
        let mut daemon = Daemon::start(site, &format!("start-{index}"), "", "")?;
        // The first start is taken from a second one on an emptied directory, when the binary is surely in memory.
        daemon.process.kill()?;
        daemon.forget()?;
        first.push(micros(daemon.restart()?) / 1e3);
        daemon.process.kill()?;
        again.push(micros(daemon.restart()?) / 1e3);
    }
    let none = || io::Error::other("no start was measured");
    Ok(Starts { first: Spread::of(first).ok_or_else(none)?, again: Spread::of(again).ok_or_else(none)? })
}

/// A start with everything owed to a webhook that nobody serves.
pub(crate) struct Backlog {
    pub(crate) events: u64,
    pub(crate) ready: Duration,
    /// Until the first request was answered 202.
    pub(crate) accepting: Duration,
    /// Bytes resident once it was ready.
    pub(crate) memory: u64,
}

/// # Errors
/// When fewer events are owed after the start than were accepted before the kill: they are lost.
pub(crate) fn backlog(site: &Site, events: u64, request: &mut Request) -> io::Result<Backlog> {
    let subscriber = format!(
        "[subscribers.ci]\ntopics = [\"github\"]\nsink = {{ type = \"webhook\", url = \"http://{}/\" }}\n",
        free_port()?
    );
    let mut daemon = Daemon::start(site, "backlog", "", &subscriber)?;
    let load = Load { connections: 64, warm: Duration::ZERO, measure: Duration::from_secs(1) };
    let mut accepted = 0;
    while accepted < events {
        let outcome = drive(daemon.ingress, &daemon.process, request, load)?;
        if !outcome.faults.is_empty() {
            return Err(io::Error::other(format!("filling the backlog: {:?}", outcome.faults)));
        }
        accepted += outcome.accepted;
        eprint!("\r  {accepted} of {events} events owed ");
    }
    eprintln!();
    daemon.process.kill()?;
    let begin = Instant::now();
    let ready = daemon.restart()?;
    let one = Load { connections: 1, warm: Duration::ZERO, measure: Duration::from_millis(1) };
    accepted += drive(daemon.ingress, &daemon.process, request, one)?.accepted;
    let accepting = begin.elapsed();
    let memory = daemon.process.memory()?.now;
    // What was owed before the start is counted behind it.
    let counted = Instant::now();
    loop {
        let owed = daemon.metric("forebay_backlog_events", "")?.unwrap_or(0.0);
        let dead = daemon.metric("forebay_dead_letters", "")?.unwrap_or(0.0);
        if owed + dead >= crate::stats::number(accepted) {
            break;
        }
        if counted.elapsed() > COUNTING {
            let found = format!("{owed} owed and {dead} dead after the start");
            return Err(io::Error::other(format!("lost: {accepted} accepted, {found}")));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(Backlog { events: accepted, ready, accepting, memory })
}
