//! The table of replays, and what a replay asks about deliveries.

use std::collections::BTreeMap;

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::rows::{checksum, number, of_subscriber, owed, seq};
use super::{Store, text};
use crate::event::{Event, Millis, Seq};
use crate::journal::state::{Before, Cursor, MAX_ENDED, Owed, Replay, ReplayState, Selection, Tally};

pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS replays (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    subscriber TEXT NOT NULL,
    first INTEGER NOT NULL,
    behind_last INTEGER NOT NULL,
    topic TEXT,
    type TEXT,
    since INTEGER,              -- milliseconds since 1970, as all times here
    until INTEGER,
    q TEXT,
    rate INTEGER,
    started INTEGER NOT NULL,
    ended INTEGER,
    state INTEGER NOT NULL,     -- 0 running, 1 done, 2 cancelled
    next INTEGER NOT NULL,      -- the first event that is not handled
    begun INTEGER NOT NULL,     -- events before this may have been tried
    crashes INTEGER NOT NULL,
    total INTEGER,
    done INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    gone INTEGER NOT NULL,
    checksum INTEGER NOT NULL
);
";

const COLUMNS: &str = "SELECT id, subscriber, first, behind_last, topic, type, since, until, q, rate, started, ended,
    state, next, begun, crashes, total, done, failed, gone, checksum FROM replays";

fn code(state: ReplayState) -> u8 {
    match state {
        ReplayState::Running => 0,
        ReplayState::Done => 1,
        ReplayState::Cancelled => 2,
    }
}

fn sum(replay: &Replay) -> i64 {
    let Replay { selection, cursor, tally, .. } = replay;
    let optional = |number: Option<u64>| number.map_or([0, 0], |number| [1, number]);
    let time = |time: Option<Millis>| optional(time.map(|time| time.0.cast_unsigned()));
    let numbers = [
        [replay.id, replay.started.0.cast_unsigned()],
        [selection.from.0, selection.until.0],
        time(selection.since),
        time(selection.until_time),
        optional(replay.rate.map(u64::from)),
        time(replay.ended),
        [code(replay.state).into(), cursor.crashes.into()],
        [cursor.next.0, cursor.begun.0],
        optional(replay.total),
        [tally.done, tally.failed],
        [tally.gone, 0],
    ];
    let numbers: Vec<u8> = numbers.as_flattened().iter().flat_map(|number| number.to_le_bytes()).collect();
    let word = |text: &Option<String>| text.as_deref().map_or_else(Vec::new, |text| format!("={text}").into_bytes());
    let words = [&selection.topic, &selection.kind, &selection.q].map(word);
    checksum(&[&numbers, replay.subscriber.as_bytes(), &words[0], &words[1], &words[2]])
}

/// A replay, and whether its checksum is right.
fn read(row: &Row<'_>) -> rusqlite::Result<(Replay, bool)> {
    let unsigned = |at: usize| row.get::<_, i64>(at).map(i64::cast_unsigned);
    let millis = |at: usize| row.get::<_, Option<i64>>(at).map(|time| time.map(Millis));
    let state = match row.get::<_, u8>(12)? {
        0 => ReplayState::Running,
        1 => ReplayState::Done,
        2 => ReplayState::Cancelled,
        _ => return Err(rusqlite::Error::InvalidColumnType(12, "state".into(), Type::Integer)),
    };
    let replay = Replay {
        id: unsigned(0)?,
        subscriber: row.get(1)?,
        selection: Selection {
            from: seq(row, 2)?,
            until: seq(row, 3)?,
            topic: row.get(4)?,
            kind: row.get(5)?,
            since: millis(6)?,
            until_time: millis(7)?,
            q: row.get(8)?,
        },
        rate: row.get(9)?,
        started: Millis(row.get(10)?),
        ended: millis(11)?,
        state,
        cursor: Cursor { next: seq(row, 13)?, begun: seq(row, 14)?, crashes: row.get(15)? },
        total: row.get::<_, Option<i64>>(16)?.map(i64::cast_unsigned),
        tally: Tally { done: unsigned(17)?, failed: unsigned(18)?, gone: unsigned(19)? },
    };
    let good = row.get::<_, i64>(20)? == sum(&replay);
    Ok((replay, good))
}

/// Writes how a replay stands. One that has ended never runs again, whatever was on its way when it did.
pub(super) fn save(db: &Connection, replay: &Replay) -> rusqlite::Result<()> {
    let sql = "UPDATE replays SET ended = ?2, state = ?3, next = ?4, begun = ?5, crashes = ?6, total = ?7, done = ?8,
               failed = ?9, gone = ?10, checksum = ?11 WHERE id = ?1 AND (state = 0 OR ?3 <> 0)";
    let Replay { cursor, tally, .. } = replay;
    db.prepare_cached(sql)?.execute(params![
        number(replay.id),
        replay.ended.map(|time| time.0),
        code(replay.state),
        number(cursor.next.0),
        number(cursor.begun.0),
        cursor.crashes,
        replay.total.map(number),
        number(tally.done),
        number(tally.failed),
        number(tally.gone),
        sum(replay),
    ])?;
    if replay.state != ReplayState::Running {
        let sql = "DELETE FROM replays WHERE state <> 0 AND id NOT IN
                   (SELECT id FROM replays WHERE state <> 0 ORDER BY id DESC LIMIT ?1)";
        db.prepare_cached(sql)?.execute([i64::try_from(MAX_ENDED).unwrap_or(i64::MAX)])?;
    }
    Ok(())
}

fn insert(db: &Connection, replay: &mut Replay) -> rusqlite::Result<()> {
    let sql = "INSERT INTO replays (subscriber, first, behind_last, topic, type, since, until, q, rate, started, ended,
               state, next, begun, crashes, total, done, failed, gone, checksum)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 0, ?12, ?13, ?14, ?15, ?16, ?17, ?18, 0)";
    let Replay { selection, cursor, tally, .. } = &*replay;
    db.prepare_cached(sql)?.execute(params![
        replay.subscriber,
        number(selection.from.0),
        number(selection.until.0),
        selection.topic,
        selection.kind,
        selection.since.map(|time| time.0),
        selection.until_time.map(|time| time.0),
        selection.q,
        replay.rate,
        replay.started.0,
        replay.ended.map(|time| time.0),
        number(cursor.next.0),
        number(cursor.begun.0),
        cursor.crashes,
        replay.total.map(number),
        number(tally.done),
        number(tally.failed),
        number(tally.gone),
    ])?;
    replay.id = db.last_insert_rowid().cast_unsigned();
    // The checksum covers the number, which is known only now.
    save(db, replay)
}

impl Store {
    pub(in crate::journal::state) fn add_replays(&mut self, mut replays: Vec<Replay>) -> Result<Vec<Replay>, String> {
        let write = |db: &mut Connection, replays: &mut [Replay]| -> rusqlite::Result<()> {
            let transaction = db.transaction()?;
            replays.iter_mut().try_for_each(|replay| insert(&transaction, replay))?;
            transaction.commit()
        };
        write(&mut self.db, &mut replays).map_err(text)?;
        self.barrier()?;
        Ok(replays)
    }

    pub(in crate::journal::state) fn save_replay(&mut self, replay: &Replay) -> Result<(), String> {
        save(&self.db, replay).map_err(text)?;
        self.barrier()
    }

    pub(in crate::journal::state) fn replays(&mut self) -> Result<Vec<Replay>, String> {
        let query = |db: &Connection| -> rusqlite::Result<Vec<Replay>> {
            let (mut good, mut damaged) = (Vec::new(), Vec::new());
            {
                let mut statement = db.prepare(&format!("{COLUMNS} ORDER BY id"))?;
                let mut rows = statement.query([])?;
                while let Some(row) = rows.next()? {
                    match read(row) {
                        Ok((replay, true)) => good.push(replay),
                        _ => damaged.push(row.get::<_, i64>(0)?),
                    }
                }
            }
            for id in damaged {
                tracing::error!(replay = id, "what was saved of a replay is damaged: it is ended; ask for it again");
                db.execute("DELETE FROM replays WHERE id = ?1", [id])?;
            }
            Ok(good)
        };
        query(&self.db).map_err(text)
    }

    pub(in crate::journal::state) fn before(&self, name: &str, seqs: &[Seq]) -> Result<BTreeMap<Seq, Before>, String> {
        self.is_current()?;
        let query = || -> rusqlite::Result<BTreeMap<Seq, Before>> {
            let mut all = BTreeMap::<Seq, Before>::new();
            let (Some(first), Some(last)) = (seqs.iter().min(), seqs.iter().max()) else { return Ok(all) };
            // Seldom is there any.
            let any = |table: &str| -> rusqlite::Result<bool> {
                let sql = format!("SELECT 1 FROM {table} WHERE subscriber = ?1 AND seq >= ?2 AND seq <= ?3 LIMIT 1");
                self.db.prepare_cached(&sql)?.exists(params![name, number(first.0), number(last.0)])
            };
            if any("deliveries")? {
                let mut statement = self.db.prepare_cached(&(of_subscriber() + " AND seq = ?2"))?;
                for &at in seqs {
                    let row = statement.query_row(params![name, number(at.0)], |row| owed(row, name)).optional()?;
                    if let Some((owed, true)) = row {
                        all.entry(at).or_default().owed = Some(owed);
                    }
                }
            }
            if any("attempts")? {
                let sql = "SELECT max(number) FROM attempts WHERE subscriber = ?1 AND seq = ?2";
                let mut statement = self.db.prepare_cached(sql)?;
                for &at in seqs {
                    let last: Option<u32> = statement.query_row(params![name, number(at.0)], |row| row.get(0))?;
                    if let Some(last) = last {
                        all.entry(at).or_default().attempts = last;
                    }
                }
            }
            Ok(all)
        };
        query().map_err(text)
    }

    pub(in crate::journal::state) fn kept_rows(
        &self,
        name: &str,
        range: std::ops::Range<u64>,
        limit: usize,
    ) -> Result<Vec<(Owed, Event)>, String> {
        let query = || -> rusqlite::Result<Vec<Owed>> {
            let sql =
                of_subscriber() + " AND seq >= ?2 AND seq < ?3 AND seq IN (SELECT seq FROM kept) ORDER BY seq LIMIT ?4";
            let mut statement = self.db.prepare_cached(&sql)?;
            let values = params![name, number(range.start), number(range.end.min(u64::MAX >> 1)), number(limit as u64)];
            statement.query_map(values, |row| Ok(owed(row, name)?.0))?.collect()
        };
        let mut found = Vec::new();
        for row in query().map_err(text)? {
            // A damaged one is found out when it is to be delivered.
            if let Some(event) = self.kept(row.seq)? {
                found.push((row, event));
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::journal::state::{Change, State};

    fn replay(subscriber: &str) -> Replay {
        Replay {
            id: 0,
            subscriber: subscriber.into(),
            selection: Selection {
                from: Seq(3),
                until: Seq(900),
                topic: Some("git*".into()),
                kind: Some("push".into()),
                since: Some(Millis(5)),
                until_time: Some(Millis(6)),
                q: Some("main".into()),
            },
            rate: Some(10),
            started: Millis(7),
            ended: None,
            state: ReplayState::Running,
            cursor: Cursor { next: Seq(3), begun: Seq(3), crashes: 0 },
            total: None,
            tally: Tally::default(),
        }
    }

    fn reopened(folder: &Path) -> Vec<Replay> {
        let state = State::open(folder, true).expect("opened");
        let replays = state.replays().expect("read");
        state.close();
        replays
    }

    #[test]
    fn what_was_asked_for_and_how_far_it_came_is_remembered() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = State::open(folder.path(), false).expect("opened");
        let bare = Replay { selection: Selection::one(Seq(9)), rate: None, ..replay("archive") };
        let mut saved = state.add_replays(vec![replay("ci"), bare]).expect("written");
        assert_eq!(saved.iter().map(|replay| replay.id).collect::<Vec<_>>(), [1, 2]);
        let further = Replay {
            cursor: Cursor { next: Seq(44), begun: Seq(60), crashes: 1 },
            total: Some(70),
            tally: Tally { done: 30, failed: 4, gone: 2 },
            ..saved[0].clone()
        };
        let change = Change { replays: [(1, further.clone())].into(), ..Change::default() };
        state.change("ci", change, None);
        state.close();
        saved[0] = further;
        assert_eq!(reopened(folder.path()), saved);
    }

    #[test]
    fn one_that_has_ended_never_runs_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = State::open(folder.path(), false).expect("opened");
        let running = state.add_replays(vec![replay("ci")]).expect("written").remove(0);
        let ended = |state, done| Replay {
            state,
            ended: Some(Millis(9)),
            tally: Tally { done, ..Tally::default() },
            ..running.clone()
        };
        state.save_replay(ended(ReplayState::Cancelled, 1)).expect("written");
        state.save_replay(running.clone()).expect("written");
        assert_eq!(state.replays().expect("read"), [ended(ReplayState::Cancelled, 1)]);
        state.save_replay(ended(ReplayState::Cancelled, 5)).expect("written");
        assert_eq!(state.replays().expect("read"), [ended(ReplayState::Cancelled, 5)], "what it did until then");
        state.close();
    }

    #[test]
    fn ended_ones_are_forgotten_in_time_and_their_numbers_with_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = State::open(folder.path(), false).expect("opened");
        let count = MAX_ENDED as u64 + 5;
        let running = state.add_replays(vec![replay("ci")]).expect("written").remove(0);
        for mut replay in state.add_replays(vec![replay("ci"); MAX_ENDED + 5]).expect("written") {
            replay.state = ReplayState::Done;
            state.save_replay(replay).expect("written");
        }
        let left: Vec<_> = state.replays().expect("read").iter().map(|replay| replay.id).collect();
        assert_eq!((left.len(), left[0], left[1]), (MAX_ENDED + 1, running.id, count + 2 - MAX_ENDED as u64));
        assert_eq!(state.add_replays(vec![replay("ci")]).expect("written")[0].id, count + 2);
        state.close();
    }

    #[test]
    fn a_damaged_one_is_ended() {
        for column in ["first", "behind_last", "since", "rate", "state", "next", "begun", "total", "done", "checksum"] {
            let folder = tempfile::tempdir().expect("a folder");
            let state = State::open(folder.path(), false).expect("opened");
            let change = Replay { total: Some(8), ..state.add_replays(vec![replay("ci")]).expect("written").remove(0) };
            state.save_replay(change.clone()).expect("written");
            assert_eq!(state.replays().expect("read"), [change]);
            state.close();
            let db = Connection::open(folder.path().join(super::super::FILE)).expect("opened");
            let sql = format!("UPDATE replays SET {column} = {column} + 1");
            assert_eq!(db.execute(&sql, []).expect("there is such a column"), 1);
            drop(db);
            assert_eq!(reopened(folder.path()), [], "{column}");
        }
    }
}
