//! What the admin API sees of the daemon, and what it has it do.

use super::daemon::Daemon;
use super::reload::ReloadError;
use super::replay::shown;
use crate::api::replay::{Replay, Replays};
use crate::api::settings::{Configuration, Reloaded};
use crate::api::topics::Topics;
use crate::http::admin::{Desk, Later, ReplayOrder, Trouble};

impl Desk for Daemon {
    fn topics(&self) -> Topics {
        let mut topics = self.in_force().topics.clone();
        for topic in &mut topics {
            let counts = self.metrics.topic(&topic.name);
            topic.events = counts.events.get();
            topic.duplicates = counts.duplicates.get();
            topic.requests = counts.answers().into_iter().map(|(code, count)| (code.to_string(), count)).collect();
            topic.last_event = self.ingest.last_event(&topic.name).map(|time| time.to_string());
        }
        Topics { topics }
    }

    fn configuration(&self) -> Configuration {
        let file = self.source.as_ref().map_or_else(String::new, |source| source.file.clone());
        let in_force = self.in_force();
        let settings = in_force.written.shown().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        Configuration { file, read: in_force.read.to_string(), settings }
    }

    fn reload(&self, dry_run: bool) -> Later<'_, Result<Reloaded, Trouble>> {
        Box::pin(async move {
            self.reload(dry_run).await.map_err(|error| match error {
                ReloadError::NoFile | ReloadError::Wrong(_) | ReloadError::NeedsRestart(_) => {
                    Trouble::Refused(error.to_string())
                }
                ReloadError::CannotOpen(_) => Trouble::Failed(error.to_string()),
            })
        })
    }

    fn replay(&self, order: &ReplayOrder) -> Result<Replays, Trouble> {
        self.begin_replays(order)
    }

    fn replays(&self) -> Vec<Replay> {
        self.deliveries.replays().iter().map(shown).collect()
    }

    fn cancel_replay(&self, id: u64) -> Result<Option<Replay>, Trouble> {
        let cancelled = self.deliveries.cancel_replay(id).map_err(Trouble::Failed)?;
        Ok(cancelled.as_ref().map(shown))
    }
}
