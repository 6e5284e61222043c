//! Who is online: derived from live sockets, never stored. Only `lastSeen` is.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use super::details::{membership, unblocked};
use super::event::Event;
use super::{Error, Service};
use crate::id::{ChatId, UserId};
use crate::model::Timestamp;

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

    /// Users who are online.
    pub fn online_users(&self) -> usize {
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

    fn only_online(&self, users: Vec<UserId>) -> Vec<UserId> {
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

    /// The user says `online`: refreshes `lastSeen` and tells the others again.
    pub async fn say_online(&self, user: &UserId) {
        self.touch(user).await;
        self.tell_contacts(user).await;
    }

    /// Tells the chat's room that the user types or has stopped.
    pub async fn typing(&self, user: &UserId, chat: ChatId, is_typing: bool) -> Result<(), Error> {
        let member = user.clone();
        self.store
            .read(move |tables| unblocked(membership(tables, &member, chat)?).map(drop))
            .await?;
        self.announce_typing(user, chat, is_typing);
        Ok(())
    }

    /// The user has stopped without saying so. Volatile: dropped when delivery is behind.
    pub fn announce_typing(&self, user: &UserId, chat: ChatId, is_typing: bool) {
        let _ = self.events.try_send(Event::Typing {
            chat,
            user: user.clone(),
            is_typing,
        });
    }

    /// Writes `lastSeen`. A failure costs nothing but its freshness.
    async fn touch(&self, user: &UserId) {
        let id = user.clone();
        let touched = self
            .store
            .write(move |tx| {
                if let Some(mut user) = tx.user(&id)? {
                    user.last_seen = Some(Timestamp::now());
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
        let contacts = self
            .store
            .read(move |tables| Ok::<_, Error>(tables.contacts_of(&id)?))
            .await;
        let audience = match contacts {
            Ok(contacts) => self.presence.only_online(contacts),
            Err(error) => return tracing::warn!(%error, "a change of presence was not told"),
        };
        if !audience.is_empty() {
            let _ = self
                .events
                .send(Event::PresenceChanged {
                    user: user.clone(),
                    audience,
                })
                .await;
        }
    }
}
