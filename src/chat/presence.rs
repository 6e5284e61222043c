//! Who is online: derived from live sockets, never stored. Only `lastSeen` is.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time;

use super::event::Event;
use super::{Error, Service};
use crate::id::UserId;
use crate::model::Timestamp;

/// What somebody who comes and goes all the time is given to come back, where the operator gives no longer one.
const RESTLESS_GRACE: Duration = Duration::from_secs(5);
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

/// A user's presence as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresenceTold {
    /// Whose.
    pub user: UserId,
    /// Whether they are online.
    pub is_online: bool,
    /// When they were last seen.
    pub last_seen: Option<Timestamp>,
    /// To whom.
    pub audience: Vec<UserId>,
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
        if !self.presence.leave_others(user) {
            self.expect_back(user, grace).await;
        }
    }

    async fn expect_back(&self, user: &UserId, grace: Duration) {
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

    /// A socket of the user is gone. The user is offline when it was the last, unless they come and go all the time.
    pub async fn socket_disconnected(&self, user: &UserId) {
        if self.presence.leave_others(user) {
            return;
        }
        if self.parting.take(user, Instant::now()).is_err() {
            let grace = self.options.offline_grace.max(RESTLESS_GRACE);
            return self.expect_back(user, grace).await;
        }
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
        let found = self
            .store
            .read(move |tables| Ok::<_, Error>(tables.contacts_of(&id)?));
        let contacts = match found.await {
            Ok(contacts) => contacts,
            Err(error) => return tracing::warn!(%error, "a change of presence was not told"),
        };
        let audience = self.presence.only_online(contacts);
        if !audience.is_empty() {
            let user = user.clone();
            let event = Event::PresenceChanged { user, audience };
            let _ = self.events.send(event).await;
        }
    }

    /// What a change of presence comes to at this moment, and to whom: nothing of it goes to those whom the user has blocked by now.
    pub async fn presence_told(
        &self,
        user: UserId,
        mut audience: Vec<UserId>,
    ) -> Result<PresenceTold, Error> {
        let id = user.clone();
        let looked_up = self.store.look(move |tables| {
            let last_seen = tables.user(&id)?.and_then(|user| user.last_seen);
            let blocked = tables.blocked_by(&id).map(|row| Ok(row?.0));
            let blocked: HashSet<UserId> = blocked.collect::<Result<_, Error>>()?;
            audience.retain(|other| !blocked.contains(other));
            Ok::<_, Error>((audience, last_seen))
        });
        let (audience, last_seen) = looked_up.await?;
        Ok(PresenceTold {
            is_online: self.presence.is_online(&user),
            user,
            last_seen,
            audience,
        })
    }
}
