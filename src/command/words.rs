//! Numbers, sizes and times as people say them.

use crate::event::Millis;
use crate::sink::readable::printable;

/// A number with its thousands apart: `12,345`.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// So many of them: `1 event`, `2 events`.
pub(super) fn count(many: u64, one: &str) -> String {
    format!("{} {one}{}", number(many), if many == 1 { "" } else { "s" })
}

/// A size in bytes, with one digit behind the point: `8.2 KiB`.
pub(super) fn size(bytes: u64) -> String {
    let (mut unit, mut shift) = ("B", 0);
    for (name, bits) in [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)] {
        if bytes >> bits > 0 {
            (unit, shift) = (name, bits);
        }
    }
    if shift == 0 {
        return format!("{bytes} B");
    }
    let whole = bytes >> shift;
    // Cut and not rounded, so that 1023.99 KiB does not become 1024.0 KiB.
    let tenths = ((bytes - (whole << shift)) * 10) >> shift;
    format!("{whole}.{tenths} {unit}")
}

/// How long, in its largest unit: `40 ms`, `3 min`.
pub(super) fn long(millis: u64) -> String {
    const SECOND: u64 = 1000;
    const MINUTE: u64 = 60 * SECOND;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let (size, unit) = match millis {
        0..SECOND => (1, "ms"),
        SECOND..MINUTE => (SECOND, "s"),
        MINUTE..HOUR => (MINUTE, "min"),
        _ if millis < 2 * DAY => (HOUR, "h"),
        _ => (DAY, "d"),
    };
    format!("{} {unit}", number(millis / size))
}

/// The same of seconds, as the API gives them.
pub(super) fn seconds(seconds: f64) -> String {
    long(std::time::Duration::try_from_secs_f64(seconds).map_or(0, |long| long.as_millis().try_into().unwrap_or(0)))
}

/// How far a moment is away: `3 min ago`, `in 5 s`. What is no moment is shown as it is.
pub(super) fn age(moment: &str, now: Millis) -> String {
    let Ok(then) = moment.parse::<jiff::Timestamp>() else { return printable(moment) };
    let past = now.0.saturating_sub(then.as_millisecond());
    match past.unsigned_abs() {
        0..1000 => "now".to_owned(),
        away if past > 0 => format!("{} ago", long(away)),
        away => format!("in {}", long(away)),
    }
}

/// A moment, and how far it is away.
pub(super) fn moment(moment: &str, now: Millis) -> String {
    format!("{} ({})", printable(moment), age(moment, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_sizes() {
        for (value, want) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(number(value), want);
        }
        assert_eq!((count(1, "event"), count(0, "event")), ("1 event".into(), "0 events".into()));
        for (bytes, want) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (8400, "8.2 KiB"),
            ((1 << 20) - 1, "1023.9 KiB"),
            (25 << 20, "25.0 MiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(size(bytes), want, "{bytes}");
        }
    }

    #[test]
    fn ages() {
        let now = Millis(1_795_420_800_000);
        for (moment, want) in [
            ("2026-11-23T08:00:00.000Z", "now"),
            ("2026-11-23T08:00:00.999Z", "now"),
            ("2026-11-23T07:59:59.000Z", "1 s ago"),
            ("2026-11-23T07:57:00.000Z", "3 min ago"),
            ("2026-11-22T08:00:00.000Z", "24 h ago"),
            ("2026-11-21T08:00:00.000Z", "2 d ago"),
            ("2023-11-21T08:00:00.000Z", "1,098 d ago"),
            ("2026-11-23T08:05:01.000Z", "in 5 min"),
            ("\u{1b}[2J", "\\u001b[2J"),
        ] {
            assert_eq!(age(moment, now), want, "{moment}");
        }
        for (value, want) in [(0.04, "40 ms"), (61.0, "1 min"), (f64::NAN, "0 ms"), (-1.0, "0 ms")] {
            assert_eq!(seconds(value), want);
        }
    }
}
