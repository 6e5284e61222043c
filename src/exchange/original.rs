//! The documents of the Node and `MongoDB` backend that ran the chat before, to drafts: users, pets, chats, messages in the shape
//! that its schemas gave them. Documents are plain JSON here (`extended`). A text says what is wrong with one that is refused.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde_json::{Map, Value};

use super::draft::{ChatDraft, FileDraft, MessageDraft, PetDraft, Progress, Reached, UserDraft};
use super::when;
use crate::chat::{DELETED, MAX_CLIENT_ID, Profile};
use crate::id::{ChatId, MessageId, UserId};
use crate::model::{ChatKind, Expired, MessageKind, Reaction, Timestamp};
use crate::pet_document;

/// Longest content in bytes; the original allowed 1000 characters.
const MAX_CONTENT: usize = 64 * 1024;
const MAX_REACTIONS: usize = 200;
const MAX_EMOJI: usize = 64;

pub(super) type Fields = Map<String, Value>;
/// What was left out or changed, and how often.
pub(super) type Notes = BTreeMap<&'static str, u64>;

/// Counts a remark.
pub(super) fn note(notes: &mut Notes, what: &'static str) {
    *notes.entry(what).or_default() += 1;
}

/// A text that must be there, and be one of its kind.
fn required<T: FromStr>(fields: &Fields, name: &str) -> Result<T, String>
where
    T::Err: std::fmt::Display,
{
    optional(fields, name)?.ok_or_else(|| format!("`{name}` is missing"))
}

fn optional<T: FromStr>(fields: &Fields, name: &str) -> Result<Option<T>, String>
where
    T::Err: std::fmt::Display,
{
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => one(value)
            .map(Some)
            .map_err(|why| format!("`{name}` {why}")),
    }
}

/// An id as a text, or as an object that has been filled in with what it refers to.
fn one<T: FromStr>(value: &Value) -> Result<T, String>
where
    T::Err: std::fmt::Display,
{
    let text = match value {
        Value::String(text) => text,
        Value::Object(object) => match object.get("_id") {
            Some(Value::String(text)) => text,
            _ => return Err("is no id".to_owned()),
        },
        _ => return Err("is no text".to_owned()),
    };
    text.parse().map_err(|why: T::Err| why.to_string())
}

fn ids(fields: &Fields, name: &str) -> Result<Vec<UserId>, String> {
    let Some(items) = list(fields, name)? else {
        return Ok(Vec::new());
    };
    let mut found: Vec<UserId> = Vec::new();
    for item in items {
        let id = one(item).map_err(|why| format!("`{name}` {why}"))?;
        if !found.contains(&id) {
            found.push(id);
        }
    }
    Ok(found)
}

fn list<'a>(fields: &'a Fields, name: &str) -> Result<Option<&'a Vec<Value>>, String> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(items)) => Ok(Some(items)),
        Some(_) => Err(format!("`{name}` is no list")),
    }
}

fn flag(fields: &Fields, name: &str) -> Result<bool, String> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(value)) => Ok(*value),
        Some(_) => Err(format!("`{name}` is neither true nor false")),
    }
}

fn text<'a>(fields: &'a Fields, name: &str) -> Result<Option<&'a str>, String> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("`{name}` is no text")),
    }
}

fn time(fields: &Fields, name: &str) -> Result<Option<Timestamp>, String> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => {
            let moment = when::parse(text);
            moment
                .map(Some)
                .ok_or_else(|| format!("`{name}` is no time"))
        }
        Some(value) => {
            let ms = value.as_i64().map(Timestamp);
            let moment = ms.filter(|ms| when::text(*ms).is_some());
            moment
                .map(Some)
                .ok_or_else(|| format!("`{name}` is no time"))
        }
    }
}

/// An id of ours: one that later ones can be minted after. The bytes of an id begin with the seconds since 1970.
pub(super) fn check_minted(id: &[u8; 12]) -> Result<(), String> {
    if id[0] < 0xf0 {
        return Ok(());
    }
    Err("the id's time is after 2097, and ids must ascend from there".to_owned())
}

fn minted<T: FromStr>(fields: &Fields, name: &str) -> Result<Option<T>, String>
where
    T::Err: std::fmt::Display,
{
    match fields.get(name) {
        Some(Value::String(text)) => text
            .to_ascii_lowercase()
            .parse()
            .map(Some)
            .map_err(|why: T::Err| format!("`{name}` {why}")),
        _ => optional(fields, name),
    }
}

fn time_of_id(id: &[u8; 12]) -> Timestamp {
    let seconds = u32::from_be_bytes([id[0], id[1], id[2], id[3]]);
    Timestamp(i64::from(seconds) * 1000)
}

fn missing(name: &str) -> String {
    format!("`{name}` is missing")
}

/// A user. Passwords, phone numbers and whatever else the host keeps of its users is not taken.
pub(super) fn user(fields: &Fields, notes: &mut Notes) -> Result<UserDraft, String> {
    let id: UserId = required(fields, "_id")?;
    let picture = ["profilePicture", "profileImage", "picture", "avatar"];
    let picture = picture.iter().find_map(|name| match fields.get(*name) {
        Some(Value::String(text)) if !text.is_empty() => Some(text.clone()),
        // As upload services give it.
        Some(Value::Object(file)) => Some(file.get("url")?.as_str()?.to_owned()),
        _ => None,
    });
    let given = |name| text(fields, name).map(|text| text.filter(|text| !text.trim().is_empty()));
    let name = match given("name")? {
        Some(name) => Some(name),
        None => given("fullName")?,
    };
    let said_at = match time(fields, "updatedAt")? {
        Some(at) => Some(at),
        None => time(fields, "createdAt")?,
    };
    let said_at = said_at.and_then(|at| u64::try_from(at.0 / 1000).ok());
    let whole = Profile {
        id,
        name: name.map(str::to_owned),
        email: given("email")?.map(str::to_owned),
        picture,
        said_at,
    };
    let profile = whole.clone().bounded();
    if profile != whole {
        note(
            notes,
            "users with a name, e-mail address or picture too long to keep",
        );
    }
    Ok(UserDraft::Told {
        profile,
        last_seen: time(fields, "lastSeen")?,
    })
}

/// A pet; `owner` is the field that names its seller.
pub(super) fn pet(mut fields: Fields, owner: &str) -> Result<PetDraft, String> {
    let id = required(&fields, "_id")?;
    if owner != "owner"
        && let Some(seller) = fields.get(owner).cloned()
    {
        fields.insert("owner".to_owned(), seller);
    }
    let pet = pet_document::read(id, Value::Object(fields)).map_err(|why| why.to_string())?;
    Ok(PetDraft::Told(pet))
}

/// A chat. Its last message follows from the messages, and every chat is active here.
pub(super) fn chat(fields: &Fields, notes: &mut Notes) -> Result<ChatDraft, String> {
    let id: ChatId = minted(fields, "_id")?.ok_or_else(|| missing("_id"))?;
    check_minted(id.as_bytes())?;
    let participants = ids(fields, "participants")?;
    if participants.len() != 2 {
        return Err(format!(
            "a chat has two participants, and this one {}",
            participants.len()
        ));
    }
    let pet = optional(fields, "petListing")?;
    let named = text(fields, "chatType")?.unwrap_or(if pet.is_some() {
        "pet_inquiry"
    } else {
        "direct"
    });
    let named = ChatKind::from_name(named)
        .ok_or("`chatType` is none of pet_inquiry, direct and general")?;
    let kind = match (named, pet.is_some()) {
        (ChatKind::Direct, true) => ChatKind::PetInquiry,
        (ChatKind::PetInquiry, false) => ChatKind::Direct,
        (kind, _) => kind,
    };
    if kind != named {
        note(notes, "chats whose type did not fit their pet, set right");
    }
    if fields.get("isActive") == Some(&Value::Bool(false)) {
        note(notes, "inactive chats, active here");
    }
    let mut blocked_by = ids(fields, "blockedBy")?;
    blocked_by.retain(|user| participants.contains(user));
    let created_at = time(fields, "createdAt")?.unwrap_or_else(|| time_of_id(id.as_bytes()));
    let last_message_at = time(fields, "lastMessageTime")?.unwrap_or(created_at);
    Ok(ChatDraft {
        id,
        kind,
        pet,
        blocked_by,
        created_at,
        updated_at: time(fields, "updatedAt")?.unwrap_or(last_message_at),
        last_message_at,
        order: last_message_at.0,
        progress: Progress::Counts(unread(fields, &participants)?),
        expired: Expired::default(),
        participants,
    })
}

fn unread(fields: &Fields, participants: &[UserId]) -> Result<Vec<(UserId, u64)>, String> {
    let mut counts = Vec::new();
    for entry in list(fields, "unreadCount")?.into_iter().flatten() {
        let entry = entry.as_object().ok_or("`unreadCount` has no objects")?;
        let user: UserId = required(entry, "userId")?;
        let count = match entry.get("count") {
            None | Some(Value::Null) => 0,
            Some(count) => whole(count).ok_or("`unreadCount` has a count that is no number")?,
        };
        if participants.contains(&user) {
            counts.push((user, count));
        }
    }
    Ok(counts)
}

/// A count; JavaScript's numbers may have a fraction of zero, and counters may have gone below it.
fn whole(value: &Value) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` keeps to the range"
    )]
    value.as_f64().map(|count| count as u64)
}

/// A message.
pub(super) fn message(fields: &Fields, notes: &mut Notes) -> Result<MessageDraft, String> {
    let id: MessageId = minted(fields, "_id")?.ok_or_else(|| missing("_id"))?;
    check_minted(id.as_bytes())?;
    let chat = minted(fields, "chat")?.ok_or_else(|| missing("chat"))?;
    let kind = MessageKind::from_name(text(fields, "messageType")?.unwrap_or("text"))
        .ok_or("`messageType` is none of text, image and video")?;
    let deleted = flag(fields, "isDeleted")?;
    let created_at = time(fields, "createdAt")?.unwrap_or_else(|| time_of_id(id.as_bytes()));
    let content = match (text(fields, "content")?, kind) {
        _ if deleted => DELETED,
        (Some(content), MessageKind::Text) => content,
        (Some(content), _) if !content.is_empty() => content,
        (_, MessageKind::Image) => "Sent image",
        (_, MessageKind::Video) => "Sent video",
        (None, MessageKind::Text) => return Err(missing("content")),
    };
    if content.len() > MAX_CONTENT {
        return Err("`content` has more than 65536 bytes".to_owned());
    }
    let file = text(fields, "mediaUrl")?.filter(|url| !url.is_empty() && !deleted);
    let file = file.filter(|_| kind != MessageKind::Text).map(|url| {
        let name = url.rsplit(['/', '\\']).next().unwrap_or_default();
        FileDraft::Named(name.to_owned())
    });
    if file.is_none() && kind != MessageKind::Text && !deleted {
        note(notes, "pictures and videos that name no file");
    }
    let client_id = text(fields, "clientMessageId")?
        .filter(|id| !id.is_empty() && id.chars().count() <= MAX_CLIENT_ID);
    let reached = match text(fields, "status")? {
        Some("read") => Reached::Read,
        Some("delivered") => Reached::Delivered,
        _ => Reached::Sent,
    };
    Ok(MessageDraft {
        id,
        chat,
        sender: required(fields, "sender")?,
        kind,
        content: content.to_owned(),
        file,
        parent: minted(fields, "parentMessage")?,
        client_id: client_id.map(str::to_owned),
        deleted,
        edited: flag(fields, "isEdited")?,
        reactions: if deleted {
            Vec::new()
        } else {
            reactions(fields)?
        },
        created_at,
        updated_at: time(fields, "updatedAt")?.unwrap_or(created_at),
        read_by: ids(fields, "readBy")?,
        reached,
        seq: 0,
    })
}

fn reactions(fields: &Fields) -> Result<Vec<Reaction>, String> {
    let items = list(fields, "reactions")?.map_or(&[][..], Vec::as_slice);
    if items.len() > MAX_REACTIONS {
        return Err("`reactions` has more than 200".to_owned());
    }
    let mut reactions = Vec::new();
    for item in items {
        let item = item.as_object().ok_or("`reactions` has no objects")?;
        let emoji = text(item, "emoji")?.unwrap_or_default();
        if emoji.is_empty() || emoji.len() > MAX_EMOJI || emoji.contains(char::is_control) {
            return Err("`reactions` has an emoji that is none".to_owned());
        }
        reactions.push(Reaction {
            reactor: required(item, "reactor")?,
            emoji: emoji.to_owned(),
        });
    }
    Ok(reactions)
}
