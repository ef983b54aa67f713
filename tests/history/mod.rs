//! A random history of one journal: events offered, written, read, retired; the process killed, the power cut.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use forebay::event::{Event, EventId, Millis, Seq};
use forebay::journal::{Hold, Journal, Keeper, Opening, Position, Reader, Settings, Stepped, Sync, Ticket};

use crate::ledger::{Ledger, Wrong};
use crate::lying_disk::{Lie, LyingDisk};
use crate::offered_events::{BEGIN, DAY, Dice, Offered, settings};
use crate::simulated_disk::SimulatedDisk;

/// What is played.
#[derive(Debug, Clone)]
pub(crate) struct Course {
    pub(crate) seed: u64,
    pub(crate) sync: Sync,
    pub(crate) lie: Option<Lie>,
}

impl Course {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, sync: Sync::Always, lie: None }
    }
}

/// How often what happened.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) recorded: u64,
    pub(crate) cuts: u64,
    /// Cuts in the middle of something.
    pub(crate) cuts_within: u64,
    pub(crate) kills: u64,
    /// The process alone ended in the middle of something.
    pub(crate) kills_within: u64,
    pub(crate) closes: u64,
    pub(crate) duplicates: u64,
    pub(crate) rolls: u64,
    pub(crate) recycled: u64,
    pub(crate) retired: u64,
    pub(crate) kept: u64,
    pub(crate) huge: u64,
    /// Events that nobody was promised, and that were there all the same.
    pub(crate) unpromised: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.recorded += other.recorded;
        self.cuts += other.cuts;
        self.cuts_within += other.cuts_within;
        self.kills += other.kills;
        self.kills_within += other.kills_within;
        self.closes += other.closes;
        self.duplicates += other.duplicates;
        self.rolls += other.rolls;
        self.recycled += other.recycled;
        self.retired += other.retired;
        self.kept += other.kept;
        self.huge += other.huge;
        self.unpromised += other.unpromised;
    }
}

struct Running {
    stepped: Stepped,
    tickets: Vec<(Ticket, EventId)>,
    tail: Reader,
    hold: Arc<Hold>,
    /// The epoch of this start, and whether something was recorded in it.
    epoch: u64,
}

impl Running {
    fn journal(&self) -> &Journal {
        &self.stepped.journal
    }
}

struct History {
    course: Course,
    dice: Dice,
    disk: SimulatedDisk,
    settings: Settings,
    window: Duration,
    segment: u64,
    now: Millis,
    offers: u64,
    ledger: Ledger,
    tally: Tally,
}

/// Plays a history.
///
/// # Errors
/// What was promised and not kept.
pub(crate) fn play(course: &Course) -> Result<Tally, Wrong> {
    let mut dice = Dice(course.seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x5eed);
    let segment = 4096 * (1 + dice.below(3));
    let mut settings = settings();
    settings.sync = course.sync;
    if !dice.one_in(3) {
        settings.retain_size = segment * (2 + dice.below(4));
    }
    if dice.one_in(3) {
        settings.retain_age = Duration::from_secs(200);
    }
    let window = if dice.one_in(2) { Duration::from_secs(300) } else { 30 * DAY };
    let mut history = History {
        course: course.clone(),
        disk: SimulatedDisk::new(),
        settings,
        window,
        segment,
        now: BEGIN,
        offers: 0,
        ledger: Ledger::new(window),
        tally: Tally::default(),
        dice,
    };
    let mut running = history.open()?;
    for _ in 0..60 {
        running = history.act(running)?;
    }
    running = history.write(running)?;
    drop(running);
    history.disk.power_cut(&mut history.dice);
    running = history.open()?;
    history.probe_all(&running)?;
    history.tally.unpromised = history.ledger.unpromised();
    history.tally.recorded = history.ledger.recorded();
    Ok(history.tally)
}

impl History {
    fn act(&mut self, mut running: Running) -> Result<Running, Wrong> {
        self.now = Millis(self.now.0 + i64::try_from(self.dice.below(20_000)).expect("small"));
        match self.dice.below(100) {
            0..40 => {
                for _ in 0..=self.dice.below(6) {
                    self.append(&mut running)?;
                }
                Ok(running)
            }
            40..68 => self.write(running),
            68..78 => self.sweep(running),
            78..84 => self.follow(running),
            84..87 => self.check(running),
            87..91 => {
                self.tally.kills += 1;
                drop(running);
                self.open()
            }
            91..93 => {
                self.tally.closes += 1;
                running = self.write(running)?;
                running.stepped.close();
                self.open()
            }
            93..96 => {
                drop(running);
                self.cut();
                self.open()
            }
            _ => {
                self.disk.cut_after(self.dice.below(15));
                Ok(running)
            }
        }
    }

    fn cut(&mut self) {
        self.tally.cuts += 1;
        self.disk.power_cut(&mut self.dice);
    }

    /// Everything stopped in the middle of something: the power went, or just the process.
    fn stopped_within(&mut self) {
        if self.dice.one_in(3) {
            self.tally.kills_within += 1;
            self.disk.kill();
        } else {
            self.tally.cuts_within += 1;
            self.cut();
        }
    }

    /// If the power went in the middle of what was just done: starts again.
    fn survive(&mut self, running: Running) -> Result<Running, Wrong> {
        if self.disk.is_powered() {
            return Ok(running);
        }
        drop(running);
        self.stopped_within();
        self.open()
    }

    /// Starts the journal, as often as it takes.
    fn open(&mut self) -> Result<Running, Wrong> {
        loop {
            if self.dice.one_in(4) {
                self.disk.cut_after(self.dice.below(40));
            }
            let mut disk = self.disk.mount();
            if let Some(lie) = self.course.lie {
                disk = LyingDisk::between(disk, lie);
            }
            let opening = Opening { dedupe: self.window, floor: Seq(0), now: self.now };
            let opened = Stepped::open(disk, &self.settings, opening, self.segment);
            if self.disk.is_powered() {
                let stepped = opened.map_err(|error| format!("cannot open: {error}"))?;
                let tail = stepped.journal.reader(Position { seq: Seq(self.dice.below(20)), place: None });
                let hold = stepped.journal.hold(Seq(self.ledger.held));
                let mut running = Running { stepped, tickets: Vec::new(), tail, hold, epoch: 0 };
                running.epoch = self.newest_head(&running)?;
                if self.check_once(&running)? {
                    return Ok(running);
                }
                continue;
            }
            drop(opened);
            self.stopped_within();
        }
    }

    /// The epoch of the newest segment, whose head must also name the journal.
    fn newest_head(&mut self, running: &Running) -> Result<u64, Wrong> {
        let names = self.disk.file_names();
        let newest = names.iter().rfind(|name| !name.starts_with("spare-") && name.strip_suffix(".log").is_some());
        let head = newest.and_then(|name| self.disk.content(name)).ok_or("no segment after opening")?;
        let id = running.journal().id();
        if head.get(16..32) != Some(&id.as_bytes()[..]) {
            return Err(format!("the newest segment does not belong to journal {id}"));
        }
        let epoch = u64::from_le_bytes(head[32..40].try_into().expect("eight"));
        self.ledger.started(id, epoch)?;
        Ok(epoch)
    }

    fn append(&mut self, running: &mut Running) -> Result<(), Wrong> {
        let repeat = self.dice.one_in(4).then(|| self.ledger.any(&mut self.dice)).flatten();
        let offered = if let Some(earlier) = repeat {
            Offered { time: self.now, ..earlier }
        } else {
            self.offers += 1;
            let length = match self.dice.below(20) {
                0 => self.segment + self.dice.below(9000),
                1..4 => self.dice.below(self.segment),
                4..8 => 0,
                _ => self.dice.below(600),
            };
            let n = self.course.seed.wrapping_mul(1_000_003).wrapping_add(self.offers);
            Offered::new(n, usize::try_from(length).expect("small"), self.now)
        };
        self.offer(running, offered)
    }

    fn offer(&mut self, running: &mut Running, offered: Offered) -> Result<(), Wrong> {
        let record = offered.record();
        let id = record.id();
        let dedupe = offered.delivery_id.is_some().then_some(self.window);
        match running.journal().append(record, dedupe) {
            Ok(appended) if appended.duplicate => {
                self.tally.duplicates += 1;
                self.ledger.duplicate(&offered, appended.id)?;
                running.tickets.push((appended.ticket, appended.id));
            }
            Ok(appended) => {
                self.ledger.offered(id, offered)?;
                running.tickets.push((appended.ticket, appended.id));
            }
            Err(refused) if self.disk.is_powered() => return Err(format!("refused for no reason: {refused:?}")),
            Err(_) => {}
        }
        Ok(())
    }

    fn write(&mut self, mut running: Running) -> Result<Running, Wrong> {
        let before = self.disk.file_names().len();
        let can_go_on = running.stepped.write();
        let powered = self.disk.is_powered();
        for (ticket, id) in running.tickets.drain(..) {
            match running.stepped.journal.commit().outcome(ticket) {
                Some(Ok(())) => {
                    self.tally.huge += u64::from(self.ledger.recorded_one(id, running.epoch, self.segment));
                }
                outcome if powered => return Err(format!("a ticket came to {outcome:?} although nothing failed")),
                _ => {}
            }
        }
        if powered && !can_go_on {
            return Err("the writer gave up although nothing failed".into());
        }
        self.tally.rolls += u64::from(self.disk.file_names().len() > before);
        self.survive(running)
    }

    /// Reads some events at the tail.
    fn follow(&mut self, mut running: Running) -> Result<Running, Wrong> {
        for _ in 0..self.dice.below(12) {
            let next = running.tail.next_seq();
            match running.tail.next(&mut |_, _| true) {
                Ok(Some(recorded)) => self.ledger.saw(next, &recorded.event, running.epoch)?,
                Err(error) if self.disk.is_powered() => return Err(format!("reading failed: {error}")),
                Ok(None) | Err(_) => break,
            }
        }
        self.survive(running)
    }

    fn check(&mut self, running: Running) -> Result<Running, Wrong> {
        if self.check_once(&running)? {
            return Ok(running);
        }
        drop(running);
        self.open()
    }

    /// Reads everything. Answers false if the power went meanwhile; it is back then.
    fn check_once(&mut self, running: &Running) -> Result<bool, Wrong> {
        let read = self.ledger.read_all(running.journal(), &mut self.dice, running.epoch);
        if self.disk.is_powered() {
            return read.map(|()| true);
        }
        self.stopped_within();
        Ok(false)
    }

    fn sweep(&mut self, running: Running) -> Result<Running, Wrong> {
        // Until everything that is durable has been read once, the ledger does not know what may go.
        let mut running = self.check(running)?;
        self.ledger.held += self.dice.below(self.ledger.end() + 1 - self.ledger.held);
        running.hold.advance(Seq(self.ledger.held));
        let before = running.journal().earliest().0;
        let keeper = Owed::default();
        running.stepped.sweep(&keeper, self.now);
        if self.disk.is_powered() {
            let after = running.journal().earliest().0;
            self.tally.retired += u64::from(after > before);
            let kept = keeper.0.into_inner().unwrap_or_default();
            self.tally.kept += kept.len() as u64;
            self.ledger.retired(before..after, &kept, OWED)?;
            self.tally.recycled += u64::from(self.disk.file_names().iter().any(|name| name.starts_with("spare-")));
        }
        self.survive(running)
    }

    /// Every delivery that was promised is recognised.
    fn probe_all(&mut self, running: &Running) -> Result<(), Wrong> {
        for offered in self.ledger.remembered(self.now) {
            let again = Offered { time: self.now, ..offered };
            match running.journal().append(again.record(), Some(self.window)) {
                Ok(appended) if appended.duplicate => self.ledger.duplicate(&again, appended.id)?,
                other => return Err(format!("{:?} was recorded and is not recognised: {other:?}", again.delivery_id)),
            }
        }
        Ok(())
    }
}

/// Every so many-th event is owed to somebody when its segment goes.
const OWED: u64 = 5;

/// Stands for the state beside the log.
#[derive(Default)]
struct Owed(Mutex<Vec<Event>>);

impl Keeper for Owed {
    fn needed(&self, range: std::ops::Range<u64>) -> Result<Vec<u64>, String> {
        Ok(range.filter(|seq| seq % OWED == 0).collect())
    }

    fn keep(&self, events: &[Event]) -> Result<(), String> {
        self.0.lock().map_err(|error| error.to_string())?.extend_from_slice(events);
        Ok(())
    }
}
