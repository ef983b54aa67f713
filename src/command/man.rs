//! `man`: the manual page, one for all commands, made from what the parser knows.

use std::io;

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::cli::Cli;

/// What no command line says of itself.
const EXIT: [(&str, &str); 4] = [
    ("0", "It is done."),
    ("1", "It failed while running."),
    ("2", "The command line is wrong."),
    ("78", "The configuration is wrong."),
];

const ENVIRONMENT: [(&str, &str); 4] = [
    ("FOREBAY_CONFIG", "The configuration file, where --config names none."),
    ("FOREBAY_ADMIN", "Where the admin API is, where --admin does not say it."),
    ("FOREBAY_ADMIN_TOKEN", "The token for the admin API; it comes before that of the configuration."),
    ("NO_COLOR", "If it is set to anything, nothing is coloured."),
];

/// The page as roff.
#[must_use]
pub fn text() -> String {
    let mut page = Vec::new();
    // Memory takes every write.
    let _ = write(&mut page);
    let page = String::from_utf8_lossy(&page);
    // Each part brings the same definition of an apostrophe along.
    let mut lines: Vec<&str> = Vec::new();
    for line in page.lines() {
        let preamble = line.starts_with(".ie ") || line.starts_with(".el ");
        if !(preamble && lines.contains(&line)) {
            lines.push(line);
        }
    }
    lines.join("\n") + "\n"
}

fn write(page: &mut Vec<u8>) -> io::Result<()> {
    let mut root = Cli::command();
    root.build();
    let whole = Man::new(root.clone()).title("FOREBAY");
    whole.render_title(page)?;
    whole.render_name_section(page)?;
    whole.render_synopsis_section(page)?;
    whole.render_options_section(page)?;
    heading(page, "COMMANDS")?;
    let mut shared = Vec::new();
    for command in root.get_subcommands() {
        self::command(page, command, &mut shared)?;
    }
    heading(page, "OPTIONS OF ALL COMMANDS THAT ASK THE DAEMON")?;
    let asking = shared.into_iter().fold(Command::new("forebay"), Command::arg);
    part(page, |out| Man::new(asking.disable_help_flag(true)).render_options_section(out), "OPTIONS", "")?;
    list(page, "ENVIRONMENT", &ENVIRONMENT)?;
    list(page, "FILES", &[(crate::cli::DEFAULT_CONFIG, "The configuration, where no other is named.")])?;
    list(page, "EXIT STATUS", &EXIT)
}

/// A command and those below it. Its options that go for several are gathered in `shared`.
fn command(page: &mut Vec<u8>, command: &Command, shared: &mut Vec<clap::Arg>) -> io::Result<()> {
    for option in command.get_arguments().filter(|option| option.is_global_set() && option.get_id() != "config") {
        // Not that of the first command, for which other rules may hold.
        shared.retain(|other| other.get_id() != option.get_id());
        shared.push(option.clone());
    }
    let own = command.clone().mut_args(|option| {
        let hidden = option.is_global_set() || option.get_id() == "help";
        option.hide(hidden)
    });
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let man = Man::new(own.clone());
    part(page, |out| man.render_synopsis_section(out), "SYNOPSIS", &format!(".SS \"{name}\""))?;
    part(page, |out| man.render_description_section(out), "DESCRIPTION", ".PP")?;
    if own.get_arguments().any(|option| !option.is_hide_set()) {
        part(page, |out| man.render_options_section(out), "OPTIONS", ".PP")?;
    }
    for below in command.get_subcommands() {
        self::command(page, below, shared)?;
    }
    Ok(())
}

/// A section of a page of its own, under another heading.
fn part(
    page: &mut Vec<u8>,
    render: impl FnOnce(&mut dyn io::Write) -> io::Result<()>,
    heading: &str,
    instead: &str,
) -> io::Result<()> {
    let mut section = Vec::new();
    render(&mut section)?;
    let text = String::from_utf8_lossy(&section);
    let heading = [format!(".SH {heading}"), format!(".SH \"{heading}\"")];
    for line in text.lines() {
        let line = if heading.iter().any(|heading| heading == line) { instead } else { line };
        if !line.is_empty() {
            page.extend_from_slice(line.as_bytes());
            page.push(b'\n');
        }
    }
    Ok(())
}

fn heading(page: &mut Vec<u8>, text: &str) -> io::Result<()> {
    let mut roff = Roff::new();
    roff.control("SH", [text]);
    roff.to_writer(page)
}

fn list(page: &mut Vec<u8>, title: &str, items: &[(&str, &str)]) -> io::Result<()> {
    let mut roff = Roff::new();
    roff.control("SH", [title]);
    for (name, means) in items {
        roff.control("TP", []);
        roff.text([bold(*name)]);
        roff.text([roman(*means)]);
    }
    roff.to_writer(page)
}
