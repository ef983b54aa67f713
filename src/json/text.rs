//! The text of one value: strings decoded, numbers and booleans as they stand.

use std::borrow::Cow;

use super::run;

/// The text of one well-formed JSON value, given as its raw bytes, such as [`super::find`] gives.
///
/// A string comes decoded, an escaped lone surrogate as U+FFFD; a number or boolean as it stands; `null`, arrays and
/// objects have none. Never panics, whatever the bytes.
#[must_use]
pub fn text(raw: &[u8]) -> Option<Cow<'_, str>> {
    match raw {
        [b'"', inner @ .., b'"'] => unescape(inner),
        [b'-' | b'0'..=b'9', ..] | b"true" | b"false" => std::str::from_utf8(raw).ok().map(Cow::Borrowed),
        _ => None,
    }
}

/// What stands between the quotes of a string, decoded; `None` where it could not stand there.
pub(super) fn unescape(inner: &[u8]) -> Option<Cow<'_, str>> {
    let whole = std::str::from_utf8(inner).ok()?;
    let mut end = run::end(inner, 0);
    if end == inner.len() {
        return Some(Cow::Borrowed(whole));
    }
    let mut out = String::with_capacity(inner.len());
    let mut done = 0;
    loop {
        out.push_str(&whole[done..end]);
        if end == inner.len() {
            return Some(Cow::Owned(out));
        }
        if inner[end] != b'\\' {
            return None;
        }
        let (decoded, length) = escape(&inner[end..])?;
        out.push(decoded);
        done = end + length;
        end = run::end(inner, done);
    }
}

/// The character of the escape at the front, and how many bytes it takes.
fn escape(bytes: &[u8]) -> Option<(char, usize)> {
    let simple = match bytes.get(1)? {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let first = unit(bytes)?;
            let second = bytes.get(6..).and_then(unit).unwrap_or(0);
            // Two units are one character if they are a pair; otherwise the second stands for itself.
            return Some(match char::decode_utf16([first, second]).next()? {
                Ok(c) => (c, 6 * c.len_utf16()),
                Err(_) => (char::REPLACEMENT_CHARACTER, 6),
            });
        }
        &b @ (b'"' | b'\\' | b'/') => char::from(b),
        _ => return None,
    };
    Some((simple, 2))
}

/// The UTF-16 unit of the `\u0000` escape at the front.
fn unit(bytes: &[u8]) -> Option<u16> {
    let hex = bytes.get(..6)?.strip_prefix(b"\\u")?;
    hex.iter().try_fold(0, |value, &b| Some(value << 4 | u16::try_from(char::from(b).to_digit(16)?).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values() {
        let cases = [
            (r#""push""#, Some("push")),
            (r#""""#, Some("")),
            (r#""\"\\\/\b\f\n\r\t""#, Some("\"\\/\u{8}\u{c}\n\r\t")),
            (r#""caf\u00e9 \u00E9 é""#, Some("café é é")),
            (r#""\ud83d\ude00!""#, Some("😀!")),
            (r#""\ud83d""#, Some("\u{fffd}")),
            (r#""\ude00\ud83d""#, Some("\u{fffd}\u{fffd}")),
            (r#""\ud83d\ud83d\ude00""#, Some("\u{fffd}😀")),
            (r#""\ud83d\u0041""#, Some("\u{fffd}A")),
            (r#""\u0000""#, Some("\0")),
            ("-1.50e+3", Some("-1.50e+3")),
            ("true", Some("true")),
            ("false", Some("false")),
            ("null", None),
            ("{}", None),
            (r#"["a"]"#, None),
            ("", None),
            ("\"", None),
            (r#""\""#, None),
            (r#""\u12""#, None),
            (r#""\x""#, None),
            ("\"a\nb\"", None),
        ];
        for (raw, want) in cases {
            assert_eq!(text(raw.as_bytes()).as_deref(), want, "{raw}");
        }
        assert_eq!(text(b"\"\xff\""), None);
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(s in any::<String>()) {
            let raw = serde_json::to_string(&s).expect("a string");
            let decoded = text(raw.as_bytes());
            prop_assert_eq!(decoded.as_deref(), Some(s.as_str()));
        }

        #[test]
        fn nothing_panics(raw in "\"?[\\\\ud8dcDe0\"é]{0,12}\"?") {
            let _ = text(raw.as_bytes());
        }
    }
}
