//! No room on the disk: refused before it is full, and taken again by itself.

use std::process::Command;

use super::NO_ROOM;
use crate::client::eventually;
use crate::daemon::{Daemon, Home};

const OPEN: &str = r#"
[topics.open]
validator = { type = "none" }
[subscribers.console]
topics = ["*"]
sink = { type = "stdout" }
"#;

fn post(daemon: &Daemon, body: &[u8]) -> u16 {
    let answer = daemon.post("open", &[("content-type", "application/json")], body);
    if answer.status == 503 {
        assert_eq!((answer.text().as_str(), answer.header("retry-after")), (NO_ROOM, Some("5")));
    }
    answer.status
}

#[test]
fn below_the_free_space_that_is_wanted_nothing_is_taken() {
    let text = format!(
        "[ingress]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[journal]\npath = \"journal\"\n\
         min_free = \"1000000 GiB\"\n[log]\nformat = \"json\"\n{OPEN}"
    );
    let home = Home::with_text(&text);
    let daemon = home.start();
    assert_eq!(post(&daemon, b"{}"), 503);
    assert_eq!(daemon.admin("/readyz").status, 503);
    assert_eq!(daemon.admin("/healthz").status, 200);
    assert_eq!(daemon.stop().0.code(), Some(0));
}

/// A daemon on a small filesystem, in a mount namespace of its own, so that nothing is left of it when the daemon is gone;
/// and the folder as the daemon sees it. `first`: shell commands before it starts, with `$0` for the folder.
fn on_a_small_disk(min_free: &str, first: &str) -> (Home, Daemon, String) {
    let text = format!(
        "[ingress]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[journal]\npath = \"small/journal\"\n\
         min_free = \"{min_free}\"\n[log]\nformat = \"json\"\n{OPEN}"
    );
    let home = Home::with_text(&text);
    let small = home.path("small");
    std::fs::create_dir(&small).expect("a folder");
    let ours = home.command();
    let mut command = Command::new("unshare");
    command.arg(if rustix::process::getuid().is_root() { "-m" } else { "-rm" });
    let script = format!("mount -t tmpfs -o size=256m none \"$0\" && {first} exec \"$@\" serve");
    command.args(["--fork", "--kill-child", "sh", "-c", &script]);
    command.arg(&small).arg(ours.get_program()).args(ours.get_args());
    let daemon = Daemon::spawn(command);
    let inside = format!("/proc/{}/root{}", daemon.pid(), small.display());
    assert!(std::fs::exists(format!("{inside}/journal")).expect("the namespace can be looked into"));
    (home, daemon, inside)
}

/// A start needs a little space; an earlier one has put it aside.
#[test]
fn it_starts_on_a_full_disk() {
    let first = "{ \"$@\" serve 2> \"$0.log\" & one=$!; \
                 until grep -q ready \"$0.log\"; do sleep 0.02; done; kill \"$one\"; wait \"$one\"; \
                 ! dd if=/dev/zero of=\"$0/ballast\" bs=64k 2> /dev/null; } &&";
    let (_home, daemon, inside) = on_a_small_disk("2 MiB", first);
    assert_eq!(post(&daemon, b"[1]"), 503);
    assert_eq!(daemon.admin("/readyz").status, 503);
    std::fs::remove_file(format!("{inside}/ballast")).expect("the ballast");
    eventually("there is room again", || (post(&daemon, b"[2]") == 202).then_some(()));
    eventually("it is delivered", || (daemon.out().len() == 1).then_some(()));
}

#[test]
fn a_full_disk_is_answered_and_survived() {
    let (_home, daemon, inside) = on_a_small_disk("16 MiB", "");
    assert_eq!(post(&daemon, b"[1]"), 202);
    let ballast = format!("{inside}/ballast");
    let fill = Command::new("dd")
        .args(["if=/dev/zero", &format!("of={ballast}"), "bs=1M"])
        .stderr(std::process::Stdio::null())
        .status();
    assert!(!fill.expect("dd is there").success(), "it writes until the disk is full");
    let body = format!("[\"{}\"]", "x".repeat(1 << 20));
    let mut taken = 1;
    eventually("the full disk is noticed", || {
        let status = post(&daemon, body.as_bytes());
        assert!(matches!(status, 202 | 503), "{status}");
        taken += usize::from(status == 202);
        (status == 503).then_some(())
    });
    assert_eq!(daemon.admin("/readyz").status, 503);
    eventually("what was taken is delivered", || (daemon.out().len() == taken).then_some(()));
    std::fs::remove_file(&ballast).expect("the ballast");
    eventually("there is room again", || (post(&daemon, b"[2]") == 202).then_some(()));
    assert_eq!(daemon.admin("/readyz").status, 200);
    eventually("deliveries go on", || (daemon.out().len() == taken + 1).then_some(()));
}
