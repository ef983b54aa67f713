//! The way out: one independent worker a subscriber, reading the journal from a cursor of its own.

pub mod retry;

use crate::name::{Pattern, SubscriberName};
use crate::sink;

/// Where a new subscriber begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the next event.
    Now,
    /// With the oldest event the journal still has.
    Earliest,
}

/// How deliveries of one subscriber relate to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// A refused delivery lets later ones overtake it.
    Parallel,
    /// One at a time in journal order; a refused one holds the line.
    Strict,
}

/// A configured subscriber.
#[derive(Debug, Clone)]
pub struct Subscriber {
    /// Its name.
    pub name: SubscriberName,
    /// The events it wants; one pattern is enough.
    pub patterns: Vec<Pattern>,
    /// Where it begins when it is new.
    pub start: Start,
    /// Where its events go.
    pub sink: sink::Settings,
    /// How it retries.
    pub retry: retry::Policy,
    /// How its deliveries relate.
    pub order: Order,
}
