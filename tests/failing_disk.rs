//! A disk whose n-th write, sync or directory operation fails, once; and a disk that is full for a while.

mod ledger;
mod offered_events;
mod simulated_disk;

use forebay::event::{Millis, Seq};
use forebay::journal::{NotRecorded, Position, Refused, Settings, Stepped, Ticket};

use ledger::Ledger;
use offered_events::{BEGIN, DAY, Dice, Offered, opening, settings};
use simulated_disk::{Fault, Operation, SimulatedDisk};

const SEGMENT: u64 = 8192;

/// A journal on a failing disk, and what is known of it.
struct Trial {
    disk: SimulatedDisk,
    settings: Settings,
    ledger: Ledger,
    dice: Dice,
    now: Millis,
    epoch: u64,
    offers: u64,
}

/// What became of a batch.
#[derive(Default)]
struct Batch {
    recorded: usize,
    turned_away: Vec<Offered>,
    /// A write or sync has failed.
    broken: bool,
    refused: Option<Refused>,
}

impl Trial {
    fn new(seed: u64, settings: Settings) -> Self {
        let (disk, ledger) = (SimulatedDisk::new(), Ledger::new(30 * DAY));
        Self { disk, settings, ledger, dice: Dice(seed), now: BEGIN, epoch: 0, offers: 0 }
    }

    fn open(&mut self) -> Option<Stepped> {
        self.epoch += 1;
        Stepped::open(self.disk.mount(), &self.settings, opening(self.now), SEGMENT).ok()
    }

    fn fresh(&mut self) -> Offered {
        self.offers += 1;
        self.now = Millis(self.now.0 + 1000);
        let length = if self.dice.one_in(15) { SEGMENT + 100 } else { self.dice.below(900) };
        Offered::new(self.offers, usize::try_from(length).expect("small"), self.now)
    }

    /// Offers events as one batch and has it written.
    fn batch(&mut self, stepped: &mut Stepped, offers: Vec<Offered>) -> Batch {
        let mut result = Batch::default();
        let mut tickets: Vec<(Ticket, _, Offered)> = Vec::new();
        for offered in offers {
            match stepped.journal.append(offered.record(), Some(30 * DAY)) {
                Ok(appended) => {
                    assert!(!appended.duplicate, "event {} was never recorded", offered.header);
                    self.ledger.offered(appended.id, offered.clone()).expect("offered once");
                    tickets.push((appended.ticket, appended.id, offered));
                }
                Err(refused) => result.refused = Some(refused),
            }
        }
        result.broken = !stepped.write();
        for (ticket, id, offered) in tickets {
            match stepped.journal.commit().outcome(ticket).expect("known after the write") {
                Ok(()) => {
                    self.ledger.recorded_one(id, self.epoch, SEGMENT);
                    result.recorded += 1;
                }
                Err(NotRecorded::NoSpace) => result.turned_away.push(offered),
                Err(NotRecorded::Broken) => assert!(result.broken, "nothing was broken"),
            }
        }
        result
    }

    fn sweep(&mut self, stepped: &mut Stepped) {
        stepped.sweep(&(), self.now);
        self.ledger.held = self.ledger.held.max(stepped.journal.earliest().0);
    }

    fn check(&mut self, stepped: &Stepped, when: &str) {
        let read = self.ledger.read_all(&stepped.journal, &mut self.dice, self.epoch);
        read.unwrap_or_else(|wrong| panic!("{when}: {wrong}"));
    }
}

/// What a fault did to the journal.
#[derive(Debug, PartialEq, Eq)]
enum Effect {
    /// It never came.
    None,
    NotOpened,
    TurnedAway,
    Broken,
    /// Nothing that could be seen.
    Unnoticed,
}

/// Plays until the fault has come and a little further, then starts again twice.
fn play(fault: Fault, power_cut: bool) -> Effect {
    let mut settings = settings();
    settings.retain_size = 6 * SEGMENT;
    let mut trial = Trial::new(fault.nth, settings);
    trial.disk.fail(fault);
    let mut effect = Effect::None;
    let mut opened = trial.open();
    if opened.is_none() {
        assert!(!trial.disk.fault_is_pending(), "not opened for no reason");
        effect = Effect::NotOpened;
        opened = trial.open();
    }
    let mut stepped = opened.expect("a fault comes only once");
    let mut after = 0;
    for step in 0..160 {
        let offers = (0..=trial.dice.below(3)).map(|_| trial.fresh()).collect();
        let pending = trial.disk.fault_is_pending();
        let batch = trial.batch(&mut stepped, offers);
        if pending && !trial.disk.fault_is_pending() && effect == Effect::None {
            effect = Effect::Unnoticed;
        }
        if batch.broken {
            effect = Effect::Broken;
            assert!(!stepped.journal.is_writable());
            let more = trial.fresh();
            let refused = stepped.journal.append(more.record(), None).map(|_| ());
            assert_eq!(refused, Err(Refused::Closed), "after a failed write nothing is accepted");
            assert!(!stepped.write(), "and nothing written");
            break;
        }
        if !batch.turned_away.is_empty() {
            assert_eq!(effect, Effect::Unnoticed, "turned away for no reason");
            effect = Effect::TurnedAway;
            let more = trial.fresh();
            assert_eq!(stepped.journal.append(more.record(), None).map(|_| ()), Err(Refused::NoSpace));
            trial.sweep(&mut stepped);
            let again = trial.batch(&mut stepped, batch.turned_away.clone());
            assert_eq!(again.recorded, batch.turned_away.len(), "the retry is recorded");
        } else if batch.refused.is_some() {
            assert_eq!((batch.refused, step), (Some(Refused::NoSpace), 0), "the first segment could not be made");
            effect = Effect::TurnedAway;
            trial.sweep(&mut stepped);
        }
        if step % 8 == 7 {
            trial.check(&stepped, "while it runs");
            trial.sweep(&mut stepped);
            if pending && !trial.disk.fault_is_pending() && effect == Effect::None {
                effect = Effect::Unnoticed;
            }
        }
        after += u32::from(!trial.disk.fault_is_pending());
        if after > 8 {
            break;
        }
    }
    trial.disk.forget_fault();
    trial.check(&stepped, "at the end of the run");
    for again in 0..2 {
        drop(stepped);
        if power_cut || again > 0 {
            trial.disk.power_cut(&mut trial.dice);
        }
        stepped = trial.open().expect("the disk is well again");
        trial.check(&stepped, "after starting again");
        let offers = vec![trial.fresh(), trial.fresh()];
        assert_eq!(trial.batch(&mut stepped, offers).recorded, 2);
    }
    for offered in trial.ledger.remembered(trial.now) {
        let appended = stepped.journal.append(offered.record(), Some(30 * DAY)).expect("accepted");
        assert!(appended.duplicate, "{:?} was recorded and is not recognised", offered.delivery_id);
    }
    effect
}

fn play_all(operation: Operation, files: &'static str) -> Vec<Effect> {
    let mut effects = Vec::new();
    for nth in 1..=100 {
        for (kept, power_cut) in [(false, false), (false, true), (true, false), (true, true)] {
            let fault = Fault { operation, files, nth, kept };
            let played = std::panic::catch_unwind(|| play(fault, power_cut));
            effects.push(played.unwrap_or_else(|_| panic!("with {fault:?}, power cut: {power_cut}")));
        }
    }
    effects
}

fn count(effects: &[Effect], effect: &Effect) -> usize {
    effects.iter().filter(|other| *other == effect).count()
}

#[test]
fn a_failed_write_or_sync_ends_trust() {
    for operation in [Operation::Write, Operation::Sync] {
        let effects = play_all(operation, ".log");
        // The first ones fail while the journal is being opened.
        assert!(count(&effects, &Effect::Broken) >= 380, "{operation:?}: {effects:?}");
        assert_eq!(count(&effects, &Effect::Broken) + count(&effects, &Effect::NotOpened), 400, "{operation:?}");
    }
    let effects = play_all(Operation::SyncDir, "");
    assert!(count(&effects, &Effect::Broken) > 40, "{effects:?}");
}

#[test]
fn a_directory_operation_that_fails_costs_nothing_that_was_promised() {
    for (operation, files) in [(Operation::Create, ".log"), (Operation::Rename, ".log"), (Operation::Reserve, ".log")] {
        let effects = play_all(operation, files);
        assert!(count(&effects, &Effect::TurnedAway) > 10, "{operation:?}: {effects:?}");
        assert_eq!(count(&effects, &Effect::Broken), 0, "{operation:?}: nothing that was written is in doubt");
    }
    for operation in [Operation::Remove, Operation::SetLength] {
        let effects = play_all(operation, "");
        assert!(count(&effects, &Effect::Unnoticed) > 10, "{operation:?}: {effects:?}");
        assert_eq!(count(&effects, &Effect::Broken), 0, "{operation:?}");
    }
}

#[test]
fn an_index_that_cannot_be_written_is_nobodys_concern() {
    for operation in [Operation::Create, Operation::Write, Operation::Sync] {
        let effects = play_all(operation, ".idx");
        let unnoticed = count(&effects, &Effect::Unnoticed);
        assert!(unnoticed > 4, "{operation:?}: {effects:?}");
        assert_eq!(unnoticed + count(&effects, &Effect::None), 400, "{operation:?}: {effects:?}");
    }
}

#[test]
fn a_full_disk_turns_away_and_goes_on_when_there_is_space() {
    let mut turned_away = 0;
    for seed in 0..100 {
        let mut trial = Trial::new(seed, settings());
        trial.disk.set_capacity(Some(SEGMENT * (2 + trial.dice.below(5)) + trial.dice.below(SEGMENT)));
        let mut stepped = trial.open().expect("there is space for the first segment");
        let mut refused = Vec::new();
        for _ in 0..200 {
            let offers: Vec<_> = (0..=trial.dice.below(20)).map(|_| trial.fresh()).collect();
            let count = offers.len();
            let batch = trial.batch(&mut stepped, offers);
            assert!(!batch.broken, "seed {seed}: being full breaks nothing");
            refused = batch.turned_away;
            assert_eq!(batch.recorded + refused.len(), count, "seed {seed}: those in front are recorded");
            if !refused.is_empty() {
                break;
            }
        }
        assert!(!refused.is_empty(), "seed {seed}: the disk was never full");
        turned_away += refused.len();
        assert!(!stepped.journal.is_writable());
        assert_eq!(stepped.journal.append(trial.fresh().record(), None).map(|_| ()), Err(Refused::NoSpace));
        trial.check(&stepped, "full");
        if seed % 3 == 0 {
            drop(stepped);
            trial.disk.power_cut(&mut trial.dice);
            stepped = trial.open().expect("a full disk can be opened");
            trial.check(&stepped, "full, after starting again");
        }

        trial.disk.set_capacity(None);
        trial.sweep(&mut stepped);
        assert!(stepped.journal.is_writable(), "seed {seed}");
        let count = refused.len();
        let batch = trial.batch(&mut stepped, refused);
        assert_eq!(batch.recorded, count, "seed {seed}: the retry is recorded");
        trial.check(&stepped, "with space again");
        let mut reader = stepped.journal.reader(Position { seq: Seq(1), place: None });
        let mut next = Seq(1);
        while let Some(recorded) = reader.next(&mut |_, _| true).expect("readable") {
            assert_eq!(recorded.event.seq, next, "seed {seed}: no number is left out");
            next = next.next();
        }
        assert_eq!(next.0, trial.ledger.end());
    }
    assert!(turned_away > 300, "{turned_away}");
}

#[test]
fn below_the_least_free_space_nothing_is_accepted() {
    let mut trial = Trial::new(1, Settings { min_free: 10 * SEGMENT, ..settings() });
    trial.disk.set_capacity(Some(14 * SEGMENT));
    let mut stepped = trial.open().expect("opened");
    let offers = vec![trial.fresh()];
    assert_eq!(trial.batch(&mut stepped, offers).recorded, 1);
    trial.disk.set_capacity(Some(10 * SEGMENT));
    trial.sweep(&mut stepped);
    let offers = vec![trial.fresh()];
    assert_eq!(trial.batch(&mut stepped, offers).refused, Some(Refused::NoSpace));
    trial.disk.set_capacity(Some(14 * SEGMENT));
    trial.sweep(&mut stepped);
    let offers = vec![trial.fresh()];
    assert_eq!(trial.batch(&mut stepped, offers).recorded, 1);
}
