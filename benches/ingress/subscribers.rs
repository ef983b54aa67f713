//! The case with a webhook and a file subscriber: the clock stops when both have every event that was accepted.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::baseline::{Baseline, Kind, Runtime};
use crate::client::{Load, Outcome, drive};
use crate::daemon::Daemon;
use crate::http_get::get;
use crate::request::{Request, delivery_number};
use crate::sample::{Sample, micros};
use crate::stats::number;

/// How long both may take, once the load is over.
const DRAIN_LIMIT: Duration = Duration::from_secs(120);

/// Where the events go, and what has arrived so far.
pub(crate) struct Receivers {
    pub(crate) webhook: Baseline,
    pub(crate) path: PathBuf,
    file: BufReader<File>,
    line: Vec<u8>,
    ids: HashSet<u64>,
    accepted: u64,
}

impl Receivers {
    pub(crate) fn start(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let path = dir.join("archive.ndjson");
        File::create(&path)?;
        Ok(Self {
            webhook: Baseline::start(Kind::Receiver, Runtime::MultiThread)?,
            file: BufReader::with_capacity(1 << 20, File::open(&path)?),
            path,
            line: Vec::new(),
            ids: HashSet::new(),
            accepted: 0,
        })
    }

    /// Loads the ingress, waits until everything has arrived, and counts from the first request to the last arrival.
    ///
    /// # Errors
    /// When something does not arrive: it is lost.
    pub(crate) fn measure(
        &mut self,
        daemon: &Daemon,
        connections: usize,
        measure: Duration,
        request: &mut Request,
    ) -> io::Result<(Sample, Outcome)> {
        let cpu = daemon.process.cpu()?;
        let begin = Instant::now();
        let outcome =
            drive(daemon.ingress, &daemon.process, request, Load { connections, warm: Duration::ZERO, measure })?;
        self.accepted += outcome.accepted;
        let took = self.drained()? - begin;
        let mut sample = Sample::of(&outcome);
        sample.rate = number(outcome.accepted) / took.as_secs_f64();
        sample.server_cpu = micros(daemon.process.cpu()?.saturating_sub(cpu)) / number(outcome.accepted.max(1));
        Ok((sample, outcome))
    }

    /// When the last event arrived.
    fn drained(&mut self) -> io::Result<Instant> {
        let begin = Instant::now();
        let (mut size, mut grown) = (0, begin);
        let mut posted = None;
        loop {
            let now = Instant::now();
            let len = self.file.get_ref().metadata()?.len();
            if len != size {
                (size, grown) = (len, now);
            }
            let arrived = self.arrived()?;
            if posted.is_none() && arrived >= self.accepted {
                posted = Some(now);
            }
            // Reading what is in the file takes time of its own, so the moment it was last seen growing is what counts.
            let caught_up = self.read_some()?;
            if let (Some(posted), true) = (posted, self.ids.len() as u64 >= self.accepted) {
                return Ok(posted.max(grown));
            }
            if begin.elapsed() > DRAIN_LIMIT {
                return Err(io::Error::other(format!(
                    "lost: of {} accepted events the webhook has {arrived} and the file {} after {} s",
                    self.accepted,
                    self.ids.len(),
                    DRAIN_LIMIT.as_secs(),
                )));
            }
            if caught_up {
                thread::sleep(Duration::from_millis(2));
            }
        }
    }

    fn arrived(&self) -> io::Result<u64> {
        let (_, count) = get(self.webhook.addr, "/")?;
        count.parse().map_err(|_| io::Error::other("the receiver does not count"))
    }

    /// Takes in a few hundred lines; says whether there were no more.
    fn read_some(&mut self) -> io::Result<bool> {
        for _ in 0..500 {
            self.file.read_until(b'\n', &mut self.line)?;
            if self.line.last() != Some(&b'\n') {
                return Ok(true);
            }
            let name = br#""x-github-delivery":""#;
            let at = self.line.windows(name.len()).position(|window| window == name);
            let id = at.and_then(|at| delivery_number(&self.line[at + name.len()..]));
            self.ids.insert(id.ok_or_else(|| io::Error::other("a line without a delivery id in the file"))?);
            self.line.clear();
        }
        Ok(false)
    }
}
