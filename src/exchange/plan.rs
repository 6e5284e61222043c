//! The first reading of an import: every row is read and held against the others and against what is stored, and nothing is
//! changed. What it keeps in memory is the chats and who was erased; messages it only counts.

use std::collections::HashMap;
use std::path::Path;

use super::draft::{ChatDraft, Draft, MessageDraft, Progress};
use super::error::Error;
use super::original::{Notes, note};
use super::record::End;
use super::rows::Rows;
use super::source::{Content, Kind, Reader, Source};
use crate::id::{ChatId, MessageId, PetId, UserId};
use crate::model::{Chat, ChatKind, Erased, Expired, Timestamp};
use crate::store::{Stopped, Tables};

/// Problems and merged chats that are told; all are counted.
const TOLD: usize = 100;

/// What the first reading found.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) chats: Vec<Planned>,
    /// By every id that a chat goes by, also one that was merged into another.
    index: HashMap<ChatId, usize>,
    by_key: HashMap<(ChatKind, Option<PetId>, Vec<UserId>), usize>,
    /// To be written before anything else.
    pub(super) erased: Vec<(UserId, Erased)>,
    pub(super) marks: Vec<(String, Timestamp)>,
    pub(super) rows: Rowcount,
    pub(super) merged: u64,
    pub(super) told_merged: Vec<(ChatId, ChatId)>,
    pub(super) bad: u64,
    pub(super) told: Vec<String>,
    pub(super) notes: Notes,
    /// Messages that are stored already.
    pub(super) known_messages: u64,
}

/// Good rows by what they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Rowcount {
    /// People who were erased.
    pub erased: u64,
    /// Users.
    pub users: u64,
    /// Pets.
    pub pets: u64,
    /// Chats.
    pub chats: u64,
    /// Messages.
    pub messages: u64,
}

/// A chat to be there in the end.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) draft: ChatDraft,
    /// Where it was read, for a problem that shows later.
    at: (usize, u64),
    /// It cannot be stored, nor anything that was said in it.
    pub(super) is_refused: bool,
}

/// Finds chats and messages in what is stored already; without a store there is nothing.
pub(super) struct Existing<'a>(pub(super) Option<&'a Tables<Stopped<'a>>>);

impl Existing<'_> {
    fn chat(&self, id: ChatId) -> Result<Option<Chat>, Error> {
        Ok(match self.0 {
            Some(tables) => tables.chat(id)?,
            None => None,
        })
    }

    fn like(&self, draft: &ChatDraft) -> Result<Option<Chat>, Error> {
        Ok(match self.0 {
            Some(tables) => {
                tables.chat_between(draft.kind, draft.pet.as_ref(), &draft.participants)?
            }
            None => None,
        })
    }

    fn has_message(&self, id: MessageId) -> Result<bool, Error> {
        Ok(match self.0 {
            Some(tables) => tables.find_message(id)?.is_some(),
            None => false,
        })
    }
}

fn key(draft: &ChatDraft) -> (ChatKind, Option<PetId>, Vec<UserId>) {
    let mut participants = draft.participants.clone();
    participants.sort();
    (draft.kind, draft.pet.clone(), participants)
}

impl Plan {
    /// Reads all files twice, the first time for the chats alone. `progress` hears of bytes read.
    pub(super) fn make(
        sources: &[Source],
        pet_owner: &str,
        existing: &Existing<'_>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Self, Error> {
        let mut plan = Self::default();
        let mut read = 0;
        for (number, source) in sources.iter().enumerate() {
            if matches!(
                source.content,
                Content::Export | Content::Collection(Kind::Chats)
            ) {
                plan.read_chats(number, source, pet_owner, &mut |taken| {
                    progress(read + taken);
                })?;
            }
            read += source.bytes;
        }
        plan.settle(sources, existing)?;
        for source in sources {
            plan.read_rest(source, pet_owner, existing, &mut |taken| {
                progress(read + taken);
            })?;
            read += source.bytes;
        }
        Ok(plan)
    }

    fn read_chats(
        &mut self,
        number: usize,
        source: &Source,
        pet_owner: &str,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), Error> {
        let mut notes = Notes::default();
        each(source, &mut |line, row, taken| {
            progress(taken);
            // What is wrong with a row is told by the second reading.
            let Ok(bytes) = row else { return Ok(()) };
            let mut reader = Reader {
                pet_owner,
                notes: &mut notes,
            };
            if source.content == Content::Export && !looks_like_a_chat(&bytes) {
                return Ok(());
            }
            if let Ok(Draft::Chat(draft)) = reader.read(source.content, &bytes) {
                self.add(*draft, (number, line));
            }
            Ok(())
        })
    }

    fn add(&mut self, draft: ChatDraft, at: (usize, u64)) {
        if self.index.contains_key(&draft.id) {
            note(&mut self.notes, "chats given twice; the first counts");
            return;
        }
        let key = key(&draft);
        let Some(&slot) = self.by_key.get(&key) else {
            self.index.insert(draft.id, self.chats.len());
            self.by_key.insert(key, self.chats.len());
            self.chats.push(Planned {
                draft,
                at,
                is_refused: false,
            });
            return;
        };
        self.index.insert(draft.id, slot);
        let kept = &mut self.chats[slot].draft;
        let (from, into) = if (draft.created_at, draft.id) < (kept.created_at, kept.id) {
            (kept.id, draft.id)
        } else {
            (draft.id, kept.id)
        };
        kept.merge(draft, into);
        self.tell_merged(from, into);
    }

    fn tell_merged(&mut self, from: ChatId, into: ChatId) {
        self.merged += 1;
        if self.told_merged.len() < TOLD {
            self.told_merged.push((from, into));
        }
    }

    /// Finds the chats that are stored already, by their ids or under another.
    fn settle(&mut self, sources: &[Source], existing: &Existing<'_>) -> Result<(), Error> {
        for slot in 0..self.chats.len() {
            let (id, (number, line)) = (self.chats[slot].draft.id, self.chats[slot].at);
            let wanted = key(&self.chats[slot].draft);
            if let Some(stored) = existing.chat(id)? {
                let mut participants = stored.participants.clone();
                participants.sort();
                if (stored.kind, stored.pet, participants) != wanted {
                    let why = format!(
                        "a chat {id} is stored that has other participants, another pet or another type"
                    );
                    self.problem(&sources[number].path, line, &why);
                    self.chats[slot].is_refused = true;
                    self.index.retain(|_, at| *at != slot);
                }
            } else if let Some(stored) = existing.like(&self.chats[slot].draft)? {
                self.index.insert(stored.id, slot);
                self.chats[slot].draft.id = stored.id;
                self.tell_merged(id, stored.id);
            }
        }
        self.by_key = HashMap::new();
        Ok(())
    }

    fn read_rest(
        &mut self,
        source: &Source,
        pet_owner: &str,
        existing: &Existing<'_>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), Error> {
        let mut notes = std::mem::take(&mut self.notes);
        let before = self.rows;
        let bad = self.bad;
        let mut end = None;
        each(source, &mut |line, row, taken| {
            progress(taken);
            let mut reader = Reader {
                pet_owner,
                notes: &mut notes,
            };
            let draft = row
                .map_err(str::to_owned)
                .and_then(|bytes| reader.read(source.content, &bytes));
            let outcome = match draft {
                Ok(draft) => self.count(draft, existing, &mut end)?,
                Err(why) => Err(why),
            };
            if let Err(why) = outcome {
                self.problem(&source.path, line, &why);
            }
            Ok(())
        })?;
        self.notes = notes;
        if source.content == Content::Export && self.bad == bad {
            self.check_end(source, before, end.as_ref());
        }
        Ok(())
    }

    fn count(
        &mut self,
        draft: Draft,
        existing: &Existing<'_>,
        end: &mut Option<End>,
    ) -> Result<Result<(), String>, Error> {
        match draft {
            Draft::Header | Draft::Block(..) | Draft::Report(_) => {}
            Draft::End(told) => *end = Some(told),
            Draft::Erased(user, erased) => {
                self.rows.erased += 1;
                self.erased.push((user, erased));
            }
            Draft::Mark(name, at) => self.marks.push((name, at)),
            Draft::User(_) => self.rows.users += 1,
            Draft::Pet(_) => self.rows.pets += 1,
            Draft::Chat(_) => self.rows.chats += 1,
            Draft::Message(draft) => {
                if !self.index.contains_key(&draft.chat)
                    && let Some(stored) = existing.chat(draft.chat)?
                {
                    self.index.insert(stored.id, self.chats.len());
                    self.chats.push(Planned::stored(stored));
                }
                let slot = match self.place(&draft) {
                    Ok(slot) => slot,
                    Err(why) => return Ok(Err(why)),
                };
                self.rows.messages += 1;
                self.known_messages += u64::from(existing.has_message(draft.id)?);
                let planned = &mut self.chats[slot].draft;
                if draft.seq == 0 {
                    planned.order = planned.order.max(draft.created_at.0);
                }
            }
        }
        Ok(Ok(()))
    }

    /// Which of the chats a message belongs to, or why it may not.
    pub(super) fn place(&self, draft: &MessageDraft) -> Result<usize, String> {
        let slot = self.index.get(&draft.chat);
        let slot =
            *slot.ok_or_else(|| format!("its chat {} is neither given nor stored", draft.chat))?;
        let chat = &self.chats[slot].draft;
        if chat.participants.contains(&draft.sender) {
            return Ok(slot);
        }
        Err(format!(
            "its sender {} takes no part in chat {}",
            draft.sender, draft.chat
        ))
    }

    /// An export says how much there is in it.
    fn check_end(&mut self, source: &Source, before: Rowcount, end: Option<&End>) {
        let found = [
            self.rows.erased - before.erased,
            self.rows.users - before.users,
            self.rows.pets - before.pets,
            self.rows.chats - before.chats,
            self.rows.messages - before.messages,
        ];
        let told = end.map(|end| [end.erased, end.users, end.pets, end.chats, end.messages]);
        let why = match told {
            Some(told) if told == found => return,
            Some(_) => "its last line counts other rows than it has: it was changed or damaged",
            None => "it has no last line: it was cut off",
        };
        self.bad += 1;
        self.told.push(format!("{}: {why}", source.path.display()));
    }

    fn problem(&mut self, path: &Path, line: u64, why: &str) {
        self.bad += 1;
        if self.told.len() < TOLD {
            // Texts of the file may hold anything.
            let why: String = why
                .chars()
                .map(|c| if c.is_control() { '\u{fffd}' } else { c })
                .take(300)
                .collect();
            self.told.push(format!("{}:{line}: {why}", path.display()));
        }
    }

    /// The places of the chats, from the one that stands lowest in the lists of its participants.
    pub(super) fn ranks(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.chats.len()).collect();
        order.sort_by_key(|&slot| (self.chats[slot].draft.order, self.chats[slot].draft.id));
        order
    }
}

impl Planned {
    /// A chat of which only messages are given.
    fn stored(chat: Chat) -> Self {
        Self {
            draft: ChatDraft {
                id: chat.id,
                kind: chat.kind,
                participants: chat.participants,
                pet: chat.pet,
                blocked_by: chat.blocked_by,
                created_at: chat.created_at,
                updated_at: chat.updated_at,
                last_message_at: chat.last_message_at,
                order: chat.last_message_at.0,
                progress: Progress::Counts(Vec::new()),
                expired: Expired::default(),
            },
            at: (0, 0),
            is_refused: false,
        }
    }
}

impl ChatDraft {
    /// Takes over what `other` knows of the same conversation.
    fn merge(&mut self, other: ChatDraft, id: ChatId) {
        self.id = id;
        for user in other.blocked_by {
            if !self.blocked_by.contains(&user) {
                self.blocked_by.push(user);
            }
        }
        self.created_at = self.created_at.min(other.created_at);
        self.updated_at = self.updated_at.max(other.updated_at);
        self.last_message_at = self.last_message_at.max(other.last_message_at);
        self.order = self.order.max(other.order);
        if let (Progress::Counts(mine), Progress::Counts(theirs)) =
            (&mut self.progress, other.progress)
        {
            for (user, count) in theirs {
                match mine.iter_mut().find(|(known, _)| *known == user) {
                    Some((_, known)) => *known = known.saturating_add(count),
                    None => mine.push((user, count)),
                }
            }
        }
    }
}

/// Spares the first reading of an export the parsing of its messages.
fn looks_like_a_chat(bytes: &[u8]) -> bool {
    const FIELD: &[u8] = b"\"participants\"";
    bytes.windows(FIELD.len()).any(|part| part == FIELD)
}

/// Hands every row of a file to `look`, with its line and the bytes taken so far.
pub(super) fn each(
    source: &Source,
    look: &mut dyn FnMut(u64, super::rows::Row, u64) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut rows = Rows::open(&source.path).map_err(Error::file(&source.path))?;
    while let Some((line, row)) = rows.next().map_err(Error::file(&source.path))? {
        look(line, row, rows.taken)?;
    }
    Ok(())
}
