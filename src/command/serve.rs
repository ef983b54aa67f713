//! `serve`: run the daemon until a signal ends it.

use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app::{App, StartError};
use crate::logging;
use crate::plan::{Loaded, Plan};

/// How often it is looked whether the journal still works.
const LOOK: Duration = Duration::from_millis(250);

/// Serves until SIGTERM or SIGINT, or until the journal fails.
#[must_use]
pub fn run(loaded: Loaded) -> ExitCode {
    logging::start(loaded.plan.log);
    super::process::prepare();
    for warning in loaded.warnings.lines() {
        tracing::warn!("{warning}");
    }
    let ready = |app: &App| {
        let (ingress, admin) = (app.ingress_addresses.join(", "), app.admin_addresses.join(", "));
        tracing::info!(ingress, admin, version = env!("CARGO_PKG_VERSION"), "ready");
    };
    until_stopped(loaded.plan, OnHangup::Reopen, ready).unwrap_or_else(|error| {
        tracing::error!("{error}");
        ExitCode::FAILURE
    })
}

/// What SIGHUP does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnHangup {
    /// Files are opened anew: what is said to a daemon.
    Reopen,
    /// The end: the terminal is gone.
    Stop,
}

/// Runs a plan from its start to its orderly end on a signal. `ready` is called once it serves.
///
/// # Errors
/// When it cannot start.
pub(super) fn until_stopped(plan: Plan, on_hangup: OnHangup, ready: impl FnOnce(&App)) -> Result<ExitCode, StartError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("deliver")
        .enable_all()
        .build()
        .map_err(|error| StartError::new("start the runtime", &error))?;
    let code = runtime.block_on(serve(plan, on_hangup, ready));
    // What is still running, such as a name look-up of an abandoned attempt, is not waited for.
    runtime.shutdown_background();
    code
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

async fn serve(plan: Plan, on_hangup: OnHangup, ready: impl FnOnce(&App)) -> Result<ExitCode, StartError> {
    // Before anything else, so that a signal during the start is not lost.
    let signals = || -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    };
    let mut signals = signals().map_err(|error| StartError::new("listen for signals", &error))?;
    let app = App::start(plan).await?;
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
                OnHangup::Reopen => {
                    tracing::info!("opening files anew on SIGHUP");
                    app.reopen();
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
