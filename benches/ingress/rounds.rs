//! The interleaved rounds: which cases, in which order, and what to do with one that fails.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use crate::daemon::Site;
use crate::fleet::Fleet;
use crate::options::{Options, Part};
use crate::report::Results;
use crate::request::Request;
use crate::sample::{Case, Step};
use crate::single::RawDisk;

/// What is compared at each of these.
const CONNECTIONS: [usize; 2] = [64, 256];

/// Measures what `options` want into `results`. A case that fails is told in `faults` and left out from then on.
pub(crate) fn run(
    options: &Options,
    site: &Site,
    request: &mut Request,
    results: &mut Results,
    faults: &mut Vec<String>,
) {
    let mut steps = steps(options);
    let mut fleet = Fleet::default();
    if !steps.is_empty() {
        eprintln!("baselines");
        match fleet.start_baselines(options.runtime, &CONNECTIONS, results.seconds, request) {
            Ok(runtimes) => results.runtimes = runtimes,
            Err(error) => return faults.push(format!("baselines: {error}")),
        }
        results.floors = CONNECTIONS.map(|connections| (connections, fleet.floor(connections))).to_vec();
    }
    let single = options.wants(Part::Single);
    let cases: BTreeSet<Case> = steps.iter().map(|(case, _)| *case).chain(single.then_some(Case::Ingest)).collect();
    for case in cases.into_iter().filter(|case| !matches!(case, Case::Bare | Case::Hmac)) {
        if fleet.daemon(case).is_some() {
            continue;
        }
        eprintln!("starting: {}", case.name());
        if let Err(error) = fleet.start_daemon(site, case, !options.quick, request) {
            faults.push(format!("{}: {error}", case.name()));
            steps.retain(|(of, _)| *of != case);
        }
    }
    let mut disk = match single.then(|| RawDisk::new(&site.dir)).transpose() {
        Ok(disk) => disk,
        Err(error) => return faults.push(format!("the disk: {error}")),
    };
    results.replay_alone = fleet.replay_alone().unwrap_or_else(|error| {
        faults.push(format!("the replay alone: {error}"));
        None
    });
    for round in 0..results.rounds {
        eprintln!("round {} of {}", round + 1, results.rounds);
        let mut order = steps.clone();
        if round % 2 == 1 {
            order.reverse();
        }
        for step in order {
            match fleet.measure(step, results.seconds, request) {
                Ok(sample) => {
                    eprintln!("  {:>8.0}/s  {} at {}", sample.rate, step.0.name(), step.1);
                    results.samples.add(round, step, sample);
                }
                Err(error) => {
                    faults.push(format!("{} at {}: {error}", step.0.name(), step.1));
                    steps.retain(|other| *other != step);
                }
            }
        }
        let time = Duration::from_secs_f64(results.seconds / 2.0);
        if let Err(error) = one_at_a_time(&mut fleet, disk.as_mut(), time, request, results) {
            faults.push(format!("one request at a time: {error}"));
            disk = None;
        }
    }
    results.replayed = fleet.replayed();
    faults.append(&mut fleet.faults);
}

fn one_at_a_time(
    fleet: &mut Fleet,
    disk: Option<&mut RawDisk>,
    time: Duration,
    request: &mut Request,
    results: &mut Results,
) -> io::Result<()> {
    match (disk, fleet.daemon(Case::Ingest)) {
        (Some(disk), Some(daemon)) => results.singles.round(disk, daemon, time, request),
        _ => Ok(()),
    }
}

/// Cases of one number of connections stand together, each beside what it is compared with.
fn steps(options: &Options) -> Vec<Step> {
    let [floor, ingest, retain, subscribers, quiet] =
        [Part::Floor, Part::Ingest, Part::Retain, Part::Subscribers, Part::Quiet].map(|part| options.wants(part));
    let mut steps = Vec::new();
    for connections in CONNECTIONS {
        let cases = [
            (Case::Bare, floor || ingest),
            (Case::Retain, retain && connections == 64),
            (Case::Ingest, ingest || retain && connections == 64),
            (Case::Hmac, floor || ingest || subscribers),
            (Case::Subscribers, subscribers),
        ];
        steps.extend(cases.into_iter().filter(|(_, wanted)| *wanted).map(|(case, _)| (case, connections)));
    }
    if options.wants(Part::Replay) {
        steps.extend([false, true].map(|under_way| (Case::Replay(under_way), 64)));
    }
    if quiet {
        steps.extend([4, 0, 8].map(|count| (Case::Quiet(count), 64)));
    }
    steps
}
