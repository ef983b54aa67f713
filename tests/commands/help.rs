//! What the command line says about itself.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use clap::CommandFactory;
use forebay::cli::Cli;

use crate::{ended, forebay};

/// Set to anything, the fixtures are written instead of compared.
const UPDATE: &str = "UPDATE_HELP";

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/help")
}

#[test]
fn help_is_what_it_was() {
    let mut commands = vec![Vec::new()];
    for command in Cli::command().get_subcommands() {
        commands.push(vec![command.get_name().to_owned()]);
        for below in command.get_subcommands() {
            commands.push(vec![command.get_name().to_owned(), below.get_name().to_owned()]);
        }
    }
    assert!(commands.len() > 5, "{commands:?}");
    let mut known = BTreeSet::new();
    for path in commands {
        let mut arguments: Vec<&str> = path.iter().map(String::as_str).collect();
        let name = if path.is_empty() { "forebay.txt".to_owned() } else { format!("{}.txt", path.join("-")) };
        arguments.push("--help");
        let (code, out, err) = ended(&forebay(&arguments).output().expect("the binary starts"));
        assert_eq!((code, err.as_str()), (Some(0), ""), "{name}");
        let file = fixtures().join(&name);
        if std::env::var_os(UPDATE).is_some() {
            std::fs::write(&file, &out).expect("the fixture is written");
        }
        let want = std::fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(out, want, "`{name}` differs: `{UPDATE}=1 cargo test --test commands` writes it anew");
        known.insert(name);
    }
    let there: BTreeSet<String> = std::fs::read_dir(fixtures())
        .expect("the fixtures")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    assert_eq!(there, known, "fixtures of commands that are gone");
}

/// Every command, and those below it.
fn all(command: &clap::Command) -> Vec<&clap::Command> {
    command.get_subcommands().flat_map(|below| std::iter::once(below).chain(all(below))).collect()
}

/// Each option is in the help with what counts without it.
#[test]
fn every_option_says_its_default() {
    let mut options = 0;
    for command in all(&Cli::command()) {
        for argument in command.get_arguments() {
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(!help.is_empty(), "{} {}", command.get_name(), argument.get_id());
            // The events of a `replay` and the letters of `dead` are named, or described by other options.
            let free = argument.is_positional() && argument.get_id() == "events";
            if free || !argument.get_action().takes_values() {
                continue;
            }
            let said = help.contains("[default: ") || !argument.get_default_values().is_empty();
            assert!(argument.is_required_set() || said, "{} {}: {help}", command.get_name(), argument.get_id());
            options += 1;
        }
    }
    assert!(options >= 40, "{options}");
}

/// The page for `man` is made from the parser, so what can go wrong is that a part of it is left out.
#[test]
fn the_manual_names_every_command_and_option() {
    let (code, out, err) = ended(&forebay(&["man"]).output().expect("the binary starts"));
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.contains(".TH FOREBAY 1 "), "{out}");
    // As roff writes them.
    let written = |text: &str| text.replace('-', "\\-");
    let mut root = Cli::command();
    root.build();
    let mut options = 0;
    for command in all(&root) {
        let name = command.get_bin_name().expect("built");
        let section =
            out.split(&format!(".SS \"{name}\"\n")).nth(1).unwrap_or_else(|| panic!("no section of `{name}`"));
        let section = section.split("\n.S").next().expect("a part");
        for argument in command.get_arguments().filter(|argument| argument.get_id() != "help") {
            let Some(long) = argument.get_long() else {
                let value = argument.get_value_names().and_then(|names| names.first()).expect("a name");
                assert!(section.contains(&written(value)), "`{value}` of `{name}`\n{section}");
                continue;
            };
            let place = if argument.is_global_set() { &out } else { section };
            assert!(
                place.contains(&format!("\\fB{}\\fR", written(&format!("--{long}")))),
                "`--{long}` of `{name}`\n{section}"
            );
            options += 1;
        }
    }
    assert!(options > 40, "{options}");
    for word in ["FOREBAY_ADMIN_TOKEN", "FOREBAY_CONFIG", "/etc/forebay/forebay.toml", "EXIT STATUS"] {
        assert!(out.contains(word), "{word}");
    }
    // Every line that begins with a point is a request, and one of those that are meant.
    let requests = [".ie", ".el", ".TH", ".SH", ".SS", ".PP", ".TP", ".RS", ".RE", ".IP", ".br"];
    for line in out.lines().filter(|line| line.starts_with(['.', '\''])) {
        assert!(requests.contains(&line.split(' ').next().expect("a word")), "{line}");
    }
}

#[test]
fn the_version_has_a_commit() {
    let (code, out, _) = ended(&forebay(&["--version"]).output().expect("the binary starts"));
    let (name, commit) = out.trim_end().split_once(" (").expect("a commit");
    assert_eq!((code, name), (Some(0), concat!("forebay ", env!("CARGO_PKG_VERSION"))));
    assert!(commit.strip_suffix(')').is_some_and(|commit| !commit.is_empty()), "{out}");
}

#[test]
fn a_wrong_command_line_exits_with_2() {
    const ID: &str = "01935a3c-7a00-7000-8000-000000000001";
    let wrong: &[&[&str]] = &[
        &[],
        &["swerve"],
        &["serve", "--fast"],
        &["send"],
        &["dev", "--listen"],
        &["dev", "--listen", "8080"],
        &["dev", "--listen", "127.0.0.1:99999"],
        &["completions"],
        &["completions", "tcsh"],
        &["events"],
        &["events", "list", "--limit", "0"],
        &["events", "list", "--limit", "many"],
        &["events", "list", "--since", "yesterday"],
        &["events", "list", "--until", "24"],
        &["events", "list", "--topic", ""],
        &["replay", "--topic", "", "--type", "push"],
        &["dead", "retry", "", "--all"],
        &["events", "show"],
        &["events", "show", "1"],
        &["events", "show", ID, "--body", "--json"],
        &["events", "tail", "--since", "1h"],
        &["replay", "1"],
        &["replay", "--rate", "0", "--since", "1h"],
        &["replay", "cancel"],
        &["dead"],
        &["dead", "retry"],
        &["dead", "retry", "ci"],
        &["dead", "retry", "ci", "1"],
        &["dead", "retry", "ci", ID, "--all"],
        &["dead", "drop", "ci"],
        &["subscribers", "pause"],
        &["topics"],
        &["doctor", "1"],
        &["doctor", ID, "--list"],
        &["doctor", "--limit", "3"],
        &["doctor", "--list", "--limit", "501"],
        &["plan"],
        &["plan", "new.toml", "--since", "x"],
        &["serve", "--json"],
        &["check", "--json"],
        &["reload", "--admin"],
        &["man", "--json"],
    ];
    for arguments in wrong {
        let (code, out, err) = ended(&forebay(arguments).output().expect("the binary starts"));
        assert_eq!((code, out.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(!err.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_missing_configuration_exits_with_78() {
    for command in [&["serve"][..], &["check"], &["send", "github"]] {
        let arguments = [&["-c", "/nonexistent/forebay.toml"], command].concat();
        let (code, out, err) = ended(&forebay(&arguments).output().expect("the binary starts"));
        assert_eq!((code, out.as_str()), (Some(78), ""), "{command:?}");
        assert!(err.contains("/nonexistent/forebay.toml"), "{err}");
    }
}

#[test]
fn completions_name_every_command_and_bash_reads_its_own() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let (code, out, err) = ended(&forebay(&["completions", shell]).output().expect("the binary starts"));
        assert_eq!((code, err.as_str()), (Some(0), ""), "{shell}");
        for command in all(&Cli::command()) {
            assert!(out.contains(command.get_name()), "{shell} {}", command.get_name());
            for long in command.get_arguments().filter_map(clap::Arg::get_long) {
                assert!(out.contains(long), "{shell} {} --{long}", command.get_name());
            }
        }
        if shell == "bash" {
            let file = tempfile::NamedTempFile::new().expect("a file");
            std::fs::write(file.path(), &out).expect("written");
            let read = Command::new("bash").arg("-n").arg(file.path()).stdin(Stdio::null()).output();
            assert_eq!(ended(&read.expect("this test needs `bash`")), (Some(0), String::new(), String::new()));
        }
    }
}
