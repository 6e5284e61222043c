//! What has happened. Rules return answers; everything that others have to hear of comes out of `chat` as one of these,
//! after what is stored of it is on stable storage, in commit order. Only `realtime::delivery` turns them into emits.

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use super::Caller;
use super::details::{ChatDetails, MessageDetails};
use crate::id::{ChatId, MessageId, UserId};

/// A counter that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadChange {
    /// Whose.
    pub user: UserId,
    /// In which chat.
    pub chat: ChatId,
    /// Unread messages there now.
    pub count: u32,
    /// Over all of the user's chats.
    pub total: u64,
}

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// A message was stored.
    MessageSent {
        /// The message as everybody sees it.
        message: Arc<MessageDetails>,
        /// To whom.
        participants: Vec<UserId>,
        /// The receivers' counters.
        unread: Vec<UnreadChange>,
        /// When it came in.
        arrived: Instant,
        /// Whose doing it was.
        by: Caller,
    },
    /// Somebody has read everything up to a message.
    MessageRead {
        /// Where.
        chat: ChatId,
        /// The last message read.
        message: MessageId,
        /// To whom.
        participants: Vec<UserId>,
        /// The reader's counter.
        unread: UnreadChange,
        /// Whose doing it was.
        by: Caller,
    },
    /// Everything up to a message has been handed to somebody.
    MessageDelivered {
        /// Where.
        chat: ChatId,
        /// The last message handed over.
        message: MessageId,
        /// To whom it was handed.
        user: UserId,
        /// Who sent that message, and hears of it.
        sender: UserId,
    },
    /// A message's content is gone.
    MessageDeleted {
        /// Where.
        chat: ChatId,
        /// Which.
        message: MessageId,
        /// To whom.
        participants: Vec<UserId>,
        /// Counters that sank.
        unread: Vec<UnreadChange>,
        /// Whose doing it was.
        by: Caller,
    },
    /// Many messages of a chat lost their content at once.
    MessagesDeleted {
        /// Where.
        chat: ChatId,
        /// All of them.
        messages: Vec<MessageId>,
        /// Those that an app is likely to show.
        recent: Vec<MessageId>,
        /// To whom.
        participants: Vec<UserId>,
        /// Counters that sank.
        unread: Vec<UnreadChange>,
    },
    /// Counters sank because messages were too old to be kept. No event on disk: the counters are.
    CountersSank {
        /// The counters.
        unread: Vec<UnreadChange>,
    },
    /// The host wants a user to be here no more: erased, or banned.
    UserExpelled {
        /// Who.
        user: UserId,
    },
    /// What is shown of a participant or of the pet of a chat has changed. Not on disk: whoever fetches the chat sees it.
    ChatUpdated {
        /// The chat as everybody sees it.
        chat: Arc<ChatDetails>,
    },
    /// Somebody blocked or unblocked a chat.
    ChatBlocked {
        /// Which.
        chat: ChatId,
        /// Who blocks it now.
        blocked_by: Vec<UserId>,
        /// To whom.
        participants: Vec<UserId>,
        /// Whose doing it was.
        by: Caller,
    },
    /// A chat was opened.
    ChatOpened {
        /// The chat as everybody sees it.
        chat: Arc<ChatDetails>,
        /// To whom: everybody but the one who opened it.
        others: Vec<UserId>,
    },
    /// A user came or went, or is shown again to somebody. What of it is true, and who may hear it, is asked when this is delivered, so
    /// that the last word is always true: see [`Service::presence_told`](super::Service::presence_told). Not on disk, but for `lastSeen`.
    PresenceChanged {
        /// Who.
        user: UserId,
        /// To whom, but for those whom they have blocked.
        audience: Vec<UserId>,
    },
    /// A user is not shown to some others any more: to them they look as if they had gone. Not on disk: the block is.
    PresenceHidden {
        /// Who.
        user: UserId,
        /// From whom.
        audience: Vec<UserId>,
    },
    /// Somebody blocked or unblocked a person, which is nobody's business but their own.
    UserBlocked {
        /// Whom.
        user: UserId,
        /// Blocked, or not any more.
        is_blocked: bool,
        /// Whose doing it was.
        by: Caller,
    },
    /// Somebody types or has stopped. Volatile: it is not on disk, and dropped where delivery is behind.
    Typing {
        /// Where.
        chat: ChatId,
        /// Who.
        user: UserId,
        /// Typing, or stopped.
        is_typing: bool,
    },
}

/// The format of [`Event::record`].
const RECORD_VERSION: u8 = 1;

impl Event {
    /// What the journal keeps of this event for those who follow it later: a version byte, a code, and bincode of the
    /// ids. Nothing that the commit's rows do not hold already.
    pub(super) fn record(&self) -> Vec<u8> {
        match self {
            Event::MessageSent { message, .. } => {
                record(1, &(message.message.chat, message.message.seq))
            }
            Event::MessageRead {
                chat, message, by, ..
            } => record(2, &(chat, message, &by.user)),
            Event::MessageDelivered {
                chat,
                message,
                user,
                ..
            } => record(3, &(chat, message, user)),
            Event::MessageDeleted { chat, message, .. } => record(4, &(chat, message)),
            Event::ChatBlocked {
                chat, blocked_by, ..
            } => record(5, &(chat, blocked_by)),
            Event::ChatOpened { chat, .. } => record(6, &chat.chat.id),
            Event::MessagesDeleted { chat, messages, .. } => record(7, &(chat, messages)),
            Event::UserExpelled { user } => record(8, user),
            Event::UserBlocked {
                user,
                is_blocked,
                by,
            } => record(9, &(&by.user, user, is_blocked)),
            Event::PresenceChanged { .. }
            | Event::PresenceHidden { .. }
            | Event::Typing { .. }
            | Event::ChatUpdated { .. }
            | Event::CountersSank { .. } => Vec::new(),
        }
    }
}

fn record(code: u8, ids: &impl Serialize) -> Vec<u8> {
    let mut bytes = vec![RECORD_VERSION, code];
    // Writing ids to memory cannot fail.
    let _ = bincode::serialize_into(&mut bytes, ids);
    bytes
}
