//! Sending, deleting and reading messages.

use std::sync::Arc;
use std::time::Instant;

use super::details::{Gatherer, MessageDetails, membership, unblocked};
use super::event::{Event, UnreadChange};
use super::{Caller, Error, Service, announce};
use crate::id::{ChatId, MessageId, UserId};
use crate::model::{Attachment, Chat, Message, MessageKind, ReadState, Timestamp, Upload};
use crate::store::{Source, Tables, Transaction};

/// Longest content in UTF-16 units, which is what `length` counts in JavaScript.
const MAX_CONTENT: usize = 1000;
/// Longest `clientMessageId` in characters.
const MAX_CLIENT_ID: usize = 64;
/// What stands in a deleted message.
const DELETED: &str = "This message was deleted";

/// What a message is to carry, as asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Text only.
    Text(String),
    /// A caption, and the name of a file that the sender has uploaded to the chat before.
    Uploaded(MessageKind, String, String),
    /// A caption, and a file that was received just now.
    Received(MessageKind, String, Attachment),
}

impl Content {
    /// Content as clients name it: a text, a type and a file name.
    pub fn parse(
        content: String,
        kind: Option<&str>,
        media: Option<String>,
    ) -> Result<Self, Error> {
        check_text(&content)?;
        let kind =
            MessageKind::from_name(kind.unwrap_or("text")).ok_or(Error::InvalidMessageType)?;
        match (kind, media.filter(|name| !name.is_empty())) {
            (MessageKind::Text, None) => Ok(Self::Text(content)),
            (MessageKind::Text, Some(_)) | (_, None) => Err(Error::InvalidMedia),
            (kind, Some(media)) => Ok(Self::Uploaded(kind, content, media)),
        }
    }

    /// A file that was received just now; without a caption it gets the default one.
    pub fn received(
        kind: MessageKind,
        caption: Option<String>,
        file: Attachment,
    ) -> Result<Self, Error> {
        let default = if kind == MessageKind::Video {
            "Sent video"
        } else {
            "Sent image"
        };
        let caption = caption
            .filter(|text| !text.trim().is_empty())
            .unwrap_or_else(|| default.to_owned());
        check_text(&caption)?;
        Ok(Self::Received(kind, caption, file))
    }

    fn kind(&self) -> MessageKind {
        match self {
            Self::Text(_) => MessageKind::Text,
            Self::Uploaded(kind, ..) | Self::Received(kind, ..) => *kind,
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Uploaded(_, text, _) | Self::Received(_, text, _) => text,
        }
    }

    /// Whether `stored` says the same, so that sending this again is a retry. A received file has a new name each time
    /// and is compared by type and size.
    fn is_that_of(&self, stored: &Message) -> bool {
        let same_file = match (self, &stored.attachment) {
            (Self::Text(_), None) => true,
            (Self::Uploaded(_, _, name), Some(file)) => *name == file.name,
            (Self::Received(_, _, sent), Some(file)) => {
                (sent.size, &sent.mime) == (file.size, &file.mime)
            }
            _ => false,
        };
        same_file && self.kind() == stored.kind && self.text() == stored.content
    }
}

fn check_text(text: &str) -> Result<(), Error> {
    if text.trim().is_empty() {
        return Err(Error::ContentEmpty);
    }
    if text.encode_utf16().count() > MAX_CONTENT {
        return Err(Error::ContentTooLong);
    }
    Ok(())
}

fn check_client_id(id: Option<&str>) -> Result<(), Error> {
    match id {
        Some(id) if id.is_empty() || id.chars().count() > MAX_CLIENT_ID => Err(
            Error::InvalidRequest("clientMessageId must be 1 to 64 characters"),
        ),
        _ => Ok(()),
    }
}

/// A message to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// Where to.
    pub chat: ChatId,
    /// What it carries.
    pub content: Content,
    /// The message it answers.
    pub parent: Option<MessageId>,
    /// The sender's own name for it; the same name is never stored twice.
    pub client_id: Option<String>,
}

/// What became of a [`NewMessage`].
#[derive(Debug)]
pub struct Sent {
    /// The stored message.
    pub message: Arc<MessageDetails>,
    /// `false` when it had been stored before.
    pub is_new: bool,
}

/// Which part of a chat's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum History {
    /// Page 1 is the newest; ascending inside a page.
    Page(u64),
    /// The messages just before this one.
    Before(MessageId),
    /// The messages just after this one.
    After(MessageId),
}

/// Arithmetic of numbered pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pages {
    /// This page, from 1.
    pub page: u64,
    /// Rows on a page.
    pub limit: u64,
    /// Rows in all.
    pub total: u64,
}

impl Pages {
    /// How many pages there are.
    pub fn count(self) -> u64 {
        self.total.div_ceil(self.limit.max(1))
    }

    /// Whether there is a page after this one.
    pub fn has_more(self) -> bool {
        self.page < self.count()
    }
}

/// A part of a chat's history, ascending.
#[derive(Debug)]
pub struct HistoryPage {
    /// The messages.
    pub messages: Vec<MessageDetails>,
    /// Which page this is; `None` for a cursor.
    pub pages: Option<Pages>,
    /// All messages of the chat.
    pub total: u64,
    /// Whether there are more in the direction asked for.
    pub has_more: bool,
}

impl Service {
    /// Stores a message and tells the participants. A `client_id` that was used for the same content answers with the
    /// stored message.
    pub async fn send_message(&self, caller: &Caller, new: NewMessage) -> Result<Sent, Error> {
        check_client_id(new.client_id.as_deref())?;
        if let Err(wait) = self.sending.take(&caller.user, Instant::now()) {
            return Err(Error::RateLimited(wait.as_secs() + 1));
        }
        self.store_message(caller.clone(), new, None).await
    }

    /// Stores a message that was sent elsewhere before: it keeps its time, and no rate limit applies.
    pub async fn import_message(
        &self,
        sender: &UserId,
        new: NewMessage,
        sent_at: Timestamp,
    ) -> Result<Sent, Error> {
        let caller = Caller {
            user: sender.clone(),
            origin: None,
        };
        self.store_message(caller, new, Some(sent_at)).await
    }

    async fn store_message(
        &self,
        caller: Caller,
        new: NewMessage,
        sent_at: Option<Timestamp>,
    ) -> Result<Sent, Error> {
        let events = self.events.clone();
        self.store
            .write(move |tx| {
                let chat = membership(tx, &caller.user, new.chat)?;
                if let Some(stored) = earlier(tx, &caller.user, &new)? {
                    let message = Arc::new(Gatherer::new(tx, chat)?.message(stored)?);
                    return Ok(Sent {
                        message,
                        is_new: false,
                    });
                }
                let chat = unblocked(chat)?;
                let (chat, message) = insert(tx, &chat, &caller.user, new, sent_at)?;
                let unread = count_unread(tx, &chat, &caller.user)?;
                let participants = chat.participants.clone();
                let message = Arc::new(Gatherer::new(tx, chat)?.message(message)?);
                let sent = Arc::clone(&message);
                let event = Event::MessageSent {
                    message: sent,
                    participants,
                    unread,
                    by: caller,
                };
                match sent_at {
                    None => announce(tx, &events, event),
                    // Nobody waits for what was said elsewhere long ago.
                    Some(_) => tx.record_event(event.record()),
                }
                Ok(Sent {
                    message,
                    is_new: true,
                })
            })
            .await
    }

    /// Deletes the caller's own message for everybody. Answers the name of the file to remove, if no other message shows it.
    /// Deleting again changes nothing.
    pub async fn delete_message(
        &self,
        caller: &Caller,
        id: MessageId,
    ) -> Result<Option<String>, Error> {
        let (caller, events) = (caller.clone(), self.events.clone());
        self.store
            .write(move |tx| {
                let message = tx.find_message(id)?.ok_or(Error::MessageNotFound)?;
                let chat = membership(tx, &caller.user, message.chat)?;
                if message.sender != caller.user {
                    return Err(Error::NotSender);
                }
                if message.deleted {
                    return Ok(None);
                }
                let unread = uncount_unread(tx, &chat, &message)?;
                let orphan = bury(tx, message)?;
                let (chat, participants) = (chat.id, chat.participants);
                let event = Event::MessageDeleted {
                    chat,
                    message: id,
                    participants,
                    unread,
                    by: caller,
                };
                announce(tx, &events, event);
                Ok(orphan)
            })
            .await
    }

    /// A part of a chat's history. What it hands over counts as delivered to the caller.
    pub async fn history(
        &self,
        caller: &Caller,
        chat: ChatId,
        which: History,
        limit: u64,
    ) -> Result<HistoryPage, Error> {
        let user = caller.user.clone();
        let page = self
            .store
            .read(move |tables| read_history(tables, &user, chat, which, limit))
            .await?;
        if let Some(newest) = page.messages.last() {
            self.handed_over(chat, &caller.user, newest.message.seq);
            if self.options.mark_read_on_fetch {
                self.mark_read(caller, chat, Some(newest.message.id))
                    .await?;
            }
        }
        Ok(page)
    }

    /// The chat that the user may fetch this file from, for private media.
    pub async fn check_may_fetch(&self, user: &UserId, file: &str) -> Result<(), Error> {
        let (user, file) = (user.clone(), file.to_owned());
        self.store
            .read(move |tables| {
                let upload = tables.upload(&file)?.ok_or(Error::AccessDenied)?;
                membership(tables, &user, upload.chat).map(drop)
            })
            .await
    }
}

/// The message that this one is a retry of.
fn earlier(
    tx: &Transaction<'_>,
    sender: &UserId,
    new: &NewMessage,
) -> Result<Option<Message>, Error> {
    let Some(client_id) = &new.client_id else {
        return Ok(None);
    };
    let Some(stored) = tx.find_by_client_id(sender, new.chat, client_id)? else {
        return Ok(None);
    };
    // A message that was deleted since has lost its content; its retry is still one.
    let same_parent = stored.parent == parent_seq(tx, new)?;
    if stored.deleted || (same_parent && new.content.is_that_of(&stored)) {
        Ok(Some(stored))
    } else {
        Err(Error::Conflict)
    }
}

fn parent_seq(tx: &Transaction<'_>, new: &NewMessage) -> Result<Option<u64>, Error> {
    let Some(parent) = new.parent else {
        return Ok(None);
    };
    match tx.find_message(parent)? {
        Some(parent) if parent.chat == new.chat => Ok(Some(parent.seq)),
        _ => Err(Error::InvalidParent),
    }
}

fn insert(
    tx: &mut Transaction<'_>,
    before: &Chat,
    sender: &UserId,
    new: NewMessage,
    sent_at: Option<Timestamp>,
) -> Result<(Chat, Message), Error> {
    let now = sent_at.unwrap_or_else(|| tx.now());
    let message = Message {
        id: tx.mint_message_id(),
        chat: before.id,
        seq: before.last_seq + 1,
        sender: sender.clone(),
        kind: new.content.kind(),
        content: new.content.text().to_owned(),
        attachment: attach(tx, &new, sender)?,
        parent: parent_seq(tx, &new)?,
        client_id: new.client_id,
        deleted: false,
        created_at: now,
        updated_at: now,
    };
    let mut chat = before.clone();
    chat.last_seq = message.seq;
    chat.last_message_at = now;
    chat.updated_at = now;
    chat.activity = tx.commit_number();
    tx.insert_message(&message)?;
    tx.update_chat(before, &chat)?;
    Ok((chat, message))
}

fn attach(
    tx: &mut Transaction<'_>,
    new: &NewMessage,
    sender: &UserId,
) -> Result<Option<Attachment>, Error> {
    let upload = match &new.content {
        Content::Text(_) => return Ok(None),
        Content::Received(kind, _, file) => Upload {
            chat: new.chat,
            sender: sender.clone(),
            kind: *kind,
            attachment: file.clone(),
            uses: 1,
        },
        Content::Uploaded(kind, _, name) => {
            let mut upload = tx
                .upload(name)?
                .filter(|upload| {
                    (upload.chat, &upload.sender, upload.kind) == (new.chat, sender, *kind)
                })
                .ok_or(Error::InvalidMedia)?;
            upload.uses += 1;
            upload
        }
    };
    tx.put_upload(&upload)?;
    Ok(Some(upload.attachment))
}

/// One more unread message for everybody but its sender.
fn count_unread(
    tx: &mut Transaction<'_>,
    chat: &Chat,
    sender: &UserId,
) -> Result<Vec<UnreadChange>, Error> {
    let mut changes = Vec::new();
    for user in chat.others(sender) {
        let state = tx.read_state(user, chat.id)?;
        changes.push(put_unread(
            tx,
            user,
            chat.id,
            ReadState {
                unread: state.unread + 1,
                ..state
            },
        )?);
    }
    Ok(changes)
}

/// One unread message less for those who had not read it.
fn uncount_unread(
    tx: &mut Transaction<'_>,
    chat: &Chat,
    message: &Message,
) -> Result<Vec<UnreadChange>, Error> {
    let mut changes = Vec::new();
    for user in chat.others(&message.sender) {
        let state = tx.read_state(user, chat.id)?;
        if state.read < message.seq {
            let unread = state.unread.saturating_sub(1);
            changes.push(put_unread(
                tx,
                user,
                chat.id,
                ReadState { unread, ..state },
            )?);
        }
    }
    Ok(changes)
}

/// Stores a participant's state and tells what the counters are now.
pub(super) fn put_unread(
    tx: &mut Transaction<'_>,
    user: &UserId,
    chat: ChatId,
    state: ReadState,
) -> Result<UnreadChange, Error> {
    tx.put_read_state(user, chat, state)?;
    let totals = tx.totals(user)?;
    Ok(UnreadChange {
        user: user.clone(),
        chat,
        count: state.unread,
        totals,
    })
}

/// Takes a message's content away; answers the file that nothing shows any more.
fn bury(tx: &mut Transaction<'_>, mut message: Message) -> Result<Option<String>, Error> {
    DELETED.clone_into(&mut message.content);
    message.deleted = true;
    message.updated_at = tx.now();
    let file = message.attachment.take();
    tx.update_message(&message)?;
    let Some(mut upload) = file
        .map(|file| tx.upload(&file.name))
        .transpose()?
        .flatten()
    else {
        return Ok(None);
    };
    upload.uses = upload.uses.saturating_sub(1);
    if upload.uses > 0 {
        tx.put_upload(&upload)?;
        return Ok(None);
    }
    tx.remove_upload(&upload.attachment.name);
    Ok(Some(upload.attachment.name))
}

fn read_history<S: Source>(
    tables: &Tables<S>,
    user: &UserId,
    chat: ChatId,
    which: History,
    limit: u64,
) -> Result<HistoryPage, Error> {
    let chat = membership(tables, user, chat)?;
    let total = chat.last_seq;
    let seq_of = |id| match tables.find_message(id)? {
        Some(message) if message.chat == chat.id => Ok(message.seq),
        _ => Err(Error::MessageNotFound),
    };
    let seqs = match which {
        History::Page(page) => {
            let end = total.saturating_sub(page.saturating_sub(1).saturating_mul(limit)) + 1;
            end.saturating_sub(limit).max(1)..end
        }
        History::Before(id) => {
            let end = seq_of(id)?;
            end.saturating_sub(limit).max(1)..end
        }
        History::After(id) => {
            let start = seq_of(id)? + 1;
            start..(start + limit).min(total + 1)
        }
    };
    let has_more = match which {
        History::Page(_) | History::Before(_) => seqs.start > 1 && !seqs.is_empty(),
        History::After(_) => seqs.end <= total,
    };
    let mut gatherer = Gatherer::new(tables, chat.clone())?;
    let messages = tables
        .messages(chat.id, seqs)
        .map(|message| gatherer.message(message?))
        .collect::<Result<_, Error>>()?;
    let pages = match which {
        History::Page(page) => Some(Pages { page, limit, total }),
        History::Before(_) | History::After(_) => None,
    };
    Ok(HistoryPage {
        messages,
        pages,
        total,
        has_more,
    })
}
