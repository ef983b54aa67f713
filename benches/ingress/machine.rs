//! The shape of the machine, as far as it explains the numbers.

use std::fs;
use std::path::Path;
use std::thread;

/// One line: date, cores, processor, memory, kernel, filesystem.
pub(crate) fn describe(dir: &Path) -> String {
    let date = jiff::Timestamp::now().to_string().chars().take(10).collect::<String>();
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let processor = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".to_owned());
    let virtual_machine =
        field("/proc/cpuinfo", "flags").is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor"));
    let memory = field("/proc/meminfo", "MemTotal").and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    // What distributions and hosts append to the version does not explain a number.
    let version = release.trim().split('-').next().unwrap_or_default();
    format!(
        "{date}, {cores} {} of {processor}{}, {} GiB, Linux {version}, {}",
        if cores == 1 { "core" } else { "cores" },
        if virtual_machine { " (virtual machine)" } else { "" },
        memory.unwrap_or(0).div_ceil(1 << 20),
        filesystem(dir).unwrap_or_else(|| "unknown filesystem".to_owned()),
    )
}

/// The type of the filesystem that `dir` is on.
pub(crate) fn filesystem(dir: &Path) -> Option<String> {
    let dir = dir.canonicalize().ok()?;
    let mounts = fs::read_to_string("/proc/mounts").ok()?;
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        Some((words.next()?, words.next()?))
    });
    // A later mount hides an earlier one at the same place; `max_by_key` gives the last of equals.
    let (_, kind) = mounts.filter(|(place, _)| dir.starts_with(place)).max_by_key(|(place, _)| place.len())?;
    Some(kind.to_owned())
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let (_, value) = text.lines().filter_map(|line| line.split_once(':')).find(|(key, _)| key.trim() == name)?;
    Some(value.trim().to_owned())
}
