//! One file a command, and the exit codes.
//!
//! Those that ask a running daemon share `session`: the `client` of its admin API, and the `screen` with its `table`s and
//! `sheet`s, `words` and `progress`; `failure` is how they end before their end.

pub mod check;
mod client;
pub mod completions;
mod dead;
pub mod dev;
mod doctor;
mod events;
mod failure;
pub mod man;
mod plan;
mod process;
mod progress;
mod replay;
mod sample;
mod screen;
mod secrets;
pub mod send;
pub mod serve;
mod session;
mod settings;
mod sheet;
mod subscribers;
mod table;
#[cfg(test)]
mod tests;
mod topics;
mod words;

use std::io::{IsTerminal, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;

use crate::cli::{Cli, Command};
use crate::plan::{EXIT_CONFIG, Loaded, Report};

/// The exit code for a wrong command line, which is the parser's too.
const EXIT_USAGE: u8 = 2;

/// Does what the command line says.
#[must_use]
pub fn run(cli: &Cli) -> ExitCode {
    let config = &cli.config;
    match &cli.command {
        Command::Serve => match crate::plan::load(config) {
            Ok(loaded) => serve::run(loaded, config),
            Err(report) => serve::refuse(&report, config),
        },
        Command::Check(check) => with_plan(&cli.config, |loaded| {
            if check.diff {
                return session::run(&check.remote, config, async |session| settings::diff(session, &loaded).await);
            }
            if let Some(file) = &check.event {
                return match check::event::answer(&loaded.plan, file) {
                    Ok(answer) => {
                        say(&answer);
                        ExitCode::SUCCESS
                    }
                    Err(why) => fail(&why),
                };
            }
            say(&check::text(&loaded, std::io::stdout().is_terminal()));
            ExitCode::SUCCESS
        }),
        Command::Dev(dev) => dev::run(dev),
        Command::Send(send) => with_plan(&cli.config, |loaded| send::run(send, &loaded.plan)),
        Command::Events(args) => {
            session::run(&args.remote, config, async |session| events::run(session, &args.command).await)
        }
        Command::Replay(args) => session::run(&args.remote, config, async |session| replay::run(session, args).await),
        Command::Dead(args) => {
            session::run(&args.remote, config, async |session| dead::run(session, &args.command).await)
        }
        Command::Subscribers(args) => {
            session::run(&args.remote, config, async |session| subscribers::run(session, &args.command).await)
        }
        Command::Topics(args) => {
            session::run(&args.remote, config, async |session| topics::run(session, &args.command).await)
        }
        Command::Doctor(args) => session::run(&args.remote, config, async |session| doctor::run(session, args).await),
        Command::Secrets(args) => session::run(&args.remote, config, async |session| secrets::run(session).await),
        Command::Reload(args) => {
            session::run(&args.remote, config, async |session| settings::reload(session, args).await)
        }
        Command::Plan(args) => session::run(&args.remote, config, async |session| plan::run(session, args).await),
        Command::Man => {
            say(&man::text());
            ExitCode::SUCCESS
        }
        Command::Completions { shell } => {
            say(&completions::text(*shell));
            ExitCode::SUCCESS
        }
    }
}

/// Reads the configuration, or says everything that is wrong with it.
fn with_plan(config: &Path, then: impl FnOnce(Loaded) -> ExitCode) -> ExitCode {
    match crate::plan::load(config) {
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
