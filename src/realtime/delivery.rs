//! What happened, to whom it matters. The only place that emits what others did: one task, so every socket sees a chat's
//! events in commit order. An event is encoded once and its bytes are shared.

use serde::Serialize;
use tokio::sync::mpsc;

use super::{NAMESPACE, rooms};
use crate::chat::{Caller, Event, Service, UnreadChange};
use crate::id::UserId;
use crate::socketio::{Io, Outgoing};
use crate::view::{self, BlockedView, DeletedView, PresenceView, ReceiptView, Time, TypingView};

/// Delivers events until there are no more.
pub async fn deliver(chat: Service, io: Io, mut events: mpsc::Receiver<Event>) {
    while let Some(event) = events.recv().await {
        one(&chat, &io, &event).await;
    }
}

async fn one(chat: &Service, io: &Io, event: &Event) {
    match event {
        Event::MessageSent { message, participants, unread, by } => {
            let outgoing = outgoing("newMessage", &view::message(message));
            let message = &message.message;
            tracing::info!(chat = %message.chat, user = %by.user, message = %message.id, "message sent");
            for user in participants {
                let reached = to_user(io, user, by, &outgoing);
                if reached > 0 && *user != message.sender {
                    chat.handed_over(message.chat, user, message.seq);
                }
            }
            unread.iter().for_each(|change| counter(io, change));
        }
        Event::MessageRead { chat, message, participants, unread, by } => {
            let view = ReceiptView { chat_id: *chat, message_id: *message, user_id: &by.user };
            to_all(io, participants, by, &outgoing("messageRead", &view));
            counter(io, unread);
        }
        Event::MessageDelivered { chat, message, user, senders } => {
            let view = ReceiptView { chat_id: *chat, message_id: *message, user_id: user };
            let outgoing = outgoing("messageDelivered", &view);
            senders.iter().for_each(|sender| drop(to_room(io, sender, &outgoing, None)));
        }
        Event::MessageDeleted { chat, message, participants, unread, by } => {
            let view = DeletedView { chat_id: *chat, message_id: *message };
            to_all(io, participants, by, &outgoing("messageDeleted", &view));
            unread.iter().for_each(|change| counter(io, change));
        }
        Event::ChatBlocked { chat, blocked_by, participants, by } => {
            let view = BlockedView { chat_id: *chat, blocked_by };
            to_all(io, participants, by, &outgoing("chatBlocked", &view));
        }
        Event::ChatOpened { chat, others } => {
            let outgoing = outgoing("newChat", &view::chat(chat));
            others.iter().for_each(|user| drop(to_room(io, user, &outgoing, None)));
        }
        Event::PresenceChanged { user, audience } => presence(chat, io, user, audience).await,
        Event::Typing { chat, user, is_typing } => {
            let view = TypingView { user_id: user, is_typing: *is_typing, chat_id: *chat };
            let outgoing = outgoing("typing", &view);
            io.broadcast_volatile(&outgoing, &[&rooms::of_chat(*chat)], &rooms::of_user(user));
        }
    }
}

async fn presence(chat: &Service, io: &Io, user: &UserId, audience: &[UserId]) {
    // What is true now, not what was true when it was announced: the last word is right, whoever overtakes whom.
    let last_seen = chat.user(user.clone()).await.ok().and_then(|user| user.last_seen).map(Time);
    let view = PresenceView { user_id: user, is_online: chat.presence().is_online(user), last_seen };
    let outgoing = outgoing("userStatus", &view);
    audience.iter().for_each(|contact| drop(to_room(io, contact, &outgoing, None)));
}

fn counter(io: &Io, change: &UnreadChange) {
    to_room(io, &change.user, &outgoing("unreadCount", &view::unread(change)), None);
}

fn to_all(io: &Io, users: &[UserId], by: &Caller, outgoing: &Outgoing) {
    for user in users {
        to_user(io, user, by, outgoing);
    }
}

/// To all sockets of a user. The socket on whose behalf a REST call was made is left out, and only if it is the caller's own.
fn to_user(io: &Io, user: &UserId, by: &Caller, outgoing: &Outgoing) -> usize {
    let origin = by.origin.as_deref().filter(|_| *user == by.user);
    to_room(io, user, outgoing, origin)
}
