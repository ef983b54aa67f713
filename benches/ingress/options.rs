//! What can be asked for on the command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::baseline::{Kind, Runtime};

/// Measures forebay beside two tiny hyper servers, in one run, and prints a Markdown table
#[derive(Parser)]
#[command(name = "ingress")]
pub(crate) struct Options {
    /// Rounds; every ratio is taken inside a round, and the median of the rounds is told
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// Seconds of load for each case in each round
    #[arg(long, default_value_t = 3.0)]
    pub(crate) seconds: f64,
    /// Only these parts; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) only: Vec<Part>,
    /// Two rounds of one second: does it work at all?
    #[arg(long)]
    pub(crate) quick: bool,
    /// The runtime of the baselines [default: the faster one, which is measured first]
    #[arg(long)]
    pub(crate) runtime: Option<Runtime>,
    /// Also measure the start with a big backlog; writes 8 GiB
    #[arg(long)]
    pub(crate) backlog: bool,
    /// How many events are owed in it
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) backlog_events: u64,
    /// Another build of forebay than the one beside the bench
    #[arg(long, value_name = "PATH")]
    pub(crate) binary: Option<PathBuf>,
    /// Cargo adds this when the bench is meant to measure, and leaves it away when it is only to be tested
    #[arg(long, hide = true)]
    pub(crate) bench: bool,
    #[command(subcommand)]
    pub(crate) role: Option<Role>,
}

#[derive(Subcommand)]
pub(crate) enum Role {
    /// Be one of the servers (the bench starts itself so)
    #[command(hide = true)]
    Server {
        kind: Kind,
        #[arg(long, default_value = "multi-thread")]
        runtime: Runtime,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Part {
    /// The two baselines in both runtimes
    Floor,
    /// 202 after sync, no subscriber
    Ingest,
    /// The same with the default retention
    Retain,
    /// With a webhook and a file subscriber
    Subscribers,
    /// With subscribers that match nothing
    Quiet,
    /// Beside a replay
    Replay,
    /// One request at a time
    Single,
    /// Resident memory
    Memory,
    /// Start to ready
    Start,
    /// Size of the binary
    Size,
    /// Start with a big backlog
    Backlog,
}

impl Options {
    pub(crate) fn wants(&self, part: Part) -> bool {
        match part {
            Part::Backlog if self.backlog => true,
            Part::Backlog => self.only.contains(&part),
            _ => self.only.is_empty() || self.only.contains(&part),
        }
    }
}
