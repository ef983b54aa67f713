//! What is remembered over restarts, and what becomes of it when it is damaged.

use std::path::Path;

use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::event::{Event, EventId, Headers, Millis};
use crate::journal::Keeper;
use crate::journal::state::{Attempt, State};

const CURSOR: Cursor = Cursor { next: Seq(40), begun: Seq(64), crashes: 2 };

fn owed(seq: u64, dead: bool) -> Owed {
    Owed {
        seq: Seq(seq),
        id: EventId(Uuid::from_u128(0x0193_5a5a_0000_7000_8000_0000_0000_0000 + u128::from(seq))),
        attempts: 3,
        due: Millis(1_764_000_000_000),
        dead,
        suspect: seq == 12,
        reason: "500 Internal Server Error".into(),
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
    let saved = |owed, dead| Memory::Saved(Saved { cursor: CURSOR, owed, dead });
    assert_eq!(recalled(folder.path(), "ci"), saved(vec![owed(11, false), owed(12, false)], 1));
    assert_eq!(recalled(folder.path(), "archive"), saved(vec![owed(11, false)], 0));
    assert_eq!(recalled(folder.path(), "another"), Memory::New);
    let state = State::open(folder.path(), true).expect("opened");
    assert_eq!(state.dead("ci", 10).expect("read"), [owed(13, true)]);
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
    for column in ["seq", "attempts", "due", "dead", "suspect", "checksum"] {
        // Any other value than 0 is a yes.
        let bits: &[u32] = if matches!(column, "dead" | "suspect") { &[0] } else { &[4, 7, 30] };
        damages.extend(bits.iter().map(|&bit| ("deliveries", number(column, bit))));
    }
    damages.push(("deliveries", first_byte("id", "FF", "BLOB")));
    damages.push(("deliveries", first_byte("reason", "34", "TEXT")));
    damages.push(("deliveries", first_byte("reason", "FF", "TEXT")));
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
        let unharmed = Saved { cursor: CURSOR, owed: vec![owed(11, false)], dead: 0 };
        assert_eq!(state.recall("archive").expect("read"), Memory::Saved(unharmed), "{table} {damage}");

        // The event 11 is not in the log any more, the others are and will be read again.
        let (left, dead) = state.start_over("ci", Seq(12)).expect("written");
        assert_eq!(dead, 0);
        assert!(left.iter().all(|row| *row == owed(11, false)), "{table} {damage}: {left:?}");
        state.close();
        let cursor = Cursor { next: Seq(12), begun: Seq(12), crashes: 0 };
        let again = Memory::Saved(Saved { cursor, owed: left, dead: 0 });
        assert_eq!(recalled(folder.path(), "ci"), again, "begun anew once, not at every start: {table} {damage}");
    }
}

/// By its number, and no other by its id.
fn kept(state: &State, seq: u64) -> Option<Event> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let kept = runtime.block_on(state.kept(Seq(seq))).expect("read");
    let by_id = runtime.block_on(state.kept_by_id(owed(seq, false).id)).expect("read");
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
