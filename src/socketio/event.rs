//! An event that arrived, its JSON kept word for word.

use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::packet::{AckId, is_reserved};
use super::placeholder::{InvalidPlaceholder, Normalised, normalise};

/// An event from a client.
#[derive(Debug, Clone)]
pub struct Event {
    name: String,
    args: Box<str>,
    attachments: Vec<Bytes>,
    ack: Option<AckId>,
}

impl Event {
    /// Takes an event apart. The JSON has passed [`json::check`](super::json::check), which bounds its depth.
    pub fn decode(
        json: &str,
        ack: Option<AckId>,
        attachments: &[Bytes],
        max_name_bytes: usize,
    ) -> Result<Self, EventError> {
        let inner = json
            .trim_ascii()
            .strip_prefix('[')
            .and_then(|json| json.strip_suffix(']'))
            .ok_or(EventError::Shape)?
            .trim_ascii();
        if !inner.starts_with('"') {
            return Err(EventError::Shape);
        }
        let mut values = serde_json::Deserializer::from_str(inner).into_iter::<String>();
        let Some(Ok(name)) = values.next() else {
            return Err(EventError::Shape);
        };
        if name.len() > max_name_bytes || is_reserved(&name) {
            return Err(EventError::Name);
        }
        let rest = inner.get(values.byte_offset()..).unwrap_or_default();
        let rest = rest.trim_ascii_start();
        let args = rest.strip_prefix(',').unwrap_or(rest).trim_ascii();
        let (args, attachments) = arguments(args, attachments)?;
        Ok(Self {
            name,
            args,
            attachments,
            ack,
        })
    }

    /// What the client emitted.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The arguments as the client wrote them: JSON values separated by commas, without brackets; empty if there are none. Where an
    /// attachment belongs, there is a placeholder.
    pub fn args(&self) -> &str {
        &self.args
    }

    /// The attachments, in the order of their placeholders' numbers.
    pub fn attachments(&self) -> &[Bytes] {
        &self.attachments
    }

    /// Present if the client waits for an answer: see [`Socket::ack`](super::Socket::ack).
    pub fn ack(&self) -> Option<AckId> {
        self.ack
    }

    /// Reads the first argument; `None` if there is none.
    pub fn first<T: DeserializeOwned>(&self) -> Result<Option<T>, serde_json::Error> {
        serde_json::Deserializer::from_str(&self.args)
            .into_iter()
            .next()
            .transpose()
    }
}

/// Arguments and their attachments, the placeholders numbered in the order in which the attachments come back.
pub(super) fn arguments(
    args: &str,
    attachments: &[Bytes],
) -> Result<(Box<str>, Vec<Bytes>), EventError> {
    if attachments.is_empty() {
        return Ok((args.into(), Vec::new()));
    }
    // In brackets again, to be one value.
    let Normalised { json, order } = normalise(&format!("[{args}]"), attachments.len())
        .map_err(|InvalidPlaceholder| EventError::Placeholder)?;
    let attachments = order
        .into_iter()
        .filter_map(|at| attachments.get(at).cloned())
        .collect();
    let args = json
        .strip_prefix('[')
        .and_then(|args| args.strip_suffix(']'));
    Ok((args.unwrap_or_default().into(), attachments))
}

/// The payload is no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// Not an array that starts with a string.
    #[error("an event is an array that starts with its name")]
    Shape,
    /// The name is reserved or too long.
    #[error("event name not allowed")]
    Name,
    /// A placeholder that names no attachment.
    #[error("invalid placeholder")]
    Placeholder,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(json: &str) -> Result<Event, EventError> {
        Event::decode(json, None, &[], 16)
    }

    #[test]
    fn arguments_are_kept_word_for_word() {
        for (json, name, args) in [
            (r#"["m"]"#, "m", ""),
            (r#"[""]"#, "", ""),
            (
                r#" [ "m" , 1.0 ,{"b":2,"a":1e2} ] "#,
                "m",
                r#"1.0 ,{"b":2,"a":1e2}"#,
            ),
            (r#"["\u006d",9007199254740993]"#, "m", "9007199254740993"),
            (r#"["m","\ud800"]"#, "m", r#""\ud800""#),
        ] {
            let event = event(json).unwrap();
            assert_eq!((event.name(), event.args()), (name, args), "{json}");
        }
    }

    #[test]
    fn the_first_argument_is_read_and_the_rest_left_alone() {
        assert_eq!(event(r#"["m",12,{}]"#).unwrap().first().unwrap(), Some(12));
        assert_eq!(event(r#"["m"]"#).unwrap().first::<u8>().unwrap(), None);
        assert!(event(r#"["m","x"]"#).unwrap().first::<u8>().is_err());
    }

    #[test]
    fn refuses_what_is_no_event() {
        for (json, error) in [
            ("[]", EventError::Shape),
            ("{}", EventError::Shape),
            (r#""x""#, EventError::Shape),
            ("[null]", EventError::Shape),
            (r#"[1,"a"]"#, EventError::Shape),
            (r#"[["message"],1]"#, EventError::Shape),
            (r#"["\ud800"]"#, EventError::Shape),
            (r#"["connect"]"#, EventError::Name),
            (r#"["newListener"]"#, EventError::Name),
            (r#"["12345678901234567"]"#, EventError::Name),
        ] {
            assert_eq!(event(json).unwrap_err(), error, "{json}");
        }
    }
}
