//! What one session is in the middle of: the namespaces it has joined, and a packet whose attachments are still to come.

use bytes::Bytes;

use super::namespace::Namespace;
use super::packet::{AckId, Kind};
use super::socket::Socket;

/// The Socket.IO side of one session.
#[derive(Debug)]
pub struct Connection<S> {
    seats: Vec<Seat<S>>,
    partial: Option<Partial>,
}

/// A namespace this session has joined at least once.
#[derive(Debug)]
struct Seat<S> {
    namespace: Namespace,
    occupant: Option<Occupant<S>>,
}

/// A connected socket and what the application keeps for it.
#[derive(Debug)]
pub(super) struct Occupant<S> {
    pub(super) socket: Socket,
    pub(super) state: S,
}

/// How a session stands to a namespace.
pub(super) enum Membership<'a, S> {
    Joined(&'a Occupant<S>),
    /// Packets for it may still be on their way.
    Left,
    Never,
}

/// A binary packet that is not complete.
#[derive(Debug)]
pub(super) struct Partial {
    pub(super) kind: Kind,
    pub(super) namespace: String,
    pub(super) id: Option<AckId>,
    pub(super) json: String,
    pub(super) attachments: Vec<Bytes>,
    pub(super) expected: usize,
}

impl<S> Default for Connection<S> {
    fn default() -> Self {
        Self {
            seats: Vec::new(),
            partial: None,
        }
    }
}

impl<S> Connection<S> {
    pub(super) fn membership(&self, namespace: &str) -> Membership<'_, S> {
        match self
            .seats
            .iter()
            .find(|seat| seat.namespace.name() == namespace)
        {
            None => Membership::Never,
            Some(Seat { occupant: None, .. }) => Membership::Left,
            Some(Seat {
                occupant: Some(occupant),
                ..
            }) => Membership::Joined(occupant),
        }
    }

    pub(super) fn join(&mut self, occupant: Occupant<S>) -> &Occupant<S> {
        let namespace = occupant.socket.namespace().clone();
        let known = self.seats.iter();
        let at = known
            .take_while(|seat| seat.namespace.name() != namespace.name())
            .count();
        if at == self.seats.len() {
            self.seats.push(Seat {
                namespace,
                occupant: None,
            });
        }
        self.seats[at].occupant.insert(occupant)
    }

    pub(super) fn leave(&mut self, namespace: &str) -> Option<Occupant<S>> {
        self.seats
            .iter_mut()
            .find(|seat| seat.namespace.name() == namespace)
            .and_then(|seat| seat.occupant.take())
    }

    /// One that the application has disconnected.
    pub(super) fn take_gone(&mut self) -> Option<Occupant<S>> {
        self.seats
            .iter_mut()
            .find_map(|seat| seat.occupant.take_if(|occupant| occupant.socket.is_gone()))
    }

    pub(super) fn take_any(&mut self) -> Option<Occupant<S>> {
        self.seats.iter_mut().find_map(|seat| seat.occupant.take())
    }

    /// Starts to collect attachments.
    pub(super) fn expect(&mut self, partial: Partial) {
        self.partial = Some(partial);
    }

    pub(super) fn is_expecting(&self) -> bool {
        self.partial.is_some()
    }

    /// Adds an attachment; the packet comes back when it was the last.
    pub(super) fn attach(
        &mut self,
        data: Bytes,
        max_bytes: usize,
    ) -> Result<Option<Partial>, UnexpectedAttachment> {
        let partial = self.partial.as_mut().ok_or(UnexpectedAttachment)?;
        partial.attachments.push(data);
        let bytes: usize = partial.attachments.iter().map(Bytes::len).sum();
        if bytes > max_bytes {
            return Err(UnexpectedAttachment);
        }
        if partial.attachments.len() < partial.expected {
            return Ok(None);
        }
        Ok(self.partial.take())
    }
}

/// A binary message that belongs to no packet, or makes one too large.
#[derive(Debug)]
pub(super) struct UnexpectedAttachment;
