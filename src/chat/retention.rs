//! Retention: messages past an age lose their content, or only their pictures and videos. Chat by chat, a piece at a time, with
//! a note of how far each has come, so that an hourly look costs little. A message's own time counts, never a file's.

use super::burial::{Buried, Depth, bury};
use super::event::Event;
use super::{Error, Service, announce};
use crate::id::ChatId;
use crate::model::{Chat, Expired, Timestamp};
use crate::store::{Snapshot, Transaction};

/// Messages that are looked at, and at most buried, at once.
const PIECE: usize = 256;
/// Chats that are looked at at once.
const CHATS: usize = 256;
/// Behind so many messages in a row that are young enough, none is looked for that is not: in a chat they are in order, but for
/// clocks that were wrong and for what was imported into it.
const LOOK_AHEAD: u64 = 32;
/// What the clock is believed to have moved on, at most, from one look to the next.
const MAX_ADVANCE_MS: i64 = 24 * 60 * 60 * 1000;
/// The name under which the clock of the last look is remembered.
const CLOCK: &str = "retention-clock";

/// What is too old to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooOld {
    /// Messages before this moment lose their content.
    Content(Timestamp),
    /// Messages before this moment lose their picture or video.
    Media(Timestamp),
}

/// A look through all chats. Each step is at most one read and one commit.
#[derive(Debug)]
pub struct Expiry {
    service: Service,
    what: TooOld,
    place: Option<Place>,
    messages: u64,
}

/// Where the next step goes on.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    /// The last chat that is done.
    after: Option<ChatId>,
    /// The next chat is half done.
    within: Option<Within>,
}

/// How far a chat has been looked through.
#[derive(Debug, Clone, Copy)]
struct Within {
    next: u64,
    /// Everything up to here is dealt with.
    done: u64,
    /// Messages in a row, up to `next`, that are young enough.
    young: u64,
}

/// What a step has found in one chat.
struct Due {
    chat: ChatId,
    seqs: Vec<u64>,
    done: u64,
}

impl Service {
    /// The clock by which retention goes: the wall clock, but never more than a day past where it was at the last look. A clock that
    /// has been set forward by mistake takes a day an hour, not everything at once; one that has been set back keeps more.
    pub async fn advance_retention_clock(&self, wall: Timestamp) -> Result<Timestamp, Error> {
        self.store
            .write(move |tx| {
                let believed = match tx.mark(CLOCK)? {
                    Some(Timestamp(last)) => Timestamp(wall.0.min(last.saturating_add(MAX_ADVANCE_MS))),
                    None => wall,
                };
                if believed < wall {
                    let days = (wall.0 - believed.0) / MAX_ADVANCE_MS;
                    tracing::warn!(days, "the clock is ahead of the last look for old messages; following it by a day a look");
                }
                tx.put_mark(CLOCK, believed)?;
                Ok(believed)
            })
            .await
    }

    /// Begins to look for what is too old; carried on with [`Expiry::step`].
    pub fn begin_expiry(&self, what: TooOld) -> Expiry {
        Expiry {
            service: self.clone(),
            what,
            place: Some(Place::default()),
            messages: 0,
        }
    }
}

impl Expiry {
    /// Messages that have lost something so far.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// Does a piece. Answers files that nothing shows any more and that the caller has to remove, or `None` when all is done.
    pub async fn step(&mut self) -> Result<Option<Vec<String>>, Error> {
        let Some(place) = self.place else {
            return Ok(None);
        };
        let what = self.what;
        let store = &self.service.store;
        let (due, next) = store.read(move |tables| what.look(tables, place)).await?;
        self.place = next;
        if due.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let events = self.service.events.clone();
        let buried = store.write(move |tx| {
            let (mut files, mut unread, mut messages) = (Vec::new(), Vec::new(), 0);
            for due in due {
                let Some(chat) = tx.chat(due.chat)? else {
                    continue;
                };
                let mut buried = what.bury(tx, &chat, &due)?;
                files.append(&mut buried.files);
                unread.append(&mut buried.unread);
                messages += buried.messages.len() as u64;
            }
            if !unread.is_empty() {
                announce(tx, &events, Event::CountersSank { unread });
            }
            Ok::<_, Error>((files, messages))
        });
        let (files, messages) = buried.await?;
        self.messages += messages;
        Ok(Some(files))
    }
}

impl TooOld {
    fn depth(self) -> Depth {
        match self {
            Self::Content(_) => Depth::Content,
            Self::Media(_) => Depth::Media,
        }
    }

    fn is(self, at: Timestamp) -> bool {
        let (Self::Content(before) | Self::Media(before)) = self;
        at < before
    }

    fn done_in(self, expired: Expired) -> u64 {
        match self {
            Self::Content(_) => expired.content,
            // What has lost its content has lost its media.
            Self::Media(_) => expired.media.max(expired.content),
        }
    }

    /// What is to be done in the chats from `place` on, as far as one step goes, and where the next goes on.
    fn look(
        self,
        tables: &Snapshot<'_>,
        mut place: Place,
    ) -> Result<(Vec<Due>, Option<Place>), Error> {
        let (mut found, mut budget) = (Vec::new(), PIECE);
        for chat in tables.chats_after(place.after).take(CHATS) {
            let chat = chat?;
            let (due, within) = self.look_into(tables, &chat, place.within, &mut budget)?;
            found.extend(due);
            if within.is_some() {
                place.within = within;
                return Ok((found, Some(place)));
            }
            place = Place {
                after: Some(chat.id),
                within: None,
            };
        }
        let is_end = tables.chats_after(place.after).next().is_none();
        Ok((found, (!is_end).then_some(place)))
    }

    /// The same in one chat; where it stopped when the budget was used up.
    fn look_into(
        self,
        tables: &Snapshot<'_>,
        chat: &Chat,
        within: Option<Within>,
        budget: &mut usize,
    ) -> Result<(Option<Due>, Option<Within>), Error> {
        let known = self.done_in(tables.expired(chat.id)?);
        let mut at = within.unwrap_or(Within {
            next: known + 1,
            done: known,
            young: 0,
        });
        let mut seqs = Vec::new();
        for message in tables.messages(chat.id, at.next..chat.last_seq + 1) {
            if *budget == 0 || at.young >= LOOK_AHEAD {
                break;
            }
            let message = message?;
            *budget -= 1;
            at.next = message.seq + 1;
            if !self.is(message.created_at) {
                at.young += 1;
                continue;
            }
            if at.done + 1 == message.seq {
                at.done = message.seq;
            }
            at.young = 0;
            if self.depth().takes_from(&message) {
                seqs.push(message.seq);
            }
        }
        let due = (at.done > known || !seqs.is_empty()).then_some(Due {
            chat: chat.id,
            seqs,
            done: at.done,
        });
        let is_done = at.next > chat.last_seq || at.young >= LOOK_AHEAD;
        Ok((due, (!is_done).then_some(at)))
    }

    fn bury(self, tx: &mut Transaction<'_>, chat: &Chat, due: &Due) -> Result<Buried, Error> {
        let mut messages = Vec::new();
        for seq in &due.seqs {
            messages.extend(tx.message(chat.id, *seq)?);
        }
        let mut expired = tx.expired(chat.id)?;
        match self {
            Self::Content(_) => expired.content = due.done.max(expired.content),
            Self::Media(_) => expired.media = due.done.max(expired.media),
        }
        tx.put_expired(chat.id, expired)?;
        bury(tx, chat, messages, self.depth())
    }
}
