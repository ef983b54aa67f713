//! What a worker is told while it works. What it is to do stands until it is told otherwise; what it is asked is asked
//! once.

use std::time::Instant;

use tokio::sync::{mpsc, oneshot, watch};

use super::letters::Decision;
use crate::deliver::recent::Sent;
use crate::event::Seq;

/// What a worker is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::deliver) enum Course {
    /// Deliver.
    Run,
    /// Finish what is under way, and end; at that time at the latest, where there is one.
    Stop(Option<Instant>),
    /// End now; what is under way is made again by whoever takes over.
    Abandon,
}

/// What a worker is asked.
#[derive(Debug)]
pub(in crate::deliver) enum Request {
    /// To call dead letters back, or to drop them.
    Decide(Decision),
    /// How far it is with an event. What it has noted of it is sent to the state before it answers.
    Find(Seq, oneshot::Sender<Found>),
}

/// How far a worker is with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::deliver) enum Found {
    /// It has not come to it, or is at it for the first time.
    Ahead,
    /// It is done with it, as far as the state does not say otherwise; and, where it remembers, how.
    Behind(Option<Sent>),
}

/// Why something is not done: the worker has ended, or is about to.
pub(in crate::deliver) const ENDED: &str = "the subscriber is being replaced or stopped: try again";

/// The most requests that wait for a worker to hear them.
const MAX_REQUESTS: usize = 64;

/// The end of those who steer a worker.
#[derive(Debug)]
pub(in crate::deliver) struct Rein {
    course: watch::Sender<Course>,
    requests: mpsc::Sender<Request>,
}

impl Rein {
    /// Has the worker do that from now on, unless it is ending anyway. An end that was begun is only ever hastened.
    pub(in crate::deliver) fn steer(&self, course: Course) {
        self.course.send_if_modified(|now| {
            let changes = *now == Course::Run || course == Course::Abandon;
            if changes {
                *now = course;
            }
            changes
        });
    }

    /// The way by which it is asked.
    pub(in crate::deliver) fn requests(&self) -> mpsc::Sender<Request> {
        self.requests.clone()
    }
}

/// The end of the worker that is steered.
#[derive(Debug)]
pub(in crate::deliver) struct Told {
    course: watch::Receiver<Course>,
    paused: watch::Receiver<bool>,
    requests: mpsc::Receiver<Request>,
}

impl Told {
    /// What it is to do now.
    pub(in crate::deliver) fn course(&mut self) -> Course {
        let course = *self.course.borrow_and_update();
        match course {
            Course::Stop(Some(until)) if until <= Instant::now() => Course::Abandon,
            course => course,
        }
    }

    /// Whether it is to hand out nothing.
    pub(in crate::deliver) fn is_paused(&mut self) -> bool {
        *self.paused.borrow_and_update()
    }

    /// Waits until it is told something, or is asked something that it listens to. Can be dropped at any time.
    pub(in crate::deliver) async fn hear(&mut self, listens: bool) -> Option<Request> {
        tokio::select! {
            biased;
            Ok(()) = self.course.changed() => None,
            Ok(()) = self.paused.changed() => None,
            Some(request) = self.requests.recv(), if listens => Some(request),
            // Nobody is left to tell it anything.
            else => std::future::pending().await,
        }
    }
}

/// Both ends, for a name that may be paused.
pub(in crate::deliver) fn reins(paused: &watch::Sender<bool>) -> (Rein, Told) {
    let (course, told) = watch::channel(Course::Run);
    let (requests, asked) = mpsc::channel(MAX_REQUESTS);
    (Rein { course, requests }, Told { course: told, paused: paused.subscribe(), requests: asked })
}
