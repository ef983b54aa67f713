//! Plays random histories on a disk that loses power, and holds what is read afterwards against what was promised.
//!
//! `FOREBAY_SEEDS=100000` plays more of them; `FOREBAY_SEED=17` plays one, the one a failure names.

mod history;
mod ledger;
mod lying_disk;
mod offered_events;
mod simulated_disk;

use std::sync::atomic::{AtomicU64, Ordering};

use forebay::journal::Sync;

use history::{Course, play};
use lying_disk::Lie;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Plays the seeds below `count` on two threads, until one fails. Answers that one, or what all came to.
fn play_all(count: u64, course: impl Fn(u64) -> Course + std::marker::Sync) -> Result<history::Tally, (u64, String)> {
    let next = AtomicU64::new(0);
    let work = || {
        let mut tally = history::Tally::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= count {
                return Ok(tally);
            }
            match play(&course(seed)) {
                Ok(one) => tally.add(&one),
                Err(wrong) => {
                    next.store(count, Ordering::Relaxed);
                    return Err((seed, wrong));
                }
            }
        }
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(work);
        let one = work();
        let mut all = other.join().expect("the player does not panic")?;
        all.add(&one?);
        Ok(all)
    })
}

#[test]
fn nothing_that_was_promised_is_lost() {
    if let Some(seed) = number("FOREBAY_SEED") {
        let tally = play(&Course::new(seed)).unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
        println!("{tally:?}");
        return;
    }
    let seeds = number("FOREBAY_SEEDS").unwrap_or(2000);
    let tally = play_all(seeds, Course::new)
        .unwrap_or_else(|(seed, wrong)| panic!("seed {seed}: {wrong}\nagain with FOREBAY_SEED={seed}"));
    println!("{tally:?}");
    // The histories are worth something only if all of this happens in them, and often.
    assert!(tally.recorded > seeds * 10, "{tally:?}");
    for often in [tally.cuts, tally.cuts_within, tally.kills, tally.kills_within, tally.duplicates, tally.rolls] {
        assert!(often > seeds / 2, "{tally:?}");
    }
    for seldom in [tally.recycled, tally.retired, tally.huge, tally.unpromised, tally.closes, tally.kept] {
        assert!(seldom > seeds / 20, "{tally:?}");
    }
}

/// A harness that finds nothing proves nothing: each of these faults must be found, and soon.
#[test]
fn planted_faults_are_found() {
    let lies = [
        Lie::SyncDoesNothing,
        Lie::SyncDoesNothingNowAndThen,
        Lie::SyncOfRecoveryDoesNothing,
        Lie::SyncDirDoesNothing,
        Lie::WriteOfLastByteIsLost,
    ];
    for lie in lies {
        let found = play_all(400, |seed| Course { lie: Some(lie), ..Course::new(seed) });
        assert!(found.is_err(), "nobody noticed: {lie:?}");
    }
    let found = play_all(400, |seed| Course { sync: Sync::Never, ..Course::new(seed) });
    assert!(found.is_err(), "nobody noticed that nothing is synced");
}
