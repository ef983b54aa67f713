//! The sink that prints.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags, poll};

use super::thread::{Thread, Work};
use super::{Capacity, Delivery, LineFormat, Outcome, Outcomes, Receipt, Refusal, Sink, line};

/// What is configured of it.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// How an event is written.
    pub format: LineFormat,
}

/// Standard output. A delivery counts once the kernel has taken its whole line.
///
/// A batch is one write. Several sinks take turns, so their lines do not mix. When a write breaks off inside a line,
/// the next one begins with a line break, so the torn line stands by itself.
pub struct Stdout {
    thread: Thread,
}

impl Stdout {
    /// Opens it.
    ///
    /// # Errors
    /// When the file descriptor cannot be duplicated or no thread can be started.
    pub fn open(settings: &Settings) -> io::Result<Self> {
        // Past the standard library's line buffer, which keeps what it could not write and would print it twice.
        let out = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let thread = Thread::spawn("stdout", Printer { out, format: settings.format, torn: false })?;
        Ok(Self { thread })
    }
}

impl Sink for Stdout {
    fn capacity(&self) -> Capacity {
        Capacity { batch: 256, parallel: 1 }
    }

    fn deliver<'a>(&'a self, batch: &'a [Delivery]) -> Outcomes<'a> {
        self.thread.deliver(batch)
    }
}

struct Printer {
    out: File,
    format: LineFormat,
    /// The last write broke off inside a line.
    torn: bool,
}

/// Whose turn it is to print.
static TURN: Mutex<()> = Mutex::new(());

impl Work for Printer {
    fn deliver(&mut self, batch: &[Delivery]) -> Vec<Outcome> {
        let mut text = Vec::new();
        if self.torn {
            text.push(b'\n');
        }
        let mut ends = Vec::with_capacity(batch.len());
        for delivery in batch {
            line::write(&delivery.event, self.format, &mut text);
            ends.push(text.len());
        }
        let (written, result) = {
            let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
            write(&mut self.out, &text)
        };
        if written > 0 {
            self.torn = text[written - 1] != b'\n';
        }
        let refusal = result.err().map(|e| Refusal::io(format!("could not write to standard output: {e}")));
        let outcome = |&end: &usize| match &refusal {
            Some(refusal) if end > written => Err(refusal.clone()),
            _ => Ok(Receipt::default()),
        };
        ends.iter().map(outcome).collect()
    }
}

/// Writes it all, or says how much it wrote before the error.
fn write(out: &mut File, text: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < text.len() {
        match out.write(&text[written..]) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(n) => written += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            // Whoever gave us the descriptor, or shares it, may have made it non-blocking.
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                if let Err(e) = wait(out) {
                    return (written, Err(e));
                }
            }
            Err(e) => return (written, Err(e)),
        }
    }
    (written, Ok(()))
}

/// Waits until it takes bytes again, or fails.
fn wait(out: &File) -> io::Result<()> {
    match poll(&mut [PollFd::new(out, PollFlags::OUT)], None) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read};
    use std::os::fd::OwnedFd;

    use super::super::line::tests::event;
    use super::*;

    fn batch(bodies: &[&[u8]]) -> Vec<Delivery> {
        bodies.iter().map(|body| Delivery { event: event(None, &[], body), attempt: 1, span: None }).collect()
    }

    fn printer(out: OwnedFd) -> Printer {
        Printer { out: out.into(), format: LineFormat::Raw, torn: false }
    }

    #[test]
    fn a_batch_is_printed_in_order() {
        let (mut reader, writer) = io::pipe().expect("a pipe");
        let mut printer = printer(writer.into());
        assert_eq!(printer.deliver(&batch(&[b"1", b"2"])), [Ok(Receipt::default()), Ok(Receipt::default())]);
        assert_eq!(printer.deliver(&batch(&[b"3"])), [Ok(Receipt::default())]);
        assert_eq!(printer.deliver(&[]), []);
        drop(printer);
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("text");
        assert_eq!(text, "1\n2\n3\n");
    }

    #[test]
    fn a_closed_pipe_is_a_refusal() {
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(reader);
        for outcome in printer(writer.into()).deliver(&batch(&[b"1", b"2"])) {
            let refusal = outcome.expect_err("nobody reads");
            assert_eq!((refusal.label, refusal.give_up), ("io", false));
            assert!(refusal.reason.starts_with("could not write to standard output: "), "{}", refusal.reason);
        }
    }

    #[test]
    fn a_pipe_that_closes_on_the_way_keeps_what_it_took() {
        let (reader, writer) = io::pipe().expect("a pipe");
        rustix::io::ioctl_fionbio(&writer, true).expect("non-blocking");
        let long = vec![b'x'; 1 << 20];
        let reading = std::thread::spawn(move || {
            let mut line = String::new();
            BufReader::with_capacity(1, reader).read_line(&mut line).expect("a line");
            line
        });
        let outcomes = printer(writer.into()).deliver(&batch(&[b"first", &long]));
        assert_eq!(outcomes[0], Ok(Receipt::default()));
        assert_eq!(outcomes[1].as_ref().expect_err("nobody reads").label, "io");
        assert_eq!(reading.join().expect("no panic"), "first\n");
    }

    #[test]
    fn a_torn_line_stands_by_itself() {
        let (mut reader, writer) = io::pipe().expect("a pipe");
        let mut printer = printer(writer.into());
        printer.torn = true;
        assert_eq!(printer.deliver(&batch(&[b"1"])), [Ok(Receipt::default())]);
        assert_eq!(printer.deliver(&batch(&[b"2"])), [Ok(Receipt::default())]);
        drop(printer);
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("text");
        assert_eq!(text, "\n1\n2\n");
    }

    #[test]
    fn a_full_pipe_is_waited_for() {
        let (mut reader, writer) = io::pipe().expect("a pipe");
        rustix::io::ioctl_fionbio(&writer, true).expect("non-blocking");
        let long = vec![b'x'; 1 << 20];
        let reading = std::thread::spawn(move || {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).expect("bytes");
            all
        });
        assert_eq!(printer(writer.into()).deliver(&batch(&[&long])), [Ok(Receipt::default())]);
        assert_eq!(reading.join().expect("no panic").len(), long.len() + 1);
    }
}
