//! What the server keeps: users, pets, chats, messages. Plain data; no I/O, no JSON.
//!
//! These structs are also what `store::codec` writes, under a version byte: whoever changes a field's type or order
//! freezes the old struct there first.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::id::{ChatId, MessageId, PetId, UserId};

/// A moment: milliseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The wall clock. Never the source of an order: that is `seq`.
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// Whole seconds since the epoch, clamped to what an id's four bytes hold.
    pub fn unix_seconds(self) -> u32 {
        u32::try_from((self.0 / 1000).max(0)).unwrap_or(u32::MAX)
    }
}

/// RFC 3339, UTC, with milliseconds.
const MILLISECONDS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }
}

impl Timestamp {
    /// The text of any moment of the years 1970 to 9999, without what a general formatter costs: every message has two of them.
    fn text(self) -> Option<[u8; 24]> {
        let millis = u64::try_from(self.0).ok()?;
        let (days, millis) = (millis / 86_400_000, millis % 86_400_000);
        // Days since 0000-03-01, so that a leap day is the last of its year; eras are 400 years.
        let days = days + 719_468;
        let (era, day) = (days / 146_097, days % 146_097);
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let march = (5 * day + 2) / 153;
        let day = day - (153 * march + 2) / 5 + 1;
        let month = if march < 10 { march + 3 } else { march - 9 };
        let year = era * 400 + year + u64::from(month <= 2);
        if year > 9999 {
            return None;
        }
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let mut put = |at: std::ops::Range<usize>, mut number: u64| {
            for digit in text[at].iter_mut().rev() {
                *digit += u8::try_from(number % 10).unwrap_or_default();
                number /= 10;
            }
        };
        put(0..4, year);
        put(5..7, month);
        put(8..10, day);
        put(11..13, millis / 3_600_000);
        put(14..16, millis / 60_000 % 60);
        put(17..19, millis / 1000 % 60);
        put(20..23, millis % 1000);
        Some(text)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(text) = self.text() {
            return f.write_str(std::str::from_utf8(&text).unwrap_or_default());
        }
        let nanos = i128::from(self.0) * 1_000_000;
        let text = OffsetDateTime::from_unix_timestamp_nanos(nanos)
            .ok()
            .and_then(|time| time.format(MILLISECONDS).ok());
        f.write_str(text.as_deref().unwrap_or("1970-01-01T00:00:00.000Z"))
    }
}

/// A user of the host application, as far as chat needs one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The host's id.
    pub id: UserId,
    /// Display name.
    pub name: String,
    /// E-mail address, shown to chat partners.
    pub email: Option<String>,
    /// Path or URL of the avatar.
    pub picture: Option<String>,
    /// When the last socket left or the user last said `online`.
    pub last_seen: Option<Timestamp>,
    /// A banned user's tokens are refused.
    pub banned: bool,
    /// Checksum of the token claims that were applied last, so that an older profile in a token that is still in use
    /// does not overwrite what the host has said since.
    pub claims_digest: Option<u32>,
    /// When the host last said something of this user, in seconds since the epoch: what an older token says is old.
    pub told_at: Option<u64>,
}

/// A pet listing: what chat shows of it, and the host's whole document to give back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pet {
    /// The host's id.
    pub id: PetId,
    /// The seller, if the host named one.
    pub owner: Option<UserId>,
    /// The host's JSON object, `_id` included, unknown fields kept.
    pub document: String,
}

/// What a chat is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ChatKind {
    /// Buyer and seller about one pet.
    PetInquiry = 1,
    /// Two users.
    Direct = 2,
    /// Other purposes.
    General = 3,
}

/// What a message carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum MessageKind {
    /// Text only.
    Text = 1,
    /// A picture with a caption.
    Image = 2,
    /// A video with a caption.
    Video = 3,
}

/// Codes are written by hand: the order of a derive must never decide what stored bytes mean.
macro_rules! coded {
    ($name:ident { $($variant:ident = $text:literal),+ }) => {
        impl $name {
            /// The name on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The kind with this name on the wire.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$variant),)+ _ => None }
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_u8(*self as u8)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                match u8::deserialize(deserializer)? {
                    $(code if code == Self::$variant as u8 => Ok(Self::$variant),)+
                    code => Err(serde::de::Error::custom(format!("unknown {} code {code}", stringify!($name)))),
                }
            }
        }
    };
}

coded!(ChatKind { PetInquiry = "pet_inquiry", Direct = "direct", General = "general" });
coded!(MessageKind { Text = "text", Image = "image", Video = "video" });

// Below the macro, which it uses.
mod report;

pub use self::report::{Evidence, Report, ReportReason, ReportStatus};

/// A conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chat {
    /// Minted here.
    pub id: ChatId,
    /// What it is about.
    pub kind: ChatKind,
    /// Who takes part; the one who opened it first.
    pub participants: Vec<UserId>,
    /// The pet of an inquiry.
    pub pet: Option<PetId>,
    /// Who has blocked it; while this is not empty nobody sends or types.
    pub blocked_by: Vec<UserId>,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When anything about it last changed.
    pub updated_at: Timestamp,
    /// The newest message's number, which is also how many there are; 0 for none.
    pub last_seq: u64,
    /// When the newest message was sent, or the chat opened.
    pub last_message_at: Timestamp,
    /// Commit number of the last message or of the opening: the place in a user's list, independent of clocks.
    pub activity: u64,
}

impl Chat {
    /// Whether `user` takes part. The one membership check (promise P12).
    pub fn has(&self, user: &UserId) -> bool {
        self.participants.contains(user)
    }

    /// The participants other than `user`.
    pub fn others<'a>(&'a self, user: &'a UserId) -> impl Iterator<Item = &'a UserId> {
        self.participants.iter().filter(move |id| *id != user)
    }
}

/// A picture or video that was uploaded to a chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// File name under the media directory.
    pub name: String,
    /// Type found in the bytes.
    pub mime: String,
    /// Bytes.
    pub size: u64,
    /// CRC-32 of the bytes.
    pub crc32: u32,
    /// Pixels, where known.
    pub width: Option<u32>,
    /// Pixels, where known.
    pub height: Option<u32>,
}

/// One message of a chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Minted here.
    pub id: MessageId,
    /// The chat it belongs to.
    pub chat: ChatId,
    /// 1, 2, 3 … in its chat, without a gap, in commit order.
    pub seq: u64,
    /// Who wrote it.
    pub sender: UserId,
    /// What it carries.
    pub kind: MessageKind,
    /// Text or caption.
    pub content: String,
    /// The file of a picture or video.
    pub attachment: Option<Attachment>,
    /// `seq` of the message that this one answers.
    pub parent: Option<u64>,
    /// The sender's own name for it, which makes a retry harmless.
    pub client_id: Option<String>,
    /// Its content is gone; the row stays as a tombstone.
    pub deleted: bool,
    /// When it was committed.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Its text is not the one it was sent with.
    pub edited: bool,
    /// At most a few, oldest first. The codec counts on these two fields to be the last.
    pub reactions: Vec<Reaction>,
}

/// What somebody thinks of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaction {
    /// Who.
    pub reactor: UserId,
    /// The emoji.
    pub emoji: String,
}

/// How far one participant has come in one chat. Everything a client sees of receipts is derived from this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReadState {
    /// Messages of others after `read` that are not deleted.
    pub unread: u32,
    /// Everything up to this `seq` is read.
    pub read: u64,
    /// Everything up to this `seq` has been handed over; never less than `read`.
    pub delivered: u64,
}

/// Sums over all chats of one user, so that totals cost one look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UserTotals {
    /// Chats the user takes part in.
    pub chats: u64,
    /// Sum of the unread counters.
    pub unread: u64,
}

/// Who uploaded a file, and how many messages show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// The chat it was uploaded to.
    pub chat: ChatId,
    /// Who uploaded it.
    pub sender: UserId,
    /// Picture or video.
    pub kind: MessageKind,
    /// The file.
    pub attachment: Attachment,
    /// Undeleted messages that show it; at 0 the file goes.
    pub uses: u32,
}

/// What is kept of a user whom the host has had erased: only that it was so, so that a token which is still valid does not
/// bring them back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    /// When the host asked for it.
    pub at: Timestamp,
    /// Nothing of theirs is left. Until then it has to be gone on with, also after a crash.
    pub finished: bool,
}

/// How far retention has come in one chat: everything up to a `seq` has been dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Expired {
    /// Content that was too old.
    pub content: u64,
    /// Media that were too old.
    pub media: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quick_text_of_a_moment_is_that_of_the_library() {
        let formatted = |moment: Timestamp| {
            let nanos = i128::from(moment.0) * 1_000_000;
            let time = OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap();
            time.format(MILLISECONDS).unwrap()
        };
        let last = 253_402_300_799_999;
        // Every day of eight hundred years at another time of day, and the ends.
        let days = (0..292_194).map(|day| day * 86_400_000 + day * 7_919_993 % 86_400_000);
        for moment in days
            .chain([0, 999, 951_782_399_999, 951_782_400_000, last])
            .map(Timestamp)
        {
            assert_eq!(moment.to_string(), formatted(moment));
        }
        assert_eq!(Timestamp(-1).to_string(), formatted(Timestamp(-1)));
        assert!(Timestamp(last + 1).text().is_none());
    }
}
