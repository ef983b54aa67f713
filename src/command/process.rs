//! What the process asks of the kernel for itself: enough open files, and that its memory is shown to nobody.

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

/// Raises the limit on open files to what is allowed, and shuts out core dumps, debuggers of the same user and readers
/// of `/proc/PID/environ`: memory and environment hold the secrets of all topics.
pub(super) fn prepare() {
    let files = getrlimit(Resource::Nofile);
    // The usual soft limit is 1024 (it is there for select(2)), far below the default of `max_connections`.
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: files.maximum, ..files }) {
        tracing::warn!(%error, "cannot raise the limit on open files");
    }
    let cores = getrlimit(Resource::Core);
    let without =
        setrlimit(Resource::Core, Rlimit { current: Some(0), ..cores }).and_then(|()| set_dumpable_behavior(NEVER));
    if let Err(error) = without {
        tracing::warn!(%error, "cannot switch off core dumps");
    }
}

const NEVER: DumpableBehavior = DumpableBehavior::NotDumpable;
