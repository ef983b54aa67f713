//! A journal, a state and sinks that do what a test wants.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use forebay::deliver::retry::Policy;
use forebay::deliver::{Deliveries, Order, Start, Subscriber};
use forebay::event::{EventId, Millis};
use forebay::journal::disk::RealDisk;
use forebay::journal::state::State;
use forebay::journal::{Journal, Settings};
use forebay::metrics::Metrics;
use forebay::name::{Pattern, SubscriberName};
use forebay::route::Route;
use forebay::sink::{self, Capacity, Delivery, Outcome, Outcomes, Receipt, Sink};
use tempfile::TempDir;

use crate::offered_events::{Offered, opening, settings};

/// Whoever waits this long waits in vain.
const LONG: Duration = Duration::from_secs(40);

/// Waits until there is something.
pub(crate) async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LONG;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: waited in vain");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// What arrived, by whoever brought it.
#[derive(Debug, Default)]
pub(crate) struct Arrived {
    all: Mutex<Vec<(usize, u64, u32)>>,
    under_way: AtomicUsize,
}

impl Arrived {
    /// Which sink brought which event at which attempt, in order.
    pub(crate) fn all(&self) -> Vec<(usize, u64, u32)> {
        self.all.lock().expect("whole").clone()
    }

    pub(crate) fn seqs(&self) -> Vec<u64> {
        self.all().into_iter().map(|(_, seq, _)| seq).collect()
    }

    /// How many calls of all sinks are under way.
    pub(crate) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::SeqCst)
    }
}

type Judge = Box<dyn Fn(&Delivery) -> Outcome + Send + Sync>;

/// A sink with a number, which takes some time and answers what it is told to.
pub(crate) struct Fake {
    pub number: usize,
    pub arrived: Arc<Arrived>,
    pub takes: Duration,
    pub capacity: Capacity,
    pub judge: Judge,
}

impl Fake {
    /// Takes everything at once.
    pub(crate) fn new(number: usize, arrived: &Arc<Arrived>) -> Self {
        Self {
            number,
            arrived: Arc::clone(arrived),
            takes: Duration::ZERO,
            capacity: Capacity { batch: 3, parallel: 2 },
            judge: Box::new(|_| Ok(Receipt::default())),
        }
    }
}

/// Counts a call for as long as it is under way, however it ends.
struct Call<'a>(&'a AtomicUsize);

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Sink for Fake {
    fn capacity(&self) -> Capacity {
        self.capacity
    }

    fn deliver<'a>(&'a self, batch: &'a [Delivery]) -> Outcomes<'a> {
        Box::pin(async move {
            self.arrived.under_way.fetch_add(1, Ordering::SeqCst);
            let _call = Call(&self.arrived.under_way);
            tokio::time::sleep(self.takes).await;
            let outcomes: Vec<Outcome> = batch.iter().map(|delivery| (self.judge)(delivery)).collect();
            let mut all = self.arrived.all.lock().expect("whole");
            for (delivery, outcome) in batch.iter().zip(&outcomes) {
                if outcome.is_ok() {
                    all.push((self.number, delivery.event.seq.0, delivery.attempt));
                }
            }
            outcomes
        })
    }
}

pub(crate) fn name(text: &str) -> SubscriberName {
    SubscriberName::parse(text).expect("a name")
}

/// What fits a pattern.
pub(crate) fn wants(pattern: &str) -> Route {
    Route { patterns: vec![Pattern::parse(pattern).expect("a pattern")], filter: None }
}

/// A subscriber of everything that retries at once.
pub(crate) fn subscriber(named: &str) -> Subscriber {
    let quick = Duration::from_millis(1);
    Subscriber {
        name: name(named),
        route: wants("*"),
        start: Start::Now,
        sink: sink::Settings::Stdout(sink::stdout::Settings::default()),
        retry: Policy { first: quick, max: quick, ..Policy::default() },
        order: Order::Parallel,
    }
}

/// Everything that deliveries stand on, in a folder of its own.
pub(crate) struct Stage {
    pub folder: TempDir,
    pub journal: Journal,
    pub state: State,
    pub metrics: Metrics,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self::with(&settings())
    }

    pub(crate) fn with(settings: &Settings) -> Self {
        Self::open(tempfile::tempdir().expect("a folder"), settings)
    }

    fn open(folder: TempDir, settings: &Settings) -> Self {
        let disk = RealDisk::open(folder.path()).expect("opened");
        let state = State::open(folder.path(), false).expect("opened");
        let opening = opening(Millis::now());
        let journal = Journal::open(Arc::new(disk), settings, opening, Arc::new(state.clone())).expect("opened");
        let metrics = Metrics::new(&journal.stats().commits.seconds, &journal.stats().commits.events, "always");
        Self { folder, journal, state, metrics }
    }

    pub(crate) fn deliveries(&self, subscribers: Vec<(Subscriber, Box<dyn Sink>)>) -> Deliveries {
        Deliveries::start(subscribers, &self.journal, &self.state, &self.metrics).expect("started")
    }

    /// Records an event, and answers its id when it is on the disk.
    pub(crate) fn record(&self, n: u64) -> EventId {
        self.record_of(n, 20)
    }

    /// The same, with a body of this length.
    pub(crate) fn record_of(&self, n: u64, length: usize) -> EventId {
        let offered = Offered::new(n, length, Millis::now());
        let appended = self.journal.append(offered.record(), None).expect("accepted");
        self.journal.commit().wait(appended.ticket).expect("recorded");
        appended.id
    }

    /// The value of a series, if it is shown.
    pub(crate) fn metric(&self, deliveries: &Deliveries, series: &str) -> Option<u64> {
        deliveries.show(Millis::now());
        let text = self.metrics.render();
        let line = text.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    /// Ends everything, and begins anew with what is on the disk.
    pub(crate) async fn restart(self, deliveries: Deliveries) -> Self {
        deliveries.stop(LONG).await;
        drop(deliveries);
        self.journal.close();
        let Self { folder, journal, state, .. } = self;
        drop(journal);
        state.close();
        Self::open(folder, &settings())
    }
}
