//! Text from an event as a header value or in a URI. Types may come out of a body and topics off the bus, so they can hold
//! anything; what a header cannot carry is percent-encoded as UTF-8, and `%` with it, so that it can be read back.

use std::borrow::Cow;
use std::fmt::Write;

use http::HeaderValue;

/// For forebay's own headers: visible ASCII and spaces as they are.
pub(super) fn plain(text: &str) -> HeaderValue {
    value(&encode(text, |byte| matches!(byte, b' '..=b'~') && byte != b'%'))
}

/// As the HTTP binding of CloudEvents wants it (3.1.3.2): spaces and double quotes encoded too.
pub(super) fn strict(text: &str) -> HeaderValue {
    value(&encode(text, |byte| matches!(byte, b'!'..=b'~') && !matches!(byte, b'%' | b'"')))
}

/// As part of a URI, whatever part: all but unreserved characters encoded (RFC 3986 2.3).
pub(super) fn segment(text: &str) -> Cow<'_, str> {
    encode(text, |byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

fn encode(text: &str, passes: impl Fn(u8) -> bool) -> Cow<'_, str> {
    if text.bytes().all(&passes) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        if passes(byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("text can be written to memory");
        }
    }
    Cow::Owned(out)
}

fn value(encoded: &str) -> HeaderValue {
    HeaderValue::from_str(encoded).expect("only visible ASCII and spaces are left")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded() {
        for (text, as_plain, as_strict, as_segment) in [
            ("repo:push", "repo:push", "repo:push", "repo%3Apush"),
            ("Push Hook", "Push Hook", "Push%20Hook", "Push%20Hook"),
            ("a\r\nb: c", "a%0D%0Ab: c", "a%0D%0Ab:%20c", "a%0D%0Ab%3A%20c"),
            ("100%", "100%25", "100%25", "100%25"),
            ("\"q\"", "\"q\"", "%22q%22", "%22q%22"),
            ("é\0\x7f", "%C3%A9%00%7F", "%C3%A9%00%7F", "%C3%A9%00%7F"),
            ("a/b?c#d", "a/b?c#d", "a/b?c#d", "a%2Fb%3Fc%23d"),
            ("", "", "", ""),
        ] {
            assert_eq!(plain(text), as_plain, "{text:?}");
            assert_eq!(strict(text), as_strict, "{text:?}");
            assert_eq!(segment(text), as_segment, "{text:?}");
        }
    }
}
