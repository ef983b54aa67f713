//! Timestamps: strictly read, and held against the clock.

use std::time::Duration;

use http::HeaderName;

use super::engine::named;
use super::{At, BuildError, Rejection, Stamp, Unit, in_body};
use crate::event::Millis;
use crate::json::Pointer;

/// A [`Stamp`], ready to check.
#[derive(Debug)]
pub(super) struct Clocked {
    pub(super) place: Place,
    unit: Unit,
    tolerance: Duration,
    future: bool,
}

/// Where the timestamp is: [`At`], owned.
#[derive(Debug)]
pub(super) enum Place {
    Header(HeaderName),
    Item(Box<str>),
    Body(Pointer),
}

impl Clocked {
    pub(super) fn new(stamp: Stamp<'_>) -> Result<Self, BuildError> {
        let Stamp { at, unit, tolerance, future } = stamp;
        let place = match at {
            At::Header(header) => Place::Header(named(header)?),
            At::Item(name) => Place::Item(name.into()),
            At::Body(pointer) => Place::Body(Pointer::parse(pointer).map_err(|error| {
                BuildError::new("timestamp", format!("`{pointer}`: {error}")).hint("such as `/event/time`")
            })?),
        };
        Ok(Self { place, unit, tolerance, future })
    }

    /// What it was made of.
    pub(super) fn stamp(&self) -> Stamp<'_> {
        let at = match &self.place {
            Place::Header(header) => At::Header(header.as_str()),
            Place::Item(name) => At::Item(name),
            Place::Body(pointer) => At::Body(pointer.as_str()),
        };
        Stamp { at, unit: self.unit, tolerance: self.tolerance, future: self.future }
    }

    /// The timestamp of that moment; empty where it is the body's own affair.
    pub(super) fn write(&self, now: Millis) -> String {
        match (&self.place, self.unit) {
            (Place::Body(_), _) => String::new(),
            (_, Unit::Millis) => now.0.to_string(),
            (_, Unit::Seconds | Unit::Either) => now.seconds().to_string(),
        }
    }

    /// `text` is the timestamp as it was signed; one in the body is looked up here, when the signature is known to fit.
    pub(super) fn check(&self, text: &[u8], body: &[u8], now: Millis) -> Result<(), Rejection> {
        let from_body;
        let text = match &self.place {
            Place::Body(pointer) => {
                let [found] = in_body(body, [pointer]);
                from_body = found.ok_or_else(|| Rejection {
                    label: "missing",
                    reason: format!("the body has no timestamp at `{pointer}`"),
                })?;
                from_body.as_bytes()
            }
            _ => text,
        };
        let stamp =
            integer(text).ok_or_else(|| Rejection::malformed("the timestamp is not a whole number".to_owned()))?;
        let seconds = match self.unit {
            Unit::Seconds => true,
            Unit::Millis => false,
            Unit::Either => stamp < 100_000_000_000,
        };
        // Compared in the sender's own unit: half a second too late by this clock is not late by one that counts seconds.
        let age = if seconds {
            now.seconds().saturating_sub(stamp).saturating_mul(1000)
        } else {
            now.0.saturating_sub(stamp)
        };
        let tolerance = i64::try_from(self.tolerance.as_millis()).unwrap_or(i64::MAX);
        let stale = age > tolerance || (self.future && age < -tolerance);
        if stale {
            let (by, way) = (age.unsigned_abs() / 1000, if age < 0 { "in the future" } else { "old" });
            return Err(Rejection { label: "stale", reason: format!("the timestamp is {by} s {way}") });
        }
        Ok(())
    }
}

/// A timestamp as providers write it: digits and nothing else, no more than fit.
fn integer(text: &[u8]) -> Option<i64> {
    let digits = (1..=15).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    digits.then(|| text.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_digits() {
        assert_eq!(integer(b"1700000000"), Some(1_700_000_000));
        assert_eq!(integer(b"999999999999999"), Some(999_999_999_999_999));
        for bad in
            ["", "-1", "+1", "1.0", "1e9", " 1", "1 ", "Infinity", "NaN", "0x10", "1_0", "9999999999999999", "\u{661}"]
        {
            assert_eq!(integer(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn tolerance_goes_by_the_unit_of_the_sender() {
        let stamp = |unit, future| Clocked {
            place: Place::Item("t=".into()),
            unit,
            tolerance: Duration::from_secs(300),
            future,
        };
        let now = Millis(1_700_000_300_999);
        let table = [
            (Unit::Seconds, true, "1700000000", true),
            (Unit::Seconds, true, "1699999999", false),
            (Unit::Seconds, true, "1700000600", true),
            (Unit::Seconds, true, "1700000601", false),
            (Unit::Seconds, false, "1700000601", true),
            (Unit::Seconds, false, "1699999999", false),
            (Unit::Millis, true, "1700000000999", true),
            (Unit::Millis, true, "1700000000998", false),
            (Unit::Either, true, "1700000000", true),
            (Unit::Either, true, "1700000000998", false),
        ];
        for (unit, future, text, fresh) in table {
            let verdict = stamp(unit, future).check(text.as_bytes(), b"", now);
            assert_eq!(verdict.is_ok(), fresh, "{unit:?} {future} {text}");
            assert!(verdict.is_ok() || verdict.is_err_and(|rejection| rejection.label == "stale"));
        }
    }
}
