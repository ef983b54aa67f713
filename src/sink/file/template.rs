//! The path of a file sink, with places for what an event says of itself.

use std::fmt::{self, Write as _};
use std::path::PathBuf;

use jiff::Timestamp;
use jiff::tz::Offset;

use crate::event::{Event, Millis};

/// A value takes at most this many bytes of a path; file systems allow 255 for a name.
const MAX_VALUE: usize = 80;

/// A path with `{topic}`, `{type}` and `{date}`.
///
/// Whatever an event says, its values cannot lead out of the directory that is written before the first of them: all
/// but `A-Z a-z 0-9 . _ -` becomes `%` and two hexadecimal digits, so does a dot at the beginning, and an empty value
/// becomes `%`. Different values stay different; one that comes to over 80 bytes is cut and ends in `~` and a digest
/// of the whole. An event without a type goes under `none`. The date is that of the event's receipt in UTC, such as
/// `2026-11-23`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Topic,
    Type,
    Date,
}

/// Why a text is no path template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidTemplate(String);

impl fmt::Display for InvalidTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidTemplate {}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// When it names no file, has a placeholder that does not exist or a brace without its other, or `..` behind a
    /// placeholder.
    pub fn parse(text: &str) -> Result<Self, InvalidTemplate> {
        let wrong = |what: &str| InvalidTemplate(what.to_owned());
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let literal = &rest[..rest.find(['{', '}']).unwrap_or(rest.len())];
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.to_owned()));
            }
            rest = &rest[literal.len()..];
            if let Some(place) = rest.strip_prefix('{') {
                let (name, after) = place.split_once('}').ok_or_else(|| wrong("a `{` without its `}`"))?;
                parts.push(match name {
                    "topic" => Part::Topic,
                    "type" => Part::Type,
                    "date" => Part::Date,
                    _ => {
                        return Err(InvalidTemplate(format!(
                            "`{{{name}}}` is not `{{topic}}`, `{{type}}` or `{{date}}`"
                        )));
                    }
                });
                rest = after;
            } else if !rest.is_empty() {
                return Err(wrong("a `}` without its `{`"));
            }
        }
        let example = |parts: &[Part]| -> String {
            parts.iter().map(|part| if let Part::Literal(text) = part { text } else { "x" }).collect()
        };
        let first = parts.iter().position(|part| !matches!(part, Part::Literal(_))).unwrap_or(parts.len());
        let whole = example(&parts);
        if whole.contains('\0') {
            return Err(wrong("a path holds no NUL"));
        }
        if matches!(whole.rsplit('/').next(), None | Some("" | "." | "..")) {
            return Err(wrong("the path names no file"));
        }
        if example(&parts[first..]).split('/').any(|component| component == "..") {
            return Err(wrong("`..` behind a placeholder"));
        }
        Ok(Self(parts))
    }

    /// Whether old files, with `.1` and so on at the end of their names, keep out of the way of other events' files.
    ///
    /// # Errors
    /// When the name ends in `{topic}` or `{type}`, or in a dot and digits behind one.
    pub fn check_rotated(&self) -> Result<(), InvalidTemplate> {
        let (before, tail) = match self.0.as_slice() {
            [before @ .., Part::Literal(tail)] => (before, tail.as_str()),
            whole => (whole, ""),
        };
        let numbered =
            tail.rsplit_once('.').is_some_and(|(_, end)| !end.is_empty() && end.bytes().all(|b| b.is_ascii_digit()));
        let free = !matches!(before.last(), Some(Part::Topic | Part::Type));
        if free || tail.contains('/') || !(tail.is_empty() || numbered) {
            return Ok(());
        }
        Err(InvalidTemplate("with `rotate`, an ending such as `.ndjson` behind the placeholder is needed".into()))
    }

    /// Where the event goes.
    #[must_use]
    pub fn path(&self, event: &Event) -> PathBuf {
        let mut path = String::new();
        for part in &self.0 {
            match part {
                Part::Literal(text) => path.push_str(text),
                Part::Topic => encode(&event.topic, &mut path),
                Part::Type => match &event.kind {
                    Some(kind) => encode(kind, &mut path),
                    None => path.push_str("none"),
                },
                Part::Date => date(event.time, &mut path),
            }
        }
        path.into()
    }
}

fn encode(value: &str, path: &mut String) {
    let start = path.len();
    for (n, b) in value.bytes().enumerate() {
        if b.is_ascii_alphanumeric() || b == b'_' || b == b'-' || (b == b'.' && n > 0) {
            path.push(char::from(b));
        } else {
            write!(path, "%{b:02X}").expect("memory takes every write");
        }
        if path.len() - start > MAX_VALUE {
            let digest = ring::digest::digest(&ring::digest::SHA256, value.as_bytes());
            path.truncate(start + MAX_VALUE - 17);
            path.push('~');
            for byte in &digest.as_ref()[..8] {
                write!(path, "{byte:02x}").expect("memory takes every write");
            }
            return;
        }
    }
    if value.is_empty() {
        path.push('%');
    }
}

fn date(time: Millis, path: &mut String) {
    match Timestamp::from_millisecond(time.0) {
        Ok(moment) => write!(path, "{}", Offset::UTC.to_datetime(moment).date()).expect("memory takes every write"),
        // Beyond the year 9999 either way: a clock far off.
        Err(_) => path.push_str("undated"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::super::super::line::tests::event;
    use super::*;

    fn path(template: &str, topic: &str, kind: Option<&str>) -> String {
        let mut event = event(kind, &[], b"");
        event.topic = topic.into();
        Template::parse(template).expect(template).path(&event).into_os_string().into_string().expect("text")
    }

    #[test]
    fn places_are_filled() {
        let cases = [
            ("/l/a.ndjson", "github", Some("push"), "/l/a.ndjson"),
            ("/l/{topic}.ndjson", "github", None, "/l/github.ndjson"),
            ("/l/{topic}/{type}-{date}", "bit", Some("repo:push"), "/l/bit/repo%3Apush-2026-11-23"),
            ("{type}", "github", None, "none"),
            ("/l/{type}", "github", Some(""), "/l/%"),
            ("/l/{type}", "github", Some(".."), "/l/%2E."),
            ("/l/{type}", "github", Some("../../etc/passwd"), "/l/%2E.%2F..%2Fetc%2Fpasswd"),
            ("/l/{type}", "github", Some("a\0%2F"), "/l/a%00%252F"),
            ("/l/{topic}{type}", "a.b", Some("é"), "/l/a.b%C3%A9"),
        ];
        for (template, topic, kind, want) in cases {
            assert_eq!(path(template, topic, kind), want);
        }
    }

    #[test]
    fn long_values_are_cut_and_stay_different() {
        let fits = "x".repeat(MAX_VALUE);
        assert_eq!(path("{type}", "t", Some(&fits)), fits);
        let (a, b) = ("x".repeat(1000), "x".repeat(1001));
        let (a, b) = (path("{type}", "t", Some(&a)), path("{type}", "t", Some(&b)));
        assert_eq!((a.len(), b.len()), (MAX_VALUE, MAX_VALUE));
        assert_ne!(a, b);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let cases = [
            ("/l/{foo}", "`{foo}` is not `{topic}`, `{type}` or `{date}`"),
            ("/l/{}", "`{}` is not `{topic}`, `{type}` or `{date}`"),
            ("/l/{topic", "a `{` without its `}`"),
            ("/l/topic}", "a `}` without its `{`"),
            ("/l/{topic}}", "a `}` without its `{`"),
            ("", "the path names no file"),
            ("/l/{topic}/", "the path names no file"),
            ("/l/..", "the path names no file"),
            ("/l/{topic}/../x", "`..` behind a placeholder"),
            ("/l/a\0b", "a path holds no NUL"),
        ];
        for (text, want) in cases {
            assert_eq!(Template::parse(text).expect_err(text).to_string(), want, "{text}");
        }
    }

    #[test]
    fn rotated_names_need_an_ending() {
        for (text, good) in [
            ("/l/all", true),
            ("/l/all.1", true),
            ("/l/{topic}.ndjson", true),
            ("/l/{type}/all", true),
            ("/l/{type}/all.1", true),
            ("/l/{topic}-{date}", true),
            ("/l/{topic}", false),
            ("/l/x{type}", false),
            ("/l/{type}.1", false),
            ("/l/{type}.a.17", false),
        ] {
            assert_eq!(Template::parse(text).expect(text).check_rotated().is_ok(), good, "{text}");
        }
    }

    fn value() -> impl Strategy<Value = String> {
        prop_oneof!["[./~%a]{0,6}", any::<String>(), "[a./]{70,200}"]
    }

    proptest! {
        #[test]
        fn values_never_leave_the_prefix(topic in value(), kind in prop::option::of(value()), n in 0..5_usize) {
            let template = ["{topic}/{type}", "{type}", ".{topic}{type}{date}", "a/{type}./.{topic}", "..{type}/{topic}.x"][n];
            let path = path(&format!("/var/log/{template}"), &topic, kind.as_deref());
            let below = Path::new(&path).strip_prefix("/var/log").expect("below the prefix");
            prop_assert_eq!(below.components().count(), template.split('/').count());
            prop_assert_eq!(path.split('/').count(), 3 + template.split('/').count(), "{}", path);
            for component in below.components() {
                prop_assert!(matches!(component, Component::Normal(name) if name.len() <= 200), "{}", path);
            }
            prop_assert!(path.is_ascii() && !path.contains('\0'));
        }

        #[test]
        fn different_values_go_to_different_files(a in (value(), value()), b in (value(), value())) {
            let path = |(topic, kind): &(String, String)| path("/l/{topic}/{type}", topic, Some(kind));
            prop_assert_eq!(path(&a) == path(&b), a == b);
        }
    }
}
