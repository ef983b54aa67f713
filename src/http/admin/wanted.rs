//! Which events are asked for, in the words of a query or of a JSON body.

use super::desk::Trouble;
use super::request::shown;
use crate::config::duration;
use crate::event::Millis;
use crate::journal::lookup::{Query, Terms};

/// The words, as they came.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wanted<'a> {
    /// A topic or a pattern.
    pub(super) topic: Option<&'a str>,
    /// A type.
    pub(super) kind: Option<&'a str>,
    /// A moment, or a time before now.
    pub(super) since: Option<&'a str>,
    /// A moment, or a time before now.
    pub(super) until: Option<&'a str>,
    /// Part of what stands in the index.
    pub(super) q: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    /// What that means now.
    pub(super) fn query(self, now: Millis) -> Result<Query, Trouble> {
        Query::new(self.terms(now)?).map_err(|error| Trouble::Input(error.to_string()))
    }

    /// The same with the moments it names, unread otherwise.
    pub(super) fn terms(self, now: Millis) -> Result<Terms<'a>, Trouble> {
        let moment = |name, text: Option<&str>| text.map(|text| moment(name, text, now)).transpose();
        Ok(Terms {
            topic: self.topic,
            kind: self.kind,
            since: moment("since", self.since)?,
            until: moment("until", self.until)?,
            text: self.q,
        })
    }
}

/// A moment (RFC 3339), or a time before now: `24h`.
fn moment(name: &str, text: &str, now: Millis) -> Result<Millis, Trouble> {
    if let Ok(ago) = duration::parse(text) {
        return Ok(Millis(now.0.saturating_sub(i64::try_from(ago.as_millis()).unwrap_or(i64::MAX))));
    }
    // A `+` that was not encoded has become a blank.
    let written = if text.contains(['T', 't']) { text.replace(' ', "+") } else { text.to_owned() };
    Millis::parse(&written).ok_or_else(|| {
        let shown = shown(text);
        let form = "is a moment such as `2026-11-23T08:00:00Z`, or a time before now such as `24h`";
        Trouble::Input(format!("`{name}` {form}; not `{shown}`"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_795_420_800_123);

    #[test]
    fn moments() {
        for (text, want) in [
            ("2026-11-23T08:00:00.123Z", Some(NOW.0)),
            ("2026-11-23T08:00:00Z", Some(1_795_420_800_000)),
            ("2026-11-23T09:00:00.123+01:00", Some(NOW.0)),
            ("2026-11-23T09:00:00.123 01:00", Some(NOW.0)),
            ("2026-11-23t03:00:00.123-05:00", Some(NOW.0)),
            ("24h", Some(NOW.0 - 86_400_000)),
            ("1h 30m", Some(NOW.0 - 5_400_000)),
            ("0s", Some(NOW.0)),
            ("99999999999999w", None),
            ("2026-11-23", None),
            ("2026-11-23T08:00:00", None),
            ("1795420800", None),
            ("24", None),
            ("-24h", None),
            ("yesterday", None),
            ("T", None),
        ] {
            assert_eq!(moment("since", text, NOW).ok().map(|moment| moment.0), want, "{text}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        let all = Wanted::default();
        for (wanted, says) in [
            (Wanted { topic: Some("a b"), ..all }, "`topic`"),
            (Wanted { since: Some("1h"), until: Some("2h"), ..all }, "`since` is later"),
            (Wanted { until: Some("soon\n"), ..all }, "`until` is a moment"),
            (Wanted { q: Some(&"x".repeat(1000)), ..all }, "`q`"),
        ] {
            let Err(Trouble::Input(message)) = wanted.query(NOW) else { panic!("{wanted:?} is a query") };
            assert!(message.contains(says) && !message.contains('\n'), "{message}");
        }
        assert_eq!(all.query(NOW), Ok(Query::default()));
    }
}
