//! The log: to standard error, as text for people or JSON for machines.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt, registry};

use crate::plan::{Log, LogFormat};

/// Starts the log. What libraries say is written from warnings up, and whole at level `trace`.
pub fn start(log: Log) {
    let others = if log.level == LevelFilter::TRACE { log.level } else { log.level.min(LevelFilter::WARN) };
    let targets = Targets::new().with_default(others).with_target("forebay", log.level);
    let layer = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let layer = match log.format {
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
        LogFormat::Text => layer.with_ansi(std::io::stderr().is_terminal()).boxed(),
    };
    // A second start, in a test, keeps the first.
    let _ = registry().with(layer.with_filter(targets)).try_init();
}
