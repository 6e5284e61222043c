//! Engine.IO v4: sessions of text and binary messages over HTTP long-polling or a websocket, with heartbeat and upgrade. Carries
//! messages and never looks inside them; knows nothing of what is built on it, and nothing of the server's configuration.
//!
//! **One task owns a session's life** (`task`). It dispatches messages one at a time, keeps the clock, and writes to the websocket
//! itself; polls and POSTs run in their HTTP connection's task and meet it in `state`, under one lock that is never held across an
//! await. When the task returns, the session has left the table and [`Handler::on_close`] has run, once.
//!
//! The layer does no CORS and no check of `Origin`: both are the caller's.

mod admission;
mod body;
mod close;
mod config;
mod engine;
mod error;
mod fragments;
#[doc(hidden)]
pub mod fuzzing;
mod handshake;
mod heartbeat;
mod lookahead;
mod outbox;
mod pace;
pub mod packet;
pub mod payload;
mod polling;
mod post;
mod query;
mod request;
mod session;
mod state;
mod task;
mod upgrade;
mod websocket;

use std::future::Future;

pub use body::Body;
pub use close::CloseReason;
pub use config::{Config, Transport, Transports};
pub use engine::{Counts, Engine};
pub use handshake::Handshake;
pub(crate) use packet::token;
pub use packet::{Frame, Message};
pub use session::Session;

/// What an application does with sessions.
///
/// The functions of one session never overlap and run in order: `on_open`, any number of `on_message` and `on_wake`, `on_close`.
/// Closing a session does not cancel a function that is running. A panic ends that session as [`CloseReason::HandlerPanicked`] and no
/// other; `on_close` still runs.
pub trait Handler: Send + Sync + 'static {
    /// What the application keeps for each session.
    type State: Send + 'static;

    /// A session was opened.
    fn on_open(&self, session: &Session) -> Self::State;

    /// A message arrived. The next one is not read before this returns, so a slow application slows its client down.
    fn on_message(
        &self,
        session: &Session,
        state: &mut Self::State,
        message: Message,
    ) -> impl Future<Output = ()> + Send;

    /// [`Session::wake`] was called.
    fn on_wake(
        &self,
        _session: &Session,
        _state: &mut Self::State,
    ) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// The session has ended.
    fn on_close(
        &self,
        session: &Session,
        state: Self::State,
        reason: CloseReason,
    ) -> impl Future<Output = ()> + Send;
}
