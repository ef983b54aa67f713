//! Opening what a plan names: listeners, the journal's directory and its lock, the delivery state.

use std::fs::File;
use std::path::Path;

use super::{StartError, failed};
use crate::http::Listen;
use crate::http::listener::Listener;
use crate::journal::OpenError;
use crate::journal::disk::{Disk, RealDisk};
use crate::journal::state::State;
use crate::plan::Plan;

/// Space put aside so that the state, which cannot be opened without writing, can be opened on a full disk.
const RESERVE: (&str, u64) = ("reserve", 1 << 20);

/// Opens the state; on a full disk, with the space that an earlier start has put aside.
pub(super) fn open_state(disk: &RealDisk, log_has_events: bool) -> Result<State, String> {
    let (name, size) = RESERVE;
    let opened = State::open(disk.path(), log_has_events).or_else(|error| {
        if disk.free().is_ok_and(|free| free < size) && disk.remove(name).is_ok() {
            return State::open(disk.path(), log_has_events);
        }
        Err(error)
    })?;
    if disk.free().is_ok_and(|free| free > 2 * size)
        && let Err(error) = disk.create(name).and_then(|file| file.reserve(size))
    {
        tracing::warn!(%error, "cannot put space aside for a start on a full disk");
    }
    Ok(opened)
}

/// The connections there can be: the journal and the sinks need open files too, and must not be the ones that go without.
pub(super) fn possible_connections(configured: usize) -> usize {
    const OTHERS: usize = 512;
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let files = files.and_then(|files| usize::try_from(files).ok()).unwrap_or(usize::MAX);
    let possible = files.saturating_sub(OTHERS).max(files / 2);
    if possible < configured {
        tracing::warn!(configured, possible, files, "`max_connections` is more than the limit on open files allows");
    }
    configured.min(possible)
}

/// Binds all listeners, or takes them from systemd: sockets named `admin` are the admin listener's, all others the
/// ingress'.
pub(super) async fn bind_all(plan: &Plan) -> Result<(Vec<Listener>, Vec<Listener>), StartError> {
    let (mut ingress, mut admin) = (Vec::new(), Vec::new());
    for (name, listener) in Listener::handed_over().map_err(|why| failed("take over the sockets of systemd")(&why))? {
        if name == "admin" { admin.push(listener) } else { ingress.push(listener) }
    }
    if plan.admin.token.is_none()
        && let Some(open) = admin.iter().find(|listener| !listener.is_private())
    {
        let why = format!("the socket `{}` from systemd is not loopback: configure `admin.token`", open.address());
        return Err(failed("serve the admin listener without a token")(&why));
    }
    for (listeners, wanted) in [(&mut ingress, &plan.ingress.listen), (&mut admin, &plan.admin.listen)] {
        if listeners.is_empty() {
            for listen in wanted {
                listeners.push(bind(listen).await?);
            }
        }
    }
    Ok((ingress, admin))
}

async fn bind(listen: &Listen) -> Result<Listener, StartError> {
    Listener::bind(listen).await.map_err(|why| StartError {
        address: Some(listen.clone()),
        ..StartError::new(format!("listen on `{listen}`"), &why)
    })
}

/// Makes sure that no other process has the journal open.
pub(super) fn take_lock(path: &Path) -> Result<File, OpenError> {
    use std::os::unix::fs::OpenOptionsExt;
    let file = File::options().create(true).append(true).mode(0o600).open(path.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(OpenError::Locked),
        Err(std::fs::TryLockError::Error(error)) => Err(error.into()),
    }
}
