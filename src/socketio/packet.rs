//! The packet codec: Socket.IO v5 packets to and from the text of an Engine.IO message. Pure: no I/O, never panics, linear.

use std::fmt::Write as _;

/// Ids above this are not exact in a JavaScript number.
const MAX_ACK_ID: u64 = (1 << 53) - 1;

/// Names a client must not emit, because the client library gives them a meaning of its own.
const RESERVED: [&str; 6] = [
    "connect",
    "connect_error",
    "disconnect",
    "disconnecting",
    "newListener",
    "removeListener",
];

/// Asks for an answer to an event; the answer carries the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AckId(u64);

impl AckId {
    /// Wraps around where a JavaScript number ends to be exact.
    pub(super) fn new(number: u64) -> Self {
        Self(number % (MAX_ACK_ID + 1))
    }
}

/// What a packet is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Joins a namespace, or confirms it.
    Connect,
    /// Leaves a namespace.
    Disconnect,
    /// An event without attachments.
    Event,
    /// The answer to an event.
    Ack,
    /// A refused CONNECT; only a server sends it.
    ConnectError,
    /// An event whose attachments follow as binary messages.
    BinaryEvent,
    /// An answer whose attachments follow as binary messages.
    BinaryAck,
}

/// A packet taken apart. The JSON is not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// What it is for.
    pub kind: Kind,
    /// Binary messages that follow.
    pub attachments: usize,
    /// Where it belongs; `/` if it does not say.
    pub namespace: &'a str,
    /// The ack id.
    pub id: Option<AckId>,
    /// JSON text, or nothing.
    pub data: &'a str,
}

/// The text is no packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// The first character is not a digit from 0 to 6.
    #[error("unknown packet type")]
    UnknownType,
    /// The number of attachments is missing, zero or not a number.
    #[error("invalid number of attachments")]
    Attachments,
    /// The ack id does not fit, or is missing in an ACK.
    #[error("invalid ack id")]
    AckId,
}

impl<'a> Packet<'a> {
    /// `<type>[<attachments>-][/<namespace>,][<ack id>][<JSON>]`
    pub fn decode(text: &'a str) -> Result<Self, PacketError> {
        let (kind, rest) = text.split_at_checked(1).ok_or(PacketError::UnknownType)?;
        let kind = Kind::decode(kind)?;
        let (attachments, rest) = if kind.is_binary() {
            attachments(rest)?
        } else {
            (0, rest)
        };
        let (namespace, rest) = namespace(rest);
        let (id, data) = ack_id(rest)?;
        if matches!(kind, Kind::Ack | Kind::BinaryAck) && id.is_none() {
            return Err(PacketError::AckId);
        }
        Ok(Self {
            kind,
            attachments,
            namespace,
            id,
            data,
        })
    }

    /// The packet as the text of an Engine.IO MESSAGE packet, its type `4` included.
    pub fn encode(&self) -> String {
        let mut text = String::with_capacity(self.namespace.len() + self.data.len() + 24);
        text.push('4');
        text.push(self.kind.digit());
        // Writing to a string cannot fail.
        if self.kind.is_binary() {
            let _ = write!(text, "{}-", self.attachments);
        }
        if self.namespace != "/" {
            text.push_str(self.namespace);
            text.push(',');
        }
        if let Some(AckId(id)) = self.id {
            let _ = write!(text, "{id}");
        }
        text.push_str(self.data);
        text
    }
}

impl Kind {
    fn decode(digit: &str) -> Result<Self, PacketError> {
        Ok(match digit {
            "0" => Self::Connect,
            "1" => Self::Disconnect,
            "2" => Self::Event,
            "3" => Self::Ack,
            "4" => Self::ConnectError,
            "5" => Self::BinaryEvent,
            "6" => Self::BinaryAck,
            _ => return Err(PacketError::UnknownType),
        })
    }

    fn digit(self) -> char {
        match self {
            Self::Connect => '0',
            Self::Disconnect => '1',
            Self::Event => '2',
            Self::Ack => '3',
            Self::ConnectError => '4',
            Self::BinaryEvent => '5',
            Self::BinaryAck => '6',
        }
    }

    fn is_binary(self) -> bool {
        matches!(self, Self::BinaryEvent | Self::BinaryAck)
    }
}

/// Whether an event may not be called this.
pub fn is_reserved(event: &str) -> bool {
    RESERVED.contains(&event)
}

/// At least one: a packet that announces none would never be complete in some decoders.
fn attachments(text: &str) -> Result<(usize, &str), PacketError> {
    let (digits, rest) = digits(text);
    let rest = rest.strip_prefix('-').ok_or(PacketError::Attachments)?;
    match digits.parse() {
        Ok(count) if count > 0 && digits.len() <= 9 => Ok((count, rest)),
        _ => Err(PacketError::Attachments),
    }
}

/// The comma is optional at the end of the packet.
fn namespace(text: &str) -> (&str, &str) {
    if text.starts_with('/') {
        text.split_once(',').unwrap_or((text, ""))
    } else {
        ("/", text)
    }
}

fn ack_id(text: &str) -> Result<(Option<AckId>, &str), PacketError> {
    let (digits, rest) = digits(text);
    if digits.is_empty() {
        return Ok((None, rest));
    }
    match digits.parse() {
        Ok(id) if id <= MAX_ACK_ID && digits.len() <= 19 => Ok((Some(AckId(id)), rest)),
        _ => Err(PacketError::AckId),
    }
}

fn digits(text: &str) -> (&str, &str) {
    let end = text
        .bytes()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(kind: Kind, namespace: &'static str, data: &'static str) -> Packet<'static> {
        Packet {
            kind,
            attachments: 0,
            namespace,
            id: None,
            data,
        }
    }

    #[test]
    fn takes_packets_apart() {
        for (text, expected) in [
            ("0", packet(Kind::Connect, "/", "")),
            ("0/custom", packet(Kind::Connect, "/custom", "")),
            ("0/custom,", packet(Kind::Connect, "/custom", "")),
            ("0/a?b=c,{}", packet(Kind::Connect, "/a?b=c", "{}")),
            ("0custom,", packet(Kind::Connect, "/", "custom,")),
            ("2/é,[]", packet(Kind::Event, "/é", "[]")),
            ("2-1[]", packet(Kind::Event, "/", "-1[]")),
            (
                "2/n,007[]",
                Packet {
                    id: Some(AckId(7)),
                    ..packet(Kind::Event, "/n", "[]")
                },
            ),
            (
                "52-/n,9007199254740991[]",
                Packet {
                    attachments: 2,
                    id: Some(AckId(MAX_ACK_ID)),
                    ..packet(Kind::BinaryEvent, "/n", "[]")
                },
            ),
        ] {
            assert_eq!(Packet::decode(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_packet() {
        for (text, error) in [
            ("", PacketError::UnknownType),
            ("7", PacketError::UnknownType),
            ("é", PacketError::UnknownType),
            ("abc", PacketError::UnknownType),
            ("5[]", PacketError::Attachments),
            ("5-[]", PacketError::Attachments),
            ("50-[]", PacketError::Attachments),
            ("5 1-[]", PacketError::Attachments),
            ("5+1-[]", PacketError::Attachments),
            ("51", PacketError::Attachments),
            ("59999999999-[]", PacketError::Attachments),
            ("29007199254740992[]", PacketError::AckId),
            ("299999999999999999999[]", PacketError::AckId),
            ("3[]", PacketError::AckId),
            ("61-[]", PacketError::AckId),
        ] {
            assert_eq!(Packet::decode(text), Err(error), "{text}");
        }
    }

    #[test]
    fn long_runs_of_digits_are_linear() {
        for text in [
            format!("5{}", "1".repeat(1_000_000)),
            format!("2{}", "1".repeat(1_000_000)),
            format!("2/{}", "a".repeat(1_000_000)),
        ] {
            let _ = Packet::decode(&text);
        }
    }

    fn kinds() -> impl Strategy<Value = Kind> {
        proptest::sample::select(vec![
            Kind::Connect,
            Kind::Disconnect,
            Kind::Event,
            Kind::Ack,
            Kind::BinaryEvent,
            Kind::BinaryAck,
        ])
    }

    proptest! {
        #[test]
        fn never_panics(text in any::<String>()) {
            let _ = Packet::decode(&text);
        }

        #[test]
        fn never_panics_near_the_grammar(text in "[0-6]?[0-9-]{0,4}(/[a-zé,]{0,4})?[0-9]{0,20}.{0,5}") {
            let _ = Packet::decode(&text);
        }

        #[test]
        fn what_is_encoded_comes_back(
            kind in kinds(),
            count in 1_usize..11,
            namespace in "/[a-zé?=]{0,8}",
            id in 0..=MAX_ACK_ID,
            data in "\\[.*\\]",
        ) {
            let packet = Packet {
                kind,
                attachments: if kind.is_binary() { count } else { 0 },
                namespace: &namespace,
                id: Some(AckId(id)),
                data: &data,
            };
            let text = packet.encode();
            prop_assert_eq!(Packet::decode(&text[1..]), Ok(packet));
        }
    }
}
