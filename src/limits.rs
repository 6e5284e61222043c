//! How often one user may do a thing: the generic cell rate algorithm, which needs one number per user and no timer.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Keys are swept when the table has doubled since the last time, and never below this many.
const SWEEP_ABOVE: usize = 10_000;

/// `per_minute` on average, and up to `burst` at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Sustained rate; 0 is no limit.
    pub per_minute: u32,
    /// How many may come at once after a pause; at least 1.
    pub burst: u32,
}

/// One rate, kept for each key apart.
#[derive(Debug)]
pub struct Limiter<K> {
    rate: Rate,
    /// When each key's bucket will be empty again.
    arrivals: Mutex<Arrivals<K>>,
}

#[derive(Debug)]
struct Arrivals<K> {
    empty_at: HashMap<K, Instant>,
    sweep_above: usize,
}

impl<K: Hash + Eq + Clone> Limiter<K> {
    /// A limiter with every bucket empty.
    pub fn new(rate: Rate) -> Self {
        let arrivals = Arrivals {
            empty_at: HashMap::new(),
            sweep_above: SWEEP_ABOVE,
        };
        Self {
            rate,
            arrivals: Mutex::new(arrivals),
        }
    }

    /// Takes one at `now`, or says how long to wait for it.
    pub fn take(&self, key: &K, now: Instant) -> Result<(), Duration> {
        if self.rate.per_minute == 0 {
            return Ok(());
        }
        let interval = Duration::from_mins(1) / self.rate.per_minute;
        let tolerance = interval * self.rate.burst.max(1);
        let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        if arrivals.empty_at.len() > arrivals.sweep_above {
            arrivals.empty_at.retain(|_, empty_at| *empty_at > now);
            arrivals.sweep_above = SWEEP_ABOVE.max(arrivals.empty_at.len() * 2);
        }
        let empty_at = arrivals.empty_at.get(key).copied().unwrap_or(now).max(now) + interval;
        let ahead = empty_at - now;
        if ahead > tolerance {
            return Err(ahead.saturating_sub(tolerance));
        }
        arrivals.empty_at.insert(key.clone(), empty_at);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_steady_rate() {
        let limiter = Limiter::new(Rate {
            per_minute: 60,
            burst: 3,
        });
        let start = Instant::now();
        for _ in 0..3 {
            assert_eq!(limiter.take(&"a", start), Ok(()));
        }
        assert_eq!(limiter.take(&"a", start), Err(Duration::from_secs(1)));
        assert_eq!(
            limiter.take(&"b", start),
            Ok(()),
            "users do not share a bucket"
        );
        assert_eq!(limiter.take(&"a", start + Duration::from_secs(1)), Ok(()));
        assert!(limiter.take(&"a", start + Duration::from_secs(1)).is_err());
    }

    #[test]
    fn zero_is_no_limit() {
        let limiter = Limiter::new(Rate {
            per_minute: 0,
            burst: 0,
        });
        assert!((0..10_000).all(|_| limiter.take(&(), Instant::now()).is_ok()));
    }

    #[test]
    fn idle_keys_are_swept() {
        let limiter = Limiter::new(Rate {
            per_minute: 60,
            burst: 1,
        });
        let start = Instant::now();
        for key in 0..=SWEEP_ABOVE {
            let _ = limiter.take(&key, start);
        }
        let _ = limiter.take(&0, start + Duration::from_mins(1));
        assert_eq!(limiter.arrivals.lock().unwrap().empty_at.len(), 1);
    }
}
