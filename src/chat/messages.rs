//! Sending and deleting messages.

use std::sync::Arc;
use std::time::Instant;

use super::burial::{Depth, bury};
use super::details::{Gatherer, MessageDetails, membership, open_to};
use super::event::Event;
use super::receipts::count_unread;
use super::{Caller, Content, Error, Service, announce};
use crate::id::{ChatId, MessageId, UserId};
use crate::model::{Attachment, Chat, Message, Timestamp, Upload};
use crate::store::{Snapshot, Source, Tables, Transaction};

/// Longest `clientMessageId` in characters.
pub const MAX_CLIENT_ID: usize = 64;

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

impl Service {
    /// Stores a message and tells the participants. A `client_id` that was used for the same content answers with the
    /// stored message.
    pub async fn send_message(&self, caller: &Caller, new: NewMessage) -> Result<Sent, Error> {
        self.queue_message(caller, new).await?.await
    }

    /// Gives the message its place behind everything that was asked before, and answers with what [`Service::send_message`] would
    /// resolve to. So the messages of one caller may share a commit.
    pub async fn queue_message(
        &self,
        caller: &Caller,
        new: NewMessage,
    ) -> Result<impl Future<Output = Result<Sent, Error>> + Send + use<>, Error> {
        check_client_id(new.client_id.as_deref())?;
        self.store_message(caller.clone(), new, None).await
    }

    /// Stores a message that was sent elsewhere before: it keeps its time, and is no flood.
    pub async fn import_message(
        &self,
        sender: &UserId,
        new: NewMessage,
        sent_at: Timestamp,
    ) -> Result<Sent, Error> {
        let caller = Caller::new(sender.clone());
        self.store_message(caller, new, Some(sent_at)).await?.await
    }

    async fn store_message(
        &self,
        caller: Caller,
        new: NewMessage,
        sent_at: Option<Timestamp>,
    ) -> Result<impl Future<Output = Result<Sent, Error>> + Send + use<>, Error> {
        let (events, watch) = (self.events.clone(), Arc::clone(&self.watch));
        let arrived = Instant::now();
        // What was said elsewhere long ago is not refused for its size.
        let quota = sent_at.map_or(self.options.media_quota, |_| 0);
        self.store
            .submit(move |tx| {
                let chat = membership(tx, &caller.user, new.chat)?;
                if let Some(stored) = earlier(tx, &caller.user, &new)? {
                    let message = Arc::new(Gatherer::new(tx, chat)?.message(stored)?);
                    return Ok(Sent {
                        message,
                        is_new: false,
                    });
                }
                let chat = open_to(tx, &caller.user, chat)?;
                if sent_at.is_none() {
                    let now = Instant::now();
                    watch.message(&caller.user, &chat, &new.content, now)?;
                }
                if let Content::Received(_, _, file) = &new.content {
                    check_quota(tx, &caller.user, file.size, quota)?;
                }
                let (chat, message) = insert(tx, &chat, &caller.user, new, sent_at)?;
                let unread = count_unread(tx, &chat, &caller.user)?;
                let participants = chat.participants.clone();
                let message = Arc::new(Gatherer::new(tx, chat)?.message(message)?);
                let sent = Arc::clone(&message);
                let event = Event::MessageSent {
                    message: sent,
                    participants,
                    unread,
                    arrived,
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
                let mut buried = bury(tx, &chat, vec![message], Depth::Content)?;
                let unread = std::mem::take(&mut buried.unread);
                let (chat, participants) = (chat.id, chat.participants);
                let event = Event::MessageDeleted {
                    chat,
                    message: id,
                    participants,
                    unread,
                    by: caller,
                };
                announce(tx, &events, event);
                Ok(buried.files.pop())
            })
            .await
    }

    /// Checks that the user may upload anything at all, before a file comes in.
    pub async fn check_may_upload(&self, user: &UserId) -> Result<(), Error> {
        let (user, quota) = (user.clone(), self.options.media_quota);
        self.store
            .look(move |tables| check_quota(tables, &user, 1, quota))
            .await
    }

    /// Counts everybody's files if that has never been done.
    pub async fn count_files(&self) -> Result<(), Error> {
        let unknown = |tables: &Snapshot<'_>| tables.is_usage_unknown();
        if self.store.read(unknown).await? {
            self.store
                .write(|tx| {
                    tx.recount_usage()?;
                    Ok::<_, Error>(())
                })
                .await?;
        }
        Ok(())
    }

    /// A file is about to get its name. Until a message shows it, it is one to be removed.
    pub async fn expect_file(&self, name: String) -> Result<(), Error> {
        self.store
            .write(move |tx| {
                tx.doom_file(&name);
                Ok(())
            })
            .await
    }

    /// Files that no message shows: about to be placed, or still to be removed.
    pub async fn doomed_files(&self) -> Result<Vec<String>, Error> {
        self.store.read(|tables| Ok(tables.doomed_files()?)).await
    }

    /// Files that were to be removed are gone.
    pub async fn files_removed(&self, names: Vec<String>) -> Result<(), Error> {
        self.store
            .write(move |tx| {
                for name in &names {
                    tx.forget_doomed(name);
                }
                Ok(())
            })
            .await
    }

    /// Of these files, those that no message shows.
    pub async fn unknown_files(&self, names: Vec<String>) -> Result<Vec<String>, Error> {
        self.store
            .read(move |tables| {
                let mut unknown = Vec::new();
                for name in names {
                    if tables.upload(&name)?.is_none() {
                        unknown.push(name);
                    }
                }
                Ok(unknown)
            })
            .await
    }

    /// Of these files, those that no message shows and no upload is about to bring. They are written down as to be removed.
    pub async fn doom_orphans(&self, names: Vec<String>) -> Result<Vec<String>, Error> {
        self.store
            .write(move |tx| {
                let mut orphans = Vec::new();
                for name in names {
                    if tx.upload(&name)?.is_none() && !tx.is_doomed(&name)? {
                        tx.doom_file(&name);
                        orphans.push(name);
                    }
                }
                Ok(orphans)
            })
            .await
    }

    /// Checks that the user takes part in the chat to which the file was uploaded, for private media.
    pub async fn check_may_fetch(&self, user: &UserId, file: &str) -> Result<(), Error> {
        let (user, file) = (user.clone(), file.to_owned());
        self.store
            .look(move |tables| {
                let upload = tables.upload(&file)?.ok_or(Error::AccessDenied)?;
                membership(tables, &user, upload.chat).map(drop)
            })
            .await
    }
}

/// Checks that `size` bytes more are within the user's quota; 0 is none.
fn check_quota<S: Source>(
    tables: &Tables<S>,
    user: &UserId,
    size: u64,
    quota: u64,
) -> Result<(), Error> {
    let fits = quota == 0 || tables.media_usage(user)?.saturating_add(size) <= quota;
    if fits {
        Ok(())
    } else {
        Err(Error::QuotaExceeded)
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
        edited: false,
        reactions: Vec::new(),
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
    tx.forget_doomed(&upload.attachment.name);
    Ok(Some(upload.attachment))
}
