//! How often one key may do a thing: the generic cell rate algorithm, which needs one number per key and no timer. It knows
//! neither users nor addresses; the clock is its caller's.

pub mod repeats;

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Keys are swept when the table has doubled since the last time, and never below this many.
const SWEEP_ABOVE: usize = 10_000;
/// Keys that are remembered at most; past it those that have asked least are forgotten, which is in their favour.
const MAX_KEYS: usize = 100_000;

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
    /// What one costs; nothing where there is no limit.
    interval: Duration,
    /// How full a bucket may be.
    tolerance: Duration,
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
        let interval = Duration::from_mins(1).checked_div(rate.per_minute);
        Self::every(interval.unwrap_or_default(), rate.burst)
    }

    /// So many an hour, and as many at once after a pause; 0 is no limit.
    pub fn hourly(count: u32) -> Self {
        let interval = Duration::from_hours(1).checked_div(count);
        Self::every(interval.unwrap_or_default(), count)
    }

    fn every(interval: Duration, burst: u32) -> Self {
        let arrivals = Arrivals {
            empty_at: HashMap::new(),
            sweep_above: SWEEP_ABOVE,
        };
        Self {
            interval,
            tolerance: interval * burst.max(1),
            arrivals: Mutex::new(arrivals),
        }
    }

    /// Takes one at `now`, or says how long to wait for it.
    pub fn take(&self, key: &K, now: Instant) -> Result<(), Duration> {
        if self.interval.is_zero() {
            return Ok(());
        }
        let mut arrivals = self.arrivals(now);
        let empty_at = arrivals.of(key, now) + self.interval;
        self.within(empty_at, now)?;
        arrivals.empty_at.insert(key.clone(), empty_at);
        Ok(())
    }

    /// Whether one could be taken now; takes nothing.
    pub fn check(&self, key: &K, now: Instant) -> Result<(), Duration> {
        if self.interval.is_zero() {
            return Ok(());
        }
        self.within(self.arrivals(now).of(key, now) + self.interval, now)
    }

    /// Takes `cost` whether or not there is so much: who has taken too much waits until that is paid.
    pub fn charge(&self, key: &K, cost: u32, now: Instant) {
        if self.interval.is_zero() || cost == 0 {
            return;
        }
        let mut arrivals = self.arrivals(now);
        let empty_at = arrivals.of(key, now) + self.interval * cost;
        arrivals.empty_at.insert(key.clone(), empty_at);
    }

    /// Gives one back that was taken and not needed.
    pub fn give_back(&self, key: &K) {
        let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(empty_at) = arrivals.empty_at.get_mut(key) {
            *empty_at = empty_at.checked_sub(self.interval).unwrap_or(*empty_at);
        }
    }

    fn within(&self, empty_at: Instant, now: Instant) -> Result<(), Duration> {
        let ahead = empty_at - now;
        if ahead > self.tolerance {
            Err(ahead.saturating_sub(self.tolerance))
        } else {
            Ok(())
        }
    }

    fn arrivals(&self, now: Instant) -> MutexGuard<'_, Arrivals<K>> {
        let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        if arrivals.empty_at.len() > arrivals.sweep_above {
            arrivals.sweep(now);
        }
        arrivals
    }
}

impl<K: Hash + Eq + Clone> Arrivals<K> {
    /// When the key's bucket will be empty, which is now if it is.
    fn of(&self, key: &K, now: Instant) -> Instant {
        self.empty_at.get(key).copied().unwrap_or(now).max(now)
    }

    /// Forgets the idle keys, and where that is not enough those that will be idle soonest: a flood from many keys must not take
    /// all memory, and it hides nobody who has asked much.
    fn sweep(&mut self, now: Instant) {
        self.empty_at.retain(|_, empty_at| *empty_at > now);
        if self.empty_at.len() > MAX_KEYS / 2 {
            let mut moments: Vec<Instant> = self.empty_at.values().copied().collect();
            let (_, &mut limit, later) =
                moments.select_nth_unstable(self.empty_at.len() - MAX_KEYS / 2);
            let mut ties = later.iter().filter(|moment| **moment == limit).count();
            self.empty_at.retain(|_, empty_at| {
                let is_tie = *empty_at == limit && ties > 0;
                ties -= usize::from(is_tie);
                *empty_at > limit || is_tie
            });
        }
        self.sweep_above = (self.empty_at.len() * 2).clamp(SWEEP_ABOVE, MAX_KEYS);
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

    #[test]
    fn a_flood_of_keys_is_bounded_and_hides_nobody_who_asked_much() {
        let limiter = Limiter::new(Rate {
            per_minute: 1,
            burst: 3,
        });
        let start = Instant::now();
        for _ in 0..3 {
            assert_eq!(limiter.take(&0, start), Ok(()));
        }
        for key in 1..=3 * MAX_KEYS {
            let _ = limiter.take(&key, start);
        }
        assert!(limiter.arrivals.lock().unwrap().empty_at.len() <= MAX_KEYS + 1);
        assert!(limiter.take(&0, start).is_err());
    }

    #[test]
    fn what_was_given_back_can_be_taken_again() {
        let limiter = Limiter::hourly(2);
        let start = Instant::now();
        assert_eq!(limiter.take(&1, start), Ok(()));
        assert_eq!(limiter.take(&1, start), Ok(()));
        assert_eq!(limiter.take(&1, start), Err(Duration::from_mins(30)));
        limiter.give_back(&1);
        assert_eq!(limiter.check(&1, start), Ok(()));
        assert_eq!(limiter.take(&1, start), Ok(()));
        assert!(limiter.take(&1, start + Duration::from_mins(29)).is_err());
        assert_eq!(limiter.take(&1, start + Duration::from_mins(30)), Ok(()));
    }

    #[test]
    fn a_debt_has_to_be_paid() {
        let limiter = Limiter::new(Rate {
            per_minute: 60,
            burst: 60,
        });
        let start = Instant::now();
        limiter.charge(&1, 90, start);
        assert_eq!(limiter.check(&1, start), Err(Duration::from_secs(31)));
        assert_eq!(limiter.check(&1, start + Duration::from_secs(31)), Ok(()));
    }
}
