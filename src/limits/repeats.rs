//! The same thing said in many places: how many of a user's chats have heard one content of late. It compares keyed hashes and
//! keeps no content; its memory is bounded whoever says what. The clock is its caller's.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Different contents that are remembered of one key, the latest.
const CONTENTS: usize = 16;
/// Keys that are remembered; past it those heard of longest ago go.
const MAX_KEYS: usize = 10_000;
/// Places that are remembered over all keys and contents, of about 24 bytes each; past it the same.
const MAX_PLACES: usize = if cfg!(test) { 1_000 } else { 1_000_000 };

/// Counts the places in which each key has said the same.
#[derive(Debug)]
pub struct Repeats<K> {
    places: usize,
    window: Duration,
    hasher: RandomState,
    known: Mutex<Known<K>>,
}

#[derive(Debug)]
struct Known<K> {
    keys: HashMap<K, Said>,
    /// Over all of them.
    places: usize,
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
            known: Mutex::new(Known {
                keys: HashMap::new(),
                places: 0,
            }),
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
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.places >= MAX_PLACES
            || known.keys.len() >= MAX_KEYS && !known.keys.contains_key(key)
        {
            known.forget_some(self.window, now);
        }
        let Known { keys, places: held } = &mut *known;
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
        let before = places.len();
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
        *held = *held + places.len() - before;
        // The latest stands last.
        said.contents.push_back((content, places));
        if said.contents.len() > CONTENTS
            && let Some((_, places)) = said.contents.pop_front()
        {
            *held -= places.len();
        }
        outcome
    }
}

impl Said {
    fn places(&self) -> usize {
        self.contents.iter().map(|(_, places)| places.len()).sum()
    }
}

impl<K: Hash + Eq + Clone> Known<K> {
    /// Makes room: who has said nothing within the window goes, and where that is too little, the half heard of longest ago.
    fn forget_some(&mut self, window: Duration, now: Instant) {
        let is_recent = |said: &Said| now.saturating_duration_since(said.last) < window;
        self.keep(is_recent);
        if self.keys.len() >= MAX_KEYS || self.places >= MAX_PLACES / 2 {
            let mut moments: Vec<Instant> = self.keys.values().map(|said| said.last).collect();
            let middle = moments.len() / 2;
            if middle < moments.len() {
                let (_, &mut median, _) = moments.select_nth_unstable(middle);
                self.keep(|said| said.last > median);
            }
        }
    }

    fn keep(&mut self, is_kept: impl Fn(&Said) -> bool) {
        self.keys.retain(|_, said| is_kept(said));
        self.places = self.keys.values().map(Said::places).sum();
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
        assert!(repeats.known.lock().unwrap().keys.len() <= MAX_KEYS);
        for content in 0..100 {
            assert_eq!(repeats.say(&0, &content, &0, start), Ok(()));
        }
        let contents = repeats.known.lock().unwrap().keys[&0].contents.len();
        assert_eq!(contents, CONTENTS);
    }

    #[test]
    fn the_sum_of_all_places_is_bounded() {
        let repeats = Repeats::new(u32::MAX, HOUR);
        let start = Instant::now();
        let held = || {
            let known = repeats.known.lock().unwrap();
            let counted: usize = known.keys.values().map(Said::places).sum();
            assert_eq!(known.places, counted);
            counted
        };
        let mut most = 0;
        for number in 0..10 * MAX_PLACES {
            let now = start + Duration::from_millis(number as u64);
            let (key, content) = (number % 7, number % CONTENTS);
            assert_eq!(repeats.say(&key, &content, &number, now), Ok(()));
            if number % 100 == 0 {
                most = most.max(held());
            }
        }
        assert!(held() <= MAX_PLACES, "{}", held());
        assert!(most > MAX_PLACES / 2, "and used: {most}");
        // One key alone has no more either.
        for place in 0..3 * MAX_PLACES {
            assert_eq!(repeats.say(&0, &"x", &place, start + HOUR), Ok(()));
        }
        assert!(held() <= MAX_PLACES);
    }

    #[test]
    fn zero_is_no_limit() {
        let repeats = Repeats::new(0, HOUR);
        let now = Instant::now();
        assert!((0..1000).all(|place| repeats.say(&(), &"x", &place, now).is_ok()));
        assert!(repeats.known.lock().unwrap().keys.is_empty());
    }
}
