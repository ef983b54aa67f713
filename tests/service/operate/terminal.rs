//! What only a terminal gets: colours, its width, questions.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::Command;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::{TOPICS, command, post};
use crate::daemon::Home;

/// Runs a command on a terminal of so many columns, on which somebody types. What is on it at the end, and the exit code.
pub(super) fn on_a_terminal(mut command: Command, columns: u16, typed: &str) -> (Option<i32>, String) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
    grantpt(&ours).and_then(|()| unlockpt(&ours)).expect("a terminal");
    let name = ptsname(&ours, Vec::new()).expect("a name").into_string().expect("UTF-8");
    let size = Winsize { ws_col: columns, ws_row: 24, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&ours, size).expect("a size");
    let theirs = || OwnedFd::from(File::options().read(true).write(true).open(&name).expect("the other side"));
    command.stdin(theirs()).stdout(theirs()).stderr(theirs()).env("TERM", "xterm");
    let mut ours = File::from(ours);
    ours.write_all(typed.as_bytes()).expect("typed");
    let mut child = command.spawn().expect("the binary starts");
    // Or this process would keep the terminal open for ever.
    drop(command);
    let mut shown = Vec::new();
    let mut buffer = [0; 4096];
    // The end of a terminal is an error.
    while let Ok(read @ 1..) = ours.read(&mut buffer) {
        shown.extend_from_slice(&buffer[..read]);
    }
    let code = child.wait().expect("it is our child").code();
    (code, String::from_utf8(shown).expect("UTF-8").replace("\r\n", "\n"))
}

/// Without colours; anything else a terminal would obey stays.
fn without_colors(text: &str) -> String {
    ["0", "1", "2", "31", "32", "33"]
        .iter()
        .fold(text.to_owned(), |text, code| text.replace(&format!("\x1b[{code}m"), ""))
}

#[test]
fn tables_fit_and_have_colours_and_nothing_else_is_obeyed() {
    let home = Home::new("", TOPICS);
    let daemon = home.start();
    let long = "a".repeat(200);
    let mut client = daemon.client();
    let id = post(&mut client, &[("x-type", &long), ("content-type", "text/plain")], "\u{1b}[2J\u{9b}".as_bytes());
    let list = || command(&home, &daemon, &["events", "list"]);
    let (code, shown) = on_a_terminal(list(), 110, "");
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.starts_with("\x1b[1mID\x1b[0m "), "{shown:?}");
    let plain = without_colors(&shown);
    assert!(plain.lines().all(|line| line.chars().count() <= 110) && plain.contains("aaa…"), "{plain}");
    assert!(!plain.contains('\x1b'), "{plain:?}");
    let mut colourless = list();
    colourless.env("NO_COLOR", "1");
    assert_eq!(on_a_terminal(colourless, 110, ""), (Some(0), plain));
    for arguments in [&["events", "show", &id][..], &["events", "show", &id, "--json"]] {
        let (code, shown) = on_a_terminal(command(&home, &daemon, arguments), 110, "");
        let plain = without_colors(&shown);
        assert!(code == Some(0) && !plain.contains(['\x1b', '\u{9b}']), "{plain:?}");
    }
    // In a pipe nothing is cut.
    assert!(super::run(&home, &daemon, &["events", "list"]).done().contains(&long));
}
