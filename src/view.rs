//! The JSON shape of each thing, for REST answers, acks and events alike: what leaves here is the wire contract.

mod report;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

pub use self::report::{
    OwnReportView, ReportView, WholeReportView, own_report, report, whole_report,
};
use crate::chat::{
    ChatDetails, ChatPage, HistoryPage, MessageDetails, Pages, Status, UnreadChange,
};
use crate::id::{ChatId, MessageId, UserId};
use crate::model::{Attachment, Pet, Reaction, Timestamp, User};

/// Where uploaded files are served; a file's name follows.
pub const MEDIA_PATH: &str = "/uploads/chat_media/";

/// A moment in RFC 3339, UTC, with milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Time(pub Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A participant as the others see them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserView<'a> {
    #[serde(rename = "_id")]
    id: &'a UserId,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile_picture: Option<&'a str>,
    is_online: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen: Option<Time>,
}

/// The view of a user.
pub fn user(user: &User, is_online: bool) -> UserView<'_> {
    UserView {
        id: &user.id,
        name: &user.name,
        email: user.email.as_deref(),
        profile_picture: user.picture.as_deref(),
        is_online,
        last_seen: user.last_seen.map(Time),
    }
}

/// A user as the host sees them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HostUserView<'a> {
    #[serde(flatten)]
    user: UserView<'a>,
    is_banned: bool,
}

/// The view of a user for the host.
pub fn host_user(user: &User, is_online: bool) -> HostUserView<'_> {
    HostUserView {
        user: self::user(user, is_online),
        is_banned: user.banned,
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SenderView<'a> {
    #[serde(rename = "_id")]
    id: &'a UserId,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile_picture: Option<&'a str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MediaView<'a> {
    url: String,
    mime_type: &'a str,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u32>,
}

impl<'a> MediaView<'a> {
    fn of(file: &'a Attachment) -> Self {
        Self {
            url: format!("{MEDIA_PATH}{}", file.name),
            mime_type: &file.mime,
            size: file.size,
            width: file.width,
            height: file.height,
        }
    }
}

/// A message; the same in REST answers, acks and `newMessage`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageView<'a> {
    #[serde(rename = "_id")]
    id: MessageId,
    chat: ChatId,
    sender: SenderView<'a>,
    message_type: &'static str,
    content: &'a str,
    media_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    media: Option<MediaView<'a>>,
    read_by: &'a [UserId],
    status: &'static str,
    parent_message: Option<Box<MessageView<'a>>>,
    /// Reactions and edits come with imported messages; nobody can add any yet.
    reactions: &'a [Reaction],
    is_edited: bool,
    is_deleted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_message_id: Option<&'a str>,
    seq: u64,
    created_at: Time,
    updated_at: Time,
}

/// The view of a message.
pub fn message(details: &MessageDetails) -> MessageView<'_> {
    let (message, sender) = (&details.message, &details.sender);
    MessageView {
        id: message.id,
        chat: message.chat,
        sender: SenderView {
            id: &sender.id,
            name: &sender.name,
            profile_picture: sender.picture.as_deref(),
        },
        message_type: message.kind.as_str(),
        content: &message.content,
        media_url: message.attachment.as_ref().map(|file| file.name.as_str()),
        media: message.attachment.as_ref().map(MediaView::of),
        read_by: &details.read_by,
        status: match details.status {
            Status::Sent => "sent",
            Status::Delivered => "delivered",
            Status::Read => "read",
        },
        parent_message: details
            .parent
            .as_deref()
            .map(|parent| Box::new(self::message(parent))),
        reactions: &message.reactions,
        is_edited: message.edited,
        is_deleted: message.deleted,
        client_message_id: message.client_id.as_deref(),
        seq: message.seq,
        created_at: Time(message.created_at),
        updated_at: Time(message.updated_at),
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CountView<'a> {
    user_id: &'a UserId,
    count: u32,
}

/// A chat; the same in REST answers and `newChat`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChatView<'a> {
    #[serde(rename = "_id")]
    id: ChatId,
    participants: Vec<UserView<'a>>,
    pet_listing: Option<&'a RawValue>,
    chat_type: &'static str,
    last_message: Option<MessageView<'a>>,
    last_message_time: Time,
    is_active: bool,
    blocked_by: &'a [UserId],
    unread_count: Vec<CountView<'a>>,
    created_at: Time,
    updated_at: Time,
}

/// The view of a chat.
pub fn chat(details: &ChatDetails) -> ChatView<'_> {
    let chat = &details.chat;
    ChatView {
        id: chat.id,
        participants: participants(details),
        pet_listing: details.pet.as_ref().and_then(pet),
        chat_type: chat.kind.as_str(),
        last_message: details.last_message.as_ref().map(message),
        last_message_time: Time(chat.last_message_at),
        is_active: details.is_active,
        blocked_by: &chat.blocked_by,
        unread_count: details
            .participants
            .iter()
            .map(|one| CountView {
                user_id: &one.user.id,
                count: one.unread,
            })
            .collect(),
        created_at: Time(chat.created_at),
        updated_at: Time(chat.updated_at),
    }
}

/// The view of a chat for those who take no part in it: nothing that was said.
pub fn chat_without_words(details: &ChatDetails) -> ChatView<'_> {
    ChatView {
        last_message: None,
        ..chat(details)
    }
}

/// `chatUpdated`: what has changed of a chat without a message.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChatUpdateView<'a> {
    chat_id: ChatId,
    participants: Vec<UserView<'a>>,
    pet_listing: Option<&'a RawValue>,
    is_active: bool,
}

/// The view of a chat whose participants or pet have changed.
pub fn chat_update(details: &ChatDetails) -> ChatUpdateView<'_> {
    ChatUpdateView {
        chat_id: details.chat.id,
        participants: participants(details),
        pet_listing: details.pet.as_ref().and_then(pet),
        is_active: details.is_active,
    }
}

fn participants(details: &ChatDetails) -> Vec<UserView<'_>> {
    let participants = details.participants.iter();
    participants
        .map(|one| user(&one.user, one.is_online))
        .collect()
}

/// The host's own document of a pet, as it gave it.
pub fn pet(pet: &Pet) -> Option<&RawValue> {
    serde_json::from_str(&pet.document).ok()
}

/// Where a page stands. Cursors have no page numbers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PaginationView {
    #[serde(skip_serializing_if = "Option::is_none")]
    current_page: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_pages: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_chats: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_messages: Option<u64>,
    has_more: bool,
}

/// The pagination of a list of chats.
fn chat_pages(pages: Pages) -> PaginationView {
    PaginationView {
        current_page: Some(pages.page),
        total_pages: Some(pages.count()),
        total_chats: Some(pages.total),
        total_messages: None,
        has_more: pages.has_more(),
    }
}

/// The pagination of a part of a history; a cursor has no page numbers.
pub fn history_pages(page: &HistoryPage) -> PaginationView {
    PaginationView {
        current_page: page.pages.map(|pages| pages.page),
        total_pages: page.pages.map(Pages::count),
        total_chats: None,
        total_messages: Some(page.total),
        has_more: page.has_more,
    }
}

/// A page of a user's chats. Like its sibling it is written straight into the answer: a tree of values in between would cost more than all
/// the rest of the request.
#[derive(Debug, Serialize)]
pub struct ChatListView<'a> {
    chats: Vec<ChatView<'a>>,
    pagination: PaginationView,
}

/// The view of a page of chats.
pub fn chat_list(page: &ChatPage) -> ChatListView<'_> {
    ChatListView {
        chats: page.chats.iter().map(chat).collect(),
        pagination: chat_pages(page.pages),
    }
}

/// A part of a chat's history.
#[derive(Debug, Serialize)]
pub struct HistoryView<'a> {
    messages: Vec<MessageView<'a>>,
    pagination: PaginationView,
}

/// The view of a part of a history.
pub fn history(page: &HistoryPage) -> HistoryView<'_> {
    HistoryView {
        messages: page.messages.iter().map(message).collect(),
        pagination: history_pages(page),
    }
}

/// `messageRead`, `messageDelivered`: everything up to `messageId`, by or to `userId`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReceiptView<'a> {
    /// Where.
    pub chat_id: ChatId,
    /// The last message meant.
    pub message_id: MessageId,
    /// The reader or receiver.
    pub user_id: &'a UserId,
}

/// `messageDeleted`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeletedView {
    /// Where.
    pub chat_id: ChatId,
    /// Which.
    pub message_id: MessageId,
}

/// `messagesDeleted`: many at once.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ManyDeletedView<'a> {
    /// Where.
    pub chat_id: ChatId,
    /// Which.
    pub message_ids: &'a [MessageId],
}

/// `chatBlocked`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockedView<'a> {
    /// Which.
    pub chat_id: ChatId,
    /// Who blocks it now.
    pub blocked_by: &'a [UserId],
}

/// `userBlocked`: to the own sockets of who did it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserBlockedView<'a> {
    /// Whom.
    pub user_id: &'a UserId,
    /// Blocked, or not any more.
    pub is_blocked: bool,
}

/// Somebody whom the caller has blocked.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockedUserView<'a> {
    #[serde(flatten)]
    user: SenderView<'a>,
    blocked_at: Time,
}

/// The view of a blocked user for who has blocked them.
pub fn blocked_user(user: &User, since: Timestamp) -> BlockedUserView<'_> {
    BlockedUserView {
        user: SenderView {
            id: &user.id,
            name: &user.name,
            profile_picture: user.picture.as_deref(),
        },
        blocked_at: Time(since),
    }
}

/// `typing`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TypingView<'a> {
    /// Who.
    pub user_id: &'a UserId,
    /// Typing, or stopped.
    pub is_typing: bool,
    /// Where.
    pub chat_id: ChatId,
}

/// `userStatus`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PresenceView<'a> {
    /// Who.
    pub user_id: &'a UserId,
    /// Whether a socket of theirs is connected.
    pub is_online: bool,
    /// When they were last seen.
    pub last_seen: Option<Time>,
}

/// `unreadCount`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UnreadView {
    chat_id: ChatId,
    count: u32,
    total: u64,
}

/// The view of a changed counter.
pub fn unread(change: &UnreadChange) -> UnreadView {
    UnreadView {
        chat_id: change.chat,
        count: change.count,
        total: change.total,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_milliseconds_and_a_z() {
        let json = |ms| serde_json::to_string(&Time(Timestamp(ms))).unwrap();
        assert_eq!(json(0), r#""1970-01-01T00:00:00.000Z""#);
        assert_eq!(json(1_736_164_800_120), r#""2025-01-06T12:00:00.120Z""#);
        assert_eq!(json(i64::MAX), r#""1970-01-01T00:00:00.000Z""#);
    }
}
