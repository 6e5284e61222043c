//! Messages and chats with everything around them that a client is shown, gathered once from any source.

use std::collections::HashMap;

use super::error::Error;
use crate::id::{ChatId, UserId};
use crate::model::{Chat, Message, Pet, ReadState, User};
use crate::store::{Source, Tables};

/// How far a message has come. Never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Stored.
    Sent,
    /// Handed to all the others.
    Delivered,
    /// Read by all the others.
    Read,
}

/// The name that others see of a user who was erased.
const ERASED: &str = "Deleted user";

/// A message, who wrote it, how far it has come, and what it answers.
#[derive(Debug, Clone)]
pub struct MessageDetails {
    /// The message.
    pub message: Message,
    /// Its sender.
    pub sender: User,
    /// The other participants who have read it.
    pub read_by: Vec<UserId>,
    /// How far it has come.
    pub status: Status,
    /// The message it answers, without that one's parent.
    pub parent: Option<Box<MessageDetails>>,
}

/// A chat, who takes part, what it is about, and its last message.
#[derive(Debug, Clone)]
pub struct ChatDetails {
    /// The chat.
    pub chat: Chat,
    /// Who takes part, in the chat's order.
    pub participants: Vec<Participant>,
    /// The pet of an inquiry, or what is left of it.
    pub pet: Option<Pet>,
    /// Whether all of its participants are still there.
    pub is_active: bool,
    /// The newest message.
    pub last_message: Option<MessageDetails>,
}

/// One participant as the others see them.
#[derive(Debug, Clone)]
pub struct Participant {
    /// The profile.
    pub user: User,
    /// Unread messages in this chat.
    pub unread: u32,
    /// Whether a socket of theirs is connected.
    pub is_online: bool,
    /// They have blocked somebody here, and nobody is shown whether they are online or when they last were.
    pub is_hidden: bool,
}

/// Gathers details of one chat and remembers what it has read already.
#[derive(Debug)]
pub struct Gatherer<'t, S> {
    tables: &'t Tables<S>,
    chat: Chat,
    states: Vec<(UserId, ReadState)>,
    users: HashMap<UserId, User>,
    /// One of the participants was erased.
    lacks_somebody: bool,
}

impl<'t, S: Source> Gatherer<'t, S> {
    /// Of this chat, as the tables have it.
    pub fn new(tables: &'t Tables<S>, chat: Chat) -> Result<Self, Error> {
        let states = chat
            .participants
            .iter()
            .map(|user| Ok((user.clone(), tables.read_state(user, chat.id)?)))
            .collect::<Result<_, Error>>()?;
        Ok(Self {
            tables,
            chat,
            states,
            users: HashMap::new(),
            lacks_somebody: false,
        })
    }

    /// The message with its parent.
    pub fn message(&mut self, message: Message) -> Result<MessageDetails, Error> {
        let parent = match message.parent {
            Some(seq) => self.tables.message(message.chat, seq)?,
            None => None,
        };
        let parent = parent
            .map(|parent| self.alone(parent))
            .transpose()?
            .map(Box::new);
        Ok(MessageDetails {
            parent,
            ..self.alone(message)?
        })
    }

    fn alone(&mut self, message: Message) -> Result<MessageDetails, Error> {
        let sender = self.user(&message.sender)?;
        let others = || {
            self.states
                .iter()
                .filter(|(user, _)| *user != message.sender)
        };
        let read_by: Vec<UserId> = others()
            .filter(|(_, state)| state.read >= message.seq)
            .map(|(user, _)| user.clone())
            .collect();
        let status = if others().all(|(_, state)| state.read >= message.seq) {
            Status::Read
        } else if others().all(|(_, state)| state.delivered >= message.seq) {
            Status::Delivered
        } else {
            Status::Sent
        };
        Ok(MessageDetails {
            message,
            sender,
            read_by,
            status,
            parent: None,
        })
    }

    /// The chat itself; presence is filled in by the service, which alone knows it.
    pub fn chat(mut self) -> Result<ChatDetails, Error> {
        let last_message = match self.chat.last_seq {
            0 => None,
            seq => self.tables.message(self.chat.id, seq)?,
        };
        let last_message = last_message
            .map(|message| self.message(message))
            .transpose()?;
        let pet = match &self.chat.pet {
            Some(pet) => match self.tables.pet(pet)? {
                None => self.tables.removed_pet(pet)?,
                known => known,
            },
            None => None,
        };
        let states = std::mem::take(&mut self.states);
        let participants: Vec<Participant> = states
            .into_iter()
            .map(|(id, state)| {
                let mut user = self.user(&id)?;
                let is_hidden = self.blocks_somebody(&id)?;
                user.last_seen = user.last_seen.filter(|_| !is_hidden);
                Ok(Participant {
                    user,
                    unread: state.unread,
                    is_online: false,
                    is_hidden,
                })
            })
            .collect::<Result<_, Error>>()?;
        Ok(ChatDetails {
            chat: self.chat,
            participants,
            pet,
            is_active: !self.lacks_somebody,
            last_message,
        })
    }

    fn blocks_somebody(&self, user: &UserId) -> Result<bool, Error> {
        for other in self.chat.others(user) {
            if self.tables.user_block(user, other)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn user(&mut self, id: &UserId) -> Result<User, Error> {
        if let Some(user) = self.users.get(id) {
            return Ok(user.clone());
        }
        let Shown { user, is_erased } = shown(self.tables, id)?;
        self.lacks_somebody |= is_erased;
        self.users.insert(id.clone(), user.clone());
        Ok(user)
    }
}

/// A user as others are shown them.
pub(super) struct Shown {
    pub(super) user: User,
    /// Nothing is left of them.
    pub(super) is_erased: bool,
}

/// What is shown of a user, also of one who was erased or about whom nothing is known.
pub(super) fn shown<S: Source>(tables: &Tables<S>, id: &UserId) -> Result<Shown, Error> {
    if let Some(user) = tables.user(id)? {
        return Ok(Shown {
            user,
            is_erased: false,
        });
    }
    let is_erased = tables.erased(id)?.is_some();
    let mut user = stub(id);
    if is_erased {
        ERASED.clone_into(&mut user.name);
    }
    Ok(Shown { user, is_erased })
}

/// What is shown of a user about whom nothing is known.
pub(super) fn stub(id: &UserId) -> User {
    User {
        id: id.clone(),
        name: id.stub_name(),
        email: None,
        picture: None,
        last_seen: None,
        banned: false,
        claims_digest: None,
        told_at: None,
    }
}

/// The chat, if `user` takes part in it. The one check of membership (promise P12): whether the chat exists is not revealed.
/// Somebody who was erased takes part in nothing, also where a request of theirs had been let in just before.
pub(super) fn membership<S: Source>(
    tables: &Tables<S>,
    user: &UserId,
    chat: ChatId,
) -> Result<Chat, Error> {
    if tables.erased(user)?.is_some() {
        return Err(Error::CallerUnknown);
    }
    tables
        .chat(chat)?
        .filter(|chat| chat.has(user))
        .ok_or(Error::AccessDenied)
}

/// The chat, if `user` may send to it: nobody blocks it or the other, and there is somebody at the other end. Who blocks whom is not
/// told.
pub(super) fn open_to<S: Source>(
    tables: &Tables<S>,
    user: &UserId,
    chat: Chat,
) -> Result<Chat, Error> {
    if !chat.blocked_by.is_empty() {
        return Err(Error::ChatBlocked);
    }
    for other in chat.others(user) {
        if tables.erased(other)?.is_some() {
            return Err(Error::UserNotFound);
        }
        if tables.is_blocked_between(user, other)? {
            return Err(Error::ChatBlocked);
        }
    }
    Ok(chat)
}
