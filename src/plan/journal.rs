//! The journal and the log.

use tracing::level_filters::LevelFilter;

use super::{Log, LogFormat, Surroundings, defaults};
use crate::config::{Table, Value};
use crate::journal::{Settings, Sync};

/// Reads `[journal]`.
pub(super) fn read(file: &Table<'_>, around: &Surroundings<'_>, max_body: u64) -> Settings {
    let table =
        file.get("journal").and_then(|value| value.table("write `[journal]`")).map(|table| table.only("journal"));
    let get = |key: &str| table.as_ref().and_then(|table| table.get(key));
    let retain = get("retain")
        .and_then(|value| value.table("write `retain = { age = \"7d\", size = \"10 GiB\" }`"))
        .map(|table| table.only("journal.retain"));
    let kept = |key: &str| retain.as_ref().and_then(|table| table.get(key));
    let retain_size = kept("size").and_then(|value| retain_size(&value, max_body)).unwrap_or(defaults::RETAIN_SIZE);
    Settings {
        path: around.path(get("path").and_then(|value| path(&value)).unwrap_or(defaults::JOURNAL_PATH)),
        sync: get("sync").and_then(|value| sync(&value)).unwrap_or_default(),
        retain_age: kept("age").and_then(|value| value.duration(defaults::KEEP_RANGE)).unwrap_or(defaults::RETAIN_AGE),
        retain_size,
        min_free: get("min_free").and_then(|value| min_free(&value)).unwrap_or(defaults::MIN_FREE),
    }
}

fn path<'t>(value: &Value<'t>) -> Option<&'t str> {
    const HINT: &str = "name a directory, such as `\"/var/lib/forebay\"`; a relative one begins at this file";
    let text = value.string(HINT)?;
    if text.is_empty() || text.contains('\0') {
        value.error("this is not a path", HINT);
        return None;
    }
    Some(text)
}

fn sync(value: &Value<'_>) -> Option<Sync> {
    let sync = value.choice("a way to sync", &[("always", Sync::Always), ("never", Sync::Never)])?;
    if sync == Sync::Never {
        value.warn(
            "events that were answered with 202 are lost if the machine goes down",
            "`sync = \"always\"` answers when they are on disk",
        );
    }
    Some(sync)
}

fn retain_size(value: &Value<'_>, max_body: u64) -> Option<u64> {
    let bytes = value.size(defaults::RETAIN_SIZE_RANGE)?;
    if bytes < max_body {
        value.warn("this is smaller than one body may be: hardly an event is kept", "`\"10 GiB\"` is the default");
    }
    Some(bytes)
}

fn min_free(value: &Value<'_>) -> Option<u64> {
    let bytes = value.size(defaults::MIN_FREE_RANGE)?;
    if bytes == 0 {
        value.warn("the disk may run full before the ingress stops", "keep some space free: `\"256 MiB\"`");
    }
    Some(bytes)
}

/// Reads `[log]`.
pub(super) fn log(file: &Table<'_>) -> Log {
    const LEVELS: [(&str, LevelFilter); 5] = [
        ("error", LevelFilter::ERROR),
        ("warn", LevelFilter::WARN),
        ("info", LevelFilter::INFO),
        ("debug", LevelFilter::DEBUG),
        ("trace", LevelFilter::TRACE),
    ];
    const FORMATS: [(&str, LogFormat); 2] = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    let table = file.get("log").and_then(|value| value.table("write `[log]`")).map(|table| table.only("log"));
    let get = |key: &str| table.as_ref().and_then(|table| table.get(key));
    Log {
        level: get("level").and_then(|value| value.choice("a level", &LEVELS)).unwrap_or(LevelFilter::INFO),
        format: get("format").and_then(|value| value.choice("a log format", &FORMATS)).unwrap_or_default(),
    }
}
