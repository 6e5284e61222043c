//! What is told of events besides their answers: refusals are counted, and what took long is a line in the log. It knows no rule.

use std::sync::Arc;

use tokio::time::Instant;

use super::Connected;
use crate::id::UserId;
use crate::metrics::{Edge, Figures, SlowThreshold, millis};
use crate::socketio::{Event, Socket};

/// Counts, and knows what is slow; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    pub(super) figures: Arc<Figures>,
    pub(super) slow: SlowThreshold,
}

/// One event from its arrival on.
#[derive(Debug)]
pub(super) struct Watched {
    watch: Watch,
    began: Instant,
    user: UserId,
}

impl Watch {
    /// An event has come in.
    pub(super) fn begin(&self, state: &Connected) -> Watched {
        Watched {
            watch: self.clone(),
            began: Instant::now(),
            user: state.caller.user.clone(),
        }
    }
}

impl Watched {
    /// It was refused.
    pub(super) fn refused(&self, code: &'static str) {
        self.watch.figures.refused(Edge::Socket, code);
    }

    /// It was answered.
    pub(super) fn answered(&self, socket: &Socket, event: &Event) {
        let took = self.began.elapsed();
        if self.watch.slow.is_exceeded(took) {
            tracing::warn!(
                event = event.name(), socket = %socket.id(), user = %self.user, took_ms = millis(took), "slow event"
            );
        }
    }
}
