//! The files of an import: which there are, what each holds, and its rows as drafts.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::draft::{
    ChatDraft, Draft, FileDraft, MessageDraft, PetDraft, Progress, Reached, UserDraft,
};
use super::error::Error;
use super::extended;
use super::original::{self, Fields, Notes};
use super::record::{
    ChatRecord, ErasedRecord, FORMAT, Header, MarkRecord, MessageRecord, PetRecord, UserRecord,
    VERSION,
};
use super::rows::Rows;
use super::social::{BlockRecord, ReportRecord};
use crate::chat::MAX_CLIENT_ID;
use crate::id::UserId;
use crate::media::MediaType;
use crate::model::{Attachment, Expired, MessageKind, Pet, User};

/// What the documents of a `mongoexport` file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// People.
    Users,
    /// Listings.
    Pets,
    /// Conversations.
    Chats,
    /// What was said.
    Messages,
}

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// Nothing at all.
    Nothing,
    /// Our own export.
    Export,
    /// A collection of the original.
    Collection(Kind),
}

/// One file.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    pub(super) content: Content,
}

/// Longest record text of ours, so that it can be stored again.
const MAX_TEXT: usize = 256 * 1024;
/// Longest name of a mark.
const MAX_NAME: usize = 64;

/// The files of these paths, a directory being all of its files whose names end in `.json`, `.jsonl` or `.ndjson`.
pub(super) fn find(paths: &[PathBuf], kind: Option<Kind>) -> Result<Vec<Source>, Error> {
    let mut sources = Vec::new();
    for path in paths {
        if !path.is_dir() {
            sources.push(look_at(path, kind)?);
            continue;
        }
        let mut files = Vec::new();
        for entry in fs::read_dir(path).map_err(Error::file(path))? {
            let file = entry.map_err(Error::file(path))?.path();
            let extension = file.extension().and_then(|extension| extension.to_str());
            if file.is_file() && matches!(extension, Some("json" | "jsonl" | "ndjson")) {
                files.push(file);
            }
        }
        if files.is_empty() {
            return Err(Error::Refused(format!(
                "{} has no .json file; name the files or their directory",
                path.display()
            )));
        }
        files.sort();
        for file in files {
            sources.push(look_at(&file, kind)?);
        }
    }
    let has = |wanted: fn(&Content) -> bool| sources.iter().any(|one| wanted(&one.content));
    if has(|content| *content == Content::Export)
        && has(|content| matches!(content, Content::Collection(_)))
    {
        return Err(Error::Refused(
            "an export of jivchat and files of mongoexport cannot be imported at once; import one after the other".to_owned(),
        ));
    }
    Ok(sources)
}

fn look_at(path: &Path, kind: Option<Kind>) -> Result<Source, Error> {
    let bytes = fs::metadata(path).map_err(Error::file(path))?.len();
    let mut rows = Rows::open(path).map_err(Error::file(path))?;
    let content = match rows.next().map_err(Error::file(path))? {
        None => Content::Nothing,
        Some((_, first)) => {
            let first = first
                .ok()
                .and_then(|bytes| serde_json::from_slice(&bytes).ok());
            judge(path, first.as_ref().and_then(Value::as_object), kind)?
        }
    };
    Ok(Source {
        path: path.to_owned(),
        bytes,
        content,
    })
}

/// Fields that only one kind of document has decide; then the file's name; then fields that are usual.
fn judge(path: &Path, first: Option<&Fields>, kind: Option<Kind>) -> Result<Content, Error> {
    let has = |name: &str| first.is_some_and(|fields| fields.contains_key(name));
    if let Some(format) = first.and_then(|fields| fields.get("format")) {
        let version = first
            .and_then(|fields| fields.get("version"))
            .and_then(Value::as_u64);
        return match (format.as_str(), version) {
            (Some(FORMAT), Some(version)) if version <= VERSION.into() => Ok(Content::Export),
            (Some(FORMAT), _) => Err(Error::Refused(format!(
                "{} was written by a newer jivchat; import it with that version",
                path.display()
            ))),
            _ => Err(Error::Refused(format!(
                "{} is a document for people; import needs --format ndjson, or files of mongoexport",
                path.display()
            ))),
        };
    }
    if let Some(kind) = kind {
        return Ok(Content::Collection(kind));
    }
    let name = path
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    let kind = if has("participants") {
        Kind::Chats
    } else if has("chat") && has("sender") || name.contains("message") {
        Kind::Messages
    } else if name.contains("chat") || name.contains("conversation") {
        Kind::Chats
    } else if name.contains("pet") || name.contains("listing") {
        Kind::Pets
    } else if name.contains("user") || has("email") || has("password") {
        Kind::Users
    } else if has("title") {
        Kind::Pets
    } else {
        return Err(Error::Refused(format!(
            "what {} holds cannot be told from its name or its first document; give --kind users, pets, chats or messages",
            path.display()
        )));
    };
    Ok(Content::Collection(kind))
}

/// Makes drafts of a file's rows.
pub(super) struct Reader<'a> {
    pub(super) pet_owner: &'a str,
    pub(super) notes: &'a mut Notes,
}

impl Reader<'_> {
    /// The draft in a row's bytes, or why it is none.
    pub(super) fn read(&mut self, content: Content, bytes: &[u8]) -> Result<Draft, String> {
        match content {
            Content::Nothing => Ok(Draft::Header),
            Content::Export => record(bytes),
            Content::Collection(kind) => {
                let value: Value = serde_json::from_slice(bytes).map_err(|why| no_json(&why))?;
                let Value::Object(fields) = extended::plain(value) else {
                    return Err("it is no JSON object".to_owned());
                };
                self.document(kind, fields)
            }
        }
    }

    fn document(&mut self, kind: Kind, fields: Fields) -> Result<Draft, String> {
        Ok(match kind {
            Kind::Users => Draft::User(original::user(&fields, self.notes)?),
            Kind::Pets => Draft::Pet(original::pet(fields, self.pet_owner)?),
            Kind::Chats => Draft::Chat(Box::new(original::chat(&fields, self.notes)?)),
            Kind::Messages => Draft::Message(Box::new(original::message(&fields, self.notes)?)),
        })
    }
}

/// The error without its column: rows are named by their line in the file.
fn no_json(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or(&text);
    format!("it is no JSON: {what}")
}

/// A line of our own.
fn record(bytes: &[u8]) -> Result<Draft, String> {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(borrow)]
        r#type: Option<std::borrow::Cow<'a, str>>,
        format: Option<serde::de::IgnoredAny>,
    }
    let head: Head<'_> = serde_json::from_slice(bytes).map_err(|why| no_json(&why))?;
    match head.r#type.as_deref() {
        None if head.format.is_some() => {
            typed::<Header>(bytes)?;
            Ok(Draft::Header)
        }
        None => Err("it has no `type`".to_owned()),
        Some("end") => Ok(Draft::End(typed(bytes)?)),
        Some("erased") => {
            let record = typed::<ErasedRecord>(bytes)?;
            let erased = record.erased();
            Ok(Draft::Erased(record.id, erased))
        }
        Some("mark") => {
            let record = typed::<MarkRecord>(bytes)?;
            if record.name.is_empty() || record.name.len() > MAX_NAME {
                return Err("`name` must have 1 to 64 bytes".to_owned());
            }
            Ok(Draft::Mark(record.name, record.at.0))
        }
        Some("block") => {
            let record = typed::<BlockRecord>(bytes)?;
            if record.user == record.blocked {
                return Err("nobody blocks themselves".to_owned());
            }
            Ok(Draft::Block(record.user, record.blocked, record.at.0))
        }
        Some("report") => {
            let report = typed::<ReportRecord>(bytes)?.report()?;
            Ok(Draft::Report(Box::new(report)))
        }
        Some("user") => {
            let user = User::from(typed::<UserRecord>(bytes)?);
            let long = [Some(&user.name), user.email.as_ref(), user.picture.as_ref()];
            if long.into_iter().flatten().any(|text| text.len() > MAX_TEXT) {
                return Err("a field is longer than 256 KiB".to_owned());
            }
            Ok(Draft::User(UserDraft::Kept(user)))
        }
        Some("pet") => {
            let record = typed::<PetRecord>(bytes)?;
            let is_removed = record.is_removed;
            let pet = Pet::from(record);
            if !pet.document.starts_with('{') || pet.document.len() > MAX_TEXT {
                return Err("`document` is no object, or longer than 256 KiB".to_owned());
            }
            Ok(Draft::Pet(if is_removed {
                PetDraft::Removed(pet)
            } else {
                PetDraft::Kept(pet)
            }))
        }
        Some("chat") => Ok(Draft::Chat(Box::new(chat(typed(bytes)?)?))),
        Some("message") => Ok(Draft::Message(Box::new(message(typed(bytes)?)?))),
        Some(other) => Err(format!("its type `{other}` is not known")),
    }
}

fn typed<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|why| no_json(&why).replace("it is no JSON: ", ""))
}

fn chat(record: ChatRecord) -> Result<ChatDraft, String> {
    original::check_minted(record.id.as_bytes())?;
    let kind = record.kind().ok_or("`chatType` is not known")?;
    let mut distinct: Vec<&UserId> = record.participants.iter().collect();
    distinct.sort();
    distinct.dedup();
    if distinct.len() != record.participants.len() || distinct.len() != 2 {
        return Err("a chat has two participants".to_owned());
    }
    let takes_part = |user: &UserId| record.participants.contains(user);
    let strangers = record.receipts.iter().map(|receipt| &receipt.user_id);
    if !strangers.chain(&record.blocked_by).all(takes_part) {
        return Err("somebody in `receipts` or `blockedBy` takes no part in the chat".to_owned());
    }
    Ok(ChatDraft {
        id: record.id,
        kind,
        participants: record.participants,
        pet: record.pet_listing,
        blocked_by: record.blocked_by,
        created_at: record.created_at.0,
        updated_at: record.updated_at.0,
        last_message_at: record.last_message_time.0,
        order: i64::try_from(record.activity).unwrap_or(i64::MAX),
        progress: Progress::Receipts(record.receipts),
        expired: record.expired.map(Expired::from).unwrap_or_default(),
    })
}

fn message(record: MessageRecord) -> Result<MessageDraft, String> {
    original::check_minted(record.id.as_bytes())?;
    let kind: MessageKind = record.kind().ok_or("`messageType` is not known")?;
    if record.seq == 0 {
        return Err("`seq` counts from 1".to_owned());
    }
    let reactions = record.reactions.iter().map(|one| one.emoji.len() + 64);
    if record.content.len() + reactions.sum::<usize>() > MAX_TEXT {
        return Err("it is longer than 256 KiB".to_owned());
    }
    let client_id = record.client_message_id;
    if client_id
        .as_ref()
        .is_some_and(|id| id.is_empty() || id.chars().count() > MAX_CLIENT_ID)
    {
        return Err("`clientMessageId` must be 1 to 64 characters".to_owned());
    }
    let is_ours = |file: &Attachment| {
        let known = MediaType::of_name(&file.name);
        known.is_some_and(|known| known.mime() == file.mime)
    };
    let file = record.media.map(Attachment::from);
    if !file.as_ref().is_none_or(is_ours) {
        return Err("`media` has a name or type that no file of ours has".to_owned());
    }
    if record.is_deleted && file.is_some() {
        return Err("a deleted message has no `media`".to_owned());
    }
    Ok(MessageDraft {
        id: record.id,
        chat: record.chat,
        sender: record.sender,
        kind,
        content: record.content,
        file: file.map(FileDraft::Known),
        parent: record.parent_message,
        client_id,
        deleted: record.is_deleted,
        edited: record.is_edited,
        reactions: record.reactions,
        created_at: record.created_at.0,
        updated_at: record.updated_at.0,
        read_by: Vec::new(),
        reached: Reached::Sent,
        seq: record.seq,
    })
}
