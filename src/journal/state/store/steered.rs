//! What operators have said of subscribers, and what those wanted when.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::rows::{CURSORS, cursor, number};
use super::{Store, text};
use crate::event::Seq;
use crate::journal::state::Unconfigured;
use crate::journal::state::letters::Other;

/// The most changes of its patterns that are remembered of a subscriber; of the oldest it is only known that it was there.
const MAX_CHANGES: u32 = 64;

impl Store {
    pub(in crate::journal::state) fn pause(&mut self, name: &str, paused: bool) -> Result<(), String> {
        let sql = if paused {
            "INSERT OR IGNORE INTO paused VALUES (?1)"
        } else {
            "DELETE FROM paused WHERE subscriber = ?1"
        };
        self.db.execute(sql, [name]).map_err(text)?;
        self.barrier()
    }

    pub(in crate::journal::state) fn paused(&self) -> Result<Vec<String>, String> {
        let query = || -> rusqlite::Result<Vec<String>> {
            self.db.prepare("SELECT subscriber FROM paused")?.query_map([], |row| row.get(0))?.collect()
        };
        query().map_err(text)
    }

    pub(in crate::journal::state) fn others(&mut self, names: &[String], last: Seq) -> Result<Vec<Other>, String> {
        let query = |db: &Connection, idle: &mut HashMap<String, u64>| -> rusqlite::Result<Vec<Other>> {
            let mut others = Vec::new();
            let mut cursors = db.prepare_cached(CURSORS)?;
            let mut rows = cursors.query([])?;
            while let Some(row) = rows.next()? {
                let name: String = row.get(0)?;
                if names.contains(&name) {
                    continue;
                }
                let (cursor, all, _) = cursor(row, &name)?;
                let owed = if let Some(&owed) = idle.get(&name) {
                    owed
                } else {
                    let sql = "SELECT count(*) FROM deliveries WHERE subscriber = ?1 AND dead != 1";
                    let owed = db.query_row(sql, [&name], |row| row.get::<_, i64>(0))?.cast_unsigned();
                    idle.insert(name.clone(), owed);
                    owed
                };
                let sql = "SELECT patterns FROM wanted WHERE subscriber = ?1 ORDER BY seq DESC LIMIT 1";
                let wanted: Option<String> = db.query_row(sql, [&name], |row| row.get(0)).optional()?;
                let dead = all.cast_unsigned().saturating_sub(owed);
                let of = Unconfigured { name, behind: cursor.next <= last, owed, dead };
                others.push(Other { of, next: cursor.next, wanted: wanted.unwrap_or_default() });
            }
            Ok(others)
        };
        query(&self.db, &mut self.idle).map_err(text)
    }

    /// Notes what a subscriber wants from an event on, which is the first it will examine.
    pub(in crate::journal::state) fn want(
        &mut self,
        name: &str,
        from: Seq,
        is_new: bool,
        patterns: &str,
    ) -> Result<(), String> {
        let mut write = || -> rusqlite::Result<()> {
            let transaction = self.db.transaction()?;
            transaction
                .execute("DELETE FROM wanted WHERE subscriber = ?1 AND seq >= ?2", params![name, number(from.0)])?;
            let sql = "SELECT patterns FROM wanted WHERE subscriber = ?1 ORDER BY seq DESC LIMIT 1";
            let latest: Option<String> = transaction.query_row(sql, [name], |row| row.get(0)).optional()?;
            if latest.as_deref() != Some(patterns) {
                let from = if latest.is_none() && !is_new { Seq(0) } else { from };
                let sql = "INSERT INTO wanted VALUES (?1, ?2, ?3)";
                transaction.execute(sql, params![name, number(from.0), patterns])?;
            }
            let sql = "DELETE FROM wanted WHERE subscriber = ?1 AND seq NOT IN
                (SELECT seq FROM wanted WHERE subscriber = ?1 ORDER BY seq DESC LIMIT ?2)
                AND seq != (SELECT min(seq) FROM wanted WHERE subscriber = ?1)";
            transaction.execute(sql, params![name, MAX_CHANGES])?;
            transaction.commit()
        };
        write().map_err(text)
    }
}
