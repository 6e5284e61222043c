//! The payload codec: several packets in one HTTP body, joined by the record separator. Pure: no I/O, never panics.

use super::packet::{Frame, Packet, PacketError};

/// U+001E cannot occur inside JSON text, where it is escaped.
const SEPARATOR: char = '\u{1e}';

/// Packets in front of the first bad one, and what was wrong with that one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// Whole packets in order.
    pub packets: Vec<Packet>,
    /// Why decoding stopped early, if it did.
    pub error: Option<PayloadError>,
}

/// The body is no payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// The bytes are not text.
    #[error("payload is not UTF-8")]
    NotText,
    /// More packets than allowed; none of them is delivered.
    #[error("too many packets in one payload")]
    TooManyPackets,
    /// One packet is malformed.
    #[error(transparent)]
    Packet(#[from] PacketError),
}

/// Reads a body of at most `max_packets` packets. One trailing separator is tolerated, an empty packet anywhere else is not.
pub fn decode(body: &[u8], max_packets: usize) -> Payload {
    match split(body, max_packets) {
        Ok(text) => decode_text(text),
        Err(error) => Payload {
            packets: Vec::new(),
            error: Some(error),
        },
    }
}

fn split(body: &[u8], max_packets: usize) -> Result<&str, PayloadError> {
    let text = str::from_utf8(body).map_err(|_| PayloadError::NotText)?;
    let text = text.strip_suffix(SEPARATOR).unwrap_or(text);
    // Counted before anything is allocated for the packets.
    let separators = text.bytes().filter(|byte| *byte == SEPARATOR as u8).count();
    if separators >= max_packets {
        return Err(PayloadError::TooManyPackets);
    }
    Ok(text)
}

fn decode_text(text: &str) -> Payload {
    let mut packets = Vec::new();
    for packet in text.split(SEPARATOR) {
        match Packet::decode(packet) {
            Ok(packet) => packets.push(packet),
            Err(error) => {
                return Payload {
                    packets,
                    error: Some(error.into()),
                };
            }
        }
    }
    Payload {
        packets,
        error: None,
    }
}

/// Writes frames as one body.
pub fn encode(frames: impl IntoIterator<Item = Frame>) -> String {
    let mut body = String::new();
    for (index, frame) in frames.into_iter().enumerate() {
        if index > 0 {
            body.push(SEPARATOR);
        }
        frame.append_to(&mut body);
    }
    body
}

#[cfg(test)]
mod tests {
    use super::super::packet::Message;
    use super::*;
    use proptest::prelude::*;

    fn texts(payload: &Payload) -> Vec<&str> {
        payload
            .packets
            .iter()
            .map(|packet| match packet {
                Packet::Message(Message::Text(text)) => text.as_str(),
                other => panic!("not a text: {other:?}"),
            })
            .collect()
    }

    #[test]
    fn packets_before_the_bad_one_are_kept() {
        let payload = decode(b"4a\x1e4b\x1e\x1e4c", 10);
        assert_eq!(texts(&payload), ["a", "b"]);
        assert_eq!(payload.error, Some(PacketError::Empty.into()));
    }

    #[test]
    fn one_trailing_separator_is_tolerated_and_no_other_empty_packet() {
        assert_eq!(decode(b"4a\x1e", 10).error, None);
        for body in [&b""[..], b"\x1e", b"\x1e4a", b"4a\x1e\x1e"] {
            assert_eq!(
                decode(body, 10).error,
                Some(PacketError::Empty.into()),
                "{body:?}"
            );
        }
    }

    #[test]
    fn the_packet_limit_is_exact() {
        assert_eq!(decode(b"4\x1e4\x1e4", 3).error, None);
        let over = decode(b"4\x1e4\x1e4\x1e4", 3);
        assert_eq!(over.error, Some(PayloadError::TooManyPackets));
        assert!(over.packets.is_empty());
    }

    #[test]
    fn invalid_text_is_refused() {
        assert_eq!(decode(b"4\xff", 3).error, Some(PayloadError::NotText));
    }

    proptest! {
        #[test]
        fn never_panics(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&body, 16);
        }

        #[test]
        fn what_is_encoded_comes_back(items in proptest::collection::vec("[^\u{1e}]*", 1..8)) {
            let body = encode(items.iter().map(|text| Frame::message(text)));
            let payload = decode(body.as_bytes(), 8);
            prop_assert_eq!(payload.error, None);
            prop_assert_eq!(texts(&payload), items.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }
}
