//! Slowing down for an endpoint that only fails: it is probed with one delivery at a time, at a growing distance, so
//! that an outage does not use up the attempts of every event.

use std::time::{Duration, Instant};

use super::retry::Policy;
use crate::sink::Refusal;

/// Failures in a row after which an endpoint counts as failing.
const FAILURES: u32 = 10;

/// The most time between two probes.
const SLOWEST: Duration = Duration::from_secs(300);

/// How an endpoint has been doing.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    /// When the next probe may go out; set while failing.
    probe_at: Option<Instant>,
    /// There was a refusal since the last success.
    refused: bool,
}

/// Whether deliveries may go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leave {
    /// As many as there is room for.
    Free,
    /// One, if none is under way.
    Probe,
    /// None before that time.
    Wait(Instant),
}

impl Breaker {
    pub(super) fn leave(&self, now: Instant) -> Leave {
        match self.probe_at {
            None => Leave::Free,
            Some(at) if at <= now => Leave::Probe,
            Some(at) => Leave::Wait(at),
        }
    }

    /// When the next probe may go out, while the endpoint is failing.
    pub(super) fn leave_at(&self) -> Option<Instant> {
        self.probe_at
    }

    /// Whether nothing was refused since the last success. Asked at each refusal, for the log.
    pub(super) fn is_first_refusal(&mut self) -> bool {
        !std::mem::replace(&mut self.refused, true)
    }

    pub(super) fn is_failing(&self) -> bool {
        self.probe_at.is_some()
    }

    /// Has the next probe go out at once: somebody has reason to think that the endpoint is well again.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.probe_at = self.probe_at.map(|at| at.min(now));
    }

    /// Answers whether the endpoint was failing and is not any more.
    pub(super) fn succeeded(&mut self) -> bool {
        self.failures = 0;
        self.refused = false;
        self.probe_at.take().is_some()
    }

    /// Answers whether the endpoint has just begun to count as failing.
    pub(super) fn failed(&mut self, refusal: &Refusal, policy: &Policy, now: Instant, dice: f64) -> bool {
        if refusal.give_up {
            // The endpoint has answered, and it was the event it did not want.
            self.failures = 0;
            self.probe_at = None;
            return false;
        }
        if self.probe_at.is_some_and(|at| at > now) {
            // It was under way before the endpoint counted as failing: no probe, and nothing new.
            return false;
        }
        self.failures = self.failures.saturating_add(1);
        let Some(probes) = self.failures.checked_sub(FAILURES) else { return false };
        let distance = policy.delay(probes.saturating_add(1), dice).min(SLOWEST);
        let distance = distance.max(refusal.retry_after.unwrap_or_default().min(SLOWEST));
        self.probe_at.replace(now + distance).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_slows_down_and_closes() {
        let policy = Policy::default();
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        let refusal = Refusal::default();
        for n in 1..FAILURES {
            assert!(!breaker.failed(&refusal, &policy, now, 1.0), "{n}");
            assert_eq!(breaker.leave(now), Leave::Free);
        }
        assert!(breaker.failed(&refusal, &policy, now, 1.0), "now it counts as failing");
        let first = breaker.leave(now);
        for _ in 0..100 {
            assert!(!breaker.failed(&refusal, &policy, now, 1.0), "said once");
        }
        assert_eq!(breaker.leave(now), first, "what was under way already slows nothing down");
        let (mut now, mut last) = (now, Duration::ZERO);
        for _ in 0..20 {
            let Leave::Wait(until) = breaker.leave(now) else { panic!("it waits") };
            now = until;
            assert!(!breaker.failed(&refusal, &policy, now, 1.0), "said once");
            let Leave::Wait(until) = breaker.leave(now) else { panic!("it waits") };
            assert!(until - now >= last && until - now <= SLOWEST);
            last = until - now;
            assert_eq!(breaker.leave(until), Leave::Probe);
        }
        assert_eq!(last, SLOWEST);
        breaker.hurry(now);
        assert_eq!(breaker.leave(now), Leave::Probe);
        assert!(breaker.succeeded());
        assert_eq!(breaker.leave(now), Leave::Free);
        assert!(!breaker.succeeded());
    }

    #[test]
    fn an_event_nobody_wants_is_not_a_failing_endpoint() {
        let refusal = Refusal { give_up: true, ..Refusal::default() };
        let mut breaker = Breaker::default();
        for _ in 0..100 {
            assert!(!breaker.failed(&refusal, &Policy::default(), Instant::now(), 1.0));
        }
        assert_eq!(breaker.leave(Instant::now()), Leave::Free);
    }
}
