//! Everything is held against a plain list of what was recorded.

use std::fs;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::event::{Headers, Incoming};
use crate::journal::disk::{Disk, DiskFile, RealDisk};
use crate::journal::{Draft, Opening, Record, Settings, Stepped, Sync};
use crate::validate::{Options, Validator, Verdict};

const BEGIN: i64 = 1_795_420_800_000;
const DAY: Duration = Duration::from_secs(86_400);

/// A disk that notes what is opened.
struct Noting(RealDisk, Mutex<Vec<String>>);

impl Disk for Noting {
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.1.lock().expect("not poisoned").push(name.to_owned());
        self.0.open(name)
    }
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.0.create(name)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }
    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }
    fn sync_dir(&self) -> io::Result<()> {
        self.0.sync_dir()
    }
    fn free(&self) -> io::Result<u64> {
        self.0.free()
    }
}

/// A journal of small segments, and all that is in it.
struct Library {
    folder: TempDir,
    disk: Arc<Noting>,
    stepped: Option<Stepped>,
    recorded: Vec<Found>,
    made: u64,
}

fn noting(folder: &TempDir) -> Arc<Noting> {
    Arc::new(Noting(RealDisk::open(folder.path()).expect("it opens"), Mutex::default()))
}

fn stepped(disk: &Arc<Noting>) -> Stepped {
    let settings =
        Settings { path: "unused".into(), sync: Sync::Never, retain_age: DAY, retain_size: 1 << 40, min_free: 0 };
    let opening = Opening { dedupe: 30 * DAY, floor: Seq(0), now: Millis(BEGIN) };
    Stepped::open(Arc::clone(disk) as Arc<dyn Disk>, &settings, opening, 4096).expect("the journal opens")
}

fn record(topic: &str, kind: Option<&str>, delivery_id: Option<&str>, time: Millis, body: Bytes) -> Record {
    let incoming = Incoming {
        method: http::Method::POST,
        target: String::new(),
        headers: http::HeaderMap::new(),
        body,
        time,
        client: None,
    };
    let open = Validator::build("none", Options::default(), Vec::new()).expect("it needs nothing");
    let Verdict::Genuine(request) = open.check(incoming, time) else { panic!("it takes everything") };
    let draft = Draft { request: &request, topic, kind, delivery_id, key: [0; 16] };
    Record::new(draft, |out| Headers::push_wire(out, "x-a", b"1")).expect("small enough")
}

impl Library {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let disk = noting(&folder);
        let stepped = Some(stepped(&disk));
        Self { folder, disk, stepped, recorded: Vec::new(), made: 0 }
    }

    /// With this many events over several segments.
    fn of(count: u64) -> Self {
        let mut library = Self::new();
        (0..count).for_each(|_| library.add());
        assert!(library.files(".idx").len() > 3, "several segments");
        library
    }

    fn journal(&self) -> &Journal {
        &self.stepped.as_ref().expect("open").journal
    }

    fn add(&mut self) {
        self.made += 1;
        let n = self.made;
        let topic = ["github", "gitlab", "bitbucketCloud"][usize::try_from(n % 3).expect("small")];
        let kind = [None, Some("push"), Some("repo:push"), Some("pull")][usize::try_from(n / 3 % 4).expect("small")];
        let delivery_id = (!n.is_multiple_of(5)).then(|| format!("Delivery-{n}"));
        // The clock goes on, and back an hour every hundred events.
        let count = i64::try_from(n).expect("small");
        let time = Millis(BEGIN + count * 1000 - count / 100 * 3_600_000);
        let made = record(topic, kind, delivery_id.as_deref(), time, vec![b'x'; 50].into());
        let (id, size) = (made.id(), made.len());
        let stepped = self.stepped.as_mut().expect("open");
        let seq = stepped.journal.append(made, None).expect("taken").ticket.seq;
        assert!(stepped.write());
        self.recorded.push(Found {
            seq,
            id,
            time,
            topic: topic.to_owned(),
            kind: kind.map(str::to_owned),
            delivery_id,
            size,
            position: Position { seq, place: None },
        });
    }

    fn files(&self, suffix: &str) -> Vec<String> {
        let mut names = self.disk.list().expect("listed");
        names.retain(|name| name.ends_with(suffix) && !name.starts_with("spare-"));
        names.sort();
        names
    }

    fn restart(&mut self) {
        self.stepped.take().expect("open").close();
        self.disk = noting(&self.folder);
        self.stepped = Some(stepped(&self.disk));
    }

    fn opened(&self) -> Vec<String> {
        std::mem::take(&mut self.disk.1.lock().expect("not poisoned"))
    }

    fn expected(&self, query: &Query) -> Vec<Found> {
        let matches = |found: &&Found| {
            query.matches(&found.topic, found.kind.as_deref(), found.time, found.id, found.delivery_id.as_deref())
        };
        self.recorded.iter().rev().filter(matches).cloned().collect()
    }

    /// All pages together, and how many there were.
    fn pages(&self, most: usize, query: &Query, limit: usize) -> (Vec<Found>, usize) {
        let (mut all, mut before, mut count) = (Vec::new(), None, 0);
        loop {
            let page = self.journal().search_within(most, query, before, limit);
            assert!(page.events.len() <= limit);
            assert!(page.next.is_none_or(|next| before.is_none_or(|before| next < before)), "it gets on");
            all.extend(page.events);
            count += 1;
            match page.next {
                Some(next) => before = Some(next),
                None => return (all, count),
            }
        }
    }
}

fn query(terms: Terms<'_>) -> Query {
    Query::new(terms).expect("good terms")
}

/// But for their places.
fn plain(mut all: Vec<Found>) -> Vec<Found> {
    for found in &mut all {
        found.position.place = None;
    }
    all
}

fn queries() -> Vec<Query> {
    let all = Terms::default();
    let at = |seconds: i64| Some(Millis(BEGIN + seconds * 1000));
    vec![
        query(all),
        query(Terms { topic: Some("github"), ..all }),
        query(Terms { topic: Some("git*.push"), ..all }),
        query(Terms { kind: Some("*push"), ..all }),
        query(Terms { since: at(-3500), until: at(150), ..all }),
        query(Terms { since: at(-20_000), until: at(-10_000), ..all }),
        query(Terms { text: Some("IVERY-1"), ..all }),
        query(Terms { text: Some("delivery-123"), ..all }),
        query(Terms { text: Some("not there"), ..all }),
        query(Terms { until: at(-1_000_000), ..all }),
    ]
}

/// The numbers of what is looked for and comes from 50 to below 150, read by the stretches in which it is.
fn read_again(journal: &Journal, query: &Query) -> Vec<Seq> {
    let Stretches { stretches, count, gone } = journal.stretches(50..150, query, &|_, _| true);
    let mut seqs = Vec::new();
    for Stretch { first, last } in stretches {
        let mut reader = journal.reader(first);
        while reader.next_seq() <= last {
            let event = reader.next(&mut |_, _| true).expect("readable").expect("it is there").event;
            assert!(event.seq > first.seq || query.takes(&event), "a stretch begins with one that is looked for");
            seqs.extend(Some(event.seq).filter(|_| query.takes(&event)));
        }
    }
    assert_eq!((seqs.len() as u64, gone), (count, 0));
    seqs
}

fn check(library: &Library) {
    for query in queries() {
        let expected = library.expected(&query);
        for (most, limit) in [(MAX_EXAMINED, 7), (MAX_EXAMINED, 500), (30, 500), (1, 1)] {
            let (found, _) = library.pages(most, &query, limit);
            assert_eq!(plain(found), expected, "{query:?} in pages of {limit}, {most} at once");
        }
        let count = library.journal().stretches(50..150, &query, &|_, _| true).count;
        let within = expected.iter().filter(|found| (50..150).contains(&found.seq.0));
        assert_eq!(count, within.clone().count() as u64);
        assert_eq!(read_again(library.journal(), &query), within.rev().map(|found| found.seq).collect::<Vec<_>>());
    }
    for recorded in library.recorded.iter().step_by(7) {
        let found = library.journal().find(recorded.id).expect("it is there");
        assert_eq!(plain(vec![found.clone()]), std::slice::from_ref(recorded));
        for event in [library.journal().event(found.seq), library.journal().event_at(found.position)] {
            let event = event.expect("readable").expect("it is there");
            assert_eq!(Found::from(&event), *recorded, "it says the same of itself");
        }
    }
    assert_eq!(library.journal().find(EventId(Uuid::now_v7())), None);
    assert_eq!(library.journal().find(EventId(Uuid::nil())), None);
    assert_eq!(library.journal().event(Seq(0)).expect("readable").map(|event| event.seq), None);
    assert_eq!(library.journal().event(Seq(100_000)).expect("readable").map(|event| event.seq), None);
}

#[test]
fn what_was_recorded_is_found_before_and_after_a_restart() {
    let mut library = Library::of(300);
    check(&library);
    library.restart();
    check(&library);
    (0..50).for_each(|_| library.add());
    check(&library);
}

#[test]
fn an_index_that_lags_or_is_damaged_hides_nothing() {
    let mut library = Library::of(200);
    let indexes = library.files(".idx");
    let path = |name: &String| library.folder.path().join(name);
    let open = fs::read(path(indexes.last().expect("one"))).expect("read");
    // As if the writer had not come to it yet, or had only half written it.
    fs::write(path(indexes.last().expect("one")), &open[..open.len() - 130]).expect("written");
    let mut flipped = fs::read(path(&indexes[1])).expect("read");
    flipped[300] ^= 1;
    fs::write(path(&indexes[1]), flipped).expect("written");
    fs::remove_file(path(&indexes[2])).expect("removed");
    check(&library);
    library.restart();
    check(&library);
}

#[test]
fn events_that_come_in_between_move_no_page() {
    let mut library = Library::of(100);
    let expected = library.expected(&Query::default());
    let (mut all, mut before) = (Vec::new(), None);
    loop {
        let page = library.journal().search(&Query::default(), before, 9);
        all.extend(page.events);
        library.add();
        let Some(next) = page.next else { break };
        before = Some(next);
    }
    assert_eq!(plain(all), expected);
}

#[test]
fn what_retention_removed_is_known_and_said_to_be_gone() {
    let mut library = Library::of(200);
    let later = Millis(BEGIN + i64::try_from(2 * DAY.as_millis()).expect("small"));
    library.stepped.as_mut().expect("open").sweep(&(), later);
    for restarted in [false, true] {
        let earliest = library.journal().earliest();
        assert!(earliest > Seq(100), "most of it is gone");
        let (found, _) = library.pages(MAX_EXAMINED, &Query::default(), 30);
        assert_eq!(plain(found.clone()), library.expected(&Query::default()), "restarted: {restarted}");
        assert!(found.iter().all(|found| found.is_retained() == (found.seq >= earliest)));
        let gone = &library.recorded[10];
        assert!(!library.journal().find(gone.id).expect("known").is_retained());
        assert!(library.journal().event(gone.seq).expect("readable").is_none());
        let kept = 200 - (earliest.0 - 1);
        let stretches = library.journal().stretches(0..u64::MAX, &Query::default(), &|_, _| true);
        assert_eq!((stretches.count, stretches.gone), (kept, 200 - kept));
        library.restart();
    }
    // Of an index alone, what stands before the damage is left.
    let first = library.folder.path().join(&library.files(".idx")[0]);
    let mut bytes = fs::read(&first).expect("read");
    let at = bytes.len() - 10;
    bytes[at] ^= 1;
    fs::write(&first, bytes).expect("written");
    let (found, _) = library.pages(MAX_EXAMINED, &Query::default(), 500);
    assert_eq!(found.len(), 199);
}

#[test]
fn no_index_is_read_that_is_not_needed() {
    let mut library = Library::of(300);
    for restarted in [false, true] {
        library.add();
        let indexes = library.files(".idx");
        let old = library.recorded[5].id;
        library.opened();
        assert_eq!(library.journal().search(&Query::default(), None, 1).events.len(), 1);
        assert_eq!(library.opened(), indexes[indexes.len() - 1..], "the first page, restarted: {restarted}");
        assert!(library.journal().find(old).is_some());
        assert_eq!(library.opened(), indexes[..1], "an event by its id, restarted: {restarted}");
        let long_ago = query(Terms { until: Some(Millis(0)), ..Terms::default() });
        assert_eq!(library.journal().search(&long_ago, None, 1), Page::default());
        assert_eq!(library.opened(), indexes[indexes.len() - 1..], "a time before all, restarted: {restarted}");
        library.restart();
    }
}

#[test]
fn a_search_ends_when_it_has_seen_enough() {
    let library = Library::of(200);
    let rare = query(Terms { text: Some("delivery-3"), ..Terms::default() });
    let first = library.journal().search_within(40, &rare, None, 10);
    assert!(first.events.is_empty() && first.next.is_some_and(|next| next < Seq(170)), "{first:?}");
    let (found, pages) = library.pages(40, &rare, 10);
    assert_eq!(plain(found), library.expected(&rare));
    assert!(pages > 3, "{pages}");
}
