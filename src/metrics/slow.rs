//! From when on somebody is told that a thing took long. It knows no clock and no log.

use std::time::Duration;

/// The least time that counts as slow; none is ever slow without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SlowThreshold(Option<Duration>);

impl SlowThreshold {
    /// In milliseconds; 0 for none.
    pub fn from_millis(millis: u64) -> Self {
        Self((millis > 0).then(|| Duration::from_millis(millis)))
    }

    /// Whether what took so long is to be told.
    pub fn is_exceeded(self, took: Duration) -> bool {
        self.0.is_some_and(|threshold| took >= threshold)
    }
}

/// A time as it stands in a log: in milliseconds, to the microsecond.
pub fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_slow_without_a_threshold() {
        assert!(!SlowThreshold::from_millis(0).is_exceeded(Duration::MAX));
        let threshold = SlowThreshold::from_millis(5);
        assert!(!threshold.is_exceeded(Duration::from_micros(4999)));
        assert!(threshold.is_exceeded(Duration::from_millis(5)));
    }
}
