//! Many tasks and threads on one journal at once: nobody sleeps through what they wait for, and nothing is seen wrongly.

mod offered_events;
mod simulated_disk;

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use forebay::event::{EventId, Seq};
use forebay::journal::disk::{Disk, DiskFile, RealDisk};
use forebay::journal::{Journal, Lane, NotRecorded, Position, Refused, Settings, Stepped, Watch};
use tempfile::TempDir;

use offered_events::{BEGIN, DAY, Dice, Offered, opening, settings};
use simulated_disk::SimulatedDisk;

/// Whoever waits this long has been forgotten.
const LONG: Duration = Duration::from_secs(40);

fn start(disk: Arc<dyn Disk>, settings: &Settings) -> Journal {
    Journal::open(disk, settings, opening(BEGIN), Arc::new(())).expect("the journal opens")
}

fn one_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime")
}

fn lane(journal: &Journal) -> Arc<Lane> {
    let lane = journal.commit().lane();
    let (driven, journal) = (Arc::clone(&lane), journal.clone());
    tokio::spawn(async move { driven.drive(&journal).await });
    lane
}

async fn dawdle(dice: &mut Dice) {
    for _ in 0..dice.below(4) {
        tokio::task::yield_now().await;
    }
}

/// The events of all tasks of one thread, one after the other in each task.
async fn offer_from_tasks(journal: &Journal, thread: u64, tasks: u64, each: u64) {
    let lane = lane(journal);
    let handles: Vec<_> = (0..tasks)
        .map(|task| {
            let (journal, lane) = (journal.clone(), Arc::clone(&lane));
            tokio::spawn(async move {
                let mut dice = Dice(thread << 32 | task);
                for n in 0..each {
                    let n = (thread * tasks + task) * each + n;
                    let offered = Offered::new(n, usize::try_from(dice.below(300)).expect("small"), BEGIN);
                    let appended = journal.append(offered.record(), None).expect("accepted");
                    dawdle(&mut dice).await;
                    if dice.one_in(10) {
                        // A client that hangs up: its place in the lane stays behind.
                        let waiting = lane.recorded(journal.commit(), appended.ticket);
                        let _ = tokio::time::timeout(Duration::ZERO, waiting).await;
                        continue;
                    }
                    lane.recorded(journal.commit(), appended.ticket).await.expect("recorded");
                }
            })
        })
        .collect();
    for handle in handles {
        tokio::time::timeout(LONG, handle).await.expect("every ticket is answered").expect("no task panics");
    }
    journal.commit().leave(&lane);
}

fn count(journal: &Journal) -> u64 {
    let mut reader = journal.reader(Position { seq: Seq(1), place: None });
    let mut count = 0;
    while let Some(recorded) = reader.next(&mut |_, _| true).expect("readable") {
        count += 1;
        assert_eq!(recorded.event.seq, Seq(count));
    }
    count
}

#[test]
fn every_ticket_is_answered() {
    let dir = TempDir::new().expect("a directory");
    let settings = Settings { retain_size: 64 << 20, ..settings() };
    let journal = start(Arc::new(RealDisk::open(dir.path()).expect("opened")), &settings);
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let journal = &journal;
            scope.spawn(move || one_thread().block_on(offer_from_tasks(journal, thread, 100, 30)));
        }
        // Without a runtime.
        for n in 0..300 {
            let offered = Offered::new((1 << 40) + n, 10, BEGIN);
            let appended = journal.append(offered.record(), None).expect("accepted");
            assert_eq!(journal.commit().wait(appended.ticket), Ok(()));
        }
    });
    journal.close();
    assert_eq!(journal.append(Offered::new(0, 1, BEGIN).record(), None).map(|_| ()), Err(Refused::Closed));
    drop(journal);
    let journal = start(Arc::new(RealDisk::open(dir.path()).expect("opened")), &settings);
    assert_eq!(count(&journal), 3 * 100 * 30 + 300);
    assert_eq!(journal.stats().damaged(), 0);
    journal.close();
}

/// Reads what it wants until it has `expected` events; rests in between, and is roused now and then.
async fn follow(journal: Journal, watch: Arc<Watch>, topic: &'static str, expected: u64, mut dice: Dice) -> Vec<Seq> {
    let mut reader = journal.reader(Position { seq: Seq(1), place: None });
    let mut seen = Vec::new();
    while (seen.len() as u64) < expected {
        while let Some(recorded) = reader.next(&mut |name, _| name == topic).expect("readable") {
            assert_eq!(&*recorded.event.topic, topic);
            seen.push(recorded.event.seq);
        }
        if (seen.len() as u64) >= expected {
            break;
        }
        let next = reader.next_seq();
        let mut rest = pin!(watch.rest(journal.commit(), next));
        let mut patience = if dice.one_in(3) { Some(dice.below(20)) } else { None };
        let woken = poll_fn(|context| {
            if let std::task::Poll::Ready(position) = rest.as_mut().poll(context) {
                return std::task::Poll::Ready(Some(position));
            }
            match &mut patience {
                Some(0) => std::task::Poll::Ready(None),
                Some(left) => {
                    *left -= 1;
                    context.waker().wake_by_ref();
                    std::task::Poll::Pending
                }
                None => std::task::Poll::Pending,
            }
        });
        let position = woken.await.unwrap_or_else(|| watch.rouse(journal.commit(), next));
        assert!(position.seq >= next, "never back");
        reader.seek(position);
    }
    seen
}

#[test]
fn a_resting_reader_sees_all_it_wants_and_is_left_alone_otherwise() {
    for seed in 0..6 {
        let journal = start(SimulatedDisk::new().mount(), &settings());
        let offers: Vec<Offered> = (0..3000).map(|n| Offered::new(n, 40, BEGIN)).collect();
        let topics = ["github", "bitbucketCloud", "a"];
        let of = |topic: &str| offers.iter().filter(|offered| offered.topic == topic).count() as u64;
        let expected = topics.map(of);
        assert!(expected.iter().all(|count| *count > 500));

        let polls = Arc::new(AtomicU64::new(0));
        let nobody = journal.watch(Box::new(|topic, _| topic == "absent"));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().expect("one");
        let (idle, counted) = (journal.clone(), Arc::clone(&polls));
        runtime.spawn(async move {
            let mut rest = pin!(nobody.rest(idle.commit(), Seq(1)));
            poll_fn(|context| {
                counted.fetch_add(1, Ordering::SeqCst);
                rest.as_mut().poll(context)
            })
            .await
        });
        let followers: Vec<_> = (0..9)
            .map(|n| {
                let topic = topics[n % 3];
                let watch = journal.watch(Box::new(move |name, _| name == topic));
                let dice = Dice(seed * 100 + n as u64);
                runtime.spawn(follow(journal.clone(), watch, topic, expected[n % 3], dice))
            })
            .collect();
        let mut dice = Dice(seed);
        for offered in &offers {
            let appended = journal.append(offered.record(), None).expect("accepted");
            if dice.one_in(8) {
                journal.commit().wait(appended.ticket).expect("recorded");
            }
        }
        for (n, follower) in followers.into_iter().enumerate() {
            let seen = runtime.block_on(async { tokio::time::timeout(LONG, follower).await });
            let seen = seen.unwrap_or_else(|_| panic!("seed {seed}: reader {n} was forgotten")).expect("no panic");
            assert_eq!(seen.len() as u64, expected[n % 3], "seed {seed}: reader {n}");
            assert!(seen.is_sorted_by(|a, b| a < b), "seed {seed}: reader {n}");
        }
        assert!(polls.load(Ordering::SeqCst) <= 1, "what nobody wants wakes nobody");
        journal.close();
    }
}

#[test]
fn those_who_wait_are_told_when_there_is_no_space() {
    let disk = SimulatedDisk::new();
    disk.set_capacity(Some(3 << 20));
    let settings = Settings { retain_size: 64 << 20, ..settings() };
    let journal = start(disk.mount(), &settings);
    let turned_away = Arc::new(AtomicU64::new(0));
    let tasks = 200;
    one_thread().block_on(async {
        let lane = lane(&journal);
        let handles: Vec<_> = (0..tasks)
            .map(|n| {
                let (journal, lane, turned_away) = (journal.clone(), Arc::clone(&lane), Arc::clone(&turned_away));
                let disk = disk.clone();
                tokio::spawn(async move {
                    let mut offered = Offered::new(n, 30_000, BEGIN);
                    offered.delivery_id = Some(format!("delivery {n}"));
                    offered.key =
                        forebay::journal::dedupe_key(uuid::Uuid::nil(), offered.topic, &format!("{n}"), &offered.body);
                    loop {
                        match journal.append(offered.record(), Some(DAY)) {
                            Ok(appended) => {
                                assert!(!appended.duplicate, "one that was turned away is forgotten");
                                match lane.recorded(journal.commit(), appended.ticket).await {
                                    Ok(()) => return appended.id,
                                    Err(NotRecorded::NoSpace) => turned_away.fetch_add(1, Ordering::SeqCst),
                                    Err(NotRecorded::Broken) => panic!("nothing is broken"),
                                };
                                disk.set_capacity(Some(disk.used() + (3 << 20)));
                            }
                            Err(Refused::NoSpace) => tokio::time::sleep(Duration::from_millis(20)).await,
                            Err(refused) => panic!("{refused:?}"),
                        }
                    }
                })
            })
            .collect();
        for handle in handles {
            tokio::time::timeout(LONG, handle).await.expect("every ticket is answered").expect("no task panics");
        }
    });
    assert!(turned_away.load(Ordering::SeqCst) > 0, "the disk was never full");
    assert_eq!(count(&journal), tasks, "each is recorded once, and no number is left out");
    journal.close();
}

#[test]
fn readers_and_the_recycling_of_what_they_read() {
    const SEGMENT: u64 = 8192;
    let settings = Settings { retain_size: 3 * SEGMENT, ..settings() };
    let disk = SimulatedDisk::new();
    let mut stepped = Stepped::open(disk.mount(), &settings, opening(BEGIN), SEGMENT).expect("opened");
    let known: Mutex<HashMap<EventId, u64>> = Mutex::default();
    let (over, reads) = (AtomicBool::new(false), AtomicU64::new(0));
    let body = |n: u64| usize::try_from(Dice(n).below(900)).expect("small");
    let journal = stepped.journal.clone();
    std::thread::scope(|scope| {
        for start in 0..2 {
            let (journal, over, reads, known) = (journal.clone(), &over, &reads, &known);
            scope.spawn(move || {
                let mut dice = Dice(start);
                while !over.load(Ordering::SeqCst) {
                    let mut reader = journal.reader(Position { seq: Seq(dice.below(4000)), place: None });
                    loop {
                        let next = reader.next_seq();
                        // The one who asked has to wait for a segment that is put away while it is looked for.
                        let Some(recorded) = reader.next(&mut |_, _| true).expect("readable") else { break };
                        let event = recorded.event;
                        assert!(event.seq >= next);
                        let n = *known.lock().expect("whole").get(&event.id).expect("it was offered");
                        assert!(Offered::new(n, body(n), BEGIN).is(&event));
                        reads.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
        for n in 0..4000 {
            let record = Offered::new(n, body(n), BEGIN).record();
            known.lock().expect("whole").insert(record.id(), n);
            stepped.journal.append(record, None).expect("accepted");
            if n % 3 == 0 {
                assert!(stepped.write());
            }
            if n % 20 == 0 {
                stepped.sweep(&(), BEGIN);
            }
        }
        over.store(true, Ordering::SeqCst);
    });
    assert!(reads.load(Ordering::SeqCst) > 1000, "{reads:?}");
    assert!(stepped.journal.earliest() > Seq(3000), "most was retired");
    assert_eq!(stepped.journal.stats().damaged(), 0, "what was retired is not damaged");
}

/// Runs something before the next segment is opened.
struct Interrupted {
    inner: Arc<dyn Disk>,
    before_open: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Disk for Interrupted {
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let is_segment = std::path::Path::new(name).extension().is_some_and(|suffix| suffix == "log");
        let interruption = if is_segment { self.before_open.lock().expect("whole").take() } else { None };
        if let Some(interruption) = interruption {
            interruption();
        }
        self.inner.open(name)
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.inner.create(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.inner.list()
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.inner.sync_dir()
    }

    fn free(&self) -> io::Result<u64> {
        self.inner.free()
    }
}

#[test]
fn a_segment_that_is_retired_while_a_reader_looks_for_it() {
    const SEGMENT: u64 = 8192;
    let settings = Settings { retain_size: 3 * SEGMENT, ..settings() };
    let disk = Arc::new(Interrupted { inner: SimulatedDisk::new().mount(), before_open: Mutex::default() });
    let shared: Arc<dyn Disk> = Arc::clone(&disk) as _;
    let mut stepped = Stepped::open(shared, &settings, opening(BEGIN), SEGMENT).expect("opened");
    for n in 0..100 {
        stepped.journal.append(Offered::new(n, 500, BEGIN).record(), None).expect("accepted");
        assert!(stepped.write());
    }
    let journal = stepped.journal.clone();
    let mut reader = journal.reader(Position { seq: Seq(3), place: None });
    *disk.before_open.lock().expect("whole") = Some(Box::new(move || stepped.sweep(&(), BEGIN)));
    let first = reader.next(&mut |_, _| true).expect("readable").expect("events");
    assert!(journal.earliest() > Seq(50), "the sweep came in between");
    assert_eq!(first.event.seq, journal.earliest());
    assert_eq!(journal.stats().damaged(), 0, "what was retired is not damaged");
}

/// With nobody else about, a ring that is missed is not made good by the next.
#[test]
fn one_who_waits_alone_is_not_forgotten() {
    let journal = start(SimulatedDisk::new().mount(), &settings());
    one_thread().block_on(async {
        let lane = lane(&journal);
        let (mut dice, mut aim) = (Dice(1), 100);
        for n in 0..5000 {
            let appended = journal.append(Offered::new(n, 10, BEGIN).record(), None).expect("accepted");
            // Aimed at the moment at which the writer is done, so that it often falls between looking and waiting.
            for _ in 0..aim + dice.below(20) {
                std::hint::spin_loop();
            }
            let done = journal.commit().outcome(appended.ticket).is_some();
            aim = if done { aim.saturating_sub(7) } else { aim + 7 };
            let waiting = lane.recorded(journal.commit(), appended.ticket);
            let recorded = tokio::time::timeout(LONG, waiting).await;
            assert_eq!(recorded.unwrap_or_else(|_| panic!("{n} was forgotten")), Ok(()));
        }
    });
    journal.close();
}
