//! A session as the application holds it: a cheap handle to send through and to close by. Gives no access to the session's id.

use std::sync::Arc;

use tokio::time::Instant;

use super::close::CloseReason;
use super::handshake::Handshake;
use super::packet::Frame;
use super::state::Shared;

/// One client's session, whatever carries it. Cloning is a reference count; the handle outlives the session harmlessly.
#[derive(Debug, Clone)]
pub struct Session(Arc<Shared>);

impl Session {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }

    /// The request that opened the session.
    pub fn handshake(&self) -> &Handshake {
        &self.0.handshake
    }

    /// Queues frames as one group: all of them, next to each other, or none. Never waits. False if the session has ended; a group
    /// that does not fit the queue ends it as [`CloseReason::SlowConsumer`].
    pub fn send(&self, frames: &[Frame]) -> bool {
        self.0.send(frames)
    }

    /// Whether this many frames and bytes would be queued at the moment.
    pub fn has_room_for(&self, frames: usize, bytes: usize) -> bool {
        self.0.lock().outbox.fits(frames, bytes)
    }

    /// Queues frames only if hardly anything is waiting already; otherwise drops them. True if they were queued.
    pub fn send_volatile(&self, frames: &[Frame]) -> bool {
        self.0.send_volatile(frames)
    }

    /// Ends the session. What is queued is still delivered if the reason is one of the server's own. A handler that is running
    /// finishes first. True if this call ended it, false if it had ended before.
    pub fn close(&self, reason: CloseReason) -> bool {
        self.0.close(reason)
    }

    /// Whether the session has ended.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// The application knows who this is: the session no longer counts towards [`Config::max_unaccepted`](super::Config::max_unaccepted).
    pub fn accept(&self) {
        self.0.accept();
    }

    /// Ends the session as [`CloseReason::DeadlinePassed`] at that instant, or never. Replaces the deadline set before.
    pub fn set_deadline(&self, deadline: Option<Instant>) {
        self.0.lock().deadline = deadline;
        self.0.output.notify_one();
    }

    /// Ends the session as [`CloseReason::TokenExpired`] at that instant, or never. Replaces the instant set before.
    pub fn expire_at(&self, expiry: Option<Instant>) {
        self.0.lock().expiry = expiry;
        self.0.output.notify_one();
    }

    /// Has [`Handler::on_wake`](super::Handler::on_wake) called once, between two messages.
    pub fn wake(&self) {
        self.0.lock().woken = true;
        self.0.input.notify_one();
    }
}
