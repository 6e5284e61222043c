//! In which chats one socket's user is typing. It stops by itself when nothing more is heard of it, and with the socket; others are
//! told that it has stopped when it has on the last of the user's devices.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::chat::Service;
use crate::id::{ChatId, UserId};

/// Typing that is not renewed ends after this long.
const TYPING_TIMEOUT: Duration = Duration::from_secs(10);
/// A person types in one chat at a time; a client that claims more stops in another.
const MAX_CHATS: usize = 8;

/// On how many sockets each user types in a chat.
#[derive(Debug, Default)]
pub(super) struct Typists(Mutex<HashMap<(ChatId, UserId), usize>>);

impl Typists {
    fn enter(&self, user: &UserId, chat: ChatId) {
        let mut typing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *typing.entry((chat, user.clone())).or_default() += 1;
    }

    /// `true` when no socket of the user types there any more.
    fn leave(&self, user: &UserId, chat: ChatId) -> bool {
        let mut typing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (chat, user.clone());
        match typing.get_mut(&place) {
            Some(count) if *count > 1 => {
                *count -= 1;
                false
            }
            _ => {
                typing.remove(&place);
                true
            }
        }
    }

    fn is_typing(&self, user: &UserId, chat: ChatId) -> bool {
        let typing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        typing.contains_key(&(chat, user.clone()))
    }
}

/// The chats that one socket is typing in, each with the timer that ends it.
#[derive(Debug)]
pub(super) struct Typing {
    timers: Arc<Mutex<HashMap<ChatId, AbortHandle>>>,
    typists: Arc<Typists>,
}

impl Typing {
    /// A socket that types nowhere; `typists` knows of the others.
    pub(super) fn new(typists: &Arc<Typists>) -> Self {
        Self {
            timers: Arc::default(),
            typists: Arc::clone(typists),
        }
    }

    /// The user types in a chat, and others are told; ends by itself. It is known here before it is told: the stop of another device
    /// must not come in between and be the last word.
    pub(super) fn started(&self, chat: &Service, user: &UserId, id: ChatId) {
        let earlier = self.lock().insert(id, self.timer(chat, user, id));
        match earlier {
            Some(earlier) => earlier.abort(),
            None => self.typists.enter(user, id),
        }
        chat.announce_typing(user, id, true);
        let too_many = self.lock().len() > MAX_CHATS;
        let other = || self.lock().keys().copied().find(|other| *other != id);
        if let Some(other) = too_many.then(other).flatten()
            && let Some(timer) = self.remove(other)
        {
            timer.abort();
            ended(chat, &self.typists, user, other);
        }
    }

    fn timer(&self, chat: &Service, user: &UserId, id: ChatId) -> AbortHandle {
        let (service, typist) = (chat.clone(), user.clone());
        let (timers, typists) = (Arc::clone(&self.timers), Arc::clone(&self.typists));
        let timer = tokio::spawn(async move {
            tokio::time::sleep(TYPING_TIMEOUT).await;
            let mut known = timers.lock().unwrap_or_else(PoisonError::into_inner);
            // Another may have begun just now, and this one is not heard any more.
            if known.get(&id).map(AbortHandle::id) != tokio::task::try_id() {
                return;
            }
            known.remove(&id);
            drop(known);
            ended(&service, &typists, &typist, id);
        });
        timer.abort_handle()
    }

    /// The user says that they have stopped typing in `chat`. True of this device alone, and said to the others when it is of all.
    pub(super) fn stopped(&self, chat: &Service, user: &UserId, id: ChatId) {
        match self.remove(id) {
            Some(timer) => {
                timer.abort();
                ended(chat, &self.typists, user, id);
            }
            // Nobody was told that they began here; to say it again does no harm.
            None if !self.typists.is_typing(user, id) => chat.announce_typing(user, id, false),
            None => {}
        }
    }

    /// The socket is gone: tells every chat in which it was typing.
    pub(super) fn stop_all(&self, chat: &Service, user: &UserId) {
        let timers = std::mem::take(&mut *self.lock());
        for (id, timer) in timers {
            timer.abort();
            ended(chat, &self.typists, user, id);
        }
    }

    fn remove(&self, id: ChatId) -> Option<AbortHandle> {
        self.lock().remove(&id)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ChatId, AbortHandle>> {
        self.timers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Typing has ended on one device.
fn ended(chat: &Service, typists: &Typists, user: &UserId, id: ChatId) {
    if typists.leave(user, id) {
        chat.announce_typing(user, id, false);
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;
    use tokio::sync::mpsc::Receiver;
    use tokio::time::advance;

    use super::*;
    use crate::chat::{Event, Options};
    use crate::store::{self, Store};

    fn service() -> (Service, Receiver<Event>, TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let options = store::Options {
            data_dir: dir.path().to_owned(),
            cache: 8 << 20,
            queue: 64,
        };
        let (store, _) = Store::open(&options).unwrap();
        let (chat, events) = Service::new(store, Options::default());
        (chat, events, dir)
    }

    /// Lets time pass, and the timers that are due.
    async fn pass(time: Duration) {
        // A timer that was set just now runs from when its task is first looked at.
        settle().await;
        advance(time).await;
        settle().await;
    }

    async fn settle() {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    /// What the others hear: that it began, or stopped.
    fn heard(events: &mut Receiver<Event>) -> Vec<bool> {
        let mut heard = Vec::new();
        while let Ok(event) = events.try_recv() {
            let Event::Typing { is_typing, .. } = event else {
                panic!("{event:?}");
            };
            heard.push(is_typing);
        }
        heard
    }

    fn stops(events: &mut Receiver<Event>) -> usize {
        heard(events)
            .iter()
            .filter(|is_typing| !**is_typing)
            .count()
    }

    #[tokio::test(start_paused = true)]
    async fn the_stop_of_another_device_is_not_heard_after_the_begin_of_this_one() {
        let (chat, mut events, _dir) = service();
        let (user, id) = ("rohan".parse().unwrap(), "f".repeat(24).parse().unwrap());
        let typists = Arc::default();
        let [laptop, phone] = [Typing::new(&typists), Typing::new(&typists)];
        laptop.started(&chat, &user, id);
        phone.stopped(&chat, &user, id);
        assert_eq!(heard(&mut events), [true], "who begins tells it at once");
        phone.started(&chat, &user, id);
        laptop.stopped(&chat, &user, id);
        assert_eq!(heard(&mut events), [true]);
        phone.stopped(&chat, &user, id);
        assert_eq!(heard(&mut events), [false]);
    }

    #[tokio::test(start_paused = true)]
    async fn typing_that_is_not_renewed_stops_by_itself() {
        let (chat, mut events, _dir) = service();
        let (user, id) = ("rohan".parse().unwrap(), "f".repeat(24).parse().unwrap());
        let typing = Typing::new(&Arc::default());
        for _ in 0..3 {
            typing.started(&chat, &user, id);
            pass(Duration::from_secs(9)).await;
            assert_eq!(stops(&mut events), 0, "it is renewed in time");
        }
        pass(Duration::from_millis(1001)).await;
        assert_eq!(stops(&mut events), 1);
        pass(TYPING_TIMEOUT * 3).await;
        typing.stop_all(&chat, &user);
        assert_eq!(stops(&mut events), 0, "and is told once");
        assert!(typing.lock().is_empty() && typing.typists.0.lock().unwrap().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn each_device_has_its_own_time_and_the_last_one_tells() {
        let (chat, mut events, _dir) = service();
        let (user, id) = ("rohan".parse().unwrap(), "f".repeat(24).parse().unwrap());
        let typists = Arc::default();
        let [laptop, phone] = [Typing::new(&typists), Typing::new(&typists)];
        laptop.started(&chat, &user, id);
        pass(Duration::from_secs(6)).await;
        phone.started(&chat, &user, id);
        pass(Duration::from_secs(6)).await;
        assert_eq!(
            stops(&mut events),
            0,
            "the laptop has stopped, the phone has not"
        );
        pass(Duration::from_secs(6)).await;
        assert_eq!(stops(&mut events), 1);
        laptop.started(&chat, &user, id);
        phone.started(&chat, &user, id);
        laptop.stopped(&chat, &user, id);
        assert_eq!(stops(&mut events), 0);
        phone.stop_all(&chat, &user);
        assert_eq!(stops(&mut events), 1);
        assert!(typists.0.lock().unwrap().is_empty());
    }
}
