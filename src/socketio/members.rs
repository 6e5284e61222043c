//! The sockets of a namespace by id and by room, and since when each is where it is. Pure: no lock, and nothing is sent from here.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::time::Instant;

use super::recovery::{Lost, Pid};
use super::socket::{Socket, SocketId};

/// Sockets by id and by room. Both sides always agree.
#[derive(Debug, Default)]
pub(super) struct Members {
    pub(super) sockets: HashMap<SocketId, Member>,
    pub(super) rooms: HashMap<Arc<str>, HashMap<SocketId, Socket>>,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) socket: Socket,
    /// The latest event before it connected.
    pub(super) since: u64,
    pub(super) rooms: Vec<Joined>,
}

#[derive(Debug)]
pub(super) struct Joined {
    pub(super) room: Arc<str>,
    /// The latest event before it joined.
    since: u64,
}

impl Member {
    pub(super) fn lost(&self, pid: Pid, key: Arc<str>) -> Lost {
        let rooms = self.rooms.iter();
        Lost {
            pid,
            id: self.socket.id(),
            key,
            rooms: rooms
                .map(|joined| (Arc::clone(&joined.room), joined.since))
                .collect(),
            since: self.since,
            at: Instant::now(),
        }
    }
}

impl Members {
    pub(super) fn in_rooms(&self, rooms: &[impl AsRef<str>], except: &[SocketId]) -> Vec<Socket> {
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

    pub(super) fn all(&self, except: &[SocketId]) -> Vec<Socket> {
        self.sockets
            .values()
            .map(|member| &member.socket)
            .filter(|socket| !except.contains(&socket.id()))
            .cloned()
            .collect()
    }

    pub(super) fn join(&mut self, id: SocketId, room: &str, since: u64) -> bool {
        let Some(member) = self.sockets.get_mut(&id) else {
            return false;
        };
        if let Some(joined) = member.rooms.iter_mut().find(|joined| *joined.room == *room) {
            // A recovered socket has been in it for longer than its new connection.
            joined.since = joined.since.min(since);
            return true;
        }
        let room: Arc<str> = match self.rooms.get_key_value(room) {
            Some((room, _)) => Arc::clone(room),
            None => room.into(),
        };
        member.rooms.push(Joined {
            room: Arc::clone(&room),
            since,
        });
        self.rooms
            .entry(room)
            .or_default()
            .insert(id, member.socket.clone());
        true
    }

    /// Puts a socket back into its rooms; what it has then.
    pub(super) fn restore(&mut self, lost: &Lost) -> Option<Lost> {
        for (room, since) in &lost.rooms {
            self.join(lost.id, room, *since);
        }
        let member = self.sockets.get_mut(&lost.id)?;
        member.since = lost.since;
        Some(Lost {
            at: lost.at,
            ..member.lost(lost.pid, Arc::clone(&lost.key))
        })
    }

    pub(super) fn leave(&mut self, id: SocketId, room: &str) -> bool {
        let Some(member) = self.sockets.get_mut(&id) else {
            return false;
        };
        let Some(at) = member.rooms.iter().position(|joined| *joined.room == *room) else {
            return false;
        };
        member.rooms.swap_remove(at);
        self.leave_room(id, room);
        true
    }

    pub(super) fn remove(&mut self, id: SocketId) -> Option<Member> {
        let member = self.sockets.remove(&id)?;
        for joined in &member.rooms {
            self.leave_room(id, &joined.room);
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
