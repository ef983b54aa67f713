//! The bus's subscriptions.

use rusqlite::params;

use super::rows::{number, seq};
use super::{Store, text};
use crate::event::Millis;
use crate::journal::state::BusRow;

impl Store {
    pub(in crate::journal::state) fn bus_subscriptions(&self) -> Result<Vec<BusRow>, String> {
        let read = || -> rusqlite::Result<Vec<BusRow>> {
            let mut statement = self.db.prepare("SELECT id, topics, next, used, by FROM bus_subscriptions")?;
            let rows = statement.query_map([], |row| {
                let topics: String = row.get(1)?;
                Ok(BusRow {
                    id: row.get(0)?,
                    // One that was damaged wants nothing until its reader renews it.
                    topics: serde_json::from_str(&topics).unwrap_or_default(),
                    next: seq(row, 2)?,
                    used: Millis(row.get(3)?),
                    by: row.get(4)?,
                })
            })?;
            rows.collect()
        };
        read().map_err(text)
    }

    pub(in crate::journal::state) fn save_bus_subscription(&self, row: &BusRow) -> Result<(), String> {
        let topics = serde_json::Value::from(row.topics.clone()).to_string();
        self.db
            .execute(
                "INSERT INTO bus_subscriptions (id, topics, next, used, by) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (id) DO UPDATE SET topics = ?2, next = max(next, ?3), used = ?4, by = ?5",
                params![row.id, topics, number(row.next.0), row.used.0, row.by],
            )
            .map(drop)
            .map_err(text)
    }

    pub(in crate::journal::state) fn note_bus_pointer(&self, row: &BusRow) -> Result<(), String> {
        // One that was forgotten meanwhile stays so, and a pointer never goes back.
        let sql = "UPDATE bus_subscriptions SET next = max(next, ?2), used = max(used, ?3) WHERE id = ?1";
        let mut statement = self.db.prepare_cached(sql).map_err(text)?;
        statement.execute(params![row.id, number(row.next.0), row.used.0]).map(drop).map_err(text)
    }

    pub(in crate::journal::state) fn forget_bus_subscriptions(&self, ids: &[String]) -> Result<(), String> {
        for id in ids {
            self.db.execute("DELETE FROM bus_subscriptions WHERE id = ?1", [id]).map_err(text)?;
        }
        Ok(())
    }
}

/// Their table.
pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS bus_subscriptions (
    id TEXT PRIMARY KEY,
    topics TEXT NOT NULL,       -- a JSON array of texts
    next INTEGER NOT NULL,      -- the first event it has not read
    used INTEGER NOT NULL,      -- milliseconds since 1970
    by TEXT NOT NULL            -- who made or renewed it
) WITHOUT ROWID;
";
