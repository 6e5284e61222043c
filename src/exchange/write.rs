//! The jobs of an import, each one commit: the counters, lists and indexes agree after every one, so that an import that is
//! cut off leaves a store that is sound, and the next one goes on. What is stored already stays as it is.

use serde_json::{Map, Value};

use super::draft::{ChatDraft, FileDraft, MessageDraft, PetDraft, Progress, UserDraft};
use super::marks::Mark;
use crate::chat::DELETED;
use crate::id::{MessageId, UserId};
use crate::model::{Chat, Erased, Expired, Message, Pet, Report, Timestamp, Upload, User};
use crate::pet_document;
use crate::store::{Error, Transaction};

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Added,
    Changed,
    Unchanged,
    /// Of somebody who was erased, or a pet that was removed: not taken.
    Gone,
}

impl Fate {
    fn of<T: PartialEq>(before: Option<&T>, after: &T) -> Self {
        match before {
            None => Self::Added,
            Some(before) if before == after => Self::Unchanged,
            Some(_) => Self::Changed,
        }
    }
}

/// Remembers that somebody was erased elsewhere. One who is known here has come back since, or was never to go: they stay.
pub(super) fn put_erased(
    tx: &mut Transaction<'_>,
    id: &UserId,
    erased: Erased,
) -> Result<Fate, Error> {
    if tx.user(id)?.is_some() {
        return Ok(Fate::Gone);
    }
    if tx.erased(id)?.is_some() {
        return Ok(Fate::Unchanged);
    }
    tx.put_erased(id, erased)?;
    tx.remove_user_blocks_of(id)?;
    tx.forget_in_reports(id, None, usize::MAX)?;
    Ok(Fate::Added)
}

/// Remembers a moment, unless one is remembered under this name.
pub(super) fn put_mark(tx: &mut Transaction<'_>, name: &str, at: Timestamp) -> Result<(), Error> {
    match tx.mark(name)? {
        Some(_) => Ok(()),
        None => tx.put_mark(name, at),
    }
}

/// Somebody has blocked somebody, unless that is so already. Of who was erased nothing is taken.
pub(super) fn put_block(
    tx: &mut Transaction<'_>,
    user: &UserId,
    blocked: &UserId,
    at: Timestamp,
) -> Result<(), Error> {
    if tx.erased(user)?.is_some() || tx.user_block(user, blocked)?.is_some() {
        return Ok(());
    }
    tx.put_user_block(user, blocked, at)
}

/// Adds a report, unless it is stored already: what the host has judged here stays.
pub(super) fn put_report(tx: &mut Transaction<'_>, report: &Report) -> Result<(), Error> {
    if tx.report(report.id)?.is_some() {
        return Ok(());
    }
    tx.put_report(report)
}

/// Adds a user, or lays what is new over what is known. What the host has said later than the file stays, a ban stays as it is
/// here, and nobody comes back who was erased.
pub(super) fn put_user(tx: &mut Transaction<'_>, draft: UserDraft) -> Result<Fate, Error> {
    let (id, said_at) = match &draft {
        UserDraft::Told { profile, .. } => (&profile.id, profile.said_at),
        UserDraft::Kept(user) => (&user.id, user.told_at),
    };
    if tx.erased(id)?.is_some() {
        return Ok(Fate::Gone);
    }
    let known = tx.user(id)?;
    if known.as_ref().is_some_and(|user| user.told_at > said_at) {
        return Ok(Fate::Unchanged);
    }
    let user = match draft {
        UserDraft::Kept(user) => User {
            banned: known.as_ref().map_or(user.banned, |known| known.banned),
            ..user
        },
        UserDraft::Told { profile, last_seen } => {
            let digest = known.as_ref().and_then(|user| user.claims_digest);
            let user = profile.applied_to(known.clone());
            User {
                claims_digest: digest,
                last_seen: user.last_seen.or(last_seen),
                ..user
            }
        }
    };
    let fate = Fate::of(known.as_ref(), &user);
    if fate != Fate::Unchanged {
        tx.put_user(&user)?;
    }
    Ok(fate)
}

/// Adds a pet, or lays its fields over those that are known. One that was removed stays so, and one of somebody who was erased
/// comes as what the erasure would have left of it.
pub(super) fn put_pet(tx: &mut Transaction<'_>, draft: PetDraft) -> Result<Fate, Error> {
    let (PetDraft::Told(given) | PetDraft::Kept(given) | PetDraft::Removed(given)) = &draft;
    let known = tx.pet(&given.id)?;
    let removed = tx.removed_pet(&given.id)?;
    let pet = match (draft, &known) {
        (PetDraft::Removed(_), Some(_)) => return Ok(Fate::Unchanged),
        (PetDraft::Removed(stub), None) => {
            if removed.is_some() {
                return Ok(Fate::Unchanged);
            }
            tx.remove_pet(&stub)?;
            return Ok(Fate::Added);
        }
        (PetDraft::Told(_) | PetDraft::Kept(_), _) if removed.is_some() => return Ok(Fate::Gone),
        (PetDraft::Told(given) | PetDraft::Kept(given), known) if is_of_erased(tx, &given)? => {
            if known.is_none() {
                tx.remove_pet(&pet_document::erased(&given.id))?;
            }
            return Ok(Fate::Gone);
        }
        (PetDraft::Told(given), Some(known)) => merged(&given, known).unwrap_or(given),
        (PetDraft::Told(given) | PetDraft::Kept(given), _) => given,
    };
    let fate = Fate::of(known.as_ref(), &pet);
    if fate != Fate::Unchanged {
        tx.put_pet(&pet)?;
    }
    Ok(fate)
}

fn is_of_erased(tx: &Transaction<'_>, pet: &Pet) -> Result<bool, Error> {
    match &pet.owner {
        Some(owner) => Ok(tx.erased(owner)?.is_some()),
        None => Ok(false),
    }
}

fn merged(given: &Pet, known: &Pet) -> Option<Pet> {
    let mut fields: Map<String, Value> = serde_json::from_str(&known.document).ok()?;
    let given_fields: Map<String, Value> = serde_json::from_str(&given.document).ok()?;
    fields.extend(given_fields);
    pet_document::read(given.id.clone(), Value::Object(fields)).ok()
}

/// Some messages of a chat, in their order; the last of them bring the chat's watermarks.
pub(super) struct Chunk {
    pub(super) chat: ChatDraft,
    pub(super) messages: Vec<MessageDraft>,
    pub(super) marks: Vec<Mark>,
    /// How far retention had come, and the message up to which it had.
    pub(super) expired: Option<(Expired, MessageId)>,
}

/// What a [`Chunk`] did.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) chat_added: bool,
    pub(super) added: u64,
    /// Stored already.
    pub(super) known: u64,
    /// Stored already, and given the file that it lacked.
    pub(super) completed: u64,
    pub(super) stubs: u64,
    /// Messages of people who were erased, without all that they carried.
    pub(super) buried: u64,
    pub(super) lost_parents: u64,
    pub(super) lost_client_ids: u64,
    /// Its id belongs to a message of another chat.
    pub(super) elsewhere: u64,
}

impl Chunk {
    /// Writes what is not there yet.
    pub(super) fn write(self, tx: &mut Transaction<'_>) -> Result<Written, Error> {
        let mut written = Written::default();
        let before = self.open(tx, &mut written)?;
        let mut chat = before.clone();
        let mut unread = vec![0; chat.participants.len()];
        for draft in self.messages {
            if let Some(stored) = tx.find_message(draft.id)? {
                if stored.chat != chat.id {
                    written.elsewhere += 1;
                } else if complete(tx, stored, &draft)? {
                    written.completed += 1;
                } else {
                    written.known += 1;
                }
                continue;
            }
            chat.last_seq += 1;
            let message = insert(tx, &chat, draft, &mut written)?;
            chat.last_message_at = message.created_at;
            chat.activity = tx.commit_number();
            written.added += 1;
            for (user, count) in chat.participants.iter().zip(&mut unread) {
                *count += u32::from(*user != message.sender && !message.deleted);
            }
        }
        if chat != before {
            chat.updated_at = chat.updated_at.max(self.chat.updated_at);
            tx.update_chat(&before, &chat)?;
        }
        for (user, more) in chat.participants.iter().zip(unread) {
            let mark = self.marks.iter().find(|mark| mark.user == *user);
            bring_up(tx, &chat, user, more, mark)?;
        }
        if let Some((expired, last)) = self.expired {
            note_expired(tx, &chat, expired, last)?;
        }
        Ok(written)
    }

    fn open(&self, tx: &mut Transaction<'_>, written: &mut Written) -> Result<Chat, Error> {
        let draft = &self.chat;
        if let Some(stored) = tx.chat(draft.id)? {
            return Ok(stored);
        }
        for user in &draft.participants {
            // An export has a line for everybody of whom anything is known.
            if matches!(draft.progress, Progress::Counts(_))
                && tx.user(user)?.is_none()
                && tx.erased(user)?.is_none()
            {
                tx.put_user(&stub(user))?;
                written.stubs += 1;
            }
        }
        let chat = Chat {
            id: draft.id,
            kind: draft.kind,
            participants: draft.participants.clone(),
            pet: draft.pet.clone(),
            blocked_by: draft.blocked_by.clone(),
            created_at: draft.created_at,
            updated_at: draft.updated_at,
            last_seq: 0,
            last_message_at: draft.last_message_at,
            activity: tx.commit_number(),
        };
        tx.insert_chat(&chat)?;
        written.chat_added = true;
        Ok(chat)
    }
}

/// A user of whom only the id is known.
fn stub(id: &UserId) -> User {
    User {
        id: id.clone(),
        name: id.stub_name(),
        email: None,
        picture: None,
        last_seen: None,
        banned: false,
        claims_digest: None,
        told_at: None,
    }
}

fn insert(
    tx: &mut Transaction<'_>,
    chat: &Chat,
    draft: MessageDraft,
    written: &mut Written,
) -> Result<Message, Error> {
    let draft = without_erased(tx, draft, written)?;
    let parent = match draft.parent {
        Some(parent) => tx
            .find_message(parent)?
            .filter(|parent| parent.chat == chat.id),
        None => None,
    };
    written.lost_parents += u64::from(draft.parent.is_some() && parent.is_none());
    let client_id = match draft.client_id {
        Some(client_id)
            if tx
                .find_by_client_id(&draft.sender, chat.id, &client_id)?
                .is_some() =>
        {
            written.lost_client_ids += 1;
            None
        }
        client_id => client_id,
    };
    let attachment = match draft.file {
        Some(FileDraft::Known(file)) => Some(file),
        _ => None,
    };
    let message = Message {
        id: draft.id,
        chat: chat.id,
        seq: chat.last_seq,
        sender: draft.sender,
        kind: draft.kind,
        content: draft.content,
        attachment,
        parent: parent.map(|parent| parent.seq),
        client_id,
        deleted: draft.deleted,
        created_at: draft.created_at,
        updated_at: draft.updated_at,
        edited: draft.edited,
        reactions: draft.reactions,
    };
    show(tx, &message)?;
    tx.insert_message(&message)?;
    Ok(message)
}

/// Leaves of a message what the erasure of its sender would have left.
fn without_erased(
    tx: &Transaction<'_>,
    mut draft: MessageDraft,
    written: &mut Written,
) -> Result<MessageDraft, Error> {
    // In an export is what the other server had kept of reactions.
    if draft.seq == 0 {
        let mut kept = Vec::new();
        for reaction in draft.reactions {
            if tx.erased(&reaction.reactor)?.is_none() {
                kept.push(reaction);
            }
        }
        draft.reactions = kept;
    }
    if tx.erased(&draft.sender)?.is_none() {
        return Ok(draft);
    }
    written.buried += 1;
    if draft.deleted && draft.client_id.is_none() && draft.file.is_none() {
        return Ok(draft);
    }
    Ok(MessageDraft {
        content: DELETED.to_owned(),
        file: None,
        client_id: None,
        deleted: true,
        reactions: Vec::new(),
        updated_at: tx.now(),
        ..draft
    })
}

/// Takes over how far retention had come, if the messages are numbered here as they were there.
fn note_expired(
    tx: &mut Transaction<'_>,
    chat: &Chat,
    expired: Expired,
    last: MessageId,
) -> Result<(), Error> {
    let found = tx.message(chat.id, expired.content.max(expired.media))?;
    let is_same = found.is_some_and(|found| found.id == last);
    if is_same && tx.expired(chat.id)? == Expired::default() {
        tx.put_expired(chat.id, expired)?;
    }
    Ok(())
}

/// Counts the message among those that show its file, which from now on is to be kept.
fn show(tx: &mut Transaction<'_>, message: &Message) -> Result<(), Error> {
    let Some(file) = &message.attachment else {
        return Ok(());
    };
    let upload = match tx.upload(&file.name)? {
        Some(known) => Upload {
            uses: known.uses + 1,
            ..known
        },
        None => Upload {
            chat: message.chat,
            sender: message.sender.clone(),
            kind: message.kind,
            attachment: file.clone(),
            uses: 1,
        },
    };
    tx.put_upload(&upload)?;
    tx.forget_doomed(&file.name);
    Ok(())
}

/// Gives a stored message the file that it lacks.
fn complete(
    tx: &mut Transaction<'_>,
    mut stored: Message,
    draft: &MessageDraft,
) -> Result<bool, Error> {
    let (None, false, Some(file)) = (&stored.attachment, stored.deleted, draft.attachment()) else {
        return Ok(false);
    };
    stored.attachment = Some(file.clone());
    stored.kind = draft.kind;
    show(tx, &stored)?;
    tx.update_message(&stored)?;
    Ok(true)
}

/// Counts `more` unread messages and moves the participant's watermarks; they never go back.
fn bring_up(
    tx: &mut Transaction<'_>,
    chat: &Chat,
    user: &UserId,
    more: u32,
    mark: Option<&Mark>,
) -> Result<(), Error> {
    let before = tx.read_state(user, chat.id)?;
    let mut state = before;
    state.unread += more;
    if let Some(mark) = mark {
        let seq = |id: &MessageId| -> Result<u64, Error> {
            let found = tx.find_message(*id)?.filter(|found| found.chat == chat.id);
            Ok(found.map_or(0, |found| found.seq))
        };
        for id in &mark.read {
            state.read = state.read.max(seq(id)?);
        }
        if let Some(id) = &mark.delivered {
            state.delivered = state.delivered.max(seq(id)?);
        }
        state.delivered = state.delivered.max(state.read);
        if state.read > before.read {
            state.unread = 0;
            for message in tx.messages(chat.id, state.read + 1..chat.last_seq + 1) {
                let message = message?;
                state.unread += u32::from(message.sender != *user && !message.deleted);
            }
        }
    }
    if state != before {
        tx.put_read_state(user, chat.id, state)?;
    }
    Ok(())
}
