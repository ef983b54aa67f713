//! Replays, between the words of the API and the workers that deliver.

use std::collections::BTreeSet;

use super::daemon::Daemon;
use crate::api::replay::{Replay, ReplayState, Replays};
use crate::deliver::replay::{self, ReplayError, ReplayView};
use crate::http::admin::{ReplayOrder, Trouble};
use crate::name::SubscriberName;

impl Daemon {
    pub(super) fn begin_replays(&self, order: &ReplayOrder) -> Result<Replays, Trouble> {
        let names = self.receivers(order)?;
        let (selection, rate) = (&order.selection, order.rate);
        if !order.dry_run {
            let names: Vec<_> = names.iter().collect();
            let begun = self.deliveries.replay_to(&names, selection, rate).map_err(|error| trouble(&error))?;
            return Ok(Replays { replays: begun.iter().map(shown).collect() });
        }
        let would_be = |name: &SubscriberName| {
            let (count, gone) = self.deliveries.would_replay(name, selection).map_err(|error| trouble(&error))?;
            Ok(Replay {
                id: String::new(),
                subscriber: name.to_string(),
                state: ReplayState::DryRun,
                started: order.now.to_string(),
                total: Some(count + gone),
                done: 0,
                failed: 0,
                gone,
                rate,
            })
        };
        Ok(Replays { replays: names.iter().map(would_be).collect::<Result<_, Trouble>>()? })
    }

    /// Who gets the events.
    fn receivers(&self, order: &ReplayOrder) -> Result<Vec<SubscriberName>, Trouble> {
        let all = self.deliveries.names();
        let takes = |name: &SubscriberName| {
            order.event.as_ref().is_none_or(|(topic, kind)| self.deliveries.takes(name, topic, kind.as_deref()))
        };
        if order.subscribers.is_empty() {
            return self.all_that_want(order, all.into_iter().filter(takes).collect());
        }
        let mut names = Vec::new();
        for wanted in order.subscribers.iter().collect::<BTreeSet<_>>() {
            let name = all.iter().find(|name| name.as_str() == wanted);
            let name =
                name.ok_or_else(|| Trouble::Refused(ReplayError::UnknownSubscriber(wanted.clone()).to_string()))?;
            if !takes(name) {
                let event = order.event_name();
                return Err(Trouble::Refused(format!(
                    "the subscriber `{name}` does not take {event}: see its `topics`"
                )));
            }
            names.push(name.clone());
        }
        Ok(names)
    }

    fn all_that_want(
        &self,
        order: &ReplayOrder,
        mut names: Vec<SubscriberName>,
    ) -> Result<Vec<SubscriberName>, Trouble> {
        if order.event.is_none() {
            let mut wanting = Vec::new();
            for name in names {
                if self.deliveries.would_replay(&name, &order.selection).map_err(|error| trouble(&error))?.0 > 0 {
                    wanting.push(name);
                }
            }
            names = wanting;
        }
        if names.is_empty() && !order.dry_run {
            return Err(Trouble::Refused(format!("no subscriber takes {}", order.event_name())));
        }
        Ok(names)
    }
}

fn trouble(error: &ReplayError) -> Trouble {
    let text = error.to_string();
    match error {
        ReplayError::Selection(_) => Trouble::Input(text),
        // Of those that were asked for one has just left.
        ReplayError::UnknownSubscriber(_) | ReplayError::TooMany(_) => Trouble::Refused(text),
        ReplayError::State(_) => Trouble::Failed(text),
    }
}

/// In the words of the API.
pub(super) fn shown(view: &ReplayView) -> Replay {
    Replay {
        id: view.id.to_string(),
        subscriber: view.subscriber.clone(),
        state: match view.state {
            replay::ReplayState::Running => ReplayState::Running,
            replay::ReplayState::Done => ReplayState::Done,
            replay::ReplayState::Cancelled => ReplayState::Cancelled,
        },
        started: view.started.to_string(),
        total: view.total,
        done: view.done,
        failed: view.failed,
        gone: view.gone,
        rate: view.rate,
    }
}
