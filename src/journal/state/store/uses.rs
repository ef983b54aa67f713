//! When secrets last matched.

use rusqlite::{Connection, params};

use super::rows::use_checksum;
use super::{Store, text};
use crate::event::Millis;
use crate::journal::state::SecretUse;

pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS secret_uses (
    topic TEXT NOT NULL,
    secret TEXT NOT NULL,       -- its id
    since INTEGER NOT NULL,     -- when matches began to be noted
    last INTEGER,               -- when it last matched
    checksum INTEGER NOT NULL,
    PRIMARY KEY (topic, secret)
) WITHOUT ROWID;
";

/// The most secrets that are remembered, those of former configurations among them: what is taken out of a file by mistake
/// comes back with its past.
const MOST: u32 = 10_000;

impl Store {
    pub(in crate::journal::state) fn secret_uses(&self) -> Result<Vec<SecretUse>, String> {
        let query = || -> rusqlite::Result<Vec<(SecretUse, bool)>> {
            // Damage may have made anything of a text: such a row is not this program's any more.
            let sql = "SELECT topic, secret, since, last, checksum FROM secret_uses
                       WHERE typeof(topic) = 'text' AND typeof(secret) = 'text' AND typeof(since) = 'integer'
                       AND typeof(last) IN ('integer', 'null') AND typeof(checksum) = 'integer'";
            let mut statement = self.db.prepare(sql)?;
            let rows = statement.query_map([], |row| {
                let found = SecretUse {
                    topic: String::from_utf8_lossy(row.get_ref(0)?.as_bytes()?).into_owned(),
                    secret: String::from_utf8_lossy(row.get_ref(1)?.as_bytes()?).into_owned(),
                    since: Millis(row.get(2)?),
                    last: row.get::<_, Option<i64>>(3)?.map(Millis),
                };
                let good = row.get::<_, i64>(4)? == use_checksum(&found);
                Ok((found, good))
            })?;
            rows.collect()
        };
        Ok(query().map_err(text)?.into_iter().filter(|(_, good)| *good).map(|(found, _)| found).collect())
    }

    pub(in crate::journal::state) fn save_secret_uses(&mut self, uses: &[SecretUse]) -> Result<(), String> {
        let write = |db: &mut Connection| -> rusqlite::Result<()> {
            let transaction = db.transaction()?;
            for one in uses {
                transaction.prepare_cached("INSERT OR REPLACE INTO secret_uses VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(
                    params![one.topic, one.secret, one.since.0, one.last.map(|last| last.0), use_checksum(one)],
                )?;
            }
            transaction.execute(
                "DELETE FROM secret_uses WHERE (SELECT count(*) FROM secret_uses) > ?1 AND (topic, secret) NOT IN
                 (SELECT topic, secret FROM secret_uses ORDER BY ifnull(last, since) DESC LIMIT ?1)",
                [MOST],
            )?;
            transaction.commit()
        };
        write(&mut self.db).map_err(text)
    }
}

#[cfg(test)]
mod tests {
    use super::super::FILE;
    use super::*;
    use crate::journal::state::State;

    fn used(secret: &str, last: Option<i64>) -> SecretUse {
        SecretUse { topic: "github".into(), secret: secret.into(), since: Millis(1), last: last.map(Millis) }
    }

    #[tokio::test]
    async fn the_last_match_is_remembered_and_damage_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = State::open(folder.path(), false).expect("opened");
        assert_eq!(state.secret_uses().expect("read"), []);
        state
            .save_secret_uses(vec![used("new", Some(5)), used("old", None), used("bad", Some(6))])
            .await
            .expect("saved");
        state.save_secret_uses(vec![used("new", Some(9))]).await.expect("saved");
        state.close();
        let db = Connection::open(folder.path().join(FILE)).expect("opened");
        let changed = db.execute("UPDATE secret_uses SET last = 7 WHERE secret = 'bad'", []).expect("changed");
        assert_eq!(changed, 1);
        drop(db);
        let state = State::open(folder.path(), true).expect("opened");
        assert_eq!(state.secret_uses().expect("read"), [used("new", Some(9)), used("old", None)]);
        state.close();
    }

    #[tokio::test]
    async fn only_so_many_are_remembered() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = State::open(folder.path(), false).expect("opened");
        let many = (0..i64::from(MOST) + 5).map(|number| used(&number.to_string(), Some(number))).collect();
        state.save_secret_uses(many).await.expect("saved");
        let kept = state.secret_uses().expect("read");
        assert_eq!(kept.len(), MOST as usize);
        assert!(kept.iter().all(|one| one.last >= Some(Millis(5))));
        state.close();
    }
}
