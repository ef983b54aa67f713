//! The state's tables, and the only place that names `SQLite`.
//!
//! Every row carries a checksum, since `SQLite` has none: a row that was changed by anything but this program makes its
//! subscriber begin anew with the oldest event, which repeats deliveries and loses none.

mod bus;
mod kept;
mod letters;
mod replays;
mod rows;
mod schema;
mod steered;
#[cfg(test)]
mod tests;
mod uses;

use std::collections::HashMap;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Params, Row, params, params_from_iter};

use super::{Change, Cursor, Memory, Recalled, Saved, Unconfigured};
use crate::event::Seq;
use rows::{CURSORS, count, cursor, number, of_subscriber, owed, write_one};
use schema::VERSION;

const FILE: &str = "state.sqlite";

#[derive(Debug)]
pub(in crate::journal::state) struct Store {
    db: Connection,
    /// Nothing was ever saved: subscribers have not said yet where they begin.
    fresh: bool,
    /// How many deliveries each subscriber has: counted once, for there may be many.
    rows: HashMap<String, i64>,
    /// What subscribers owe that have no worker, and so nobody who changes it.
    idle: HashMap<String, u64>,
    /// Changes that were sent could not be written yet: what is here is not what is the case.
    pub(in crate::journal::state) behind: bool,
}

#[expect(clippy::needless_pass_by_value, reason = "used by name in `map_err`")]
fn text(error: rusqlite::Error) -> String {
    format!("the delivery state `{FILE}`: {error}")
}

impl Store {
    /// Opens the state, and tells whether one that should be there is lost.
    pub(in crate::journal::state) fn open(directory: &Path, log_has_events: bool) -> Result<(Self, bool), String> {
        let path = directory.join(FILE);
        let existed = path.exists();
        match Self::try_open(&path) {
            Ok(store) => {
                let missing = store.fresh && log_has_events;
                if missing {
                    tracing::warn!("the delivery state is missing: every subscriber begins with the oldest event");
                }
                // The name may be what is damaged: then whoever seems to be new may be the one who was there.
                let damaged = store.any_damaged_cursor().map_err(text)?;
                if damaged {
                    tracing::error!(
                        "a subscriber's saved position is damaged: it, and each new one, begins with the oldest event"
                    );
                }
                Ok((store, missing || damaged))
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
        // It holds headers and bodies; SQLite gives the files it makes beside it the same mode.
        let made = std::fs::File::options().create(true).append(true).mode(0o600).open(path);
        if let Err(error) = made {
            tracing::debug!(%error, "cannot make the state file; SQLite will say why");
        }
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
        schema::prepare(&db, version)?;
        Ok(Self { db, fresh: version == 0, rows: HashMap::new(), idle: HashMap::new(), behind: false })
    }

    /// Says so while what is here is not what is the case.
    fn is_current(&self) -> Result<(), String> {
        if self.behind { Err(format!("the delivery state `{FILE}` cannot be written now")) } else { Ok(()) }
    }

    pub(in crate::journal::state) fn recall(&mut self, name: &str) -> Result<Memory, String> {
        self.is_current()?;
        self.idle.remove(name);
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
        let query = format!("{CURSORS} WHERE subscriber = ?1");
        let cursor = self.db.query_row(&query, [name], |row| cursor(row, name)).optional()?;
        let Some((cursor, rows, good)) = cursor else {
            let orphans: i64 =
                self.db.query_row("SELECT count(*) FROM deliveries WHERE subscriber = ?1", [name], |row| row.get(0))?;
            return Ok(if orphans == 0 { Memory::New } else { Memory::Lost });
        };
        let (saved, bad) = read_all(&self.db, name, cursor)?;
        if !good || !bad.is_empty() || rows.cast_unsigned() != saved.rows() {
            tracing::error!(
                subscriber = name,
                "the saved state of a subscriber is damaged: it begins with the oldest event"
            );
            return Ok(Memory::Lost);
        }
        Ok(Memory::Saved(saved))
    }

    /// Writes the changes of several subscribers in one transaction.
    pub(in crate::journal::state) fn write(&mut self, changes: &HashMap<String, Change>) -> Result<(), String> {
        let write = |db: &mut Connection, known: &HashMap<String, i64>| -> rusqlite::Result<Vec<(String, i64)>> {
            let transaction = db.transaction()?;
            let mut counts = Vec::with_capacity(changes.len());
            for (name, change) in changes {
                let before = known.get(name).map_or_else(|| count(&transaction, name), |&rows| Ok(rows))?;
                counts.push((name.clone(), write_one(&transaction, name, change, before)?));
            }
            transaction.commit()?;
            Ok(counts)
        };
        self.rows.extend(write(&mut self.db, &self.rows).map_err(text)?);
        Ok(())
    }

    /// Puts all that was written before on stable storage.
    pub(in crate::journal::state) fn barrier(&mut self) -> Result<(), String> {
        let sql =
            "PRAGMA synchronous = full; INSERT INTO barrier VALUES (1, 1) ON CONFLICT DO UPDATE SET turn = turn + 1;";
        let done = self.db.execute_batch(sql);
        // Only now it is not a new file any more: whoever ends before this finds it as he found it.
        let done = done.and_then(|()| {
            if std::mem::take(&mut self.fresh) { self.db.pragma_update(None, "user_version", VERSION) } else { Ok(()) }
        });
        let back = self.db.execute_batch("PRAGMA synchronous = normal;");
        done.and(back).map_err(text)
    }

    fn any_damaged_cursor(&self) -> rusqlite::Result<bool> {
        Ok(self.cursors()?.iter().any(Option::is_none))
    }

    /// All cursors; `None` for one that is damaged.
    fn cursors(&self) -> rusqlite::Result<Vec<Option<Cursor>>> {
        let mut statement = self.db.prepare(CURSORS)?;
        let read = |row: &Row<'_>| {
            let good = row.get::<_, String>(0).and_then(|name| cursor(row, &name)).ok().filter(|(_, _, good)| *good);
            Ok(good.map(|(cursor, ..)| cursor))
        };
        statement.query_map([], read)?.collect()
    }

    pub(in crate::journal::state) fn floor(&self) -> Result<Seq, String> {
        let cursors = self.cursors().map_err(text)?;
        Ok(Seq(cursors.iter().flatten().map(|cursor| cursor.next.0).max().unwrap_or(0).saturating_sub(1)))
    }

    pub(in crate::journal::state) fn start_over(&mut self, name: &str, earliest: Seq) -> Result<Saved, String> {
        self.rows.remove(name);
        let write = |db: &mut Connection| -> rusqlite::Result<Saved> {
            let transaction = db.transaction()?;
            transaction.execute("DELETE FROM cursors WHERE subscriber = ?1", [name])?;
            // What is in the log is read again, and earns its rows anew.
            for table in ["deliveries", "attempts"] {
                let sql = format!("DELETE FROM {table} WHERE subscriber = ?1 AND seq >= ?2");
                transaction.execute(&sql, params![name, number(earliest.0)])?;
            }
            let cursor = Cursor { next: earliest, begun: earliest, crashes: 0 };
            let (saved, bad) = read_all(&transaction, name, cursor)?;
            for seq in bad {
                transaction.execute("DELETE FROM deliveries WHERE subscriber = ?1 AND seq = ?2", params![name, seq])?;
            }
            // In the same breath, lest it be taken for a new one.
            let change = Change { cursor: Some(cursor), ..Change::default() };
            write_one(&transaction, name, &change, saved.rows().cast_signed())?;
            transaction.commit()?;
            Ok(saved)
        };
        write(&mut self.db).map_err(text)
    }

    pub(in crate::journal::state) fn retain_subscribers(
        &mut self,
        names: &[String],
        last: Seq,
    ) -> Result<Vec<Unconfigured>, String> {
        let others = format!("subscriber NOT IN ({})", vec!["?"; names.len()].join(", "));
        self.forget_idle(&others, params_from_iter(names), last)
    }

    pub(in crate::journal::state) fn dismiss(&mut self, name: &str, last: Seq) -> Result<Option<Unconfigured>, String> {
        self.is_current()?;
        Ok(self.forget_idle("subscriber = ?", [name], last)?.pop())
    }

    /// Forgets those of some subscribers that are owed nothing, and answers how all of them are doing.
    fn forget_idle(&mut self, of: &str, names: impl Params, last: Seq) -> Result<Vec<Unconfigured>, String> {
        self.rows.clear();
        let write = |db: &mut Connection| -> rusqlite::Result<Vec<Unconfigured>> {
            let transaction = db.transaction()?;
            let sql = format!(
                "SELECT CAST(subscriber AS BLOB), next,
                    (SELECT count(*) FROM deliveries AS d WHERE d.subscriber = c.subscriber AND dead != 1),
                    (SELECT count(*) FROM deliveries AS d WHERE d.subscriber = c.subscriber AND dead = 1),
                    (SELECT count(*) FROM replays AS r WHERE r.subscriber = c.subscriber AND state = 0)
                 FROM cursors AS c WHERE {of}"
            );
            let read = |row: &Row<'_>| {
                Ok(Unconfigured {
                    // Names are read as bytes: damage may have made them anything.
                    name: String::from_utf8_lossy(row.get_ref(0)?.as_bytes()?).into_owned(),
                    behind: Seq(row.get::<_, i64>(1)?.cast_unsigned()) <= last || row.get::<_, i64>(4)? > 0,
                    owed: row.get::<_, i64>(2)?.cast_unsigned(),
                    dead: row.get::<_, i64>(3)?.cast_unsigned(),
                })
            };
            let all = transaction.prepare(&sql)?.query_map(names, read)?.collect::<rusqlite::Result<Vec<_>>>()?;
            for gone in all.iter().filter(|one| !one.is_kept()) {
                for table in ["cursors", "attempts", "paused", "wanted", "replays"] {
                    transaction.execute(&format!("DELETE FROM {table} WHERE subscriber = ?1"), [&gone.name])?;
                }
            }
            transaction.execute("DELETE FROM kept WHERE seq NOT IN (SELECT seq FROM deliveries)", [])?;
            transaction.commit()?;
            Ok(all)
        };
        write(&mut self.db).map_err(text)
    }
}

impl Saved {
    /// How many deliveries there are of it.
    fn rows(&self) -> u64 {
        self.owed.len() as u64 + self.dead + self.recalled.count
    }
}

/// The deliveries of a subscriber with that cursor, one row at a time, for there may be many dead letters; and the
/// numbers of those that are damaged.
fn read_all(db: &Connection, name: &str, cursor: Cursor) -> rusqlite::Result<(Saved, Vec<rusqlite::types::Value>)> {
    let mut saved = Saved { cursor, owed: Vec::new(), dead: 0, recalled: Recalled::default() };
    let mut bad = Vec::new();
    let mut statement = db.prepare(&(of_subscriber() + " ORDER BY seq"))?;
    let mut rows = statement.query([name])?;
    while let Some(row) = rows.next()? {
        match owed(row, name) {
            Ok((owed, true)) if owed.recalled => {
                saved.recalled.count += 1;
                saved.recalled.oldest.get_or_insert(owed.id.time());
            }
            Ok((owed, true)) if owed.dead => saved.dead += 1,
            Ok((owed, true)) => saved.owed.push(owed),
            _ => bad.push(row.get::<_, rusqlite::types::Value>(0)?),
        }
    }
    Ok((saved, bad))
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
