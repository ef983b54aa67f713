//! What is remembered over restarts, and what becomes of it when it is damaged.

use std::path::Path;

use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::event::{Event, EventId, Headers, Millis};
use crate::journal::Keeper;
use crate::journal::state::letters::{Fate, Step, Stretch, Which, Wish};
use crate::journal::state::{Attempt, DROPPED, Owed, State};
use crate::name::Pattern;

const CURSOR: Cursor = Cursor { next: Seq(40), begun: Seq(64), crashes: 2 };

fn owed(seq: u64, dead: bool) -> Owed {
    Owed {
        seq: Seq(seq),
        id: EventId(Uuid::from_u128(0x0193_5a5a_0000_7000_8000_0000_0000_0000 + u128::from(seq))),
        attempts: 3,
        due: Millis(1_764_000_000_000),
        dead,
        recalled: false,
        suspect: seq == 12,
        reason: "500 Internal Server Error".into(),
        spent: 2,
        since: Some(Millis(1_763_000_000_000)),
        topic: Some("github".into()),
        kind: (seq == 12).then(|| "push".into()),
    }
}

fn attempt(seq: u64, number: u32) -> Attempt {
    Attempt {
        seq: Seq(seq),
        number,
        time: Millis(7),
        label: "http_status".into(),
        reason: "500".into(),
        status: Some(500),
        answer: b"no".to_vec(),
        took: Some(std::time::Duration::from_millis(12)),
    }
}

fn change(rows: &[Owed]) -> Change {
    Change {
        cursor: Some(CURSOR),
        rows: rows.iter().map(|row| (row.seq, Some(row.clone()))).collect(),
        ..Change::default()
    }
}

/// A state in which two subscribers are remembered.
fn filled() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let state = State::open(folder.path(), false).expect("opened");
    state.change("ci", change(&[owed(11, false), owed(12, false), owed(13, true)]), None);
    state.change("archive", change(&[owed(11, false)]), None);
    state.barrier().expect("written");
    state.close();
    folder
}

fn saved(cursor: Cursor, owed: Vec<Owed>, dead: u64) -> Saved {
    Saved { cursor, owed, dead, recalled: Recalled::default() }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime")
}

/// All dead letters, in the order in which they are told.
fn letters(state: &State, subscriber: Option<&str>) -> Vec<(String, Owed)> {
    let mut wish = Wish { subscriber: subscriber.map(str::to_owned), limit: 3, ..Wish::default() };
    let mut all = Vec::new();
    loop {
        let page = runtime().block_on(state.letters(wish.clone())).expect("read");
        all.extend(page.letters.into_iter().map(|letter| (letter.subscriber, letter.owed)));
        wish.before = page.next;
        if wish.before.is_none() {
            return all;
        }
    }
}

fn recalled(folder: &Path, name: &str) -> Memory {
    let state = State::open(folder, true).expect("opened");
    let memory = state.recall(name).expect("read");
    state.close();
    memory
}

fn alter(folder: &Path, sql: &str) {
    let db = Connection::open(folder.join(FILE)).expect("opened");
    let changed = db.execute(sql, []).unwrap_or_else(|error| panic!("{sql}: {error}"));
    assert!(changed > 0, "{sql}: nothing is there to damage");
}

#[test]
fn what_was_saved_is_recalled() {
    let folder = filled();
    let saved = |owed, dead| Memory::Saved(saved(CURSOR, owed, dead));
    assert_eq!(recalled(folder.path(), "ci"), saved(vec![owed(11, false), owed(12, false)], 1));
    assert_eq!(recalled(folder.path(), "archive"), saved(vec![owed(11, false)], 0));
    assert_eq!(recalled(folder.path(), "another"), Memory::New);
    let state = State::open(folder.path(), true).expect("opened");
    assert_eq!(letters(&state, None), [("ci".to_owned(), owed(13, true))]);
    assert_eq!(state.floor().expect("read"), Seq(39));
    let done = Change { rows: [(Seq(11), None)].into(), ..Change::default() };
    state.change("ci", done, None);
    state.barrier().expect("written");
    assert_eq!(state.recall("ci").expect("read"), saved(vec![owed(12, false)], 1), "the cursor stays");
    state.close();
    assert_eq!(recalled(folder.path(), "ci"), saved(vec![owed(12, false)], 1));
}

#[test]
fn a_missing_state_is_lost_where_there_is_a_log() {
    for (log, empty, want) in [
        (false, false, Memory::New),
        (true, false, Memory::Lost),
        (true, true, Memory::Lost),
        (false, true, Memory::New),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        if empty {
            std::fs::write(folder.path().join(FILE), b"").expect("written");
        }
        for time in ["first", "second"] {
            let state = State::open(folder.path(), log).expect("opened");
            assert_eq!(state.recall("ci").expect("read"), want, "log: {log}, emptied: {empty}, {time} time");
            state.close();
        }
        let state = State::open(folder.path(), log).expect("opened");
        state.barrier().expect("written");
        state.close();
        assert_eq!(recalled(folder.path(), "ci"), Memory::New, "all that were there have said where they begin");
    }
}

#[test]
fn a_file_that_is_no_database_is_put_aside() {
    let folder = filled();
    std::fs::write(folder.path().join(FILE), b"this was a database once, and is not any more").expect("written");
    assert_eq!(recalled(folder.path(), "ci"), Memory::Lost);
    assert!(folder.path().join(format!("{FILE}.damaged")).exists());
}

#[test]
fn a_later_format_is_refused() {
    let folder = filled();
    Connection::open(folder.path().join(FILE)).expect("opened").pragma_update(None, "user_version", 99).expect("set");
    let error = State::open(folder.path(), true).expect_err("a later format");
    assert!(error.contains("format 99"), "{error}");
}

/// A bit that flips in any column must not make the subscriber skip anything.
#[test]
fn a_flipped_bit_in_any_column_makes_it_begin_anew() {
    let number = |column: &str, bit: u32| format!("{column} = ({column} | {0}) - ({column} & {0})", 1_u64 << bit);
    let first_byte = |column: &str, byte: &str, kind: &str| {
        format!("{column} = CAST(x'{byte}' || substr(CAST({column} AS BLOB), 2) AS {kind})")
    };
    let mut damages = Vec::new();
    for column in ["next", "begun", "crashes", "rows", "checksum"] {
        for bit in [0, 1, 9, 30] {
            damages.push(("cursors", number(column, bit)));
        }
    }
    for column in ["seq", "attempts", "due", "dead", "suspect", "checksum", "spent", "since"] {
        let bits: &[u32] = match column {
            // Any other value than 0 is a yes.
            "suspect" => &[0],
            "dead" => &[0, 1, 2, 9],
            _ => &[4, 7, 30],
        };
        damages.extend(bits.iter().map(|&bit| ("deliveries", number(column, bit))));
    }
    damages.push(("deliveries", first_byte("id", "FF", "BLOB")));
    damages.push(("deliveries", first_byte("reason", "34", "TEXT")));
    damages.push(("deliveries", first_byte("reason", "FF", "TEXT")));
    for column in ["since", "topic", "type"] {
        damages.push(("deliveries", format!("{column} = NULL")));
    }
    damages.push(("deliveries", first_byte("topic", "68", "TEXT")));
    damages.push(("deliveries", first_byte("type", "71", "TEXT")));
    damages.push(("deliveries", "topic = topic || type, type = ''".into()));
    for table in ["cursors", "deliveries"] {
        damages.push((table, first_byte("subscriber", "62", "TEXT")));
        damages.push((table, first_byte("subscriber", "FF", "TEXT")));
    }
    assert!(damages.len() > 30);
    for (table, damage) in damages {
        let folder = filled();
        let one = if table == "deliveries" { " AND seq = 12" } else { "" };
        alter(folder.path(), &format!("UPDATE {table} SET {damage} WHERE subscriber = 'ci'{one}"));
        let state = State::open(folder.path(), true).expect("opened");
        assert!(state.floor().expect("read") <= Seq(39), "{table} {damage}");
        state.retain_subscribers(vec!["ci".into(), "archive".into()], Seq(0)).expect("written");
        assert_eq!(state.recall("ci").expect("read"), Memory::Lost, "{table} {damage}");
        let unharmed = saved(CURSOR, vec![owed(11, false)], 0);
        assert_eq!(state.recall("archive").expect("read"), Memory::Saved(unharmed), "{table} {damage}");

        // The event 11 is not in the log any more, the others are and will be read again.
        let left = state.start_over("ci", Seq(12)).expect("written");
        assert_eq!((left.dead, left.recalled), (0, Recalled::default()));
        assert!(left.owed.iter().all(|row| *row == owed(11, false)), "{table} {damage}: {left:?}");
        state.close();
        let cursor = Cursor { next: Seq(12), begun: Seq(12), crashes: 0 };
        assert_eq!(left.cursor, cursor);
        assert_eq!(
            recalled(folder.path(), "ci"),
            Memory::Saved(left),
            "begun anew once, not at every start: {table} {damage}"
        );
    }
}

/// By its number, and no other by its id.
fn kept(state: &State, seq: u64) -> Option<Event> {
    let kept = runtime().block_on(state.kept(Seq(seq))).expect("read");
    let by_id = runtime().block_on(state.kept_by_id(owed(seq, false).id)).expect("read");
    assert_eq!(by_id.map(|event| event.seq), kept.as_ref().map(|event| event.seq));
    kept
}

#[test]
fn subscribers_that_are_gone_are_forgotten_once_they_are_owed_nothing() {
    let folder = filled();
    let state = State::open(folder.path(), true).expect("opened");
    let before = state.recall("ci").expect("read");
    let gone = state.retain_subscribers(vec!["archive".into()], Seq(0)).expect("written");
    assert_eq!(gone.iter().map(|one| (one.name.as_str(), one.is_kept())).collect::<Vec<_>>(), [("ci", true)]);
    assert_eq!(state.recall("ci").expect("read"), before, "what is owed is kept for the day it is configured again");
    let rows = (10..50).map(|seq| (Seq(seq), None)).collect();
    state.change("ci", Change { rows, ..Change::default() }, None);
    let gone = state.retain_subscribers(vec!["archive".into()], Seq(u64::MAX >> 1)).expect("written");
    assert!(gone[0].is_kept() && gone[0].behind, "it has not read all there is");
    let gone = state.retain_subscribers(vec!["archive".into()], Seq(0)).expect("written");
    assert!(!gone[0].is_kept());
    assert_eq!(state.recall("ci").expect("read"), Memory::New);
    assert!(matches!(state.recall("archive").expect("read"), Memory::Saved(_)));
    state.close();
}

#[test]
fn attempts_go_with_the_log_unless_they_are_still_of_interest() {
    let folder = filled();
    let state = State::open(folder.path(), true).expect("opened");
    let attempts = [10, 11, 13, 14].map(|seq| attempt(seq, 1)).to_vec();
    state.change("ci", Change { attempts, ..Change::default() }, None);
    assert_eq!(state.needed(14..20).expect("read"), [0_u64; 0]);
    let left = |seq| state.attempts("ci", Seq(seq)).expect("read").len();
    assert_eq!([10, 11, 13, 14].map(left), [0, 1, 1, 1]);
    assert_eq!(state.attempts("ci", Seq(11)).expect("read"), [attempt(11, 1)]);
    state.close();
}

#[test]
fn what_is_owed_or_dead_is_kept_until_nobody_needs_it() {
    let folder = filled();
    let state = State::open(folder.path(), true).expect("opened");
    assert_eq!(state.needed(0..13).expect("read"), [11, 12]);
    let event = |seq| Event {
        seq: Seq(seq),
        id: owed(seq, false).id,
        time: Millis(5),
        topic: "github".into(),
        kind: Some("push".into()),
        delivery_id: None,
        headers: Headers::from_wire(Vec::new().into()),
        body: vec![b'x'; 9].into(),
    };
    state.keep(&[event(11), event(12)]).expect("written");
    assert_eq!(state.needed(0..14).expect("read"), [13]);
    let body = |seq| kept(&state, seq).map(|event| event.body);
    assert_eq!(body(11).as_deref(), Some(&b"xxxxxxxxx"[..]));
    let done = || Change { rows: [(Seq(11), None), (Seq(12), None)].into(), ..Change::default() };
    state.change("ci", done(), None);
    assert_eq!((body(11).is_some(), body(12).is_some()), (true, false), "somebody else still owes the first");
    state.change("archive", done(), None);
    assert_eq!(body(11), None);
    state.close();
}

#[test]
fn a_kept_event_that_is_damaged_is_not_delivered() {
    let folder = filled();
    let state = State::open(folder.path(), true).expect("opened");
    let event = Event {
        seq: Seq(11),
        id: owed(11, false).id,
        time: Millis(5),
        topic: "github".into(),
        kind: None,
        delivery_id: Some("d".into()),
        headers: Headers::from_wire(Vec::new().into()),
        body: vec![b'x'; 9].into(),
    };
    let columns = ["id", "time", "topic", "type", "delivery_id", "headers", "body", "checksum"];
    for column in columns {
        state.keep(std::slice::from_ref(&event)).expect("written");
        assert!(kept(&state, 11).is_some());
        let damage = match column {
            "time" | "checksum" => format!("{column} = {column} + 1"),
            "id" => "id = CAST(x'ff' || substr(id, 2) AS BLOB)".into(),
            "body" => "body = CAST(x'ff' || substr(body, 2) AS BLOB)".into(),
            _ => format!("{column} = 'other'"),
        };
        alter(folder.path(), &format!("UPDATE kept SET {damage} WHERE seq = 11"));
        assert_eq!(kept(&state, 11).map(|event| event.seq), None, "{column}");
    }
    state.close();
}

/// Files of the first format, with the very checksums it wrote.
#[test]
fn the_first_format_is_read_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = Connection::open(folder.path().join(FILE)).expect("opened");
    db.execute_batch(include_str!("first_format.sql")).expect("made");
    drop(db);
    let plain = |seq, dead| Owed { spent: 0, since: None, topic: None, kind: None, ..owed(seq, dead) };
    let want = Memory::Saved(saved(CURSOR, vec![plain(11, false), plain(12, false)], 1));
    for time in ["first", "second"] {
        assert_eq!(recalled(folder.path(), "ci"), want, "{time} time");
    }
    let state = State::open(folder.path(), true).expect("opened");
    assert_eq!(state.attempts("ci", Seq(11)).expect("read"), [Attempt { took: None, ..attempt(11, 1) }]);
    assert_eq!(letters(&state, Some("ci")), [("ci".to_owned(), plain(13, true))]);
    state.change("ci", change(&[owed(11, false)]), None);
    state.barrier().expect("written");
    state.close();
    let want = Memory::Saved(saved(CURSOR, vec![owed(11, false), plain(12, false)], 1));
    assert_eq!(recalled(folder.path(), "ci"), want, "old rows and new ones beside each other");
}

const EVERYTHING: Stretch = Stretch { from: Seq(0), to: Seq(1 << 60) };

/// Decides on all of a subscriber, step by step. Answers how many it was, and in how many steps.
fn decide(state: &State, name: &str, fate: Fate, which: &Which) -> (u64, u32) {
    let (mut stretch, mut count, mut steps) = (EVERYTHING, 0, 0);
    loop {
        let step = runtime().block_on(state.decide(name, fate, which.clone(), stretch, Millis(9))).expect("written");
        (count, steps) = (count + step.count, steps + 1);
        match step.next {
            Some(next) => stretch.from = next,
            None => return (count, steps),
        }
    }
}

#[test]
fn letters_are_called_back_and_taken_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = State::open(folder.path(), false).expect("opened");
    let rows: Vec<Owed> = (1..=2500).map(|seq| Owed { suspect: false, ..owed(seq, seq % 5 != 0) }).collect();
    state.change("ci", change(&rows), None);
    state.change("other", change(&[owed(7, true)]), None);
    let some = Which::Events(vec![owed(3, true).id, owed(5, true).id, owed(3, true).id, owed(9999, true).id]);
    let step = runtime().block_on(state.decide("ci", Fate::CalledBack, some, EVERYTHING, Millis(9))).expect("written");
    assert_eq!(
        step,
        Step { count: 1, oldest: Some(owed(3, true).id.time()), next: None },
        "5 is not dead, 9999 unknown"
    );
    assert_eq!(decide(&state, "ci", Fate::CalledBack, &Which::All), (1999, 3), "all others, not at once");
    assert_eq!(decide(&state, "ci", Fate::CalledBack, &Which::All).0, 0);
    assert_eq!(letters(&state, None), [("other".to_owned(), owed(7, true))]);

    let (taken, oldest) = runtime().block_on(state.take_up("ci", 3)).expect("written");
    let back = |seq| Owed { due: Millis(9), spent: 3, since: Some(Millis(9)), suspect: false, ..owed(seq, false) };
    assert_eq!((taken, oldest), (vec![back(1), back(2), back(3)], Some(owed(4, true).id.time())));
    assert_eq!((back(1).attempts, back(1).round()), (3, 0), "a new round");
    state.barrier().expect("written");
    state.close();
    let Memory::Saved(saved) = recalled(folder.path(), "ci") else { panic!("it is whole") };
    let recalled = Recalled { count: 1997, oldest: Some(owed(4, true).id.time()) };
    assert_eq!((saved.dead, saved.owed.len(), saved.recalled), (0, 503, recalled));
    let state = State::open(folder.path(), true).expect("opened");
    assert_eq!(state.needed(6..8).expect("read"), [6, 7], "what was called back is needed like anything owed");
    let mut left = recalled.count;
    while left > 0 {
        let (taken, oldest) = runtime().block_on(state.take_up("ci", 1000)).expect("written");
        left -= taken.len() as u64;
        assert_eq!(oldest.is_some(), left > 0);
    }
    state.close();
}

#[test]
fn dropped_letters_leave_a_note() {
    let folder = filled();
    let state = State::open(folder.path(), true).expect("opened");
    state.change("ci", Change { attempts: vec![attempt(13, 3)], ..Change::default() }, None);
    assert_eq!(decide(&state, "ci", Fate::Dropped, &Which::All), (1, 1));
    assert_eq!(decide(&state, "nobody", Fate::Dropped, &Which::All), (0, 1));
    let noted = runtime().block_on(state.noted(Seq(13))).expect("read").remove("ci").expect("it is saved");
    assert_eq!(noted.owed, None);
    let labels: Vec<_> = noted.attempts.iter().map(|attempt| (attempt.number, attempt.label.as_str())).collect();
    assert_eq!(labels, [(3, "http_status"), (4, DROPPED)]);
    state.close();
    let left = saved(CURSOR, vec![owed(11, false), owed(12, false)], 0);
    assert_eq!(recalled(folder.path(), "ci"), Memory::Saved(left), "the count of its rows is right");
}

#[test]
fn the_list_of_letters_is_told_newest_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = State::open(folder.path(), false).expect("opened");
    let of = |seq, topic: &str| Owed { topic: Some(topic.into()), ..owed(seq, true) };
    let topic = |seq| if seq % 3 == 0 { "a" } else { "b" };
    state.change("x", change(&(1..1200).map(|seq| of(seq, topic(seq))).collect::<Vec<_>>()), None);
    state.change("y", change(&[of(1, "a"), of(7, "b"), owed(8, false)]), None);
    let all: Vec<_> = letters(&state, None).into_iter().map(|(name, owed)| (owed.seq.0, name)).collect();
    assert_eq!(all.len(), 1201);
    assert!(all.is_sorted_by(|a, b| a > b), "newest first, and by name backwards");
    let of_one: Vec<_> = letters(&state, Some("y")).into_iter().map(|(_, owed)| owed.seq.0).collect();
    assert_eq!(of_one, [7, 1]);
    let wish = Wish { topic: Pattern::parse("a").ok(), limit: 2, ..Wish::default() };
    let page = runtime().block_on(state.letters(wish)).expect("read");
    assert_eq!(page.letters.iter().map(|letter| letter.owed.seq.0).collect::<Vec<_>>(), [1197, 1194]);
    let wish = Wish { topic: Pattern::parse("c").ok(), limit: 2, ..Wish::default() };
    let page = runtime().block_on(state.letters(wish)).expect("read");
    assert!(page.letters.is_empty() && page.next.is_some(), "not all is looked through at once");
    let refused = runtime().block_on(state.refused(vec![Seq(1), Seq(8), Seq(2000)])).expect("read");
    let told: Vec<_> = refused.into_iter().map(|(seq, of)| (seq.0, of.retrying, of.dead)).collect();
    assert_eq!(told, [(1, 0, 2), (8, 1, 1)]);
    state.close();
}

#[test]
fn who_is_paused_and_who_wanted_what_is_remembered() {
    let folder = filled();
    let state = State::open(folder.path(), true).expect("opened");
    runtime().block_on(state.pause("ci", true)).expect("written");
    runtime().block_on(state.pause("archive", true)).expect("written");
    runtime().block_on(state.pause("archive", false)).expect("written");
    state.close();
    let state = State::open(folder.path(), true).expect("opened");
    assert_eq!(state.paused().expect("read"), ["ci"]);

    let wanted =
        |name: &str, seq| runtime().block_on(state.noted(Seq(seq))).expect("read").remove(name).expect("saved").wanted;
    assert_eq!(wanted("ci", 5), None, "never noted");
    state.wants("ci", Seq(10), true, "a").expect("written");
    state.wants("archive", Seq(10), false, "a").expect("written");
    state.wants("ci", Seq(20), false, "a").expect("written");
    state.wants("ci", Seq(30), false, "a\nb").expect("written");
    state.wants("ci", Seq(30), false, "c").expect("written");
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        [9, 10, 29, 30, 99].map(|seq| wanted("ci", seq)),
        [some(""), some("a"), some("a"), some("c"), some("c")]
    );
    assert_eq!(wanted("archive", 1), some("a"), "it was there before anything was noted");
    for n in 0..200 {
        state.wants("ci", Seq(100 + n), false, &format!("{n}")).expect("written");
    }
    assert_eq!((wanted("ci", 9), wanted("ci", 298)), (some(""), some("198")), "its beginning is not forgotten");
    let others = runtime().block_on(state.others(vec!["archive".into()], Seq(40))).expect("read");
    assert_eq!(others.len(), 1);
    assert_eq!(
        (others[0].of.name.as_str(), others[0].of.owed, others[0].of.dead, others[0].of.behind),
        ("ci", 2, 1, true)
    );
    assert_eq!(others[0].wanted, "199");
    state.close();
}
