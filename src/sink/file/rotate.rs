//! Putting a full file aside.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::directory;

/// Renames the file to `.1`, what was `.1` to `.2` and so on; the one beyond `keep` is overwritten.
///
/// From the highest number down, so that a crash on the way overwrites nothing. It can leave a number free: the next
/// time only those below it move up.
pub(super) fn rotate(path: &Path, keep: u32) -> io::Result<()> {
    if keep == 0 {
        fs::remove_file(path)?;
        return directory::sync_parent(path);
    }
    let mut last = 1;
    while last < keep && numbered(path, last).symlink_metadata().is_ok() {
        last += 1;
    }
    for number in (1..last).rev() {
        fs::rename(numbered(path, number), numbered(path, number + 1))?;
    }
    fs::rename(path, numbered(path, 1))?;
    directory::sync_parent(path)
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(path: &Path) -> Vec<Option<String>> {
        (1..=5).map(|n| fs::read_to_string(numbered(path, n)).ok()).collect()
    }

    #[test]
    fn the_oldest_goes() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a");
        for n in 1..=5 {
            fs::write(&path, n.to_string()).expect("written");
            rotate(&path, 3).expect("rotated");
            assert!(!path.exists());
        }
        assert_eq!(texts(&path), [Some("5".into()), Some("4".into()), Some("3".into()), None, None]);
    }

    #[test]
    fn a_free_number_is_used() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a");
        for (name, text) in [("a", "now"), ("a.1", "1"), ("a.3", "3"), ("a.4", "4")] {
            fs::write(directory.path().join(name), text).expect("written");
        }
        rotate(&path, 4).expect("rotated");
        let want = ["now", "1", "3", "4"].map(|text| Some(text.to_owned()));
        assert_eq!(texts(&path)[..4], want);
    }

    #[test]
    fn none_is_kept() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a");
        fs::write(&path, "x").expect("written");
        rotate(&path, 0).expect("removed");
        assert_eq!(fs::read_dir(directory.path()).expect("listed").count(), 0);
    }
}
