//! The header `traceparent`, <https://www.w3.org/TR/trace-context/#traceparent-header>, and what an event's headers say.

use std::borrow::Cow;
use std::fmt;

use super::{TRACEPARENT, TRACESTATE, state};
use crate::event::Headers;

/// The flag that says that the sender may have recorded its part of the trace.
pub(super) const SAMPLED: u8 = 1;

/// The flag of Level 2 that says that the trace id is random; it goes on unchanged, all other flags are to be zero.
pub(super) const RANDOM: u8 = 2;

/// A span of a trace, as a request names it that was made from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace. Not all zero.
    pub trace: [u8; 16],
    /// The span. Not all zero.
    pub span: [u8; 8],
    /// Whether it may have been recorded, and what else is known; unknown flags are left out.
    pub flags: u8,
}

impl TraceParent {
    /// Reads a value of the header. Of a higher version than 00 what is common to all versions is read, as the standard
    /// says; `None` when it is not valid.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (common, more) = value.split_at_checked(55)?;
        let [version] = hex(&common[..2])?;
        let fits = match version {
            0 => more.is_empty(),
            0xff => false,
            _ => more.is_empty() || more[0] == b'-' && more.iter().all(u8::is_ascii_graphic),
        };
        if !fits || [common[2], common[35], common[52]] != *b"---" {
            return None;
        }
        let (trace, span, [flags]) = (hex(&common[3..35])?, hex(&common[36..52])?, hex(&common[53..])?);
        let read = Self { trace, span, flags: flags & (SAMPLED | RANDOM) };
        (trace != [0; 16] && span != [0; 8]).then_some(read)
    }

    /// Whether the sender may have recorded its part of the trace.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }
}

/// The value of the header, version 00.
impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace, span) = (u128::from_be_bytes(self.trace), u64::from_be_bytes(self.span));
        write!(f, "00-{trace:032x}-{span:016x}-{:02x}", self.flags)
    }
}

/// Lower-case hexadecimal digits as bytes.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    if pairs.len() != N {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

/// A valid context that came with an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context<'e> {
    /// What `traceparent` says.
    pub parent: TraceParent,
    /// `traceparent` as it came, which is what a service sends on that makes no spans.
    pub text: &'e str,
    /// `tracestate`, several of them joined to one; `None` where there is none, or it is not valid.
    pub state: Option<Cow<'e, str>>,
}

impl<'e> Context<'e> {
    /// The context in an event's headers. None where `traceparent` is not there, there more than once, or not valid.
    #[must_use]
    pub fn of(headers: &'e Headers) -> Option<Self> {
        let mut parents = headers.iter().filter(|(name, _)| *name == TRACEPARENT).map(|(_, value)| value);
        let (Some(value), None) = (parents.next(), parents.next()) else { return None };
        let parent = TraceParent::parse(value)?;
        let text = std::str::from_utf8(value).ok()?;
        let states = headers.iter().filter(|(name, _)| *name == TRACESTATE).map(|(_, value)| value);
        Some(Self { parent, text, state: state::join(states) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn what_is_a_traceparent() {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let cases = [
            (VALID.to_owned(), Some(1)),
            (VALID.replace("-01", "-00"), Some(0)),
            (VALID.replace("-01", "-02"), Some(2)),
            // Unknown flags count as not set.
            (VALID.replace("-01", "-ff"), Some(3)),
            (VALID.replace("-01", "-f8"), Some(0)),
            // A higher version may have more behind it.
            (VALID.replace("00-", "cc-"), Some(1)),
            (VALID.replace("00-", "01-") + "-what-the-future-brings", Some(1)),
            (VALID.replace("00-", "01-") + "-", Some(1)),
            (VALID.replace("00-", "01-") + ".more", None),
            (VALID.replace("00-", "01-") + "-m\u{e9}r", None),
            (VALID.replace("00-", "01-") + "-m\tr", None),
            (VALID.replace("00-", "ff-"), None),
            (VALID.to_owned() + "-more", None),
            (VALID.to_owned() + " ", None),
            (format!(" {VALID}"), None),
            (VALID[..54].to_owned(), None),
            (VALID.to_uppercase(), None),
            (VALID.replace("00-", "0x-"), None),
            (VALID.replace(trace, &"0".repeat(32)), None),
            (VALID.replace(trace, &"g".repeat(32)), None),
            (VALID.replace("b7ad6b7169203331", &"0".repeat(16)), None),
            (VALID.replace("b7ad6b7169203331", "b7ad6b71692033 1"), None),
            (VALID.replace('-', "_"), None),
            (VALID.replace("-01", "-1g"), None),
            (String::new(), None),
            ("-".repeat(55), None),
            ("\u{e9}".repeat(40), None),
        ];
        for (text, flags) in cases {
            let read = TraceParent::parse(text.as_bytes());
            assert_eq!(read.map(|read| read.flags), flags, "{text:?}");
            if let Some(read) = read {
                let written = read.to_string();
                assert_eq!((&written[..3], &written[3..52], written.len()), ("00-", &text[3..52], 55));
                assert_eq!(TraceParent::parse(written.as_bytes()), Some(read));
            }
        }
    }

    type Pairs<'a> = &'a [(&'a str, &'a str)];

    fn headers(list: &[(&str, &str)]) -> Headers {
        let mut wire = Vec::new();
        for (name, value) in list {
            Headers::push_wire(&mut wire, name, value.as_bytes());
        }
        Headers::from_wire(wire.into())
    }

    #[test]
    fn what_an_event_says() {
        let parent = (TRACEPARENT, VALID);
        let state = (TRACESTATE, "rojo=1");
        // (headers, whether there is a context, its state)
        let cases: [(Pairs<'_>, bool, Option<&str>); 7] = [
            (&[], false, None),
            (&[state], false, None),
            (&[parent], true, None),
            (&[("host", "h"), state, parent], true, Some("rojo=1")),
            (&[parent, state, (TRACESTATE, ""), (TRACESTATE, "congo=2")], true, Some("rojo=1,congo=2")),
            (&[parent, (TRACESTATE, "no state")], true, None),
            (&[parent, parent], false, None),
        ];
        for (list, is, state) in cases {
            let headers = headers(list);
            let context = Context::of(&headers);
            assert_eq!(context.is_some(), is, "{list:?}");
            assert_eq!(context.as_ref().and_then(|context| context.state.as_deref()), state, "{list:?}");
            assert!(context.is_none_or(|context| context.text == VALID && context.parent.is_sampled()), "{list:?}");
        }
    }
}
