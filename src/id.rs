//! Identifiers as types, so that a chat's id can never stand where a message's belongs.
//!
//! Users and pets belong to the host application, which names them ([`UserId`], [`PetId`]). Chats and messages are
//! named here ([`ChatId`], [`MessageId`]): twelve bytes in `ObjectId` layout, written as 24 lower-case hex digits,
//! ascending in the order of minting. This file knows nothing of storage or JSON shapes.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Longest id that the host application may give a user or a pet, in characters.
pub const MAX_HOST_ID: usize = 64;

/// A text that is no id of the asked kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// Not 1 to 64 characters of `A-Z a-z 0-9 _ - . : @`.
    #[error("must be 1 to 64 characters of A-Z a-z 0-9 _ - . : @")]
    Host,
    /// Not 24 lower-case hexadecimal digits.
    #[error("must be 24 hexadecimal digits")]
    Minted,
}

/// Whether `text` may name a user or a pet.
pub fn is_host_id(text: &str) -> bool {
    (1..=MAX_HOST_ID).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-.:@".contains(&b))
}

macro_rules! host_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The id as the host application wrote it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                if is_host_id(text) { Ok(Self(text.into())) } else { Err(InvalidId::Host) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

host_id!(
    /// A user of the host application.
    UserId
);
host_id!(
    /// A pet listing of the host application.
    PetId
);

impl UserId {
    /// The name of a user about whom nothing but the id is known: `User` and the last four characters of the id.
    pub fn stub_name(&self) -> String {
        let start = self.0.len().saturating_sub(4);
        format!("User {}", self.0.get(start..).unwrap_or(&self.0))
    }
}

macro_rules! minted_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; 12]);

        impl $name {
            /// The id's twelve bytes; their order is the order of minting.
            pub fn as_bytes(&self) -> &[u8; 12] {
                &self.0
            }

            /// When it was minted, in seconds since the epoch.
            pub fn minted_at(&self) -> u32 {
                let [a, b, c, d, ..] = self.0;
                u32::from_be_bytes([a, b, c, d])
            }
        }

        impl From<[u8; 12]> for $name {
            fn from(bytes: [u8; 12]) -> Self {
                Self(bytes)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse_hex(text).map(Self).ok_or(InvalidId::Minted)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(hex(&self.0, &mut [0; 24]))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.serialize_str(hex(&self.0, &mut [0; 24]))
                } else {
                    self.0.serialize(serializer)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let text = String::deserialize(deserializer)?;
                    text.parse().map_err(de::Error::custom)
                } else {
                    <[u8; 12]>::deserialize(deserializer).map(Self)
                }
            }
        }
    };
}

minted_id!(
    /// A chat.
    ChatId
);
minted_id!(
    /// A message.
    MessageId
);
minted_id!(
    /// A report.
    ReportId
);

fn parse_hex(text: &str) -> Option<[u8; 12]> {
    let digits = text.as_bytes();
    if digits.len() != 24 {
        return None;
    }
    let mut bytes = [0; 12];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

/// Lower case only: one id has one spelling, so that ids can be compared as text by clients.
fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

fn hex<'a>(bytes: &[u8; 12], text: &'a mut [u8; 24]) -> &'a str {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    std::str::from_utf8(text).unwrap_or_default()
}

/// Mints ids that ascend strictly, whatever the clock does.
///
/// Layout: seconds since the epoch (4 bytes), random (5 bytes), counter (3 bytes), all big-endian. When the clock
/// stands still or steps back the previous id plus one is taken instead (promise P5).
#[derive(Debug)]
pub struct Mint {
    last: u128,
    random: u64,
}

impl Mint {
    /// A mint whose ids all come after `last`, the greatest id that is stored. `random` tells processes apart.
    pub fn after(last: Option<[u8; 12]>, random: u64) -> Self {
        Self {
            last: last.map_or(0, number),
            random,
        }
    }

    /// The next id at `unix_seconds`.
    pub fn next(&mut self, unix_seconds: u32) -> [u8; 12] {
        let by_clock =
            u128::from(unix_seconds) << 64 | u128::from(self.random & 0xff_ffff_ffff) << 24;
        self.last = by_clock.max(self.last + 1);
        let mut bytes = [0; 12];
        bytes.copy_from_slice(&self.last.to_be_bytes()[4..]);
        bytes
    }
}

fn number(id: [u8; 12]) -> u128 {
    let mut bytes = [0; 16];
    bytes[4..].copy_from_slice(&id);
    u128::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_ids_are_checked() {
        for good in ["a", "user-1", "64f0c0ffee", "a.b:c@d_E", &"x".repeat(64)] {
            assert!(good.parse::<UserId>().is_ok(), "{good}");
        }
        for bad in ["", " ", "a b", "a/b", "é", "a\0", &"x".repeat(65)] {
            assert!(bad.parse::<UserId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn minted_ids_have_one_spelling() {
        let id: ChatId = "65a0b1c2d3e4f5061728394a".parse().unwrap();
        assert_eq!(id.to_string(), "65a0b1c2d3e4f5061728394a");
        assert_eq!(
            serde_json::to_string(&id).unwrap(),
            "\"65a0b1c2d3e4f5061728394a\""
        );
        for bad in [
            "65A0B1C2D3E4F5061728394A",
            "65a0",
            "",
            "65a0b1c2d3e4f5061728394g",
            "65a0b1c2d3e4f5061728394a0",
        ] {
            assert!(bad.parse::<ChatId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_clock_that_steps_back_changes_no_order() {
        let mut mint = Mint::after(None, 7);
        let ids: Vec<_> = [100, 100, 101, 50, 50, 102]
            .map(|second| mint.next(second))
            .to_vec();
        assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
        let mut restarted = Mint::after(ids.last().copied(), 1);
        assert!(restarted.next(0) > ids[5]);
    }

    #[test]
    fn a_stub_is_named_by_the_end_of_its_id() {
        assert_eq!(
            "64f0c0ffee".parse::<UserId>().unwrap().stub_name(),
            "User ffee"
        );
        assert_eq!("ab".parse::<UserId>().unwrap().stub_name(), "User ab");
    }
}
