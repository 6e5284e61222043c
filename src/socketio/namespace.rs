//! A namespace: its sockets, their rooms, and sending to many at once. Knows nothing of sessions or packets.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::log::{Entry, Target};
use super::members::{Member, Members};
use super::outgoing::Outgoing;
use super::packet::AckId;
use super::recovery::{Claim, Found, Lost, Recovery, RecoveryConfig, RecoveryCounts, State};
use super::socket::{Phase, Socket, SocketId};
use crate::engineio::{CloseReason, Frame, Session};

/// The namespaces a server has. Cloning is a reference count; made before the handler, so that the handler can hold it.
#[derive(Debug, Clone)]
pub struct Io(Arc<[Namespace]>);

impl Io {
    /// Only these namespaces can be joined. The main one is `/`.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().map(Namespace::new).collect())
    }

    /// These namespaces, which the caller may hold as well.
    pub fn of(namespaces: &[Namespace]) -> Self {
        Self(namespaces.into())
    }

    /// The namespace of that name.
    pub fn namespace(&self, name: &str) -> Option<&Namespace> {
        self.0.iter().find(|namespace| namespace.name() == name)
    }
}

/// A namespace of the server, not of one client. Cloning is a reference count.
#[derive(Debug, Clone)]
pub struct Namespace(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: Box<str>,
    members: Mutex<Members>,
    /// Grows for the whole namespace, as in the reference, so that a socket which comes back never meets an old id again.
    acks: AtomicU64,
    recovery: Option<Recovery>,
}

/// How far a broadcast went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reached {
    /// Sockets whose queue took the event.
    pub sockets: usize,
    /// Sockets that were leaving, whose queue was full, or for whom a volatile event was dropped.
    pub missed: usize,
}

impl Namespace {
    /// An empty namespace; its name starts with `/`.
    pub fn new(name: &str) -> Self {
        Self(Arc::new(Inner {
            name: name.into(),
            members: Mutex::default(),
            acks: AtomicU64::new(0),
            recovery: None,
        }))
    }

    /// As [`new`](Self::new); sockets whose application has given them a [key](Socket::recoverable_by) can be had back after a lost
    /// connection. Every event carries one more argument then, the offset.
    pub fn with_recovery(name: &str, config: RecoveryConfig) -> Self {
        Self(Arc::new(Inner {
            name: name.into(),
            members: Mutex::default(),
            acks: AtomicU64::new(0),
            recovery: Some(Recovery::new(config)),
        }))
    }

    /// What is kept for recoveries at the moment.
    pub fn recovery_counts(&self) -> RecoveryCounts {
        let recovery = self.0.recovery.as_ref();
        recovery.map(Recovery::counts).unwrap_or_default()
    }

    /// How many sockets their clients have had back.
    pub fn recovered_count(&self) -> u64 {
        self.recovery_state().map_or(0, |state| state.recovered)
    }

    /// Its name, which starts with `/`.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Sends to every socket that is in any of the rooms, once, except those named. Never waits: a socket whose queue is full is closed as
    /// [`CloseReason::SlowConsumer`], and the others do not notice.
    pub fn broadcast(
        &self,
        event: &Outgoing,
        rooms: &[impl AsRef<str>],
        except: &[SocketId],
    ) -> Reached {
        let targets = || rooms.iter().map(|room| Target::Room(room.as_ref().into()));
        self.send(
            event,
            || targets().collect(),
            except,
            |members| members.in_rooms(rooms, except),
        )
    }

    /// Sends to every socket except those named.
    pub fn broadcast_to_all(&self, event: &Outgoing, except: &[SocketId]) -> Reached {
        self.send(
            event,
            || [Target::All].into(),
            except,
            |members| members.all(except),
        )
    }

    /// An id for an event that is to be answered.
    pub(super) fn next_ack(&self) -> AckId {
        AckId::new(self.0.acks.fetch_add(1, Ordering::Relaxed))
    }

    /// Sends to one socket.
    pub(super) fn send_to(&self, event: &Outgoing, socket: &Socket) -> bool {
        let reached = self.send(
            event,
            || [Target::Socket(socket.id())].into(),
            &[],
            |_| vec![socket.clone()],
        );
        reached.sockets == 1
    }

    fn send(
        &self,
        event: &Outgoing,
        targets: impl FnOnce() -> Box<[Target]>,
        except: &[SocketId],
        sockets: impl FnOnce(&Members) -> Vec<Socket>,
    ) -> Reached {
        let Some(recovery) = &self.0.recovery else {
            let sockets = sockets(&self.members());
            return deliver(event, event.frames(), sockets);
        };
        let mut state = recovery.lock();
        let sockets = sockets(&self.members());
        let frames = recovery.stamp(&mut state, event, targets(), except);
        deliver(event, &frames, sockets)
    }

    /// The socket of that id.
    pub fn socket(&self, id: SocketId) -> Option<Socket> {
        self.members()
            .sockets
            .get(&id)
            .map(|member| member.socket.clone())
    }

    /// The sockets in a room.
    pub fn sockets(&self, room: &str) -> Vec<Socket> {
        self.members()
            .rooms
            .get(room)
            .map(|sockets| sockets.values().cloned().collect())
            .unwrap_or_default()
    }

    /// How many sockets are in a room.
    pub fn socket_count(&self, room: &str) -> usize {
        self.members().rooms.get(room).map_or(0, HashMap::len)
    }

    /// How many sockets there are.
    pub fn len(&self) -> usize {
        self.members().sockets.len()
    }

    /// Whether nobody is here.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many rooms have somebody in them.
    pub fn room_count(&self) -> usize {
        self.members().rooms.len()
    }

    /// Ends the sessions of all sockets in a room, as [`Socket::close`] does. Returns how many had not ended yet.
    pub fn close_room(&self, room: &str, reason: CloseReason) -> usize {
        self.sockets(room)
            .iter()
            .filter(|socket| socket.close(reason))
            .count()
    }

    /// Takes a socket in.
    pub(super) fn insert(&self, socket: &Socket) {
        let state = self.recovery_state();
        let member = Member {
            socket: socket.clone(),
            since: last_event(state.as_deref()),
            rooms: Vec::new(),
        };
        self.members().sockets.insert(socket.id(), member);
    }

    /// Makes a socket one that is gone, and answers what it was before. What is kept can be recovered.
    pub(super) fn remove(&self, socket: &Socket, keep: Keep) -> Phase {
        let mut state = self.recovery_state();
        let before = socket.advance(Phase::Gone);
        if before == Phase::Gone {
            return before;
        }
        let lost = self.take(state.as_deref_mut(), socket);
        if let (Some(recovery), Some(state), Some(lost), Keep::Recoverable) =
            (&self.0.recovery, &mut state, lost, keep)
        {
            recovery.keep(state, lost);
        }
        before
    }

    /// Takes a socket out of everything; what it had, if it can be had back.
    fn take(&self, state: Option<&mut State>, socket: &Socket) -> Option<Lost> {
        let member = self.members().remove(socket.id())?;
        let (pid, key) = socket.recovery()?;
        state?.live.remove(&pid);
        Some(member.lost(pid, key))
    }

    /// The key of the socket a client claims, if it could be recovered on this session.
    pub(super) fn claimed_key(&self, claim: &Claim, session: &Session) -> Option<Arc<str>> {
        let recovery = self.0.recovery.as_ref()?;
        let state = recovery.lock();
        let lost = self.claimed(recovery, &state, claim, session)?;
        Some(lost.key)
    }

    /// Takes what a client claims: nobody else can have it any more. A connection that still has it is deaf and dumb from now on.
    pub(super) fn reclaim(&self, claim: Claim, session: &Session) -> Option<Reclaimed> {
        let recovery = self.0.recovery.as_ref()?;
        let mut state = recovery.lock();
        self.claimed(recovery, &state, &claim, session)?;
        let (lost, old) = match recovery.find(&state, &claim)? {
            Found::Lost(lost) => (state.take(lost.pid)?, None),
            Found::Live(socket) => {
                socket.advance(Phase::Gone);
                let lost = self.take(Some(&mut state), &socket)?;
                (lost, Some(Superseded(socket)))
            }
        };
        Some(Reclaimed {
            claim,
            lost,
            _old: old,
        })
    }

    fn claimed(
        &self,
        recovery: &Recovery,
        state: &State,
        claim: &Claim,
        session: &Session,
    ) -> Option<Lost> {
        let lost = match recovery.find(state, claim)? {
            Found::Lost(lost) => lost,
            Found::Live(socket) => {
                let (pid, key) = socket.recovery()?;
                self.members().sockets.get(&socket.id())?.lost(pid, key)
            }
        };
        let missed = recovery.missed(state, claim, &lost)?;
        let missed = missed.iter().flat_map(|entry| entry.frames());
        let (frames, bytes) = missed.fold((1, 0), |(count, bytes), frame| {
            (count + 1, bytes + frame.len())
        });
        session.has_room_for(frames, bytes).then_some(lost)
    }

    /// Gives a socket back what it had: its rooms, the events it missed, and then, with `reply`, the news that it is connected. What was
    /// emitted to it meanwhile is among the missed. `None` if that cannot be done any more.
    pub(super) fn restore(
        &self,
        socket: &Socket,
        claim: &Claim,
        lost: &Lost,
        reply: &[Frame],
        session: &Session,
    ) -> Option<Vec<Arc<Entry>>> {
        let recovery = self.0.recovery.as_ref()?;
        let mut state = recovery.lock();
        let whole = self.members().restore(lost)?;
        state.live.insert(lost.pid, socket.clone());
        let missed = recovery.missed(&state, claim, &whole)?;
        for entry in &missed {
            session.send(entry.frames());
        }
        session.send(reply);
        socket.advance(Phase::Connected);
        state.recovered += 1;
        Some(missed)
    }

    /// From now on the socket can be had back.
    pub(super) fn make_recoverable(&self, socket: &Socket) {
        if let (Some(mut state), Some((pid, _))) = (self.recovery_state(), socket.recovery()) {
            state.live.insert(pid, socket.clone());
        }
    }

    pub(super) fn has_recovery(&self) -> bool {
        self.0.recovery.is_some()
    }

    pub(super) fn join(&self, id: SocketId, room: &str) -> bool {
        let state = self.recovery_state();
        let since = last_event(state.as_deref());
        self.members().join(id, room, since)
    }

    pub(super) fn leave(&self, id: SocketId, room: &str) -> bool {
        self.members().leave(id, room)
    }

    pub(super) fn rooms_of(&self, id: SocketId) -> Vec<Arc<str>> {
        let members = self.members();
        let rooms = members.sockets.get(&id).map(|member| member.rooms.iter());
        rooms
            .into_iter()
            .flatten()
            .map(|joined| Arc::clone(&joined.room))
            .collect()
    }

    fn recovery_state(&self) -> Option<MutexGuard<'_, State>> {
        self.0.recovery.as_ref().map(Recovery::lock)
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.0
            .members
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A socket on its way to its new connection.
#[derive(Debug)]
pub(super) struct Reclaimed {
    pub(super) claim: Claim,
    pub(super) lost: Lost,
    /// Ends when the new connection has been told, or never will be: so the application hears of the arrival before the departure, and
    /// nobody seems to have been away.
    _old: Option<Superseded>,
}

#[derive(Debug)]
struct Superseded(Socket);

impl Drop for Superseded {
    fn drop(&mut self) {
        self.0.close(CloseReason::Superseded);
    }
}

/// Whether a socket that goes may be wanted back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    Nothing,
    Recoverable,
}

fn last_event(state: Option<&State>) -> u64 {
    state.map_or(0, |state| state.log.last())
}

fn deliver(event: &Outgoing, frames: &Arc<[Frame]>, sockets: Vec<Socket>) -> Reached {
    let mut reached = Reached::default();
    for socket in sockets {
        if socket.take(frames, event.is_volatile()) {
            reached.sockets += 1;
        } else {
            reached.missed += 1;
        }
    }
    reached
}
