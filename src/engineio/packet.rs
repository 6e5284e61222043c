//! The packet codec: one Engine.IO v4 packet as text, and messages as the application sees and sends them. Pure: no I/O, never panics.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// Encoders differ in padding, so a decoder takes both.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD_ALPHABET: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE_ALPHABET: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// What a client sent: the payload of a MESSAGE packet, without the packet type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Bytes),
}

impl Message {
    /// Bytes the client sent.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(data) => data.len(),
        }
    }
}

/// A packet to a client, already encoded and shared: cloning costs a reference count, so one encoding serves every session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame(Encoded);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Encoded {
    Text(Utf8Bytes),
    Binary(Bytes),
}

impl Frame {
    pub(super) const PING: Self = Self(Encoded::Text(Utf8Bytes::from_static("2")));
    pub(super) const NOOP: Self = Self(Encoded::Text(Utf8Bytes::from_static("6")));
    pub(super) const CLOSE: Self = Self(Encoded::Text(Utf8Bytes::from_static("1")));

    /// A text message whose encoding already starts with the MESSAGE type, `4`.
    pub fn text(encoded: impl Into<Utf8Bytes>) -> Self {
        let encoded = encoded.into();
        debug_assert!(
            encoded.starts_with('4'),
            "a text frame carries its packet type"
        );
        Self(Encoded::Text(encoded))
    }

    /// A text message; the packet type is added here.
    pub fn message(text: &str) -> Self {
        Self::text(format!("4{text}"))
    }

    /// A binary message, which has no packet type.
    pub fn binary(data: impl Into<Bytes>) -> Self {
        Self(Encoded::Binary(data.into()))
    }

    pub(super) fn open(json: &str) -> Self {
        Self(Encoded::Text(format!("0{json}").into()))
    }

    /// The text as it was encoded, its packet type included.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.0 {
            Encoded::Text(text) => Some(text),
            Encoded::Binary(_) => None,
        }
    }

    /// Bytes this frame weighs in a queue.
    pub(crate) fn len(&self) -> usize {
        match &self.0 {
            Encoded::Text(text) => text.len(),
            Encoded::Binary(data) => data.len(),
        }
    }

    /// Appends the packet as long-polling carries it: binary as `b` and padded base64.
    pub(super) fn append_to(&self, payload: &mut String) {
        match &self.0 {
            Encoded::Text(text) => payload.push_str(text),
            Encoded::Binary(data) => {
                payload.push('b');
                STANDARD.encode_string(data, payload);
            }
        }
    }

    /// The packet as a websocket carries it. A client that asked for `b64` gets binary as base64 text.
    pub(super) fn into_websocket(
        self,
        base64: bool,
    ) -> tokio_tungstenite::tungstenite::protocol::Message {
        use tokio_tungstenite::tungstenite::protocol::Message;
        match self.0 {
            Encoded::Text(text) => Message::Text(text),
            Encoded::Binary(data) if base64 => {
                let mut text = String::from("b");
                STANDARD.encode_string(&data, &mut text);
                Message::Text(text.into())
            }
            Encoded::Binary(data) => Message::Binary(data),
        }
    }
}

/// A packet from a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// Type 4, or base64 data.
    Message(Message),
    /// Type 1.
    Close,
    /// Type 2 with its data; only `2probe` has a place, and only while probing.
    Ping(String),
    /// Type 3: the answer to a heartbeat.
    Pong,
    /// Type 5: the client has moved to the websocket.
    Upgrade,
    /// Types 0 and 6, which mean nothing from a client.
    Ignored,
}

/// The text is no packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// There is not even a type.
    #[error("empty packet")]
    Empty,
    /// The type is not one of the protocol's.
    #[error("unknown packet type")]
    UnknownType,
    /// The data after `b` is not base64.
    #[error("invalid base64")]
    Base64,
}

impl Packet {
    /// Reads one packet from its text.
    pub fn decode(text: &str) -> Result<Self, PacketError> {
        // The type is one ASCII byte or the packet is refused, so `rest` always starts on a character.
        let (kind, rest) = text.split_at_checked(1).ok_or(if text.is_empty() {
            PacketError::Empty
        } else {
            PacketError::UnknownType
        })?;
        match kind.as_bytes() {
            b"4" => Ok(Self::Message(Message::Text(rest.to_owned()))),
            b"b" => decode_base64(rest).map(|data| Self::Message(Message::Binary(data))),
            b"1" => Ok(Self::Close),
            b"2" => Ok(Self::Ping(rest.to_owned())),
            b"3" => Ok(Self::Pong),
            b"5" => Ok(Self::Upgrade),
            b"0" | b"6" => Ok(Self::Ignored),
            _ => Err(PacketError::UnknownType),
        }
    }
}

/// Both alphabets, padded or not; anything else is refused.
fn decode_base64(text: &str) -> Result<Bytes, PacketError> {
    let engine = if text.bytes().any(|byte| matches!(byte, b'-' | b'_')) {
        &URL_SAFE_ALPHABET
    } else {
        &STANDARD_ALPHABET
    };
    engine
        .decode(text)
        .map(Bytes::from)
        .map_err(|_| PacketError::Base64)
}

/// Encodes bytes as an unpadded text token, for identifiers.
pub(crate) fn token(bytes: &[u8]) -> String {
    STANDARD_NO_PAD
        .encode(bytes)
        .replace('+', "-")
        .replace('/', "_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_what_is_no_packet() {
        for (text, error) in [
            ("", PacketError::Empty),
            ("abc", PacketError::UnknownType),
            ("7", PacketError::UnknownType),
            ("/", PacketError::UnknownType),
            ("éabcd", PacketError::UnknownType),
            ("b!", PacketError::Base64),
            ("bAQI=D", PacketError::Base64),
            ("bA", PacketError::Base64),
        ] {
            assert_eq!(Packet::decode(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn takes_every_spelling_of_base64() {
        for text in ["b++//AQ==", "b++//AQ", "b--__AQ==", "b--__AQ"] {
            assert_eq!(
                Packet::decode(text),
                Ok(Packet::Message(Message::Binary(Bytes::from_static(&[
                    0xfb, 0xef, 0xff, 1
                ])))),
                "{text:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in any::<String>()) {
            let _ = Packet::decode(&text);
        }

        #[test]
        fn text_comes_back(text in any::<String>()) {
            let mut wire = String::new();
            Frame::message(&text).append_to(&mut wire);
            prop_assert_eq!(Packet::decode(&wire), Ok(Packet::Message(Message::Text(text))));
        }

        #[test]
        fn binary_comes_back(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut wire = String::new();
            Frame::binary(data.clone()).append_to(&mut wire);
            prop_assert_eq!(Packet::decode(&wire), Ok(Packet::Message(Message::Binary(data.into()))));
        }
    }
}
