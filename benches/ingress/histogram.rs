//! Latencies, counted in buckets whose width grows with the value: every percentile is right to one part in 128.

use std::time::Duration;

/// Bits of a value that are kept.
const BITS: u32 = 7;
const BUCKETS: usize = (65 - BITS as usize) << BITS;

pub(crate) struct Histogram {
    buckets: Box<[u64]>,
    total: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { buckets: vec![0; BUCKETS].into_boxed_slice(), total: 0 }
    }

    pub(crate) fn record(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket(nanos)] += 1;
        self.total += 1;
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The latency that `per_mille` of a thousand stay at or below; zero when there are none.
    pub(crate) fn quantile(&self, per_mille: u64) -> Duration {
        let rank = (self.total * per_mille).div_ceil(1000).max(1);
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_nanos(middle(index));
            }
        }
        Duration::ZERO
    }
}

fn bucket(value: u64) -> usize {
    let shift = (u64::BITS - value.leading_zeros()).saturating_sub(BITS + 1);
    // The two parts overlap in one bit, so the buckets of one power of two follow those of the one before it.
    ((shift as usize) << BITS) + usize::try_from(value >> shift).unwrap_or(BUCKETS - 1)
}

fn middle(bucket: usize) -> u64 {
    let shift = (bucket >> BITS).saturating_sub(1);
    let low = ((bucket - (shift << BITS)) as u64) << shift;
    low + ((1u64 << shift) >> 1)
}
