//! `rejections`: the last refused requests, and what is wrong with one of them.

use std::sync::Arc;

use uuid::Uuid;

use super::AdminDoor;
use super::desk::Trouble;
use super::request::{Asked, json};
use crate::api::rejections::{Finding, Rejection, RejectionSummary, Rejections};
use crate::http::ingest::Ingest;
use crate::http::rejections::Rejected;
use crate::http::rejections::findings::findings;
use crate::http::rejections::redact::Redactor;
use crate::http::reply::Answer;

pub(super) fn list(door: &AdminDoor, asked: &Asked) -> Result<Answer, Trouble> {
    asked.only(&["topic", "limit", "before"])?;
    let limit = usize::try_from(asked.limit()?).unwrap_or(usize::MAX);
    let before = match asked.get("before") {
        Some(text) => text.parse().map_err(|_| Trouble::Input("`before` is the `next` of an answer".into()))?,
        None => u64::MAX,
    };
    let site = door.ingest.site();
    let redactor = Redactor::new(site.topics());
    // One more than is shown tells whether there are more.
    let found = door.ingest.rejections().list(asked.get("topic"), before, limit + 1);
    let next = if found.len() > limit { Some(found[limit - 1].number.to_string()) } else { None };
    let shown = found.iter().take(limit).map(|rejected| summary(rejected, &redactor));
    json(&Rejections { rejections: shown.collect(), next })
}

pub(super) async fn show(door: &AdminDoor, asked: &Asked) -> Result<Answer, Trouble> {
    asked.only(&[])?;
    let id = Uuid::try_parse(asked.word(0)).map_err(|_| Trouble::Input("the id is no UUID".into()))?;
    let rejected = door.ingest.rejections().find(id).ok_or_else(|| {
        Trouble::NotFound("there is no such rejection: only the last ones are kept, and none over a restart".into())
    })?;
    let ingest = Arc::clone(&door.ingest);
    let one_at_a_time = Arc::clone(&door.ingest.rejections().diagnosing).lock_owned().await;
    let work = move || {
        let whole = whole(&ingest, &rejected);
        // Only now: whoever asked may be gone, and the work goes on.
        drop(one_at_a_time);
        whole
    };
    let shown = tokio::task::spawn_blocking(work).await;
    json(&shown.map_err(|_| Trouble::Failed("the diagnosis did not come to its end".into()))?)
}

fn summary(rejected: &Rejected, redactor: &Redactor<'_>) -> RejectionSummary {
    RejectionSummary {
        id: rejected.id.to_string(),
        time: rejected.time.to_string(),
        topic: rejected.topic.to_string(),
        client: rejected.client.map(|client| client.to_canonical().to_string()),
        method: rejected.method.to_string(),
        target: redactor.target(&rejected.target),
        status: rejected.status,
        label: rejected.label.to_owned(),
        reason: redactor.text(&rejected.reason),
    }
}

/// All of one. The secrets that are looked for are those of the configuration in force.
fn whole(ingest: &Ingest, rejected: &Rejected) -> Rejection {
    let site = ingest.site();
    let redactor = Redactor::new(site.topics());
    let finding = |found: crate::validate::doctor::Finding| Finding {
        fault: found.fault.to_owned(),
        found: redactor.text(&found.found),
        change: redactor.text(&found.change),
    };
    Rejection {
        summary: summary(rejected, &redactor),
        headers: redactor.headers(rejected),
        body_bytes: rejected.length,
        body: redactor.body(rejected),
        findings: findings(rejected, &site.place()).into_iter().map(finding).collect(),
    }
}
