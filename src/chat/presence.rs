//! Who is online: derived from live sockets, never stored. Only `lastSeen` is.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time;

use super::event::Event;
use super::{Error, Service};
use crate::id::UserId;

/// Users who may be expected back at once; past it the next one is offline without grace.
const MAX_EXPECTED: usize = 100_000;

/// Who is connected, and who was just now and is given the time to come back: both are online.
#[derive(Debug, Default)]
pub struct Presence {
    state: Mutex<State>,
    wake: Notify,
}

/// Nobody is in both maps.
#[derive(Debug, Default)]
struct State {
    /// How many sockets each connected user has.
    sockets: HashMap<UserId, usize>,
    /// Whose last socket was lost, and when they are given up.
    expected: HashMap<UserId, time::Instant>,
    /// Those moments in their order, also of who has come back since.
    order: VecDeque<(time::Instant, UserId)>,
}

impl State {
    fn is_online(&self, user: &UserId) -> bool {
        self.sockets.contains_key(user) || self.expected.contains_key(user)
    }

    /// Counts a socket out; `true` for the user's last.
    fn leave(&mut self, user: &UserId) -> bool {
        let Some(count) = self.sockets.get_mut(user) else {
            return false;
        };
        *count -= 1;
        let last = *count == 0;
        if last {
            self.sockets.remove(user);
        }
        last
    }
}

impl Presence {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a socket of the user is connected, or is expected back.
    pub fn is_online(&self, user: &UserId) -> bool {
        self.lock().is_online(user)
    }

    /// How many users are online.
    pub fn count(&self) -> usize {
        let state = self.lock();
        state.sockets.len() + state.expected.len()
    }

    /// Counts a socket in; `true` when the user was offline before.
    fn enter(&self, user: &UserId) -> bool {
        let mut state = self.lock();
        let count = state.sockets.entry(user.clone()).or_default();
        *count += 1;
        *count == 1 && state.expected.remove(user).is_none()
    }

    /// Counts a socket out that said goodbye; `true` for the user's last.
    fn leave(&self, user: &UserId) -> bool {
        self.lock().leave(user)
    }

    /// Counts a socket out, unless it is the user's last.
    fn leave_others(&self, user: &UserId) -> bool {
        match self.lock().sockets.get_mut(user) {
            Some(count) if *count > 1 => {
                *count -= 1;
                true
            }
            _ => false,
        }
    }

    /// Counts a socket out that was lost. The user of the last one is expected back for `grace`; `false` when they are not, because
    /// too many are already.
    fn lose(&self, user: &UserId, grace: Duration) -> bool {
        let mut state = self.lock();
        if !state.leave(user) {
            return true;
        }
        let until = time::Instant::now().checked_add(grace);
        let Some(until) = until.filter(|_| state.order.len() < MAX_EXPECTED) else {
            return false;
        };
        state.expected.insert(user.clone(), until);
        state.order.push_back((until, user.clone()));
        drop(state);
        self.wake.notify_one();
        true
    }

    /// When somebody may have to be given up next.
    fn next_given_up(&self) -> Option<time::Instant> {
        self.lock().order.front().map(|(until, _)| *until)
    }

    /// Gives up the next of those who have not come back, if it is time.
    fn give_up(&self) -> Option<UserId> {
        let mut state = self.lock();
        let now = time::Instant::now();
        while let Some((until, user)) = state.order.pop_front_if(|(until, _)| *until <= now) {
            // Who came back and was lost again is given up at a later moment, or was at this one.
            if state.expected.get(&user) == Some(&until) {
                state.expected.remove(&user);
                return Some(user);
            }
        }
        None
    }

    fn only_online(&self, users: Vec<UserId>) -> Vec<UserId> {
        let state = self.lock();
        let online: HashSet<UserId> = users
            .into_iter()
            .filter(|user| state.is_online(user))
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
        if !self.presence.lose(user, grace) {
            self.tell_contacts(user).await;
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
                self.tell_contacts(&user).await;
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
