//! The same thing said in many places: how many of a user's chats have heard one content of late. It compares keyed hashes and
//! keeps no content; its memory is bounded whoever says what. The clock is its caller's.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Different contents that are remembered of one key, the latest.
const CONTENTS: usize = 16;
/// Keys that are remembered; past it the one heard of longest ago goes.
const MAX_KEYS: usize = 10_000;

/// Counts the places in which each key has said the same.
#[derive(Debug)]
pub struct Repeats<K> {
    places: usize,
    window: Duration,
    hasher: RandomState,
    keys: Mutex<HashMap<K, Said>>,
}

/// What one key has said of late.
#[derive(Debug)]
struct Said {
    last: Instant,
    contents: VecDeque<(u64, Vec<(u64, Instant)>)>,
}

impl<K: Hash + Eq + Clone> Repeats<K> {
    /// The same content may be said in `places` different places within `window`; 0 is no limit.
    pub fn new(places: u32, window: Duration) -> Self {
        Self {
            places: places as usize,
            window,
            hasher: RandomState::new(),
            keys: Mutex::default(),
        }
    }

    /// `key` says `content` in `place`. Refused when it is one place too many: then, how long to wait until the first of them is
    /// forgotten. What is said again in the same place is no repeat.
    pub fn say(
        &self,
        key: &K,
        content: &impl Hash,
        place: &impl Hash,
        now: Instant,
    ) -> Result<(), Duration> {
        if self.places == 0 {
            return Ok(());
        }
        let content = self.hasher.hash_one(content);
        let place = self.hasher.hash_one(place);
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= MAX_KEYS && !keys.contains_key(key) {
            self.forget_some(&mut keys, now);
        }
        let said = keys.entry(key.clone()).or_insert_with(|| Said {
            last: now,
            contents: VecDeque::new(),
        });
        said.last = now;
        let position = said
            .contents
            .iter()
            .position(|(known, _)| *known == content);
        let mut places = match position.and_then(|position| said.contents.remove(position)) {
            Some((_, places)) => places,
            None => Vec::new(),
        };
        places.retain(|(_, at)| now.saturating_duration_since(*at) < self.window);
        let outcome = if let Some(known) = places.iter_mut().find(|(known, _)| *known == place) {
            known.1 = now;
            Ok(())
        } else if places.len() >= self.places {
            let first = places.iter().map(|(_, at)| *at).min().unwrap_or(now);
            Err(self
                .window
                .saturating_sub(now.saturating_duration_since(first)))
        } else {
            places.push((place, now));
            Ok(())
        };
        // The latest stands last.
        said.contents.push_back((content, places));
        if said.contents.len() > CONTENTS {
            said.contents.pop_front();
        }
        outcome
    }

    /// Makes room: who has said nothing within the window goes, and if that is nobody, the half heard of longest ago.
    fn forget_some(&self, keys: &mut HashMap<K, Said>, now: Instant) {
        keys.retain(|_, said| now.saturating_duration_since(said.last) < self.window);
        if keys.len() >= MAX_KEYS {
            let mut moments: Vec<Instant> = keys.values().map(|said| said.last).collect();
            let (_, &mut median, _) = moments.select_nth_unstable(MAX_KEYS / 2);
            keys.retain(|_, said| said.last > median);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn one_place_too_many_is_refused_until_the_first_is_forgotten() {
        let repeats = Repeats::new(3, HOUR);
        let start = Instant::now();
        for place in 0..3 {
            assert_eq!(repeats.say(&"a", &"buy", &place, start), Ok(()));
        }
        let later = start + Duration::from_mins(10);
        assert_eq!(
            repeats.say(&"a", &"buy", &3, later),
            Err(Duration::from_mins(50))
        );
        assert_eq!(
            repeats.say(&"a", &"sell", &3, later),
            Ok(()),
            "another content"
        );
        assert_eq!(
            repeats.say(&"b", &"buy", &3, later),
            Ok(()),
            "somebody else"
        );
        assert_eq!(
            repeats.say(&"a", &"buy", &2, later),
            Ok(()),
            "the same place"
        );
        assert_eq!(repeats.say(&"a", &"buy", &3, start + HOUR), Ok(()));
    }

    #[test]
    fn a_refusal_does_not_prolong_the_wait() {
        let repeats = Repeats::new(1, HOUR);
        let start = Instant::now();
        assert_eq!(repeats.say(&1, &"x", &0, start), Ok(()));
        for minute in 0..60 {
            let now = start + Duration::from_mins(minute);
            assert!(repeats.say(&1, &"x", &1, now).is_err());
        }
        assert_eq!(repeats.say(&1, &"x", &1, start + HOUR), Ok(()));
    }

    #[test]
    fn memory_is_bounded() {
        let repeats = Repeats::new(2, HOUR);
        let start = Instant::now();
        for key in 0..3 * MAX_KEYS {
            let now = start + Duration::from_millis(key as u64);
            assert_eq!(repeats.say(&key, &"x", &key, now), Ok(()));
        }
        assert!(repeats.keys.lock().unwrap().len() <= MAX_KEYS);
        for content in 0..100 {
            assert_eq!(repeats.say(&0, &content, &0, start), Ok(()));
        }
        let contents = repeats.keys.lock().unwrap()[&0].contents.len();
        assert_eq!(contents, CONTENTS);
    }

    #[test]
    fn zero_is_no_limit() {
        let repeats = Repeats::new(0, HOUR);
        let now = Instant::now();
        assert!((0..1000).all(|place| repeats.say(&(), &"x", &place, now).is_ok()));
        assert!(repeats.keys.lock().unwrap().is_empty());
    }
}
