//! Where subscribers begin, and what stays of those that go.

use super::{OPEN, all_done, hook, of_subscriber, post, seqs, sorted};
use crate::client::eventually;
use crate::daemon::Home;
use crate::receiver::Receiver;

#[test]
fn new_subscribers_begin_where_they_say() {
    let (old, early, late) = (Receiver::always(200), Receiver::always(200), Receiver::always(200));
    let home = Home::new("", "");
    let preamble = std::fs::read_to_string(home.path("forebay.toml")).expect("written") + OPEN;
    let with = |hooks: &[String]| home.configure(&(preamble.clone() + &hooks.concat()));
    let old_hook = hook("old", &old.url(), "", "");
    let early_hook = hook("early", &early.url(), "", "start = \"earliest\"");
    let late_hook = hook("late", &late.url(), "", "start = \"now\"");

    with(std::slice::from_ref(&old_hook));
    let daemon = home.start();
    post(&daemon, ["1", "2", "3"]);
    old.wait_for(3);
    daemon.kill();

    with(&[old_hook.clone(), early_hook.clone(), late_hook.clone()]);
    let daemon = home.start();
    post(&daemon, ["4"]);
    early.wait_for(4);
    late.wait_for(1);
    for name in ["early", "late"] {
        all_done(&daemon, name);
    }
    daemon.stop();
    let got = |receiver: &Receiver| sorted(seqs(&receiver.requests()));
    assert_eq!((got(&early), got(&late)), (vec![1, 2, 3, 4], vec![4]));

    // Gone with nothing owed, and back again: it is a new one.
    with(std::slice::from_ref(&old_hook));
    let daemon = home.start();
    assert!(daemon.log().iter().any(|line| line.contains("forgot a subscriber")), "{}", daemon.log().join("\n"));
    post(&daemon, ["5"]);
    let got_fifth = || old.requests().iter().any(|request| request.seq() == 5);
    eventually("the fifth arrives", || got_fifth().then_some(()));
    daemon.stop();
    with(&[old_hook, early_hook, late_hook]);
    let daemon = home.start();
    post(&daemon, ["6"]);
    early.wait_for(10);
    late.wait_for(2);
    let got_sixth = || old.requests().iter().any(|request| request.seq() == 6);
    eventually("the sixth arrives", || got_sixth().then_some(()));
    for name in ["old", "early", "late"] {
        all_done(&daemon, name);
    }
    assert_eq!(got(&early), [1, 1, 2, 2, 3, 3, 4, 4, 5, 6]);
    assert_eq!(got(&late), [4, 6]);
    let mut all = got(&old);
    all.dedup();
    assert_eq!(all, [1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_lost_state_begins_again_with_the_oldest_event() {
    let receiver = Receiver::always(200);
    let home = super::home_with(&receiver, "", "start = \"now\"");
    let daemon = home.start();
    post(&daemon, ["1", "2", "3"]);
    receiver.wait_for(3);
    daemon.stop();
    for suffix in ["", "-wal", "-shm"] {
        // The last two are gone after an orderly end.
        let _ = std::fs::remove_file(home.path(format!("journal/state.sqlite{suffix}")));
    }
    let daemon = home.start();
    assert_eq!(sorted(seqs(&receiver.wait_for(6))), [1, 1, 2, 2, 3, 3]);
    all_done(&daemon, "hook");
}

#[test]
fn a_torn_line_is_cut_off_and_its_event_written_whole() {
    let home = Home::new("", "");
    let path = home.path("events.ndjson");
    let text = std::fs::read_to_string(home.path("forebay.toml")).expect("written") + OPEN;
    let sink = format!("sink = {{ type = \"file\", path = \"{}\" }}", path.display());
    home.configure(&format!("{text}[subscribers.file]\ntopics = [\"*\"]\n{sink}\n"));
    let lines = || std::fs::read_to_string(&path).unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>();
    let daemon = home.start();
    post(&daemon, ["1", "2"]);
    eventually("two lines", || (lines().len() == 2).then_some(()));
    all_done(&daemon, "file");
    daemon.kill();
    // As a crash in the middle of a write leaves it.
    let mut torn = std::fs::read(&path).expect("read");
    let line = torn[..torn.len() / 3].to_vec();
    torn.extend_from_slice(&line);
    std::fs::write(&path, &torn).expect("written");

    let daemon = home.start();
    post(&daemon, ["3"]);
    eventually("the third", || lines().iter().any(|line| line.contains("\"payload\":3}")).then_some(()));
    all_done(&daemon, "file");
    let events: Vec<serde_json::Value> =
        lines().iter().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"))).collect();
    let mut seqs: Vec<_> = events.iter().map(|event| event["seq"].as_u64().expect("a number")).collect();
    seqs.sort_unstable();
    seqs.dedup();
    assert_eq!(seqs, [1, 2, 3]);
    assert_eq!(of_subscriber(&daemon, "forebay_dead_letters", "file", ""), 0);
}
