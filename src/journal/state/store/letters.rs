//! Dead letters: looking at them, calling them back, dropping them. There may be very many, so each call looks at a
//! bounded number of rows, and says where the next one goes on.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Rows, params};

use super::rows::{ATTEMPTS, COLUMNS, attempt, count, number, of_subscriber, owed, write_one};
use super::{Store, text};
use crate::event::{Millis, Seq};
use crate::journal::state::letters::{Fate, Letter, Noted, Page, Place, Refused, Step, Stretch, Which, Wish};
use crate::journal::state::{Attempt, Change, DROPPED, Owed};

/// The most rows one call looks at.
const STRIDE: u32 = 1000;

impl Store {
    /// Calls back or drops dead letters in the beginning of a stretch.
    pub(in crate::journal::state) fn decide(
        &mut self,
        name: &str,
        fate: Fate,
        which: &Which,
        stretch: Stretch,
        now: Millis,
    ) -> Result<Step, String> {
        self.is_current()?;
        let write = |db: &mut Connection, known: Option<i64>| -> rusqlite::Result<(Step, i64)> {
            let transaction = db.transaction()?;
            let before = known.map_or_else(|| count(&transaction, name), Ok)?;
            let (letters, next) = match which {
                Which::All => all_of(&transaction, name, stretch)?,
                Which::Events(ids) => {
                    let sql = format!(
                        "SELECT {COLUMNS} FROM deliveries INDEXED BY deliveries_dead
                         WHERE subscriber = ?1 AND id = ?2 AND dead = 1"
                    );
                    let mut statement = transaction.prepare_cached(&sql)?;
                    let mut letters = Vec::new();
                    for id in ids {
                        letters.extend(dead(statement.query(params![name, id.0.as_bytes()])?, name)?);
                    }
                    (letters, None)
                }
            };
            let mut change = Change::default();
            let mut step = Step { count: 0, oldest: None, next };
            for letter in letters {
                step.oldest = [step.oldest, Some(letter.id.time())].into_iter().flatten().min();
                let row = match fate {
                    Fate::CalledBack => Some(called_back(letter.clone(), now)),
                    Fate::Dropped => {
                        change.attempts.push(dropped(&letter, now));
                        None
                    }
                };
                // Whoever names one twice gets it once.
                step.count += u64::from(change.rows.insert(letter.seq, row).is_none());
            }
            let rows = if change.rows.is_empty() { before } else { write_one(&transaction, name, &change, before)? };
            transaction.commit()?;
            Ok((step, rows))
        };
        let (step, rows) = write(&mut self.db, self.rows.get(name).copied()).map_err(text)?;
        self.rows.insert(name.to_owned(), rows);
        Ok(step)
    }

    /// Takes up to `limit` of those that were called back: they are owed like any other from now on. Answers also what
    /// of them is left but for the count, which whoever asks keeps.
    pub(in crate::journal::state) fn take_up(
        &mut self,
        name: &str,
        limit: u32,
    ) -> Result<(Vec<Owed>, Option<Millis>), String> {
        self.is_current()?;
        let write = |db: &mut Connection, known: Option<i64>| -> rusqlite::Result<(Vec<Owed>, Option<Millis>, i64)> {
            let transaction = db.transaction()?;
            let before = known.map_or_else(|| count(&transaction, name), Ok)?;
            let found = {
                let sql = format!(
                    "SELECT {COLUMNS} FROM deliveries INDEXED BY deliveries_recalled
                     WHERE subscriber = ?1 AND dead = 2 ORDER BY seq LIMIT ?2"
                );
                let mut statement = transaction.prepare_cached(&sql)?;
                let rows = statement.query_map(params![name, limit + 1], |row| owed(row, name))?;
                rows.collect::<rusqlite::Result<Vec<_>>>()?
            };
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            let oldest = found.get(limit).map(|(owed, _)| owed.id.time());
            let good = found.into_iter().take(limit).filter(|(_, good)| *good);
            let taken: Vec<Owed> = good.map(|(owed, _)| Owed { recalled: false, ..owed }).collect();
            let rows = taken.iter().map(|owed| (owed.seq, Some(owed.clone()))).collect();
            let rows = write_one(&transaction, name, &Change { rows, ..Change::default() }, before)?;
            transaction.commit()?;
            Ok((taken, oldest, rows))
        };
        let (taken, oldest, rows) = write(&mut self.db, self.rows.get(name).copied()).map_err(text)?;
        self.rows.insert(name.to_owned(), rows);
        Ok((taken, oldest))
    }

    /// Dead letters, those of the newest events first.
    pub(in crate::journal::state) fn letters(&self, wish: &Wish) -> Result<Page, String> {
        let (seq, behind) = wish.before.as_ref().map_or((i64::MAX, ""), |at| (number(at.seq.0), &at.subscriber));
        let (of, name) = match &wish.subscriber {
            Some(name) => ("seq < ?1 AND subscriber = ?2 ORDER BY seq DESC", name.as_str()),
            None => ("(seq, subscriber) < (?1, ?2) ORDER BY seq DESC, subscriber DESC", behind),
        };
        let sql = format!("SELECT {COLUMNS}, subscriber FROM deliveries WHERE {of} LIMIT {STRIDE}");
        let query = || -> rusqlite::Result<Page> {
            let mut statement = self.db.prepare_cached(&sql)?;
            let mut rows = statement.query(params![seq, name])?;
            let (mut letters, mut seen, mut next) = (Vec::new(), 0, None);
            while let Some(row) = rows.next()?
                && letters.len() < wish.limit
            {
                let subscriber: String = row.get(12)?;
                let (owed, good) = owed(row, &subscriber)?;
                (seen, next) = (seen + 1, Some(Place { seq: owed.seq, subscriber: subscriber.clone() }));
                let kind = owed.kind.as_deref();
                let fits = |topic: &str| wish.topic.as_ref().is_none_or(|wanted| wanted.matches(topic, kind));
                if good && owed.dead && owed.topic.as_deref().is_none_or(fits) {
                    letters.push(Letter { subscriber, owed });
                }
            }
            let more = seen == STRIDE || letters.len() == wish.limit;
            Ok(Page { letters, next: next.filter(|_| more) })
        };
        query().map_err(text)
    }

    pub(in crate::journal::state) fn noted(&self, seq: Seq) -> Result<BTreeMap<String, Noted>, String> {
        self.is_current()?;
        let query = || -> rusqlite::Result<BTreeMap<String, Noted>> {
            let mut all = BTreeMap::new();
            let sql = format!("SELECT {COLUMNS} FROM deliveries WHERE subscriber = ?1 AND seq = ?2");
            for name in self.names()? {
                let mut deliveries = self.db.prepare_cached(&sql)?;
                let row = deliveries.query_row(params![name, number(seq.0)], |row| owed(row, &name)).optional()?;
                let mut attempts = self.db.prepare_cached(ATTEMPTS)?;
                let attempts = attempts.query_map(params![name, number(seq.0)], attempt)?.collect::<Result<_, _>>()?;
                let wanted = self.wanted(&name, seq)?;
                let owed = row.filter(|(_, good)| *good).map(|(owed, _)| owed);
                all.insert(name, Noted { owed, attempts, wanted });
            }
            Ok(all)
        };
        query().map_err(text)
    }

    /// What a subscriber wanted when it came to an event: nothing where it was not there yet; not known where that was
    /// never noted.
    fn wanted(&self, name: &str, seq: Seq) -> rusqlite::Result<Option<String>> {
        let sql = "SELECT patterns FROM wanted WHERE subscriber = ?1 AND seq <= ?2 ORDER BY seq DESC LIMIT 1";
        let at = self.db.prepare_cached(sql)?.query_row(params![name, number(seq.0)], |row| row.get(0)).optional()?;
        if at.is_some() {
            return Ok(at);
        }
        let sql = "SELECT count(*) FROM wanted WHERE subscriber = ?1";
        let known: i64 = self.db.prepare_cached(sql)?.query_row([name], |row| row.get(0))?;
        Ok((known > 0).then(String::new))
    }

    /// All who are saved.
    fn names(&self) -> rusqlite::Result<Vec<String>> {
        self.db.prepare_cached("SELECT subscriber FROM cursors")?.query_map([], |row| row.get(0))?.collect()
    }

    pub(in crate::journal::state) fn refused(&self, seqs: &[Seq]) -> Result<BTreeMap<Seq, Refused>, String> {
        let query = || -> rusqlite::Result<BTreeMap<Seq, Refused>> {
            let sql =
                "SELECT dead = 1, count(*) FROM deliveries INDEXED BY deliveries_by_seq WHERE seq = ?1 GROUP BY 1";
            let mut statement = self.db.prepare_cached(sql)?;
            let mut all = BTreeMap::new();
            for &seq in seqs {
                let mut rows = statement.query([number(seq.0)])?;
                while let Some(row) = rows.next()? {
                    let of: &mut Refused = all.entry(seq).or_default();
                    *(if row.get(0)? { &mut of.dead } else { &mut of.retrying }) = row.get(1)?;
                }
            }
            Ok(all)
        };
        query().map_err(text)
    }
}

fn called_back(letter: Owed, now: Millis) -> Owed {
    Owed { dead: false, recalled: true, due: now, spent: letter.attempts, since: Some(now), ..letter }
}

fn dropped(letter: &Owed, now: Millis) -> Attempt {
    Attempt {
        seq: letter.seq,
        number: letter.attempts + 1,
        time: now,
        label: DROPPED.into(),
        reason: letter.reason.clone(),
        status: None,
        answer: Vec::new(),
        took: None,
    }
}

/// The good dead letters among some rows.
fn dead(mut rows: Rows<'_>, name: &str) -> rusqlite::Result<Vec<Owed>> {
    let mut letters = Vec::new();
    while let Some(row) = rows.next()? {
        let (owed, good) = owed(row, name)?;
        letters.extend((good && owed.dead).then_some(owed));
    }
    Ok(letters)
}

/// The dead letters in the beginning of a stretch, and where the rest of it begins.
fn all_of(db: &Connection, name: &str, stretch: Stretch) -> rusqlite::Result<(Vec<Owed>, Option<Seq>)> {
    let sql = of_subscriber() + " AND seq >= ?2 AND seq <= ?3 ORDER BY seq LIMIT ?4";
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(params![name, number(stretch.from.0), number(stretch.to.0), STRIDE])?;
    let (mut letters, mut seen, mut last) = (Vec::new(), 0, stretch.from);
    while let Some(row) = rows.next()? {
        let (owed, good) = owed(row, name)?;
        (seen, last) = (seen + 1, owed.seq);
        letters.extend((good && owed.dead).then_some(owed));
    }
    Ok((letters, (seen == STRIDE).then(|| last.next())))
}
