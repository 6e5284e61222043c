//! The heartbeat's arithmetic: when a PING is due and when its PONG is too late. Holds no timer and reads no clock.

use std::time::Duration;

use tokio::time::Instant;

/// Deadlines counted from one anchor, the handshake or the last PONG, so that late timers do not add up.
#[derive(Debug)]
pub(super) struct Heartbeat {
    interval: Duration,
    timeout: Duration,
    ping_due: Instant,
    awaiting: Option<Awaiting>,
}

#[derive(Debug)]
struct Awaiting {
    pong_due: Instant,
    /// A packet that is not the PONG extends the deadline once: a long upload may be in its way.
    extended: bool,
}

/// What the clock asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Beat {
    /// Send a PING now.
    Ping,
    /// The PONG is too late.
    Missed,
    /// Nothing before this instant.
    Idle(Instant),
}

/// Whether a PING reaches the client when it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    /// On a websocket, or with a poll held.
    Connected,
    /// Between two polls.
    Away,
}

impl Heartbeat {
    pub(super) fn new(now: Instant, interval: Duration, timeout: Duration) -> Self {
        Self {
            interval,
            timeout,
            ping_due: now + interval,
            awaiting: None,
        }
    }

    /// What is due. For a client that is away, a PING counts as sent when it was due. For one that is connected it counts from now: if
    /// it is late, that is the server's own lateness.
    pub(super) fn beat(&mut self, now: Instant, client: Client) -> Beat {
        if let Some(awaiting) = &self.awaiting {
            return if now >= awaiting.pong_due {
                Beat::Missed
            } else {
                Beat::Idle(awaiting.pong_due)
            };
        }
        if now < self.ping_due {
            return Beat::Idle(self.ping_due);
        }
        let sent = match client {
            Client::Connected => now,
            Client::Away => self.ping_due,
        };
        let pong_due = sent + self.timeout;
        if now >= pong_due {
            return Beat::Missed;
        }
        self.awaiting = Some(Awaiting {
            pong_due,
            extended: false,
        });
        Beat::Ping
    }

    /// A PONG nobody asked for changes nothing.
    pub(super) fn pong(&mut self, now: Instant) {
        if self.awaiting.take().is_some() {
            self.ping_due = now + self.interval;
        }
    }

    /// Another packet arrived.
    pub(super) fn packet(&mut self, now: Instant) {
        if let Some(awaiting) = &mut self.awaiting
            && !awaiting.extended
        {
            awaiting.extended = true;
            awaiting.pong_due = now + self.timeout;
        }
    }

    /// The PONG may have been lost on the way: there is the full time for it again.
    pub(super) fn restart_timeout(&mut self, now: Instant) {
        if let Some(awaiting) = &mut self.awaiting {
            awaiting.pong_due = now + self.timeout;
        }
    }

    /// The PING was handed over only now: a client that polls late gets the full time for its PONG.
    pub(super) fn ping_delivered(&mut self, now: Instant) {
        if let Some(awaiting) = &mut self.awaiting {
            awaiting.pong_due = awaiting.pong_due.max(now + self.timeout);
        }
    }

    /// For this long nothing was read from the client, so its PONG may be this much later. No more than that: a client that keeps us
    /// busy must not live without PONGs.
    pub(super) fn give_back(&mut self, spent: Duration) {
        if let Some(awaiting) = &mut self.awaiting {
            awaiting.pong_due += spent;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(300);
    const TIMEOUT: Duration = Duration::from_millis(200);

    fn at(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    #[test]
    fn deadlines_do_not_drift_with_late_timers() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(start, INTERVAL, TIMEOUT);
        assert_eq!(
            heartbeat.beat(at(start, 299), Client::Away),
            Beat::Idle(at(start, 300))
        );
        assert_eq!(heartbeat.beat(at(start, 320), Client::Away), Beat::Ping);
        assert_eq!(
            heartbeat.beat(at(start, 499), Client::Away),
            Beat::Idle(at(start, 500))
        );
        assert_eq!(heartbeat.beat(at(start, 500), Client::Away), Beat::Missed);
    }

    #[test]
    fn a_timer_that_never_ran_still_misses_in_time() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(start, INTERVAL, TIMEOUT);
        assert_eq!(heartbeat.beat(at(start, 500), Client::Away), Beat::Missed);
    }

    #[test]
    fn a_late_timer_is_not_held_against_a_client_that_listens() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(start, INTERVAL, TIMEOUT);
        assert_eq!(
            heartbeat.beat(at(start, 60_000), Client::Connected),
            Beat::Ping
        );
        assert_eq!(
            heartbeat.beat(at(start, 60_199), Client::Connected),
            Beat::Idle(at(start, 60_200))
        );
        assert_eq!(
            heartbeat.beat(at(start, 60_200), Client::Connected),
            Beat::Missed
        );
    }

    #[test]
    fn the_interval_starts_again_at_the_pong() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(start, INTERVAL, TIMEOUT);
        assert_eq!(heartbeat.beat(at(start, 300), Client::Away), Beat::Ping);
        heartbeat.pong(at(start, 350));
        heartbeat.pong(at(start, 400));
        assert_eq!(
            heartbeat.beat(at(start, 400), Client::Away),
            Beat::Idle(at(start, 650))
        );
    }

    #[test]
    fn time_spent_by_the_server_is_given_back() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(start, INTERVAL, TIMEOUT);
        heartbeat.give_back(TIMEOUT);
        assert_eq!(heartbeat.beat(at(start, 300), Client::Away), Beat::Ping);
        heartbeat.give_back(Duration::from_millis(70));
        assert_eq!(
            heartbeat.beat(at(start, 569), Client::Away),
            Beat::Idle(at(start, 570))
        );
        assert_eq!(heartbeat.beat(at(start, 570), Client::Away), Beat::Missed);
    }

    #[test]
    fn the_timeout_counts_from_the_delivery_of_a_late_ping() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(start, INTERVAL, TIMEOUT);
        assert_eq!(heartbeat.beat(at(start, 300), Client::Away), Beat::Ping);
        heartbeat.ping_delivered(at(start, 480));
        assert_eq!(
            heartbeat.beat(at(start, 679), Client::Away),
            Beat::Idle(at(start, 680))
        );
        assert_eq!(heartbeat.beat(at(start, 680), Client::Away), Beat::Missed);
    }

    #[test]
    fn another_packet_extends_the_timeout_once() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(start, INTERVAL, TIMEOUT);
        assert_eq!(heartbeat.beat(at(start, 300), Client::Away), Beat::Ping);
        heartbeat.packet(at(start, 450));
        heartbeat.packet(at(start, 600));
        assert_eq!(
            heartbeat.beat(at(start, 649), Client::Away),
            Beat::Idle(at(start, 650))
        );
        assert_eq!(heartbeat.beat(at(start, 650), Client::Away), Beat::Missed);
    }
}
