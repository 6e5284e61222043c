//! Who types where. The only thing said in a chat that is never stored.

use super::{Event, Service};
use crate::id::{ChatId, UserId};

impl Service {
    /// Tells the chat's room that the user types or has stopped. Whether they may is asked before, by
    /// [`Service::check_may_send`]; that they have stopped is true whatever has happened to the chat. Volatile: dropped when delivery is
    /// behind.
    pub fn announce_typing(&self, user: &UserId, chat: ChatId, is_typing: bool) {
        let user = user.clone();
        let _ = self.events.try_send(Event::Typing {
            chat,
            user,
            is_typing,
        });
    }
}
