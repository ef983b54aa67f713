//! When a refused delivery is tried again, or given up. Pure: the clock and the dice come in as arguments.

use std::time::Duration;

use crate::event::Millis;
use crate::sink::Refusal;

/// How a subscriber retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// The delay bound after the first refusal; it doubles with each further one.
    pub first: Duration,
    /// The largest delay bound.
    pub max: Duration,
    /// The most attempts, the first included.
    pub attempts: u32,
    /// No attempt later than this after the event was received.
    pub max_age: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            max: Duration::from_secs(3600),
            attempts: 16,
            max_age: Duration::from_secs(3 * 24 * 3600),
        }
    }
}

/// What follows a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Another attempt, not before this time.
    At(Millis),
    /// No other: the receiver will never take it.
    GivenUp,
    /// No other: there were as many as there may be.
    OutOfAttempts,
    /// No other: it would come too late.
    TooOld,
}

impl Policy {
    /// What follows the refusal of attempt number `attempts` of an event received at `received`.
    ///
    /// `dice` is a number from 0 up to 1. The delay lies between `first` and a bound that doubles with each attempt up
    /// to `max` ("full jitter"); a `retry-after` of the receiver makes it longer, never shorter.
    #[must_use]
    pub fn after_refusal(&self, attempts: u32, received: Millis, now: Millis, refusal: &Refusal, dice: f64) -> Next {
        if refusal.give_up {
            return Next::GivenUp;
        }
        if attempts >= self.attempts {
            return Next::OutOfAttempts;
        }
        let delay = self.delay(attempts, dice).max(refusal.retry_after.unwrap_or_default());
        let due = now.0.saturating_add(millis(delay));
        if due > received.0.saturating_add(millis(self.max_age)) { Next::TooOld } else { Next::At(Millis(due)) }
    }

    /// The delay after the given number of failures.
    #[must_use]
    pub fn delay(&self, failures: u32, dice: f64) -> Duration {
        let bound = self.first.saturating_mul(2_u32.saturating_pow(failures)).min(self.max).max(self.first);
        self.first + bound.saturating_sub(self.first).mul_f64(dice.clamp(0.0, 1.0))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy {
        first: Duration::from_secs(1),
        max: Duration::from_secs(60),
        attempts: 4,
        max_age: Duration::from_secs(100),
    };

    #[test]
    fn delays_grow_to_the_maximum_and_jitter_between() {
        for (failures, most) in [(1, 2), (2, 4), (3, 8), (5, 32), (6, 60), (7, 60), (40, 60), (u32::MAX, 60)] {
            assert_eq!(POLICY.delay(failures, 0.0), POLICY.first, "{failures}");
            assert_eq!(POLICY.delay(failures, 1.0), Duration::from_secs(most), "{failures}");
        }
        let upside_down = Policy { max: Duration::from_millis(1), ..POLICY };
        assert_eq!(upside_down.delay(3, 1.0), POLICY.first);
    }

    #[test]
    fn ends_where_it_must() {
        let refusal = Refusal::default();
        let patient = Refusal { retry_after: Some(Duration::from_secs(30)), ..Refusal::default() };
        let never = Refusal { give_up: true, ..Refusal::default() };
        let cases = [
            (1, 0, &refusal, Next::At(Millis(2_000))),
            (3, 0, &refusal, Next::At(Millis(8_000))),
            (4, 0, &refusal, Next::OutOfAttempts),
            (1, 0, &patient, Next::At(Millis(30_000))),
            (1, 0, &never, Next::GivenUp),
            (1, 99_000, &refusal, Next::TooOld),
            (1, 98_000, &refusal, Next::At(Millis(100_000))),
            (1, 80_000, &patient, Next::TooOld),
        ];
        for (attempts, now, refusal, want) in cases {
            assert_eq!(POLICY.after_refusal(attempts, Millis(0), Millis(now), refusal, 1.0), want, "{attempts} {now}");
        }
    }
}
