//! What is to be imported, whatever it came from.

use serde::{Deserialize, Serialize};

use super::record::{End, Receipt};
use crate::chat::Profile;
use crate::id::{ChatId, MessageId, PetId, UserId};
use crate::model::{
    Attachment, ChatKind, Erased, Expired, MessageKind, Pet, Reaction, Report, Timestamp, User,
};

/// One row of an input.
#[derive(Debug)]
pub(super) enum Draft {
    /// The first line of an export, with nothing to import.
    Header,
    /// Somebody of whom nothing may come back.
    Erased(UserId, Erased),
    /// Who has blocked whom, and since when.
    Block(UserId, UserId, Timestamp),
    Report(Box<Report>),
    /// A moment that the other server remembers by a name.
    Mark(String, Timestamp),
    User(UserDraft),
    Pet(PetDraft),
    Chat(Box<ChatDraft>),
    Message(Box<MessageDraft>),
    /// The last line of an export.
    End(End),
}

#[derive(Debug)]
pub(super) enum UserDraft {
    /// What the host says of a user.
    Told {
        profile: Profile,
        last_seen: Option<Timestamp>,
    },
    /// A user as another jivchat had them.
    Kept(User),
}

#[derive(Debug)]
pub(super) enum PetDraft {
    /// Fields as the host gives them: laid over those that are known.
    Told(Pet),
    /// A pet as another jivchat had it.
    Kept(Pet),
    /// What another jivchat had left of a pet that was removed.
    Removed(Pet),
}

#[derive(Debug, Clone)]
pub(super) struct ChatDraft {
    pub(super) id: ChatId,
    pub(super) kind: ChatKind,
    pub(super) participants: Vec<UserId>,
    pub(super) pet: Option<PetId>,
    pub(super) blocked_by: Vec<UserId>,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    pub(super) last_message_at: Timestamp,
    /// Greater in the chat that stands higher in its participants' lists.
    pub(super) order: i64,
    pub(super) progress: Progress,
    /// How far retention had come, by the `seq` of the messages as they are given.
    pub(super) expired: Expired,
}

/// How far the participants had come.
#[derive(Debug, Clone)]
pub(super) enum Progress {
    /// Unread messages, where they were counted.
    Counts(Vec<(UserId, u64)>),
    /// Watermarks by the `seq` of the messages as they are given.
    Receipts(Vec<Receipt>),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct MessageDraft {
    pub(super) id: MessageId,
    pub(super) chat: ChatId,
    pub(super) sender: UserId,
    pub(super) kind: MessageKind,
    pub(super) content: String,
    pub(super) file: Option<FileDraft>,
    pub(super) parent: Option<MessageId>,
    pub(super) client_id: Option<String>,
    pub(super) deleted: bool,
    pub(super) edited: bool,
    pub(super) reactions: Vec<Reaction>,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    pub(super) read_by: Vec<UserId>,
    pub(super) reached: Reached,
    /// As another jivchat numbered it; 0 from elsewhere.
    pub(super) seq: u64,
}

/// How far the original says a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Reached {
    Sent,
    Delivered,
    Read,
}

/// The file of a message.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum FileDraft {
    /// By the name that the original gave it; still to be looked at.
    Named(String),
    /// As it is stored.
    Known(Attachment),
}

impl MessageDraft {
    /// Roughly what it takes in memory and in a journal frame.
    pub(super) fn weight(&self) -> usize {
        200 + self.content.len() + self.reactions.len() * 100 + self.read_by.len() * 50
    }

    /// Its file, if that is stored.
    pub(super) fn attachment(&self) -> Option<&Attachment> {
        match &self.file {
            Some(FileDraft::Known(file)) => Some(file),
            _ => None,
        }
    }
}
