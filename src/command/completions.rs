//! `completions`: what a shell reads to complete the command line.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;

/// The completions of that shell.
#[must_use]
pub fn text(shell: Shell) -> String {
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}
