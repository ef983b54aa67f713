//! When each secret of a topic last matched: remembered here, because the answer to "which may go?" must outlive a restart.

use super::State;
use crate::event::Millis;

/// When one secret last matched. Never the secret itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretUse {
    /// The topic.
    pub topic: String,
    /// The secret's id.
    pub secret: String,
    /// Since when its matches are noted.
    pub since: Millis,
    /// When it last matched; none: not since then.
    pub last: Option<Millis>,
}

impl State {
    /// What was saved, without the rows that are damaged. Waits for the disk: for the start only.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn secret_uses(&self) -> Result<Vec<SecretUse>, String> {
        self.call(|store| store.secret_uses())?
    }

    /// Saves these, in place of what was saved of the same secrets.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn save_secret_uses(&self, uses: Vec<SecretUse>) -> Result<(), String> {
        self.ask(move |store| store.save_secret_uses(&uses)).await?
    }
}
