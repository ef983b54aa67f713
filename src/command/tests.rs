//! What the commands print, held to answers of the API that were written down: in a pipe, and on a terminal.
//!
//! `tests/fixtures/commands/NAME.json` is the answer, `NAME.txt` what is printed. `UPDATE_COMMANDS=1` writes the latter anew.

use std::path::PathBuf;

use serde::de::DeserializeOwned;

use super::screen::Screen;
use super::{dead, doctor, events, plan, replay, secrets, settings, subscribers, topics};
use crate::api::dead::DeadLetters;
use crate::api::events::Events;
use crate::api::rejections::Rejections;
use crate::api::replay::Replays;
use crate::event::Millis;

/// 2026-11-23T08:00:00Z.
const NOW: Millis = Millis(1_795_420_800_000);

const COLUMNS: usize = 100;

const UPDATE: &str = "UPDATE_COMMANDS";

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/commands").join(name)
}

/// Without what only tells a terminal about colours, which is shown as `<red>`.
fn without_codes(text: &str) -> String {
    [("1", "bold"), ("2", "faint"), ("31", "red"), ("32", "green"), ("33", "yellow"), ("0", "/")]
        .iter()
        .fold(text.to_owned(), |text, (code, word)| text.replace(&format!("\x1b[{code}m"), &format!("<{word}>")))
}

fn holds<T: DeserializeOwned>(name: &str, words: impl Fn(&T, &Screen) -> String) {
    let read = |file: &str| std::fs::read_to_string(fixture(file)).unwrap_or_else(|error| panic!("`{file}`: {error}"));
    let answer: T = serde_json::from_str(&read(&format!("{name}.json"))).expect(name);
    let pipe = Screen { terminal: false, color: false, width: None, now: NOW };
    let plain = Screen { terminal: true, width: Some(COLUMNS), ..pipe };
    let colored = Screen { color: true, ..plain };
    let cut = words(&answer, &plain);
    let shown = format!(
        "{}\n--- on a terminal of {COLUMNS} columns ---\n{}\n",
        words(&answer, &pipe).trim_end(),
        without_codes(words(&answer, &colored).trim_end())
    );
    assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{name} obeys: {shown:?}");
    let bare = ["bold", "faint", "red", "green", "yellow", "/"];
    let uncolored = bare.iter().fold(shown.clone(), |text, word| text.replace(&format!("<{word}>"), ""));
    assert!(uncolored.trim_end().ends_with(cut.trim_end()), "{name}: colours change the text");
    if name.ends_with('s') {
        let widest = cut.lines().map(unicode_width::UnicodeWidthStr::width).max().unwrap_or(0);
        assert!(widest <= COLUMNS, "{name} is {widest} wide");
    }
    let file = format!("{name}.txt");
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(fixture(&file), &shown).expect("the fixture is written");
    }
    assert_eq!(read(&file), shown, "`{file}` differs: `{UPDATE}=1 cargo test --lib` writes it anew");
}

#[test]
fn tables() {
    holds("events", |answer: &Events, screen| events::list::table(&answer.events, true, screen));
    holds("dead-letters", |answer: &DeadLetters, screen| dead::table(&answer.dead, screen));
    holds("replays", |answer: &Replays, screen| replay::table(&answer.replays, screen));
    holds("rejections", |answer: &Rejections, screen| doctor::table(&answer.rejections, screen));
    holds("subscribers", subscribers::table);
    holds("topics", topics::table);
    holds("secrets", secrets::table);
}

#[test]
fn single_things() {
    holds("event", |event, screen| events::show::text(event, Some(br#"{"ref":"refs/heads/main","n":1.50}"#), screen));
    holds("event-removed", |event, screen| events::show::text(event, None, screen));
    holds("tail", |answer: &Events, screen| {
        answer.events.iter().map(|event| events::tail::line(event, screen)).collect::<Vec<_>>().join("\n")
    });
    holds("subscriber", subscribers::text);
    holds("rejection", doctor::text);
    holds("replay", |answer: &Replays, screen| replay::told(&answer.replays, screen));
    holds("reload", settings::told);
    holds("reload-dry", settings::told);
    holds("plan", plan::text);
}

#[test]
fn what_is_empty_says_so() {
    let screen = Screen { terminal: false, color: false, width: None, now: NOW };
    for (shown, want) in [
        (events::list::table(&[], true, &screen), "`forebay send TOPIC` posts a sample"),
        (events::list::table(&[], false, &screen), "no events fit these conditions"),
        (dead::table(&[], &screen), "no dead letters"),
        (replay::table(&[], &screen), "`forebay replay EVENT...` begins one"),
        (replay::told(&[], &screen), "no subscriber wants"),
        (doctor::table(&[], &screen), "nothing was refused"),
        (topics::table(&crate::api::topics::Topics { topics: vec![] }, &screen), "`[topics.NAME]`"),
        (secrets::table(&crate::api::topics::Secrets { secrets: vec![] }, &screen), "no secrets"),
        (
            subscribers::table(&crate::api::subscribers::Subscribers { subscribers: vec![], last_seq: 0 }, &screen),
            "`[subscribers.NAME]`",
        ),
    ] {
        assert!(shown.contains(want) && !shown.contains('\n'), "{shown}");
    }
}

/// Whatever the sender of an event chose, and whatever a receiver answered: no terminal obeys it.
#[test]
fn nothing_that_was_sent_is_obeyed() {
    // Clears the screen, sets the title, begins a sequence in one character, turns the direction of writing, rings.
    const EVIL: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}\r\n\u{8}";
    let evil = serde_json::Value::from(EVIL);
    let fixtures = std::fs::read_dir(fixture("")).expect("the fixtures");
    let mut tried = 0;
    for entry in fixtures.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")) {
        let Some(name) = entry.strip_suffix(".json") else { continue };
        let text = std::fs::read_to_string(fixture(&entry)).expect("a fixture");
        let mut tree: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        spoil(&mut tree, &evil);
        for color in [false, true] {
            let screen = Screen { terminal: color, color, width: color.then_some(60), now: NOW };
            let shown = words(name, &tree, &screen);
            let shown = without_codes(&shown);
            let bad: Vec<char> = shown.chars().filter(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}').collect();
            assert!(bad.is_empty(), "{name}: {bad:?} in {shown:?}");
            assert!(shown.contains("\\u001b"), "{name}: {shown}");
            tried += 1;
        }
    }
    assert!(tried > 25, "{tried}");
}

/// Puts a text in the place of every text that is not one of a few known words.
fn spoil(tree: &mut serde_json::Value, evil: &serde_json::Value) {
    const WORDS: [&str; 17] = [
        "running",
        "paused",
        "failing",
        "unconfigured",
        "done",
        "cancelled",
        "dry_run",
        "pending",
        "retrying",
        "delivered",
        "dead",
        "dropped",
        "filtered",
        "before_start",
        "active",
        "not_yet",
        "retired",
    ];
    match tree {
        serde_json::Value::String(text) if !WORDS.contains(&text.as_str()) => *tree = evil.clone(),
        serde_json::Value::Array(list) => list.iter_mut().for_each(|one| spoil(one, evil)),
        serde_json::Value::Object(map) => {
            let spoilt = map.iter().find(|(key, value)| key.contains('-') && value.is_string()).map(|(_, v)| v.clone());
            if let (Some(value), Some(evil)) = (spoilt, evil.as_str()) {
                // Names of headers and settings are chosen outside as well.
                map.insert(format!("x-{evil}"), value);
            }
            map.values_mut().for_each(|one| spoil(one, evil));
        }
        _ => {}
    }
}

fn words(name: &str, tree: &serde_json::Value, screen: &Screen) -> String {
    fn read<T: DeserializeOwned>(tree: &serde_json::Value) -> T {
        serde_json::from_value(tree.clone()).expect("still an answer")
    }
    match name {
        "events" | "tail" => {
            let events = read::<Events>(tree).events;
            let lines: Vec<_> = events.iter().map(|event| events::tail::line(event, screen)).collect();
            events::list::table(&events, true, screen) + &lines.join("\n")
        }
        "event" | "event-removed" => events::show::text(&read(tree), Some("\u{1b}[2J\u{9b}".as_bytes()), screen),
        "dead-letters" => dead::table(&read::<DeadLetters>(tree).dead, screen),
        "replays" | "replay" => {
            let replays = read::<Replays>(tree).replays;
            replay::table(&replays, screen) + &replay::told(&replays, screen)
        }
        "rejections" => doctor::table(&read::<Rejections>(tree).rejections, screen),
        "rejection" => doctor::text(&read(tree), screen),
        "subscribers" => subscribers::table(&read(tree), screen),
        "subscriber" => subscribers::text(&read(tree), screen),
        "topics" => topics::table(&read(tree), screen),
        "secrets" => secrets::table(&read(tree), screen),
        "reload" | "reload-dry" => {
            let reloaded: crate::api::settings::Reloaded = read(tree);
            let running = crate::api::settings::Configuration {
                file: reloaded.warnings.clone().unwrap_or_default(),
                read: reloaded.warnings.clone().unwrap_or_default(),
                settings: std::collections::BTreeMap::new(),
            };
            settings::told(&reloaded, screen) + &settings::compared(&running, &reloaded.changes, screen)
        }
        "plan" => plan::text(&read(tree), screen),
        other => panic!("nothing prints `{other}`"),
    }
}
