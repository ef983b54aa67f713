//! Durations as they are written: `"250ms"`, `"10s"`, `"1h 30m"`, `"7d"`.

use std::time::Duration;

/// The units and their milliseconds, largest first.
const UNITS: [(&str, u64); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Reads a duration: whole numbers with a unit each, largest unit first, spaces between them or not.
///
/// # Errors
/// What is wrong, in words.
pub fn parse(text: &str) -> Result<Duration, String> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err("a duration is missing".into());
    }
    let mut total: u64 = 0;
    let mut smallest = usize::MAX;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let after = after.trim_start();
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        if number.is_empty() {
            return Err(format!("`{text}` is not a duration"));
        }
        if unit.is_empty() {
            return Err(format!("the unit after `{number}` is missing"));
        }
        let Some(place) = UNITS.iter().position(|(name, _)| *name == unit) else {
            return Err(format!("`{unit}` is not a unit of time"));
        };
        if smallest != usize::MAX && place <= smallest {
            return Err(format!("the units of `{text}` are not in falling order"));
        }
        smallest = place;
        total = number
            .parse::<u64>()
            .ok()
            .and_then(|n| n.checked_mul(UNITS[place].1))
            .and_then(|n| n.checked_add(total))
            .ok_or_else(|| format!("`{text}` is too long a time"))?;
        rest = after.trim_start();
    }
    Ok(Duration::from_millis(total))
}

/// The duration as it would be written, to the millisecond: `1h 30m`.
#[must_use]
pub fn show(duration: Duration) -> String {
    let mut left = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut parts = Vec::new();
    // Weeks are read but not written: `7d` is what people say of a retention.
    for (name, size) in &UNITS[1..] {
        if left >= *size {
            parts.push(format!("{}{name}", left / size));
            left %= size;
        }
    }
    if parts.is_empty() { "0s".into() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn written_durations() {
        let cases = [
            ("10s", 10_000),
            ("5m", 300_000),
            ("7d", 604_800_000),
            ("2w", 1_209_600_000),
            ("250ms", 250),
            ("1h 30m", 5_400_000),
            ("1h30m", 5_400_000),
            (" 10 s ", 10_000),
            ("0s", 0),
        ];
        for (text, want) in cases {
            assert_eq!(parse(text), Ok(Duration::from_millis(want)), "{text}");
        }
        for bad in ["", " ", "10", "s", "10 sec", "10S", "-1s", "1.5s", "30m 1h", "1s 1s", "99999999999999999w", "∞"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert_eq!(show(Duration::from_secs(5400)), "1h 30m");
        assert_eq!(show(Duration::from_secs(7 * 86400)), "7d");
        assert_eq!(show(Duration::ZERO), "0s");
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(millis in 0u64..10_000_000_000_000) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse(&show(duration)), Ok(duration));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,20}") {
            let _ = parse(&text);
        }
    }
}
