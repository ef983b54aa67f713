//! An event as one line, for sinks that append to something.

use std::borrow::Cow;
use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{LineFormat, cloudevents, readable};
use crate::event::{Event, Headers};
use crate::json;

/// Adds the event and its line break to `out`.
///
/// `Envelope` and `CloudEvents` never hold another line break. `Raw` is the exact body, so it holds those of the body; `Readable` is several lines.
pub fn write(event: &Event, format: LineFormat, out: &mut Vec<u8>) {
    out.reserve(event.body.len() + 1024);
    match format {
        LineFormat::Envelope => envelope(event, out),
        LineFormat::CloudEvents => cloudevents::structured(event, out),
        LineFormat::Raw => out.extend_from_slice(&event.body),
        LineFormat::Readable { color } => readable::write(event, color, out),
    }
    out.push(b'\n');
}

/// `{"id","seq","topic","type","time","metadata","payload"}`.
///
/// `type` is `null` where the event has none. `metadata` is every header that is kept; values of a repeated header
/// are joined with `, ` in their order (RFC 9110 section 5.3), and bytes that are not UTF-8 become U+FFFD. `payload` is
/// the body's own text without line breaks between tokens; if the body is not well-formed JSON, `payload_base64`
/// stands in its place.
fn envelope(event: &Event, out: &mut Vec<u8>) {
    put(out, format_args!("{{\"id\":\"{}\",\"seq\":{},\"topic\":", event.id, event.seq));
    string(&event.topic, out);
    out.extend_from_slice(b",\"type\":");
    match &event.kind {
        Some(kind) => string(kind, out),
        None => out.extend_from_slice(b"null"),
    }
    put(out, format_args!(",\"time\":\"{}\",\"metadata\":", event.time));
    metadata(&event.headers, out);
    body("payload", &event.body, json::check(&event.body).is_ok(), out);
    out.push(b'}');
}

/// Adds the body as a member of that name: its own text where it is JSON, or else, `_base64` behind the name, in base64
/// (RFC 4648 section 4, with padding).
pub(super) fn body(name: &str, body: &[u8], is_json: bool, out: &mut Vec<u8>) {
    if is_json {
        put(out, format_args!(",\"{name}\":"));
        json::one_line(body, out);
    } else {
        put(out, format_args!(",\"{name}_base64\":\""));
        let mut encoded = String::new();
        STANDARD.encode_string(body, &mut encoded);
        out.extend_from_slice(encoded.as_bytes());
        out.push(b'"');
    }
}

fn metadata(headers: &Headers, out: &mut Vec<u8>) {
    let all: Vec<_> = headers.iter().collect();
    let mut before = b'{';
    for (n, &(name, value)) in all.iter().enumerate() {
        if all[..n].iter().any(|(earlier, _)| *earlier == name) {
            continue;
        }
        out.push(before);
        before = b',';
        string(name, out);
        out.push(b':');
        let mut text = String::from_utf8_lossy(value);
        for (_, further) in all[n + 1..].iter().filter(|(later, _)| *later == name) {
            let joined: &mut String = text.to_mut();
            joined.push_str(", ");
            joined.push_str(&String::from_utf8_lossy(further));
        }
        string(&text, out);
    }
    if before == b'{' {
        out.push(b'{');
    }
    out.push(b'}');
}

pub(super) fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("memory takes every write");
}

/// Adds text as a JSON string.
///
/// What a terminal may take for a command, or what turns the order of its line around, is written as an escape: the
/// second half of the control characters, separators of lines, and marks of direction.
pub(super) fn string(text: &str, out: &mut Vec<u8>) {
    let harmful = |c: char| matches!(c, '\u{7f}'..='\u{9f}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let begins = out.len();
    serde_json::to_writer(&mut *out, text).expect("text is always writable");
    if text.is_ascii() && !text.contains('\u{7f}') || !text.contains(harmful) {
        return;
    }
    out.truncate(begins);
    out.push(b'"');
    for part in text.split_inclusive(harmful) {
        let (plain, last) = match part.chars().next_back().filter(|&c| harmful(c)) {
            Some(last) => (&part[..part.len() - last.len_utf8()], Some(last)),
            None => (part, None),
        };
        let from = out.len();
        serde_json::to_writer(&mut *out, plain).expect("text is always writable");
        // Without the quotation marks around the part.
        out.pop();
        out.remove(from);
        if let Some(last) = last {
            put(out, format_args!("\\u{:04x}", u32::from(last)));
        }
    }
    out.push(b'"');
}

/// The first value of a header as text.
pub(super) fn header<'e>(event: &'e Event, name: &str) -> Option<Cow<'e, str>> {
    event.headers.get(name).map(String::from_utf8_lossy)
}

#[cfg(test)]
pub(super) mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;
    use crate::event::{EventId, Millis, Seq};

    /// An event with these headers and this body.
    pub(in crate::sink) fn event(kind: Option<&str>, headers: &[(&str, &[u8])], body: &[u8]) -> Event {
        let mut wire = Vec::new();
        for (name, value) in headers {
            Headers::push_wire(&mut wire, name, value);
        }
        Event {
            seq: Seq(7),
            id: EventId(Uuid::from_u128(0x0193_5a3c_7a00_7000_8000_0000_0000_0001)),
            time: Millis(1_795_420_800_123),
            topic: "github".into(),
            kind: kind.map(Into::into),
            delivery_id: Some("d-1".into()),
            headers: Headers::from_wire(wire.into()),
            body: Bytes::copy_from_slice(body),
        }
    }

    #[test]
    fn terminals_are_told_nothing() {
        for text in ["plain", "é", "a\u{9b}31m\u{2028}\u{202e}z", "\u{7f}", "\u{202e}", "\"\n\u{85}\\"] {
            let mut out = Vec::new();
            string(text, &mut out);
            assert_eq!(serde_json::from_slice::<String>(&out).expect("JSON"), text);
            let shown = String::from_utf8(out).expect("UTF-8");
            assert!(!shown.contains(['\u{9b}', '\u{2028}', '\u{202e}', '\u{7f}', '\u{85}']), "{shown}");
        }
    }

    fn line(event: &Event, format: LineFormat) -> String {
        let mut out = b"before\n".to_vec();
        write(event, format, &mut out);
        let text = String::from_utf8(out).expect("UTF-8");
        text.strip_prefix("before\n").expect("appended").to_owned()
    }

    #[test]
    fn an_envelope_to_the_letter() {
        let event =
            event(Some("push"), &[("x-github-event", b"push")], b"{\r\n  \"a\": 1.50,\n  \"b\": \"x\\ny\"\n}\n");
        assert_eq!(
            line(&event, LineFormat::Envelope),
            concat!(
                r#"{"id":"01935a3c-7a00-7000-8000-000000000001","seq":7,"topic":"github","type":"push","#,
                r#""time":"2026-11-23T08:00:00.123Z","metadata":{"x-github-event":"push"},"#,
                r#""payload":{  "a": 1.50,  "b": "x\ny"}}"#,
                "\n"
            )
        );
    }

    #[test]
    fn what_is_no_json_is_base64() {
        for (body, want) in
            [(&b"payload=%7B%7D"[..], "cGF5bG9hZD0lN0IlN0Q="), (b"", ""), (b"\xff", "/w=="), (b"{}{}", "e317fQ==")]
        {
            let value: Value =
                serde_json::from_str(&line(&event(None, &[], body), LineFormat::Envelope)).expect("JSON");
            assert_eq!(value["payload_base64"], json!(want));
            assert_eq!(value["type"], Value::Null);
            assert_eq!(value["metadata"], json!({}));
            assert!(value.get("payload").is_none());
        }
    }

    #[test]
    fn repeated_headers_are_joined() {
        let headers: [(&str, &[u8]); 4] = [("via", b"a"), ("x-odd", b"q\"\xff"), ("via", b"b"), ("via", b"")];
        let text = line(&event(None, &headers, b"1"), LineFormat::Envelope);
        assert!(text.contains("\"metadata\":{\"via\":\"a, b, \",\"x-odd\":\"q\\\"\u{fffd}\"}"), "{text}");
    }

    #[test]
    fn raw_is_the_body_and_a_line_break() {
        assert_eq!(line(&event(None, &[], b"{\n}"), LineFormat::Raw), "{\n}\n");
        assert_eq!(line(&event(None, &[], b""), LineFormat::Raw), "\n");
    }

    proptest! {
        #[test]
        fn always_one_line_of_json(
            body in prop_oneof![prop::collection::vec(any::<u8>(), 0..40), "[\\[\\]\"1\n\r, ]{0,8}".prop_map(String::into_bytes)],
            kind in prop::option::of(any::<String>()),
            value in prop::collection::vec(any::<u8>(), 0..10),
        ) {
            let event = event(kind.as_deref(), &[("content-type", &value), ("x", &value), ("x", b"")], &body);
            for format in [LineFormat::Envelope, LineFormat::CloudEvents] {
                let text = line(&event, format);
                prop_assert_eq!(text.find(['\n', '\r']), Some(text.len() - 1));
                // Surrogates and huge numbers of a body are JSON, but not to a tree of `serde_json`.
                prop_assert_eq!(json::check(text.as_bytes()), Ok(()), "{}", text);
            }
        }
    }
}
