//! What happens in the server, in figures: messages a minute, how long their delivery takes, refusals by code, the busiest chats.
//! Whoever sees a thing happen says so here; whoever shows figures reads them here. Its memory does not grow with time, users or
//! chats, and it knows nothing of what lies behind a figure.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::Edge;
use super::histogram::{Durations, STEPS, step_of};
use crate::id::ChatId;

/// Minutes that are remembered one by one.
const MINUTES: usize = 60;
/// Minutes over which percentiles are told.
const RECENT: u64 = 5;
/// Chats that are counted at once; past it the quietest makes room and hands its count on, so that no busy one is missed.
const COUNTED_CHATS: usize = 256;
/// The busiest chats are those of the running half hour and the one before.
const GENERATION: u64 = 30;
/// How many of them are told.
const TOLD_CHATS: usize = 10;

type Histogram = [u64; STEPS.len() + 1];

/// The figures of one server.
#[derive(Debug)]
pub struct Figures {
    started: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    messages: BTreeMap<&'static str, u64>,
    refusals: BTreeMap<(Edge, &'static str), u64>,
    chats_opened: u64,
    latency: Histogram,
    latency_sum: Duration,
    minutes: Vec<Minute>,
    chats: Busy,
    earlier_chats: Busy,
    generation: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Minute {
    number: u64,
    messages: u64,
    latency: Histogram,
}

/// Which chats have most messages, in bounded memory: the counts of the busy ones are right or a little too high.
#[derive(Debug, Default)]
struct Busy(HashMap<ChatId, u64>);

/// The figures of one moment, as they are shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// Messages in each of the last 60 minutes, oldest first; the last is the running one.
    pub messages_per_minute: Vec<u64>,
    /// Messages since the start, by type.
    pub messages_by_type: BTreeMap<&'static str, u64>,
    /// How long it took from a message's arrival until it was queued for everybody, over the last five minutes.
    pub delivery_latency_ms: Latency,
    /// Refusals since the start, by code, over REST and sockets.
    pub errors: BTreeMap<&'static str, u64>,
    /// The busiest chats of the last 30 to 60 minutes.
    pub top_chats: Vec<TopChat>,
}

/// Percentiles in milliseconds; all zero when nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Latency {
    /// How many messages they are about.
    pub count: u64,
    /// Half of them were faster.
    pub p50: f64,
    /// 95 of 100 were faster.
    pub p95: f64,
    /// 99 of 100 were faster.
    pub p99: f64,
}

/// How busy a chat is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TopChat {
    /// Which.
    pub chat_id: ChatId,
    /// Its messages.
    pub messages: u64,
}

/// Everything since the start, for those who take the differences themselves.
#[derive(Debug, Clone, PartialEq)]
pub struct Totals {
    /// Messages by type.
    pub messages: BTreeMap<&'static str, u64>,
    /// Refusals by edge and code.
    pub refusals: BTreeMap<(Edge, &'static str), u64>,
    /// Chats opened.
    pub chats_opened: u64,
    /// From the arrival of a message until it was queued for everybody.
    pub latency: Durations,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            state: Mutex::default(),
        }
    }
}

impl Figures {
    /// A message has been queued for everybody, so long after it arrived.
    pub fn delivered(&self, chat: ChatId, kind: &'static str, took: Duration) {
        let mut state = self.state();
        // Under the lock: a minute does not follow a later one.
        state.delivered(self.minute(), chat, kind, took);
    }

    /// A chat was opened.
    pub fn chat_opened(&self) {
        self.state().chats_opened += 1;
    }

    /// Somebody was refused something.
    pub fn refused(&self, edge: Edge, code: &'static str) {
        *self.state().refusals.entry((edge, code)).or_default() += 1;
    }

    /// The figures of this moment.
    pub fn snapshot(&self) -> Snapshot {
        let mut state = self.state();
        state.snapshot(self.minute())
    }

    /// What only grows.
    pub fn totals(&self) -> Totals {
        let state = self.state();
        Totals {
            messages: state.messages.clone(),
            refusals: state.refusals.clone(),
            chats_opened: state.chats_opened,
            latency: Durations::new(&state.latency, state.latency_sum),
        }
    }

    fn minute(&self) -> u64 {
        self.started.elapsed().as_secs() / 60
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn delivered(&mut self, minute: u64, chat: ChatId, kind: &'static str, took: Duration) {
        let class = step_of(took);
        *self.messages.entry(kind).or_default() += 1;
        self.latency[class] += 1;
        self.latency_sum += took;
        let running = self.running(minute);
        running.messages += 1;
        running.latency[class] += 1;
        self.turn(minute);
        self.chats.count(chat);
    }

    fn by_code(&self) -> BTreeMap<&'static str, u64> {
        let mut sums = BTreeMap::new();
        for ((_, code), count) in &self.refusals {
            *sums.entry(*code).or_default() += count;
        }
        sums
    }

    /// The running minute; the oldest goes when there are too many.
    fn running(&mut self, minute: u64) -> &mut Minute {
        if self.minutes.last().is_none_or(|last| last.number != minute) {
            self.minutes
                .retain(|known| known.number + (MINUTES as u64) > minute);
            self.minutes.push(Minute {
                number: minute,
                ..Minute::default()
            });
        }
        let last = self.minutes.len() - 1;
        &mut self.minutes[last]
    }

    /// A new half hour puts the one before away.
    fn turn(&mut self, minute: u64) {
        let generation = minute / GENERATION;
        if generation > self.generation {
            let ended = std::mem::take(&mut self.chats);
            let follows = generation == self.generation + 1;
            self.earlier_chats = if follows { ended } else { Busy::default() };
            self.generation = generation;
        }
    }

    fn snapshot(&mut self, minute: u64) -> Snapshot {
        self.turn(minute);
        let first = minute.saturating_sub(MINUTES as u64 - 1);
        let mut messages_per_minute: Vec<u64> = vec![0; MINUTES];
        let mut recent: Histogram = Histogram::default();
        for known in self.minutes.iter().filter(|known| known.number >= first) {
            // Before the server was an hour old there are empty minutes at the beginning.
            let ago = usize::try_from(minute - known.number).unwrap_or(MINUTES);
            if let Some(slot) = messages_per_minute.iter_mut().rev().nth(ago) {
                *slot = known.messages;
            }
            if known.number + RECENT > minute {
                for (sum, count) in recent.iter_mut().zip(known.latency) {
                    *sum += count;
                }
            }
        }
        Snapshot {
            messages_per_minute,
            messages_by_type: self.messages.clone(),
            delivery_latency_ms: Latency::of(&recent),
            errors: self.by_code(),
            top_chats: self.chats.top(&self.earlier_chats),
        }
    }
}

impl Busy {
    fn count(&mut self, chat: ChatId) {
        if let Some(count) = self.0.get_mut(&chat) {
            *count += 1;
            return;
        }
        let mut count = 1;
        if self.0.len() >= COUNTED_CHATS
            && let Some((quietest, its)) = self.0.iter().min_by_key(|(_, count)| **count)
        {
            let (quietest, its) = (*quietest, *its);
            self.0.remove(&quietest);
            count += its;
        }
        self.0.insert(chat, count);
    }

    fn top(&self, earlier: &Self) -> Vec<TopChat> {
        let mut sums = earlier.0.clone();
        for (chat, count) in &self.0 {
            *sums.entry(*chat).or_default() += count;
        }
        let mut top: Vec<_> = sums
            .into_iter()
            .map(|(chat_id, messages)| TopChat { chat_id, messages })
            .collect();
        top.sort_by(|a, b| {
            b.messages
                .cmp(&a.messages)
                .then_with(|| a.chat_id.as_bytes().cmp(b.chat_id.as_bytes()))
        });
        top.truncate(TOLD_CHATS);
        top
    }
}

impl Latency {
    fn of(histogram: &Histogram) -> Self {
        let count: u64 = histogram.iter().sum();
        let at = |percent: u64| percentile(histogram, count, percent);
        Self {
            count,
            p50: at(50),
            p95: at(95),
            p99: at(99),
        }
    }
}

/// The upper bound of the class in which the given part of all is reached, in milliseconds.
fn percentile(histogram: &Histogram, count: u64, percent: u64) -> f64 {
    if count == 0 {
        return 0.0;
    }
    let wanted = (count * percent).div_ceil(100);
    let mut seen = 0;
    let class = histogram.iter().position(|in_class| {
        seen += in_class;
        seen >= wanted
    });
    let longest = STEPS.len() - 1;
    let bound = STEPS[class.unwrap_or(longest).min(longest)];
    Duration::from_micros(bound).as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(number: u16) -> ChatId {
        format!("{number:024x}").parse().unwrap()
    }

    fn filled(rows: &[(u64, u16)]) -> State {
        let mut state = State::default();
        for (minute, number) in rows {
            state.delivered(*minute, chat(*number), "text", Duration::from_millis(1));
        }
        state
    }

    #[test]
    fn the_last_minute_is_the_running_one_and_old_ones_go() {
        let mut state = filled(&[(0, 1), (0, 1), (59, 1)]);
        let shown = state.snapshot(59).messages_per_minute;
        assert_eq!((shown.len(), shown[0], shown[59]), (60, 2, 1));
        let shown = state.snapshot(60).messages_per_minute;
        assert_eq!((shown[0], shown[58], shown[59]), (0, 1, 0));
        for minute in 60..1000 {
            state.delivered(minute, chat(1), "text", Duration::ZERO);
        }
        assert_eq!(state.minutes.len(), MINUTES);
    }

    #[test]
    fn percentiles_are_of_the_last_five_minutes() {
        let mut state = filled(&[]);
        for number in 0..100 {
            let took = Duration::from_millis(if number < 95 { 2 } else { 40 });
            state.delivered(7, chat(1), "text", took);
        }
        let Latency {
            count,
            p50,
            p95,
            p99,
        } = state.snapshot(11).delivery_latency_ms;
        assert_eq!((count, p50, p95, p99), (100, 2.5, 2.5, 50.0));
        assert_eq!(state.snapshot(12).delivery_latency_ms, Latency::default());
    }

    #[test]
    fn the_busiest_chats_are_found_among_more_than_are_counted() {
        let mut state = State::default();
        for round in 0..4_u16 {
            for number in 0..1000 {
                state.delivered(0, chat(1000 * round + number), "text", Duration::ZERO);
                state.delivered(0, chat(u16::MAX), "text", Duration::ZERO);
            }
        }
        assert_eq!(state.chats.0.len(), COUNTED_CHATS);
        let top = state.snapshot(0).top_chats;
        assert_eq!((top.len(), top[0].chat_id), (TOLD_CHATS, chat(u16::MAX)));
        assert!(top[0].messages >= 4000);
        assert_eq!(state.snapshot(30).top_chats[0].chat_id, chat(u16::MAX));
        assert!(state.snapshot(60).top_chats.is_empty());
    }
}
