//! How fast replayed events may go: as fast as they can while the ingress has little to do, a trickle while it is busy,
//! and never faster than was asked for. Pure: the clock comes in as an argument.

use std::time::{Duration, Instant};

use crate::event::Seq;

/// For how long recorded events are counted before they say how busy the ingress is.
const WINDOW: Duration = Duration::from_millis(100);

/// So many recorded within [`WINDOW`], or more, is busy: a few percent of what two processors can take.
const BUSY: u64 = 100;

/// How long the ingress counts as busy after that.
const CALM: Duration = Duration::from_millis(500);

/// What all replays together may hand out in a second while the ingress is busy: as one costs some 300 µs of
/// processor time then, a few percent of two processors. Measured by `cargo bench --bench ingress -- --only replay`.
const TRICKLE: u32 = 100;

/// What waits together when it could have gone one by one: timers do not go off at every instant.
const SLACK: Duration = Duration::from_millis(10);

/// Of a trickle some go together: that wakes fewer threads than one by one. Shorter than [`SLACK`].
const GATHER: Duration = Duration::from_millis(8);

/// A body of this many bytes costs about as much again as the event itself.
const BYTES_LIKE_AN_EVENT: usize = 16 * 1024;

/// What handing out an event with a body of `bytes` costs, in units of which [`TRICKLE`] tells.
pub(super) fn cost(bytes: usize) -> u32 {
    u32::try_from(bytes / BYTES_LIKE_AN_EVENT).unwrap_or(u32::MAX).saturating_add(1)
}

/// So many a second and no more.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Meter {
    /// When all that was taken so far would have been taken at that rate.
    even: Option<Instant>,
}

impl Meter {
    /// Whether something may be taken, or when to ask again.
    pub(super) fn leave(&self, now: Instant) -> Result<(), Instant> {
        self.even.filter(|even| *even > now).map_or(Ok(()), Err)
    }

    /// Takes `units`. Whoever takes without leave makes the next one wait for longer.
    pub(super) fn take(&mut self, now: Instant, units: u32, per_second: u32) {
        // Of the time in which nothing was taken a moment counts, lest a timer that is late slows it down.
        let idle = now.checked_sub(SLACK).unwrap_or(now);
        let from = self.even.map_or(now, |even| even.max(idle));
        let time = Duration::from_secs(units.into()) / per_second.max(1);
        self.even = from.checked_add(time);
    }
}

/// The pace of all replays together.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When recorded events were last looked at, and how many there were.
    seen: Option<(Instant, Seq)>,
    busy_until: Option<Instant>,
    trickle: Meter,
}

impl Pace {
    /// Whether events of this [`cost`] may be handed out when all up to `durable` is recorded, or when to ask again.
    pub(super) fn leave(&mut self, now: Instant, durable: Seq, cost: u32) -> Result<(), Instant> {
        self.look(now, durable);
        if self.busy_until.is_some_and(|until| now < until) {
            self.trickle.leave(now).map_err(|even| even + GATHER)?;
            self.trickle.take(now, cost, TRICKLE);
        }
        Ok(())
    }

    fn look(&mut self, now: Instant, durable: Seq) {
        let Some((since, seen)) = self.seen else {
            self.seen = Some((now, durable));
            return;
        };
        let recorded = u128::from(durable.0.saturating_sub(seen.0));
        let time = now.saturating_duration_since(since).max(WINDOW);
        if recorded * WINDOW.as_micros() >= u128::from(BUSY) * time.as_micros() {
            self.busy_until = Some(now + CALM);
            self.seen = Some((now, durable));
        } else if time > WINDOW {
            self.seen = Some((now, durable));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// How many events go in the seconds of a simulation, when `recorded` events a second are recorded in each of them.
    fn goes(recorded: &[u64], cost: u32) -> Vec<u64> {
        let (mut pace, begin, mut durable) = (Pace::default(), Instant::now(), 0);
        let mut gone = Vec::new();
        for (second, rate) in (0..).zip(recorded) {
            let mut count = 0;
            // Asked every 50 µs, more often than any sink takes something.
            for step in 0..20_000_u64 {
                let now = begin + Duration::from_secs(second) + Duration::from_micros(step * 50);
                let recorded = durable + rate * step / 20_000;
                count += u64::from(pace.leave(now, Seq(recorded), cost).is_ok());
            }
            durable += rate;
            gone.push(count);
        }
        gone
    }

    #[test]
    fn full_speed_beside_an_idle_ingress_and_a_trickle_beside_a_busy_one() {
        let (full, trickle) = (20_000, u64::from(TRICKLE));
        assert_eq!(goes(&[0, 10, 900], 1), [full; 3]);
        let busy = goes(&[25_000, 25_000, 1_200, 0, 0], 1);
        assert!(busy[0] < trickle + 200, "found out within {BUSY} events: {busy:?}");
        assert!(busy[1..3].iter().all(|count| (trickle - 20..=trickle + 20).contains(count)), "{busy:?}");
        assert!(busy[3] > full / 3 && busy[4] == full, "it recovers: {busy:?}");
        let large = goes(&[25_000, 25_000], cost(1 << 20));
        assert!(large[1] <= trickle / 64 + 2, "large ones count for many: {large:?}");
    }

    #[test]
    fn a_long_pause_says_nothing() {
        let (mut pace, begin) = (Pace::default(), Instant::now());
        assert_eq!(pace.leave(begin, Seq(0), 1), Ok(()));
        for (seconds, recorded) in [(60, 30_000), (61, 30_999)] {
            let now = begin + Duration::from_secs(seconds);
            assert_eq!([(); 3].map(|()| pace.leave(now, Seq(recorded), 1)), [Ok(()); 3], "500 a second and 999");
        }
        let now = begin + Duration::from_secs(62);
        assert_eq!(pace.leave(now, Seq(32_000), 1), Ok(()), "the first of the trickle");
        assert_eq!(pace.leave(now, Seq(32_000), 1), Err(now + Duration::from_secs(1) / TRICKLE + GATHER));
    }

    #[test]
    fn a_meter_keeps_its_rate() {
        for (rate, units, step, want) in [
            (10, 1, 50 * MS, 100),
            (10, 1, MS, 100),
            (1000, 1, MS, 10_000),
            (1000, 1, Duration::from_micros(1700), 10_000),
            (1000, 64, MS, 10_000),
            (1, 1, 333 * MS, 10),
        ] {
            let (mut meter, begin, mut taken, mut time) = (Meter::default(), Instant::now(), 0, Duration::ZERO);
            while time < Duration::from_secs(10) {
                while meter.leave(begin + time).is_ok() {
                    meter.take(begin + time, units, rate);
                    taken += u64::from(units);
                }
                time += step;
            }
            assert!(taken.abs_diff(want) <= want / 50 + u64::from(units), "{taken} instead of {want}, every {step:?}");
        }
    }

    #[test]
    fn what_was_not_used_is_not_saved_up() {
        let (mut meter, begin) = (Meter::default(), Instant::now());
        assert_eq!(meter.leave(begin), Ok(()));
        meter.take(begin, 1, 10);
        assert_eq!(meter.leave(begin), Err(begin + 100 * MS));
        let later = begin + Duration::from_secs(3600);
        assert_eq!(meter.leave(later), Ok(()));
        meter.take(later, 1, 10);
        assert_eq!(meter.leave(later), Err(later + 90 * MS));
        meter.take(later, 1, 0);
        assert_eq!(meter.leave(later), Err(later + 1090 * MS), "no rate is one a second");
    }
}
