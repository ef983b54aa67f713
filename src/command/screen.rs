//! Where the output goes: how wide it may be, whether it may have colours, and that nothing in it is obeyed.

use std::io::{self, IsTerminal, Write};

use super::failure::Failure;
use crate::event::Millis;

/// What is known of standard output. Everything that is printed is laid out by it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Screen {
    /// Somebody looks on.
    pub(super) terminal: bool,
    /// Colours are wanted.
    pub(super) color: bool,
    /// The columns of the terminal; none: nothing is cut.
    pub(super) width: Option<usize>,
    /// The present moment, from which ages are told.
    pub(super) now: Millis,
}

/// What a word is to say by its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Style {
    /// Nothing.
    #[default]
    Plain,
    /// A heading, or what matters most.
    Strong,
    /// What matters less.
    Faint,
    /// As it should be.
    Good,
    /// To be looked at.
    Doubtful,
    /// Not as it should be.
    Bad,
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Strong => "\x1b[1m",
            Self::Faint => "\x1b[2m",
            Self::Good => "\x1b[32m",
            Self::Doubtful => "\x1b[33m",
            Self::Bad => "\x1b[31m",
        }
    }
}

impl Screen {
    /// The standard output of this process.
    pub(super) fn of_process() -> Self {
        let out = io::stdout();
        let terminal = out.is_terminal();
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let size = terminal.then(|| rustix::termios::tcgetwinsize(&out).ok()).flatten();
        let width = size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0);
        Self { terminal, color: terminal && wanted, width, now: Millis::now() }
    }

    /// The text in a colour, where there are colours. The text must be printable already.
    pub(super) fn paint(&self, style: Style, text: &str) -> String {
        match style.code() {
            code if self.color && !code.is_empty() && !text.is_empty() => format!("{code}{text}\x1b[0m"),
            _ => text.to_owned(),
        }
    }

    /// Writes lines to standard output.
    pub(super) fn print(&self, text: &str) -> Result<(), Failure> {
        self.write(format!("{}\n", text.trim_end_matches('\n')).as_bytes())
    }

    /// Writes bytes to standard output as they are.
    #[expect(clippy::unused_self, reason = "who has no screen has nothing to write to")]
    pub(super) fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        Ok(out.flush()?)
    }

    /// Says something about the output beside it, on standard error.
    #[expect(clippy::unused_self, reason = "as above")]
    pub(super) fn note(&self, text: &str) {
        // Nobody is left to tell if standard error is closed.
        let _ = writeln!(io::stderr(), "{text}");
    }
}

/// Whether somebody is there to answer a question.
pub(super) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks whether to do it. Anything but a yes is a no.
///
/// # Errors
/// The no, as the reason the command ends.
pub(super) fn ask(question: &str) -> Result<(), Failure> {
    let mut answer = String::new();
    let _ = write!(io::stderr(), "{question} [y/N] ");
    let _ = io::stderr().flush();
    let read = io::stdin().read_line(&mut answer);
    if read.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    Err(Failure::Failed("nothing was done".into()))
}
