//! JSON in, where REST and sockets read the same thing: checked and turned into the chat's typed requests.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::chat::{Content, Error, NewMessage};
use crate::id::ChatId;

/// What is refused in JSON that is an object and not what was expected: names the field that is missing or of the wrong type, never what
/// stands there. A name is one of ours: nothing is read of a field that we do not know.
pub fn refused(json: &[u8], error: &serde_json::Error) -> Error {
    let field = missing(error).or_else(|| stopped_in(json, error));
    field.map_or(
        Error::InvalidRequest("A field is missing or has the wrong type"),
        Error::WrongField,
    )
}

/// The reader says it in these words, with a name that stands in a type of ours.
fn missing(error: &serde_json::Error) -> Option<String> {
    let text = error.to_string();
    let rest = text.strip_prefix("missing field `")?;
    rest.split_once('`').map(|(name, _)| name.to_owned())
}

/// The field of the object in whose value the reader stopped.
fn stopped_in(json: &[u8], error: &serde_json::Error) -> Option<String> {
    let above = error.line().checked_sub(1)?;
    let lines = json.split_inclusive(|byte| *byte == b'\n');
    let line: usize = lines.take(above).map(<[u8]>::len).sum();
    let stop = line + error.column();
    // There may be more behind it: the other arguments of an event.
    let mut values = serde_json::Deserializer::from_slice(json).into_iter();
    let fields: HashMap<String, &RawValue> = values.next()?.ok()?;
    let holds_it = |value: &RawValue| {
        let start = value.get().as_ptr().addr() - json.as_ptr().addr();
        (start..=start + value.get().len()).contains(&stop)
    };
    let mut fields = fields.into_iter();
    fields.find_map(|(name, value)| holds_it(value).then_some(name))
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase")]
    #[expect(dead_code, reason = "it is only read into")]
    struct Sample {
        chat_id: String,
        is_typing: Option<bool>,
        page: Option<u8>,
        of: Option<Vec<String>>,
    }

    fn said_of(json: &str) -> String {
        let mut values = serde_json::Deserializer::from_str(json).into_iter::<Sample>();
        let error = values.next().unwrap().unwrap_err();
        refused(json.as_bytes(), &error).to_string()
    }

    #[test]
    fn the_field_that_is_wrong_is_named() {
        let id = r#""chatId":"c""#;
        for (json, field) in [
            ("{}".to_owned(), "chatId"),
            (r#"{"isTyping":true}"#.to_owned(), "chatId"),
            (r#"{"chatId":42}"#.to_owned(), "chatId"),
            (r#"{"chatId":null}"#.to_owned(), "chatId"),
            (r#"{"chatId":{"isTyping":7}}"#.to_owned(), "chatId"),
            (r#"{"chatId":["c"],"isTyping":1}"#.to_owned(), "chatId"),
            (r#"{"chat\u0049d":-1.5e3}"#.to_owned(), "chatId"),
            (
                r#"{"a":{"chatId":"x"},"chatId":false}"#.to_owned(),
                "chatId",
            ),
            (format!(r#"{{{id},"isTyping":"secret"}}"#), "isTyping"),
            (format!(r#"{{{id},"isTyping":0}}"#), "isTyping"),
            (format!(r#"{{"isTyping":[],{id}}}"#), "isTyping"),
            (
                format!("{{ {id} ,\n \"x\": 1,\n\"isTyping\" :\n 12 }}"),
                "isTyping",
            ),
            (format!(r#"{{{id},"page":256}}"#), "page"),
            (format!(r#"{{{id},"of":["a",1,"b"],"page":1}}"#), "of"),
            (format!(r#"{{{id},"of":{{}}}}"#), "of"),
            (
                format!(r#"{{{id},"isTyping":"a"}},{{"page":1}}"#),
                "isTyping",
            ),
        ] {
            let expected = format!("{field} is missing or has the wrong type");
            assert_eq!(said_of(&json), expected, "{json}");
        }
        // What is no object has no fields, and two of one name are neither missing nor wrong.
        for json in ["7", r#""c""#, "true", r#"{"chatId":"a","chatId":"b"}"#] {
            assert_eq!(said_of(json), "A field is missing or has the wrong type");
        }
    }
}
