//! A namespace: its sockets, their rooms, and sending to many at once. Knows nothing of sessions or packets.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::outgoing::Outgoing;
use super::socket::{Socket, SocketId};
use crate::engineio::CloseReason;

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
}

/// Sockets by id and by room. Both sides always agree.
#[derive(Debug, Default)]
struct Members {
    sockets: HashMap<SocketId, Member>,
    rooms: HashMap<Arc<str>, HashMap<SocketId, Socket>>,
}

#[derive(Debug)]
struct Member {
    socket: Socket,
    rooms: Vec<Arc<str>>,
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
        }))
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
        deliver(event, self.members().in_rooms(rooms, except))
    }

    /// Sends to every socket except those named.
    pub fn broadcast_to_all(&self, event: &Outgoing, except: &[SocketId]) -> Reached {
        let sockets = self
            .members()
            .sockets
            .values()
            .map(|member| &member.socket)
            .filter(|socket| !except.contains(&socket.id()))
            .cloned()
            .collect();
        deliver(event, sockets)
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

    pub(super) fn insert(&self, socket: &Socket) {
        let member = Member {
            socket: socket.clone(),
            rooms: Vec::new(),
        };
        self.members().sockets.insert(socket.id(), member);
    }

    pub(super) fn remove(&self, id: SocketId) {
        let member = self.members().remove(id);
        // The last handle may be this one; what it owns is dropped outside the lock.
        drop(member);
    }

    pub(super) fn join(&self, id: SocketId, room: &str) -> bool {
        self.members().join(id, room)
    }

    pub(super) fn leave(&self, id: SocketId, room: &str) -> bool {
        self.members().leave(id, room)
    }

    pub(super) fn rooms_of(&self, id: SocketId) -> Vec<Arc<str>> {
        self.members()
            .sockets
            .get(&id)
            .map(|member| member.rooms.clone())
            .unwrap_or_default()
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.0
            .members
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn deliver(event: &Outgoing, sockets: Vec<Socket>) -> Reached {
    let mut reached = Reached::default();
    for socket in sockets {
        if socket.deliver(event) {
            reached.sockets += 1;
        } else {
            reached.missed += 1;
        }
    }
    reached
}

impl Members {
    fn in_rooms(&self, rooms: &[impl AsRef<str>], except: &[SocketId]) -> Vec<Socket> {
        let mut sockets = Vec::new();
        let mut seen: HashSet<SocketId> = except.iter().copied().collect();
        for room in rooms {
            for (id, socket) in self.rooms.get(room.as_ref()).into_iter().flatten() {
                // Within one room nobody occurs twice.
                let is_new = if rooms.len() == 1 {
                    !seen.contains(id)
                } else {
                    seen.insert(*id)
                };
                if is_new {
                    sockets.push(socket.clone());
                }
            }
        }
        sockets
    }

    fn join(&mut self, id: SocketId, room: &str) -> bool {
        let Some(member) = self.sockets.get_mut(&id) else {
            return false;
        };
        if member.rooms.iter().any(|joined| **joined == *room) {
            return true;
        }
        let room: Arc<str> = match self.rooms.get_key_value(room) {
            Some((room, _)) => Arc::clone(room),
            None => room.into(),
        };
        member.rooms.push(Arc::clone(&room));
        self.rooms
            .entry(room)
            .or_default()
            .insert(id, member.socket.clone());
        true
    }

    fn leave(&mut self, id: SocketId, room: &str) -> bool {
        let Some(member) = self.sockets.get_mut(&id) else {
            return false;
        };
        let Some(at) = member.rooms.iter().position(|joined| **joined == *room) else {
            return false;
        };
        member.rooms.swap_remove(at);
        self.leave_room(id, room);
        true
    }

    fn remove(&mut self, id: SocketId) -> Option<Member> {
        let member = self.sockets.remove(&id)?;
        for room in &member.rooms {
            self.leave_room(id, room);
        }
        Some(member)
    }

    fn leave_room(&mut self, id: SocketId, room: &str) {
        if let Some(sockets) = self.rooms.get_mut(room) {
            sockets.remove(&id);
            if sockets.is_empty() {
                self.rooms.remove(room);
            }
        }
    }
}
