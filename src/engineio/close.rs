//! Why sessions end: one name per ending, and how often each happened. Knows nothing of how an ending is carried out.

use std::sync::atomic::{AtomicU64, Ordering};

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// The client sent a CLOSE packet.
    ClientClosed,
    /// The connection went away: a websocket closed or reset, a poll or POST cut short.
    TransportLost,
    /// No PONG in time.
    HeartbeatMissed,
    /// More was waiting for the client than its queue holds.
    SlowConsumer,
    /// The client broke the protocol.
    ParseError,
    /// Two GETs or two POSTs of one session at once.
    OverlappingRequests,
    /// The client joined no namespace, or left a message unfinished, for too long.
    DeadlinePassed,
    /// The application ended the session.
    ServerClosed,
    /// The server stops.
    ServerShutdown,
    /// The credentials the session was opened with are no longer valid.
    TokenExpired,
    /// A handler panicked while serving this session.
    HandlerPanicked,
    /// Its client has come back over another session.
    Superseded,
}

impl CloseReason {
    /// Every reason, in the order of their definition.
    pub const ALL: [Self; 12] = [
        Self::ClientClosed,
        Self::TransportLost,
        Self::HeartbeatMissed,
        Self::SlowConsumer,
        Self::ParseError,
        Self::OverlappingRequests,
        Self::DeadlinePassed,
        Self::ServerClosed,
        Self::ServerShutdown,
        Self::TokenExpired,
        Self::HandlerPanicked,
        Self::Superseded,
    ];

    /// A stable lower-case name, for logs and metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientClosed => "client_closed",
            Self::TransportLost => "transport_lost",
            Self::HeartbeatMissed => "heartbeat_missed",
            Self::SlowConsumer => "slow_consumer",
            Self::ParseError => "parse_error",
            Self::OverlappingRequests => "overlapping_requests",
            Self::DeadlinePassed => "deadline_passed",
            Self::ServerClosed => "server_closed",
            Self::ServerShutdown => "server_shutdown",
            Self::TokenExpired => "token_expired",
            Self::HandlerPanicked => "handler_panicked",
            Self::Superseded => "superseded",
        }
    }

    /// Whether packets still queued are worth handing over before the end.
    pub(super) fn is_orderly(self) -> bool {
        matches!(
            self,
            Self::ServerClosed | Self::ServerShutdown | Self::TokenExpired
        )
    }
}

/// How many sessions ended for each reason since the engine was made.
#[derive(Debug, Default)]
pub(super) struct CloseCounters([AtomicU64; CloseReason::ALL.len()]);

impl CloseCounters {
    pub(super) fn count(&self, reason: CloseReason) {
        self.0[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> [(CloseReason, u64); CloseReason::ALL.len()] {
        CloseReason::ALL.map(|reason| (reason, self.0[reason as usize].load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_counter() {
        let counters = CloseCounters::default();
        for (times, reason) in CloseReason::ALL.into_iter().enumerate() {
            for _ in 0..times {
                counters.count(reason);
            }
        }
        for (times, (reason, count)) in counters.read().into_iter().enumerate() {
            assert_eq!(CloseReason::ALL[times], reason);
            assert_eq!(count, times as u64, "{}", reason.as_str());
        }
    }
}
