//! What is owed outlives its segment; what was not read yet keeps it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{OPEN, all_done, hook, post, rows, seqs, sorted, the_row};
use crate::client::eventually;
use crate::daemon::Home;
use crate::receiver::{Receiver, Reply};

/// Segments of 1 MiB, and two of them are already too many.
fn small(home: &Home) {
    let text = std::fs::read_to_string(home.path("forebay.toml")).expect("written");
    home.configure(&text.replace("[log]", "retain = { size = \"2 MiB\", age = \"1h\" }\n[log]"));
}

fn segments(home: &Home) -> Vec<String> {
    let names = std::fs::read_dir(home.path("journal")).expect("listed");
    let names = names.map(|entry| entry.expect("an entry").file_name().into_string().expect("text"));
    let mut names: Vec<_> =
        names.filter(|name| name.strip_suffix(".log").is_some_and(|name| !name.starts_with("spare"))).collect();
    names.sort();
    names
}

fn large(count: u64) -> impl Iterator<Item = Vec<u8>> {
    (0..count).map(|n| format!("{n} {}", "x".repeat(200_000)).into_bytes())
}

#[test]
fn what_is_owed_or_dead_outlives_its_segment() {
    let well = Arc::new(AtomicBool::new(false));
    let is_well = Arc::clone(&well);
    let receiver = Receiver::start(move |request| match request.seq() {
        2 => Reply::Status(410),
        1 | 3 if !is_well.load(Ordering::SeqCst) => Reply::Status(500),
        _ => Reply::Status(200),
    });
    let retry = "retry = { first = \"300ms\", max = \"300ms\", attempts = 1000 }";
    let home = Home::new("", &(OPEN.to_owned() + &hook("hook", &receiver.url(), "", retry)));
    small(&home);
    let daemon = home.start();
    post(&daemon, ["the first", "the second", "the third"]);
    eventually("they are owed or dead", || (rows(&home, "hook").len() == 3).then_some(()));
    post(&daemon, large(30));
    eventually("the first segment goes", || {
        (!segments(&home).contains(&format!("{:020}.log", 1)) && segments(&home).len() <= 4).then_some(())
    });
    daemon.kill();

    well.store(true, Ordering::SeqCst);
    let daemon = home.start();
    all_done(&daemon, "hook");
    let requests = receiver.requests();
    for (seq, body) in [(1, "the first"), (3, "the third")] {
        let last = requests.iter().rfind(|request| request.seq() == seq).expect("it came");
        assert!(last.text() == body && last.attempt() > 1, "{last:?}");
    }
    the_row(&home, "only the dead letter is left", |row| row.seq == 2 && row.dead);
    let kept = || {
        let db = rusqlite::Connection::open(home.path("journal/state.sqlite")).expect("opened");
        let count = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
        db.query_row("SELECT group_concat(seq) FROM kept", [], count).expect("read")
    };
    eventually("only the dead letter is kept", || (kept() == "2").then_some(()));
}

#[test]
fn what_was_not_read_yet_is_not_removed_not_even_at_a_start() {
    let receiver = Receiver::start(|_| Reply::Hang);
    let home = Home::new("", &(OPEN.to_owned() + &hook("hook", &receiver.url(), ", timeout = \"60s\"", "")));
    small(&home);
    let daemon = home.start();
    post(&daemon, large(40));
    receiver.wait_for(8);
    daemon.kill();
    for _ in 0..3 {
        let daemon = home.start();
        assert!(segments(&home).len() >= 8, "{:?}", segments(&home));
        daemon.kill();
    }
    let failed = receiver.count();
    receiver.answer(|_| Reply::Status(200));
    let daemon = home.start();
    all_done(&daemon, "hook");
    let mut got = sorted(seqs(&receiver.requests()[failed..]));
    got.dedup();
    assert_eq!(got, (1..=40).collect::<Vec<_>>());
    eventually("the segments go now", || (segments(&home).len() <= 3).then_some(()));
}
