//! The data set of `data/demo`, read from the binary and put into the chat.

use std::cmp::Reverse;

use serde::Deserialize;
use serde_json::Value;

use crate::chat::{Caller, Content, NewMessage, OpenChat, Profile, Service};
use crate::id::{MessageId, PetId, UserId};
use crate::model::Timestamp;
use crate::pet_document;

const USERS: &str = include_str!("../../data/demo/users.json");
const PETS: &str = include_str!("../../data/demo/pets.json");
const CONVERSATIONS: &str = include_str!("../../data/demo/conversations.json");

/// The whole data set. Users and pets stay as they were written, for the page.
pub(super) struct Data {
    pub(super) users: Vec<Value>,
    pub(super) pets: Vec<Value>,
    conversations: Vec<Conversation>,
}

#[derive(Deserialize)]
struct Conversation {
    participants: [UserId; 2],
    pet: Option<PetId>,
    messages: Vec<Line>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    sender: UserId,
    content: String,
    minutes_ago: i64,
    reply_to: Option<usize>,
    #[serde(default)]
    unread: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Person {
    #[serde(rename = "_id")]
    id: UserId,
    name: String,
    email: String,
    profile_picture: String,
}

#[derive(Deserialize)]
struct PetRef {
    #[serde(rename = "_id")]
    id: PetId,
}

impl Data {
    pub(super) fn read() -> Result<Self, String> {
        let read = |error: serde_json::Error| error.to_string();
        Ok(Self {
            users: serde_json::from_str(USERS).map_err(read)?,
            pets: serde_json::from_str(PETS).map_err(read)?,
            conversations: serde_json::from_str(CONVERSATIONS).map_err(read)?,
        })
    }

    /// Stores what is not there yet: every message has a client id of its own, so a second start adds nothing.
    pub(super) async fn store(&self, chat: &Service) -> Result<(), String> {
        for user in &self.users {
            let Person {
                id,
                name,
                email,
                profile_picture,
            } = Person::deserialize(user).map_err(|error| error.to_string())?;
            let profile = Profile {
                id,
                name: Some(name),
                email: Some(email),
                picture: Some(profile_picture),
                said_at: None,
            };
            chat.put_user(profile)
                .await
                .map_err(|error| error.to_string())?;
        }
        for pet in &self.pets {
            let PetRef { id } = PetRef::deserialize(pet).map_err(|error| error.to_string())?;
            let pet = pet_document::read(id, pet.clone()).map_err(|error| error.to_string())?;
            chat.put_pet(pet).await.map_err(|error| error.to_string())?;
        }
        // A list is in the order of activity: the conversation that was quiet longest comes first.
        let mut conversations: Vec<_> = self.conversations.iter().enumerate().collect();
        conversations
            .sort_by_key(|(_, one)| Reverse(one.messages.last().map(|said| said.minutes_ago)));
        for (number, conversation) in conversations {
            conversation
                .store(chat, number)
                .await
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

impl Conversation {
    async fn store(&self, chat: &Service, number: usize) -> Result<(), crate::chat::Error> {
        let [opener, other] = self.participants.clone();
        let as_user = |user: &UserId| Caller::new(user.clone());
        let request = OpenChat {
            participant: Some(other),
            pet: self.pet.clone(),
            kind: None,
        };
        let (details, _) = chat.open_chat(&as_user(&opener), request).await?;
        let id = details.chat.id;
        let mut stored: Vec<MessageId> = Vec::new();
        for (line, said) in self.messages.iter().enumerate() {
            let new = NewMessage {
                chat: id,
                content: Content::parse(said.content.clone(), None, None)?,
                parent: said.reply_to.and_then(|index| stored.get(index).copied()),
                client_id: Some(format!("demo-{number}-{line}")),
            };
            let sent_at = Timestamp(Timestamp::now().0 - said.minutes_ago * 60_000);
            let sent = chat.import_message(&said.sender, new, sent_at).await?;
            stored.push(sent.message.message.id);
        }
        let last_read = self
            .messages
            .iter()
            .zip(&stored)
            .rfind(|(said, _)| !said.unread);
        if let Some((_, message)) = last_read {
            for user in &self.participants {
                chat.mark_read(&as_user(user), id, Some(*message)).await?;
            }
        }
        Ok(())
    }
}
