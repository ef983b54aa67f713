//! One file a command, and the exit codes.

pub mod check;
pub mod completions;
pub mod dev;
mod process;
mod sample;
pub mod send;
pub mod serve;

use std::io::{IsTerminal, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;

use crate::cli::{Cli, Command};
use crate::plan::{self, EXIT_CONFIG, Loaded, Report};

/// The exit code for a wrong command line, which is the parser's too.
const EXIT_USAGE: u8 = 2;

/// Does what the command line says.
#[must_use]
pub fn run(cli: &Cli) -> ExitCode {
    match &cli.command {
        Command::Serve => match plan::load(&cli.config) {
            Ok(loaded) => serve::run(loaded, &cli.config),
            Err(report) => serve::refuse(&report, &cli.config),
        },
        Command::Check => with_plan(&cli.config, |loaded| {
            say(&check::text(&loaded, std::io::stdout().is_terminal()));
            ExitCode::SUCCESS
        }),
        Command::Dev(dev) => dev::run(dev),
        Command::Send(send) => with_plan(&cli.config, |loaded| send::run(send, &loaded.plan)),
        Command::Completions { shell } => {
            say(&completions::text(*shell));
            ExitCode::SUCCESS
        }
    }
}

/// Reads the configuration, or says everything that is wrong with it.
fn with_plan(config: &Path, then: impl FnOnce(Loaded) -> ExitCode) -> ExitCode {
    match plan::load(config) {
        Ok(loaded) => then(loaded),
        Err(report) => refuse(&report),
    }
}

/// Says everything that is wrong with the configuration, for a person.
fn refuse(report: &Report) -> ExitCode {
    let color = std::io::stderr().is_terminal();
    // Nobody is left to tell if standard error is closed.
    let _ = writeln!(std::io::stderr(), "{}", report.render(color).trim_end());
    ExitCode::from(EXIT_CONFIG)
}

/// Writes to standard output. Whoever reads it may have read enough.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
}

/// Says on standard error why it went wrong.
fn fail(why: &dyn std::fmt::Display) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "error: {why}");
    ExitCode::FAILURE
}

/// Says on standard error what is wrong with the command line.
fn misused(why: &dyn std::fmt::Display) -> ExitCode {
    fail(why);
    ExitCode::from(EXIT_USAGE)
}

/// Where a listener is reached from this machine: one that listens everywhere, on loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
