//! The names of rooms. A user's room and a chat's room can never be confused: only these functions make them.

use crate::id::{ChatId, UserId};

/// All sockets of a user.
pub(super) fn of_user(user: &UserId) -> String {
    format!("user:{user}")
}

/// The sockets that have a chat open.
pub(super) fn of_chat(chat: ChatId) -> String {
    format!("chat:{chat}")
}
