//! What looks like a flood and is none of a person's doing: many new chats within an hour, and the same content in many chats. It
//! remembers in memory, of which there is a bound; what it refuses is counted for the admin.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Content, Error};
use crate::guard::{Guard, Refused, Wait};
use crate::id::{ChatId, UserId};
use crate::limits::Limiter;
use crate::limits::flood::Repeats;
use crate::model::{Chat, Timestamp};
use crate::store::{Source, Tables};

/// How long the same content is remembered.
const WINDOW: Duration = Duration::from_hours(1);
/// Who has had a chat for so long is no newcomer, in seconds.
const ESTABLISHED_AFTER: u32 = 7 * 86_400;
/// Chats that are looked at for the oldest one.
const LOOKED_AT: usize = 512;

/// What is too much; 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Floods {
    /// New chats an hour.
    pub chats_per_hour: u32,
    /// New chats an hour of who has had a chat for a week.
    pub chats_per_hour_established: u32,
    /// Chats to which the same content may go within an hour, of those that its sender opened.
    pub duplicate_chats: u32,
}

/// What it has seen.
#[derive(Debug)]
pub(super) struct Watch {
    newcomers: Limiter<UserId>,
    established: Limiter<UserId>,
    repeats: Repeats<UserId>,
    guard: Option<Arc<Guard>>,
}

impl Default for Watch {
    fn default() -> Self {
        Self::of(None, Floods::default())
    }
}

impl Watch {
    pub(super) fn new(guard: Arc<Guard>, floods: Floods) -> Self {
        Self::of(Some(guard), floods)
    }

    fn of(guard: Option<Arc<Guard>>, floods: Floods) -> Self {
        Self {
            newcomers: Limiter::hourly(floods.chats_per_hour),
            established: Limiter::hourly(floods.chats_per_hour_established),
            repeats: Repeats::new(floods.duplicate_chats, WINDOW),
            guard,
        }
    }

    /// `user` opens one more chat.
    pub(super) fn new_chat<S: Source>(
        &self,
        tables: &Tables<S>,
        user: &UserId,
        now: (Instant, Timestamp),
    ) -> Result<(), Error> {
        let (instant, moment) = now;
        // An established one is judged by the other limit alone, and nobody is looked up who keeps within the first.
        let refused = match self.newcomers.take(user, instant) {
            Err(wait) if !is_established(tables, user, moment)? => Err(wait),
            _ => self.established.take(user, instant),
        };
        refused.map_err(|wait| {
            self.suspect(Refused::NewChats, user);
            Error::TooManyChats(Wait::from(wait).0)
        })
    }

    /// `user` says something. Only what goes to chats that they opened themselves is looked at: to answer many people alike is what
    /// sellers do.
    pub(super) fn message(
        &self,
        user: &UserId,
        chat: &Chat,
        content: &Content,
        now: Instant,
    ) -> Result<(), Error> {
        if chat.participants.first() != Some(user) {
            return Ok(());
        }
        let said = self.say(user, chat.id, content, now);
        said.map_err(|wait| {
            self.suspect(Refused::Duplicates, user);
            Error::DuplicateMessage(Wait::from(wait).0)
        })
    }

    fn say(
        &self,
        user: &UserId,
        chat: ChatId,
        content: &Content,
        now: Instant,
    ) -> Result<(), Duration> {
        match content {
            Content::Received(_, _, file) => {
                let bytes = (file.size, file.crc32);
                self.repeats.say(user, &bytes, &chat, now)
            }
            _ => self.repeats.say(user, &plain(content.text()), &chat, now),
        }
    }

    fn suspect(&self, refused: Refused, user: &UserId) {
        tracing::info!(user = %user, what = refused.name(), "refused what looks like a flood");
        if let Some(guard) = &self.guard {
            guard.suspect(refused, user);
        }
    }
}

/// The text without what a machine changes to make it look different: white space and case.
fn plain(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").to_lowercase()
}

/// Whether one of the user's chats was opened long ago: an id tells when it was minted.
fn is_established<S: Source>(
    tables: &Tables<S>,
    user: &UserId,
    now: Timestamp,
) -> Result<bool, Error> {
    let before = now.unix_seconds().saturating_sub(ESTABLISHED_AFTER);
    for chat in tables.chat_ids_of(user).take(LOOKED_AT) {
        if chat?.minted_at() < before {
            return Ok(true);
        }
    }
    Ok(false)
}
