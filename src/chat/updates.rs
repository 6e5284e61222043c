//! What the chats of a user or a pet show of them has changed: whoever has such a chat open hears of it. Changes are gathered
//! and told by one task, so that the last word is true and a host that sends everything every night costs little.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::details::Gatherer;
use super::event::Event;
use super::{Error, Service};
use crate::id::{ChatId, PetId, UserId};

/// Subjects that may wait to be told of; past it nobody hears of a change before they fetch the chat.
const MAX_WAITING: usize = 10_000;
/// A change is told in as many chats, the most recently active ones.
const MAX_CHATS: usize = 1000;
/// Chats that are read at once.
const PIECE: usize = 64;

/// Whose change is to be told.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    User(UserId),
    Pet(PetId),
}

/// The changes that are not told yet.
#[derive(Debug, Default)]
pub(super) struct Updates {
    waiting: Mutex<HashSet<Subject>>,
    wake: Notify,
}

impl Updates {
    /// Something about it has changed.
    pub(super) fn add(&self, subject: Subject) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < MAX_WAITING {
            waiting.insert(subject);
        }
        drop(waiting);
        self.wake.notify_one();
    }

    fn take(&self) -> HashSet<Subject> {
        std::mem::take(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Service {
    /// Tells of changed users and pets as they come. Runs until it is dropped.
    pub async fn tell_updates(&self) {
        loop {
            self.updates.wake.notified().await;
            for subject in self.updates.take() {
                if let Err(error) = self.tell(subject).await {
                    tracing::warn!(%error, "a change of a user or pet was not told");
                }
            }
        }
    }

    async fn tell(&self, subject: Subject) -> Result<(), Error> {
        let chats: Vec<ChatId> = self
            .store
            .read(move |tables| {
                let chats: Result<_, _> = match &subject {
                    Subject::User(user) => tables.chat_ids_of(user).take(MAX_CHATS).collect(),
                    Subject::Pet(pet) => tables.chat_ids_about(pet).take(MAX_CHATS).collect(),
                };
                Ok::<_, Error>(chats?)
            })
            .await?;
        for piece in chats.chunks(PIECE) {
            let piece = piece.to_vec();
            let details = self.store.read(move |tables| {
                let mut details = Vec::new();
                for id in piece {
                    if let Some(chat) = tables.chat(id)? {
                        details.push(Gatherer::new(tables, chat)?.chat()?);
                    }
                }
                Ok::<_, Error>(details)
            });
            for chat in details.await? {
                let chat = Arc::new(self.with_presence(chat));
                let _ = self.events.send(Event::ChatUpdated { chat }).await;
            }
        }
        Ok(())
    }
}
