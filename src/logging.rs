//! The log: to standard error, as text for people or JSON for machines.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, registry, reload};

use crate::plan::{Log, LogFormat};

/// Changes how much is logged.
#[derive(Debug, Clone)]
pub struct Level(reload::Handle<Targets, Registry>);

impl Level {
    /// Logs as much as is configured there, from now on. The format stays.
    pub fn change(&self, log: Log) {
        // It fails where another log was started first, in a test.
        let _ = self.0.reload(targets(log));
    }
}

/// What libraries say is written from warnings up, and whole at level `trace`.
fn targets(log: Log) -> Targets {
    let others = if log.level == LevelFilter::TRACE { log.level } else { log.level.min(LevelFilter::WARN) };
    Targets::new().with_default(others).with_target("forebay", log.level)
}

/// Starts the log. As JSON it has all that is said from here on, panics too: each line is one object, with `timestamp`,
/// `level`, `message` and the fields beside them.
pub fn start(log: Log) -> Level {
    let (filter, handle) = reload::Layer::new(targets(log));
    let layer = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let layer = match log.format {
        LogFormat::Json => {
            std::panic::set_hook(Box::new(tell_of_a_panic));
            // What the layer itself would say, of a closed standard error most likely, is no JSON.
            layer.json().flatten_event(true).log_internal_errors(false).boxed()
        }
        LogFormat::Text => layer.with_ansi(std::io::stderr().is_terminal()).boxed(),
    };
    // A second start, in a test, keeps the first.
    let _ = registry().with(layer.with_filter(filter)).try_init();
    Level(handle)
}

fn tell_of_a_panic(panic: &PanicHookInfo<'_>) {
    let payload = panic.payload();
    let what = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let what = what.unwrap_or("no message");
    let place = panic.location().map(ToString::to_string);
    let thread = std::thread::current();
    let trace = Backtrace::capture();
    let backtrace = (trace.status() == BacktraceStatus::Captured).then(|| trace.to_string());
    tracing::error!(thread = thread.name(), place, backtrace, "panicked: {what}");
}
