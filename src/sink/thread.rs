//! A thread of its own for a sink whose writes block: the runtime's threads never wait for a disk or a full pipe, and
//! neither does the end of the process.

use std::io;
use std::sync::mpsc;
use std::thread;

use tokio::sync::oneshot;

use super::{Delivery, Outcome, Outcomes, Refusal};

/// What the thread does.
pub(super) trait Work: Send + 'static {
    /// Delivers a batch; one outcome for each delivery, in their order.
    fn deliver(&mut self, batch: &[Delivery]) -> Vec<Outcome>;

    /// Opens files anew.
    fn reopen(&mut self) {}
}

enum Job {
    Deliver(Vec<Delivery>, oneshot::Sender<Vec<Outcome>>),
    Reopen,
}

/// The way to the thread. It ends once this is dropped and what it was given is done.
pub(super) struct Thread {
    jobs: mpsc::Sender<Job>,
}

impl Thread {
    pub(super) fn spawn(name: &str, mut work: impl Work) -> io::Result<Self> {
        let (jobs, given) = mpsc::channel();
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            for job in given {
                match job {
                    // Nobody waits for an abandoned batch: it will come again.
                    Job::Deliver(_, answer) if answer.is_closed() => {}
                    Job::Deliver(batch, answer) => {
                        let _ = answer.send(work.deliver(&batch));
                    }
                    Job::Reopen => work.reopen(),
                }
            }
        })?;
        Ok(Self { jobs })
    }

    pub(super) fn deliver<'a>(&'a self, batch: &'a [Delivery]) -> Outcomes<'a> {
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            // Copies handles to the bytes, not the bytes.
            let _ = self.jobs.send(Job::Deliver(batch.to_vec(), answer));
            answered.await.unwrap_or_else(|_| {
                let gone = Refusal::io("the thread that writes is gone".into());
                vec![Err(gone); batch.len()]
            })
        })
    }

    pub(super) fn reopen(&self) {
        let _ = self.jobs.send(Job::Reopen);
    }
}
