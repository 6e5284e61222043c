//! What was answered lately, for as long as it counts. Bounded: when it is full the older half goes.

use std::collections::HashMap;
use std::hash::Hash;

use tokio::time::Instant;

/// Values that end by themselves.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    young: HashMap<K, (V, Instant)>,
    old: HashMap<K, (V, Instant)>,
    half: usize,
}

impl<K: Hash + Eq, V: Copy> Recent<K, V> {
    /// Keeps at least `half` and at most twice as many.
    pub(super) fn new(half: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            half: half.max(1),
        }
    }

    /// The value and until when it counts, if it does at `now`.
    pub(super) fn get(&self, key: &K, now: Instant) -> Option<(V, Instant)> {
        let found = self.young.get(key).or_else(|| self.old.get(key));
        found.copied().filter(|(_, until)| now < *until)
    }

    pub(super) fn put(&mut self, key: K, value: V, until: Instant) {
        if self.young.len() >= self.half && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, (value, until));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn values_end_and_the_newest_word_counts() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        let mut recent = Recent::new(1);
        recent.put("a", 1, now + second);
        assert_eq!(recent.get(&"a", now), Some((1, now + second)));
        assert_eq!(recent.get(&"a", now + second), None);
        recent.put("b", 2, now + second);
        recent.put("a", 3, now + second);
        assert_eq!(recent.get(&"a", now).map(|(value, _)| value), Some(3));
    }

    #[test]
    fn it_stays_small() {
        let now = Instant::now();
        let until = now + Duration::from_secs(1);
        let mut recent = Recent::new(10);
        for key in 0..1000 {
            recent.put(key, (), until);
            assert!(recent.young.len() + recent.old.len() <= 20);
        }
        let kept = (0..1000).filter(|key| recent.get(key, now).is_some());
        assert!(kept.count() >= 10);
        assert!(recent.get(&999, now).is_some());
    }
}
