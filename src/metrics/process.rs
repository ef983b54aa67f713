//! What every program shows of itself, under the names that Prometheus' own libraries use. Looked up when somebody asks; what
//! cannot be read is left out.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use crate::event::Millis;

/// A registry with nothing but these, of a process that starts now.
pub(super) fn registry() -> Registry {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Process { start: Millis::now() }));
    registry
}

#[derive(Debug)]
struct Process {
    start: Millis,
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mut show = |name: &str, help: &str, unit: Option<&Unit>, metric: &dyn EncodeMetric| {
            let family = encoder.encode_descriptor(name, help, unit, metric.metric_type())?;
            metric.encode(family)
        };
        let used = clock_gettime(ClockId::ProcessCPUTime);
        #[expect(clippy::cast_precision_loss, reason = "seconds of a process' life fit")]
        let used = used.tv_sec as f64 + used.tv_nsec as f64 / 1e9;
        show("process_cpu", "processor time used", Some(&Unit::Seconds), &ConstCounter::new(used))?;
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of our time fit")]
        let start = ConstGauge::new(self.start.0 as f64 / 1000.0);
        show("process_start_time", "when it started, in Unix time", Some(&Unit::Seconds), &start)?;
        for (name, help, line) in [
            ("process_resident_memory", "memory it holds", "VmRSS"),
            ("process_virtual_memory", "address space it has", "VmSize"),
        ] {
            if let Some(kib) = number(&status, line) {
                show(name, help, Some(&Unit::Bytes), &ConstGauge::new(kib * 1024))?;
            }
        }
        if let Some(threads) = number(&status, "Threads") {
            show("process_threads", "threads it runs", None, &ConstGauge::new(threads))?;
        }
        if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
            // The folder that is being read is one of them.
            let open = i64::try_from(files.count()).unwrap_or(i64::MAX) - 1;
            show("process_open_fds", "files and sockets it has open", None, &ConstGauge::new(open))?;
        }
        if let Some(most) = getrlimit(Resource::Nofile).current.and_then(|most| i64::try_from(most).ok()) {
            show("process_max_fds", "files and sockets it may have open", None, &ConstGauge::new(most))?;
        }
        Ok(())
    }
}

/// The number on a line of `/proc/PID/status`, without its unit.
fn number(status: &str, name: &str) -> Option<i64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_it_is_there_and_likely() {
        let mut shown = String::new();
        prometheus_client::encoding::text::encode_registry(&mut shown, &registry()).expect("memory takes it");
        let value = |name: &str| -> f64 {
            let line = shown.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.unwrap_or_else(|| panic!("no `{name}` in\n{shown}")).parse().expect("a number")
        };
        let (open, most) = (value("process_open_fds"), value("process_max_fds"));
        assert!(open >= 3.0 && open < most, "{open} of {most}");
        let (held, had) = (value("process_resident_memory_bytes"), value("process_virtual_memory_bytes"));
        assert!(held > 1e6 && held < had, "{held} of {had}");
        assert!(value("process_threads") >= 1.0 && value("process_cpu_seconds_total") > 0.0);
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of our time fit")]
        let now = Millis::now().0 as f64 / 1000.0;
        let start = value("process_start_time_seconds");
        assert!(start <= now && start > now - 60.0, "{start} at {now}");
    }

    #[test]
    fn a_line_of_the_status() {
        let status = "Name:\tforebay\nVmSize:\t  200 kB\nVmRSS:\t  12 kB\nThreads:\t7\n";
        assert_eq!(
            [number(status, "VmRSS"), number(status, "Threads"), number(status, "Vm")],
            [Some(12), Some(7), None]
        );
    }
}
