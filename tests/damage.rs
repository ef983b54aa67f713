//! Journals on real files, damaged in one place: what is read is what was recorded, and only what was hit is missing.

mod offered_events;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use forebay::event::{EventId, Millis, Seq};
use forebay::journal::disk::RealDisk;
use forebay::journal::{Position, Settings, Stepped};
use tempfile::TempDir;

use offered_events::{BEGIN, DAY, Dice, Offered, opening, settings};

const SEGMENT: u64 = 16 * 1024;

/// An event as it was recorded.
struct Kept {
    id: EventId,
    offered: Offered,
    /// The segment, and where in its file the record begins and ends.
    base: u64,
    from: u64,
    to: u64,
    /// Whether a later batch says that it was recorded.
    witnessed: bool,
}

/// A journal that was closed: its files, and what is in it.
struct Specimen {
    files: BTreeMap<String, Vec<u8>>,
    events: BTreeMap<u64, Kept>,
}

/// In memory where there is such a thing: nothing here depends on what a sync does, and there are thousands.
fn directory() -> TempDir {
    TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).expect("a directory")
}

fn has_suffix(name: &str, suffix: &str) -> bool {
    name.ends_with(suffix)
}

impl Specimen {
    fn segments(&self) -> Vec<String> {
        self.files.keys().filter(|name| has_suffix(name, ".log") && !name.starts_with("spare-")).cloned().collect()
    }
}

fn open(path: &Path, settings: &Settings) -> Stepped {
    let disk = RealDisk::open(path).expect("the directory opens");
    Stepped::open(Arc::new(disk), settings, opening(BEGIN), SEGMENT).expect("a damaged journal opens")
}

/// Writes a journal of several segments and one spare.
fn specimen() -> Specimen {
    let dir = directory();
    let settings = Settings { retain_age: Duration::from_secs(3), ..settings() };
    let mut stepped = open(dir.path(), &settings);
    let mut dice = Dice(7);
    let (mut offers, mut last_batch) = (BTreeMap::new(), BTreeSet::new());
    for batch in 0..60_i64 {
        last_batch.clear();
        for _ in 0..2 + dice.below(5) {
            let n = offers.len() as u64 + 1;
            let length = if dice.one_in(30) { SEGMENT + 500 } else { dice.below(1200) };
            let time = Millis(BEGIN.0 + batch * 100);
            let offered = Offered::new(n, usize::try_from(length).expect("small"), time);
            let id = stepped.journal.append(offered.record(), Some(30 * DAY)).expect("accepted").id;
            offers.insert(id, offered);
            last_batch.insert(id);
        }
        assert!(stepped.write());
    }
    // The first segments go, and leave a spare.
    while !fs::read_dir(dir.path()).expect("listed").any(|entry| is_spare(&entry.expect("an entry").file_name())) {
        let hold = stepped.journal.hold(Seq(stepped.journal.earliest().0 + 40));
        stepped.sweep(&(), Millis(BEGIN.0 + 7000));
        stepped.journal.release(&hold);
    }
    let mut events = BTreeMap::new();
    let mut reader = stepped.journal.reader(Position { seq: Seq(1), place: None });
    while let Some(recorded) = reader.next(&mut |_, _| true).expect("readable") {
        let (base, from) = recorded.position.place.expect("a reader tells the place");
        let event = recorded.event;
        let offered = offers.remove(&event.id).expect("offered");
        assert!(offered.is(&event));
        let names = event.topic.len() + event.kind.as_deref().map_or(0, str::len);
        let delivery_id = event.delivery_id.as_deref().map_or(0, str::len);
        let length = 104 + names + delivery_id + event.headers.as_wire().len() + event.body.len();
        let witnessed = !last_batch.contains(&event.id);
        let kept = Kept { id: event.id, offered, base: base.0, from, to: from + length as u64, witnessed };
        events.insert(event.seq.0, kept);
    }
    stepped.close();
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir.path()).expect("listed") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("text");
        files.insert(name, fs::read(entry.path()).expect("read"));
    }
    let specimen = Specimen { files, events };
    let count = |suffix: &str| specimen.files.keys().filter(|name| has_suffix(name, suffix)).count();
    assert!(count(".log") > 6 && count(".idx") > count(".log"), "{:?}", specimen.files.keys());
    assert!(specimen.events.len() > 120 && !specimen.events.contains_key(&1));
    specimen
}

fn is_spare(name: &std::ffi::OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with("spare-"))
}

#[derive(Debug)]
enum Damage {
    /// A file, the byte, the bit.
    Flip(String, usize, u8),
    /// A file and its length.
    Cut(String, usize),
    /// A file.
    Gone(String),
}

impl Damage {
    fn random(specimen: &Specimen, dice: &mut Dice) -> Self {
        let names: Vec<&String> = specimen.files.keys().collect();
        let name = names[dice.index(names.len())];
        let at = dice.index(specimen.files[name].len().max(1));
        let cut = dice.one_in(3) || specimen.files[name].is_empty();
        if cut { Self::Cut(name.clone(), at) } else { Self::Flip(name.clone(), at, 1 << dice.below(8)) }
    }

    fn file(&self) -> &str {
        match self {
            Self::Flip(name, ..) | Self::Cut(name, _) | Self::Gone(name) => name,
        }
    }

    fn apply(&self, dir: &Path) {
        let path = dir.join(self.file());
        match self {
            Self::Flip(_, at, bit) => {
                let mut bytes = fs::read(&path).expect("read");
                bytes[*at] ^= bit;
                fs::write(&path, bytes).expect("written");
            }
            Self::Cut(_, length) => {
                let file = fs::OpenOptions::new().write(true).open(&path).expect("opened");
                file.set_len(*length as u64).expect("cut");
            }
            Self::Gone(_) => fs::remove_file(&path).expect("removed"),
        }
    }

    /// Whether the record of an event is hit.
    fn hits(&self, kept: &Kept) -> bool {
        self.file() == format!("{:020}.log", kept.base)
            && match self {
                Self::Flip(_, at, _) => (kept.from..kept.to).contains(&(*at as u64)),
                Self::Cut(_, length) => kept.to > *length as u64,
                Self::Gone(_) => true,
            }
    }
}

fn read(stepped: &Stepped, from: u64) -> BTreeMap<u64, forebay::event::Event> {
    let mut reader = stepped.journal.reader(Position { seq: Seq(from), place: None });
    let mut events = BTreeMap::new();
    while let Some(recorded) = reader.next(&mut |_, _| true).expect("readable") {
        let last = events.keys().next_back().copied();
        assert!(last < Some(recorded.event.seq.0), "in order");
        events.insert(recorded.event.seq.0, recorded.event);
    }
    events
}

/// Damages a copy of the journal and reads it. Answers how many events are lost.
fn examine(specimen: &Specimen, damages: &[Damage], dice: &mut Dice) -> u64 {
    let dir = directory();
    for (name, bytes) in &specimen.files {
        fs::write(dir.path().join(name), bytes).expect("written");
    }
    for damage in damages {
        damage.apply(dir.path());
    }
    let is_hit = |kept: &Kept| damages.iter().any(|damage| damage.hits(kept));
    let sound: BTreeSet<u64> = specimen.events.iter().filter(|(_, kept)| !is_hit(kept)).map(|(seq, _)| *seq).collect();
    let lost = (specimen.events.len() - sound.len()) as u64;

    let settings = settings();
    let mut stepped = open(dir.path(), &settings);
    let mut starts: Vec<u64> = (0..3).map(|_| dice.below(specimen.events.len() as u64 + 30)).collect();
    // Half of the time the first to meet the damage is a reader that begins in the middle.
    starts.insert(dice.index(2), 0);
    for from in starts {
        let events = read(&stepped, from);
        assert!(events.keys().eq(sound.range(from..)), "from {from} on: what was not hit is read, and nothing else");
        for (seq, event) in events {
            let kept = &specimen.events[&seq];
            assert!(event.id == kept.id && kept.offered.is(&event), "event {seq} is not what was recorded");
        }
    }
    assert_eq!(stepped.journal.stats().damaged(), lost, "what is missing is counted");

    // Nothing more is lost by going on.
    let new = Offered::new(1 << 40, 300, BEGIN);
    let appended = stepped.journal.append(new.record(), Some(30 * DAY)).expect("accepted");
    assert!(!appended.duplicate);
    for seq in &sound {
        let offered = &specimen.events[seq].offered;
        if offered.delivery_id.is_some() {
            let again = stepped.journal.append(offered.record(), Some(30 * DAY)).expect("accepted");
            assert!(again.duplicate && again.id == specimen.events[seq].id, "event {seq} is recognised");
        }
    }
    assert!(stepped.write());
    drop(stepped);
    let stepped = open(dir.path(), &settings);
    let mut after = read(&stepped, 0);
    let (seq, event) = after.pop_last().expect("the new one");
    assert!(event.id == appended.id && new.is(&event));
    assert!(Some(&seq) > specimen.events.keys().next_back(), "no number is given out twice");
    assert!(after.keys().eq(&sound), "the same is read after another start");
    lost
}

fn examine_named(specimen: &Specimen, damages: &[Damage], dice: &mut Dice) -> u64 {
    let examined = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| examine(specimen, damages, dice)));
    examined.unwrap_or_else(|_| panic!("with {damages:?}"))
}

#[test]
fn only_what_was_hit_is_missing() {
    let specimen = specimen();
    let (mut nothing, mut one, mut several) = (0, 0, 0);
    for seed in 0..200 {
        let mut dice = Dice(seed);
        let damage = Damage::random(&specimen, &mut dice);
        match examine_named(&specimen, &[damage], &mut dice) {
            0 => nothing += 1,
            1 => one += 1,
            _ => several += 1,
        }
    }
    assert!(nothing > 20 && one > 20 && several > 10, "{nothing} lost nothing, {one} one event, {several} several");
}

/// Where a record says what it is: a wrong length must not lead a reader past what is whole.
#[test]
fn the_first_bytes_of_a_record() {
    let specimen = specimen();
    let events: Vec<&Kept> = specimen.events.values().collect();
    for seed in 0..60 {
        let mut dice = Dice(3000 + seed);
        let hit = events[dice.index(events.len())];
        let at = usize::try_from(hit.from + seed % 16).expect("small");
        let damage = Damage::Flip(format!("{:020}.log", hit.base), at, 1 << dice.below(8));
        assert_eq!(examine_named(&specimen, &[damage], &mut dice), 1);
    }
}

/// A reader at the tail meets damage there, and what comes later is behind it in the same file.
#[test]
fn damage_at_the_tail_hides_nothing_behind_it() {
    for place_in_record in [0, 8, 40, 200] {
        let dir = directory();
        let mut stepped = open(dir.path(), &settings());
        let write = |stepped: &mut Stepped, n: u64| {
            stepped.journal.append(Offered::new(n, 200, BEGIN).record(), None).expect("accepted");
            assert!(stepped.write());
        };
        (1..=5).for_each(|n| write(&mut stepped, n));
        let mut old = stepped.journal.reader(Position { seq: Seq(1), place: None });
        let mut place = None;
        while let Some(recorded) = old.next(&mut |_, _| true).expect("readable") {
            place = recorded.position.place;
        }
        let (base, from) = place.expect("five events");
        let path = dir.path().join(format!("{:020}.log", base.0));
        let mut bytes = fs::read(&path).expect("read");
        bytes[usize::try_from(from).expect("small") + place_in_record] ^= 1;
        fs::write(&path, bytes).expect("written");

        let mut readers = [1, 3, 5].map(|seq| (seq, stepped.journal.reader(Position { seq: Seq(seq), place: None })));
        let all = |from: u64, reader: &mut forebay::journal::Reader| {
            let mut seen = Vec::new();
            while let Some(recorded) = reader.next(&mut |_, _| true).expect("readable") {
                seen.push(recorded.event.seq.0);
            }
            assert!(seen.iter().all(|seq| *seq >= from));
            seen
        };
        for (from, reader) in &mut readers {
            assert!(all(*from, reader).into_iter().eq(*from..5), "from {from}, byte {place_in_record}");
        }
        assert_eq!(stepped.journal.stats().damaged(), 1);
        for n in 6..=9 {
            write(&mut stepped, n);
            for (from, reader) in &mut readers {
                assert_eq!(all(*from, reader), [n], "from {from}, byte {place_in_record}");
            }
        }
        assert_eq!(stepped.journal.stats().damaged(), 1, "counted once");
    }
}

/// As after a power cut, when no index had been written: then a later record is the only witness.
#[test]
fn without_indexes_damage_is_told_from_a_torn_end() {
    let specimen = specimen();
    let last = specimen.segments().pop().expect("a segment");
    // What the retired ones leave is all that knows of their deliveries; it concerns no event that is still there.
    let indexes = || specimen.files.keys().filter(|name| has_suffix(name, ".idx")).cloned().map(Damage::Gone);
    let mut in_last = 0;
    for seed in 0..60 {
        let mut dice = Dice(1000 + seed);
        let events: Vec<&Kept> = specimen.events.values().filter(|kept| kept.witnessed).collect();
        let here: Vec<&Kept> = events.iter().copied().filter(|kept| format!("{:020}.log", kept.base) == last).collect();
        let pool = if dice.one_in(2) && !here.is_empty() { here } else { events };
        let hit = pool[dice.index(pool.len())];
        let name = format!("{:020}.log", hit.base);
        in_last += u64::from(name == last);
        let at = usize::try_from(hit.from + dice.below(hit.to - hit.from)).expect("small");
        let mut damages: Vec<Damage> = indexes().collect();
        damages.push(Damage::Flip(name, at, 1 << dice.below(8)));
        assert_eq!(examine_named(&specimen, &damages, &mut dice), 1);
    }
    assert!(in_last > 10, "{in_last}");
}

#[test]
fn a_segment_that_was_taken_away_costs_its_own_events_only() {
    let specimen = specimen();
    let mut dice = Dice(5);
    let mut lost = 0;
    // The first one looks as if it had been retired.
    for name in specimen.segments().into_iter().skip(1) {
        lost += examine_named(&specimen, &[Damage::Gone(name)], &mut dice);
    }
    assert!(lost > 80, "{lost}");
}

#[test]
fn other_files_are_left_alone() {
    let specimen = specimen();
    let dir = directory();
    for (name, bytes) in &specimen.files {
        fs::write(dir.path().join(name), bytes).expect("written");
    }
    let others = [
        "99999999999999999999.log",
        "00000000000000000000.log",
        "7.log",
        "00000000000000000007.log.bak",
        "0000000000000000000x.idx",
        "spare-7.log",
        "state.sqlite",
        ".log",
    ];
    for name in others {
        fs::write(dir.path().join(name), "not of the journal").expect("written");
    }
    fs::create_dir(dir.path().join("lost+found")).expect("made");
    let mut stepped = open(dir.path(), &settings());
    assert!(read(&stepped, 0).keys().eq(specimen.events.keys()));
    assert_eq!(stepped.journal.stats().damaged(), 0);
    stepped.sweep(&(), BEGIN);
    stepped.close();
    for name in others {
        assert_eq!(fs::read(dir.path().join(name)).expect("still there"), b"not of the journal", "{name}");
    }
    assert!(dir.path().join("lost+found").is_dir());
}
