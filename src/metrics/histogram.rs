//! How long things took: counts in fixed steps, without a lock. Prometheus adds such counts up over time; the admin page
//! takes the difference of two readings.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper ends of the steps, in microseconds; what takes longer is in one more step.
pub(super) const STEPS: [u64; 16] = [
    100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000,
];

/// Counts of durations.
#[derive(Debug, Default)]
pub struct Histogram {
    counts: [AtomicU64; STEPS.len() + 1],
    micros: AtomicU64,
}

/// A histogram at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Durations {
    /// The upper end of each step in seconds, the last infinite, and how many fell into it.
    pub steps: Vec<(f64, u64)>,
    /// All durations together, in seconds.
    pub sum: f64,
    /// How many there were.
    pub count: u64,
}

impl Histogram {
    /// Counts one duration.
    pub fn observe(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.counts[step_of(took)].fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// What has been counted so far. Durations that are counted meanwhile may be in the steps and not in the sum.
    pub fn read(&self) -> Durations {
        let counts = self
            .counts
            .each_ref()
            .map(|one| one.load(Ordering::Relaxed));
        let sum = Duration::from_micros(self.micros.load(Ordering::Relaxed));
        Durations::new(&counts, sum)
    }
}

impl Durations {
    pub(super) fn new(counts: &[u64; STEPS.len() + 1], sum: Duration) -> Self {
        let ends = STEPS
            .iter()
            .map(|end| Duration::from_micros(*end).as_secs_f64());
        let ends = ends.chain([f64::INFINITY]);
        Self {
            sum: sum.as_secs_f64(),
            count: counts.iter().sum(),
            steps: ends.zip(counts.iter().copied()).collect(),
        }
    }
}

/// The step into which a duration falls.
pub(super) fn step_of(took: Duration) -> usize {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    STEPS.partition_point(|end| *end < micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_into_the_first_step_that_holds_it() {
        let histogram = Histogram::default();
        for micros in [0, 100, 101, 10_000_000, 10_000_001] {
            histogram.observe(Duration::from_micros(micros));
        }
        let reading = histogram.read();
        let filled: Vec<_> = reading.steps.iter().filter(|(_, n)| *n > 0).collect();
        let expected = [(0.0001, 2), (0.000_25, 1), (10.0, 1), (f64::INFINITY, 1)];
        assert_eq!(filled, expected.iter().collect::<Vec<_>>());
        assert_eq!(reading.count, 5);
        assert!((reading.sum - 20.000_202).abs() < 1e-9, "{}", reading.sum);
    }
}
