//! Disks with a fault that a test must find: they stand between the journal and the simulated disk.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use forebay::journal::disk::{Disk, DiskFile};

/// The fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
    /// A sync of a file answers well and does nothing.
    SyncDoesNothing,
    /// The same, one time in five.
    SyncDoesNothingNowAndThen,
    /// The same, for the first syncs after a start: what is recovered is not made safe before it is shown.
    SyncOfRecoveryDoesNothing,
    /// A sync of the directory answers well and does nothing.
    SyncDirDoesNothing,
    /// The last byte of a long write is not written.
    WriteOfLastByteIsLost,
}

/// A disk that lies.
pub(crate) struct LyingDisk {
    inner: Arc<dyn Disk>,
    lie: Lie,
    syncs: Arc<AtomicU64>,
}

struct LyingFile {
    inner: Arc<dyn DiskFile>,
    lie: Lie,
    syncs: Arc<AtomicU64>,
}

impl LyingDisk {
    pub(crate) fn between(inner: Arc<dyn Disk>, lie: Lie) -> Arc<dyn Disk> {
        Arc::new(Self { inner, lie, syncs: Arc::default() })
    }

    fn file(&self, inner: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(LyingFile { inner, lie: self.lie, syncs: Arc::clone(&self.syncs) })
    }
}

impl Disk for LyingDisk {
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.inner.open(name).map(|file| self.file(file))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.inner.create(name).map(|file| self.file(file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.inner.list()
    }

    fn sync_dir(&self) -> io::Result<()> {
        if self.lie == Lie::SyncDirDoesNothing { Ok(()) } else { self.inner.sync_dir() }
    }

    fn free(&self) -> io::Result<u64> {
        self.inner.free()
    }
}

impl DiskFile for LyingFile {
    fn write_at(&self, parts: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        if self.lie == Lie::WriteOfLastByteIsLost {
            let bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
            let kept = if bytes.len() > 4000 { bytes.len() - 9 } else { bytes.len() };
            return self.inner.write_at(&mut [IoSlice::new(&bytes[..kept])], offset);
        }
        self.inner.write_at(parts, offset)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(buffer, offset)
    }

    fn sync(&self) -> io::Result<()> {
        let nth = self.syncs.fetch_add(1, Ordering::Relaxed);
        let lies = match self.lie {
            Lie::SyncDoesNothing => true,
            Lie::SyncDoesNothingNowAndThen => nth % 5 == 3,
            Lie::SyncOfRecoveryDoesNothing => nth < 1,
            Lie::SyncDirDoesNothing | Lie::WriteOfLastByteIsLost => false,
        };
        if lies { Ok(()) } else { self.inner.sync() }
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn reserve(&self, length: u64) -> io::Result<()> {
        self.inner.reserve(length)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.inner.set_len(length)
    }
}
