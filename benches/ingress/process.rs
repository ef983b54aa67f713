//! Processes under measurement: started, asked for processor time and memory, and ended with the bench.

use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

/// Linux shows processor time to programs in hundredths of a second, whatever it counts in itself.
const TICK: Duration = Duration::from_millis(10);

/// A child that is killed when this is dropped.
pub(crate) struct Process(Child);

/// Resident memory, in bytes.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) now: u64,
    pub(crate) peak: u64,
}

impl Process {
    pub(crate) fn spawn(command: &mut Command) -> io::Result<Self> {
        command.spawn().map(Self)
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().ok().flatten()
    }

    /// Processor time of all its threads, also of those that have ended.
    pub(crate) fn cpu(&self) -> io::Result<Duration> {
        let stat = std::fs::read_to_string(self.proc("stat"))?;
        // The second field is a name in parentheses that may hold anything; fields 14 and 15 are user and system time.
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_ascii_whitespace();
        let ticks: u32 = fields.skip(11).take(2).filter_map(|field| field.parse::<u32>().ok()).sum();
        Ok(TICK * ticks)
    }

    pub(crate) fn memory(&self) -> io::Result<Memory> {
        let status = std::fs::read_to_string(self.proc("status"))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_ascii_whitespace().next()?.parse::<u64>().ok()
        };
        match (field("VmRSS:"), field("VmHWM:")) {
            (Some(now), Some(peak)) => Ok(Memory { now: now * 1024, peak: peak * 1024 }),
            _ => Err(io::Error::other("the process tells no resident memory")),
        }
    }

    /// Ends it at once, as `kill -9` does.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.0.kill()?;
        self.0.wait().map(drop)
    }

    fn proc(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.0.id()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// Processor time of the calling thread.
pub(crate) fn thread_cpu() -> io::Result<Duration> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos = stat.split_ascii_whitespace().next().and_then(|field| field.parse().ok());
    nanos.map(Duration::from_nanos).ok_or_else(|| io::Error::other("the kernel keeps no scheduler statistics"))
}
