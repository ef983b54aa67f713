//! When each secret last matched, and how often since the start: what an operator needs to know to take an old one away.
//!
//! The ingress notes a match in two numbers, without a lock; a task saves what has changed every few seconds, and once more
//! at the end. After a crash the last seconds are forgotten.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::api::topics::{SecretState, SecretUse};
use crate::event::Millis;
use crate::journal::state::{self, State};
use crate::secret::KeyLabel;

/// How often what has changed is saved.
const PERIOD: Duration = Duration::from_secs(5);

/// Stands for "never" where a time is kept.
const NEVER: i64 = i64::MIN;

/// The matches of one secret.
#[derive(Debug)]
pub(super) struct Use {
    /// Since when matches are noted.
    since: Millis,
    last: AtomicI64,
    count: AtomicU64,
    /// What `last` was when it was saved; none yet where it is 0.
    saved: AtomicI64,
}

impl Use {
    /// It has matched at that time.
    pub(super) fn note(&self, now: Millis) {
        self.last.store(now.0, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    fn last(&self) -> Option<Millis> {
        Some(self.last.load(Ordering::Relaxed)).filter(|last| *last != NEVER).map(Millis)
    }
}

/// The matches of all secrets, by topic and id. A reload makes new topics and finds the old matches here.
#[derive(Debug, Default)]
pub struct Matches {
    known: Mutex<BTreeMap<(String, String), Arc<Use>>>,
}

impl Matches {
    /// With what was saved.
    #[must_use]
    pub fn new(saved: Vec<state::SecretUse>) -> Self {
        let known = saved.into_iter().map(|one| {
            let last = one.last.map_or(NEVER, |last| last.0);
            let (last, saved) = (AtomicI64::new(last), AtomicI64::new(last));
            ((one.topic, one.secret), Arc::new(Use { since: one.since, last, count: AtomicU64::new(0), saved }))
        });
        Self { known: Mutex::new(known.collect()) }
    }

    /// The matches of one secret, from now on where it was not known.
    pub(super) fn of(&self, topic: &str, secret: &str) -> Arc<Use> {
        let new = || {
            let (last, saved) = (AtomicI64::new(NEVER), AtomicI64::new(0));
            Arc::new(Use { since: Millis::now(), last, count: AtomicU64::new(0), saved })
        };
        Arc::clone(self.known().entry((topic.to_owned(), secret.to_owned())).or_insert_with(new))
    }

    /// What the API tells of a secret.
    pub(super) fn tell(&self, topic: &str, label: &KeyLabel, now: Millis) -> SecretUse {
        let used = self.of(topic, &label.id);
        let text = |time: Option<Millis>| time.map(|time| time.to_string());
        SecretUse {
            topic: topic.to_owned(),
            secret: label.id.clone(),
            state: match label {
                KeyLabel { not_before: Some(from), .. } if now < *from => SecretState::NotYet,
                KeyLabel { not_after: Some(until), .. } if *until <= now => SecretState::Retired,
                _ => SecretState::Active,
            },
            not_before: text(label.not_before),
            not_after: text(label.not_after),
            known_since: used.since.to_string(),
            last_matched: text(used.last()),
            matched: used.count.load(Ordering::Relaxed),
        }
    }

    /// Saves what has changed.
    ///
    /// # Errors
    /// When the state cannot be written. It is tried again the next time.
    pub async fn save(&self, state: &State) -> Result<(), String> {
        let mut changed = Vec::new();
        let mut rows = Vec::new();
        for ((topic, secret), used) in &*self.known() {
            let last = used.last.load(Ordering::Relaxed);
            if last != used.saved.load(Ordering::Relaxed) {
                let last = Some(Millis(last)).filter(|last| last.0 != NEVER);
                rows.push(state::SecretUse { topic: topic.clone(), secret: secret.clone(), since: used.since, last });
                changed.push((Arc::clone(used), last));
            }
        }
        if rows.is_empty() {
            return Ok(());
        }
        state.save_secret_uses(rows).await?;
        for (used, last) in changed {
            used.saved.store(last.map_or(NEVER, |last| last.0), Ordering::Relaxed);
        }
        Ok(())
    }

    /// Saves what has changed every few seconds, for ever.
    pub async fn keep(self: Arc<Self>, state: State) {
        let mut failing = false;
        loop {
            match self.save(&state).await {
                Ok(()) => failing = false,
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(error, "cannot save when secrets last matched");
                    }
                }
            }
            tokio::time::sleep(PERIOD).await;
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<(String, String), Arc<Use>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(id: &str, from: Option<i64>, until: Option<i64>) -> KeyLabel {
        KeyLabel { id: id.into(), not_before: from.map(Millis), not_after: until.map(Millis) }
    }

    #[test]
    fn the_state_goes_by_the_time() {
        let matches = Matches::default();
        let table = [
            (None, None, SecretState::Active),
            (Some(10), None, SecretState::Active),
            (Some(11), None, SecretState::NotYet),
            (None, Some(10), SecretState::Retired),
            (None, Some(11), SecretState::Active),
        ];
        for (from, until, want) in table {
            assert_eq!(matches.tell("t", &label("k", from, until), Millis(10)).state, want, "{from:?} {until:?}");
        }
    }

    #[tokio::test]
    async fn matches_are_counted_and_outlive_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = State::open(folder.path(), false).expect("opened");
        let matches = Matches::new(state.secret_uses().expect("read"));
        let (new, old) = (matches.of("t", "new"), matches.of("t", "old"));
        new.note(Millis(1_764_000_000_000));
        new.note(Millis(1_764_000_000_001));
        let told = matches.tell("t", &label("new", None, None), Millis(0));
        assert_eq!(told.last_matched.as_deref(), Some("2025-11-24T16:00:00.001Z"));
        assert_eq!(told.matched, 2);
        assert_eq!(matches.tell("t", &label("old", None, None), Millis(0)).last_matched, None);
        matches.save(&state).await.expect("saved");
        matches.save(&state).await.expect("nothing to save");
        let again = Matches::new(state.secret_uses().expect("read"));
        assert_eq!(again.of("t", "new").last(), Some(Millis(1_764_000_000_001)));
        assert_eq!(again.of("t", "old").since, old.since, "one that never matched is known all the same");
        assert_eq!(again.tell("t", &label("new", None, None), Millis(0)).matched, 0);
        assert_eq!(again.of("other", "new").last(), None);
        state.close();
    }
}
