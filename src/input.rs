//! JSON in, where REST and sockets read the same thing: checked and turned into the chat's typed requests.

use serde::Deserialize;

use crate::chat::{Content, Error, NewMessage};
use crate::id::ChatId;

/// What is said of a body or a payload that is JSON and not what was expected.
pub const WRONG_FIELD: &str = "A field is missing or has the wrong type";

/// The body of `POST /:chatId/send` and the payload of `sendMessage`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SendInput {
    content: Option<String>,
    message_type: Option<String>,
    media_url: Option<String>,
    parent_message_id: Option<String>,
    client_message_id: Option<String>,
}

impl SendInput {
    /// The message to send to `chat`. `key` is what the header `Idempotency-Key` says.
    pub fn into_message(self, chat: ChatId, key: Option<String>) -> Result<NewMessage, Error> {
        let content = self.content.ok_or(Error::ContentEmpty)?;
        Ok(NewMessage {
            chat,
            content: Content::parse(content, self.message_type.as_deref(), self.media_url)?,
            parent: self
                .parent_message_id
                .filter(|id| !id.is_empty())
                .map(|id| parse_id(&id, "parentMessageId"))
                .transpose()?,
            client_id: self.client_message_id.or(key),
        })
    }
}

/// Reads an id; `field` is named in the refusal.
pub fn parse_id<T: std::str::FromStr>(text: &str, field: &'static str) -> Result<T, Error> {
    text.parse().map_err(|_| Error::InvalidId(field))
}
