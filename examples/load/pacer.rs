//! The clock of an open loop: wakes one seat after the other when its next turn is due, on a thread of its own, because the runtime's
//! timers only know whole milliseconds and an answer may take less.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// Wakes `seats` in turn, one each `interval` from `start` on, until `ends`. Seat *n* of *m* has its first turn after *n* intervals, and
/// another one each *m* intervals.
pub(crate) fn start(
    seats: Vec<Arc<Notify>>,
    start: Instant,
    interval: Duration,
    ends: Instant,
) -> std::io::Result<()> {
    let turns = move || {
        let mut due = start;
        for seat in seats.iter().cycle() {
            if due >= ends {
                break;
            }
            sleep_until(due);
            seat.notify_one();
            due += interval;
        }
        sleep_until(ends);
        for seat in &seats {
            seat.notify_one();
        }
    };
    thread::Builder::new()
        .name("pacer".to_owned())
        .spawn(turns)
        .map(drop)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the thread is the pacer's own and has nothing else to do"
)]
fn sleep_until(due: Instant) {
    thread::sleep(due.saturating_duration_since(Instant::now()));
}
