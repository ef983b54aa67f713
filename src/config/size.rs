//! Sizes as they are written: `"25 MiB"`, `"1 GB"`, or a plain number of bytes.

/// The units and their bytes. Binary ones first: they are preferred when a size is shown.
const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1000),
    ("B", 1),
];

/// Reads a size in bytes: a whole number and a unit, a space between them or not.
///
/// # Errors
/// What is wrong, in words.
pub fn parse(text: &str) -> Result<u64, String> {
    let trimmed = text.trim();
    let digits = trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(digits);
    let unit = unit.trim_start();
    if number.is_empty() || unit.starts_with('.') {
        return Err(format!("`{text}` is not a size"));
    }
    if unit.is_empty() {
        return Err(format!("the unit after `{number}` is missing"));
    }
    let bytes = match unit {
        // The kilo of SI is a small k; everybody writes it large.
        "KB" => 1000,
        _ => UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(|| format!("`{unit}` is not a unit of size"))?.1,
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|n| n.checked_mul(bytes))
        .ok_or_else(|| format!("`{text}` is more than can be counted"))
}

/// The size as it would be written, exactly: `25 MiB`.
#[must_use]
pub fn show(bytes: u64) -> String {
    let whole = UNITS.iter().find(|(_, size)| bytes >= *size && bytes.is_multiple_of(*size));
    match whole {
        Some((name, size)) => format!("{} {name}", bytes / size),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn written_sizes() {
        let cases = [
            ("25 MiB", 25 << 20),
            ("1 GB", 1_000_000_000),
            ("512KiB", 512 << 10),
            ("3 kB", 3000),
            ("3 KB", 3000),
            ("7 B", 7),
            ("2 TiB", 2 << 40),
            ("0 B", 0),
        ];
        for (text, want) in cases {
            assert_eq!(parse(text), Ok(want), "{text}");
        }
        for bad in ["", "MiB", "25", "25 mib", "25 Mb", "1.5 GiB", "-1 B", "99999999999 TiB", "1 MiB 2 KiB"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert_eq!(show(25 << 20), "25 MiB");
        assert_eq!(show(1_000_000_000), "1 GB");
        assert_eq!(show(0), "0 B");
        assert_eq!(show(1025), "1025 B");
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(bytes: u64) {
            prop_assert_eq!(parse(&show(bytes)), Ok(bytes));
        }
    }
}
