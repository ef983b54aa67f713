//! Values of options that can be told to be wrong without asking the daemon.

use uuid::Uuid;

use crate::api::MAX_LIMIT;
use crate::config::duration;

/// The id of an event, as it is written everywhere.
pub(super) fn event_id(text: &str) -> Result<String, String> {
    match Uuid::parse_str(text) {
        Ok(id) => Ok(id.hyphenated().to_string()),
        Err(_) => Err("an event's id is a UUID, such as `01935a3c-7a00-7000-8000-000000000001`".into()),
    }
}

/// The id of a refused request.
pub(super) fn rejection_id(text: &str) -> Result<String, String> {
    event_id(text).map_err(|_| "the id of a refused request is a UUID, as `doctor --list` shows it".into())
}

/// A moment, or a time before now.
pub(super) fn moment(text: &str) -> Result<String, String> {
    if duration::parse(text).is_ok() || text.parse::<jiff::Timestamp>().is_ok() {
        return Ok(text.to_owned());
    }
    Err("write a time before now, such as `24h` or `7d`, or a moment with its offset, such as \
         `2026-11-23T08:00:00Z`"
        .into())
}

/// A whole number from 1.
pub(super) fn at_least_one(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("a whole number from 1".into()),
    }
}

/// A whole number that fits one page of a list that has no second.
pub(super) fn one_page(text: &str) -> Result<u32, String> {
    match at_least_one(text) {
        Ok(number) if number <= MAX_LIMIT => Ok(number),
        _ => Err(format!("a whole number from 1 to {MAX_LIMIT}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_called_by_a_uuid() {
        let id = "01935a3c-7a00-7000-8000-000000000001";
        for good in [id, "01935A3C-7A00-7000-8000-000000000001", "01935a3c7a0070008000000000000001"] {
            assert_eq!(event_id(good).as_deref(), Ok(id));
        }
        for bad in ["", "1", "..", "01935a3c-7a00-7000-8000-00000000000", "01935a3c-7a00-7000-8000-000000000001/x"] {
            assert!(event_id(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_moment_is_written_in_two_ways() {
        for good in ["24h", "7d", "1h 30m", "2026-11-23T08:00:00Z", "2026-11-23T08:00:00.123+01:00"] {
            assert_eq!(moment(good).as_deref(), Ok(good));
        }
        for bad in ["", "24", "yesterday", "2026-11-23", "2026-11-23T08:00:00", "-1h"] {
            assert!(moment(bad).is_err(), "{bad}");
        }
    }
}
