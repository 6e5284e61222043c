//! Chats, the one-chat-per-key index, and each user's list in order of activity.

use super::codec;
use super::error::Error;
use super::keys::{self, Tree};
use super::tables::{Sink, Source, Tables};
use crate::id::{ChatId, PetId, UserId};
use crate::model::{Chat, ChatKind, Expired, UserTotals};

impl<S: Source> Tables<S> {
    /// The chat with this id.
    pub fn chat(&self, id: ChatId) -> Result<Option<Chat>, Error> {
        self.record(Tree::Chats, id.as_bytes())
    }

    /// The one chat between these participants about this.
    pub fn chat_between(
        &self,
        kind: ChatKind,
        pet: Option<&PetId>,
        participants: &[UserId],
    ) -> Result<Option<Chat>, Error> {
        let Some(id) = self
            .0
            .get(Tree::ChatKeys, &keys::chat_key(kind, pet, participants))?
        else {
            return Ok(None);
        };
        let id = keys::chat_at_end(&id)
            .ok_or_else(|| codec::unreadable(Tree::ChatKeys, "no id".to_owned()))?;
        self.chat(id)
    }

    /// A page of a user's chats, newest activity first.
    pub fn chats_of(&self, user: &UserId, skip: usize, limit: usize) -> Result<Vec<Chat>, Error> {
        let mut chats = Vec::new();
        for id in self.chat_ids_of(user).skip(skip).take(limit) {
            chats.extend(self.chat(id?)?);
        }
        Ok(chats)
    }

    /// The ids of all of a user's chats, newest activity first.
    pub fn chat_ids_of(&self, user: &UserId) -> impl Iterator<Item = Result<ChatId, Error>> {
        let range = keys::starting_with(keys::user_prefix(user));
        let rows = self.0.range(Tree::UserChats, range);
        rows.map(|row| {
            keys::chat_at_end(&row?.0).ok_or_else(|| {
                codec::unreadable(Tree::UserChats, "a key without a chat".to_owned())
            })
        })
    }

    /// The ids of the chats about a pet.
    pub fn chat_ids_about(&self, pet: &PetId) -> impl Iterator<Item = Result<ChatId, Error>> {
        let kinds = [ChatKind::PetInquiry, ChatKind::General];
        let rows = kinds
            .into_iter()
            .flat_map(move |kind| self.0.range(Tree::ChatKeys, keys::chats_about(kind, pet)));
        rows.map(|row| {
            keys::chat_at_end(&row?.1)
                .ok_or_else(|| codec::unreadable(Tree::ChatKeys, "no id".to_owned()))
        })
    }

    /// All chats after this one, in the order of their ids.
    pub fn chats_after(&self, after: Option<ChatId>) -> impl Iterator<Item = Result<Chat, Error>> {
        let start = after.map_or(Vec::new(), |chat| [chat.as_bytes(), &[0][..]].concat());
        self.records(Tree::Chats, start..vec![u8::MAX; 13])
    }

    /// How far retention has come in a chat.
    pub fn expired(&self, chat: ChatId) -> Result<Expired, Error> {
        let known = self.record(Tree::Expired, chat.as_bytes())?;
        Ok(known.unwrap_or_default())
    }

    /// Everybody who shares a chat with `user`, newest activity first, possibly several times.
    pub fn contacts_of(&self, user: &UserId) -> Result<Vec<UserId>, Error> {
        let rows = self.0.range(
            Tree::UserChats,
            keys::starting_with(keys::user_prefix(user)),
        );
        let mut contacts = Vec::new();
        for row in rows {
            contacts.extend(codec::decode::<Vec<UserId>>(Tree::UserChats, &row?.1)?);
        }
        Ok(contacts)
    }

    /// The chat of latest activity that the two share, if there is one. It walks the list of the one who has fewer.
    pub fn shared_chat(&self, one: &UserId, other: &UserId) -> Result<Option<ChatId>, Error> {
        let has_fewer = self.totals(one)?.chats <= self.totals(other)?.chats;
        let (walked, sought) = if has_fewer {
            (one, other)
        } else {
            (other, one)
        };
        let range = keys::starting_with(keys::user_prefix(walked));
        for row in self.0.range(Tree::UserChats, range) {
            let (key, others) = row?;
            if codec::decode::<Vec<UserId>>(Tree::UserChats, &others)?.contains(sought) {
                let chat = keys::chat_at_end(&key);
                return chat.map(Some).ok_or_else(|| {
                    codec::unreadable(Tree::UserChats, "a key without a chat".to_owned())
                });
            }
        }
        Ok(None)
    }

    /// How many chats a user has and how many unread messages in them.
    pub fn totals(&self, user: &UserId) -> Result<UserTotals, Error> {
        Ok(self
            .record(Tree::Totals, user.as_str().as_bytes())?
            .unwrap_or_default())
    }
}

impl<S: Sink> Tables<S> {
    /// Adds a new chat with all its index rows.
    pub fn insert_chat(&mut self, chat: &Chat) -> Result<(), Error> {
        self.put_raw(
            Tree::ChatKeys,
            keys::chat_key(chat.kind, chat.pet.as_ref(), &chat.participants),
            chat.id.as_bytes(),
        );
        for user in &chat.participants {
            let mut totals = self.totals(user)?;
            totals.chats += 1;
            self.put_totals(user, totals)?;
        }
        self.list_chat(chat)?;
        self.put(Tree::Chats, chat.id.as_bytes(), chat)
    }

    /// Replaces a chat; when its activity has moved it moves up in its participants' lists.
    pub fn update_chat(&mut self, before: &Chat, after: &Chat) -> Result<(), Error> {
        if before.activity != after.activity {
            for user in &before.participants {
                self.remove(
                    Tree::UserChats,
                    keys::user_chat(user, before.activity, before.id),
                );
            }
            self.list_chat(after)?;
        }
        self.put(Tree::Chats, after.id.as_bytes(), after)
    }

    fn list_chat(&mut self, chat: &Chat) -> Result<(), Error> {
        for user in &chat.participants {
            let others: Vec<&UserId> = chat.others(user).collect();
            self.put(
                Tree::UserChats,
                &keys::user_chat(user, chat.activity, chat.id),
                &others,
            )?;
        }
        Ok(())
    }

    /// Remembers how far retention has come in a chat.
    pub fn put_expired(&mut self, chat: ChatId, expired: Expired) -> Result<(), Error> {
        self.put(Tree::Expired, chat.as_bytes(), &expired)
    }

    pub(super) fn put_totals(&mut self, user: &UserId, totals: UserTotals) -> Result<(), Error> {
        self.put(Tree::Totals, user.as_str().as_bytes(), &totals)
    }
}
