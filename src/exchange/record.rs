//! The lines of an export, version 3 (`docs/export.md`): one struct for each kind of record. A field of the model that is not
//! written here does not compile here: nothing can be forgotten.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::when::Moment;
use crate::id::{ChatId, MessageId, PetId, UserId};
use crate::model::{
    Attachment, Chat, ChatKind, Erased, Expired, Message, MessageKind, Pet, Reaction, ReadState,
    Timestamp, User,
};

/// The name in the first line.
pub(super) const FORMAT: &str = "jivchat-export";
/// The version in the first line.
pub(super) const VERSION: u32 = 3;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Header {
    pub(super) format: String,
    pub(super) version: u32,
    pub(super) exported_at: Moment,
    /// Whose or which, if it is not everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) chat: Option<ChatId>,
}

/// The last line: a file without it was cut off.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct End {
    pub(super) r#type: String,
    /// Version 1 had none.
    #[serde(default)]
    pub(super) erased: u64,
    pub(super) users: u64,
    pub(super) pets: u64,
    pub(super) chats: u64,
    pub(super) messages: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct UserRecord {
    r#type: String,
    #[serde(rename = "_id")]
    id: UserId,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile_picture: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen: Option<Moment>,
    banned: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    claims_digest: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    told_at: Option<u64>,
}

impl From<User> for UserRecord {
    fn from(user: User) -> Self {
        let User {
            id,
            name,
            email,
            picture,
            last_seen,
            banned,
            claims_digest,
            told_at,
        } = user;
        Self {
            r#type: "user".to_owned(),
            id,
            name,
            email,
            profile_picture: picture,
            last_seen: last_seen.map(Moment),
            banned,
            claims_digest,
            told_at,
        }
    }
}

impl From<UserRecord> for User {
    fn from(record: UserRecord) -> Self {
        Self {
            id: record.id,
            name: record.name,
            email: record.email,
            picture: record.profile_picture,
            last_seen: record.last_seen.map(|moment| moment.0),
            banned: record.banned,
            claims_digest: record.claims_digest,
            told_at: record.told_at,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PetRecord {
    r#type: String,
    #[serde(rename = "_id")]
    id: PetId,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<UserId>,
    /// It was removed, and this is what its chats show of it.
    #[serde(skip_serializing_if = "is_false", default)]
    pub(super) is_removed: bool,
    /// Byte for byte as the host gave it.
    document: Box<RawValue>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands fields by reference"
)]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl PetRecord {
    pub(super) fn new(pet: Pet, is_removed: bool) -> Result<Self, serde_json::Error> {
        let Pet {
            id,
            owner,
            document,
        } = pet;
        Ok(Self {
            r#type: "pet".to_owned(),
            id,
            owner,
            is_removed,
            document: RawValue::from_string(document)?,
        })
    }
}

impl From<PetRecord> for Pet {
    fn from(record: PetRecord) -> Self {
        Self {
            id: record.id,
            owner: record.owner,
            document: record.document.get().to_owned(),
        }
    }
}

/// Somebody who was erased, or is to be: nothing of theirs may come back.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ErasedRecord {
    r#type: String,
    #[serde(rename = "_id")]
    pub(super) id: UserId,
    at: Moment,
    finished: bool,
}

impl ErasedRecord {
    pub(super) fn new(id: UserId, erased: Erased) -> Self {
        let Erased { at, finished } = erased;
        Self {
            r#type: "erased".to_owned(),
            id,
            at: Moment(at),
            finished,
        }
    }

    pub(super) fn erased(&self) -> Erased {
        Erased {
            at: self.at.0,
            finished: self.finished,
        }
    }
}

/// A moment that the server remembers by a name.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct MarkRecord {
    r#type: String,
    pub(super) name: String,
    pub(super) at: Moment,
}

impl MarkRecord {
    pub(super) fn new(name: String, at: Timestamp) -> Self {
        Self {
            r#type: "mark".to_owned(),
            name,
            at: Moment(at),
        }
    }
}

/// How far retention has come in a chat, by the `seq` of messages.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ExpiredRecord {
    content: u64,
    media: u64,
}

impl ExpiredRecord {
    fn new(expired: Expired) -> Option<Self> {
        let Expired { content, media } = expired;
        (expired != Expired::default()).then_some(Self { content, media })
    }
}

impl From<ExpiredRecord> for Expired {
    fn from(record: ExpiredRecord) -> Self {
        Self {
            content: record.content,
            media: record.media,
        }
    }
}

/// How far a participant has come, by the `seq` of messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Receipt {
    pub(super) user_id: UserId,
    pub(super) read: u64,
    pub(super) delivered: u64,
}

impl Receipt {
    pub(super) fn new(user_id: UserId, state: ReadState) -> Self {
        // What is unread is counted anew from the messages.
        let ReadState {
            unread: _,
            read,
            delivered,
        } = state;
        Self {
            user_id,
            read,
            delivered,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ChatRecord {
    r#type: String,
    #[serde(rename = "_id")]
    pub(super) id: ChatId,
    pub(super) chat_type: String,
    pub(super) participants: Vec<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pet_listing: Option<PetId>,
    pub(super) blocked_by: Vec<UserId>,
    pub(super) receipts: Vec<Receipt>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) expired: Option<ExpiredRecord>,
    /// How many lines of messages follow.
    pub(super) messages: u64,
    /// Greater in the chat where something was said later.
    pub(super) activity: u64,
    pub(super) last_message_time: Moment,
    pub(super) created_at: Moment,
    pub(super) updated_at: Moment,
}

impl ChatRecord {
    pub(super) fn new(chat: Chat, receipts: Vec<Receipt>, expired: Expired) -> Self {
        let Chat {
            id,
            kind,
            participants,
            pet,
            blocked_by,
            created_at,
            updated_at,
            last_seq,
            last_message_at,
            activity,
        } = chat;
        Self {
            r#type: "chat".to_owned(),
            id,
            chat_type: kind.as_str().to_owned(),
            participants,
            pet_listing: pet,
            blocked_by,
            receipts,
            expired: ExpiredRecord::new(expired),
            messages: last_seq,
            activity,
            last_message_time: Moment(last_message_at),
            created_at: Moment(created_at),
            updated_at: Moment(updated_at),
        }
    }

    pub(super) fn kind(&self) -> Option<ChatKind> {
        ChatKind::from_name(&self.chat_type)
    }
}

/// A file by its name under the media directory.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct FileRecord {
    name: String,
    mime_type: String,
    size: u64,
    crc32: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u32>,
}

impl From<Attachment> for FileRecord {
    fn from(file: Attachment) -> Self {
        let Attachment {
            name,
            mime,
            size,
            crc32,
            width,
            height,
        } = file;
        Self {
            name,
            mime_type: mime,
            size,
            crc32,
            width,
            height,
        }
    }
}

impl From<FileRecord> for Attachment {
    fn from(record: FileRecord) -> Self {
        Self {
            name: record.name,
            mime: record.mime_type,
            size: record.size,
            crc32: record.crc32,
            width: record.width,
            height: record.height,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct MessageRecord {
    r#type: String,
    #[serde(rename = "_id")]
    pub(super) id: MessageId,
    pub(super) chat: ChatId,
    pub(super) seq: u64,
    pub(super) sender: UserId,
    pub(super) message_type: String,
    pub(super) content: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) media: Option<FileRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) parent_message: Option<MessageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) client_message_id: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(super) reactions: Vec<Reaction>,
    pub(super) is_edited: bool,
    pub(super) is_deleted: bool,
    pub(super) created_at: Moment,
    pub(super) updated_at: Moment,
}

impl MessageRecord {
    /// `parent` is the message that the field of this name numbers.
    pub(super) fn new(message: Message, parent: Option<MessageId>) -> Self {
        let Message {
            id,
            chat,
            seq,
            sender,
            kind,
            content,
            attachment,
            parent: _,
            client_id,
            deleted,
            created_at,
            updated_at,
            edited,
            reactions,
        } = message;
        Self {
            r#type: "message".to_owned(),
            id,
            chat,
            seq,
            sender,
            message_type: kind.as_str().to_owned(),
            content,
            media: attachment.map(FileRecord::from),
            parent_message: parent,
            client_message_id: client_id,
            reactions,
            is_edited: edited,
            is_deleted: deleted,
            created_at: Moment(created_at),
            updated_at: Moment(updated_at),
        }
    }

    pub(super) fn kind(&self) -> Option<MessageKind> {
        MessageKind::from_name(&self.message_type)
    }
}
