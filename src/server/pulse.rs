//! Whether the server does its work, asked from within: what a supervisor cannot see from outside. It keeps nothing open.

use std::sync::{Arc, Weak};

use super::dispatch::Dispatch;

/// Feels whether a server works, for as long as it lives.
#[derive(Debug, Clone)]
pub struct Pulse(Weak<Dispatch>);

impl Pulse {
    pub(super) fn of(dispatch: &Arc<Dispatch>) -> Self {
        Self(Arc::downgrade(dispatch))
    }

    /// Resolves to true when the writer has answered and a read went through; never if they hang. A server that is gone does not work.
    pub async fn beats(&self) -> bool {
        let Some(chat) = self.0.upgrade().map(|dispatch| dispatch.chat.clone()) else {
            return false;
        };
        chat.responds().await
    }

    /// Clients connected.
    pub fn clients(&self) -> usize {
        let sessions = self.0.upgrade().map(|dispatch| dispatch.engine.sessions());
        sessions.map_or(0, |sessions| sessions.polling + sessions.websocket)
    }
}
