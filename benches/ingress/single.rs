//! One request at a time, beside what the disk alone takes for one write and one sync.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::client::{Load, drive};
use crate::daemon::Daemon;
use crate::histogram::Histogram;
use crate::request::{PUSH, Request};
use crate::sample::micros;
use crate::stats::Spread;

/// What one write and sync goes to; it is all written beforehand, so that a sync is one of data only.
const FILE_BYTES: u64 = 64 << 20;

/// A file of which every block is allocated and written.
pub(crate) struct RawDisk {
    file: File,
    at: u64,
}

impl RawDisk {
    pub(crate) fn new(dir: &Path) -> io::Result<Self> {
        let mut file = File::create(dir.join("raw"))?;
        for _ in 0..FILE_BYTES >> 20 {
            file.write_all(&vec![1; 1 << 20])?;
        }
        file.sync_all()?;
        Ok(Self { file, at: 0 })
    }

    /// The median time of one 8 KiB write with `fdatasync`, in microseconds.
    pub(crate) fn measure(&mut self, time: Duration) -> io::Result<f64> {
        let (mut latency, begin) = (Histogram::new(), Instant::now());
        while begin.elapsed() < time {
            let start = Instant::now();
            self.file.write_all_at(PUSH, self.at)?;
            self.file.sync_data()?;
            latency.record(start.elapsed());
            self.at = (self.at + PUSH.len() as u64) % FILE_BYTES;
        }
        Ok(micros(latency.quantile(500)))
    }
}

/// Medians of the rounds, in microseconds.
#[derive(Default)]
pub(crate) struct Singles {
    raw: Vec<f64>,
    forebay: Vec<f64>,
}

impl Singles {
    /// # Errors
    /// When the daemon answers anything but 202.
    pub(crate) fn round(
        &mut self,
        disk: &mut RawDisk,
        daemon: &Daemon,
        time: Duration,
        request: &mut Request,
    ) -> io::Result<()> {
        let load = Load { connections: 1, warm: time / 10, measure: time };
        let raw = disk.measure(time / 2)?;
        let outcome = drive(daemon.ingress, &daemon.process, request, load)?;
        if !outcome.faults.is_empty() {
            return Err(io::Error::other(format!("one request at a time: {:?}", outcome.faults)));
        }
        // The disk once more: its speed on a shared machine drifts, and the request was served in between.
        let raw = f64::midpoint(raw, disk.measure(time / 2)?);
        self.raw.push(raw);
        self.forebay.push(micros(outcome.latency.quantile(500)));
        Ok(())
    }

    /// The raw disk's latency, forebay's, and the ratio.
    pub(crate) fn spreads(&self) -> Option<(Spread, Spread, Spread)> {
        let ratios = self.forebay.iter().zip(&self.raw).map(|(forebay, raw)| forebay / raw);
        Some((Spread::of(self.raw.clone())?, Spread::of(self.forebay.clone())?, Spread::of(ratios)?))
    }
}
