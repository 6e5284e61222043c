//! What happened, to whom it matters. The only place that emits what others did: one task, so every socket sees a
//! chat's events in commit order. An event is encoded once and its bytes are shared.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::mpsc;

use super::rooms;
use crate::chat::{Caller, Event, MessageDetails, Service, UnreadChange};
use crate::id::{ChatId, MessageId, UserId};
use crate::metrics::Figures;
use crate::socketio::{CloseReason, Namespace, Outgoing, SocketId};
use crate::view::{
    self, BlockedView, DeletedView, ManyDeletedView, PresenceView, ReceiptView, Time, TypingView,
    UserBlockedView,
};

/// Turns events into emits.
#[derive(Debug)]
pub struct Delivery {
    chat: Service,
    namespace: Namespace,
    figures: Arc<Figures>,
}

impl Delivery {
    /// Delivers the events of `chat` to the sockets of `namespace`.
    pub fn new(chat: Service, namespace: &Namespace, figures: Arc<Figures>) -> Self {
        Self {
            chat,
            namespace: namespace.clone(),
            figures,
        }
    }

    /// Delivers until there are no more events.
    pub async fn run(self, mut events: mpsc::Receiver<Event>) {
        while let Some(event) = events.recv().await {
            self.deliver(event).await;
        }
    }

    #[expect(clippy::too_many_lines, reason = "it is a table")]
    async fn deliver(&self, event: Event) {
        match event {
            Event::MessageSent {
                message,
                participants,
                unread,
                arrived,
                by,
            } => {
                self.message(&message, &participants, &by);
                self.counters(&unread, &by);
                let (chat, kind) = (message.message.chat, message.message.kind.as_str());
                self.figures.delivered(chat, kind, arrived.elapsed());
            }
            Event::MessageRead {
                chat,
                message,
                participants,
                unread,
                by,
            } => {
                let view = ReceiptView {
                    chat_id: chat,
                    message_id: message,
                    user_id: &by.user,
                };
                self.to_participants("messageRead", &view, &participants, &by);
                self.counters(&[unread], &by);
            }
            Event::MessageDelivered {
                chat,
                message,
                user,
                sender,
            } => {
                let view = ReceiptView {
                    chat_id: chat,
                    message_id: message,
                    user_id: &user,
                };
                self.to_users("messageDelivered", &view, &[sender]);
            }
            Event::MessageDeleted {
                chat,
                message,
                participants,
                unread,
                by,
            } => {
                let view = DeletedView {
                    chat_id: chat,
                    message_id: message,
                };
                self.to_participants("messageDeleted", &view, &participants, &by);
                self.counters(&unread, &by);
            }
            Event::MessagesDeleted {
                chat,
                messages,
                recent,
                participants,
                unread,
            } => {
                self.many_deleted(chat, &messages, &recent, &participants);
                self.all_counters(&unread);
            }
            Event::CountersSank { unread } => self.all_counters(&unread),
            Event::UserExpelled { user } => {
                // The standard client comes back by itself, is refused, and is told why.
                self.namespace
                    .close_room(&rooms::of_user(&user), CloseReason::TokenExpired);
            }
            Event::ChatUpdated { chat } => {
                let participants = &chat.chat.participants;
                self.to_users("chatUpdated", &view::chat_update(&chat), participants);
            }
            Event::ChatBlocked {
                chat,
                blocked_by,
                participants,
                by,
            } => {
                let view = BlockedView {
                    chat_id: chat,
                    blocked_by: &blocked_by,
                };
                self.to_participants("chatBlocked", &view, &participants, &by);
            }
            Event::ChatOpened { chat, others } => {
                self.figures.chat_opened();
                self.to_users("newChat", &view::chat(&chat), &others);
            }
            Event::PresenceChanged { user, audience } => self.presence(user, audience).await,
            Event::PresenceHidden { user, audience } => {
                let view = PresenceView {
                    user_id: &user,
                    is_online: false,
                    last_seen: None,
                };
                self.to_users("userStatus", &view, &audience);
            }
            Event::UserBlocked {
                user,
                is_blocked,
                by,
            } => {
                let view = UserBlockedView {
                    user_id: &user,
                    is_blocked,
                };
                let own = std::slice::from_ref(&by.user);
                self.to_participants("userBlocked", &view, own, &by);
            }
            Event::Typing {
                chat,
                user,
                is_typing,
            } => self.typing(chat, &user, is_typing),
        }
    }

    /// Whoever has at least one socket that took the message has been handed it.
    fn message(&self, details: &MessageDetails, participants: &[UserId], by: &Caller) {
        let message = &details.message;
        tracing::debug!(chat = %message.chat, user = %by.user, id = %message.id, "message sent");
        let Some(event) = self.encode("newMessage", &view::message(details)) else {
            return;
        };
        for user in participants {
            let reached = self.to_user(&event, user, own_socket(by, user));
            if reached > 0 && *user != message.sender {
                self.chat.handed_over(message.chat, user, message.seq);
            }
        }
    }

    /// Each of those that an app shows in the words that every client knows, and all of them in one event.
    fn many_deleted(
        &self,
        chat_id: ChatId,
        messages: &[MessageId],
        recent: &[MessageId],
        participants: &[UserId],
    ) {
        for &message_id in recent {
            let view = DeletedView {
                chat_id,
                message_id,
            };
            self.to_users("messageDeleted", &view, participants);
        }
        let view = ManyDeletedView {
            chat_id,
            message_ids: messages,
        };
        self.to_users("messagesDeleted", &view, participants);
    }

    /// What is true now, not what was true when it was announced: the last word is right, whoever overtakes whom.
    async fn presence(&self, user: UserId, audience: Vec<UserId>) {
        let told = match self.chat.presence_told(user, audience).await {
            Ok(told) => told,
            // Costs nothing that the next fetch does not bring.
            Err(error) => return tracing::warn!(%error, "a change of presence was not told"),
        };
        let view = PresenceView {
            user_id: &told.user,
            is_online: told.is_online,
            last_seen: told.last_seen.map(Time),
        };
        self.to_users("userStatus", &view, &told.audience);
    }

    fn typing(&self, chat: ChatId, user: &UserId, is_typing: bool) {
        let view = TypingView {
            user_id: user,
            is_typing,
            chat_id: chat,
        };
        let Some(event) = self.encode("typing", &view) else {
            return;
        };
        let own: Vec<SocketId> = self
            .namespace
            .sockets(&rooms::of_user(user))
            .iter()
            .map(crate::socketio::Socket::id)
            .collect();
        self.namespace
            .broadcast(&event.volatile(), &[rooms::of_chat(chat)], &own);
    }

    fn counters(&self, changes: &[UnreadChange], by: &Caller) {
        for change in changes {
            if let Some(event) = self.encode("unreadCount", &view::unread(change)) {
                self.to_user(&event, &change.user, own_socket(by, &change.user));
            }
        }
    }

    fn all_counters(&self, changes: &[UnreadChange]) {
        for change in changes {
            let user = std::slice::from_ref(&change.user);
            self.to_users("unreadCount", &view::unread(change), user);
        }
    }

    fn to_participants(
        &self,
        name: &str,
        view: &impl Serialize,
        participants: &[UserId],
        by: &Caller,
    ) {
        let Some(event) = self.encode(name, view) else {
            return;
        };
        for user in participants {
            self.to_user(&event, user, own_socket(by, user));
        }
    }

    fn to_users(&self, name: &str, view: &impl Serialize, users: &[UserId]) {
        let Some(event) = self.encode(name, view) else {
            return;
        };
        for user in users {
            self.to_user(&event, user, None);
        }
    }

    /// Answers how many sockets of the user took it.
    fn to_user(&self, event: &Outgoing, user: &UserId, except: Option<SocketId>) -> usize {
        self.namespace
            .broadcast(event, &[rooms::of_user(user)], except.as_slice())
            .sockets
    }

    fn encode(&self, name: &str, view: &impl Serialize) -> Option<Outgoing> {
        Outgoing::new(&self.namespace, name, view)
            .inspect_err(
                |error| tracing::error!(%error, name, "an event cannot be written as JSON"),
            )
            .ok()
    }
}

/// The socket on whose behalf a REST call was made, to be left out among `user`'s: only callers can leave out a socket, and only
/// their own.
fn own_socket(by: &Caller, user: &UserId) -> Option<SocketId> {
    by.origin
        .as_deref()
        .filter(|_| *user == by.user)
        .and_then(SocketId::parse)
}
