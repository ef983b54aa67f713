//! An event in the form of `CloudEvents` 1.0.2, JSON format.
//!
//! | attribute | value |
//! | --- | --- |
//! | `specversion` | `1.0` |
//! | `id` | the event id |
//! | `source` | `/topics/{topic}`, what is not unreserved in a URI percent-encoded |
//! | `type` | `{topic}.{type}` as in a subscriber's patterns, or `{topic}` where there is no type |
//! | `time` | when the event was received |
//! | `datacontenttype` | the request's `content-type`; without one, `application/json` for JSON and else `application/octet-stream` |
//! | `forebayseq` | the sequence number; a string, since integers there have 32 bits |
//! | `forebaytopic`, `forebaytype` | topic, and type where there is one |
//! | `forebaydelivery` | the provider's delivery id, where there is one |
//! | `data` | a well-formed JSON body under a JSON content type (or none), its text without line breaks between tokens |
//! | `data_base64` | any other body |

use std::borrow::Cow;
use std::fmt::Write as _;

use super::line::{base64, header, put, string};
use crate::event::Event;
use crate::json;

/// Adds the event as one JSON object (structured content mode) on one line, without a line break at the end.
pub fn structured(event: &Event, out: &mut Vec<u8>) {
    put(out, format_args!("{{\"specversion\":\"1.0\",\"id\":\"{}\",\"source\":", event.id));
    string(&source(event), out);
    out.extend_from_slice(b",\"type\":");
    string(&kind(event), out);
    put(out, format_args!(",\"time\":\"{}\",\"datacontenttype\":", event.time));
    let sent_as = header(event, "content-type").filter(|value| !value.is_empty());
    let json = sent_as.as_deref().is_none_or(is_json) && json::check(&event.body).is_ok();
    let otherwise = if json { "application/json" } else { "application/octet-stream" };
    string(sent_as.as_deref().unwrap_or(otherwise), out);
    put(out, format_args!(",\"forebayseq\":\"{}\",\"forebaytopic\":", event.seq));
    string(&event.topic, out);
    for (name, value) in [("forebaytype", &event.kind), ("forebaydelivery", &event.delivery_id)] {
        if let Some(value) = value {
            put(out, format_args!(",\"{name}\":"));
            string(value, out);
        }
    }
    if json {
        out.extend_from_slice(b",\"data\":");
        json::one_line(&event.body, out);
    } else {
        out.extend_from_slice(b",\"data_base64\":");
        base64(&event.body, out);
    }
    out.push(b'}');
}

/// The `source` attribute, a URI reference.
pub fn source(event: &Event) -> String {
    let mut text = String::from("/topics/");
    for b in event.topic.bytes() {
        // Unreserved characters, RFC 3986 section 2.3.
        if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
            text.push(char::from(b));
        } else {
            write!(text, "%{b:02X}").expect("memory takes every write");
        }
    }
    text
}

/// The `type` attribute.
pub fn kind(event: &Event) -> Cow<'_, str> {
    match event.kind.as_deref() {
        Some(kind) if !kind.is_empty() => format!("{}.{kind}", &*event.topic).into(),
        _ => Cow::Borrowed(&event.topic),
    }
}

/// Whether a content type says JSON: `application/json`, `text/json`, or a subtype that ends in `+json` (RFC 6839).
fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let Some((_, subtype)) = essence.split_once('/') else { return false };
    subtype == "json" || subtype.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::line::tests::event;
    use super::*;

    fn read(event: &Event) -> Value {
        let mut out = Vec::new();
        structured(event, &mut out);
        serde_json::from_slice(&out).expect("JSON")
    }

    #[test]
    fn every_attribute() {
        let event = event(Some("push"), &[("content-type", b"application/json; charset=utf-8")], b"{\n\"a\":1}");
        let want = json!({
            "specversion": "1.0", "id": event.id.to_string(), "source": "/topics/github", "type": "github.push",
            "time": "2026-11-23T08:00:00.123Z", "datacontenttype": "application/json; charset=utf-8",
            "forebayseq": "7", "forebaytopic": "github", "forebaytype": "push", "forebaydelivery": "d-1", "data": {"a": 1},
        });
        assert_eq!(read(&event), want);
        let attributes = want.as_object().expect("an object").keys().filter(|name| *name != "data_base64");
        assert!(attributes.into_iter().all(|name| name.len() <= 20 && name.bytes().all(|b| b.is_ascii_lowercase())));
    }

    #[test]
    fn data_follows_the_content_type() {
        type Case<'a> = (Option<&'a [u8]>, &'a [u8], &'a str, Value);
        let cases: [Case; 7] = [
            (Some(b""), b"1", "application/json", json!({"data": 1})),
            (None, b"[1]", "application/json", json!({"data": [1]})),
            (None, b"[1", "application/octet-stream", json!({"data_base64": "WzE="})),
            (Some(b"application/vnd.x+JSON"), b"null", "application/vnd.x+JSON", json!({"data": null})),
            (Some(b"text/plain"), b"42", "text/plain", json!({"data_base64": "NDI="})),
            (Some(b"application/json"), b"", "application/json", json!({"data_base64": ""})),
            (
                Some(b"application/x-www-form-urlencoded"),
                b"a=b",
                "application/x-www-form-urlencoded",
                json!({"data_base64": "YT1i"}),
            ),
        ];
        for (content_type, body, want_type, want_data) in cases {
            let headers: Vec<_> = content_type.iter().map(|value| ("content-type", *value)).collect();
            let value = read(&event(None, &headers, body));
            assert_eq!(value["datacontenttype"], json!(want_type));
            assert_eq!(value["type"], json!("github"));
            for name in ["data", "data_base64"] {
                assert_eq!(value.get(name), want_data.get(name), "{name} of {body:?}");
            }
        }
    }

    #[test]
    fn a_source_is_a_uri_reference() {
        let mut event = event(None, &[], b"");
        event.topic = "a.b c/ä".into();
        assert_eq!(source(&event), "/topics/a.b%20c%2F%C3%A4");
    }
}
