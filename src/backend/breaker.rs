//! Leaves a backend alone that does not answer: after some failures in a row nobody waits for it any more, and once in a while one
//! request finds out whether it is back. It knows no clock and no network.

use std::time::Duration;

use tokio::time::Instant;

/// How many failures in a row are too many, and for how long to leave it alone then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tolerance {
    /// At least 1.
    pub failures: u32,
    /// From one attempt to the next while it is left alone.
    pub pause: Duration,
}

/// What the failures so far mean for the next request.
#[derive(Debug)]
pub(super) struct Breaker {
    tolerance: Tolerance,
    in_a_row: u32,
    open_until: Instant,
}

/// What one outcome has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing.
    None,
    /// From now on it is left alone.
    Opened,
    /// From now on it is asked again.
    Closed,
}

impl Breaker {
    pub(super) fn new(tolerance: Tolerance, now: Instant) -> Self {
        Self {
            tolerance,
            in_a_row: 0,
            open_until: now,
        }
    }

    /// Whether to ask at `now`; if not, how long to wait. While it is left alone one request in each pause is let through, and needs
    /// not report for the next to have its turn.
    pub(super) fn admit(&mut self, now: Instant) -> Result<(), Duration> {
        if self.in_a_row < self.tolerance.failures {
            return Ok(());
        }
        let left = self.open_until.saturating_duration_since(now);
        if !left.is_zero() {
            return Err(left);
        }
        self.open_until = now + self.tolerance.pause;
        Ok(())
    }

    pub(super) fn succeeded(&mut self) -> Change {
        let was_open = self.in_a_row >= self.tolerance.failures;
        self.in_a_row = 0;
        if was_open {
            Change::Closed
        } else {
            Change::None
        }
    }

    pub(super) fn failed(&mut self, now: Instant) -> Change {
        let was_open = self.in_a_row >= self.tolerance.failures;
        self.in_a_row = self.in_a_row.saturating_add(1);
        if was_open || self.in_a_row < self.tolerance.failures {
            return Change::None;
        }
        self.open_until = now + self.tolerance.pause;
        Change::Opened
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn breaker(start: Instant) -> Breaker {
        let tolerance = Tolerance {
            failures: 3,
            pause: 10 * SECOND,
        };
        Breaker::new(tolerance, start)
    }

    #[test]
    fn only_failures_in_a_row_count() {
        let start = Instant::now();
        let mut breaker = breaker(start);
        for _ in 0..5 {
            assert_eq!(breaker.failed(start), Change::None);
            assert_eq!(breaker.failed(start), Change::None);
            assert_eq!(breaker.succeeded(), Change::None);
            assert_eq!(breaker.admit(start), Ok(()));
        }
    }

    #[test]
    fn open_then_one_at_a_time_then_closed() {
        let start = Instant::now();
        let mut breaker = breaker(start);
        let changes: Vec<_> = (0..4).map(|_| breaker.failed(start)).collect();
        assert_eq!(
            changes,
            [Change::None, Change::None, Change::Opened, Change::None]
        );
        assert_eq!(breaker.admit(start), Err(10 * SECOND));
        assert_eq!(breaker.admit(start + 9 * SECOND), Err(SECOND));
        let probe = start + 10 * SECOND;
        assert_eq!(breaker.admit(probe), Ok(()));
        assert_eq!(breaker.admit(probe), Err(10 * SECOND), "one is enough");
        assert_eq!(breaker.failed(probe + SECOND), Change::None);
        assert_eq!(breaker.admit(probe + 2 * SECOND), Err(8 * SECOND));
        // The first probe was called off and has said nothing.
        assert_eq!(breaker.admit(probe + 10 * SECOND), Ok(()));
        assert_eq!(breaker.succeeded(), Change::Closed);
        assert_eq!(breaker.admit(probe + 10 * SECOND), Ok(()));
    }
}
