//! In which chats one socket's user is typing. It stops by itself when nothing more is heard of it.

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

/// The chats that one socket is typing in, each with the timer that ends it.
#[derive(Debug, Default)]
pub(super) struct Typing {
    timers: Arc<Mutex<HashMap<ChatId, AbortHandle>>>,
}

impl Typing {
    /// The user types in a chat: others have been told; ends by itself.
    pub(super) fn started(&self, chat: &Service, user: &UserId, id: ChatId) {
        let (service, typist, timers) = (chat.clone(), user.clone(), Arc::clone(&self.timers));
        let timer = tokio::spawn(async move {
            tokio::time::sleep(TYPING_TIMEOUT).await;
            let mut known = timers.lock().unwrap_or_else(PoisonError::into_inner);
            // Another may have begun just now, and this one is not heard any more.
            if known.get(&id).map(AbortHandle::id) == tokio::task::try_id() {
                known.remove(&id);
                service.announce_typing(&typist, id, false);
            }
        });
        let mut known = self.timers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(earlier) = known.insert(id, timer.abort_handle()) {
            earlier.abort();
        }
        if known.len() > MAX_CHATS
            && let Some(other) = known.keys().copied().find(|other| *other != id)
        {
            known.remove(&other).inspect(AbortHandle::abort);
            chat.announce_typing(user, other, false);
        }
    }

    /// The user has stopped typing in `chat`.
    pub(super) fn stopped(&self, id: ChatId) {
        if let Some(timer) = self
            .timers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&id)
        {
            timer.abort();
        }
    }

    /// The socket is gone: tells every chat in which it was typing.
    pub(super) fn stop_all(&self, chat: &Service, user: &UserId) {
        let timers =
            std::mem::take(&mut *self.timers.lock().unwrap_or_else(PoisonError::into_inner));
        for (id, timer) in timers {
            timer.abort();
            chat.announce_typing(user, id, false);
        }
    }
}
