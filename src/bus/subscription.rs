//! One subscription of the bus: its topics, its pointer, and reading on from there.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{View, topics};
use crate::event::{Event, Millis, Seq};
use crate::journal::state::BusRow;
use crate::journal::{Hold, Journal, Position, Watch};

/// Events nobody wants that are stepped over in one read; then the reader is asked to come again.
const MAX_SKIPPED: u32 = 64 * 1024;

/// What one read takes at most, in bytes of bodies. One event is always taken.
const MAX_BYTES: usize = 4 << 20;

/// See the module.
#[derive(Debug)]
pub struct Subscription {
    id: String,
    by: Mutex<String>,
    hold: Arc<Hold>,
    /// What is read, one reader at a time: those that share a subscription share its work.
    cursor: Mutex<Cursor>,
    /// When it was last read or renewed, in milliseconds since 1970.
    used: AtomicI64,
    /// Readers that wait for news.
    readers: AtomicUsize,
}

#[derive(Debug)]
struct Cursor {
    next: Seq,
    /// As far as it was written down.
    saved: Seq,
    /// When it last handed something out.
    read: Option<Instant>,
    topics: Arc<BTreeSet<String>>,
    watch: Arc<Watch>,
    /// The watch may not have seen all that lies between `next` and the end.
    behind: bool,
}

/// What one read gave.
#[derive(Debug)]
pub struct Batch {
    /// Events with the topics they are published under, of which the subscription wants at least one.
    pub events: Vec<(Event, Vec<String>)>,
    /// There is nothing more at the moment.
    pub at_end: bool,
    /// What to wait for when there is nothing.
    pub news: News,
}

/// Tells whether something has come since a read.
#[derive(Debug)]
pub struct News {
    watch: Arc<Watch>,
    seen: u64,
}

fn watch(journal: &Journal, topics: &Arc<BTreeSet<String>>) -> Arc<Watch> {
    let topics = Arc::clone(topics);
    journal.watch(Box::new(move |topic, kind| topics::may_be(topics.iter().map(String::as_str), topic, kind)))
}

impl Subscription {
    pub(super) fn open(journal: &Journal, row: BusRow) -> Self {
        let topics = Arc::new(row.topics.into_iter().collect());
        let watch = watch(journal, &topics);
        Self {
            hold: journal.hold(row.next),
            cursor: Mutex::new(Cursor { next: row.next, saved: row.next, read: None, topics, watch, behind: true }),
            used: AtomicI64::new(row.used.0),
            readers: AtomicUsize::new(0),
            by: Mutex::new(row.by),
            id: row.id,
        }
    }

    fn cursor(&self) -> MutexGuard<'_, Cursor> {
        self.cursor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn next(&self) -> Seq {
        self.cursor().next
    }

    pub(super) fn change(&self, journal: &Journal, row: &BusRow) {
        let topics = Arc::new(row.topics.iter().cloned().collect());
        let mut cursor = self.cursor();
        let later = watch(journal, &topics);
        let earlier = std::mem::replace(&mut cursor.watch, later);
        journal.unwatch(&earlier);
        // Whoever waits for news of the old topics looks again.
        earlier.dismiss();
        cursor.topics = topics;
        cursor.behind = true;
        drop(cursor);
        row.by.clone_into(&mut self.by.lock().unwrap_or_else(PoisonError::into_inner));
        self.touch(row.used);
    }

    pub(super) fn close(&self, journal: &Journal) {
        let watch = Arc::clone(&self.cursor().watch);
        journal.unwatch(&watch);
        watch.dismiss();
        journal.release(&self.hold);
    }

    pub(super) fn has(&self, topic: &str) -> bool {
        self.cursor().topics.contains(topic)
    }

    /// Somebody has shown that it is still wanted.
    pub fn touch(&self, now: Millis) {
        self.used.fetch_max(now.0, Ordering::Relaxed);
    }

    pub(super) fn used(&self) -> Millis {
        Millis(self.used.load(Ordering::Relaxed))
    }

    pub(super) fn is_read(&self) -> bool {
        self.readers.load(Ordering::Relaxed) > 0
    }

    /// What is to be written down, if anything has changed since the last time.
    pub(super) fn unsaved(&self, rest: Duration) -> Option<(BusRow, Arc<Hold>)> {
        let mut cursor = self.cursor();
        if cursor.saved == cursor.next || cursor.read.is_some_and(|at| at.elapsed() < rest) {
            return None;
        }
        cursor.saved = cursor.next;
        let row = BusRow {
            id: self.id.clone(),
            topics: cursor.topics.iter().cloned().collect(),
            next: cursor.next,
            used: self.used(),
            by: self.by.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        };
        Some((row, Arc::clone(&self.hold)))
    }

    pub(super) fn view(&self) -> View {
        let cursor = self.cursor();
        View {
            id: self.id.clone(),
            topics: cursor.topics.iter().cloned().collect(),
            next: cursor.next,
            used: self.used(),
            waiting: self.readers.load(Ordering::Relaxed),
        }
    }

    /// Takes what is next, at most `max` publications, and moves the pointer past it. Reads the disk: not for a runtime's
    /// thread. `usable`: whether an event can be handed out at all; one that cannot is passed over.
    ///
    /// # Errors
    /// When the journal cannot be read; the pointer stays.
    pub fn read(&self, journal: &Journal, max: usize, usable: &dyn Fn(&Event) -> bool) -> io::Result<Batch> {
        let mut cursor = self.cursor();
        // Before anything is read: what comes in between is news.
        let news = News { seen: cursor.watch.matched(), watch: Arc::clone(&cursor.watch) };
        let mut batch = Batch { events: Vec::new(), at_end: false, news };
        let offer = cursor.watch.take_offer().filter(|offer| !cursor.behind && offer.seq >= cursor.next);
        let from = offer.unwrap_or(Position { seq: cursor.next, place: None });
        let mut reader = journal.reader(from);
        let wanted = Arc::clone(&cursor.topics);
        let (mut publications, mut bytes, mut skipped) = (0, 0, 0);
        let mut next = cursor.next;
        loop {
            let mut wants = |topic: &str, kind: Option<&str>| {
                skipped += 1;
                topics::may_be(wanted.iter().map(String::as_str), topic, kind)
            };
            let Some(found) = reader.next(&mut wants)? else {
                next = next.max(reader.next_seq());
                batch.at_end = reader.at_end();
                if batch.at_end || skipped > MAX_SKIPPED {
                    break;
                }
                continue;
            };
            let event = found.event;
            let mut names = topics::published(&event);
            names.retain(|name| wanted.contains(name));
            let notified = event.headers.iter().any(|(name, id)| name == topics::NOTIFIED && id == self.id.as_bytes());
            if names.is_empty() || notified || !usable(&event) {
                next = next.max(reader.next_seq());
                continue;
            }
            if publications + names.len() > max || publications > 0 && bytes + event.body.len() > MAX_BYTES {
                break;
            }
            publications += names.len();
            bytes += event.body.len();
            next = next.max(reader.next_seq());
            batch.events.push((event, names));
            if publications == max {
                break;
            }
        }
        cursor.next = next;
        if !batch.events.is_empty() {
            cursor.read = Some(Instant::now());
        }
        // At the end everything so far was read or offered; anywhere else the next offer may be far ahead.
        cursor.behind = !batch.at_end;
        Ok(batch)
    }

    /// Waits until there may be something that the read which gave `news` did not see.
    pub async fn wait(&self, news: News) {
        let reading = Reading::new(&self.readers);
        news.watch.news(news.seen).await;
        drop(reading);
    }
}

/// Counts a reader for as long as it waits.
struct Reading<'a>(&'a AtomicUsize);

impl<'a> Reading<'a> {
    fn new(readers: &'a AtomicUsize) -> Self {
        readers.fetch_add(1, Ordering::Relaxed);
        Self(readers)
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
