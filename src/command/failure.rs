//! Why a command that asks the daemon did not do what it was told, and what it exits with.

use std::fmt;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::process::ExitCode;

use super::EXIT_USAGE;
use crate::config::Report;
use crate::plan::EXIT_CONFIG;

/// The end of a command before its end.
#[derive(Debug)]
pub(super) enum Failure {
    /// Whoever reads the output has read enough. Nobody is told.
    Quiet,
    /// The reason has been said already.
    Told,
    /// The command line asks for what cannot be.
    Usage(String),
    /// The configuration is wrong.
    Configuration(Report),
    /// The API refused: a status and a sentence of its own.
    Refused {
        /// The status, a 4xx or 5xx.
        status: u16,
        /// The sentence, as it may be printed.
        message: String,
    },
    /// There is no daemon, or it has gone in the middle; it may come back.
    Unreachable(String),
    /// Anything else.
    Failed(String),
}

impl Failure {
    /// Whether asking again later may help.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Refused { status: 502..=504, .. })
    }

    /// Says it on standard error, and gives the exit code.
    pub(super) fn exit(&self) -> ExitCode {
        match self {
            Self::Quiet => return ExitCode::SUCCESS,
            Self::Told => return ExitCode::FAILURE,
            Self::Configuration(report) => {
                let color = io::stderr().is_terminal();
                // Nobody is left to tell if standard error is closed.
                let _ = writeln!(io::stderr(), "{}", report.render(color).trim_end());
                return ExitCode::from(EXIT_CONFIG);
            }
            _ => {}
        }
        let _ = writeln!(io::stderr(), "error: {self}");
        match self {
            Self::Usage(_) => ExitCode::from(EXIT_USAGE),
            _ => ExitCode::FAILURE,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quiet => f.write_str("nobody reads on"),
            Self::Told => f.write_str("not all of it was done"),
            Self::Configuration(report) => report.fmt(f),
            Self::Usage(why) | Self::Unreachable(why) | Self::Failed(why) | Self::Refused { message: why, .. } => {
                f.write_str(why)
            }
        }
    }
}

/// What became of writing to standard output.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self::Quiet,
            kind => Self::Failed(format!("cannot write to standard output: {kind}")),
        }
    }
}
