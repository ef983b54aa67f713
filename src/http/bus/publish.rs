//! `POST bus/v1/events`: an event from Backstage, on stable storage before it is answered.

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Request, StatusCode};
use hyper::body::Incoming as Body;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{BusDoor, MAX_BODY, Site, reply};
use crate::bus::{MAX_NAME, MAX_SUBSCRIPTIONS, topics};
use crate::event::{Headers, Incoming, Millis};
use crate::http::body::{self, Reservation};
use crate::http::reply::{Answer, Refusal, error_json};
use crate::journal::{Draft, Lane, Record};
use crate::validate::plugin_token::Principal;

/// A publication, its parts as they stand in the body.
#[derive(Debug, Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    #[serde(borrow, rename = "notifiedSubscribers")]
    notified: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
struct Published<'a> {
    #[serde(borrow)]
    topic: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "there")]
    payload: Option<&'a RawValue>,
}

/// What is there, though it be `null`.
fn there<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

/// What is to be published.
#[derive(Debug, PartialEq, Eq)]
struct Publication<'a> {
    topic: String,
    payload: &'a str,
    notified: Vec<String>,
}

impl BusDoor {
    /// Reads the body of a call, which must be JSON.
    pub(super) async fn json(&self, site: &Site, request: Request<Body>) -> Result<(Incoming, Reservation), Answer> {
        let (head, body) = request.into_parts();
        let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = content_type.unwrap_or("undefined");
        let mut parts = media_type.split(';').map(str::trim);
        if !parts.next().unwrap_or_default().eq_ignore_ascii_case("application/json") {
            let shown: String = media_type.chars().take(100).collect();
            return Err(reply::input(&format!("unsupported media type {shown}")));
        }
        let charset =
            parts.find_map(|part| part.split_once('=').filter(|(name, _)| name.eq_ignore_ascii_case("charset")));
        if let Some((_, charset)) = charset
            && !charset.trim_matches('"').eq_ignore_ascii_case("utf-8")
        {
            let shown: String = charset.trim_matches('"').to_ascii_uppercase().chars().take(40).collect();
            return Err(reply::input(&format!("unsupported charset \"{shown}\"")));
        }
        let length = head.headers.get(http::header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()).and_then(|length| length.parse().ok());
        let read =
            body::read(body, length.filter(|length| *length <= MAX_BODY), MAX_BODY, site.body_timeout, &self.budget);
        let (body, reserved) = read.await.map_err(|refusal| match refusal {
            Refusal::TooLarge => {
                let mut answer = error_json(StatusCode::PAYLOAD_TOO_LARGE, "InputError", "request entity too large");
                answer.headers_mut().insert(http::header::CONNECTION, HeaderValue::from_static("close"));
                answer
            }
            other => other.answer(true),
        })?;
        let target = head.uri.path().to_owned();
        let (headers, time) = (HeaderMap::new(), Millis::now());
        Ok((Incoming { method: head.method, target, headers, body, time, client: None }, reserved))
    }

    pub(super) async fn publish(
        &self,
        site: &Site,
        request: Request<Body>,
        principal: &Principal,
        lane: &Lane,
    ) -> Result<Answer, Answer> {
        let (mut incoming, _reserved) = self.json(site, request).await?;
        let body = incoming.body.clone();
        let publication = read(&body).map_err(|message| reply::input(&message))?;
        let (topic, kind) = topics::recorded(&publication.topic, |name| site.ingress.contains(name));
        if !self.bus.wanted(&publication.topic, &publication.notified) && !(self.own)(&topic, kind) {
            self.metrics.dropped.inc();
            return Ok(reply::empty(StatusCode::NO_CONTENT));
        }
        // Only the payload is kept, as it was sent.
        incoming.body = body.slice_ref(publication.payload.as_bytes());
        let verified = principal.vouch(incoming);
        let draft = Draft { request: &verified, topic: &topic, kind, delivery_id: None, key: [0; 16] };
        let record = Record::new(draft, |out| {
            Headers::push_wire(out, "content-type", b"application/json");
            Headers::push_wire(out, topics::PUBLISHER, principal.as_str().as_bytes());
            for id in &publication.notified {
                Headers::push_wire(out, topics::NOTIFIED, id.as_bytes());
            }
        })
        .map_err(|crate::journal::TooLarge| reply::input("the event is too large"))?;
        let appended = self.journal.queue(record, None).map_err(|_| Refusal::NoRoom.answer(false))?;
        lane.recorded(self.journal.commit(), appended.ticket).await.map_err(|_| Refusal::NoRoom.answer(false))?;
        self.metrics.published.inc();
        Ok(reply::empty(StatusCode::CREATED))
    }
}

/// Takes a body apart, with Backstage's words for what is wrong.
fn read(body: &[u8]) -> Result<Publication<'_>, String> {
    fn part<'a, T: Deserialize<'a>>(text: &'a str, place: &str) -> Result<T, String> {
        // What does not fit can only be of another type: it is JSON by now. An array would be taken for the parts in order.
        let object = text.trim_start().starts_with('{');
        let read = if object { serde_json::from_str(text).ok() } else { None };
        read.ok_or_else(|| format!("{place} must be object"))
    }
    let text = std::str::from_utf8(body).map_err(|_| "the body is not UTF-8".to_owned())?;
    crate::json::check(body).map_err(|_| "the body is not well-formed JSON".to_owned())?;
    let envelope: Envelope<'_> = part(text, "request/body")?;
    let event = envelope.event.ok_or("request/body must have required property 'event'")?;
    let event: Published<'_> = part(event.get(), "request/body/event")?;
    let missing = |name: &str| format!("request/body/event must have required property '{name}'");
    let topic = event.topic.ok_or_else(|| missing("topic"))?.get();
    let payload = event.payload.ok_or_else(|| missing("payload"))?.get();
    let topic: String =
        serde_json::from_str(topic).map_err(|_| "request/body/event/topic must be string".to_owned())?;
    if topic.len() > MAX_NAME - "bus/".len() {
        return Err(format!("request/body/event/topic must NOT have more than {} characters", MAX_NAME - "bus/".len()));
    }
    let notified: Vec<String> = match envelope.notified {
        None => Vec::new(),
        Some(list) => serde_json::from_str(list.get())
            .map_err(|_| "request/body/notifiedSubscribers must be array of strings".to_owned())?,
    };
    if notified.len() > MAX_SUBSCRIPTIONS || notified.iter().any(|id| id.len() > MAX_NAME) {
        return Err("request/body/notifiedSubscribers has too many items, or too long ones".into());
    }
    Ok(Publication { topic, payload, notified })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publication_keeps_its_payload_byte_for_byte() {
        let body = br#" {"event":{"topic":"a.b","payload": {"n":1.0, "u":"\u00e9"} ,"metadata":{}},"notifiedSubscribers":["x"],"more":1}"#;
        let want =
            Publication { topic: "a.b".into(), payload: r#"{"n":1.0, "u":"\u00e9"}"#, notified: vec!["x".into()] };
        assert_eq!(read(body), Ok(want));
        let null = read(br#"{"event":{"topic":"","payload":null}}"#).expect("good");
        assert_eq!((null.topic.as_str(), null.payload, null.notified.len()), ("", "null", 0));
        let long = format!(r#"{{"event":{{"topic":"{}","payload":1}}}}"#, "x".repeat(300));
        for (body, why) in [
            ("[]", "request/body must be object"),
            ("{}", "request/body must have required property 'event'"),
            (r#"{"event":[]}"#, "request/body/event must be object"),
            (r#"{"event":{"payload":1}}"#, "request/body/event must have required property 'topic'"),
            (r#"{"event":{"topic":"a"}}"#, "request/body/event must have required property 'payload'"),
            (r#"{"event":{"topic":1,"payload":1}}"#, "request/body/event/topic must be string"),
            (
                r#"{"event":{"topic":"a","payload":1},"notifiedSubscribers":"x"}"#,
                "request/body/notifiedSubscribers must be array of strings",
            ),
            ("{", "the body is not well-formed JSON"),
            (&long, "request/body/event/topic must NOT have more than 251 characters"),
        ] {
            assert_eq!(read(body.as_bytes()), Err(why.to_owned()), "{body}");
        }
    }
}
