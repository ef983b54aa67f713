//! The tables, and how those of an earlier format become those of this one.

use rusqlite::Connection;

/// The format of the tables this program writes, in `PRAGMA user_version`.
pub(super) const VERSION: i64 = 2;

/// The tables of this format. Columns that a later format has added stand last in their tables, as they do in files
/// that were made before.
const TABLES: &str = "
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
    dead INTEGER NOT NULL,      -- 0 owed, 1 dead letter, 2 dead letter that was called back
    suspect INTEGER NOT NULL,   -- the process died while it was under way
    reason TEXT NOT NULL,
    checksum INTEGER NOT NULL,
    spent INTEGER NOT NULL DEFAULT 0,  -- attempts before it was last called back
    since INTEGER,              -- when it was last called back
    topic TEXT,
    type TEXT,
    PRIMARY KEY (subscriber, seq)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS attempts (
    subscriber TEXT NOT NULL,
    seq INTEGER NOT NULL,
    number INTEGER NOT NULL,
    time INTEGER NOT NULL,
    label TEXT NOT NULL,        -- why it was refused, 'ok', or 'dropped'
    reason TEXT NOT NULL,
    status INTEGER,
    answer BLOB NOT NULL,
    took INTEGER,               -- milliseconds
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
CREATE TABLE IF NOT EXISTS paused (subscriber TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS wanted (
    subscriber TEXT NOT NULL,
    seq INTEGER NOT NULL,       -- from this event on...
    patterns TEXT NOT NULL,     -- ...it wanted these; before the first it was not there
    PRIMARY KEY (subscriber, seq)
) WITHOUT ROWID;
";

/// What the first format did not have.
const ADDED: &[(&str, &str)] = &[
    ("deliveries", "spent INTEGER NOT NULL DEFAULT 0"),
    ("deliveries", "since INTEGER"),
    ("deliveries", "topic TEXT"),
    ("deliveries", "type TEXT"),
    ("attempts", "took INTEGER"),
];

/// Made after the tables have all their columns. They are not part of SQLite's check: retention and the operator go by
/// them, so they are made anew at each start.
const INDEXES: &str = "
CREATE INDEX IF NOT EXISTS deliveries_by_seq ON deliveries (seq);
CREATE INDEX IF NOT EXISTS kept_by_id ON kept (id);
CREATE INDEX IF NOT EXISTS deliveries_dead ON deliveries (id) WHERE dead = 1;
CREATE INDEX IF NOT EXISTS deliveries_recalled ON deliveries (subscriber, seq) WHERE dead = 2;
REINDEX deliveries_by_seq;
REINDEX deliveries_dead;
REINDEX deliveries_recalled;
";

/// Makes the tables those of this format. Rows stay as they are, and so do their checksums: those of the first format
/// are checksums of this one, where what was added is not there.
pub(super) fn prepare(db: &Connection, version: i64) -> rusqlite::Result<()> {
    let transaction = db.unchecked_transaction()?;
    transaction.execute_batch(TABLES)?;
    transaction.execute_batch(super::bus::SCHEMA)?;
    transaction.execute_batch(super::replays::SCHEMA)?;
    transaction.execute_batch(super::uses::SCHEMA)?;
    for (table, column) in ADDED {
        let name = column.split(' ').next().unwrap_or_default();
        let sql = "SELECT count(*) FROM pragma_table_info(?1) WHERE name = ?2";
        if transaction.query_row(sql, [table, name], |row| row.get::<_, i64>(0))? == 0 {
            transaction.execute_batch(&format!("ALTER TABLE {table} ADD COLUMN {column}"))?;
        }
    }
    // A file of which nothing was ever saved stays one.
    if version != 0 && version < VERSION {
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    transaction.commit()?;
    db.execute_batch(INDEXES)
}
