//! Who types where. The only thing said in a chat that is never stored.

use super::{Error, Event, Service};
use crate::id::{ChatId, UserId};

impl Service {
    /// Tells the chat's room that the user types or has stopped, if the user may send there.
    pub async fn typing(&self, user: &UserId, chat: ChatId, is_typing: bool) -> Result<(), Error> {
        self.check_may_send(user, chat).await?;
        self.announce_typing(user, chat, is_typing);
        Ok(())
    }

    /// Tells it without asking: that a user has stopped is true whatever has happened to the chat. Volatile: dropped when
    /// delivery is behind.
    pub fn announce_typing(&self, user: &UserId, chat: ChatId, is_typing: bool) {
        let user = user.clone();
        let _ = self.events.try_send(Event::Typing {
            chat,
            user,
            is_typing,
        });
    }
}
