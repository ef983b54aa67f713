//! The sink that appends to files.
//!
//! A delivery counts after its line was written and `fdatasync` said so; a batch is one write and one sync for each
//! file it goes to. A write that fails is taken back, so no torn line stays. A line torn by a crash is cut off when the
//! file is opened again: it did not count, so its event comes again. (Of a raw body
//! with line breaks in it, what stands before the last of them stays.)
//!
//! The file is locked (`flock`) for each write and looked up anew, so that several writers and tools that rename files
//! away do no harm. Files are made with mode 0640 and missing directories with 0750, less the umask.

mod appender;
mod directory;
mod rotate;
mod template;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use self::appender::{Appended, Appender};
pub use self::template::{InvalidTemplate, Template};
use super::thread::{Thread, Work};
use super::{Capacity, Delivery, LineFormat, Outcome, Outcomes, Receipt, Refusal, Sink, line};

/// The most files that are held open at a time; the one that was not written for the longest is closed first.
const MAX_OPEN: usize = 64;

/// When a file is put aside for a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotate {
    /// Before it would have more than this many bytes. A single line may be longer.
    pub size: u64,
    /// How many old files are kept, as `.1` (the latest), `.2` and so on; with 0 the file is removed.
    pub keep: u32,
}

/// What is configured of it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The path with `{topic}`, `{type}`, `{date}`.
    pub path: String,
    /// How an event is written.
    pub format: LineFormat,
    /// When a file is put aside.
    pub rotate: Option<Rotate>,
}

impl Settings {
    /// The path taken apart.
    ///
    /// # Errors
    /// What [`Template::parse`] and, with `rotate`, [`Template::check_rotated`] object to.
    pub fn template(&self) -> Result<Template, InvalidTemplate> {
        let template = Template::parse(&self.path)?;
        if self.rotate.is_some() {
            template.check_rotated()?;
        }
        Ok(template)
    }
}

/// Why the sink cannot start.
#[derive(Debug)]
pub enum OpenError {
    /// The path makes no sense.
    Template(InvalidTemplate),
    /// No thread could be started.
    Thread(io::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Template(_) => "wrong path of a file sink",
            Self::Thread(_) => "could not start the thread of a file sink",
        })
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(match self {
            Self::Template(e) => e,
            Self::Thread(e) => e,
        })
    }
}

/// Files, by a path template.
pub struct Files {
    thread: Thread,
}

impl Files {
    /// Starts the sink. No file is touched before the first event.
    ///
    /// # Errors
    /// When the path makes no sense or no thread can be started.
    pub fn open(settings: &Settings) -> Result<Self, OpenError> {
        let writer = Writer::new(settings).map_err(OpenError::Template)?;
        Ok(Self { thread: Thread::spawn("files", writer).map_err(OpenError::Thread)? })
    }
}

impl Sink for Files {
    fn capacity(&self) -> Capacity {
        Capacity { batch: 256, parallel: 1 }
    }

    fn deliver<'a>(&'a self, batch: &'a [Delivery]) -> Outcomes<'a> {
        self.thread.deliver(batch)
    }

    fn reopen(&self) {
        self.thread.reopen();
    }
}

struct Writer {
    template: Template,
    format: LineFormat,
    rotate: Option<Rotate>,
    /// The one used last stands last.
    open: Vec<Appender>,
}

/// What of a batch goes to one file.
struct Share {
    path: PathBuf,
    text: Vec<u8>,
    /// Where each line ends in `text`...
    ends: Vec<usize>,
    /// ...and which delivery of the batch it is.
    deliveries: Vec<usize>,
}

impl Work for Writer {
    fn deliver(&mut self, batch: &[Delivery]) -> Vec<Outcome> {
        let mut outcomes = vec![Ok(Receipt::default()); batch.len()];
        for share in self.divide(batch) {
            let (lines, result) = self.append(&share);
            if let Err(e) = result {
                let refusal = Refusal::io(format!("could not append to `{}`: {e}", share.path.display()));
                for &delivery in &share.deliveries[lines..] {
                    outcomes[delivery] = Err(refusal.clone());
                }
            }
        }
        outcomes
    }

    fn reopen(&mut self) {
        self.open.clear();
    }
}

impl Writer {
    fn new(settings: &Settings) -> Result<Self, InvalidTemplate> {
        let template = settings.template()?;
        Ok(Self { template, format: settings.format, rotate: settings.rotate, open: Vec::new() })
    }

    fn divide(&self, batch: &[Delivery]) -> Vec<Share> {
        let mut shares: Vec<Share> = Vec::new();
        for (n, delivery) in batch.iter().enumerate() {
            let path = self.template.path(&delivery.event);
            let at = shares.iter().position(|share| share.path == path).unwrap_or_else(|| {
                shares.push(Share { path, text: Vec::new(), ends: Vec::new(), deliveries: Vec::new() });
                shares.len() - 1
            });
            let share = &mut shares[at];
            line::write(&delivery.event, self.format, &mut share.text);
            share.ends.push(share.text.len());
            share.deliveries.push(n);
        }
        shares
    }

    /// Appends the lines, and says how many count.
    fn append(&mut self, share: &Share) -> (usize, io::Result<()>) {
        let mut lines = 0;
        let mut moved = 0;
        while lines < share.ends.len() {
            let step = self.take(&share.path).and_then(|mut file| {
                let start = if lines == 0 { 0 } else { share.ends[lines - 1] };
                let appended = file.append(&share.text, start, &share.ends[lines..], self.rotate)?;
                // After an error the handle is dropped: opened anew, the file is looked at without prejudice.
                if let Appended::Lines(_) = appended {
                    self.put_back(file);
                }
                Ok(appended)
            });
            match step {
                Ok(Appended::Lines(n)) => lines += n,
                Ok(Appended::Rotated) => {}
                // Something that renames the file faster than it can be opened is not waited for.
                Ok(Appended::Moved) if moved < 10 => moved += 1,
                Ok(Appended::Moved) => return (lines, Err(io::Error::other("the file is moved away all the time"))),
                Err(e) => return (lines, Err(e)),
            }
        }
        (lines, Ok(()))
    }

    fn take(&mut self, path: &Path) -> io::Result<Appender> {
        match self.open.iter().position(|file| file.path() == path) {
            Some(at) => Ok(self.open.remove(at)),
            None => Appender::open(path),
        }
    }

    fn put_back(&mut self, file: Appender) {
        if self.open.len() == MAX_OPEN {
            self.open.remove(0);
        }
        self.open.push(file);
    }
}

#[cfg(test)]
mod tests;
