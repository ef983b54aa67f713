//! What one case gave in one round, and how rounds are compared.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::client::Outcome;
use crate::stats::{Spread, number};

/// What is under load.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Case {
    /// The baseline that answers 202.
    Bare,
    /// The baseline that also checks the signature: the floor of any honest receiver.
    Hmac,
    /// forebay without a subscriber, its journal recycling.
    Ingest,
    /// The same with the default retention.
    Retain,
    /// forebay with a webhook and a file subscriber, until both have everything.
    Subscribers,
    /// forebay with so many subscribers that match nothing.
    Quiet(u32),
    /// forebay with a subscriber that older events are replayed to, or not.
    Replay(bool),
}

impl Case {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Bare => "bare".to_owned(),
            Self::Hmac => "bare + HMAC".to_owned(),
            Self::Ingest => "forebay, no subscriber".to_owned(),
            Self::Retain => "forebay, no subscriber, default retention".to_owned(),
            Self::Subscribers => "forebay, webhook + file, until both have all".to_owned(),
            Self::Replay(false) => "forebay, without a replay".to_owned(),
            Self::Replay(true) => format!("forebay, beside a replay of {} events", crate::replay::EVENTS),
            Self::Quiet(count) => format!("forebay, {count} subscribers that match nothing"),
        }
    }
}

/// A case and its number of connections.
pub(crate) type Step = (Case, usize);

#[derive(Clone, Copy)]
pub(crate) struct Sample {
    /// Requests a second.
    pub(crate) rate: f64,
    /// Microseconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// Microseconds of processor time a request.
    pub(crate) server_cpu: f64,
    pub(crate) client_cpu: f64,
    /// Only forebay's.
    pub(crate) events_per_sync: Option<f64>,
}

impl Sample {
    pub(crate) fn of(outcome: &Outcome) -> Self {
        let count = outcome.latency.total();
        Self {
            rate: number(count) / outcome.window.as_secs_f64(),
            p50: micros(outcome.latency.quantile(500)),
            p99: micros(outcome.latency.quantile(990)),
            server_cpu: micros(outcome.server_cpu) / number(count.max(1)),
            client_cpu: micros(outcome.client_cpu) / number(count.max(1)),
            events_per_sync: None,
        }
    }
}

pub(crate) fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// Every sample, by step and in the order of the rounds.
#[derive(Default)]
pub(crate) struct Samples(BTreeMap<Step, BTreeMap<u32, Sample>>);

impl Samples {
    pub(crate) fn add(&mut self, round: u32, step: Step, sample: Sample) {
        self.0.entry(step).or_default().insert(round, sample);
    }

    pub(crate) fn steps(&self) -> impl Iterator<Item = Step> {
        self.0.keys().copied()
    }

    /// One figure of a step, over the rounds.
    pub(crate) fn spread(&self, step: Step, figure: impl Fn(&Sample) -> f64) -> Option<Spread> {
        Spread::of(self.0.get(&step)?.values().map(figure))
    }

    pub(crate) fn events_per_sync(&self, step: Step) -> Option<Spread> {
        Spread::of(self.0.get(&step)?.values().filter_map(|sample| sample.events_per_sync))
    }

    /// `figure` of one step over that of another, taken in each round by itself: what slows a shared machine down for
    /// seconds slows both.
    pub(crate) fn ratio(&self, step: Step, over: Step, figure: impl Fn(&Sample) -> f64) -> Option<Spread> {
        let (samples, others) = (self.0.get(&step)?, self.0.get(&over)?);
        Spread::of(samples.iter().filter_map(|(round, sample)| Some(figure(sample) / figure(others.get(round)?))))
    }
}
