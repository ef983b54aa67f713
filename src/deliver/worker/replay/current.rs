//! One replay as it is worked off: what is read, what is ready, what is under way, and what the cursor has passed.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Instant;

use super::super::{CRASHES, MAX_BATCH_BYTES};
use crate::deliver::pace::{self, Meter};
use crate::deliver::replay::Taken;
use crate::event::Seq;
use crate::journal::lookup::{Query, Stretches};
use crate::journal::state::{Cursor, Replay, Tally};
use crate::journal::{Hold, Journal, Position, Reader, Recorded};
use crate::sink::Delivery;

/// Events that are read at a time, and the most in one call of a sink: what is new waits for no more than that.
pub(super) const BATCH: usize = 64;

/// The most events that are read and not passed by the cursor: what a crash may repeat.
const WINDOW: usize = 1024;

/// What became of an event of a replay that the cursor has not passed.
enum Fate {
    Ready,
    UnderWay(Position),
    Handled { refused: bool },
}

pub(super) struct Current {
    pub id: u64,
    pub until: Seq,
    rate: Option<u32>,
    pub query: Query,
    pub hold: Arc<Hold>,
    stretches: Arc<Stretches>,
    /// Where to go on looking for events that are owed or dead and not in the log any more; `None`: nowhere.
    pub kept: Option<Seq>,
    /// The stretch that is being read or comes next.
    at: usize,
    /// The reader is in it.
    entered: bool,
    reader: Reader,
    /// Everything before this was read, or is of no interest.
    next: Seq,
    /// Read, and not to be handed out yet.
    peeked: Option<Recorded>,
    /// What can be handed out, each with the number of its attempt.
    ready: VecDeque<(Recorded, u32)>,
    window: BTreeMap<Seq, Fate>,
    /// Calls of the sink that are under way.
    calls: usize,
    meter: Meter,
    pub cursor: Cursor,
    pub tally: Tally,
    /// How it was last noted.
    noted: (Cursor, Tally, Tally),
    /// Events before this were under way at a crash that may be their fault.
    pub suspect_until: Seq,
    cancelled: bool,
}

impl Current {
    pub(super) fn new(taken: Taken, journal: &Journal) -> Self {
        let Taken { replay, hold, stretches } = taken;
        let Replay { id, selection, rate, mut cursor, tally, .. } = replay;
        let tried = cursor.begun.min(selection.until);
        if tried > cursor.next {
            cursor.crashes = cursor.crashes.saturating_add(1);
        }
        let suspect_until = if cursor.crashes >= CRASHES { tried } else { Seq(0) };
        // So that the crashes are noted with the first that is handed out.
        cursor.begun = cursor.next;
        Self {
            id,
            until: selection.until,
            rate,
            // It was read when the replay was asked for.
            query: Query::new(selection.terms()).unwrap_or_default(),
            hold,
            stretches,
            kept: Some(cursor.next),
            at: 0,
            entered: false,
            reader: journal.reader(Position { seq: cursor.next, place: None }),
            next: cursor.next,
            peeked: None,
            ready: VecDeque::new(),
            window: BTreeMap::new(),
            calls: 0,
            meter: Meter::default(),
            cursor,
            tally,
            noted: (cursor, tally, Tally::default()),
            suspect_until,
            cancelled: false,
        }
    }

    /// Reads on, not beyond `bound`. Answers what was found, and whether there is more to look at right away.
    pub(super) fn read(
        &mut self,
        bound: Seq,
        wants: impl Fn(&str, Option<&str>) -> bool,
    ) -> io::Result<(Vec<Recorded>, bool)> {
        let bound = bound.min(self.until);
        let (mut found, mut bytes) = (Vec::new(), 0);
        while found.len() < BATCH && bytes < MAX_BATCH_BYTES {
            let recorded = if let Some(peeked) = self.peeked.take() {
                peeked
            } else {
                let Some(stretch) = self.stretches.stretches.get(self.at) else {
                    self.next = self.until;
                    break;
                };
                if self.next > stretch.last {
                    self.at += 1;
                    self.entered = false;
                    continue;
                }
                // What is behind damage may have been read already.
                if !std::mem::replace(&mut self.entered, true) && self.next <= stretch.first.seq {
                    self.next = stretch.first.seq;
                    self.reader.seek(stretch.first);
                }
                if self.next >= bound {
                    break;
                }
                let query = &self.query;
                match self.reader.next(&mut |topic, kind| wants(topic, kind) && query.wants(topic, kind)) {
                    Ok(Some(recorded)) => recorded,
                    Ok(None) => {
                        self.next = self.reader.next_seq();
                        return Ok((found, !self.reader.at_end()));
                    }
                    // What was found counts; the rest is tried again.
                    Err(_) if !found.is_empty() => break,
                    Err(error) => return Err(error),
                }
            };
            let event = &recorded.event;
            if event.seq >= bound {
                self.next = event.seq;
                self.peeked = Some(recorded);
                break;
            }
            self.next = event.seq.next();
            if self.query.takes(event) {
                bytes += event.body.len();
                found.push(recorded);
            }
        }
        Ok((found, false))
    }

    /// Forgets that anything from there on was read.
    pub(super) fn read_again(&mut self, from: Position) {
        self.peeked = None;
        self.next = from.seq;
        self.reader.seek(from);
        self.at = self.stretches.stretches.partition_point(|stretch| stretch.last < from.seq);
        self.entered = true;
    }

    /// Moves the cursor past what has been handled.
    fn pass(&mut self) {
        while let Some(entry) = self.window.first_entry() {
            let Fate::Handled { refused } = *entry.get() else { break };
            entry.remove();
            self.tally.done += 1;
            self.tally.failed += u64::from(refused);
        }
        let next = self.window.keys().next().map_or(self.next, |first| self.next.min(*first));
        if next > self.cursor.next {
            self.cursor.crashes = 0;
        }
        self.cursor.next = next;
        self.cursor.begun = self.cursor.begun.max(next);
    }

    /// What was handled behind the cursor.
    fn ahead(&self) -> Tally {
        let mut ahead = Tally::default();
        for fate in self.window.values() {
            if let Fate::Handled { refused } = *fate {
                ahead.done += 1;
                ahead.failed += u64::from(refused);
            }
        }
        ahead
    }

    /// Whether nothing is left to be done.
    pub(super) fn is_over(&mut self) -> bool {
        self.pass();
        let all = self.cancelled || self.is_read();
        all && self.calls == 0 && self.window.is_empty()
    }

    /// The next batch, as large as its rate allows.
    pub(super) fn batch(&self, size: usize) -> (usize, u32) {
        let at_a_time = self.rate.map_or(BATCH, |rate| (rate as usize / 10).clamp(1, BATCH));
        let (mut bytes, mut cost) = (0, 0_u32);
        let mut count = 0;
        for (recorded, _) in self.ready.iter().take(size.min(at_a_time)) {
            if bytes >= MAX_BATCH_BYTES {
                break;
            }
            count += 1;
            bytes += recorded.event.body.len();
            cost = cost.saturating_add(pace::cost(recorded.event.body.len()));
        }
        (count, cost)
    }

    /// Whether everything was read.
    pub(super) fn is_read(&self) -> bool {
        self.next >= self.until
    }

    /// Whether another call of the sink may begin, of at most so many.
    pub(super) fn has_room(&self, calls: usize) -> bool {
        !self.cancelled && self.calls < calls
    }

    /// Whether events should be read.
    pub(super) fn wants_more(&self) -> bool {
        self.ready.is_empty() && self.window.len() < WINDOW
    }

    /// Whether its own rate lets something go, or when to ask again.
    pub(super) fn leave(&self, now: Instant) -> Result<(), Instant> {
        self.meter.leave(now)
    }

    /// Takes the first of what is ready.
    pub(super) fn take(&mut self, now: Instant, count: usize) -> Vec<Delivery> {
        if let Some(rate) = self.rate {
            self.meter.take(now, u32::try_from(count).unwrap_or(u32::MAX), rate);
        }
        self.calls += 1;
        let mut batch = Vec::with_capacity(count);
        for (Recorded { event, position }, attempt) in self.ready.drain(..count) {
            self.window.insert(event.seq, Fate::UnderWay(position));
            batch.push(Delivery { event, attempt, span: None });
        }
        batch
    }

    /// An event is about to be handed out. Answers whether that is to be noted before; then so many more are noted
    /// with it.
    pub(super) fn begins(&mut self, seq: Seq, ahead: u64) -> bool {
        let is_news = seq >= self.cursor.begun;
        if is_news {
            self.cursor.begun = Seq(seq.0 + ahead);
        }
        is_news
    }

    /// An event is ready to be handed out.
    pub(super) fn make_ready(&mut self, recorded: Recorded, attempt: u32) {
        self.window.insert(recorded.event.seq, Fate::Ready);
        self.ready.push_back((recorded, attempt));
    }

    /// An event is seen to elsewhere.
    pub(super) fn pass_over(&mut self, seq: Seq) {
        self.window.insert(seq, Fate::Handled { refused: false });
    }

    /// Some events that are not in the log any more, and were counted as gone, are seen to. `next`: where to go on.
    pub(super) fn kept_handled(&mut self, count: u64, next: Option<Seq>) {
        self.kept = next;
        self.tally.done += count;
        self.tally.gone = self.tally.gone.saturating_sub(count);
    }

    /// A call that began with this event has ended.
    pub(super) fn call_ended(&mut self, first: Seq) {
        self.calls -= usize::from(matches!(self.window.get(&first), Some(Fate::UnderWay(_))));
    }

    /// A delivery has ended. Answers the event's place if it was one of this replay.
    pub(super) fn ended(&mut self, seq: Seq, refused: bool) -> Option<Position> {
        let fate = self.window.get_mut(&seq)?;
        let Fate::UnderWay(position) = *fate else { return None };
        *fate = Fate::Handled { refused };
        Some(position)
    }

    /// Hands out nothing more.
    pub(super) fn cancel(&mut self) {
        self.cancelled = true;
        for (recorded, _) in self.ready.drain(..) {
            self.window.remove(&recorded.event.seq);
        }
    }

    /// Nothing of it is suspect at the next start.
    pub(super) fn end_in_order(&mut self) {
        self.pass();
        (self.cursor.begun, self.cursor.crashes) = (Seq(0), 0);
    }

    /// How far it is, and what was handled behind the cursor, if that is not what was answered last.
    pub(super) fn news(&mut self) -> Option<(Cursor, Tally, Tally)> {
        self.pass();
        let state = (self.cursor, self.tally, self.ahead());
        (std::mem::replace(&mut self.noted, state) != state).then_some(state)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tempfile::TempDir;

    use super::*;
    use crate::event::{Incoming, Millis};
    use crate::journal::disk::RealDisk;
    use crate::journal::state::{ReplayState, Selection};
    use crate::journal::{Draft, Opening, Record, Settings, Stepped, Sync};
    use crate::validate::{Options, Validator, Verdict};

    const DAY: Duration = Duration::from_secs(86_400);

    fn record(topic: &str, kind: &str, time: Millis) -> Record {
        let (target, headers) = (String::new(), http::HeaderMap::new());
        let body = vec![b'x'; 50].into();
        let incoming = Incoming { method: http::Method::POST, target, headers, body, time, client: None };
        let open = Validator::build("none", Options::default(), Vec::new()).expect("it needs nothing");
        let Verdict::Genuine(request) = open.check(incoming, time) else { panic!("it takes everything") };
        let draft = Draft { request: &request, topic, kind: Some(kind), delivery_id: None, key: [0; 16] };
        Record::new(draft, |_| ()).expect("small enough")
    }

    /// A journal of many small segments with 400 events: the type of every third is `a`, and from 201 to 300 none.
    fn journal(folder: &TempDir) -> Stepped {
        let disk = RealDisk::open(folder.path()).expect("it opens");
        let settings =
            Settings { path: "unused".into(), sync: Sync::Never, retain_age: DAY, retain_size: 1 << 40, min_free: 0 };
        let opening = Opening { dedupe: DAY, floor: Seq(0), now: Millis(0) };
        let mut stepped = Stepped::open(Arc::new(disk), &settings, opening, 4096).expect("the journal opens");
        for n in 1..=400_i64 {
            let kind = if n % 3 == 0 && !(201..=300).contains(&n) { "a" } else { "b" };
            stepped.journal.append(record("topic", kind, Millis(n)), None).expect("taken");
            assert!(stepped.write());
        }
        stepped
    }

    fn current(journal: &Journal, selection: Selection) -> Current {
        let query = Query::new(selection.terms()).expect("good terms");
        let stretches = journal.stretches(selection.from.0..selection.until.0, &query, &|_, _| true);
        let cursor = Cursor { next: selection.from, begun: selection.from, crashes: 0 };
        let replay = Replay {
            id: 1,
            subscriber: "ci".into(),
            selection,
            rate: None,
            started: Millis(0),
            ended: None,
            state: ReplayState::Running,
            cursor,
            total: Some(stretches.count),
            tally: Tally::default(),
        };
        Current::new(Taken { replay, hold: journal.hold(Seq(1)), stretches: Arc::new(stretches) }, journal)
    }

    fn seqs(found: &[Recorded]) -> Vec<u64> {
        found.iter().map(|recorded| recorded.event.seq.0).collect()
    }

    #[test]
    fn everything_that_is_meant_is_read_once_and_nothing_beyond_the_bound() {
        let folder = TempDir::new().expect("a folder");
        let stepped = journal(&folder);
        let all = Selection { from: Seq(10), until: Seq(390), ..Selection::default() };
        let late = Selection { since: Some(Millis(150)), until_time: Some(Millis(350)), ..all.clone() };
        for selection in [all.clone(), Selection { kind: Some("a".into()), ..all }, late, Selection::one(Seq(77))] {
            let query = Query::new(selection.terms()).expect("good terms");
            let is_meant = |seq: &u64| {
                let event = stepped.journal.event(Seq(*seq)).expect("readable").expect("it is there");
                query.takes(&event)
            };
            let expected: Vec<u64> = (selection.from.0..selection.until.0).filter(is_meant).collect();
            let mut current = current(&stepped.journal, selection.clone());
            let (mut read, mut bound) = (Vec::new(), 20);
            for turn in 0.. {
                let (found, more) = current.read(Seq(bound), |_, _| true).expect("readable");
                assert!(found.len() <= BATCH && seqs(&found).iter().all(|seq| *seq < bound), "{found:?}");
                if let Some(first) = found.first().filter(|_| turn % 2 == 0) {
                    current.read_again(first.position);
                    continue;
                }
                if current.is_read() && found.is_empty() {
                    break;
                }
                bound += if found.is_empty() && !more { 37 } else { 0 };
                read.extend(seqs(&found));
            }
            assert_eq!(read, expected, "{selection:?}");
        }
    }

    #[test]
    fn the_cursor_passes_what_is_handled_and_nothing_else() {
        let folder = TempDir::new().expect("a folder");
        let stepped = journal(&folder);
        let mut current = current(&stepped.journal, Selection { from: Seq(1), until: Seq(7), ..Selection::default() });
        let (found, _) = current.read(Seq(100), |_, _| true).expect("readable");
        assert_eq!(seqs(&found), [1, 2, 3, 4, 5, 6]);
        for recorded in found {
            if recorded.event.seq == Seq(2) { current.pass_over(Seq(2)) } else { current.make_ready(recorded, 1) }
        }
        assert!(current.begins(Seq(1), 1024) && !current.begins(Seq(1024), 1024) && current.begins(Seq(1025), 0));
        let now = Instant::now();
        let batch: Vec<u64> = current.take(now, 3).iter().map(|delivery| delivery.event.seq.0).collect();
        assert_eq!((batch, current.calls), (vec![1, 3, 4], 1));
        let figures = |current: &mut Current| {
            current.news().map(|(cursor, tally, ahead)| [cursor.next.0, tally.done, tally.failed, ahead.done])
        };
        assert_eq!(figures(&mut current), Some([1, 0, 0, 1]));
        assert_eq!(figures(&mut current), None, "nothing is new");
        current.call_ended(Seq(1));
        assert!(current.ended(Seq(3), true).is_some() && current.ended(Seq(2), true).is_none());
        assert_eq!(current.ended(Seq(3), true), None, "it is not under way any more");
        assert_eq!(figures(&mut current), Some([1, 0, 0, 2]));
        assert!(current.ended(Seq(1), false).is_some());
        assert_eq!(figures(&mut current), Some([4, 3, 1, 0]), "the fourth is under way");
        current.cancel();
        assert!(!current.is_over() && !current.has_room(9), "what is under way is waited for");
        assert!(current.ended(Seq(4), false).is_some());
        assert!(current.is_over());
        assert_eq!(figures(&mut current), Some([7, 4, 1, 0]), "what was ready does not count as handled");
    }
}
