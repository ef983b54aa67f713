//! Topics, and the configuration in force.

use serde_json::json;

use super::{TOPICS, post, run};
use crate::client::eventually;
use crate::daemon::Home;
use crate::receiver::Receiver;

#[test]
fn topics_are_listed() {
    let home = Home::new("", TOPICS);
    let daemon = home.start();
    post(&mut daemon.client(), &[], b"1");
    assert_eq!(daemon.post("github", &[("content-type", "application/json")], b"{}").status, 403);
    let listed = eventually("the refusal is counted", || {
        let out = run(&home, &daemon, &["topics", "list"]).done().to_owned();
        out.lines().nth(1).is_some_and(|line| line.contains("      1  ")).then_some(out)
    });
    let words: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words[0], ["NAME", "VALIDATOR", "EVENTS", "AGAIN", "REFUSED", "LAST", "EVENT", "URL"]);
    assert_eq!(words[1][..6], ["github", "github", "0", "0", "1", "-"]);
    assert_eq!(words[2][..5], ["open", "none", "1", "0", "0"]);
    let tree = run(&home, &daemon, &["topics", "list", "--json"]).json();
    assert_eq!(tree["topics"][1]["name"], json!("open"));
}

#[test]
fn a_reload_is_asked_for_and_its_changes_are_shown() {
    let home = Home::new("", TOPICS);
    let daemon = home.start();
    let ended = run(&home, &daemon, &["reload", "--dry-run"]);
    assert!(ended.done().starts_with("warning: ") && ended.out.ends_with("\nnothing would change\n"), "{}", ended.out);
    assert!(
        run(&home, &daemon, &["check", "--diff"]).done().starts_with("no difference from the running configuration")
    );

    let text = std::fs::read_to_string(home.path("forebay.toml")).expect("the configuration");
    let changed =
        text.replace("dedupe = \"off\"", "dedupe = \"1h\"\nmax_body = \"1 KiB\"").replace("Everybody", "Nobody");
    home.configure(&changed);
    let shown = run(&home, &daemon, &["check", "--diff"]);
    let shown = shown.done();
    for part in
        ["topics.open.dedupe\n  - \"off\"\n  + \"1h\"\n", "topics.open.max_body\n  + \"1 KiB\"\n", "2 differences "]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let tree = run(&home, &daemon, &["check", "--diff", "--json"]).json();
    assert_eq!((&tree["applied"], &tree["changes"][0]["key"]), (&json!(false), &json!("topics.open.dedupe")));

    let shown = run(&home, &daemon, &["reload", "--dry-run"]);
    assert!(
        shown.done().contains("~ another secret\n") && shown.out.contains("3 changes would be in force"),
        "{shown:?}"
    );
    assert_eq!(daemon.api("/config")["settings"]["topics.open.dedupe"], json!("\"off\""));
    let done = run(&home, &daemon, &["reload"]);
    assert!(done.done().contains("the new configuration is in force: 3 changes"), "{done:?}");
    assert_eq!(daemon.api("/config")["settings"]["topics.open.dedupe"], json!("\"1h\""));
    assert!(run(&home, &daemon, &["reload"]).done().contains("nothing has changed"));

    // A wrong one: everything that is wrong with it, and nothing has changed.
    home.configure(&changed.replace("\"1 KiB\"", "\"1 kib\""));
    let ended = run(&home, &daemon, &["reload"]);
    let why = ended.failed();
    assert!(why.starts_with("the configuration is wrong\n") && why.contains("topics.open.max_body"), "{why}");
    let ended = run(&home, &daemon, &["check", "--diff"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(78), ""), "{}", ended.err);

    home.configure(&changed.replace("path = \"journal\"", "path = \"other\""));
    let shown = run(&home, &daemon, &["check", "--diff"]);
    assert!(shown.done().starts_with("journal.path  needs a restart\n"), "{shown:?}");
    assert!(run(&home, &daemon, &["reload"]).failed().contains("needs a restart: `journal.path`"));
    for ended in [run(&home, &daemon, &["reload", "--json"]), run(&home, &daemon, &["reload", "--dry-run"])] {
        assert!(!ended.out.contains("Secret to") && !ended.err.contains("Secret to"), "{ended:?}");
    }
}

#[test]
fn another_configuration_is_tried_on_what_was_recorded() {
    let receiver = Receiver::always(200);
    let home = super::deliveries::home(&receiver);
    let daemon = home.start();
    let json = ("content-type", "application/json");
    for n in 1..=3 {
        post(&mut daemon.client(), &[json, ("x-type", "push")], format!("{{\"n\":{n}}}").as_bytes());
    }
    let other = home.path("other.toml");
    let other = other.to_str().expect("UTF-8");
    let text = std::fs::read_to_string(home.path("forebay.toml")).expect("the configuration");
    let later = "[subscribers.later]\ntopics = [\"open\"]\nsink = { type = \"stdout\" }\n";
    std::fs::write(other, format!("{text}filter = 'body.n > 2'\n{later}")).expect("written");
    let planned = run(&home, &daemon, &["plan", other]);
    let rows: Vec<Vec<&str>> = planned.done().lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["SUBSCRIBER", "NOW", "THEN", "GAINS", "LOSES"]);
    assert_eq!(rows[1], ["ci", "3", "1", "0", "-2"]);
    assert_eq!(rows[2], ["later", "new", "0", "3", "+3", "0"]);
    for part in ["\nci loses\n  2  open.push\n  such as ", "\n3 events looked at\n"] {
        assert!(planned.out.contains(part), "{part}: {}", planned.out);
    }
    let tree = run(&home, &daemon, &["plan", other, "--since", "1h", "--json"]).json();
    assert_eq!((&tree["events"], &tree["subscribers"][0]["loses"]["count"]), (&json!(3), &json!(2)));
    // Nothing has changed, and a file that is wrong is not sent.
    assert_eq!(daemon.api("/config")["settings"]["subscribers.ci.filter"], json!(null));
    std::fs::write(other, text.replace("[topics.open]", "[topics.opened]")).expect("written");
    assert!(run(&home, &daemon, &["plan", other]).done().contains("3 events came in on topics that would be gone"));
    std::fs::write(other, text.replace("[topics.open]", "[topic.open]")).expect("written");
    let ended = run(&home, &daemon, &["plan", other]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(78), ""), "{}", ended.err);
}
