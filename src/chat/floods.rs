//! What looks like a flood and is none of a person's doing: many new chats within an hour, and the same content in many chats. It
//! remembers in memory, of which there is a bound; what it refuses is counted for the admin.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Caller, Content, Error};
use crate::guard::{Action, Guard, Refused, Wait};
use crate::id::{ChatId, UserId};
use crate::limits::Limiter;
use crate::limits::repeats::Repeats;
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
pub struct Bounds {
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
    /// Whether new chats are limited by the hour at all.
    is_hourly: bool,
    guard: Option<Arc<Guard>>,
}

impl Default for Watch {
    fn default() -> Self {
        Self::of(None, Bounds::default())
    }
}

impl Watch {
    pub(super) fn new(guard: Arc<Guard>, bounds: Bounds) -> Self {
        Self::of(Some(guard), bounds)
    }

    fn of(guard: Option<Arc<Guard>>, bounds: Bounds) -> Self {
        Self {
            newcomers: Limiter::hourly(bounds.chats_per_hour),
            established: Limiter::hourly(bounds.chats_per_hour_established),
            repeats: Repeats::new(bounds.duplicate_chats, WINDOW),
            is_hourly: bounds.chats_per_hour > 0 || bounds.chats_per_hour_established > 0,
            guard,
        }
    }

    /// `caller` opens a chat that was not there. Only where that is known it can be told from asking for one that is, which costs nothing.
    pub(super) fn new_chat<S: Source>(
        &self,
        tables: &Tables<S>,
        caller: &Caller,
        now: (Instant, Timestamp),
    ) -> Result<(), Error> {
        let user = &caller.user;
        if let Some(guard) = &self.guard {
            guard.take(Action::NewChat, user, caller.address)?;
        }
        if !self.is_hourly {
            return Ok(());
        }
        let (instant, moment) = now;
        let hourly = if is_established(tables, user, moment)? {
            &self.established
        } else {
            &self.newcomers
        };
        hourly.take(user, instant).map_err(|wait| {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::Settings;
    use crate::model::{ChatKind, MessageKind};
    use crate::store::{self, Store};

    fn id(text: &str) -> UserId {
        text.parse().unwrap()
    }

    fn watch(bounds: Bounds) -> (Watch, Arc<Guard>) {
        let guard = Arc::new(Guard::new(Settings::default()));
        (Watch::new(Arc::clone(&guard), bounds), guard)
    }

    fn chat(number: u8, opened_by: &str, other: &str) -> Chat {
        Chat {
            id: ChatId::from([number; 12]),
            kind: ChatKind::Direct,
            participants: vec![id(opened_by), id(other)],
            pet: None,
            blocked_by: vec![],
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
            last_seq: 0,
            last_message_at: Timestamp(0),
            activity: 1,
        }
    }

    /// The seconds in which the chat of this number was minted, as a moment.
    fn minted(number: u8, days_later: i64) -> Timestamp {
        let seconds = i64::from(u32::from_be_bytes([number; 4]));
        Timestamp((seconds + days_later * 86_400) * 1000)
    }

    #[tokio::test]
    async fn a_newcomer_opens_fewer_chats_within_an_hour_than_an_old_hand() {
        let dir = tempfile::tempdir().unwrap();
        let options = store::Options {
            data_dir: dir.path().to_owned(),
            cache: 8 << 20,
            queue: 64,
        };
        let (store, writer) = Store::open(&options).unwrap();
        let first = chat(1, "asha", "rohan");
        let inserted = store.write(move |tx| tx.insert_chat(&first));
        inserted.await.unwrap();
        let tables = store.snapshot();
        for (user, days, limits, expected) in [
            ("asha", 6, (2, 5), 2),
            ("asha", 8, (2, 5), 5),
            // Who was asked is as old a hand as who asked.
            ("rohan", 8, (2, 5), 5),
            ("meera", 8, (2, 5), 2),
            // Each by their own limit, whichever is the higher one.
            ("asha", 8, (5, 2), 2),
            ("meera", 8, (5, 2), 5),
            ("asha", 8, (0, 2), 2),
            ("meera", 8, (2, 0), 2),
        ] {
            let (watch, guard) = watch(Bounds {
                chats_per_hour: limits.0,
                chats_per_hour_established: limits.1,
                ..Bounds::default()
            });
            let (start, moment) = (Instant::now(), minted(1, days));
            let caller = Caller::new(id(user));
            let open = |after| watch.new_chat(&tables, &caller, (start + after, moment));
            let opened = (0..20).filter(|_| open(Duration::ZERO).is_ok()).count();
            assert_eq!(opened, expected, "{user} after {days} days");
            assert!(matches!(open(Duration::ZERO), Err(Error::TooManyChats(_))));
            assert!(open(Duration::from_hours(1)).is_ok(), "an hour later");
            assert_eq!(guard.suspects()[0].user, id(user));
        }
        for (user, limits) in [("meera", (0, 1)), ("asha", (1, 0))] {
            let (watch, _) = watch(Bounds {
                chats_per_hour: limits.0,
                chats_per_hour_established: limits.1,
                ..Bounds::default()
            });
            let now = (Instant::now(), minted(1, 8));
            let caller = Caller::new(id(user));
            let opened = (0..100).filter(|_| watch.new_chat(&tables, &caller, now).is_ok());
            assert_eq!(opened.count(), 100, "{user} has no limit");
        }
        drop(tables);
        drop(store);
        writer.join();
    }

    #[test]
    fn the_same_in_many_chats_is_a_flood_only_where_its_sender_began() {
        let (watch, guard) = watch(Bounds {
            duplicate_chats: 3,
            ..Bounds::default()
        });
        let (start, asha) = (Instant::now(), id("asha"));
        let text = |text: &str| Content::Text(text.to_owned());
        for number in 0..100 {
            let asked = chat(number, &format!("buyer-{number}"), "asha");
            let answer = text("Yes, she is still available");
            assert_eq!(watch.message(&asha, &asked, &answer, start), Ok(()));
        }
        assert!(guard.suspects().is_empty());
        let say = |number: u8, content: &Content, after| {
            watch.message(&asha, &chat(number, "asha", "x"), content, start + after)
        };
        let now = Duration::ZERO;
        for (number, written) in [
            (1, "Buy puppies"),
            (2, "buy  PUPPIES"),
            (3, " buy\npuppies "),
        ] {
            assert_eq!(say(number, &text(written), now), Ok(()));
        }
        let refused = say(4, &text("BUY PUPPIES"), Duration::from_mins(59));
        assert_eq!(refused, Err(Error::DuplicateMessage(61)));
        assert_eq!(say(4, &text("Buy kittens"), now), Ok(()));
        assert_eq!(
            say(3, &text("Buy puppies"), now),
            Ok(()),
            "there it was said"
        );
        assert_eq!(
            say(4, &text("Buy puppies"), Duration::from_hours(1)),
            Ok(())
        );
        let picture = |name: &str, crc32| {
            let file = crate::model::Attachment {
                name: name.to_owned(),
                mime: "image/png".to_owned(),
                size: 7,
                crc32,
                width: None,
                height: None,
            };
            Content::Received(MessageKind::Image, "Sent image".to_owned(), file)
        };
        for number in 1..=3 {
            assert_eq!(
                say(number, &picture(&format!("{number}.png"), 9), now),
                Ok(())
            );
        }
        assert!(
            say(4, &picture("4.png", 9), now).is_err(),
            "the same bytes by another name"
        );
        assert!(
            say(4, &picture("5.png", 10), now).is_ok(),
            "the same caption by itself is nothing"
        );
        assert_eq!(guard.suspects()[0].times, 2);
    }
}
