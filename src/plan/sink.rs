//! Sinks: the table picks a kind by its `type`. stdout and file are read here.

use super::{Surroundings, defaults, template, webhook};
use crate::config::{Table, Value};
use crate::journal;
use crate::sink::{LineFormat, Settings, file, stdout};

const HOW: &str = "write `sink = { type = \"stdout\" }`, or another of `file`, `webhook`";

/// What other subscribers' sinks write to.
#[derive(Default)]
pub(super) struct Seen {
    stdout: bool,
    files: Vec<String>,
}

#[derive(Clone, Copy)]
enum Kind {
    Stdout,
    File,
    Webhook,
}

/// Reads `sink` of a subscriber.
pub(super) fn read(
    value: &Value<'_>,
    around: &Surroundings<'_>,
    journal: &journal::Settings,
    seen: &mut Seen,
) -> Option<Settings> {
    let table = value.table(HOW)?;
    let kind = table.need("type", "the sink has no `type`", HOW)?;
    match kind.choice("a sink", &[("stdout", Kind::Stdout), ("file", Kind::File), ("webhook", Kind::Webhook)])? {
        Kind::Stdout => {
            let table = table.only("sink.stdout");
            if std::mem::replace(&mut seen.stdout, true) {
                kind.warn("two subscribers print to stdout: their lines cannot be told apart", "one is enough");
            }
            Some(Settings::Stdout(stdout::Settings { format: format(&table)? }))
        }
        Kind::File => file(&table.only("sink.file"), around, journal, seen).map(Settings::File),
        Kind::Webhook => {
            webhook::read(&table.only("sink.webhook"), around).map(|read| Settings::Webhook(Box::new(read)))
        }
    }
}

fn format(table: &Table<'_>) -> Option<LineFormat> {
    const FORMATS: [(&str, LineFormat); 3] =
        [("envelope", LineFormat::Envelope), ("cloudevents", LineFormat::CloudEvents), ("raw", LineFormat::Raw)];
    table.get("format").map_or(Some(LineFormat::default()), |value| value.choice("a format of this sink", &FORMATS))
}

fn file(
    table: &Table<'_>,
    around: &Surroundings<'_>,
    journal: &journal::Settings,
    seen: &mut Seen,
) -> Option<file::Settings> {
    let named = table.need("path", "the file sink has no `path`", "write `path = \"/var/log/forebay/{topic}.ndjson\"`");
    let path = named.as_ref().and_then(|value| path(value, around, journal, seen));
    let format = format(table);
    let rotate = table.get("rotate").map_or(Some(None), |value| rotate(&value).map(Some));
    let settings = file::Settings { path: path?, format: format?, rotate: rotate? };
    // What is wrong only now is so because of `rotate`, or of the folder that went before the path.
    if let (Err(error), Some(value)) = (settings.template(), named) {
        value.error(error.to_string(), "write `\"/var/log/forebay/{topic}.ndjson\"`");
        return None;
    }
    Some(settings)
}

fn path(value: &Value<'_>, around: &Surroundings<'_>, journal: &journal::Settings, seen: &mut Seen) -> Option<String> {
    let text = value.string("write `path = \"/var/log/forebay/{topic}.ndjson\"`")?;
    if let Err((message, hint)) = template::check(text) {
        value.error(message, hint);
        return None;
    }
    let whole = around.path(text);
    if whole.starts_with(&journal.path) {
        value.error("the file is inside the journal", "choose another folder: the journal's belongs to it alone");
        return None;
    }
    let whole = whole.to_string_lossy().into_owned();
    if seen.files.contains(&whole) {
        value.error("two subscribers write the same file", "give each a file of its own");
        return None;
    }
    seen.files.push(whole.clone());
    Some(whole)
}

fn rotate(value: &Value<'_>) -> Option<file::Rotate> {
    let table = value.table("write `rotate = { size = \"100 MiB\", keep = 10 }`")?.only("sink.file.rotate");
    let size = table.get("size").map_or(Some(defaults::ROTATE_SIZE), |value| value.size(defaults::ROTATE_SIZE_RANGE));
    let keep = table.get("keep").map_or(Some(defaults::ROTATE_KEEP), |value| value.number(defaults::ROTATE_KEEP_RANGE));
    Some(file::Rotate { size: size?, keep: u32::try_from(keep?).ok()? })
}
