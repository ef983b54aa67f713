//! The servers of the throughput cases. They all run from the beginning, and only one at a time has anything to do.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::time::{Duration, Instant};

use crate::baseline::{Baseline, Kind, Runtime};
use crate::client::{Load, drive};
use crate::daemon::{Daemon, RECYCLING, Site, free_port};
use crate::replay::Again;
use crate::request::Request;
use crate::sample::{Case, Sample};
use crate::stats::number;
use crate::subscribers::Receivers;

/// Deliveries the webhook subscriber may have open at once.
const WEBHOOK_CONCURRENCY: u32 = 32;
/// Written before the first round, so that the journal has segments to reuse: twice what it may retain.
const WARM_EVENTS: u64 = 64 * 1024;

#[derive(Default)]
pub(crate) struct Fleet {
    baselines: BTreeMap<(Kind, Runtime), Baseline>,
    /// The faster runtime, for each number of connections.
    floors: BTreeMap<usize, Runtime>,
    daemons: BTreeMap<Case, Daemon>,
    receivers: Option<Receivers>,
    again: Option<Again>,
    /// Answers other than 202, and events that got lost. Anything in here fails the bench.
    pub(crate) faults: Vec<String>,
}

impl Fleet {
    /// Starts both baselines in the runtimes that are asked for, and finds the faster one for each number of connections.
    pub(crate) fn start_baselines(
        &mut self,
        runtime: Option<Runtime>,
        connections: &[usize],
        seconds: f64,
        request: &mut Request,
    ) -> io::Result<Vec<(usize, Runtime, Sample)>> {
        let runtimes: Vec<Runtime> = runtime.map_or(Runtime::ALL.to_vec(), |only| vec![only]);
        for kind in [Kind::Bare, Kind::Hmac] {
            for runtime in &runtimes {
                self.baselines.insert((kind, *runtime), Baseline::start(kind, *runtime)?);
            }
        }
        let mut measured = Vec::new();
        for connections in connections {
            let mut rates: BTreeMap<Runtime, f64> = BTreeMap::new();
            // Forth and back, so that neither always comes first.
            for runtime in runtimes.iter().chain(runtimes.iter().rev()) {
                self.floors.insert(*connections, *runtime);
                let sample = self.measure((Case::Hmac, *connections), seconds / 2.0, request)?;
                *rates.entry(*runtime).or_default() += sample.rate;
                measured.push((*connections, *runtime, sample));
            }
            if let Some((fastest, _)) = rates.into_iter().max_by(|one, other| one.1.total_cmp(&other.1)) {
                self.floors.insert(*connections, fastest);
            }
        }
        Ok(measured)
    }

    pub(crate) fn floor(&self, connections: usize) -> Runtime {
        self.floors.get(&connections).copied().unwrap_or(Runtime::MultiThread)
    }

    /// Starts forebay as `case` needs it, and fills its journal until it recycles if `warm` says so.
    pub(crate) fn start_daemon(
        &mut self,
        site: &Site,
        case: Case,
        warm: bool,
        request: &mut Request,
    ) -> io::Result<()> {
        let case = daemon_of(case);
        if self.daemons.contains_key(&case) {
            return Ok(());
        }
        let name = format!("{case:?}");
        let (mut journal, mut rest) = (RECYCLING, String::new());
        match case {
            Case::Retain => journal = "",
            Case::Replay(_) => {
                journal = "";
                let again = Again::start()?;
                rest = again.subscriber();
                self.again = Some(again);
            }
            Case::Quiet(count) => {
                let closed = free_port()?;
                for index in 0..count {
                    let _ = write!(
                        rest,
                        "[subscribers.quiet{index}]\ntopics = [\"github.release*\"]\n\
                         sink = {{ type = \"webhook\", url = \"http://{closed}/\" }}\n\n"
                    );
                }
            }
            Case::Subscribers => {
                let receivers = Receivers::start(&site.dir.join(&name))?;
                rest = format!(
                    "[subscribers.archive]\ntopics = [\"github\"]\n\
                     sink = {{ type = \"file\", path = '{}' }}\n\n\
                     [subscribers.ci]\ntopics = [\"github\"]\n\
                     sink = {{ type = \"webhook\", url = \"http://{}/\", concurrency = {WEBHOOK_CONCURRENCY} }}\n",
                    receivers.path.display(),
                    receivers.webhook.addr,
                );
                self.receivers = Some(receivers);
            }
            _ => {}
        }
        self.daemons.insert(case, Daemon::start(site, &name, journal, &rest)?);
        if matches!(case, Case::Replay(_)) {
            Again::fill(&self.daemons[&case], request)?;
        }
        if warm && !matches!(case, Case::Retain | Case::Replay(_)) {
            let begin = Instant::now();
            let mut written = 0;
            while written < WARM_EVENTS && begin.elapsed() < Duration::from_secs(20) {
                let before = self.accepted(case)?;
                self.measure((case, 64), 1.0, request)?;
                written += self.accepted(case)? - before;
            }
        }
        Ok(())
    }

    /// Puts `seconds` of load on one case.
    pub(crate) fn measure(
        &mut self,
        (case, connections): (Case, usize),
        seconds: f64,
        request: &mut Request,
    ) -> io::Result<Sample> {
        let measure = Duration::from_secs_f64(seconds);
        let load = Load { connections, warm: measure / 10, measure };
        let baseline = match case {
            Case::Bare => Some(Kind::Bare),
            Case::Hmac => Some(Kind::Hmac),
            _ => None,
        };
        if let Some(kind) = baseline {
            let floor = self.floor(connections);
            let Baseline { process, addr } = &self.baselines[&(kind, floor)];
            let outcome = drive(*addr, process, request, load)?;
            note_faults(&mut self.faults, case, &outcome.faults);
            return Ok(Sample::of(&outcome));
        }
        let daemon = &self.daemons[&daemon_of(case)];
        let replay = if case == Case::Replay(true) { Some(Again::begin(daemon)?) } else { None };
        let commits = || -> io::Result<(f64, f64)> {
            let value = |name| Ok::<_, io::Error>(daemon.metric(name, "")?.unwrap_or(0.0));
            Ok((value("forebay_journal_commit_events_sum")?, value("forebay_journal_commit_events_count")?))
        };
        let (recorded, before) = (daemon.metric("forebay_events_total", "")?.unwrap_or(0.0), commits()?);
        let (mut sample, outcome) = if case == Case::Subscribers
            && let Some(receivers) = &mut self.receivers
        {
            receivers.measure(daemon, connections, measure, request)?
        } else {
            let outcome = drive(daemon.ingress, &daemon.process, request, load)?;
            (Sample::of(&outcome), outcome)
        };
        if let (Some(id), Some(again)) = (replay, &mut self.again) {
            again.end(daemon, &id)?;
        }
        note_faults(&mut self.faults, case, &outcome.faults);
        let after = commits()?;
        sample.events_per_sync = (after.1 > before.1).then(|| (after.0 - before.0) / (after.1 - before.1));
        let recorded = daemon.metric("forebay_events_total", "")?.unwrap_or(0.0) - recorded;
        if recorded < number(outcome.accepted) {
            let (name, accepted) = (case.name(), outcome.accepted);
            self.faults.push(format!("{name}: {accepted} answered 202, {recorded} recorded"));
        }
        Ok(sample)
    }

    /// How fast a replay is while the ingress has nothing to do.
    ///
    /// # Errors
    /// When it does not come to its end.
    pub(crate) fn replay_alone(&self) -> io::Result<Option<f64>> {
        self.daemon(Case::Replay(false)).map(Again::alone).transpose()
    }

    /// How many events were replayed beside the load.
    pub(crate) fn replayed(&self) -> u64 {
        self.again.as_ref().map_or(0, |again| again.replayed)
    }

    /// The daemon that serves `case`, if it was started.
    pub(crate) fn daemon(&self, case: Case) -> Option<&Daemon> {
        self.daemons.get(&daemon_of(case))
    }

    fn accepted(&self, case: Case) -> io::Result<u64> {
        let events = self.daemons[&case].metric("forebay_events_total", "")?.unwrap_or(0.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a counter of events")]
        Ok(events as u64)
    }
}

/// Without quiet subscribers it is the daemon that has none; with and without a replay it is the same.
fn daemon_of(case: Case) -> Case {
    match case {
        Case::Quiet(0) => Case::Ingest,
        Case::Replay(_) => Case::Replay(false),
        case => case,
    }
}

fn note_faults(faults: &mut Vec<String>, case: Case, seen: &BTreeMap<String, u64>) {
    faults.extend(seen.iter().map(|(what, count)| format!("{}: {count} × {what}", case.name())));
}
