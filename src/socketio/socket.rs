//! One client in one namespace, as the application holds it: a cheap handle to emit through and to close by.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use tokio::time::Instant;

use super::acks::{AckError, Acks, Answer};
use super::event::Event;
use super::namespace::{Keep, Namespace};
use super::outgoing::{self, Outgoing};
use super::packet::{AckId, Kind, Packet};
use super::recovery::{Claim, Lost, Pid};
use crate::engineio::{CloseReason, Frame, Handshake, Session, token};

/// Groups an application may emit to a socket whose `on_connect` still runs.
const MAX_HELD: usize = 1024;

/// One client in one namespace. Cloning is a reference count; the handle outlives the connection harmlessly.
#[derive(Debug, Clone)]
pub struct Socket(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: SocketId,
    namespace: Namespace,
    session: Session,
    phase: AtomicU8,
    /// What was emitted before the client knew that it is connected.
    held: Mutex<Vec<Arc<[Frame]>>>,
    /// Whose it is, in the application's words.
    key: OnceLock<Arc<str>>,
    /// By what its client can have it back.
    pid: OnceLock<Pid>,
    /// Answers that its client owes.
    acks: Acks,
}

/// A socket's public name: random, and unrelated to the secret id of its session.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SocketId([u8; Self::LEN]);

/// Only ever counts up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
#[repr(u8)]
pub(super) enum Phase {
    Connecting,
    Connected,
    Gone,
}

impl Socket {
    pub(super) fn new(namespace: Namespace, session: Session) -> Result<Self, getrandom::Error> {
        let id = SocketId::random()?;
        Ok(Self::with_id(id, namespace, session))
    }

    /// A socket that its client has back.
    pub(super) fn again(lost: &Lost, namespace: Namespace, session: Session) -> Self {
        let socket = Self::with_id(lost.id, namespace, session);
        let _ = socket.0.pid.set(lost.pid);
        let _ = socket.0.key.set(Arc::clone(&lost.key));
        socket
    }

    fn with_id(id: SocketId, namespace: Namespace, session: Session) -> Self {
        Self(Arc::new(Inner {
            id,
            namespace,
            session,
            phase: AtomicU8::new(Phase::Connecting as u8),
            held: Mutex::default(),
            key: OnceLock::new(),
            pid: OnceLock::new(),
            acks: Acks::default(),
        }))
    }

    /// The id the client knows as `socket.id`.
    pub fn id(&self) -> SocketId {
        self.0.id
    }

    /// Where it is connected.
    pub fn namespace(&self) -> &Namespace {
        &self.0.namespace
    }

    /// The request that opened the session.
    pub fn handshake(&self) -> &Handshake {
        self.0.session.handshake()
    }

    /// Emits an event with one argument. Never waits. False if the socket is gone, the argument is no JSON, or the client's queue is
    /// full, which ends its session as [`CloseReason::SlowConsumer`]. During `on_connect`, events are held back until the client has
    /// been told that it is connected.
    pub fn emit(&self, name: &str, argument: &impl Serialize) -> bool {
        self.encode(name, argument)
            .is_some_and(|event| self.deliver(&event))
    }

    /// Emits an event with any arguments: JSON values separated by commas, with placeholders for the attachments, as in
    /// [`Event::args`](super::Event::args).
    pub fn emit_raw(&self, name: &str, args: &str, attachments: &[Bytes]) -> bool {
        self.deliver(&Outgoing::raw(self.namespace(), name, args, attachments))
    }

    /// Emits an event with one argument and waits, at most `timeout`, for what the client answers. An event that is waited for is not
    /// kept for a [recovery](Namespace::with_recovery): with the connection, the answer is lost.
    ///
    /// Not to be awaited in a handler of the same session: what the client sends is not read before the handler returns. At most 64
    /// events of one socket wait at once.
    pub async fn emit_with_ack(
        &self,
        name: &str,
        argument: &impl Serialize,
        timeout: Duration,
    ) -> Result<Answer, AckError> {
        let argument = serde_json::to_string(argument)?;
        self.emit_raw_with_ack(name, &argument, &[], timeout).await
    }

    /// Emits an event with any arguments, as in [`emit_raw`](Self::emit_raw), and waits for the answer as
    /// [`emit_with_ack`](Self::emit_with_ack) does.
    pub async fn emit_raw_with_ack(
        &self,
        name: &str,
        args: &str,
        attachments: &[Bytes],
        timeout: Duration,
    ) -> Result<Answer, AckError> {
        let id = self.namespace().next_ack();
        let mut pending = self.0.acks.expect(id)?;
        let event = outgoing::event(self.namespace(), name, args, attachments, Some(id));
        if !self.send(event) {
            return Err(AckError::Disconnected);
        }
        tokio::time::timeout(timeout, pending.answer())
            .await
            .unwrap_or(Err(AckError::Timeout))
    }

    /// The client has answered an event.
    pub(super) fn answered(&self, id: AckId, answer: Answer) {
        self.0.acks.answered(id, answer);
    }

    /// Answers an event with one value.
    pub fn ack(&self, ack: AckId, argument: &impl Serialize) -> bool {
        match serde_json::to_string(argument) {
            Ok(argument) => self.ack_raw(ack, &argument, &[]),
            Err(error) => {
                tracing::error!(%error, "an ack cannot be written as JSON");
                false
            }
        }
    }

    /// Answers an event with any values, as in [`emit_raw`](Self::emit_raw).
    pub fn ack_raw(&self, ack: AckId, args: &str, attachments: &[Bytes]) -> bool {
        let kind = if attachments.is_empty() {
            Kind::Ack
        } else {
            Kind::BinaryAck
        };
        let packet = Packet {
            kind,
            attachments: attachments.len(),
            namespace: self.namespace().name(),
            id: Some(ack),
            data: &format!("[{args}]"),
        };
        self.send(outgoing::frames(&packet, attachments))
    }

    /// Sends an event that was encoded before.
    pub fn deliver(&self, event: &Outgoing) -> bool {
        self.phase() != Phase::Gone && self.namespace().send_to(event, self)
    }

    /// Lets its client have this socket back after a lost connection, with its id, its rooms and the events it missed, if the namespace
    /// does recovery. Whoever claims it is judged by [`Handler::on_recover`](super::Handler::on_recover), which is given `key`. To be called
    /// in `on_connect`; the first key stays.
    pub fn recoverable_by(&self, key: &str) {
        if self.namespace().has_recovery() {
            let _ = self.0.key.set(key.into());
        }
    }

    /// Queues what was encoded for it.
    pub(super) fn take(&self, frames: &Arc<[Frame]>, is_volatile: bool) -> bool {
        if !is_volatile {
            return self.send(Arc::clone(frames));
        }
        self.phase() == Phase::Connected && self.0.session.send_volatile(frames)
    }

    /// Joins a room. False if the socket is gone.
    pub fn join(&self, room: &str) -> bool {
        self.namespace().join(self.id(), room)
    }

    /// Leaves a room. False if it was not in it.
    pub fn leave(&self, room: &str) -> bool {
        self.namespace().leave(self.id(), room)
    }

    /// The rooms it is in.
    pub fn rooms(&self) -> Vec<Arc<str>> {
        self.namespace().rooms_of(self.id())
    }

    /// Tells the client that it has been disconnected, which the standard client takes for final, and takes the socket out of its
    /// rooms. The session goes on. `on_disconnect` follows in its turn.
    pub fn disconnect(&self) {
        let before = self.gone(Keep::Nothing);
        if before == Phase::Connected {
            self.0.session.send(&self.disconnect_packet());
        }
        if before != Phase::Gone {
            self.0.session.wake();
        }
    }

    /// Ends the whole session, without a DISCONNECT, so that the standard client reconnects by itself. False if it had ended before.
    pub fn close(&self, reason: CloseReason) -> bool {
        self.0.session.close(reason)
    }

    /// Ends the whole session as [`CloseReason::TokenExpired`] at that instant, or never. Replaces the instant set before, by any socket
    /// of the session.
    pub fn expire_at(&self, expiry: Option<Instant>) {
        self.0.session.expire_at(expiry);
    }

    /// Whether nothing can be emitted any more.
    pub fn is_closed(&self) -> bool {
        self.phase() == Phase::Gone || self.0.session.is_closed()
    }

    fn encode(&self, name: &str, argument: &impl Serialize) -> Option<Outgoing> {
        Outgoing::new(self.namespace(), name, argument)
            .inspect_err(
                |error| tracing::error!(%error, name, "an event cannot be written as JSON"),
            )
            .ok()
    }

    fn send(&self, frames: Arc<[Frame]>) -> bool {
        match self.phase() {
            Phase::Connected => self.0.session.send(&frames),
            Phase::Connecting => self.hold(frames),
            Phase::Gone => false,
        }
    }

    fn hold(&self, frames: Arc<[Frame]>) -> bool {
        let length = {
            let mut held = self.held();
            // It may have connected since; what is held was flushed under this lock.
            if self.phase() == Phase::Connecting {
                held.push(frames);
                held.len()
            } else {
                drop(held);
                return self.send(frames);
            }
        };
        if length > MAX_HELD {
            self.close(CloseReason::SlowConsumer);
        }
        length <= MAX_HELD
    }

    /// Sends the reply to CONNECT and then, in order, what was held back.
    pub(super) fn connected(&self) {
        if self.0.key.get().is_some()
            && let Some(pid) = Pid::random()
        {
            let _ = self.0.pid.set(pid);
        }
        // Before the client knows its pid, so that it cannot come too early.
        self.namespace().make_recoverable(self);
        self.0.session.send(&self.connect_reply());
        loop {
            let held = {
                let mut held = self.held();
                if held.is_empty() {
                    self.advance(Phase::Connected);
                    break;
                }
                std::mem::take(&mut *held)
            };
            for frames in held {
                self.0.session.send(&frames);
            }
        }
        // The application may have disconnected it meanwhile.
        if self.phase() == Phase::Gone {
            self.0.session.send(&self.disconnect_packet());
        }
    }

    /// Sends what was missed, and that the socket is back. Answers the events that were missed, or `None` if it is too late for that.
    pub(super) fn reconnected(&self, claim: &Claim, lost: &Lost) -> Option<Vec<Event>> {
        let reply = self.connect_reply();
        let session = &self.0.session;
        let missed = self.namespace().restore(self, claim, lost, &reply, session);
        // All of it was among the missed events.
        self.held().clear();
        let missed = missed?;
        if self.phase() == Phase::Gone {
            session.send(&self.disconnect_packet());
        }
        Some(missed.iter().filter_map(|entry| entry.event()).collect())
    }

    /// Takes the socket out of its rooms; from now on nothing is sent.
    pub(super) fn leave_namespace(&self, keep: Keep) {
        self.gone(keep);
    }

    /// By what its client can have it back, and whose it is.
    pub(super) fn recovery(&self) -> Option<(Pid, Arc<str>)> {
        Some((*self.0.pid.get()?, Arc::clone(self.0.key.get()?)))
    }

    pub(super) fn is_gone(&self) -> bool {
        self.phase() == Phase::Gone
    }

    /// The phase before.
    fn gone(&self, keep: Keep) -> Phase {
        self.namespace().remove(self, keep)
    }

    fn phase(&self) -> Phase {
        Phase::from(self.0.phase.load(Ordering::Acquire))
    }

    pub(super) fn advance(&self, phase: Phase) -> Phase {
        let before = Phase::from(self.0.phase.fetch_max(phase as u8, Ordering::AcqRel));
        if phase == Phase::Gone {
            self.0.acks.give_up();
        }
        before
    }

    fn held(&self) -> MutexGuard<'_, Vec<Arc<[Frame]>>> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connect_reply(&self) -> [Frame; 1] {
        let data = match self.0.pid.get() {
            Some(pid) => format!(r#"{{"sid":"{}","pid":"{}"}}"#, self.id(), pid.as_str()),
            None => format!(r#"{{"sid":"{}"}}"#, self.id()),
        };
        self.packet(Kind::Connect, &data)
    }

    fn disconnect_packet(&self) -> [Frame; 1] {
        self.packet(Kind::Disconnect, "")
    }

    fn packet(&self, kind: Kind, data: &str) -> [Frame; 1] {
        let packet = Packet {
            kind,
            attachments: 0,
            namespace: self.namespace().name(),
            id: None,
            data,
        };
        [Frame::text(packet.encode())]
    }
}

impl From<u8> for Phase {
    fn from(value: u8) -> Self {
        match value {
            0 => Self::Connecting,
            1 => Self::Connected,
            _ => Self::Gone,
        }
    }
}

impl SocketId {
    const LEN: usize = 20;

    fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 15];
        getrandom::fill(&mut bytes)?;
        let text = token(&bytes);
        Ok(Self::parse(&text).unwrap_or_else(|| unreachable!("15 bytes are 20 digits")))
    }

    /// Reads an id that a client quotes; `None` if it cannot be one.
    pub fn parse(text: &str) -> Option<Self> {
        text.is_ascii()
            .then(|| text.as_bytes().try_into().ok().map(Self))
            .flatten()
    }

    /// The id as the client knows it.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SocketId({})", self.as_str())
    }
}
