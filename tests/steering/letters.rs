//! What operators do: pausing, calling dead letters back, dropping them; and what is told of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use forebay::api::events::{Delivery as Told, DeliveryState};
use forebay::api::subscribers::SubscriberState;
use forebay::deliver::retry::Policy;
use forebay::deliver::steer::Unsteered;
use forebay::deliver::trace::Traced;
use forebay::deliver::{Deliveries, Order, Start, Subscriber};
use forebay::event::{Millis, Seq};
use forebay::journal::state::letters::{Fate, Which};
use forebay::sink::{Capacity, Delivery, Outcome, Receipt, Refusal, Sink};
use rusqlite::{Connection, OpenFlags};

use crate::offered_events::Offered;
use crate::stage::{Arrived, Fake, Stage, eventually, name, subscriber, wants};

const PATIENCE: Duration = Duration::from_secs(30);

/// Gives up on everything while `bad`.
fn moody(arrived: &Arc<Arrived>, bad: &Arc<AtomicBool>) -> Box<dyn Sink> {
    let bad = Arc::clone(bad);
    let judge = move |_: &Delivery| -> Outcome {
        if bad.load(Ordering::SeqCst) {
            Err(Refusal { label: "http_status", give_up: true, reason: "no".into(), ..Refusal::default() })
        } else {
            Ok(Receipt { status: Some(204) })
        }
    };
    Box::new(Fake { judge: Box::new(judge), ..Fake::new(0, arrived) })
}

async fn told(deliveries: &Deliveries, seq: u64) -> Vec<Told> {
    let event = Traced { seq: Seq(seq), topic: "github", kind: Some("push"), event: None };
    deliveries.trace(event).await.expect("told")
}

/// What became of an event for the one subscriber there is, and the results of its attempts.
async fn fate_of(deliveries: &Deliveries, seq: u64) -> (DeliveryState, Vec<(u32, String)>) {
    let all = told(deliveries, seq).await;
    assert_eq!(all.len(), 1, "{all:?}");
    let attempts = all[0].attempts.iter().map(|attempt| (attempt.number, attempt.result.clone())).collect();
    (all[0].state, attempts)
}

fn attempts(all: &[(u32, &str)]) -> Vec<(u32, String)> {
    all.iter().map(|(number, result)| (*number, (*result).to_owned())).collect()
}

/// Delivered, dropped, dead and owed, as the metrics have it.
fn sums(stage: &Stage, deliveries: &Deliveries) -> [u64; 4] {
    let series = |outcome: &str| format!(r#"forebay_deliveries_total{{subscriber="ci",outcome="{outcome}"}}"#);
    let gauge = |what: &str| format!(r#"forebay_{what}{{subscriber="ci"}}"#);
    let all = [series("delivered"), series("dropped"), gauge("dead_letters"), gauge("backlog_events")];
    all.map(|series| stage.metric(deliveries, &series).unwrap_or_else(|| panic!("{series} is not shown")))
}

async fn sums_become(stage: &Stage, deliveries: &Deliveries, want: [u64; 4]) {
    eventually(&format!("{want:?}"), || (sums(stage, deliveries) == want).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_that_are_called_back_get_a_new_round() {
    let stage = Stage::new();
    let (arrived, bad) = (Arc::new(Arrived::default()), Arc::new(AtomicBool::new(true)));
    let deliveries = stage.deliveries(vec![(subscriber("ci"), moody(&arrived, &bad))]);
    let ids: Vec<_> = (0..5).map(|n| stage.record(n)).collect();
    sums_become(&stage, &deliveries, [0, 0, 5, 0]).await;
    assert_eq!(fate_of(&deliveries, 1).await, (DeliveryState::Dead, attempts(&[(1, "http_status")])));

    // It dies again, and only once, though it was among all.
    assert_eq!(deliveries.decide("ci", Fate::CalledBack, Which::All).await, Ok(5));
    let died = r#"forebay_deliveries_total{subscriber="ci",outcome="dead"}"#;
    eventually("they die again", || (stage.metric(&deliveries, died) == Some(10)).then_some(())).await;
    sums_become(&stage, &deliveries, [0, 0, 5, 0]).await;
    assert_eq!(fate_of(&deliveries, 1).await.1, attempts(&[(1, "http_status"), (2, "http_status")]));

    bad.store(false, Ordering::SeqCst);
    assert_eq!(deliveries.decide("ci", Fate::CalledBack, Which::Events(vec![ids[0], ids[3]])).await, Ok(2));
    sums_become(&stage, &deliveries, [2, 0, 3, 0]).await;
    assert_eq!(arrived.all(), [(0, 1, 3), (0, 4, 3)], "the attempts go on being numbered");
    let all = [(1, "http_status"), (2, "http_status"), (3, "ok")];
    assert_eq!(fate_of(&deliveries, 4).await, (DeliveryState::Delivered, attempts(&all)));
    let last = &told(&deliveries, 4).await[0].attempts[2];
    assert!(last.time.is_some() && last.status == Some(204) && last.duration_seconds.is_some(), "{last:?}");

    assert_eq!(deliveries.decide("ci", Fate::Dropped, Which::Events(vec![ids[1]])).await, Ok(1));
    assert_eq!(deliveries.decide("ci", Fate::Dropped, Which::Events(vec![ids[1]])).await, Ok(0), "it is gone");
    sums_become(&stage, &deliveries, [2, 1, 2, 0]).await;
    assert_eq!(fate_of(&deliveries, 2).await.0, DeliveryState::Dropped);
    let page = deliveries.dead_letters(None, None, 1, None).await.expect("told");
    assert_eq!((page.dead.len(), page.dead[0].event.clone()), (1, ids[4].to_string()));
    let page = deliveries.dead_letters(Some("ci"), None, 9, page.next.as_deref()).await.expect("told");
    assert_eq!((page.dead.len(), page.dead[0].seq, page.next), (1, 3, None));

    for wrong in [Fate::CalledBack, Fate::Dropped] {
        let asked = deliveries.decide("nobody", wrong, Which::All).await;
        assert!(matches!(asked, Err(Unsteered::Unknown(_))), "{asked:?}");
    }
    deliveries.replace(&[name("ci")], Vec::new(), PATIENCE);
    eventually("it is gone", || deliveries.status().is_empty().then_some(())).await;
    let asked = deliveries.decide("ci", Fate::CalledBack, Which::All).await;
    assert!(matches!(asked, Err(Unsteered::Refused(_))), "nobody would deliver them: {asked:?}");
    let subscribers = deliveries.subscribers().await.expect("told").subscribers;
    assert_eq!((subscribers[0].state, subscribers[0].dead), (SubscriberState::Unconfigured, 2));
    assert_eq!(fate_of(&deliveries, 5).await.0, DeliveryState::Dead);
    assert_eq!(deliveries.decide("ci", Fate::Dropped, Which::All).await, Ok(2));
    assert_eq!(deliveries.decide("ci", Fate::Dropped, Which::All).await, Ok(0));
    deliveries.stop(PATIENCE).await;
}

/// How many deliveries stand like that in the state.
fn rows_of(stage: &Stage, dead: u32) -> u64 {
    let path = stage.folder.path().join("state.sqlite");
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("opened");
    let sql = "SELECT count(*) FROM deliveries WHERE dead = ?1";
    db.query_row(sql, [dead], |row| row.get::<_, i64>(0)).expect("read").cast_unsigned()
}

/// More than fit in the memory of a worker, and none of them in the way of what is new.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_letters_are_called_back_and_wait_outside() {
    const MANY: u64 = 12_000;
    let stage = Stage::new();
    let arrived = Arc::new(Arrived::default());
    let sink = |give_up: bool| {
        // Some are taken, so that the endpoint does not count as failing.
        let judge = move |delivery: &Delivery| -> Outcome {
            let taken = delivery.event.seq.0 > MANY || !give_up && delivery.event.seq.0.is_multiple_of(5);
            if taken { Ok(Receipt::default()) } else { Err(Refusal { give_up, ..Refusal::default() }) }
        };
        let capacity = Capacity { batch: 256, parallel: 2 };
        Box::new(Fake { judge: Box::new(judge), capacity, ..Fake::new(0, &arrived) }) as Box<dyn Sink>
    };
    let deliveries = stage.deliveries(vec![(subscriber("ci"), sink(true))]);
    for n in 0..MANY {
        stage.journal.append(Offered::new(n, 5, Millis::now()).record(), None).expect("accepted");
    }
    sums_become(&stage, &deliveries, [0, 0, MANY, 0]).await;
    // From now on what is refused is tried again, later than this test ends.
    let hour = Duration::from_secs(3600);
    let patient = Subscriber { retry: Policy { first: hour, max: hour, ..Policy::default() }, ..subscriber("ci") };
    deliveries.replace(&[], vec![(patient, sink(false))], PATIENCE);
    let mut count = 0;
    while count < MANY {
        match deliveries.decide("ci", Fate::CalledBack, Which::All).await {
            Ok(done) => count += done,
            Err(Unsteered::NotNow(_)) => tokio::task::yield_now().await,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(count, MANY);
    let rows = |dead| rows_of(&stage, dead);
    eventually("many wait for their time", || (rows(0) >= 5000).then_some(())).await;
    stage.record(1);
    eventually("what is new is delivered", || arrived.seqs().contains(&(MANY + 1)).then_some(())).await;
    let (taken_up, outside) = (rows(0), rows(2));
    assert!(taken_up < 6000 && outside > 0, "{taken_up} were taken up, and {outside} wait");
    let all_told = || sums(&stage, &deliveries).iter().sum::<u64>() == MANY + 1;
    eventually("the figures add up", || all_told().then_some(())).await;
    let stage = stage.restart(deliveries).await;
    let deliveries = stage.deliveries(vec![(subscriber("ci"), sink(true))]);
    let owed = MANY + 1 - arrived.all().len() as u64;
    assert!(owed > rows_of(&stage, 0), "some wait outside, and are owed all the same");
    sums_become(&stage, &deliveries, [0, 0, 0, owed]).await;
    deliveries.stop(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_paused_hands_out_nothing_and_owes_what_comes() {
    let stage = Stage::new();
    let arrived = Arc::new(Arrived::default());
    let sink = || Box::new(Fake::new(0, &arrived)) as Box<dyn Sink>;
    let others = || Subscriber { route: wants("nothing"), ..subscriber("idle") };
    let deliveries = stage.deliveries(vec![(subscriber("ci"), sink()), (others(), sink())]);
    assert_eq!(
        deliveries.pause("nobody", true).await,
        Err(Unsteered::Unknown("there is no subscriber `nobody`".into()))
    );
    stage.record(0);
    sums_become(&stage, &deliveries, [1, 0, 0, 0]).await;
    deliveries.pause("ci", true).await.expect("paused");
    deliveries.pause("ci", true).await.expect("paused as it was");
    for n in 1..30 {
        stage.record(n);
    }
    sums_become(&stage, &deliveries, [1, 0, 0, 29]).await;
    assert_eq!(fate_of(&deliveries, 2).await.0, DeliveryState::Pending);
    let states = |deliveries: &Deliveries| {
        let subscribers = futures_block(deliveries.subscribers());
        subscribers.expect("told").subscribers.into_iter().map(|one| one.state).collect::<Vec<_>>()
    };
    assert_eq!(states(&deliveries), [SubscriberState::Paused, SubscriberState::Running]);
    // Neither its successor nor the next start lets it go on.
    deliveries.replace(&[], vec![(subscriber("ci"), sink())], PATIENCE);
    sums_become(&stage, &deliveries, [1, 0, 0, 29]).await;
    let stage = stage.restart(deliveries).await;
    let deliveries = stage.deliveries(vec![(subscriber("ci"), sink())]);
    stage.record(30);
    sums_become(&stage, &deliveries, [0, 0, 0, 30]).await;
    assert_eq!(arrived.all().len(), 1);
    deliveries.pause("ci", false).await.expect("it goes on");
    sums_become(&stage, &deliveries, [30, 0, 0, 0]).await;
    let mut seqs = arrived.seqs();
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=31).collect::<Vec<_>>());
    deliveries.stop(PATIENCE).await;
}

fn futures_block<T>(future: impl Future<Output = T>) -> T {
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(future))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_called_back_keeps_its_place_in_line() {
    let stage = Stage::new();
    let (arrived, bad) = (Arc::new(Arrived::default()), Arc::new(AtomicBool::new(true)));
    let in_line = Subscriber { order: Order::Strict, ..subscriber("ci") };
    let deliveries = stage.deliveries(vec![(in_line, moody(&arrived, &bad))]);
    for n in 0..20 {
        stage.record(n);
    }
    sums_become(&stage, &deliveries, [0, 0, 20, 0]).await;
    deliveries.pause("ci", true).await.expect("paused");
    bad.store(false, Ordering::SeqCst);
    stage.record(20);
    assert_eq!(deliveries.decide("ci", Fate::CalledBack, Which::All).await, Ok(20));
    sums_become(&stage, &deliveries, [0, 0, 0, 21]).await;
    deliveries.pause("ci", false).await.expect("it goes on");
    sums_become(&stage, &deliveries, [21, 0, 0, 0]).await;
    assert_eq!(arrived.seqs(), (1..=21).collect::<Vec<_>>());
    deliveries.stop(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_became_of_an_event_is_told_as_it_was() {
    let stage = Stage::new();
    let (arrived, bad) = (Arc::new(Arrived::default()), Arc::new(AtomicBool::new(false)));
    stage.record(0);
    let deliveries = stage.deliveries(vec![(subscriber("ci"), moody(&arrived, &bad))]);
    stage.record(1);
    sums_become(&stage, &deliveries, [1, 0, 0, 0]).await;
    assert_eq!(fate_of(&deliveries, 1).await, (DeliveryState::BeforeStart, Vec::new()));
    assert_eq!(fate_of(&deliveries, 2).await, (DeliveryState::Delivered, attempts(&[(1, "ok")])));
    assert_eq!(fate_of(&deliveries, 3).await, (DeliveryState::Pending, Vec::new()));
    let recent = &told(&deliveries, 2).await[0].attempts[0];
    assert!(recent.time.is_some() && recent.status == Some(204), "{recent:?}");
    // A successor that wants something else remembers what was wanted before, and what was delivered.
    let other = Subscriber { route: wants("nothing"), ..subscriber("ci") };
    deliveries.replace(&[], vec![(other.clone(), moody(&arrived, &bad))], PATIENCE);
    let changed = || futures_block(deliveries.subscribers()).expect("told").subscribers[0].topics == ["nothing"];
    eventually("it has changed", || changed().then_some(())).await;
    eventually("it reads on", || futures_block(told(&deliveries, 3)).is_empty().then_some(())).await;
    assert_eq!(fate_of(&deliveries, 2).await, (DeliveryState::Delivered, attempts(&[(1, "ok")])));
    assert!(told(&deliveries, 2).await[0].attempts[0].time.is_some());
    stage.record(2);
    stage.record(3);
    eventually("it has read on", || {
        (stage.metric(&deliveries, r#"forebay_backlog_events{subscriber="ci"}"#) == Some(0)).then_some(())
    })
    .await;
    assert_eq!(told(&deliveries, 3).await, [], "it was not wanted");
    let stage = stage.restart(deliveries).await;
    let deliveries = stage.deliveries(vec![(subscriber("ci"), moody(&arrived, &bad))]);
    assert_eq!(fate_of(&deliveries, 2).await, (DeliveryState::Delivered, attempts(&[(1, "ok")])));
    assert_eq!(told(&deliveries, 2).await[0].attempts[0].time, None, "what went well at once is not written down");
    assert_eq!(told(&deliveries, 3).await, [], "it was not wanted then");
    assert_eq!(fate_of(&deliveries, 1).await.0, DeliveryState::BeforeStart);
    let late = Subscriber { start: Start::Earliest, ..subscriber("late") };
    deliveries.replace(&[], vec![(late, moody(&arrived, &bad))], PATIENCE);
    let seqs_of_late = || {
        let all = futures_block(told(&deliveries, 1));
        all.iter().any(|one| one.subscriber == "late" && one.state == DeliveryState::Delivered)
    };
    eventually("one that begins with the earliest gets it", || seqs_of_late().then_some(())).await;
    deliveries.stop(PATIENCE).await;
}
