//! Directories: made as needed, and synced, so that a file that counts is found again after a power cut.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// Makes the directory of a file and all above it that are missing.
pub(super) fn create_parent(path: &Path) -> io::Result<()> {
    create(parent(path))
}

fn create(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    create_parent(directory)?;
    match DirBuilder::new().mode(0o750).create(directory) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    sync_parent(directory)
}

/// Makes what was made, renamed or removed in the directory of a file durable.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    File::open(parent(path))?.sync_all()
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => Path::new("/"),
    }
}
