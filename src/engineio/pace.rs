//! How fast one session may talk: when its next message may be dispatched. Holds no timer and reads no clock.

use std::time::Duration;

use tokio::time::Instant;

use super::config::Config;

/// After a pause, a client may send as much at once as it could have sent in this time.
const BURST: Duration = Duration::from_secs(2);

/// The allowance of one session, in messages and in bytes.
#[derive(Debug)]
pub(super) struct Pace {
    messages: Option<Flow>,
    bytes: Option<Flow>,
}

impl Pace {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            messages: Flow::new(config.max_messages_per_second),
            bytes: Flow::new(config.max_bytes_per_second),
        }
    }

    /// Takes a message of that size from the allowance. If it comes too early, says when it is due.
    pub(super) fn take(&mut self, now: Instant, bytes: usize) -> Option<Instant> {
        let messages = self.messages.as_mut().and_then(|flow| flow.take(now, 1));
        let bytes = self.bytes.as_mut().and_then(|flow| flow.take(now, bytes));
        messages.max(bytes)
    }
}

/// One allowance: it is spent up to `free_at`.
#[derive(Debug)]
struct Flow {
    per_second: u64,
    free_at: Option<Instant>,
}

impl Flow {
    fn new(per_second: u32) -> Option<Self> {
        (per_second > 0).then_some(Self {
            per_second: per_second.into(),
            free_at: None,
        })
    }

    fn take(&mut self, now: Instant, amount: usize) -> Option<Instant> {
        let spent_until = self.free_at.map_or(now, |free_at| free_at.max(now));
        let due = spent_until.checked_sub(BURST).filter(|due| *due > now);
        // What it costs counts from when it is dispatched.
        let nanos = (amount as u64).saturating_mul(1_000_000_000) / self.per_second;
        self.free_at = Some(spent_until + Duration::from_nanos(nanos));
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(messages: u32, bytes: u32) -> Pace {
        Pace::new(&Config {
            max_messages_per_second: messages,
            max_bytes_per_second: bytes,
            ..Config::default()
        })
    }

    /// How long each of `count` messages of `bytes` that come at once has to wait, in milliseconds.
    fn waits(pace: &mut Pace, now: Instant, count: usize, bytes: usize) -> Vec<u128> {
        (0..count)
            .map(|_| {
                pace.take(now, bytes)
                    .map_or(0, |due| (due - now).as_millis())
            })
            .collect()
    }

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let start = Instant::now() + BURST;
        for (messages, bytes, size, expected) in [
            (2, 0, 9, vec![0, 0, 0, 0, 0, 500, 1000]),
            (0, 100, 100, vec![0, 0, 0, 1000, 2000, 3000, 4000]),
            // The stricter one counts.
            (2, 100, 100, vec![0, 0, 0, 1000, 2000, 3000, 4000]),
            (0, 0, 1_000_000, vec![0; 7]),
        ] {
            let mut pace = pace(messages, bytes);
            assert_eq!(
                waits(&mut pace, start, 7, size),
                expected,
                "{messages} {bytes}"
            );
        }
    }

    #[test]
    fn a_pause_gives_back_no_more_than_the_burst() {
        let start = Instant::now() + BURST;
        let mut pace = pace(1, 0);
        assert_eq!(waits(&mut pace, start, 4, 0), [0, 0, 0, 1000]);
        let later = start + Duration::from_hours(1);
        assert_eq!(waits(&mut pace, later, 4, 0), [0, 0, 0, 1000]);
    }
}
