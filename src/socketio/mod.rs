//! Socket.IO v5 on Engine.IO sessions: namespaces, events with acks and attachments, rooms and broadcast. Passes JSON on word for word;
//! knows nothing of what the events mean.
//!
//! Connecting *yields* the application's state of a socket, so a half-authenticated socket cannot exist. All calls for one session
//! come from that session's task, one at a time; an [`Io`] reaches sockets from anywhere else.

mod acks;
mod config;
mod connection;
mod error;
mod event;
pub mod json;
mod layer;
mod log;
mod members;
mod namespace;
mod outgoing;
pub mod packet;
mod placeholder;
mod recovery;
mod socket;

use std::future::Future;

use serde_json::value::RawValue;

pub use crate::engineio::{CloseReason, Handshake};
pub use acks::{AckError, Answer};
pub use config::Config;
pub use connection::Connection;
pub use error::{ConnectError, DisconnectReason};
pub use event::{Event, EventError};
pub use layer::SocketIo;
pub use namespace::{Io, Namespace, Reached};
pub use outgoing::Outgoing;
pub use packet::AckId;
pub use recovery::{RecoveryConfig, RecoveryCounts};
pub use socket::{Socket, SocketId};

/// What an application does with sockets.
///
/// The functions of one session never overlap. `on_disconnect` runs once for every `on_connect` that succeeded, whatever happens
/// between them. A panic ends the session it happened in and no other.
pub trait Handler: Send + Sync + 'static {
    /// What the application keeps for each socket.
    type State: Send + Sync + 'static;

    /// A client asks to join a namespace, with the object it gave as `auth`. What is emitted here reaches it after the news that it is
    /// connected; rooms joined here are left again if it is refused.
    fn on_connect(
        &self,
        socket: &Socket,
        auth: Option<&RawValue>,
    ) -> impl Future<Output = Result<Self::State, ConnectError>> + Send;

    /// A client says that a socket which was [`recoverable_by`](Socket::recoverable_by) `key` is its own. True if whoever asks now is the same;
    /// `on_connect` follows either way, for the socket it had or for a new one. A handler that does not say has no recovery.
    fn on_recover(
        &self,
        _handshake: &Handshake,
        _auth: Option<&RawValue>,
        _key: &str,
    ) -> impl Future<Output = bool> + Send {
        std::future::ready(false)
    }

    /// A client has its socket back and has been sent the events it missed, whose last argument is their offset.
    fn on_recovered(&self, _socket: &Socket, _state: &Self::State, _missed: &[Event]) {}

    /// An event arrived. The session's next packet is not read before this returns.
    fn on_event(
        &self,
        socket: &Socket,
        state: &Self::State,
        event: Event,
    ) -> impl Future<Output = ()> + Send;

    /// The socket has left its namespace and its rooms.
    fn on_disconnect(
        &self,
        socket: &Socket,
        state: Self::State,
        reason: DisconnectReason,
    ) -> impl Future<Output = ()> + Send;
}
