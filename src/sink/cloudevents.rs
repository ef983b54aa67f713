//! An event in the form of CloudEvents 1.0.2: one set of attributes for both modes, as JSON and as HTTP headers.
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
//! | `traceparent`, `tracestate` | the trace the event came with, where that is valid (extension Distributed Tracing) |
//!
//! The last two tell where the event began; the request that brings it says in headers of its own where it was made.
//!
//! In binary mode (HTTP binding 3.1) `datacontenttype` is the header `content-type`, each of the others a header that
//! begins with `ce-`, and the body stays as it is. In structured mode (JSON format 3.1) the body is one more member:
//!
//! | member | value |
//! | --- | --- |
//! | `data` | a well-formed JSON body under a JSON content type (or none), its text without line breaks between tokens |
//! | `data_base64` | any other body |

use std::borrow::Cow;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::line::{body, header, put, string};
use super::text;
use crate::event::Event;
use crate::json;
use crate::trace::Context;

/// The media type of one event in JSON.
pub const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/cloudevents+json; charset=utf-8");

/// What an attribute's name as a header has before it.
const PREFIX: &str = "ce-";

/// Adds the event as one JSON object (structured content mode) on one line, without a line break at the end.
pub fn structured(event: &Event, out: &mut Vec<u8>) {
    let mut before = '{';
    let trace = Context::of(&event.headers);
    for (name, value) in attributes(event, trace.as_ref()) {
        put(out, format_args!("{before}\"{}\":", &name[PREFIX.len()..]));
        string(&value, out);
        before = ',';
    }
    let (content_type, json) = content_type(event);
    out.extend_from_slice(b",\"datacontenttype\":");
    string(&content_type, out);
    body("data", &event.body, json, out);
    out.push(b'}');
}

/// Adds the attributes as headers (binary content mode), in place of any under the same names.
pub fn binary(event: &Event, headers: &mut HeaderMap) {
    let trace = Context::of(&event.headers);
    for (name, value) in attributes(event, trace.as_ref()) {
        headers.insert(HeaderName::from_static(name), text::strict(&value));
    }
    let sent_as = event.headers.get(CONTENT_TYPE.as_str()).filter(|value| !value.is_empty());
    let value = match sent_as {
        Some(value) => HeaderValue::from_bytes(value).ok(),
        None => Some(text::plain(&content_type(event).0)),
    };
    if let Some(value) = value {
        headers.insert(CONTENT_TYPE, value);
    }
}

/// All attributes but `datacontenttype`, under their names as headers.
fn attributes<'e>(
    event: &'e Event,
    trace: Option<&'e Context<'e>>,
) -> impl Iterator<Item = (&'static str, Cow<'e, str>)> {
    [
        ("ce-specversion", Some("1.0".into())),
        ("ce-id", Some(event.id.to_string().into())),
        ("ce-source", Some(source(event).into())),
        ("ce-type", Some(kind(event))),
        ("ce-time", Some(event.time.to_string().into())),
        ("ce-forebayseq", Some(event.seq.to_string().into())),
        ("ce-forebaytopic", Some(Cow::Borrowed(&*event.topic))),
        ("ce-forebaytype", event.kind.as_deref().map(Cow::Borrowed)),
        ("ce-forebaydelivery", event.delivery_id.as_deref().map(Cow::Borrowed)),
        ("ce-traceparent", trace.map(|trace| Cow::Borrowed(trace.text))),
        ("ce-tracestate", trace.and_then(|trace| trace.state.as_deref()).map(Cow::Borrowed)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
}

/// The `datacontenttype` attribute, and whether the body is JSON by what it says and by what it is.
fn content_type(event: &Event) -> (Cow<'_, str>, bool) {
    let sent_as = header(event, CONTENT_TYPE.as_str()).filter(|value| !value.is_empty());
    let json = sent_as.as_deref().is_none_or(is_json) && json::check(&event.body).is_ok();
    let otherwise = if json { "application/json" } else { "application/octet-stream" };
    (sent_as.unwrap_or(Cow::Borrowed(otherwise)), json)
}

/// The `source` attribute, a URI reference.
fn source(event: &Event) -> String {
    format!("/topics/{}", text::segment(&event.topic))
}

/// The `type` attribute.
fn kind(event: &Event) -> Cow<'_, str> {
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
    fn both_modes_have_the_same_attributes() {
        for (content_type, body, want) in [
            (&b"text/plain"[..], &b"1"[..], "text/plain"),
            (b"", b"1", "application/json"),
            (b"", b"\xff", "application/octet-stream"),
        ] {
            let event = event(Some("push"), &[("content-type", content_type)], body);
            let mut headers = HeaderMap::new();
            binary(&event, &mut headers);
            assert_eq!(headers[CONTENT_TYPE], want);
            let structured = read(&event);
            let structured = structured.as_object().expect("an object");
            assert_eq!(structured["datacontenttype"], want);
            let mut seen = 0;
            for (name, value) in structured {
                if let Some(header) = headers.get(format!("ce-{name}")) {
                    assert_eq!(value, header.to_str().expect("ASCII"), "{name}");
                    seen += 1;
                }
            }
            assert_eq!((seen, headers.len(), structured.len()), (9, 10, 11), "all but the content type and the data");
        }
    }

    #[test]
    fn the_trace_the_event_came_with() {
        let parent = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let (valid, invalid) = (("traceparent", &parent[..]), ("traceparent", &parent[..54]));
        let state = ("tracestate", &b"rojo=1"[..]);
        for (headers, want) in [
            (vec![], [None, None]),
            (vec![valid], [Some(&parent[..]), None]),
            (vec![state, valid], [Some(parent), Some(b"rojo=1")]),
            (vec![state, invalid], [None, None]),
            (vec![state], [None, None]),
        ] {
            let event = event(None, &headers, b"{}");
            let mut binary_headers = HeaderMap::new();
            binary(&event, &mut binary_headers);
            for (name, want) in ["traceparent", "tracestate"].into_iter().zip(want) {
                assert_eq!(binary_headers.get(format!("ce-{name}")).map(HeaderValue::as_bytes), want, "{name}");
                assert_eq!(read(&event).get(name).and_then(Value::as_str).map(str::as_bytes), want, "{name}");
            }
        }
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
