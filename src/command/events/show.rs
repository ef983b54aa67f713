//! `events show`: one event, what became of it, and its body.

use crate::api::events::{Attempt, Delivery, DeliveryState, Event};
use crate::command::client::encoded;
use crate::command::failure::Failure;
use crate::command::screen::{Screen, Style};
use crate::command::session::Session;
use crate::command::sheet::Sheet;
use crate::command::words;
use crate::sink::readable;

/// The most lines of a body, and the most characters of each, that a terminal gets.
const BODY: (usize, usize) = (200, 2000);

/// The longest body that is fetched for a terminal, in bytes.
const LONGEST: u64 = 1 << 20;

/// The most lines of a receiver's answer.
const ANSWER_LINES: usize = 8;

pub(super) async fn run(session: &Session, id: &str) -> Result<(), Failure> {
    let path = format!("events/{}", encoded(id));
    let answer = session.client.get(&path, &[]).await?;
    if session.json {
        return session.screen.print(&answer.json()?);
    }
    let event: Event = answer.read()?;
    let short = !session.screen.terminal || event.body_bytes <= LONGEST;
    let body = if event.retained && short {
        let mut body = Vec::new();
        session
            .client
            .bytes(&format!("{path}/body"), |piece| {
                body.extend_from_slice(piece);
                Ok(())
            })
            .await?;
        Some(body)
    } else {
        None
    };
    session.screen.print(&text(&event, body.as_deref(), &session.screen))
}

/// The event in words; `body`: none if it was not fetched.
pub(in crate::command) fn text(event: &Event, body: Option<&[u8]>, screen: &Screen) -> String {
    let mut sheet = Sheet::new(screen);
    let summary = &event.summary;
    sheet.heading(&format!("event {}", summary.id));
    let none = || "-".to_owned();
    sheet.fields(&[
        ("topic", summary.topic.clone()),
        ("type", summary.kind.clone().unwrap_or_else(none)),
        ("received", words::moment(&summary.time, screen.now)),
        ("number", words::number(summary.seq)),
        ("delivery id", summary.delivery_id.clone().unwrap_or_else(none)),
    ]);
    sheet.heading("headers");
    let headers: Vec<_> = event.headers.iter().collect();
    sheet.fields(&headers);
    if headers.is_empty() {
        sheet.line(2, if event.retained { "none" } else { "removed by retention" }, Style::Faint);
    }
    sheet.heading("deliveries");
    if event.deliveries.is_empty() {
        sheet.line(2, "no subscriber wants it", Style::Faint);
    }
    for delivery in &event.deliveries {
        self::delivery(&mut sheet, delivery, screen);
    }
    let kind = event.content_type.as_deref().map(|kind| format!(", {kind}")).unwrap_or_default();
    sheet.heading(&format!("body, {}{kind}", words::size(event.body_bytes)));
    let whole = format!("`forebay events show {} --body` prints all of it", summary.id);
    match body {
        _ if !event.retained => sheet.line(2, "removed by retention", Style::Faint),
        None => sheet.line(2, &whole, Style::Faint),
        Some(body) => {
            let (lines, width) = if screen.terminal { BODY } else { (usize::MAX, usize::MAX) };
            let (lines, more) = readable::lay_out(event.content_type.as_deref(), body, lines, width);
            // A line that was cut ends with three points more than fit.
            let cut = more || lines.iter().any(|line| line.ends_with("...") && line.len() > width);
            for line in &lines {
                sheet.line(2, line, Style::Plain);
            }
            if cut {
                sheet.line(2, &format!("… {whole}"), Style::Faint);
            }
        }
    }
    sheet.done()
}

fn delivery(sheet: &mut Sheet<'_>, delivery: &Delivery, screen: &Screen) {
    let due = delivery.due.as_deref().map(|due| words::age(due, screen.now));
    let (state, style) = match (delivery.state, due) {
        (DeliveryState::Pending, _) => ("pending".into(), Style::Plain),
        (DeliveryState::Retrying, Some(due)) => (format!("retrying, next {due}"), Style::Doubtful),
        (DeliveryState::Retrying, None) => ("retrying".into(), Style::Doubtful),
        (DeliveryState::Delivered, _) => ("delivered".into(), Style::Good),
        (DeliveryState::Dead, Some(died)) => (format!("dead, given up {died}"), Style::Bad),
        (DeliveryState::Dead, None) => ("dead".into(), Style::Bad),
        (DeliveryState::Dropped, _) => ("dropped".into(), Style::Faint),
        (DeliveryState::Filtered, _) => ("not wanted by its filter".into(), Style::Faint),
        (DeliveryState::BeforeStart, _) => ("recorded before the subscriber began".into(), Style::Faint),
    };
    // Where there are attempts, the last of them says it.
    let reason = delivery.reason.as_deref().filter(|_| delivery.attempts.is_empty());
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    sheet.parts(
        2,
        &[(&delivery.subscriber, Style::Strong), ("  ", Style::Plain), (&state, style), (&reason, Style::Plain)],
    );
    for (at, attempt) in delivery.attempts.iter().enumerate() {
        self::attempt(sheet, attempt, at + 1 == delivery.attempts.len(), screen);
    }
}

fn attempt(sheet: &mut Sheet<'_>, attempt: &Attempt, last: bool, screen: &Screen) {
    let (branch, trunk) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
    let number = format!("{}  ", attempt.number);
    let when = attempt.time.as_deref().map(|time| format!("{}  ", words::age(time, screen.now))).unwrap_or_default();
    let style = if attempt.result == "ok" { Style::Good } else { Style::Bad };
    let mut told = attempt.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    if let Some(status) = attempt.status.map(|status| status.to_string())
        && !told.contains(&status)
    {
        told = format!(" {status}{told}");
    }
    if let Some(duration) = attempt.duration_seconds {
        told = format!("{told}  ({})", words::seconds(duration));
    }
    let parts = [
        (branch, Style::Faint),
        (&number, Style::Plain),
        (&when, Style::Faint),
        (&attempt.result, style),
        (&told, Style::Plain),
    ];
    sheet.parts(2, &parts);
    let answer = attempt.answer.as_deref().unwrap_or_default();
    for (at, line) in answer.lines().enumerate() {
        let line = if at < ANSWER_LINES { line } else { "…" };
        sheet.parts(2, &[(trunk, Style::Faint), ("  ", Style::Plain), (line, Style::Faint)]);
        if at == ANSWER_LINES {
            break;
        }
    }
}
