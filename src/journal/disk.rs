//! The rules of durability, in one place, behind a seam narrow enough to simulate.
//!
//! What the journal relies on, and nothing more:
//!
//! - bytes written to a file are on stable storage once [`DiskFile::sync`] has returned without an error, and may be
//!   there, not there, or there in part before that;
//! - a file's name is on stable storage once [`Disk::sync_dir`] has returned, and so are renames and removals;
//! - [`DiskFile::reserve`] makes room, so that writing below that length does not run out of space on file systems
//!   that allocate in place (ext4, XFS, tmpfs);
//! - an error of a write or a sync says nothing about what is on the disk. After one, nothing written since the last
//!   good sync may be believed, and trying the sync again proves nothing (the "fsyncgate" of 2018: the kernel reports
//!   a failed write-back once and then forgets it).

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A directory with files in it.
pub trait Disk: Send + Sync {
    /// Opens a file that exists, to read and write.
    ///
    /// # Errors
    /// As the system says.
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Makes an empty file, emptying one that exists.
    ///
    /// # Errors
    /// As the system says.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Gives a file another name, replacing what had it.
    ///
    /// # Errors
    /// As the system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Takes a file away.
    ///
    /// # Errors
    /// As the system says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// The names of the files there are.
    ///
    /// # Errors
    /// As the system says.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Puts names, renames and removals on stable storage.
    ///
    /// # Errors
    /// As the system says.
    fn sync_dir(&self) -> io::Result<()>;

    /// Bytes an unprivileged process can still write.
    ///
    /// # Errors
    /// As the system says.
    fn free(&self) -> io::Result<u64>;
}

/// An open file.
#[expect(clippy::len_without_is_empty, reason = "a file of the journal is never empty for long, and nobody asks")]
pub trait DiskFile: Send + Sync {
    /// Writes all parts one after the other, from `offset` on.
    ///
    /// # Errors
    /// As the system says; some of it may have been written.
    fn write_at(&self, parts: &mut [IoSlice<'_>], offset: u64) -> io::Result<()>;

    /// Reads up to the length of `buffer`; less only at the end of the file.
    ///
    /// # Errors
    /// As the system says.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Puts what was written on stable storage, and the length with it (`fdatasync`).
    ///
    /// # Errors
    /// As the system says. See the module: nothing unsynced may be believed afterwards.
    fn sync(&self) -> io::Result<()>;

    /// The length in bytes.
    ///
    /// # Errors
    /// As the system says.
    fn len(&self) -> io::Result<u64>;

    /// Makes the file at least this long, with space behind it.
    ///
    /// # Errors
    /// `StorageFull` when there is no room, or as the system says.
    fn reserve(&self, length: u64) -> io::Result<()>;

    /// Cuts or extends the file to exactly this length.
    ///
    /// # Errors
    /// As the system says.
    fn set_len(&self, length: u64) -> io::Result<()>;
}

/// A directory of the real file system.
#[derive(Debug)]
pub struct RealDisk {
    path: PathBuf,
    dir: File,
}

impl RealDisk {
    /// Opens the directory, making it with mode 0700 if need be.
    ///
    /// # Errors
    /// When it cannot be made or opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        Ok(Self { path: path.to_owned(), dir: File::open(path)? })
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn options() -> OpenOptions {
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(0o600);
        options
    }
}

impl Disk for RealDisk {
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(RealFile(Self::options().open(self.path.join(name))?)))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(RealFile(Self::options().create(true).truncate(true).open(self.path.join(name))?)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path.join(name))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        std::fs::read_dir(&self.path)?
            .filter_map(|entry| entry.map(|e| e.file_name().into_string().ok()).transpose())
            .collect()
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.dir.sync_all()
    }

    fn free(&self) -> io::Result<u64> {
        let stat = rustix::fs::fstatvfs(&self.dir)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

#[derive(Debug)]
struct RealFile(File);

/// The most parts one `pwritev` takes on Linux.
const MAX_PARTS: usize = 1024;

impl DiskFile for RealFile {
    fn write_at(&self, mut parts: &mut [IoSlice<'_>], mut offset: u64) -> io::Result<()> {
        while !parts.is_empty() {
            let now = parts.len().min(MAX_PARTS);
            match rustix::io::pwritev(&self.0, &parts[..now], offset) {
                Ok(0) if parts.iter().all(|part| part.is_empty()) => return Ok(()),
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    offset += written as u64;
                    IoSlice::advance_slices(&mut parts, written);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < buffer.len() {
            match self.0.read_at(&mut buffer[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn reserve(&self, length: u64) -> io::Result<()> {
        use rustix::fs::FallocateFlags;
        use rustix::io::Errno;
        loop {
            match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, length) {
                Ok(()) => return Ok(()),
                Err(Errno::INTR) => {}
                // A file system that cannot reserve: the length alone still spares a size change at each sync.
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                    return if self.len()? < length { self.set_len(length) } else { Ok(()) };
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }
}
