//! The state's tables, and the only place that names SQLite.
//!
//! Every row carries a checksum, since SQLite has none: a row that was changed by anything but this program makes its
//! subscriber begin anew with the oldest event, which repeats deliveries and loses none.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::{Attempt, Change, Cursor, Memory, Owed, Saved};
use crate::event::{Event, EventId, Headers, Millis, Seq, Text};

const FILE: &str = "state.sqlite";

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS cursors (
    subscriber TEXT PRIMARY KEY,
    next INTEGER NOT NULL,      -- the first event it has not examined
    begun INTEGER NOT NULL,     -- events before this may have been tried
    crashes INTEGER NOT NULL,
    rows INTEGER NOT NULL,      -- how many deliveries it has below
    checksum INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS deliveries (
    subscriber TEXT NOT NULL,
    seq INTEGER NOT NULL,
    id BLOB NOT NULL,
    attempts INTEGER NOT NULL,
    due INTEGER NOT NULL,       -- milliseconds since 1970; for a dead letter, when it died
    dead INTEGER NOT NULL,
    suspect INTEGER NOT NULL,   -- the process died while it was under way
    reason TEXT NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (subscriber, seq)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS deliveries_by_seq ON deliveries (seq);
CREATE TABLE IF NOT EXISTS attempts (
    subscriber TEXT NOT NULL,
    seq INTEGER NOT NULL,
    number INTEGER NOT NULL,
    time INTEGER NOT NULL,
    label TEXT NOT NULL,
    reason TEXT NOT NULL,
    status INTEGER,
    answer BLOB NOT NULL,
    PRIMARY KEY (subscriber, seq, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS kept (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL,
    time INTEGER NOT NULL,
    topic TEXT NOT NULL,
    type TEXT,
    delivery_id TEXT,
    headers BLOB NOT NULL,
    body BLOB NOT NULL,
    checksum INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS barrier (one INTEGER PRIMARY KEY, turn INTEGER NOT NULL);
";

/// The format of the tables this program writes, in `PRAGMA user_version`.
const VERSION: i64 = 1;

#[derive(Debug)]
pub(super) struct Store {
    db: Connection,
}

fn text(error: rusqlite::Error) -> String {
    format!("the delivery state `{FILE}`: {error}")
}

fn number(value: u64) -> i64 {
    value.cast_signed()
}

fn seq(row: &Row<'_>, at: usize) -> rusqlite::Result<Seq> {
    Ok(Seq(row.get::<_, i64>(at)?.cast_unsigned()))
}

fn checksum(parts: &[&[u8]]) -> i64 {
    let sum = parts.iter().fold(0, |sum, part| {
        let sum = crc32c::crc32c_append(sum, &(part.len() as u64).to_le_bytes());
        crc32c::crc32c_append(sum, part)
    });
    i64::from(sum)
}

fn cursor_checksum(name: &str, cursor: &Cursor, rows: i64) -> i64 {
    let numbers = [cursor.next.0, cursor.begun.0, cursor.crashes.into(), rows.cast_unsigned()].map(u64::to_le_bytes);
    checksum(&[name.as_bytes(), numbers.as_flattened()])
}

fn owed_checksum(name: &str, owed: &Owed) -> i64 {
    let flags = u64::from(owed.dead) << 1 | u64::from(owed.suspect);
    let numbers = [owed.seq.0, owed.attempts.into(), owed.due.0.cast_unsigned(), flags].map(u64::to_le_bytes);
    checksum(&[name.as_bytes(), owed.id.0.as_bytes(), numbers.as_flattened(), owed.reason.as_bytes()])
}

fn kept_checksum(event: &Event) -> i64 {
    let numbers = [event.seq.0, event.time.0.cast_unsigned()].map(u64::to_le_bytes);
    let optional = |text: &Option<Text>| text.as_deref().map_or_else(Vec::new, |text| format!("={text}").into_bytes());
    checksum(&[
        numbers.as_flattened(),
        event.id.0.as_bytes(),
        event.topic.as_bytes(),
        &optional(&event.kind),
        &optional(&event.delivery_id),
        event.headers.as_wire(),
        &event.body,
    ])
}

/// An owed row, and whether its checksum is right.
fn owed(row: &Row<'_>, name: &str) -> rusqlite::Result<(Owed, bool)> {
    let owed = Owed {
        seq: seq(row, 0)?,
        id: EventId(Uuid::from_bytes(row.get(1)?)),
        attempts: row.get(2)?,
        due: Millis(row.get(3)?),
        dead: row.get(4)?,
        suspect: row.get(5)?,
        reason: row.get(6)?,
    };
    let good = row.get::<_, i64>(7)? == owed_checksum(name, &owed);
    Ok((owed, good))
}

const OWED: &str =
    "SELECT seq, id, attempts, due, dead, suspect, reason, checksum FROM deliveries WHERE subscriber = ?1";

impl Store {
    /// Opens the state, and tells whether one that should be there is lost.
    pub(super) fn open(directory: &Path, log_has_events: bool) -> Result<(Self, bool), String> {
        let path = directory.join(FILE);
        let existed = path.exists();
        match Self::try_open(&path) {
            Ok(store) => {
                let lost = !existed && log_has_events;
                if lost {
                    tracing::warn!("the delivery state is missing: every subscriber begins with the oldest event");
                }
                Ok((store, lost))
            }
            Err(OpenFailure::Newer(version)) => Err(format!(
                "the delivery state `{FILE}` is of format {version}, and this program knows formats up to {VERSION}: use a later version"
            )),
            Err(OpenFailure::Sql(error)) if existed && is_damage(&error) => {
                tracing::error!(%error, "the delivery state is damaged: put aside; every subscriber begins with the oldest event");
                for suffix in ["", "-wal", "-shm"] {
                    let from = directory.join(format!("{FILE}{suffix}"));
                    let to = directory.join(format!("{FILE}{suffix}.damaged"));
                    match std::fs::rename(&from, &to) {
                        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                            return Err(format!("cannot put the damaged delivery state aside: {error}"));
                        }
                        _ => {}
                    }
                }
                let store = Self::try_open(&path).map_err(|error| match error {
                    OpenFailure::Sql(error) => text(error),
                    OpenFailure::Newer(_) => "the delivery state changes while it is opened".into(),
                })?;
                Ok((store, true))
            }
            Err(OpenFailure::Sql(error)) => Err(text(error)),
        }
    }

    fn try_open(path: &Path) -> Result<Self, OpenFailure> {
        let db = Connection::open(path)?;
        db.busy_timeout(std::time::Duration::from_secs(5))?;
        db.pragma_update(None, "journal_mode", "wal")?;
        // The loss of the last transactions in a power cut repeats deliveries and loses none; see `barrier`.
        db.pragma_update(None, "synchronous", "normal")?;
        db.pragma_update(None, "cache_size", -1024)?;
        let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if version > VERSION {
            return Err(OpenFailure::Newer(version));
        }
        let check: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if check != "ok" {
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
            return Err(OpenFailure::Sql(rusqlite::Error::SqliteFailure(code, Some(check))));
        }
        db.execute_batch(SCHEMA)?;
        db.pragma_update(None, "user_version", VERSION)?;
        Ok(Self { db })
    }

    pub(super) fn recall(&self, name: &str) -> Result<Memory, String> {
        self.try_recall(name).or_else(|error| {
            if is_damage(&error) {
                tracing::error!(%error, subscriber = name, "the saved state of a subscriber is damaged: it begins with the oldest event");
                Ok(Memory::Lost)
            } else {
                Err(text(error))
            }
        })
    }

    fn try_recall(&self, name: &str) -> rusqlite::Result<Memory> {
        let cursor = self
            .db
            .query_row(
                "SELECT next, begun, crashes, rows, checksum FROM cursors WHERE subscriber = ?1",
                [name],
                |row| {
                    let cursor = Cursor { next: seq(row, 0)?, begun: seq(row, 1)?, crashes: row.get(2)? };
                    let rows: i64 = row.get(3)?;
                    Ok((cursor, rows, row.get::<_, i64>(4)? == cursor_checksum(name, &cursor, rows)))
                },
            )
            .optional()?;
        let Some((cursor, rows, good)) = cursor else {
            let orphans: i64 =
                self.db.query_row("SELECT count(*) FROM deliveries WHERE subscriber = ?1", [name], |row| row.get(0))?;
            return Ok(if orphans == 0 { Memory::New } else { Memory::Lost });
        };
        let mut statement = self.db.prepare(OWED)?;
        let found = statement.query_map([name], |row| owed(row, name))?.collect::<rusqlite::Result<Vec<_>>>()?;
        if !good || rows != i64::try_from(found.len()).unwrap_or(-1) || found.iter().any(|(_, good)| !good) {
            tracing::error!(
                subscriber = name,
                "the saved state of a subscriber is damaged: it begins with the oldest event"
            );
            return Ok(Memory::Lost);
        }
        let (dead, owed): (Vec<_>, Vec<_>) = found.into_iter().map(|(owed, _)| owed).partition(|owed| owed.dead);
        Ok(Memory::Saved(Saved { cursor, owed, dead: dead.len() as u64 }))
    }

    /// Writes the changes of several subscribers in one transaction.
    pub(super) fn write(&mut self, changes: &HashMap<String, Change>) -> Result<(), String> {
        let write = |db: &mut Connection| -> rusqlite::Result<()> {
            let transaction = db.transaction()?;
            for (name, change) in changes {
                write_one(&transaction, name, change)?;
            }
            transaction.commit()
        };
        write(&mut self.db).map_err(text)
    }

    /// Puts all that was written before on stable storage.
    pub(super) fn barrier(&self) -> Result<(), String> {
        let sql =
            "PRAGMA synchronous = full; INSERT INTO barrier VALUES (1, 1) ON CONFLICT DO UPDATE SET turn = turn + 1;";
        let done = self.db.execute_batch(sql);
        let back = self.db.execute_batch("PRAGMA synchronous = normal;");
        done.and(back).map_err(text)
    }

    pub(super) fn floor(&self) -> Result<Seq, String> {
        let next: Option<i64> =
            self.db.query_row("SELECT max(next) FROM cursors", [], |row| row.get(0)).map_err(text)?;
        Ok(Seq(next.map_or(0, |next| next.cast_unsigned().saturating_sub(1))))
    }

    pub(super) fn needed(&self, range: std::ops::Range<u64>) -> Result<Vec<u64>, String> {
        let sql = "SELECT DISTINCT seq FROM deliveries WHERE seq >= ?1 AND seq < ?2
                   AND seq NOT IN (SELECT seq FROM kept) ORDER BY seq";
        let query = || -> rusqlite::Result<Vec<u64>> {
            let mut statement = self.db.prepare(sql)?;
            let rows =
                statement.query_map(params![number(range.start), number(range.end)], |row| Ok(seq(row, 0)?.0))?;
            rows.collect()
        };
        query().map_err(text)
    }

    pub(super) fn keep(&mut self, events: &[Event]) -> Result<(), String> {
        let write = |db: &mut Connection| -> rusqlite::Result<()> {
            let transaction = db.transaction()?;
            for event in events {
                transaction.execute(
                    "INSERT OR REPLACE INTO kept VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                    params![
                        number(event.seq.0),
                        event.id.0.as_bytes(),
                        event.time.0,
                        &*event.topic,
                        event.kind.as_deref(),
                        event.delivery_id.as_deref(),
                        &event.headers.as_wire()[..],
                        &event.body[..],
                        kept_checksum(event),
                    ],
                )?;
            }
            transaction.commit()
        };
        write(&mut self.db).map_err(text)?;
        self.barrier()
    }

    pub(super) fn kept(&self, wanted: Seq) -> Result<Option<Event>, String> {
        let sql = "SELECT seq, id, time, topic, type, delivery_id, headers, body, checksum FROM kept WHERE seq = ?1";
        let read = |row: &Row<'_>| -> rusqlite::Result<Option<Event>> {
            let event = Event {
                seq: seq(row, 0)?,
                id: EventId(Uuid::from_bytes(row.get(1)?)),
                time: Millis(row.get(2)?),
                topic: row.get::<_, String>(3)?.into(),
                kind: row.get::<_, Option<String>>(4)?.map(Text::from),
                delivery_id: row.get::<_, Option<String>>(5)?.map(Text::from),
                headers: Headers::from_wire(row.get::<_, Vec<u8>>(6)?.into()),
                body: row.get::<_, Vec<u8>>(7)?.into(),
            };
            Ok((row.get::<_, i64>(8)? == kept_checksum(&event)).then_some(event))
        };
        let found = self.db.query_row(sql, [number(wanted.0)], read).optional().map_err(text)?;
        Ok(found.flatten())
    }

    pub(super) fn retain_subscribers(&mut self, names: &[String]) -> Result<Vec<String>, String> {
        let write = |db: &mut Connection| -> rusqlite::Result<Vec<String>> {
            let transaction = db.transaction()?;
            let gone: Vec<String> = transaction
                .prepare("SELECT subscriber FROM cursors")?
                .query_map([], |row| row.get::<_, String>(0))?
                .filter(|name| name.as_ref().map_or(true, |name| !names.contains(name)))
                .collect::<rusqlite::Result<_>>()?;
            for name in &gone {
                for table in ["cursors", "deliveries", "attempts"] {
                    transaction.execute(&format!("DELETE FROM {table} WHERE subscriber = ?1"), [name])?;
                }
            }
            transaction.execute("DELETE FROM kept WHERE seq NOT IN (SELECT seq FROM deliveries)", [])?;
            transaction.commit()?;
            Ok(gone)
        };
        write(&mut self.db).map_err(text)
    }

    pub(super) fn dead(&self, name: &str, limit: u32) -> Result<Vec<Owed>, String> {
        let query = || -> rusqlite::Result<Vec<Owed>> {
            let mut statement = self.db.prepare(&format!("{OWED} AND dead ORDER BY seq LIMIT ?2"))?;
            statement.query_map(params![name, limit], |row| Ok(owed(row, name)?.0))?.collect()
        };
        query().map_err(text)
    }

    pub(super) fn attempts(&self, name: &str, wanted: Seq) -> Result<Vec<Attempt>, String> {
        let sql = "SELECT seq, number, time, label, reason, status, answer FROM attempts
                   WHERE subscriber = ?1 AND seq = ?2 ORDER BY number";
        let query = || -> rusqlite::Result<Vec<Attempt>> {
            let mut statement = self.db.prepare(sql)?;
            let rows = statement.query_map(params![name, number(wanted.0)], |row| {
                Ok(Attempt {
                    seq: seq(row, 0)?,
                    number: row.get(1)?,
                    time: Millis(row.get(2)?),
                    label: row.get(3)?,
                    reason: row.get(4)?,
                    status: row.get(5)?,
                    answer: row.get(6)?,
                })
            })?;
            rows.collect()
        };
        query().map_err(text)
    }
}

fn write_one(db: &Connection, name: &str, change: &Change) -> rusqlite::Result<()> {
    for (&at, row) in &change.rows {
        match row {
            Some(owed) => {
                db.prepare_cached("INSERT OR REPLACE INTO deliveries VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?
                    .execute(params![
                        name,
                        number(owed.seq.0),
                        owed.id.0.as_bytes(),
                        owed.attempts,
                        owed.due.0,
                        owed.dead,
                        owed.suspect,
                        owed.reason,
                        owed_checksum(name, owed),
                    ])?;
            }
            None => {
                db.prepare_cached("DELETE FROM deliveries WHERE subscriber = ?1 AND seq = ?2")?
                    .execute(params![name, number(at.0)])?;
                db.prepare_cached("DELETE FROM kept WHERE seq = ?1 AND seq NOT IN (SELECT seq FROM deliveries)")?
                    .execute([number(at.0)])?;
            }
        }
    }
    for attempt in &change.attempts {
        db.prepare_cached("INSERT OR REPLACE INTO attempts VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?.execute(
            params![
                name,
                number(attempt.seq.0),
                attempt.number,
                attempt.time.0,
                attempt.label,
                attempt.reason,
                attempt.status,
                attempt.answer,
            ],
        )?;
    }
    let saved = |row: &Row<'_>| Ok(Cursor { next: seq(row, 0)?, begun: seq(row, 1)?, crashes: row.get(2)? });
    let cursor = match change.cursor {
        Some(cursor) => Some(cursor),
        None => db
            .prepare_cached("SELECT next, begun, crashes FROM cursors WHERE subscriber = ?1")?
            .query_row([name], saved)
            .optional()?,
    };
    if let Some(cursor) = cursor {
        let rows: i64 = db
            .prepare_cached("SELECT count(*) FROM deliveries WHERE subscriber = ?1")?
            .query_row([name], |row| row.get(0))?;
        db.prepare_cached("INSERT OR REPLACE INTO cursors VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(params![
            name,
            number(cursor.next.0),
            number(cursor.begun.0),
            cursor.crashes,
            rows,
            cursor_checksum(name, &cursor, rows),
        ])?;
    }
    Ok(())
}

enum OpenFailure {
    Newer(i64),
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for OpenFailure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

/// Whether the error says that the file is not what was written, rather than that it cannot be reached.
fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => {
            // A schema that was changed by damage fails to prepare or to match, with the general error.
            matches!(failure.code, DatabaseCorrupt | NotADatabase | rusqlite::ErrorCode::Unknown)
        }
        rusqlite::Error::SqlInputError { .. }
        | rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::Utf8Error(..) => true,
        _ => false,
    }
}
