//! A disk in memory that keeps what was synced apart from what was not, so that it can lose power and fail on command.
//!
//! What a file system may do (ext4 and XFS keep the order of directory operations, others do not; this one does either):
//! after a power cut everything not synced is there, not there, torn at any byte, there in some sectors only, or there
//! out of order. A create, rename or removal is there or not, but never half.

#![allow(dead_code, reason = "each test file uses its own part of this")]

mod settle;

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use forebay::journal::disk::{Disk, DiskFile};

use crate::offered_events::Dice;

/// What a program asks of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Operation {
    Open,
    Create,
    Rename,
    Remove,
    List,
    SyncDir,
    Read,
    Write,
    Sync,
    Length,
    Reserve,
    SetLength,
}

/// An operation that fails once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    /// Which.
    pub(crate) operation: Operation,
    /// On files whose names end like this.
    pub(crate) files: &'static str,
    /// The how-many-th of them, from 1.
    pub(crate) nth: u64,
    /// Whether it takes effect all the same.
    pub(crate) kept: bool,
}

#[derive(Debug, Clone)]
enum Change {
    Write { at: u64, bytes: Vec<u8> },
    Length(u64),
}

#[derive(Debug, Clone)]
enum Naming {
    Put(String, u64),
    Move { from: String, to: String, file: u64 },
    Take(String, u64),
}

/// A file: what a reader sees, what is on stable storage, and how the one came out of the other.
#[derive(Debug, Default)]
struct Content {
    cached: Vec<u8>,
    safe: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<u64, Content>,
    names: BTreeMap<String, u64>,
    safe_names: BTreeMap<String, u64>,
    pending_names: Vec<Naming>,
    next_file: u64,
    /// Which process is alive: handles of earlier ones are dead.
    life: u64,
    powered: bool,
    /// How many more operations are carried out before the power goes.
    cut_after: Option<u64>,
    fault: Option<Fault>,
    /// How many of the fault's operations there were.
    count: u64,
    capacity: Option<u64>,
}

/// The disk. Clones are the same disk.
#[derive(Debug, Clone)]
pub(crate) struct SimulatedDisk(Arc<Mutex<State>>);

/// The disk as one process sees it.
struct Mounted {
    disk: SimulatedDisk,
    life: u64,
}

struct OpenFile {
    disk: SimulatedDisk,
    life: u64,
    file: u64,
}

/// How an operation goes on.
#[derive(PartialEq, Eq)]
enum Gate {
    Pass,
    /// It takes effect, but fails.
    FailKept,
    /// It does not take effect, and fails.
    FailDropped,
}

fn failed() -> io::Error {
    io::Error::from_raw_os_error(5)
}

impl Gate {
    /// Carries the operation out as far as it goes.
    fn run<T>(&self, effect: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        match self {
            Self::Pass => effect(),
            Self::FailKept => effect().and_then(|_| Err(failed())),
            Self::FailDropped => Err(failed()),
        }
    }
}

impl State {
    fn gate(&mut self, life: u64, operation: Operation, name: &str) -> io::Result<Gate> {
        if !self.powered || life != self.life {
            return Err(io::Error::other("the power is off"));
        }
        if let Some(left) = &mut self.cut_after {
            if *left == 0 {
                self.powered = false;
                // The last one was under way: it may take effect like everything that is not synced.
                return Ok(match operation {
                    Operation::Sync | Operation::SyncDir => Gate::FailDropped,
                    _ => Gate::FailKept,
                });
            }
            *left -= 1;
        }
        let Some(fault) = self.fault else { return Ok(Gate::Pass) };
        if fault.operation != operation || !name.ends_with(fault.files) {
            return Ok(Gate::Pass);
        }
        self.count += 1;
        if self.count < fault.nth {
            return Ok(Gate::Pass);
        }
        self.fault = None;
        Ok(if fault.kept { Gate::FailKept } else { Gate::FailDropped })
    }

    fn file_gate(&mut self, open: &OpenFile, operation: Operation) -> io::Result<Gate> {
        let name = match self.fault {
            Some(_) => self.names.iter().find(|(_, file)| **file == open.file).map(|(name, _)| name.clone()),
            None => None,
        };
        self.gate(open.life, operation, &name.unwrap_or_default())
    }

    fn file(&mut self, file: u64) -> &mut Content {
        self.files.get_mut(&file).expect("files are never dropped while the disk is used")
    }

    fn used(&self) -> u64 {
        self.names.values().map(|file| self.files[file].cached.len() as u64).sum()
    }

    fn room_for(&self, more: u64) -> io::Result<()> {
        match self.capacity {
            Some(capacity) if more > 0 && self.used() + more > capacity => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }
}

impl Content {
    fn change(&mut self, change: Change) {
        settle::apply(&mut self.cached, &change, None);
        self.pending.push(change);
    }
}

impl SimulatedDisk {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(State { powered: true, ..State::default() })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The disk for a new process. Handles of the one before are dead from now on, as after a `kill -9`: what it wrote
    /// and did not sync is still seen, and still not on stable storage.
    pub(crate) fn mount(&self) -> Arc<dyn Disk> {
        let mut state = self.state();
        state.life += 1;
        Arc::new(Mounted { disk: self.clone(), life: state.life })
    }

    /// The power goes before the operation after the next `operations`.
    pub(crate) fn cut_after(&self, operations: u64) {
        self.state().cut_after = Some(operations);
    }

    pub(crate) fn is_powered(&self) -> bool {
        self.state().powered
    }

    /// What stopped was only the process: the next one sees all that this one wrote, synced or not.
    pub(crate) fn kill(&self) {
        let mut state = self.state();
        state.life += 1;
        state.powered = true;
        state.cut_after = None;
    }

    /// The power goes, if it has not gone yet, and comes back: what was not synced is settled by the dice.
    pub(crate) fn power_cut(&self, dice: &mut Dice) {
        let mut state = self.state();
        let state = &mut *state;
        settle::names(&mut state.safe_names, &std::mem::take(&mut state.pending_names), dice);
        state.names = state.safe_names.clone();
        let named: Vec<u64> = state.names.values().copied().collect();
        state.files.retain(|file, _| named.contains(file));
        for content in state.files.values_mut() {
            settle::content(&mut content.safe, &std::mem::take(&mut content.pending), dice);
            content.cached.clone_from(&content.safe);
        }
        state.life += 1;
        state.powered = true;
        state.cut_after = None;
    }

    /// One operation fails. The count begins now.
    pub(crate) fn fail(&self, fault: Fault) {
        let mut state = self.state();
        state.count = 0;
        state.fault = Some(fault);
    }

    /// Whether the fault has not come yet.
    pub(crate) fn fault_is_pending(&self) -> bool {
        self.state().fault.is_some()
    }

    pub(crate) fn forget_fault(&self) {
        self.state().fault = None;
    }

    /// From now on all files together are no larger than this.
    pub(crate) fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    pub(crate) fn used(&self) -> u64 {
        self.state().used()
    }

    /// What a file holds, as a reader sees it.
    pub(crate) fn content(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state();
        state.names.get(name).map(|file| state.files[file].cached.clone())
    }

    pub(crate) fn file_names(&self) -> Vec<String> {
        self.state().names.keys().cloned().collect()
    }
}

impl Disk for Mounted {
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.disk.state();
        state.gate(self.life, Operation::Open, name)?.run(|| {
            let file = *state.names.get(name).ok_or(io::ErrorKind::NotFound)?;
            Ok(Arc::new(OpenFile { disk: self.disk.clone(), life: self.life, file }) as Arc<dyn DiskFile>)
        })
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.disk.state();
        state.gate(self.life, Operation::Create, name)?.run(|| {
            let file = if let Some(&file) = state.names.get(name) {
                state.file(file).change(Change::Length(0));
                file
            } else {
                state.room_for(1)?;
                state.next_file += 1;
                let file = state.next_file;
                state.files.insert(file, Content::default());
                state.names.insert(name.into(), file);
                state.pending_names.push(Naming::Put(name.into(), file));
                file
            };
            Ok(Arc::new(OpenFile { disk: self.disk.clone(), life: self.life, file }) as Arc<dyn DiskFile>)
        })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.disk.state();
        state.gate(self.life, Operation::Rename, from)?.run(|| {
            let file = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
            state.names.insert(to.into(), file);
            state.pending_names.push(Naming::Move { from: from.into(), to: to.into(), file });
            Ok(())
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.disk.state();
        state.gate(self.life, Operation::Remove, name)?.run(|| {
            let file = state.names.remove(name).ok_or(io::ErrorKind::NotFound)?;
            state.pending_names.push(Naming::Take(name.into(), file));
            Ok(())
        })
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut state = self.disk.state();
        state.gate(self.life, Operation::List, "")?.run(|| Ok(state.names.keys().cloned().collect()))
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        state.gate(self.life, Operation::SyncDir, "")?.run(|| {
            state.safe_names = state.names.clone();
            state.pending_names.clear();
            Ok(())
        })
    }

    fn free(&self) -> io::Result<u64> {
        let state = self.disk.state();
        Ok(state.capacity.map_or(1 << 50, |capacity| capacity.saturating_sub(state.used())))
    }
}

impl DiskFile for OpenFile {
    fn write_at(&self, parts: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        let bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        state.file_gate(self, Operation::Write)?.run(|| {
            let end = offset + bytes.len() as u64;
            let length = state.file(self.file).cached.len() as u64;
            state.room_for(end.saturating_sub(length))?;
            state.file(self.file).change(Change::Write { at: offset, bytes });
            Ok(())
        })
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.state();
        state.file_gate(self, Operation::Read)?.run(|| {
            let cached = &state.file(self.file).cached;
            let from = usize::try_from(offset).expect("small").min(cached.len());
            let count = buffer.len().min(cached.len() - from);
            buffer[..count].copy_from_slice(&cached[from..from + count]);
            Ok(count)
        })
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        let gate = state.file_gate(self, Operation::Sync)?;
        if state.powered && gate == Gate::FailDropped {
            // As Linux does: the pages count as clean from now on, hold what was written, and are never written.
            state.file(self.file).pending.clear();
        }
        gate.run(|| {
            let content = state.file(self.file);
            for change in std::mem::take(&mut content.pending) {
                settle::apply(&mut content.safe, &change, None);
            }
            Ok(())
        })
    }

    fn len(&self) -> io::Result<u64> {
        let mut state = self.disk.state();
        state.file_gate(self, Operation::Length)?.run(|| Ok(state.file(self.file).cached.len() as u64))
    }

    fn reserve(&self, length: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.file_gate(self, Operation::Reserve)?.run(|| {
            let have = state.file(self.file).cached.len() as u64;
            if have < length {
                state.room_for(length - have)?;
                state.file(self.file).change(Change::Length(length));
            }
            Ok(())
        })
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.file_gate(self, Operation::SetLength)?.run(|| {
            state.file(self.file).change(Change::Length(length));
            Ok(())
        })
    }
}
