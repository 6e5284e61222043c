//! Why a rule said no: the contract of `chat` with both edges, which translate it each in one exhaustive `match`.

use crate::guard::Wait;
use crate::store;

/// A refusal, with the sentence that clients see.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A request that is not of the asked form; the text says what is wrong.
    #[error("{0}")]
    InvalidRequest(&'static str),
    /// A field that is not there, or holds another type of value; names it.
    #[error("{0} is missing or has the wrong type")]
    WrongField(String),
    /// A text that cannot be an id; names the field.
    #[error("{0} is not a valid id")]
    InvalidId(&'static str),
    /// Nothing but white space.
    #[error("Message content cannot be empty")]
    ContentEmpty,
    /// Over 1000 UTF-16 units.
    #[error("Message too long")]
    ContentTooLong,
    /// Neither `text` nor `image` nor `video`.
    #[error("Invalid message type")]
    InvalidMessageType,
    /// `mediaUrl` is missing where it is needed, or names no file that this sender uploaded to this chat.
    #[error("mediaUrl must name a file of this type that you uploaded to this chat")]
    InvalidMedia,
    /// The parent is not a message of this chat.
    #[error("parentMessageId must name a message of this chat")]
    InvalidParent,
    /// A chat with oneself, or an inquiry about one's own pet.
    #[error("You cannot start a chat with yourself")]
    SelfChat,
    /// The named participant does not own the pet.
    #[error("participantId is not the owner of this pet")]
    NotPetOwner,
    /// The caller is not known and unknown users are not let in.
    #[error("Invalid token. User not found.")]
    CallerUnknown,
    /// The caller is banned.
    #[error("This account is banned")]
    CallerBanned,
    /// Not a participant, or no such chat: which of them is not revealed.
    #[error("Access denied")]
    AccessDenied,
    /// Somebody has blocked the chat.
    #[error("This chat is blocked")]
    ChatBlocked,
    /// Only the sender may do this.
    #[error("You can only delete your own messages")]
    NotSender,
    /// The other side of a new chat is not known.
    #[error("User not found")]
    UserNotFound,
    /// No such pet.
    #[error("Pet not found")]
    PetNotFound,
    /// No such message, or not in this chat.
    #[error("Message not found")]
    MessageNotFound,
    /// No such report.
    #[error("Report not found")]
    ReportNotFound,
    /// The user has blocked as many people as one may.
    #[error("You have blocked as many people as one may")]
    TooManyBlocks,
    /// The same `clientMessageId` with other content.
    #[error("This clientMessageId was already used for another message")]
    Conflict,
    /// Too many in too short a time.
    #[error("Too many requests. Try again in {0} s")]
    RateLimited(u64),
    /// The same content to too many chats.
    #[error("You have sent this to many people already. Try again in {0} s")]
    DuplicateMessage(u64),
    /// More new chats than a person opens within an hour.
    #[error("You have opened many chats already. Try again in {0} s")]
    TooManyChats(u64),
    /// The user's files take as much as they may.
    #[error("Your storage for pictures and videos is full. Delete some to send others")]
    QuotaExceeded,
    /// The disk is full; reading goes on.
    #[error("The server's disk is full; nothing was stored")]
    StorageFull,
    /// The store cannot serve; the log says why.
    #[error("The server cannot serve this at the moment")]
    Unavailable,
}

impl Error {
    /// The stable name that clients may act on; never localised.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidRequest(_) | Self::WrongField(_) => "invalid_request",
            Self::InvalidId(_) => "invalid_id",
            Self::ContentEmpty => "content_empty",
            Self::ContentTooLong => "content_too_long",
            Self::InvalidMessageType => "invalid_message_type",
            Self::InvalidMedia => "invalid_media",
            Self::InvalidParent => "invalid_parent",
            Self::SelfChat => "self_chat",
            Self::NotPetOwner => "not_pet_owner",
            Self::CallerUnknown | Self::UserNotFound => "user_not_found",
            Self::CallerBanned => "user_banned",
            Self::AccessDenied => "access_denied",
            Self::ChatBlocked => "chat_blocked",
            Self::NotSender => "not_sender",
            Self::PetNotFound => "pet_not_found",
            Self::MessageNotFound => "message_not_found",
            Self::ReportNotFound => "report_not_found",
            Self::TooManyBlocks => "too_many_blocks",
            Self::Conflict => "conflict",
            Self::RateLimited(_) => "rate_limited",
            Self::DuplicateMessage(_) => "duplicate_message",
            Self::TooManyChats(_) => "too_many_chats",
            Self::QuotaExceeded => "quota_exceeded",
            Self::StorageFull => "storage_full",
            Self::Unavailable => "unavailable",
        }
    }

    /// In how many seconds it may be otherwise, where that is known.
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::RateLimited(seconds)
            | Self::DuplicateMessage(seconds)
            | Self::TooManyChats(seconds) => Some(*seconds),
            Self::Unavailable => Some(1),
            _ => None,
        }
    }
}

impl From<Wait> for Error {
    fn from(Wait(seconds): Wait) -> Self {
        Self::RateLimited(seconds)
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Full => Self::StorageFull,
            error => {
                tracing::error!(%error, "the store refused");
                Self::Unavailable
            }
        }
    }
}
