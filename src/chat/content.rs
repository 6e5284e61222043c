//! What a message may carry.

use super::Error;
use crate::model::{Attachment, Message, MessageKind};

/// Longest content in UTF-16 units, which is what `length` counts in JavaScript.
const MAX_CONTENT: usize = 1000;

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
            .filter(|text| !text.trim_matches(is_blank).is_empty())
            .unwrap_or_else(|| default.to_owned());
        check_text(&caption)?;
        Ok(Self::Received(kind, caption, file))
    }

    pub(super) fn kind(&self) -> MessageKind {
        match self {
            Self::Text(_) => MessageKind::Text,
            Self::Uploaded(kind, ..) | Self::Received(kind, ..) => *kind,
        }
    }

    pub(super) fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Uploaded(_, text, _) | Self::Received(_, text, _) => text,
        }
    }

    /// Whether `stored` says the same, so that sending this again is a retry. A received file has a new name each time
    /// and is compared by its bytes.
    pub(super) fn is_that_of(&self, stored: &Message) -> bool {
        let same_file = match (self, &stored.attachment) {
            // A file that retention has removed since cannot be compared any more.
            (_, None) => true,
            (Self::Uploaded(_, _, name), Some(file)) => *name == file.name,
            (Self::Received(_, _, sent), Some(file)) => {
                (sent.size, sent.crc32) == (file.size, file.crc32)
            }
            _ => false,
        };
        same_file && self.kind() == stored.kind && self.text() == stored.content
    }
}

fn check_text(text: &str) -> Result<(), Error> {
    if text.trim_matches(is_blank).is_empty() {
        return Err(Error::ContentEmpty);
    }
    if text.encode_utf16().count() > MAX_CONTENT {
        return Err(Error::ContentTooLong);
    }
    Ok(())
}

/// White space as JavaScript's `trim` sees it, which counts the byte order mark.
fn is_blank(character: char) -> bool {
    character.is_whitespace() || character == '\u{feff}'
}
