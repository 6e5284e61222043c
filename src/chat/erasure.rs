//! Erasing a user: their profile at once, then the content of all their messages, their files, their pets and what reports hold of them, a piece at a
//! time, so that others go on meanwhile. A row says that it is under way; whoever finds it goes on, also after a crash. The files
//! themselves are removed by the caller, who says when nothing of them is left.

use std::sync::Arc;

use super::burial::{Buried, Depth, bury};
use super::event::Event;
use super::updates::Subject;
use super::{Error, Service, announce};
use crate::id::{ChatId, MessageId, PetId, ReportId, UserId};
use crate::model::{Chat, Erased, Message, Pet};
use crate::store::{Snapshot, Transaction};

/// Messages that are looked at, or buried, at once.
const PIECE: usize = 256;
/// Reports that are cleaned at once; each may hold many messages.
const REPORTS: usize = 16;
/// Messages at the end of a chat that an app is likely to show: their end is told one by one, in words that every client knows.
const SHOWN: u64 = 50;
/// What an erasure has taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ErasedCounts {
    /// Whether there was a profile, or an erasure that had not been finished.
    pub was_known: bool,
    /// Messages that lost their content.
    pub messages: u64,
    /// Files.
    pub files: u64,
    /// Pets.
    pub pets: u64,
}

/// What the chats of a removed pet show of it.
pub type PetStub = fn(&PetId) -> Pet;

/// An erasure under way. Each step is one commit.
#[derive(Debug)]
pub struct Erasure {
    service: Service,
    user: UserId,
    stub: PetStub,
    chats: Vec<ChatId>,
    /// The next number to be looked at in the last of `chats`.
    seq: u64,
    after_pet: Option<PetId>,
    after_report: Option<ReportId>,
    phase: Phase,
    counts: ErasedCounts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Messages,
    Pets,
    Reports,
    Done,
}

impl Service {
    /// Begins to erase a user: from now on their tokens are refused, their sockets end and nobody sees their profile. To be
    /// carried on with [`Erasure::step`] until that says it is done, and then with [`Erasure::finish`]. Of a user who is erased
    /// already it does nothing. The chats about their pets show `stub` from then on.
    pub async fn begin_erasure(&self, user: UserId, stub: PetStub) -> Result<Erasure, Error> {
        let (id, events, updates) = (user.clone(), self.events.clone(), Arc::clone(&self.updates));
        let (was_known, chats) = self
            .store
            .write(move |tx| {
                let known = tx.user(&id)?.is_some();
                let erased = tx.erased(&id)?;
                if erased.is_some_and(|erased| erased.finished) && !known {
                    return Ok((false, None));
                }
                let pending = Erased {
                    at: erased.map_or(tx.now(), |erased| erased.at),
                    finished: false,
                };
                tx.remove_user(&id);
                tx.remove_user_blocks_of(&id)?;
                tx.put_erased(&id, pending)?;
                let subject = Subject::User(id.clone());
                tx.on_commit(move || updates.add(subject));
                announce(tx, &events, Event::UserExpelled { user: id.clone() });
                let chats = tx.chat_ids_of(&id).collect::<Result<Vec<_>, _>>()?;
                Ok::<_, Error>((known || erased.is_some(), Some(chats)))
            })
            .await?;
        Ok(Erasure {
            service: self.clone(),
            user,
            stub,
            seq: 1,
            after_pet: None,
            after_report: None,
            phase: if chats.is_some() {
                Phase::Messages
            } else {
                Phase::Done
            },
            chats: chats.unwrap_or_default(),
            counts: ErasedCounts {
                was_known,
                ..ErasedCounts::default()
            },
        })
    }

    /// The users whose erasure was begun and not finished.
    pub async fn unfinished_erasures(&self) -> Result<Vec<UserId>, Error> {
        self.store
            .read(|tables| Ok(tables.unfinished_erasures()?))
            .await
    }
}

impl Erasure {
    /// Does a piece. Answers files that nothing shows any more and that the caller has to remove, or `None` when nothing is left in
    /// the store.
    pub async fn step(&mut self) -> Result<Option<Vec<String>>, Error> {
        match self.phase {
            Phase::Messages => {
                if let Some(&chat) = self.chats.last() {
                    return self.bury_some(chat).await.map(Some);
                }
                self.phase = Phase::Pets;
                Ok(Some(Vec::new()))
            }
            Phase::Pets => {
                self.remove_some_pets().await?;
                Ok(Some(Vec::new()))
            }
            Phase::Reports => {
                self.clean_some_reports().await?;
                Ok(Some(Vec::new()))
            }
            Phase::Done => Ok(None),
        }
    }

    /// Whether nothing is left in the store; from the beginning, of a user who is erased already.
    pub fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }

    /// Nothing of the user is left, nor any of their files: from now on the erasure is not gone on with. To be called only then.
    pub async fn finish(self) -> Result<ErasedCounts, Error> {
        let user = self.user;
        self.service
            .store
            .write(move |tx| {
                if let Some(erased) = pending(tx, &user)? {
                    let finished = Erased {
                        finished: true,
                        ..erased
                    };
                    tx.put_erased(&user, finished)?;
                }
                Ok::<_, Error>(())
            })
            .await?;
        Ok(self.counts)
    }

    /// What has been taken away so far.
    pub fn counts(&self) -> ErasedCounts {
        self.counts
    }

    /// Looks at the next messages of a chat and buries those of the user.
    async fn bury_some(&mut self, chat: ChatId) -> Result<Vec<String>, Error> {
        let (user, from) = (self.user.clone(), self.seq);
        let to = from + PIECE as u64;
        let seqs = self
            .service
            .store
            .read(move |tables| own_messages(tables, &user, chat, from, to))
            .await?;
        let Some(seqs) = seqs else {
            self.chats.pop();
            self.seq = 1;
            return Ok(Vec::new());
        };
        self.seq = to;
        if seqs.is_empty() {
            return Ok(Vec::new());
        }
        let (user, events) = (self.user.clone(), self.service.events.clone());
        let buried = self
            .service
            .store
            .write(move |tx| {
                let (Some(_), Some(chat)) = (pending(tx, &user)?, tx.chat(chat)?) else {
                    return Ok(None);
                };
                let mut messages = Vec::new();
                for seq in seqs {
                    messages.extend(tx.message(chat.id, seq)?);
                }
                let recent = recent(&chat, &messages);
                let buried = bury(tx, &chat, messages, Depth::Everything)?;
                // Another may have buried them since they were looked up.
                if !buried.messages.is_empty() {
                    announce(tx, &events, told(&chat, &buried, recent));
                }
                Ok::<_, Error>(Some(buried))
            })
            .await?;
        let Some(buried) = buried else {
            self.phase = Phase::Done;
            return Ok(Vec::new());
        };
        self.counts.messages += buried.messages.len() as u64;
        self.counts.files += buried.files.len() as u64;
        Ok(buried.files)
    }

    /// Looks at the next pets and removes those of the user.
    async fn remove_some_pets(&mut self) -> Result<(), Error> {
        let (user, after) = (self.user.clone(), self.after_pet.clone());
        let looked_at = self.service.store.read(move |tables| {
            let pets = tables.pets("", after.as_ref()).take(PIECE);
            let pets = pets.collect::<Result<Vec<Pet>, _>>()?;
            let last = pets.last().map(|pet| pet.id.clone());
            let own = pets
                .into_iter()
                .filter(|pet| pet.owner.as_ref() == Some(&user));
            Ok::<_, Error>((own.map(|pet| pet.id).collect::<Vec<_>>(), last))
        });
        let (own, last) = looked_at.await?;
        if last.is_none() {
            self.phase = Phase::Reports;
            return Ok(());
        }
        let user = self.user.clone();
        let (updates, stub) = (Arc::clone(&self.service.updates), self.stub);
        let removed = self.service.store.write(move |tx| {
            if pending(tx, &user)?.is_none() {
                return Ok(None);
            }
            let mut removed = 0;
            for id in own {
                // The host may have given it to somebody else since.
                if tx
                    .pet(&id)?
                    .is_some_and(|pet| pet.owner.as_ref() == Some(&user))
                {
                    tx.remove_pet(&stub(&id))?;
                    let updates = Arc::clone(&updates);
                    tx.on_commit(move || updates.add(Subject::Pet(id)));
                    removed += 1;
                }
            }
            Ok::<_, Error>(Some(removed))
        });
        let removed = removed.await?;
        self.counts.pets += removed.unwrap_or_default();
        self.after_pet = last;
        if removed.is_none() {
            self.phase = Phase::Done;
        }
        Ok(())
    }

    /// Takes what the user has said out of the next reports that hold something of them.
    async fn clean_some_reports(&mut self) -> Result<(), Error> {
        let (user, after) = (self.user.clone(), self.after_report);
        let last = self.service.store.write(move |tx| {
            if pending(tx, &user)?.is_none() {
                return Ok(None);
            }
            Ok::<_, Error>(tx.forget_in_reports(&user, after, REPORTS)?)
        });
        match last.await? {
            Some(last) => self.after_report = Some(last),
            None => self.phase = Phase::Done,
        }
        Ok(())
    }
}

/// The numbers of the user's messages among those numbered `from..to` that still carry something; `None` past the last message.
fn own_messages(
    tables: &Snapshot<'_>,
    user: &UserId,
    chat: ChatId,
    from: u64,
    to: u64,
) -> Result<Option<Vec<u64>>, Error> {
    let Some(chat) = tables.chat(chat)?.filter(|chat| from <= chat.last_seq) else {
        return Ok(None);
    };
    let mut own = Vec::new();
    for message in tables.messages(chat.id, from..to.min(chat.last_seq + 1)) {
        let message = message?;
        if message.sender == *user && Depth::Everything.takes_from(&message) {
            own.push(message.seq);
        }
    }
    Ok(Some(own))
}

/// Two may be at it at once: what the other has finished is not to be gone on with, for the user may have come back since.
fn pending(tx: &Transaction<'_>, user: &UserId) -> Result<Option<Erased>, Error> {
    Ok(tx.erased(user)?.filter(|erased| !erased.finished))
}

/// Of messages that are about to be buried, those that an app is likely to show.
fn recent(chat: &Chat, messages: &[Message]) -> Vec<MessageId> {
    let shown = messages
        .iter()
        .filter(|one| !one.deleted && one.seq + SHOWN > chat.last_seq);
    shown.map(|one| one.id).collect()
}

fn told(chat: &Chat, buried: &Buried, recent: Vec<MessageId>) -> Event {
    Event::MessagesDeleted {
        chat: chat.id,
        messages: buried.messages.clone(),
        recent,
        participants: chat.participants.clone(),
        unread: buried.unread.clone(),
    }
}
