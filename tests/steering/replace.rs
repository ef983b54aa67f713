//! Subscribers that are replaced at work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use forebay::event::Seq;
use forebay::journal::Settings;
use forebay::sink::{Capacity, Receipt, Refusal, Sink};

use crate::offered_events::{Dice, settings};
use crate::stage::{Arrived, Fake, Stage, eventually, name, subscriber};

const PATIENCE: Duration = Duration::from_secs(30);

/// Refuses every event of some numbers once.
fn fussy(number: usize, arrived: &Arc<Arrived>) -> Box<dyn Sink> {
    let judge = |delivery: &forebay::sink::Delivery| {
        if delivery.event.seq.0.is_multiple_of(3) && delivery.attempt == 1 {
            Err(Refusal::default())
        } else {
            Ok(Receipt::default())
        }
    };
    Box::new(Fake { takes: Duration::from_micros(300), judge: Box::new(judge), ..Fake::new(number, arrived) })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replaced_under_load_nothing_is_lost_and_nothing_comes_twice() {
    const EVENTS: u64 = 3000;
    let stage = Stage::new();
    let arrived = Arc::new(Arrived::default());
    let deliveries = stage.deliveries(vec![(subscriber("ci"), fussy(0, &arrived))]);
    let over = AtomicBool::new(false);
    let mut replaced = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..EVENTS {
                stage.record(n);
            }
            over.store(true, Ordering::SeqCst);
        });
        let mut dice = Dice(7);
        let runtime = tokio::runtime::Handle::current();
        let _within = runtime.enter();
        while !over.load(Ordering::SeqCst) {
            for _ in 0..=dice.below(2) {
                replaced += 1;
                deliveries.replace(&[], vec![(subscriber("ci"), fussy(replaced, &arrived))], PATIENCE);
            }
            std::thread::sleep(Duration::from_millis(dice.below(12)));
        }
    });
    eventually("all arrive", || (arrived.all().len() as u64 >= EVENTS).then_some(())).await;
    deliveries.stop(PATIENCE).await;
    let mut seqs = arrived.seqs();
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=EVENTS).collect::<Vec<_>>());
    let by = arrived.all().into_iter().map(|(number, ..)| number).collect::<Vec<_>>();
    assert!(by.is_sorted(), "one delivered beside its successor");
    assert!(by.iter().collect::<std::collections::BTreeSet<_>>().len() > 10, "few took part: {replaced}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_successor_waits_for_what_is_under_way() {
    let stage = Stage::new();
    let arrived = Arc::new(Arrived::default());
    let slow = Fake { takes: Duration::from_secs(3600), ..Fake::new(0, &arrived) };
    let deliveries = stage.deliveries(vec![(subscriber("ci"), Box::new(slow))]);
    stage.record(1);
    eventually("it is handed out", || (arrived.under_way() == 1).then_some(())).await;
    // The first successor is replaced before it could begin.
    deliveries.replace(&[], vec![(subscriber("ci"), Box::new(Fake::new(1, &arrived)))], PATIENCE);
    deliveries.replace(&[], vec![(subscriber("ci"), Box::new(Fake::new(2, &arrived)))], PATIENCE);
    stage.record(2);
    deliveries.stop(Duration::from_millis(1)).await;
    assert_eq!((arrived.under_way(), arrived.all().len()), (0, 0), "at the end nobody begins");

    let stage = stage.restart(deliveries).await;
    let slow = Fake { takes: Duration::from_secs(3600), ..Fake::new(0, &arrived) };
    let deliveries = stage.deliveries(vec![(subscriber("ci"), Box::new(slow))]);
    eventually("it is handed out", || (arrived.under_way() >= 1).then_some(())).await;
    deliveries.replace(&[], vec![(subscriber("ci"), Box::new(Fake::new(3, &arrived)))], Duration::from_millis(20));
    eventually("what was abandoned is made again", || (arrived.all().len() == 2).then_some(())).await;
    assert!(arrived.all().iter().all(|(number, _, attempt)| (*number, *attempt) == (3, 1)), "{:?}", arrived.all());
    deliveries.stop(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_come_get_what_is_recorded_from_then_on() {
    let stage = Stage::new();
    let arrived = Arc::new(Arrived::default());
    let deliveries = stage.deliveries(Vec::new());
    for round in 0..20 {
        stage.record(round);
        let named = format!("s{round}");
        deliveries.replace(
            &[],
            vec![(subscriber(&named), Box::new(Fake::new(usize::try_from(round).expect("small"), &arrived)))],
            PATIENCE,
        );
        let seq = round * 2 + 2;
        stage.record(round);
        eventually("it arrives", || arrived.all().iter().any(|(_, at, _)| *at == seq).then_some(())).await;
        deliveries.replace(&[name(&named)], Vec::new(), PATIENCE);
        eventually("it is gone", || deliveries.status().is_empty().then_some(())).await;
    }
    assert_eq!(arrived.seqs(), (1..=20).map(|n| n * 2).collect::<Vec<_>>());
    deliveries.stop(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_left_holds_nothing_and_is_remembered_while_it_is_owed() {
    let stage = Stage::with(&Settings { retain_size: 0, ..settings() });
    let arrived = Arc::new(Arrived::default());
    let refuses = || {
        let judge = |_: &forebay::sink::Delivery| Err(Refusal { give_up: true, ..Refusal::default() });
        let capacity = Capacity { batch: 1, parallel: 1 };
        Box::new(Fake { judge: Box::new(judge), capacity, ..Fake::new(0, &arrived) }) as Box<dyn Sink>
    };
    let deliveries = stage.deliveries(vec![(subscriber("ci"), refuses()), (subscriber("other"), refuses())]);
    let series = |what: &str| format!("forebay_{what}{{subscriber=\"ci\"");
    stage.record(1);
    let dead = r#"forebay_dead_letters{subscriber="ci"}"#;
    eventually("it dies", || (stage.metric(&deliveries, dead) == Some(1)).then_some(())).await;
    assert!(stage.metrics.render().contains(&series("attempts_total")));
    deliveries.replace(&[name("ci")], Vec::new(), PATIENCE);
    eventually("it is gone", || (deliveries.status().len() == 1).then_some(())).await;
    let shown = stage.metrics.render();
    assert!(!shown.contains("\"ci\""), "its metrics are gone: {shown}");
    assert!(shown.contains("\"other\""));
    assert_eq!(
        deliveries.dead_letters(Some("ci"), None, 10, None).await.expect("told").dead.len(),
        1,
        "it is remembered"
    );

    deliveries.replace(&[], vec![(subscriber("ci"), Box::new(Fake::new(1, &arrived)))], PATIENCE);
    eventually("it is back", || (stage.metric(&deliveries, dead) == Some(1)).then_some(())).await;
    stage.record(2);
    eventually("it delivers", || (arrived.seqs() == [2]).then_some(())).await;
    deliveries.stop(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_one_that_left_needed_is_retired() {
    let stage = Stage::with(&Settings { retain_size: 0, ..settings() });
    let arrived = Arc::new(Arrived::default());
    let stuck = Fake { takes: Duration::from_secs(3600), ..Fake::new(0, &arrived) };
    let free = || Box::new(Fake::new(1, &arrived)) as Box<dyn Sink>;
    let deliveries = stage.deliveries(vec![(subscriber("stuck"), Box::new(stuck)), (subscriber("free"), free())]);
    for n in 0..4 {
        stage.record_of(n, 1 << 20);
    }
    eventually("one is done", || (arrived.all().len() == 4).then_some(())).await;
    // Whoever takes over holds what the other one held.
    deliveries.replace(&[], vec![(subscriber("free"), free())], PATIENCE);
    assert_eq!(stage.journal.earliest(), Seq(1));
    deliveries.replace(&[name("stuck")], Vec::new(), Duration::ZERO);
    eventually("it is retired", || (stage.journal.earliest() > Seq(1)).then_some(())).await;
    deliveries.stop(PATIENCE).await;
}
