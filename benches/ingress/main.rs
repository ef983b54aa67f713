//! The benchmark of the ingress: forebay beside two tiny hyper servers, `cargo bench --bench ingress`. See `--help`.

mod answer;
mod baseline;
mod client;
mod daemon;
mod fleet;
mod histogram;
mod http_get;
mod machine;
mod memory;
mod options;
mod process;
mod replay;
mod report;
mod request;
mod rounds;
mod sample;
mod single;
mod start;
mod stats;
mod subscribers;

use std::fs;
use std::io;
use std::process::ExitCode;

use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::daemon::Site;
use crate::options::{Options, Part, Role};
use crate::report::Results;
use crate::request::{PUSH, Request};

// The allocator forebay has, so that the baselines do not owe their place to a slower one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(Role::Server { kind, runtime }) = options.role {
        return finish(baseline::serve(kind, runtime).map(|()| Vec::new()));
    }
    if !options.bench {
        println!("measures only under `cargo bench --bench ingress`");
        return ExitCode::SUCCESS;
    }
    finish(run(&options))
}

/// A goal that is not met is a line in the table; a wrong answer or a lost event is a failure.
fn finish(outcome: io::Result<Vec<String>>) -> ExitCode {
    let faults = outcome.unwrap_or_else(|error| vec![error.to_string()]);
    for fault in &faults {
        eprintln!("failed: {fault}");
    }
    if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(options: &Options) -> io::Result<Vec<String>> {
    raise_open_files()?;
    let site = Site::new(options.binary.clone())?;
    let (rounds, seconds) = if options.quick { (2, 1.0) } else { (options.rounds, options.seconds) };
    let mut request = Request::new(PUSH);
    let mut results = Results { machine: machine::describe(&site.dir), rounds, seconds, ..Results::default() };
    if machine::filesystem(&site.dir).as_deref() == Some("tmpfs") {
        eprintln!("warning: {} is in memory, where a sync costs nothing", site.dir.display());
    }
    let mut faults = Vec::new();
    if options.wants(Part::Memory) {
        results.memory = attempt("memory", &mut faults, || memory::measure(&site));
    }
    if options.wants(Part::Start) {
        results.starts = attempt("start", &mut faults, || start::measure(&site));
    }
    if options.wants(Part::Size) {
        results.binary = attempt("size", &mut faults, || Ok(fs::metadata(&site.binary)?.len()));
    }
    rounds::run(options, &site, &mut request, &mut results, &mut faults);
    if options.wants(Part::Backlog) {
        let fill = || start::backlog(&site, options.backlog_events, &mut request);
        results.backlog = attempt("backlog", &mut faults, fill);
    }
    println!("{}", results.markdown());
    Ok(faults)
}

/// One part going wrong does not keep the others from being measured.
fn attempt<T>(part: &str, faults: &mut Vec<String>, measure: impl FnOnce() -> io::Result<T>) -> Option<T> {
    eprintln!("{part}");
    measure().map_err(|error| faults.push(format!("{part}: {error}"))).ok()
}

/// A thousand connections need more open files than a process usually may have.
fn raise_open_files() -> io::Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}
