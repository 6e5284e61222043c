//! Who is online: derived from live sockets, never stored. Only `lastSeen` is.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::event::Event;
use super::{Error, Service};
use crate::id::UserId;

/// How many sockets each user has.
#[derive(Debug, Default)]
pub struct Presence {
    sockets: Mutex<HashMap<UserId, usize>>,
}

impl Presence {
    /// Whether a socket of the user is connected.
    pub fn is_online(&self, user: &UserId) -> bool {
        self.sockets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains_key(user)
    }

    /// How many users are online.
    pub fn count(&self) -> usize {
        self.sockets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// Counts a socket in; `true` for the user's first.
    fn enter(&self, user: &UserId) -> bool {
        let mut sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        let count = sockets.entry(user.clone()).or_default();
        *count += 1;
        *count == 1
    }

    /// Counts a socket out; `true` for the user's last.
    fn leave(&self, user: &UserId) -> bool {
        let mut sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(count) = sockets.get_mut(user) else {
            return false;
        };
        *count -= 1;
        let last = *count == 0;
        if last {
            sockets.remove(user);
        }
        last
    }

    pub(super) fn only_online(&self, users: Vec<UserId>) -> Vec<UserId> {
        let sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        let online: HashSet<UserId> = users
            .into_iter()
            .filter(|user| sockets.contains_key(user))
            .collect();
        online.into_iter().collect()
    }
}

impl Service {
    /// A socket of the user has connected.
    pub async fn socket_connected(&self, user: &UserId) {
        if self.presence.enter(user) {
            self.tell_contacts(user).await;
        }
    }

    /// A socket of the user is gone. The user is offline when it was the last.
    pub async fn socket_disconnected(&self, user: &UserId) {
        if self.presence.leave(user) {
            self.touch(user).await;
            self.tell_contacts(user).await;
        }
    }

    /// The user says `online`: refreshes `lastSeen` and tells the others again. Said too often it changes nothing.
    pub async fn say_online(&self, user: &UserId) {
        if self.greeting.take(user, Instant::now()).is_ok() {
            self.touch(user).await;
            self.tell_contacts(user).await;
        }
    }

    /// Writes `lastSeen`. A failure costs nothing but its freshness.
    async fn touch(&self, user: &UserId) {
        let id = user.clone();
        let touched = self
            .store
            .write(move |tx| {
                if let Some(mut user) = tx.user(&id)? {
                    user.last_seen = Some(tx.now());
                    tx.put_user(&user)?;
                }
                Ok::<_, Error>(())
            })
            .await;
        if let Err(error) = touched {
            tracing::warn!(%error, "lastSeen was not stored");
        }
    }

    async fn tell_contacts(&self, user: &UserId) {
        let id = user.clone();
        let found = self.store.read(move |tables| {
            let last_seen = tables.user(&id)?.and_then(|user| user.last_seen);
            let mut contacts = tables.contacts_of(&id)?;
            for blocked in tables.blocked_by(&id) {
                let (blocked, _) = blocked?;
                contacts.retain(|contact| *contact != blocked);
            }
            Ok::<_, Error>((contacts, last_seen))
        });
        let (contacts, last_seen) = match found.await {
            Ok(found) => found,
            Err(error) => return tracing::warn!(%error, "a change of presence was not told"),
        };
        let audience = self.presence.only_online(contacts);
        if !audience.is_empty() {
            let user = user.clone();
            let _ = self
                .events
                .send(Event::PresenceChanged {
                    user,
                    last_seen,
                    audience,
                })
                .await;
        }
    }
}
