//! Taking away what messages carry: one at a time, or many of one chat in one commit. The rows stay as tombstones, so that
//! numbers have no gaps. It keeps counters and files in step; it does not know who asked, or who hears of it.

use super::Error;
use super::event::UnreadChange;
use super::receipts::uncount_unread;
use crate::id::MessageId;
use crate::model::{Attachment, Chat, Message};
use crate::store::Transaction;

/// What stands in a deleted message.
pub const DELETED: &str = "This message was deleted";

/// How much of a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// Its picture or video; the text stays.
    Media,
    /// Its content.
    Content,
    /// Its content, and the name that its sender had given it: a retry is not recognised any more.
    Everything,
}

/// What has come of a burial.
#[derive(Debug, Default)]
pub(super) struct Buried {
    /// Messages that lost something.
    pub(super) messages: Vec<MessageId>,
    /// Files that nothing shows any more, to be removed.
    pub(super) files: Vec<String>,
    /// Counters that sank.
    pub(super) unread: Vec<UnreadChange>,
}

/// Buries messages of one chat. What is gone already is left alone.
pub(super) fn bury(
    tx: &mut Transaction<'_>,
    chat: &Chat,
    messages: Vec<Message>,
    depth: Depth,
) -> Result<Buried, Error> {
    let mut buried = Buried::default();
    if depth != Depth::Media {
        let counted: Vec<&Message> = messages.iter().filter(|one| !one.deleted).collect();
        buried.unread = uncount_unread(tx, chat, &counted)?;
    }
    for mut message in messages {
        if !depth.takes_from(&message) {
            continue;
        }
        if depth != Depth::Media {
            DELETED.clone_into(&mut message.content);
            message.deleted = true;
            message.reactions.clear();
        }
        if depth == Depth::Everything {
            tx.forget_client_id(&mut message);
        }
        message.updated_at = tx.now();
        let file = message.attachment.take();
        tx.update_message(&message)?;
        if let Some(file) = file {
            buried.files.extend(release(tx, &file)?);
        }
        buried.messages.push(message.id);
    }
    Ok(buried)
}

impl Depth {
    /// Whether the message still has what is to go.
    pub(super) fn takes_from(self, message: &Message) -> bool {
        match self {
            Self::Media => message.attachment.is_some(),
            Self::Content => !message.deleted,
            Self::Everything => !message.deleted || message.client_id.is_some(),
        }
    }
}

/// One message less shows the file; answers its name when it was the last.
fn release(tx: &mut Transaction<'_>, file: &Attachment) -> Result<Option<String>, Error> {
    let Some(mut upload) = tx.upload(&file.name)? else {
        return Ok(None);
    };
    upload.uses = upload.uses.saturating_sub(1);
    if upload.uses > 0 {
        tx.put_upload(&upload)?;
        return Ok(None);
    }
    tx.remove_upload(&upload.attachment.name)?;
    tx.doom_file(&upload.attachment.name);
    Ok(Some(upload.attachment.name))
}
