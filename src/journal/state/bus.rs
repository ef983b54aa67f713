//! What is saved of the bus's subscriptions.

use std::sync::Arc;

use super::{Job, State};
use crate::event::{Millis, Seq};
use crate::journal::Hold;

/// A subscription of the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusRow {
    /// Its id.
    pub id: String,
    /// Its topics.
    pub topics: Vec<String>,
    /// The first event it has not read.
    pub next: Seq,
    /// When it was last read or renewed.
    pub used: Millis,
    /// Who made or renewed it.
    pub by: String,
}

impl State {
    /// All subscriptions. Waits for the disk: for the start only.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn bus_subscriptions(&self) -> Result<Vec<BusRow>, String> {
        self.call(|store| store.bus_subscriptions())?
    }

    /// Writes a new or changed subscription down; it is on stable storage when this returns.
    ///
    /// # Errors
    /// When that failed.
    pub async fn save_bus_subscription(&self, row: BusRow) -> Result<(), String> {
        self.ask(move |store| store.save_bus_subscription(&row).and_then(|()| store.barrier())).await?
    }

    /// Writes down soon how far a subscription was read, and then lets the journal go on.
    pub fn note_bus_pointer(&self, row: BusRow, hold: Arc<Hold>) {
        let job = Job::Call(Box::new(move |store| match store.note_bus_pointer(&row) {
            Ok(()) => hold.advance(row.next),
            // It is read again after the next start.
            Err(error) => tracing::warn!(%error, "cannot note how far a bus subscription was read"),
        }));
        // After the close nothing is written any more.
        let _ = self.jobs.send(job);
    }

    /// Forgets subscriptions soon.
    pub fn forget_bus_subscriptions(&self, ids: Vec<String>) {
        let job = Job::Call(Box::new(move |store| {
            if let Err(error) = store.forget_bus_subscriptions(&ids) {
                tracing::warn!(%error, "cannot forget bus subscriptions that nobody reads; they are back after the next start");
            }
        }));
        let _ = self.jobs.send(job);
    }
}
