//! Timestamps and durations: reading, writing, calculating, and their parts.

use std::fmt::Write as _;

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use super::eval::Why;
use super::tree::Operator;
use super::value::Value;

/// The years CEL has, 1 to 9999, in seconds since 1970, but for the last day, which could be of the next year elsewhere.
const FIRST: i64 = -62_135_596_800;
const LAST: i64 = 253_402_207_200;

/// The longest duration CEL has: ten thousand years.
const LONGEST: i64 = 315_576_000_000;

fn within(moment: Timestamp) -> Option<Timestamp> {
    (FIRST..=LAST).contains(&moment.as_duration().as_secs()).then_some(moment)
}

fn no_longer(duration: SignedDuration) -> Option<SignedDuration> {
    (-LONGEST..=LONGEST).contains(&duration.as_secs()).then_some(duration)
}

/// Reads RFC 3339, `2026-11-23T08:00:00.123Z`.
pub(super) fn read(text: &str) -> Option<Timestamp> {
    // jiff takes more than RFC 3339: a date without a time, names of zones.
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"-+:.TtZz".contains(&byte));
    let moment: Timestamp = text.parse().ok().filter(|_| plain && text.len() >= "2026-11-23T08:00:00Z".len())?;
    within(moment)
}

/// So many seconds after 1970.
pub(super) fn from_seconds(seconds: i64) -> Option<Timestamp> {
    Timestamp::from_second(seconds).ok().and_then(within)
}

/// Reads `1h30m`, `1.5s`, `-250ms`, with the units `h`, `m`, `s`, `ms`, `us` and `ns`.
pub(super) fn read_duration(text: &str) -> Option<SignedDuration> {
    const UNITS: [(&str, i128); 7] = [
        ("h", 3_600_000_000_000),
        ("ms", 1_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
        ("us", 1_000),
        ("µs", 1_000),
        ("ns", 1),
    ];
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mut rest, mut nanos) = (unsigned, 0_i128);
    if rest == "0" {
        return Some(SignedDuration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let number = &rest[..rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len())];
        rest = &rest[number.len()..];
        let (name, unit) = UNITS.iter().find(|(name, _)| rest.starts_with(name))?;
        rest = &rest[name.len()..];
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && part.is_empty() || whole.len() > 18 || part.contains('.') {
            return None;
        }
        // What is beyond a billionth of the unit is less than a nanosecond but for hours and minutes, where it is lost.
        let part = &part[..part.len().min(9)];
        let digits = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<i128>().ok() };
        let scale = 10_i128.pow(u32::try_from(part.len()).ok()?);
        nanos += digits(whole)? * unit + digits(part)? * unit / scale;
    }
    if text.starts_with('-') {
        nanos = -nanos;
    }
    let seconds = i64::try_from(nanos / 1_000_000_000).ok()?;
    no_longer(SignedDuration::new(seconds, i32::try_from(nanos % 1_000_000_000).ok()?))
}

/// Seconds, as in `5400s` and `0.25s`.
pub(super) fn show_duration(duration: SignedDuration) -> String {
    let sign = if duration.is_negative() { "-" } else { "" };
    let mut text = format!("{sign}{}", duration.as_secs().unsigned_abs());
    let nanos = duration.subsec_nanos().unsigned_abs();
    if nanos > 0 {
        // Writing into a string does not fail.
        let _ = write!(text, ".{}", format!("{nanos:09}").trim_end_matches('0'));
    }
    text.push('s');
    text
}

pub(super) fn calculate<'a>(operator: Operator, a: &Value<'a>, b: &Value<'a>) -> Result<Value<'a>, Why<'a>> {
    let moment = |it: Option<Timestamp>| it.and_then(within).map(Value::Timestamp).ok_or(Why::Overflow);
    let duration = |it: Option<SignedDuration>| it.and_then(no_longer).map(Value::Duration).ok_or(Why::Overflow);
    match (operator, a, b) {
        (Operator::Add, Value::Timestamp(a), Value::Duration(b))
        | (Operator::Add, Value::Duration(b), Value::Timestamp(a)) => moment(a.checked_add(*b).ok()),
        (Operator::Subtract, Value::Timestamp(a), Value::Duration(b)) => moment(a.checked_sub(*b).ok()),
        (Operator::Subtract, Value::Timestamp(a), Value::Timestamp(b)) => duration(Some(a.duration_since(*b))),
        (Operator::Add, Value::Duration(a), Value::Duration(b)) => duration(a.checked_add(*b)),
        (Operator::Subtract, Value::Duration(a), Value::Duration(b)) => duration(a.checked_sub(*b)),
        (operator, a, b) => Err(Why::operator(operator, a.kind(), b.kind())),
    }
}

/// A part of a date or a time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    FullYear,
    Month,
    Date,
    DayOfMonth,
    DayOfWeek,
    DayOfYear,
    Hours,
    Minutes,
    Seconds,
    Milliseconds,
}

/// A part of a timestamp, in UTC or at an offset such as `+02:00`. Months and days count from 0 but for [`Part::Date`].
pub(super) fn part(part: Part, moment: Timestamp, zone: Option<&str>) -> Option<i64> {
    let there: DateTime = offset(zone.unwrap_or("UTC"))?.to_datetime(moment);
    Some(match part {
        Part::FullYear => i64::from(there.year()),
        Part::Month => i64::from(there.month()) - 1,
        Part::Date => i64::from(there.day()),
        Part::DayOfMonth => i64::from(there.day()) - 1,
        Part::DayOfWeek => i64::from(there.weekday().to_sunday_zero_offset()),
        Part::DayOfYear => i64::from(there.day_of_year()) - 1,
        Part::Hours => i64::from(there.hour()),
        Part::Minutes => i64::from(there.minute()),
        Part::Seconds => i64::from(there.second()),
        Part::Milliseconds => i64::from(there.millisecond()),
    })
}

/// A duration in whole units; the milliseconds are those of the last second.
pub(super) fn part_of_duration(part: Part, duration: SignedDuration) -> Option<i64> {
    match part {
        Part::Hours => Some(duration.as_hours()),
        Part::Minutes => Some(duration.as_mins()),
        Part::Seconds => Some(duration.as_secs()),
        Part::Milliseconds => Some(i64::from(duration.subsec_millis())),
        _ => None,
    }
}

/// `UTC`, or `+02:00`, `-05:30`, `02:00`. Names of zones would make a filter depend on files of the machine.
pub(super) fn offset(text: &str) -> Option<TimeZone> {
    if matches!(text, "UTC" | "Z" | "GMT") {
        return Some(TimeZone::UTC);
    }
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (hours, minutes) = rest.split_once(':')?;
    let digits =
        |text: &str| text.parse::<i32>().ok().filter(|_| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit()));
    let (hours, minutes) = (digits(hours)?, digits(minutes).filter(|minutes| *minutes < 60)?);
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok().map(Offset::to_time_zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_show() {
        let cases = [
            ("1h30m", "5400s"),
            ("1.5s", "1.5s"),
            ("-250ms", "-0.25s"),
            ("+2m", "120s"),
            ("0", "0s"),
            ("0s", "0s"),
            ("1us", "0.000001s"),
            ("1µs1ns", "0.000001001s"),
            (".5h", "1800s"),
            ("1.h", "3600s"),
            ("87660000h", "315576000000s"),
        ];
        for (text, want) in cases {
            assert_eq!(read_duration(text).map(show_duration).as_deref(), Some(want), "{text}");
        }
        for bad in
            ["", "-", "1", "h", "1d", "1 h", "1h ", ".h", "1..5s", "1h-1m", "87660001h", "99999999999999999999s", "é"]
        {
            assert_eq!(read_duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn timestamps_read() {
        for (text, want) in [
            ("2026-11-23T08:00:00Z", Some(1_795_420_800)),
            ("2026-11-23T10:00:00.5+02:00", Some(1_795_420_800)),
            ("0001-01-01T00:00:00Z", Some(FIRST)),
            ("9999-12-30T22:00:00Z", Some(LAST)),
            ("9999-12-31T23:59:59Z", None),
            ("0000-12-31T23:59:59Z", None),
            ("2026-11-23", None),
            ("2026-11-23T08:00:00", None),
            ("2026-11-23T08:00:00Z[UTC]", None),
            ("2026-13-23T08:00:00Z", None),
            ("now", None),
        ] {
            assert_eq!(read(text).map(jiff::Timestamp::as_second), want, "{text}");
        }
    }

    #[test]
    fn parts_at_an_offset() {
        let moment = read("2026-11-23T23:30:15.250Z").expect("good");
        let cases = [
            (Part::FullYear, 2026, 2026),
            (Part::Month, 10, 10),
            (Part::Date, 23, 24),
            (Part::DayOfMonth, 22, 23),
            (Part::DayOfWeek, 1, 2),
            (Part::DayOfYear, 326, 327),
            (Part::Hours, 23, 1),
            (Part::Minutes, 30, 0),
            (Part::Seconds, 15, 15),
            (Part::Milliseconds, 250, 250),
        ];
        for (one, utc, there) in cases {
            assert_eq!(part(one, moment, None), Some(utc), "{one:?}");
            assert_eq!(part(one, moment, Some("+01:30")), Some(there), "{one:?}");
        }
        assert_eq!(part(Part::Hours, moment, Some("-05:00")), Some(18));
        for bad in ["Europe/Berlin", "", "+1:30", "+01:60", "+99:00", "01"] {
            assert_eq!(part(Part::Hours, moment, Some(bad)), None, "{bad}");
        }
    }
}
