//! What the admin API sees of the daemon, and what it has it do.

use super::bus::BUS;
use super::daemon::Daemon;
use super::reload::ReloadError;
use super::replay::shown;
use crate::api::dead::DeadLetters;
use crate::api::events::Delivery;
use crate::api::replay::{Replay, Replays};
use crate::api::settings::{Configuration, Planned, Reloaded};
use crate::api::subscribers::{Subscriber, Subscribers};
use crate::api::topics::Topics;
use crate::deliver::steer::Unsteered;
use crate::deliver::trace::Traced;
use crate::event::{Event, Seq};
use crate::http::admin::{DeadQuery, Desk, Later, PlanOrder, ReplayOrder, Trouble};
use crate::journal::state::letters::{Fate, Which};

impl From<Unsteered> for Trouble {
    fn from(why: Unsteered) -> Self {
        match why {
            Unsteered::Unknown(text) => Self::NotFound(text),
            Unsteered::Wrong(text) => Self::Input(text),
            Unsteered::Refused(text) => Self::Refused(text),
            Unsteered::NotNow(text) => Self::Unavailable(text),
        }
    }
}

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

    fn subscribers(&self) -> Later<'_, Result<Subscribers, Trouble>> {
        Box::pin(async {
            let mut all = self.deliveries.subscribers().await?;
            all.subscribers.extend(self.bus_subscribers().await);
            all.subscribers.sort_by(|one, other| one.name.cmp(&other.name));
            Ok(all)
        })
    }

    fn subscriber<'a>(&'a self, name: &'a str) -> Later<'a, Result<Subscriber, Trouble>> {
        Box::pin(async move {
            if name.starts_with(BUS) {
                let found = self.bus_subscribers().await.into_iter().find(|one| one.name == name);
                return found.ok_or_else(|| Trouble::NotFound("there is no such subscription of the bus".into()));
            }
            Ok(self.deliveries.subscriber(name).await?)
        })
    }

    fn pause<'a>(&'a self, name: &'a str, paused: bool) -> Later<'a, Result<(), Trouble>> {
        Box::pin(async move {
            if name.starts_with(BUS) {
                return Err(Trouble::Refused("its own reader decides when it reads".into()));
            }
            Ok(self.deliveries.pause(name, paused).await?)
        })
    }

    fn dead<'a>(&'a self, query: DeadQuery<'a>) -> Later<'a, Result<DeadLetters, Trouble>> {
        let DeadQuery { subscriber, topic, limit, before } = query;
        Box::pin(async move { Ok(self.deliveries.dead_letters(subscriber, topic, limit, before).await?) })
    }

    fn decide<'a>(&'a self, name: &'a str, fate: Fate, which: Which) -> Later<'a, Result<u64, Trouble>> {
        Box::pin(async move { Ok(self.deliveries.decide(name, fate, which).await?) })
    }

    fn trace<'a>(
        &'a self,
        seq: Seq,
        topic: &'a str,
        kind: Option<&'a str>,
        event: Option<&'a Event>,
    ) -> Later<'a, Result<Vec<Delivery>, Trouble>> {
        Box::pin(async move { Ok(self.deliveries.trace(Traced { seq, topic, kind, event }).await?) })
    }

    fn plan(&self, order: &PlanOrder, wanted: &dyn Fn() -> bool) -> Result<Planned, Trouble> {
        self.plan(order, wanted)
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
