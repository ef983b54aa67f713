//! `check --event`: who would take an event, and who would not, and why.

use std::cell::OnceCell;
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use uuid::Uuid;

use crate::event::{Event, EventId, Headers, Millis, Seq};
use crate::filter::{Failure, Filter, Parsed};
use crate::json::{self, Pointer, Tree};
use crate::name::Pattern;
use crate::plan::Plan;
use crate::route::Decision;
use crate::sink::readable::printable;

/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 64 << 20;

/// The most headers an event has here.
const MAX_HEADERS: usize = 1000;

/// An event from a file.
#[derive(Debug)]
struct Given {
    event: Event,
    /// The file says nothing of the body.
    bodiless: bool,
}

/// Reads the event in a file, `-` for standard input, and says what a plan makes of it.
pub(in crate::command) fn answer(plan: &Plan, file: &Path) -> Result<String, String> {
    let name = file.display();
    let mut text = Vec::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(MAX_FILE + 1).read_to_end(&mut text)
    } else {
        std::fs::File::open(file).and_then(|open| open.take(MAX_FILE + 1).read_to_end(&mut text))
    };
    read.map_err(|error| format!("cannot read `{name}`: {error}"))?;
    if text.len() as u64 > MAX_FILE {
        return Err(format!("`{name}` is over {} MiB", MAX_FILE >> 20));
    }
    let given = given(&text).map_err(|error| format!("`{name}` holds no event: {error}"))?;
    Ok(say(plan, &given))
}

/// What is looked for in the file.
const MEMBERS: [&str; 10] =
    ["topic", "type", "id", "time", "metadata", "headers", "payload_base64", "body_base64", "payload", "body"];

/// Reads a line of the file sink, or what `events show --json` prints.
fn given(text: &[u8]) -> Result<Given, String> {
    let pointers: Vec<Pointer> = MEMBERS.iter().filter_map(|name| Pointer::parse(&format!("/{name}")).ok()).collect();
    let found = json::find(text, &pointers).map_err(|error| match error.what {
        "text after the value" => "it holds more than one: give one line of it".to_owned(),
        _ if text.trim_ascii().is_empty() => "it is empty".to_owned(),
        _ => format!("it is not JSON: {error}"),
    })?;
    let raw = |name: &str| MEMBERS.iter().position(|one| *one == name).and_then(|at| found.get(at).copied().flatten());
    let string = |name: &str| match raw(name) {
        None | Some(b"null") => Ok(None),
        Some(raw @ [b'"', ..]) => Ok(json::text(raw)),
        Some(_) => Err(format!("its `{name}` is not a string")),
    };
    let topic =
        string("topic")?.ok_or("it has no `topic`, as a line of a file sink with `format = \"envelope\"` has")?;
    let id = string("id")?.map_or(Ok(Uuid::nil()), |id| Uuid::try_parse(&id).map_err(|_| "its `id` is not a UUID"))?;
    let time = string("time")?.map_or(Some(Millis::now()), |time| Millis::parse(&time));
    let headers = raw("metadata").or_else(|| raw("headers")).map_or(Ok(Headers::default()), headers)?;
    let body = match string("payload_base64")?.map_or_else(|| string("body_base64"), |text| Ok(Some(text)))? {
        Some(text) => Some(STANDARD.decode(&*text).map_err(|_| "its body is not base64")?),
        None => raw("payload").or_else(|| raw("body")).map(<[u8]>::to_vec),
    };
    Ok(Given {
        bodiless: body.is_none(),
        event: Event {
            seq: Seq(0),
            id: EventId(id),
            time: time.ok_or("its `time` is not a moment such as `2026-11-23T08:00:00Z`")?,
            topic: topic.into_owned().into(),
            kind: string("type")?.map(|kind| kind.into_owned().into()),
            delivery_id: None,
            headers,
            body: body.unwrap_or_default().into(),
        },
    })
}

fn headers(raw: &[u8]) -> Result<Headers, String> {
    let wrong = || "its headers are no object of strings".to_owned();
    let Ok(Tree::Object(object)) = json::tree(raw, MAX_HEADERS) else { return Err(wrong()) };
    let mut wire = Vec::new();
    for (name, value) in object.iter() {
        let Tree::String(value) = value else { return Err(wrong()) };
        if name.len() > usize::from(u16::MAX) {
            return Err(wrong());
        }
        Headers::push_wire(&mut wire, &name.to_ascii_lowercase(), value.as_bytes());
    }
    Ok(Headers::from_wire(wire.into()))
}

/// What becomes of it, subscriber by subscriber.
fn say(plan: &Plan, given: &Given) -> String {
    let event = &given.event;
    let kind =
        event.kind.as_deref().map_or_else(|| "without a type".to_owned(), |kind| format!("type {}", printable(kind)));
    let mut out = format!("event on topic {}, {kind}\n", printable(&event.topic));
    if !plan.topics.iter().any(|topic| topic.name.as_str() == &*event.topic) {
        out.push_str("no such topic is configured: it would not come in\n");
    }
    out.push('\n');
    let parsed = OnceCell::new();
    let parse = || parsed.get_or_init(|| Parsed::of(event));
    let width = plan.subscribers.iter().map(|one| one.name.as_str().len()).max().unwrap_or_default();
    for subscriber in &plan.subscribers {
        let (name, route) = (subscriber.name.as_str(), &subscriber.route);
        let filter = route.filter.as_deref().map_or("", Filter::text);
        let reads_body = route.filter.as_ref().is_some_and(|filter| filter.reads_body());
        let answer = match route.decide(event, parse) {
            Decision::Unmatched => {
                let patterns: Vec<&str> = route.patterns.iter().map(Pattern::as_str).collect();
                format!("no: none of its patterns fits: {}", patterns.join(", "))
            }
            // It was asked about a body that is not there.
            _ if given.bodiless && reads_body => {
                "unknown: its filter looks at the body, of which the file says nothing; put it there as `payload`"
                    .into()
            }
            Decision::Taken => "yes".into(),
            Decision::Filtered => format!("no: its filter is false: {}", on_one_line(filter)),
            Decision::Failed(failure) => {
                format!("no: its filter fails: {failure}\n{}", pointed(filter, &failure, width))
            }
        };
        // Writing into a string does not fail.
        let _ = writeln!(out, "{name:<width$}  {answer}");
    }
    if plan.subscribers.is_empty() {
        out.push_str("there is no subscriber\n");
    }
    out
}

fn on_one_line(filter: &str) -> String {
    filter.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

/// The line of a filter at which it failed, with a mark below the place.
fn pointed(filter: &str, failure: &Failure, indent: usize) -> String {
    let (before, rest) = filter.split_at_checked(failure.offset).unwrap_or((filter, ""));
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = &filter[start..before.len() + rest.find('\n').unwrap_or(rest.len())];
    let blank: String = filter[start..before.len()].chars().map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    format!("{0:indent$}    {line}\n{0:indent$}    {blank}^", "")
}
