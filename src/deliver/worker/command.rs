//! What a worker is told while it works: what it is to do stands until it is told otherwise.

use std::time::Instant;

use tokio::sync::watch;

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

/// The end of those who steer a worker.
#[derive(Debug)]
pub(in crate::deliver) struct Rein {
    course: watch::Sender<Course>,
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
}

/// The end of the worker that is steered.
#[derive(Debug)]
pub(in crate::deliver) struct Told {
    course: watch::Receiver<Course>,
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

    /// Waits until it is told something.
    pub(in crate::deliver) async fn changed(&mut self) {
        if self.course.changed().await.is_err() {
            // Nobody is left to tell it anything.
            std::future::pending().await
        }
    }
}

/// Both ends.
pub(in crate::deliver) fn reins() -> (Rein, Told) {
    let (course, told) = watch::channel(Course::Run);
    (Rein { course }, Told { course: told })
}
