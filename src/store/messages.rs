//! Messages by place, by id and by the sender's own id; and the files they show.

use std::ops::Range;

use super::codec;
use super::error::Error;
use super::keys::{self, Tree};
use super::tables::{Sink, Source, Tables};
use crate::id::{ChatId, MessageId, UserId};
use crate::model::{Message, Upload};

impl<S: Source> Tables<S> {
    /// Message number `seq` of a chat.
    pub fn message(&self, chat: ChatId, seq: u64) -> Result<Option<Message>, Error> {
        self.record(Tree::Messages, &keys::located(chat, seq))
    }

    /// The messages of a chat numbered `seqs`, ascending. Costs the length of the range, wherever it lies.
    pub fn messages(
        &self,
        chat: ChatId,
        seqs: Range<u64>,
    ) -> impl Iterator<Item = Result<Message, Error>> {
        let range = if seqs.is_empty() { 0..0 } else { seqs };
        self.records(Tree::Messages, keys::messages(chat, range))
    }

    /// The message with this id.
    pub fn find_message(&self, id: MessageId) -> Result<Option<Message>, Error> {
        let Some(place) = self.0.get(Tree::MessageIds, &keys::message_id(id))? else {
            return Ok(None);
        };
        let (chat, seq) = keys::place(&place)
            .ok_or_else(|| codec::unreadable(Tree::MessageIds, "no place".to_owned()))?;
        self.message(chat, seq)
    }

    /// The message that `sender` has already sent to `chat` under `client_id`.
    pub fn find_by_client_id(
        &self,
        sender: &UserId,
        chat: ChatId,
        client_id: &str,
    ) -> Result<Option<Message>, Error> {
        let Some(place) = self
            .0
            .get(Tree::ClientIds, &keys::client_id(sender, chat, client_id))?
        else {
            return Ok(None);
        };
        let (chat, seq) = keys::place(&place)
            .ok_or_else(|| codec::unreadable(Tree::ClientIds, "no place".to_owned()))?;
        self.message(chat, seq)
    }

    /// The files that are still to be removed.
    pub fn doomed_files(&self) -> Result<Vec<String>, Error> {
        let rows = self.0.range(Tree::Doomed, keys::everything());
        rows.map(|row| {
            String::from_utf8(row?.0.to_vec())
                .map_err(|_| codec::unreadable(Tree::Doomed, "no file name".to_owned()))
        })
        .collect()
    }

    /// The names of the uploaded files after this one, in order; at most so many.
    pub fn uploads_after(&self, name: &str, limit: usize) -> Result<Vec<String>, Error> {
        let mut start = name.as_bytes().to_vec();
        start.push(0);
        let rows = self.0.range(Tree::Uploads, start..vec![u8::MAX]);
        let names = rows.take(limit).map(|row| {
            String::from_utf8(row?.0.to_vec())
                .map_err(|_| codec::unreadable(Tree::Uploads, "no file name".to_owned()))
        });
        names.collect()
    }

    /// Whether the file is about to be placed, or still to be removed.
    pub fn is_doomed(&self, name: &str) -> Result<bool, Error> {
        Ok(self.0.get(Tree::Doomed, name.as_bytes())?.is_some())
    }

    /// The uploaded file with this name.
    pub fn upload(&self, name: &str) -> Result<Option<Upload>, Error> {
        self.record(Tree::Uploads, name.as_bytes())
    }
}

impl<S: Sink> Tables<S> {
    /// Adds a new message with its index rows.
    pub fn insert_message(&mut self, message: &Message) -> Result<(), Error> {
        let place = keys::located(message.chat, message.seq);
        self.put_raw(
            Tree::MessageIds,
            keys::message_id(message.id).to_vec(),
            &place,
        );
        if let Some(client_id) = &message.client_id {
            self.put_raw(
                Tree::ClientIds,
                keys::client_id(&message.sender, message.chat, client_id),
                &place,
            );
        }
        self.update_message(message)
    }

    /// Replaces a message.
    pub fn update_message(&mut self, message: &Message) -> Result<(), Error> {
        self.put(
            Tree::Messages,
            &keys::located(message.chat, message.seq),
            message,
        )
    }

    /// Takes the sender's own id away from a message that is about to be replaced, and with it what made a retry harmless.
    pub fn forget_client_id(&mut self, message: &mut Message) {
        if let Some(client_id) = message.client_id.take() {
            let key = keys::client_id(&message.sender, message.chat, &client_id);
            self.remove(Tree::ClientIds, key);
        }
    }

    /// Creates or replaces an upload. A new one counts for its sender.
    pub fn put_upload(&mut self, upload: &Upload) -> Result<(), Error> {
        if self.upload(&upload.attachment.name)?.is_none() {
            let size = upload.attachment.size;
            self.change_usage(&upload.sender, |used| used.saturating_add(size))?;
        }
        self.put(Tree::Uploads, upload.attachment.name.as_bytes(), upload)
    }

    /// Forgets an upload, which counts no more.
    pub fn remove_upload(&mut self, name: &str) -> Result<(), Error> {
        if let Some(upload) = self.upload(name)? {
            let size = upload.attachment.size;
            self.change_usage(&upload.sender, |used| used.saturating_sub(size))?;
        }
        self.remove(Tree::Uploads, name.as_bytes().to_vec());
        Ok(())
    }

    /// Remembers that a file has to go.
    pub fn doom_file(&mut self, name: &str) {
        self.put_raw(Tree::Doomed, name.as_bytes().to_vec(), &[]);
    }

    /// The file is gone.
    pub fn forget_doomed(&mut self, name: &str) {
        self.remove(Tree::Doomed, name.as_bytes().to_vec());
    }
}
