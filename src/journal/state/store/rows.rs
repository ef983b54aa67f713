//! Rows of the state's tables: how each is read, written, and checked.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use crate::event::{Event, EventId, Millis, Seq, Text};
use crate::journal::state::{Attempt, Change, Cursor, Owed, SecretUse};

pub(super) fn number(value: u64) -> i64 {
    value.cast_signed()
}

pub(super) fn seq(row: &Row<'_>, at: usize) -> rusqlite::Result<Seq> {
    Ok(Seq(row.get::<_, i64>(at)?.cast_unsigned()))
}

pub(super) fn checksum(parts: &[&[u8]]) -> i64 {
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

/// What the column `dead` says: 0 owed, 1 dead, 2 called back.
pub(super) fn standing(owed: &Owed) -> i64 {
    if owed.recalled { 2 } else { owed.dead.into() }
}

fn owed_checksum(name: &str, owed: &Owed) -> i64 {
    let flags = standing(owed).cast_unsigned() << 1 | u64::from(owed.suspect);
    let numbers = [owed.seq.0, owed.attempts.into(), owed.due.0.cast_unsigned(), flags].map(u64::to_le_bytes);
    let mut parts = vec![name.as_bytes(), owed.id.0.as_bytes(), numbers.as_flattened(), owed.reason.as_bytes()];
    // Rows of the first format have none of these, and keep the checksum they have.
    let mut added = Vec::new();
    if owed.spent != 0 || owed.since.is_some() || owed.topic.is_some() || owed.kind.is_some() {
        added.extend(owed.spent.to_le_bytes());
        added.extend(owed.since.map_or([0; 9], |since| {
            let mut bytes = [1; 9];
            bytes[1..].copy_from_slice(&since.0.to_le_bytes());
            bytes
        }));
        for text in [&owed.topic, &owed.kind] {
            added.extend(text.as_ref().map_or(0, |text| text.len() as u64 + 1).to_le_bytes());
            added.extend(text.as_deref().unwrap_or_default().as_bytes());
        }
        parts.push(&added);
    }
    checksum(&parts)
}

pub(super) fn kept_checksum(event: &Event) -> i64 {
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

pub(super) fn use_checksum(used: &SecretUse) -> i64 {
    let last = used.last.map_or(i64::MIN, |last| last.0);
    let numbers = [used.since.0, last].map(i64::to_le_bytes);
    checksum(&[used.topic.as_bytes(), used.secret.as_bytes(), numbers.as_flattened()])
}

/// An owed row, and whether its checksum is right.
pub(super) fn owed(row: &Row<'_>, name: &str) -> rusqlite::Result<(Owed, bool)> {
    let text = |at| row.get::<_, Option<String>>(at).map(|text| text.map(Box::from));
    let standing: i64 = row.get(4)?;
    let owed = Owed {
        seq: seq(row, 0)?,
        id: EventId(Uuid::from_bytes(row.get(1)?)),
        attempts: row.get(2)?,
        due: Millis(row.get(3)?),
        dead: standing == 1,
        recalled: standing == 2,
        suspect: row.get(5)?,
        reason: row.get(6)?,
        spent: row.get(8)?,
        since: row.get::<_, Option<i64>>(9)?.map(Millis),
        topic: text(10)?,
        kind: text(11)?,
    };
    let good = (0..=2).contains(&standing) && row.get::<_, i64>(7)? == owed_checksum(name, &owed);
    Ok((owed, good))
}

/// A cursor, how many deliveries it has, and whether its checksum is right.
pub(super) fn cursor(row: &Row<'_>, name: &str) -> rusqlite::Result<(Cursor, i64, bool)> {
    let cursor = Cursor { next: seq(row, 1)?, begun: seq(row, 2)?, crashes: row.get(3)? };
    let rows: i64 = row.get(4)?;
    Ok((cursor, rows, row.get::<_, i64>(5)? == cursor_checksum(name, &cursor, rows)))
}

pub(super) const CURSORS: &str = "SELECT subscriber, next, begun, crashes, rows, checksum FROM cursors";

/// The columns of a delivery, in the order in which [`owed`] reads them.
pub(super) const COLUMNS: &str = "seq, id, attempts, due, dead, suspect, reason, checksum, spent, since, topic, type";

/// The deliveries of a subscriber.
pub(super) fn of_subscriber() -> String {
    format!("SELECT {COLUMNS} FROM deliveries WHERE subscriber = ?1")
}

/// How many deliveries a subscriber has.
pub(super) fn count(db: &Connection, name: &str) -> rusqlite::Result<i64> {
    db.prepare_cached("SELECT count(*) FROM deliveries WHERE subscriber = ?1")?.query_row([name], |row| row.get(0))
}

/// An attempt, from the columns in [`ATTEMPTS`].
pub(super) fn attempt(row: &Row<'_>) -> rusqlite::Result<Attempt> {
    let took: Option<i64> = row.get(7)?;
    Ok(Attempt {
        seq: seq(row, 0)?,
        number: row.get(1)?,
        time: Millis(row.get(2)?),
        label: row.get(3)?,
        reason: row.get(4)?,
        status: row.get(5)?,
        answer: row.get(6)?,
        took: took.and_then(|took| u64::try_from(took).ok()).map(Duration::from_millis),
    })
}

pub(super) const ATTEMPTS: &str = "SELECT seq, number, time, label, reason, status, answer, took FROM attempts
     WHERE subscriber = ?1 AND seq = ?2 ORDER BY number";

/// Writes what has changed of one subscriber that has `rows` deliveries. Answers how many it has then.
pub(super) fn write_one(db: &Connection, name: &str, change: &Change, mut rows: i64) -> rusqlite::Result<i64> {
    for (&at, row) in &change.rows {
        let replaced = db
            .prepare_cached("DELETE FROM deliveries WHERE subscriber = ?1 AND seq = ?2")?
            .execute(params![name, number(at.0)])?;
        rows -= i64::try_from(replaced).unwrap_or(0);
        match row {
            Some(owed) => {
                let values = params![
                    name,
                    number(owed.seq.0),
                    owed.id.0.as_bytes(),
                    owed.attempts,
                    owed.due.0,
                    standing(owed),
                    owed.suspect,
                    owed.reason,
                    owed_checksum(name, owed),
                    owed.spent,
                    owed.since.map(|since| since.0),
                    owed.topic,
                    owed.kind,
                ];
                let sql = "INSERT INTO deliveries VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
                db.prepare_cached(sql)?.execute(values)?;
                rows += 1;
            }
            None => {
                db.prepare_cached("DELETE FROM kept WHERE seq = ?1 AND seq NOT IN (SELECT seq FROM deliveries)")?
                    .execute([number(at.0)])?;
            }
        }
    }
    for attempt in &change.attempts {
        db.prepare_cached("INSERT OR REPLACE INTO attempts VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?.execute(
            params![
                name,
                number(attempt.seq.0),
                attempt.number,
                attempt.time.0,
                attempt.label,
                attempt.reason,
                attempt.status,
                attempt.answer,
                attempt.took.map(|took| i64::try_from(took.as_millis()).unwrap_or(i64::MAX)),
            ],
        )?;
    }
    for replay in change.replays.values() {
        super::replays::save(db, replay)?;
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
        db.prepare_cached("INSERT OR REPLACE INTO cursors VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(params![
            name,
            number(cursor.next.0),
            number(cursor.begun.0),
            cursor.crashes,
            rows,
            cursor_checksum(name, &cursor, rows),
        ])?;
    }
    Ok(rows)
}
