//! A journal without threads, for simulations.

use std::sync::Arc;

use super::commit::lock;
use super::disk::Disk;
use super::writer::Writer;
use super::{Journal, Keeper, OpenError, Opening, Settings, sweep};
use crate::event::Millis;

/// A journal whose writer runs when it is told to, so that a simulation decides what happens when.
pub struct Stepped {
    /// The journal.
    pub journal: Journal,
    writer: Writer,
}

impl std::fmt::Debug for Stepped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stepped")
    }
}

impl Stepped {
    /// Opens a journal without threads, and with segments of `segment` bytes, so that few events fill one.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn open(disk: Arc<dyn Disk>, settings: &Settings, opening: Opening, segment: u64) -> Result<Self, OpenError> {
        let (journal, writer) = Journal::assemble(disk, settings, opening, (segment, segment))?;
        Ok(Self { journal, writer })
    }

    /// Writes what is queued as one batch. Answers whether the journal can go on.
    pub fn write(&mut self) -> bool {
        self.writer.step()
    }

    /// Looks at free space and retention, as the sweeper does.
    pub fn sweep(&mut self, keeper: &dyn Keeper, now: Millis) {
        sweep::look_at_space(&self.journal.shared);
        sweep::retire(&self.journal.shared, keeper, now);
    }

    /// Writes what is queued and closes the journal, as [`Journal::close`] does.
    pub fn close(mut self) {
        lock(&self.journal.shared.queue).closed = true;
        if self.writer.step() {
            self.writer.close_segment();
        }
    }
}
