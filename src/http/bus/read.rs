//! `GET bus/v1/subscriptions/{id}/events`: what is next, or an answer that is held until there is something.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};

use super::{BusDoor, MAX_READERS, Site};
use crate::bus::subscription::{Batch, Subscription};
use crate::event::{Event, Millis};
use crate::http::answer::Body;
use crate::http::reply::{Answer, Refusal, error_json};
use crate::json;
use crate::topic::{form_payload, is_form};

/// Publications in one answer.
const BATCH: usize = 10;

/// How often a read that finds only what is not wanted goes on by itself.
const LOOKS: u32 = 16;

impl BusDoor {
    pub(super) async fn read(&self, site: &Site, id: &str) -> Result<Answer, Answer> {
        let Some(subscription) = self.bus.find(id) else {
            let shown: String = id.chars().take(256).filter(|c| !c.is_control()).collect();
            let message = format!("Subscription with ID '{shown}' not found");
            return Err(error_json(StatusCode::NOT_FOUND, "NotFoundError", &message));
        };
        subscription.touch(Millis::now());
        // Whoever comes again has got what was handed out before.
        self.bus.note(&subscription);
        let mut batch = self.next(&subscription).await?;
        for _ in 1..LOOKS {
            if batch.at_end || !batch.events.is_empty() {
                break;
            }
            batch = self.next(&subscription).await?;
        }
        if batch.events.is_empty() && batch.at_end {
            return self.hold(site, subscription, batch);
        }
        self.metrics.read.inc_by(batch.events.len() as u64);
        let mut answer = Response::new(Body::from(Bytes::from(text(&batch))));
        let json = HeaderValue::from_static("application/json; charset=utf-8");
        answer.headers_mut().insert(CONTENT_TYPE, json);
        Ok(answer)
    }

    async fn next(&self, subscription: &Arc<Subscription>) -> Result<Batch, Answer> {
        let permit = self.looks.clone().acquire_owned().await;
        let (subscription, journal) = (Arc::clone(subscription), self.journal.clone());
        let read = tokio::task::spawn_blocking(move || {
            let batch = subscription.read(&journal, BATCH, &|event| payload(event).is_some());
            drop(permit);
            batch
        });
        match read.await {
            Ok(Ok(batch)) => Ok(batch),
            Ok(Err(error)) => {
                tracing::error!(%error, "cannot read the journal for a bus subscription");
                Err(Refusal::NoRoom.answer(false))
            }
            Err(_) => Err(Refusal::NoRoom.answer(false)),
        }
    }

    /// Answers 202, and ends the answer when there may be news, or the time is over. It never carries events: a reader that
    /// goes away loses nothing.
    fn hold(&self, site: &Site, subscription: Arc<Subscription>, batch: Batch) -> Result<Answer, Answer> {
        let waiting = Waiting::new(&self.readers);
        if self.readers.load(Ordering::Relaxed) > MAX_READERS {
            return Err(Refusal::NoRoom.answer(false));
        }
        let (feed, body) = Body::stream(1);
        let timeout = site.settings.notify_timeout;
        let mut stopped = self.stop.subscribe();
        tokio::spawn(async move {
            tokio::select! {
                () = subscription.wait(batch.news) => tokio::time::sleep(spread()).await,
                () = tokio::time::sleep(timeout) => tokio::time::sleep(spread()).await,
                () = feed.closed() => {}
                () = async { drop(stopped.wait_for(|stopped| *stopped).await) } => {}
            }
            subscription.touch(Millis::now());
            drop((feed, waiting));
        });
        let mut answer = Response::new(body);
        *answer.status_mut() = StatusCode::ACCEPTED;
        let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        answer.headers_mut().insert("backstage-events-notify-timeout", HeaderValue::from(millis));
        Ok(answer)
    }
}

/// Readers that share a subscription do not come back all at once.
fn spread() -> Duration {
    Duration::from_millis(1 + u64::from(uuid::Uuid::new_v4().as_bytes()[0]) % 5)
}

/// Counts a held answer.
struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    fn new(readers: &Arc<AtomicUsize>) -> Self {
        readers.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(readers))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The JSON an event has as its payload; none where it has none.
fn payload(event: &Event) -> Option<Cow<'_, [u8]>> {
    let content_type = event.headers.get("content-type").and_then(|value| std::str::from_utf8(value).ok());
    let payload = match form_payload(&event.body).filter(|_| is_form(content_type.unwrap_or_default())) {
        Some(payload) => Cow::Owned(payload.into_owned()),
        None => Cow::Borrowed(&event.body[..]),
    };
    json::check(&payload).is_ok().then_some(payload)
}

fn text(batch: &Batch) -> Vec<u8> {
    let mut text = br#"{"events":["#.to_vec();
    for (event, topics) in &batch.events {
        let Some(payload) = payload(event) else { continue };
        for topic in topics {
            if text.last() != Some(&b'[') {
                text.push(b',');
            }
            text.extend_from_slice(br#"{"topic":"#);
            text.extend_from_slice(serde_json::Value::from(topic.as_str()).to_string().as_bytes());
            text.extend_from_slice(br#","payload":"#);
            text.extend_from_slice(&payload);
            text.push(b'}');
        }
    }
    text.extend_from_slice(b"]}");
    text
}
