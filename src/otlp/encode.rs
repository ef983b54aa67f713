//! Spans as an `ExportTraceServiceRequest` in Protobuf. Numbers and types of fields are those of
//! <https://github.com/open-telemetry/opentelemetry-proto>, version 1, in which they do not change.

use crate::trace::span::{Kind, Span, Value};

/// One request with all of these spans.
pub(super) fn request(spans: &[Span], resource: &[(&'static str, Value)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(spans.len() * 512);
    // ExportTraceServiceRequest.resource_spans
    message(&mut out, 1, |out| {
        // ResourceSpans.resource
        message(out, 1, |out| attributes(out, 1, resource));
        // ResourceSpans.scope_spans
        message(out, 2, |out| {
            // ScopeSpans.scope
            message(out, 1, |out| {
                text(out, 1, "forebay");
                text(out, 2, env!("CARGO_PKG_VERSION"));
            });
            // ScopeSpans.spans
            for one in spans {
                message(out, 2, |out| span(out, one));
            }
        });
    });
    out
}

fn span(out: &mut Vec<u8>, span: &Span) {
    bytes(out, 1, &span.trace);
    bytes(out, 2, &span.id);
    if !span.state.is_empty() {
        text(out, 3, &span.state);
    }
    if let Some(parent) = &span.parent {
        bytes(out, 4, parent);
    }
    text(out, 5, &span.name);
    let kind = match span.kind {
        Kind::Server => 2,
        Kind::Client => 3,
    };
    number(out, 6, kind);
    fixed64(out, 7, span.start);
    fixed64(out, 8, span.end);
    attributes(out, 9, &span.attributes);
    if let Some(why) = &span.error {
        message(out, 15, |out| {
            text(out, 2, why);
            // STATUS_CODE_ERROR
            number(out, 3, 2);
        });
    }
    fixed32(out, 16, span.flags.into());
}

/// Each as a `KeyValue` with an `AnyValue`.
fn attributes(out: &mut Vec<u8>, field: u32, all: &[(&'static str, Value)]) {
    for (key, value) in all {
        message(out, field, |out| {
            text(out, 1, key);
            message(out, 2, |out| match value {
                Value::Text(value) => text(out, 1, value),
                Value::Truth(value) => number(out, 2, (*value).into()),
                Value::Number(value) => number(out, 3, value.cast_unsigned()),
            });
        });
    }
}

/// The kinds of field on the wire, <https://protobuf.dev/programming-guides/encoding/>.
const VARINT: u32 = 0;
const I64: u32 = 1;
const LEN: u32 = 2;
const I32: u32 = 5;

fn tag(out: &mut Vec<u8>, field: u32, kind: u32) {
    varint(out, (field << 3 | kind).into());
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

fn number(out: &mut Vec<u8>, field: u32, value: u64) {
    tag(out, field, VARINT);
    varint(out, value);
}

fn fixed64(out: &mut Vec<u8>, field: u32, value: u64) {
    tag(out, field, I64);
    out.extend_from_slice(&value.to_le_bytes());
}

fn fixed32(out: &mut Vec<u8>, field: u32, value: u32) {
    tag(out, field, I32);
    out.extend_from_slice(&value.to_le_bytes());
}

fn bytes(out: &mut Vec<u8>, field: u32, value: &[u8]) {
    tag(out, field, LEN);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

fn text(out: &mut Vec<u8>, field: u32, value: &str) {
    bytes(out, field, value.as_bytes());
}

fn message(out: &mut Vec<u8>, field: u32, write: impl FnOnce(&mut Vec<u8>)) {
    let mut inside = Vec::new();
    write(&mut inside);
    bytes(out, field, &inside);
}

/// How many spans an answer says were not taken: `ExportTraceServiceResponse.partial_success.rejected_spans`.
pub(super) fn rejected(answer: &[u8]) -> u64 {
    let Some((LEN, partial)) = field(answer, 1) else { return 0 };
    match field(partial, 1) {
        Some((VARINT, count)) => take_varint(count).map_or(0, |(count, _)| count),
        _ => 0,
    }
}

/// The first field of that number: its kind, and what it holds.
fn field(mut message: &[u8], wanted: u32) -> Option<(u32, &[u8])> {
    while !message.is_empty() {
        let (tag, rest) = take_varint(message)?;
        let (number, kind) = (u32::try_from(tag >> 3).ok()?, u32::from(tag.to_le_bytes()[0] & 7));
        let (value, after) = match kind {
            VARINT => {
                let (_, after) = take_varint(rest)?;
                (rest, after)
            }
            I64 => rest.split_at_checked(8)?,
            I32 => rest.split_at_checked(4)?,
            LEN => {
                let (length, rest) = take_varint(rest)?;
                rest.split_at_checked(usize::try_from(length).ok()?)?
            }
            _ => return None,
        };
        if number == wanted {
            return Some((kind, value));
        }
        message = after;
    }
    None
}

fn take_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (at, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f).checked_shl(u32::try_from(at * 7).ok()?)?;
        if byte & 0x80 == 0 {
            return Some((value, &bytes[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_length() {
        for value in [0, 1, 127, 128, 300, 1 << 35, u64::MAX] {
            let mut out = Vec::new();
            varint(&mut out, value);
            assert_eq!(take_varint(&out), Some((value, &[][..])), "{value}");
            assert_eq!(take_varint(&out[..out.len() - 1]), None, "{value}");
        }
        let mut out = Vec::new();
        varint(&mut out, 300);
        assert_eq!(out, [0xac, 0x02], "as the documentation of the encoding has it");
        assert_eq!(take_varint(&[0xff; 11]), None);
    }

    #[test]
    fn what_a_collector_did_not_take() {
        let mut partial = Vec::new();
        message(&mut partial, 1, |out| {
            text(out, 2, "some of them are too old");
            number(out, 1, 300);
        });
        assert_eq!(rejected(&partial), 300);
        for cut in 0..partial.len() {
            let _ = rejected(&partial[..cut]);
        }
        for answer in
            [&b""[..], b"{}", b"\x0a\x00", b"\x0a\xff", b"\x08\x01", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"]
        {
            assert_eq!(rejected(answer), 0, "{answer:?}");
        }
    }
}
