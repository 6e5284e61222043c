//! Stored bytes: a version byte, then bincode with the one set of options below.
//!
//! A released layout never changes. A new field means a frozen copy of the old struct, a new version byte and a
//! conversion; the golden bytes in the test keep that honest.

use bincode::Options;
use serde::{Serialize, de::DeserializeOwned};

use super::error::Error;
use super::keys::Tree;

/// The first layout of every record.
const VERSION: u8 = 1;
/// A message that was edited or has reactions. In version 1 a message ends before these two fields; what it lacks is
/// [`UNMARKED`], their empty form, so that the two versions are one layout with and without it.
const MARKED: u8 = 2;
const UNMARKED: [u8; 2] = [0, 0];
/// Longest record, so that a damaged length cannot ask for memory.
const MAX_RECORD: u64 = 1 << 20;

fn options() -> impl Options {
    bincode::DefaultOptions::new()
        .with_varint_encoding()
        .with_little_endian()
        .with_limit(MAX_RECORD)
        .reject_trailing_bytes()
}

pub(crate) fn encode<T: Serialize>(tree: Tree, record: &T) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![VERSION];
    options()
        .serialize_into(&mut bytes, record)
        .map_err(|error| unreadable(tree, error.to_string()))?;
    if tree == Tree::Messages {
        match bytes.strip_suffix(&UNMARKED) {
            Some(unmarked) => bytes.truncate(unmarked.len()),
            None => bytes[0] = MARKED,
        }
    }
    Ok(bytes)
}

pub(crate) fn decode<T: DeserializeOwned>(tree: Tree, bytes: &[u8]) -> Result<T, Error> {
    match bytes.split_first() {
        Some((&VERSION, record)) if tree == Tree::Messages => options()
            .deserialize(&[record, &UNMARKED].concat())
            .map_err(|error| unreadable(tree, error.to_string())),
        Some((&MARKED, record)) if tree == Tree::Messages => options()
            .deserialize(record)
            .map_err(|error| unreadable(tree, error.to_string())),
        Some((&VERSION, record)) => options()
            .deserialize(record)
            .map_err(|error| unreadable(tree, error.to_string())),
        Some((version, _)) => Err(unreadable(
            tree,
            format!("version {version} was written by a newer jivchat"),
        )),
        None => Err(unreadable(tree, "it is empty".to_owned())),
    }
}

pub(crate) fn unreadable(tree: Tree, why: String) -> Error {
    Error::Record {
        tree: tree.name(),
        why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ChatId, MessageId};
    use crate::model::{Chat, ChatKind, Message, MessageKind, Reaction, ReadState, Timestamp};

    fn hex(bytes: &[u8]) -> String {
        use std::fmt::Write;
        bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    #[test]
    fn version_1_is_frozen() {
        let chat = Chat {
            id: ChatId::from([1; 12]),
            kind: ChatKind::PetInquiry,
            participants: vec!["a".parse().unwrap(), "b".parse().unwrap()],
            pet: Some("p".parse().unwrap()),
            blocked_by: vec![],
            created_at: Timestamp(1000),
            updated_at: Timestamp(-1),
            last_seq: 300,
            last_message_at: Timestamp(2000),
            activity: 5,
        };
        let bytes = encode(Tree::Chats, &chat).unwrap();
        assert_eq!(
            hex(&bytes),
            "0101010101010101010101010101020161016201017000fbd00701fb2c01fba00f05"
        );
        assert_eq!(decode::<Chat>(Tree::Chats, &bytes).unwrap(), chat);

        let message = Message {
            id: MessageId::from([2; 12]),
            chat: ChatId::from([1; 12]),
            seq: 7,
            sender: "a".parse().unwrap(),
            kind: MessageKind::Text,
            content: "नमस्ते".to_owned(),
            attachment: None,
            parent: Some(3),
            client_id: Some("c-1".to_owned()),
            deleted: false,
            created_at: Timestamp(1),
            updated_at: Timestamp(1),
            edited: false,
            reactions: Vec::new(),
        };
        let bytes = encode(Tree::Messages, &message).unwrap();
        assert_eq!(decode::<Message>(Tree::Messages, &bytes).unwrap(), message);
        assert_eq!(
            hex(&bytes),
            "010202020202020202020202020101010101010101010101010701610112e0a4a8e0a4aee0a4b8e0a58de0a4a4e0a5870001030103632d31000202"
        );

        let marked = Message {
            edited: true,
            reactions: vec![Reaction {
                reactor: "b".parse().unwrap(),
                emoji: "❤".to_owned(),
            }],
            ..message
        };
        let bytes = encode(Tree::Messages, &marked).unwrap();
        assert_eq!(decode::<Message>(Tree::Messages, &bytes).unwrap(), marked);
        assert_eq!(
            hex(&bytes),
            "020202020202020202020202020101010101010101010101010701610112e0a4a8e0a4aee0a4b8e0a58de0a4a4e0a5870001030103632d310002020101016203e29da4"
        );

        let state = ReadState {
            unread: 1,
            read: 2,
            delivered: 3,
        };
        assert_eq!(hex(&encode(Tree::Unread, &state).unwrap()), "01010203");
    }

    #[test]
    fn damage_is_an_error() {
        assert!(decode::<ReadState>(Tree::Unread, &[]).is_err());
        assert!(decode::<ReadState>(Tree::Unread, &[2, 1, 2, 3]).is_err());
        assert!(decode::<ReadState>(Tree::Unread, &[1, 1, 2]).is_err());
        assert!(decode::<ReadState>(Tree::Unread, &[1, 1, 2, 3, 4]).is_err());
        assert!(decode::<Message>(Tree::Messages, &[0xff; 40]).is_err());
    }
}
