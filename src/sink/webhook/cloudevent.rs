//! An event as a `CloudEvent` 1.0: its attributes, the JSON form, and the headers of the HTTP binding's binary mode.
//!
//! | attribute | value |
//! | --- | --- |
//! | `id` | the event's id |
//! | `source` | `forebay/{topic}`, a relative URI reference |
//! | `type` | `{topic}.{type}`; `{topic}` when the event has no type |
//! | `time` | when it was received |
//! | `datacontenttype` | the request's `content-type`; absent when it had none |
//! | `forebayseq` | the place in the journal, as text: a `CloudEvents` integer has 32 bits |
//!
//! `source` and `id` together are unique, as the specification wants it, since `id` alone is.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use serde_json::value::RawValue;

use super::text;
use crate::event::Event;

/// The media type of one event in JSON.
pub(super) const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/cloudevents+json; charset=utf-8");

/// The event in the JSON event format (`CloudEvents` 1.0, JSON format 3.1).
///
/// A body that is JSON, by what its content type says and by what it is, becomes `data` with its text untouched
/// (white space around it is not part of it); any other becomes `data_base64`; an empty one neither.
#[must_use]
pub fn cloudevent_json(event: &Event) -> Vec<u8> {
    let content_type = event.headers.get("content-type").and_then(|value| std::str::from_utf8(value).ok());
    let mut out = String::with_capacity(event.body.len() + 320);
    out.push_str(r#"{"specversion":"1.0","id":"#);
    quote(&mut out, &event.id.to_string());
    out.push_str(r#","source":"#);
    quote(&mut out, &source(event));
    out.push_str(r#","type":"#);
    quote(&mut out, &kind(event));
    out.push_str(r#","time":"#);
    quote(&mut out, &event.time.to_string());
    if let Some(content_type) = content_type {
        out.push_str(r#","datacontenttype":"#);
        quote(&mut out, content_type);
    }
    out.push_str(r#","forebayseq":"#);
    quote(&mut out, &event.seq.to_string());
    // Without a content type `data` is JSON by definition (JSON format 3.1.1).
    let json = content_type.is_none_or(is_json).then(|| serde_json::from_slice::<&RawValue>(&event.body).ok());
    if let Some(json) = json.flatten() {
        out.push_str(r#","data":"#);
        out.push_str(json.get());
    } else if !event.body.is_empty() {
        out.push_str(r#","data_base64":""#);
        STANDARD.encode_string(&event.body, &mut out);
        out.push('"');
    }
    out.push('}');
    out.into_bytes()
}

/// Adds the attributes as headers (HTTP binding 3.1); the body stays as it is.
pub(super) fn binary_headers(event: &Event, id: &HeaderValue, headers: &mut HeaderMap) {
    headers.insert(HeaderName::from_static("ce-specversion"), HeaderValue::from_static("1.0"));
    headers.insert(HeaderName::from_static("ce-id"), id.clone());
    headers.insert(HeaderName::from_static("ce-source"), text::strict(&source(event)));
    headers.insert(HeaderName::from_static("ce-type"), text::strict(&kind(event)));
    headers.insert(HeaderName::from_static("ce-time"), text::strict(&event.time.to_string()));
    headers.insert(HeaderName::from_static("ce-forebayseq"), HeaderValue::from(event.seq.0));
    if let Some(value) = event.headers.get("content-type").and_then(|value| HeaderValue::from_bytes(value).ok()) {
        headers.insert(CONTENT_TYPE, value);
    }
}

fn source(event: &Event) -> String {
    format!("forebay/{}", text::segment(&event.topic))
}

fn kind(event: &Event) -> String {
    match &event.kind {
        Some(kind) => format!("{}.{}", &*event.topic, &**kind),
        None => event.topic.to_string(),
    }
}

/// `application/json`, `text/json`, and every type that ends in `+json`, whatever its parameters.
fn is_json(content_type: &str) -> bool {
    let media = content_type.split(';').next().unwrap_or_default().trim();
    media.rsplit_once(['/', '+']).is_some_and(|(_, last)| last.eq_ignore_ascii_case("json"))
}

fn quote(out: &mut String, text: &str) {
    out.push_str(&Value::from(text).to_string());
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::event::{EventId, Headers, Millis, Seq};

    fn event(content_type: Option<&str>, kind: Option<&str>, body: &[u8]) -> Event {
        let mut wire = Vec::new();
        if let Some(content_type) = content_type {
            Headers::push_wire(&mut wire, "content-type", content_type.as_bytes());
        }
        Event {
            seq: Seq(u64::MAX),
            id: EventId(Uuid::nil()),
            time: Millis(1_795_420_800_123),
            topic: "github".into(),
            kind: kind.map(Into::into),
            delivery_id: None,
            headers: Headers::from_wire(wire.into()),
            body: Bytes::copy_from_slice(body),
        }
    }

    #[test]
    fn json_is_data_with_its_text_untouched() {
        let body = br#" {"b": 1.0, "a":[ 1e2 ],"a":"\u00e9"} "#;
        let out = cloudevent_json(&event(Some("application/json"), Some("repo:push\"é"), body));
        let text = std::str::from_utf8(&out).expect("text");
        assert!(text.contains(r#","data":{"b": 1.0, "a":[ 1e2 ],"a":"\u00e9"}}"#), "{text}");
        let parsed: Value = serde_json::from_slice(&out).expect("JSON");
        assert_eq!(parsed["specversion"], "1.0");
        assert_eq!(parsed["id"], "00000000-0000-0000-0000-000000000000");
        assert_eq!(parsed["source"], "forebay/github");
        assert_eq!(parsed["type"], "github.repo:push\"é");
        assert_eq!(parsed["time"], "2026-11-23T08:00:00.123Z");
        assert_eq!(parsed["datacontenttype"], "application/json");
        assert_eq!(parsed["forebayseq"], u64::MAX.to_string());
    }

    #[test]
    fn what_becomes_of_a_body() {
        for (content_type, body, key, want) in [
            (Some("application/json; charset=utf-8"), &b"[1]"[..], "data", json!([1])),
            (Some("application/problem+JSON"), b"null", "data", json!(null)),
            (None, b"{}", "data", json!({})),
            (None, b"{", "data_base64", json!("ew==")),
            (Some("application/json"), b"{} {}", "data_base64", json!("e30ge30=")),
            (Some("application/json"), b"\"\xff\"", "data_base64", json!("Iv8i")),
            (Some("application/x-www-form-urlencoded"), b"a=1", "data_base64", json!("YT0x")),
            (Some("text/plain"), b"1", "data_base64", json!("MQ==")),
        ] {
            let parsed: Value =
                serde_json::from_slice(&cloudevent_json(&event(content_type, None, body))).expect("JSON");
            assert_eq!(parsed.get(key), Some(&want), "{content_type:?} {body:?}");
            assert_eq!(parsed["type"], "github");
        }
        let empty: Value = serde_json::from_slice(&cloudevent_json(&event(None, None, b""))).expect("JSON");
        assert!(empty.get("data").is_none() && empty.get("data_base64").is_none());
    }
}
