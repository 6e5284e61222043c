//! Who is online: derived from live sockets, never stored. Only `lastSeen` is.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time;

use super::event::Event;
use super::{Error, Service};
use crate::id::UserId;

/// Users who may be expected back at once; past it the next one is offline without grace.
const MAX_EXPECTED: usize = 100_000;

/// How many sockets each user has. One that was lost counts until its client has had the time to come back.
#[derive(Debug, Default)]
pub struct Presence {
    sockets: Mutex<HashMap<UserId, usize>>,
    /// In the order of their loss, which is that of their end.
    expected: Mutex<VecDeque<(time::Instant, UserId)>>,
    wake: Notify,
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

    /// Counts a socket out, unless it is the user's last.
    fn leave_others(&self, user: &UserId) -> bool {
        let mut sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        match sockets.get_mut(user) {
            Some(count) if *count > 1 => {
                *count -= 1;
                true
            }
            _ => false,
        }
    }

    /// Keeps a lost socket counted for `grace`. `false` when too many are kept already.
    fn expect(&self, user: &UserId, grace: Duration) -> bool {
        let mut expected = self.expected.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(until) = time::Instant::now().checked_add(grace) else {
            return false;
        };
        if expected.len() >= MAX_EXPECTED {
            return false;
        }
        expected.push_back((until, user.clone()));
        drop(expected);
        self.wake.notify_one();
        true
    }

    /// When the next of those who are expected is given up.
    fn next_given_up(&self) -> Option<time::Instant> {
        let expected = self.expected.lock().unwrap_or_else(PoisonError::into_inner);
        expected.front().map(|(until, _)| *until)
    }

    /// Takes the next of those who are expected, if it is time.
    fn give_up(&self) -> Option<UserId> {
        let mut expected = self.expected.lock().unwrap_or_else(PoisonError::into_inner);
        let due = expected.pop_front_if(|(until, _)| *until <= time::Instant::now())?;
        Some(due.1)
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

    /// A socket of the user was lost without a goodbye. When it was the last, the user stays online for the time in which a client
    /// that lost its network is back, so that nobody sees them flicker.
    pub async fn socket_lost(&self, user: &UserId) {
        let grace = self.options.offline_grace;
        if grace.is_zero() {
            return self.socket_disconnected(user).await;
        }
        if self.presence.leave_others(user) {
            return;
        }
        // This is when they were last seen, whenever it will be told.
        self.touch(user).await;
        if !self.presence.expect(user, grace) {
            self.socket_disconnected(user).await;
        }
    }

    /// Tells that those are offline who did not come back. Runs until it is dropped.
    pub async fn give_up_lost(&self) {
        loop {
            match self.presence.next_given_up() {
                None => self.presence.wake.notified().await,
                Some(until) => time::sleep_until(until).await,
            }
            while let Some(user) = self.presence.give_up() {
                if self.presence.leave(&user) {
                    self.tell_contacts(&user).await;
                }
            }
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
