//! One open file: whole lines on stable storage, or as it was before.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::{Rotate, directory, rotate};

/// How often, and how far apart, another writer's lock is tried: five seconds in all.
const LOCK_TRIES: u32 = 500;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// How much of a file is read at a time in search of its last line break.
const BLOCK: usize = 64 * 1024;

pub(super) struct Appender {
    path: PathBuf,
    file: File,
    /// Up to here it is known to hold whole lines.
    whole: u64,
}

/// What became of an attempt to append.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Appended {
    /// So many lines, one at least, are on stable storage.
    Lines(usize),
    /// Nothing: it was full and was put aside. There is no file at the path now.
    Rotated,
    /// Nothing: at the path is another file now, or none.
    Moved,
}

impl Appender {
    /// Opens the file, or makes it and the directories above it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o640);
        let file = match options.open(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                directory::create_parent(path)?;
                options.open(path)?
            }
            opened => opened?,
        };
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        // Also for a file that was there: whoever made it may have died before this.
        directory::sync_parent(path)?;
        Ok(Self { path: path.to_owned(), file, whole: 0 })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends lines of `text`, the first from `start` on, each up to one of `ends`: as many as there are, or as fit.
    pub(super) fn append(
        &mut self,
        text: &[u8],
        start: usize,
        ends: &[usize],
        rotate: Option<Rotate>,
    ) -> io::Result<Appended> {
        self.lock()?;
        let appended = self.append_locked(text, start, ends, rotate);
        // Nobody can act on a failure here; the lock ends with the handle in any case.
        let _ = self.file.unlock();
        appended
    }

    /// Takes the file for this writer. Where the file system has no locks, there is none.
    fn lock(&self) -> io::Result<()> {
        for _ in 0..LOCK_TRIES {
            match self.file.try_lock() {
                Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
                Ok(()) | Err(TryLockError::Error(_)) => return Ok(()),
            }
        }
        Err(io::Error::other("another process has it locked"))
    }

    fn append_locked(
        &mut self,
        text: &[u8],
        start: usize,
        ends: &[usize],
        rotate: Option<Rotate>,
    ) -> io::Result<Appended> {
        let here = self.file.metadata()?;
        match fs::metadata(&self.path) {
            Ok(there) if (there.dev(), there.ino()) == (here.dev(), here.ino()) => {}
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => return Ok(Appended::Moved),
        }
        // It is another length when it was just opened, or when someone else wrote, died writing, or emptied it.
        if here.len() != self.whole {
            self.whole = self.cut_torn_line(here.len())?;
        }
        let lines = match rotate {
            Some(Rotate { size, keep }) => {
                let fitting = ends.partition_point(|&end| self.whole + (end - start) as u64 <= size);
                if fitting == 0 && self.whole > 0 {
                    rotate::rotate(&self.path, keep)?;
                    return Ok(Appended::Rotated);
                }
                fitting.max(1)
            }
            None => ends.len(),
        };
        self.put(&text[start..ends[lines - 1]], File::write_all)?;
        Ok(Appended::Lines(lines))
    }

    /// Writes and syncs; takes back what was written if either fails.
    fn put(&mut self, text: &[u8], write: impl FnOnce(&mut File, &[u8]) -> io::Result<()>) -> io::Result<()> {
        if let Err(e) = write(&mut self.file, text).and_then(|()| self.file.sync_data()) {
            // If this fails too, a torn line is cut off when the file is opened again.
            let _ = self.file.set_len(self.whole);
            return Err(e);
        }
        self.whole += text.len() as u64;
        Ok(())
    }

    /// Cuts off what stands behind the last line break, and gives the length that is left.
    fn cut_torn_line(&self, length: u64) -> io::Result<u64> {
        let mut block = vec![0; BLOCK];
        let mut end = length;
        let whole = loop {
            if end == 0 {
                break 0;
            }
            let begin = end.saturating_sub(BLOCK as u64);
            // The first look is at the last byte alone: nearly always that is the line break.
            let begin = if end == length { length - 1 } else { begin };
            let part = &mut block[..usize::try_from(end - begin).expect("at most a block")];
            self.file.read_exact_at(part, begin)?;
            if let Some(at) = part.iter().rposition(|&b| b == b'\n') {
                break begin + at as u64 + 1;
            }
            end = begin;
        };
        if whole < length {
            self.file.set_len(whole)?;
            self.file.sync_data()?;
            tracing::warn!(path = %self.path.display(), bytes = length - whole, "cut off a torn last line");
        }
        Ok(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(file: &mut Appender, line: &str) -> io::Result<Appended> {
        file.append(line.as_bytes(), 0, &[line.len()], None)
    }

    #[test]
    fn a_line_torn_at_any_byte_is_cut_off() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a");
        let (before, last) = ("{\"n\":1}\n{\"n\":2}\n", "{\"n\":3}\n");
        for cut in 0..=last.len() {
            fs::write(&path, format!("{before}{}", &last[..cut])).expect("written");
            let mut file = Appender::open(&path).expect("opened");
            assert_eq!(append(&mut file, "next\n").expect("appended"), Appended::Lines(1));
            let kept = if cut == last.len() { last } else { "" };
            assert_eq!(fs::read_to_string(&path).expect("text"), format!("{before}{kept}next\n"), "cut at {cut}");
        }
    }

    #[test]
    fn a_torn_line_of_any_length_is_cut_off() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a");
        for before in ["", "line\n"] {
            for length in [1, BLOCK - 1, BLOCK, BLOCK + 1, BLOCK + 2, 3 * BLOCK + 1] {
                fs::write(&path, before.to_owned() + &"x".repeat(length)).expect("written");
                append(&mut Appender::open(&path).expect("opened"), "next\n").expect("appended");
                assert_eq!(fs::read_to_string(&path).expect("text"), format!("{before}next\n"), "{length} bytes");
            }
        }
    }

    #[test]
    fn a_failed_write_leaves_no_trace() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a");
        let mut file = Appender::open(&path).expect("opened");
        append(&mut file, "first\n").expect("appended");
        for written in 0.."second\n".len() {
            let error = file.put(b"second\n", |file, text| {
                file.write_all(&text[..written])?;
                Err(io::ErrorKind::StorageFull.into())
            });
            assert_eq!(error.expect_err("full").kind(), io::ErrorKind::StorageFull);
            assert_eq!(fs::read_to_string(&path).expect("text"), "first\n");
        }
        append(&mut file, "second\n").expect("appended");
        assert_eq!(fs::read_to_string(&path).expect("text"), "first\nsecond\n");
    }

    #[test]
    fn a_file_emptied_by_another_is_gone_on_with() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a");
        let mut file = Appender::open(&path).expect("opened");
        append(&mut file, "first\n").expect("appended");
        File::create(&path).expect("emptied");
        append(&mut file, "second\n").expect("appended");
        assert_eq!(fs::read_to_string(&path).expect("text"), "second\n");
    }

    #[test]
    fn only_regular_files() {
        assert_eq!(Appender::open(Path::new("/dev/null")).err().expect("a device").to_string(), "not a regular file");
    }
}
