//! `serve`: run the daemon until a signal ends it.

use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app::App;
use crate::logging;
use crate::plan::Loaded;

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
    let runtime = match tokio::runtime::Builder::new_multi_thread().thread_name("deliver").enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return super::fail(&error),
    };
    let code = runtime.block_on(serve(loaded));
    // What is still running, such as a name look-up of an abandoned attempt, is not waited for.
    runtime.shutdown_background();
    code
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

async fn serve(loaded: Loaded) -> ExitCode {
    // Before anything else, so that a signal during the start is not lost.
    let signals = || -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    };
    let mut signals = match signals() {
        Ok(signals) => signals,
        Err(error) => return super::fail(&error),
    };
    let app = match App::start(loaded.plan).await {
        Ok(app) => app,
        Err(error) => {
            tracing::error!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let (ingress, admin) = (app.ingress_addresses.join(", "), app.admin_addresses.join(", "));
    tracing::info!(ingress, admin, version = env!("CARGO_PKG_VERSION"), "ready");
    notify(&[sd_notify::NotifyState::Ready]);
    let code = watch(&app, &mut signals).await;
    notify(&[sd_notify::NotifyState::Stopping]);
    app.stop().await;
    tracing::info!("stopped");
    code
}

/// Waits for the end, keeps systemd's watchdog quiet, and does what signals ask for.
async fn watch(app: &App, signals: &mut Signals) -> ExitCode {
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
            _ = signals.hangup.recv() => {
                tracing::info!("opening files anew on SIGHUP");
                app.reopen();
            }
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
