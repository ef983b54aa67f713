//! Events that are still owed or dead when the log has let them go, and what is remembered of attempts.

use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};
use uuid::Uuid;

use super::rows::{ATTEMPTS, attempt, kept_checksum, number, seq};
use super::{Store, is_damage, text};
use crate::event::{Event, EventId, Headers, Millis, Seq, Text};
use crate::journal::state::Attempt;

impl Store {
    /// Forgets the attempts at events before this, but for those that are still owed or dead.
    pub(in crate::journal::state) fn forget_attempts(&self, before: u64) -> Result<(), String> {
        let sql = "DELETE FROM attempts WHERE seq < ?1 AND NOT EXISTS (SELECT 1 FROM deliveries
                   WHERE deliveries.subscriber = attempts.subscriber AND deliveries.seq = attempts.seq)";
        self.db.execute(sql, [number(before)]).map(drop).map_err(text)
    }

    pub(in crate::journal::state) fn needed(&self, range: std::ops::Range<u64>) -> Result<Vec<u64>, String> {
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

    pub(in crate::journal::state) fn keep(&mut self, events: &[Event]) -> Result<(), String> {
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

    pub(in crate::journal::state) fn kept(&self, wanted: Seq) -> Result<Option<Event>, String> {
        self.kept_where("seq = ?1", number(wanted.0))
    }

    pub(in crate::journal::state) fn kept_by_id(&self, wanted: EventId) -> Result<Option<Event>, String> {
        self.kept_where("id = ?1", wanted.0.as_bytes())
    }

    fn kept_where(&self, condition: &str, wanted: impl ToSql) -> Result<Option<Event>, String> {
        let sql = format!(
            "SELECT seq, id, time, topic, type, delivery_id, headers, body, checksum FROM kept WHERE {condition}"
        );
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
        match self.db.query_row(&sql, [wanted], read).optional() {
            Ok(found) => Ok(found.flatten()),
            Err(error) if is_damage(&error) => Ok(None),
            Err(error) => Err(text(error)),
        }
    }

    pub(in crate::journal::state) fn attempts(&self, name: &str, wanted: Seq) -> Result<Vec<Attempt>, String> {
        let query = || -> rusqlite::Result<Vec<Attempt>> {
            let mut statement = self.db.prepare_cached(ATTEMPTS)?;
            statement.query_map(params![name, number(wanted.0)], attempt)?.collect()
        };
        query().map_err(text)
    }
}
