//! `serve`: run the daemon until a signal ends it.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app::{App, Source, StartError};
use crate::logging;
use crate::plan::{self, EXIT_CONFIG, Level, Loaded, LogFormat, Report};

/// How often it is looked whether the journal still works.
const LOOK: Duration = Duration::from_millis(250);

/// Serves until SIGTERM or SIGINT, or until the journal fails.
#[must_use]
pub fn run(loaded: Loaded, config: &Path) -> ExitCode {
    let level = logging::start(loaded.plan.log);
    super::process::prepare();
    loaded.warnings.log();
    let ready = |app: &App| {
        let (ingress, admin) = (app.ingress_addresses.join(", "), app.admin_addresses.join(", "));
        tracing::info!(ingress, admin, version = env!("CARGO_PKG_VERSION"), "ready");
    };
    let (file, path) = (config.display().to_string(), config.to_owned());
    let source =
        Source { file, read: Box::new(move || plan::load(&path)), log: Box::new(move |log| level.change(log)) };
    until_stopped(loaded, Some(source), OnHangup::Reload, ready).unwrap_or_else(|error| {
        tracing::error!("{error}");
        ExitCode::FAILURE
    })
}

/// Says everything that is wrong with the configuration: as JSON where the log is to be, for whoever reads it line by line.
#[must_use]
pub fn refuse(report: &Report, config: &Path) -> ExitCode {
    let log = plan::log_of(config);
    match log.format {
        LogFormat::Text => super::refuse(report),
        LogFormat::Json => {
            logging::start(log);
            report.log();
            tracing::error!(errors = report.count(Level::Error), "the configuration is wrong: not started");
            ExitCode::from(EXIT_CONFIG)
        }
    }
}

/// What SIGHUP does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnHangup {
    /// The configuration is read anew, and files are opened anew: what is said to a daemon.
    Reload,
    /// The end: the terminal is gone.
    Stop,
}

/// Runs a plan from its start to its orderly end on a signal. `ready` is called once it serves.
///
/// # Errors
/// When it cannot start.
pub(super) fn until_stopped(
    loaded: Loaded,
    source: Option<Source>,
    on_hangup: OnHangup,
    ready: impl FnOnce(&App),
) -> Result<ExitCode, StartError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("deliver")
        .enable_all()
        .build()
        .map_err(|error| StartError::new("start the runtime", &error))?;
    let code = runtime.block_on(serve(loaded, source, on_hangup, ready));
    // What is still running, such as a name look-up of an abandoned attempt, is not waited for.
    runtime.shutdown_background();
    code
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

async fn serve(
    loaded: Loaded,
    source: Option<Source>,
    on_hangup: OnHangup,
    ready: impl FnOnce(&App),
) -> Result<ExitCode, StartError> {
    // Before anything else, so that a signal during the start is not lost.
    let signals = || -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    };
    let mut signals = signals().map_err(|error| StartError::new("listen for signals", &error))?;
    let app = App::start(loaded, source).await?;
    ready(&app);
    notify(&[sd_notify::NotifyState::Ready]);
    let code = watch(&app, &mut signals, on_hangup).await;
    notify(&[sd_notify::NotifyState::Stopping]);
    app.stop().await;
    tracing::info!("stopped");
    Ok(code)
}

/// Waits for the end, keeps systemd's watchdog quiet, and does what signals ask for.
async fn watch(app: &App, signals: &mut Signals, on_hangup: OnHangup) -> ExitCode {
    let watchdog = sd_notify::watchdog_enabled();
    let mut look = tokio::time::interval(watchdog.map_or(LOOK, |limit| LOOK.min(limit / 3)));
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => {
                tracing::info!("stopping on SIGTERM");
                return ExitCode::SUCCESS;
            }
            _ = signals.interrupt.recv() => {
                tracing::info!("stopping on SIGINT");
                return ExitCode::SUCCESS;
            }
            _ = signals.hangup.recv() => match on_hangup {
                OnHangup::Reload => {
                    tracing::info!("reading the configuration anew on SIGHUP");
                    let since = sd_notify::NotifyState::monotonic_usec_now();
                    notify(&[vec![sd_notify::NotifyState::Reloading], since.into_iter().collect()].concat());
                    // What is wrong with it is in the log, and in the metrics.
                    let _ = app.reload().await;
                    notify(&[sd_notify::NotifyState::Ready]);
                }
                OnHangup::Stop => {
                    tracing::info!("stopping on SIGHUP");
                    return ExitCode::SUCCESS;
                }
            },
            _ = look.tick() => {
                if app.is_broken() {
                    return ExitCode::FAILURE;
                }
                if watchdog.is_some() {
                    notify(&[sd_notify::NotifyState::Watchdog]);
                }
            }
        }
    }
}

/// Tells systemd, where it has asked.
fn notify(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot notify systemd");
    }
}
