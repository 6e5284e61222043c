//! The chat over Socket.IO: connecting is authenticating, one `match` maps events to rules, and one task delivers what happened.

mod answers;
mod delivery;
mod events;
mod rooms;
mod typing;
mod watch;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hyper::header::AUTHORIZATION;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};
use tokio::time::Instant;

use self::answers::Answers;
pub use self::delivery::Delivery;
use self::typing::{Typing, Typists};
use self::watch::Watch;
use crate::access::{Access, Identity, Refusal};
use crate::auth::bearer;
use crate::chat::{Caller, Service};
use crate::guard::Guard;
use crate::id::{ChatId, UserId};
use crate::metrics::{Edge, Figures, SlowThreshold, millis};
use crate::socketio::{
    CloseReason, ConnectError, DisconnectReason, Event, Handler, Handshake, Socket,
};

/// The one namespace.
pub const NAMESPACE: &str = "/";

/// Serves the chat's events.
#[derive(Debug)]
pub struct Realtime {
    chat: Service,
    access: Arc<Access>,
    guard: Arc<Guard>,
    watch: Watch,
    typists: Arc<Typists>,
}

/// What is kept for a connected socket: it exists only once its user is known.
#[derive(Debug)]
pub struct Connected {
    caller: Caller,
    name: String,
    typing: Typing,
    answers: Answers,
}

#[derive(Deserialize)]
struct Auth {
    token: Option<String>,
}

/// What a receipt needs of a message that was emitted.
#[derive(Deserialize)]
struct HandedOver {
    chat: ChatId,
    seq: u64,
    sender: Sender,
}

#[derive(Deserialize)]
struct Sender {
    #[serde(rename = "_id")]
    id: UserId,
}

impl Realtime {
    /// Events go to `chat`; `access` decides who connects, `guard` how often they may ask, and `figures` counts refusals. What is
    /// `slow` is told in the log.
    pub fn new(
        chat: Service,
        access: Arc<Access>,
        guard: Arc<Guard>,
        figures: Arc<Figures>,
        slow: SlowThreshold,
    ) -> Self {
        Self {
            chat,
            access,
            guard,
            watch: Watch { figures, slow },
            typists: Arc::default(),
        }
    }

    async fn identify(
        &self,
        token: Option<&str>,
        address: Option<IpAddr>,
    ) -> Result<Identity, Refusal> {
        let began = Instant::now();
        let identified = self.access.identify(token, address).await;
        let took = began.elapsed();
        if self.watch.slow.is_exceeded(took) {
            tracing::warn!(took_ms = millis(took), "slow to tell who connects");
        }
        identified
    }

    /// Nobody was let in: counts that.
    fn refused(&self, refusal: &Refusal) -> ConnectError {
        tracing::info!(code = refusal.code(), "socket refused");
        self.watch.figures.refused(Edge::Connect, refusal.code());
        self::refusal(refusal)
    }
}

impl Handler for Realtime {
    type State = Connected;

    async fn on_connect(
        &self,
        socket: &Socket,
        auth: Option<&RawValue>,
    ) -> Result<Connected, ConnectError> {
        let handshake = socket.handshake();
        let token = token(handshake, auth);
        let identified = self.identify(token.as_deref(), address(handshake));
        let Identity {
            user,
            name,
            expires_at,
        } = identified.await.map_err(|refusal| self.refused(&refusal))?;
        if let Some(expires_at) = expires_at {
            socket.expire_at(Instant::now().checked_add(until(expires_at)));
        }
        socket.recoverable_by(user.as_str());
        socket.join(&rooms::of_user(&user));
        // Who is banned or erased from now on is found in the room; who was just before is found here.
        self.chat
            .check_welcome(&user)
            .await
            .map_err(|error| self.refused(&error.into()))?;
        self.chat.socket_connected(&user).await;
        tracing::info!(socket = %socket.id(), user = %user, name = ?name, "socket connected");
        let caller = Caller {
            address: address(handshake),
            ..Caller::new(user)
        };
        Ok(Connected {
            caller,
            name,
            typing: Typing::new(&self.typists),
            answers: Answers::default(),
        })
    }

    /// A token is judged at every return: it may have ended, and its user may be another. One that is refused here is refused, and
    /// counted, when the client connects anew, which follows at once.
    async fn on_recover(&self, handshake: &Handshake, auth: Option<&RawValue>, key: &str) -> bool {
        let token = token(handshake, auth);
        let identity = self.access.judge(token.as_deref()).await;
        identity.is_ok_and(|identity| identity.user.as_str() == key)
    }

    /// The messages among what it missed have been handed over now.
    fn on_recovered(&self, _: &Socket, state: &Connected, missed: &[Event]) {
        let user = &state.caller.user;
        for event in missed {
            let message = match event.name() {
                "newMessage" => event.first::<HandedOver>(),
                _ => continue,
            };
            if let Ok(Some(message)) = message
                && message.sender.id != *user
            {
                self.chat.handed_over(message.chat, user, message.seq);
            }
        }
    }

    async fn on_event(&self, socket: &Socket, state: &Connected, event: Event) {
        let watched = self.watch.begin(state);
        if event.name() == "sendMessage" {
            return events::send(&self.chat, &self.guard, watched, socket, state, event).await;
        }
        let handled = events::handle(&self.chat, &self.guard, socket, state, &event).await;
        if let Err(error) = handled {
            events::refuse(socket, &event, &error);
            watched.refused(error.code());
        }
        watched.answered(socket, &event);
    }

    async fn on_disconnect(&self, socket: &Socket, state: Connected, reason: DisconnectReason) {
        let user = &state.caller.user;
        tracing::info!(
            socket = %socket.id(), user = %user, name = ?state.name, reason = reason.as_str(), "socket disconnected"
        );
        state.typing.stop_all(&self.chat, user);
        // Who is no longer welcome is not expected back.
        if is_loss(reason) && self.chat.check_welcome(user).await.is_ok() {
            self.chat.socket_lost(user).await;
        } else {
            self.chat.socket_disconnected(user).await;
        }
    }
}

/// Whether the client has gone without having said so, and is likely to come back.
fn is_loss(reason: DisconnectReason) -> bool {
    match reason {
        DisconnectReason::ClientDisconnected | DisconnectReason::ServerDisconnected => false,
        DisconnectReason::SessionClosed(reason) => reason != CloseReason::ClientClosed,
    }
}

/// The bare token of a handshake: its `auth` comes before its header.
fn token(handshake: &Handshake, auth: Option<&RawValue>) -> Option<String> {
    let auth: Option<Auth> = auth.and_then(|auth| serde_json::from_str(auth.get()).ok());
    if let Some(token) = auth.and_then(|auth| auth.token) {
        return Some(bearer(&token).unwrap_or(&token).to_owned());
    }
    let header = handshake.header(&AUTHORIZATION)?.to_str().ok()?;
    bearer(header).map(str::to_owned)
}

fn address(handshake: &Handshake) -> Option<IpAddr> {
    handshake.peer().as_ref().map(SocketAddr::ip)
}

fn refusal(refusal: &Refusal) -> ConnectError {
    let refused = ConnectError::new("Authentication error");
    let data = match refusal.retry_after() {
        Some(seconds) => json!({ "code": refusal.code(), "retryAfter": seconds }),
        None => json!({ "code": refusal.code() }),
    };
    match to_raw_value(&data) {
        Ok(data) => refused.with_data(data),
        Err(_) => refused,
    }
}

/// How long a token is still accepted: a socket that comes back after that is refused at once.
fn until(expires_at: u64) -> Duration {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Duration::from_secs(expires_at).saturating_sub(now)
}
