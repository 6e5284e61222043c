//! Opening, listing and blocking chats.

use std::sync::Arc;
use std::time::Instant;

use super::details::{ChatDetails, Gatherer, membership, open_to};
use super::event::Event;
use super::{Caller, Error, Pages, Service, announce};
use crate::id::{ChatId, PetId, UserId};
use crate::model::{Chat, ChatKind};
use crate::store::{Snapshot, Transaction};

/// Up to here in a user's list a page is read at once.
const NEAR: u64 = 200;

/// A request to open a chat, or to find the one that is open already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenChat {
    /// The other side; may be left out when the pet's owner is meant.
    pub participant: Option<UserId>,
    /// What it is about.
    pub pet: Option<PetId>,
    /// Asked kind; follows from `pet` when left out.
    pub kind: Option<ChatKind>,
}

/// One page of a user's chats.
#[derive(Debug)]
pub struct ChatPage {
    /// Newest activity first.
    pub chats: Vec<ChatDetails>,
    /// Where in the list this is.
    pub pages: Pages,
}

impl Service {
    /// Opens the chat, or finds it; `true` when it is new. There is one per participants, pet and kind, however many
    /// callers race.
    pub async fn open_chat(
        &self,
        caller: &Caller,
        request: OpenChat,
    ) -> Result<(ChatDetails, bool), Error> {
        let (caller, events) = (caller.clone(), self.events.clone());
        let service = self.clone();
        self.store
            .write(move |tx| {
                let kind = request.kind()?;
                if tx.erased(&caller.user)?.is_some() {
                    return Err(Error::CallerUnknown);
                }
                let other = other_side(tx, &caller.user, &request)?;
                let participants = vec![caller.user.clone(), other];
                if let Some(chat) = tx.chat_between(kind, request.pet.as_ref(), &participants)? {
                    let details = service.with_presence(Gatherer::new(tx, chat)?.chat()?);
                    return Ok((details, false));
                }
                // What there was stays to be read.
                if tx.is_blocked_between(&participants[0], &participants[1])? {
                    return Err(Error::ChatBlocked);
                }
                let moment = (Instant::now(), tx.now());
                service.watch.new_chat(tx, &caller, moment)?;
                let chat = new_chat(tx, kind, request.pet, participants);
                tx.insert_chat(&chat)?;
                let others = chat.participants[1..].to_vec();
                let details = service.with_presence(Gatherer::new(tx, chat)?.chat()?);
                announce(
                    tx,
                    &events,
                    Event::ChatOpened {
                        chat: Arc::new(details.clone()),
                        others,
                    },
                );
                Ok::<_, Error>((details, true))
            })
            .await
    }

    /// A page of the caller's chats.
    pub async fn my_chats(&self, user: &UserId, page: u64, limit: u64) -> Result<ChatPage, Error> {
        let user = user.clone();
        let list = move |tables: &Snapshot<'_>| {
            let pages = Pages {
                page,
                limit,
                total: tables.totals(&user)?.chats,
            };
            let skip =
                usize::try_from(page.saturating_sub(1).saturating_mul(limit)).unwrap_or(usize::MAX);
            let chats = tables
                .chats_of(&user, skip, usize::try_from(limit).unwrap_or(usize::MAX))?
                .into_iter()
                .map(|chat| Gatherer::new(tables, chat)?.chat())
                .collect::<Result<_, Error>>()?;
            Ok::<_, Error>(ChatPage { chats, pages })
        };
        // The chats before the page have to be walked over.
        let mut listed = if page.saturating_mul(limit) <= NEAR {
            self.store.look(list).await?
        } else {
            self.store.read(list).await?
        };
        listed.chats = listed
            .chats
            .into_iter()
            .map(|chat| self.with_presence(chat))
            .collect();
        Ok(listed)
    }

    /// Unread messages over all of the user's chats.
    pub async fn unread_total(&self, user: &UserId) -> Result<u64, Error> {
        let user = user.clone();
        self.store
            .look(move |tables| Ok(tables.totals(&user)?.unread))
            .await
    }

    /// Blocks the chat for the caller, or lifts the caller's block. Answers whether the caller blocks it now.
    pub async fn toggle_block(
        &self,
        caller: &Caller,
        chat: ChatId,
    ) -> Result<(ChatDetails, bool), Error> {
        let (caller, events) = (caller.clone(), self.events.clone());
        let toggled = self
            .store
            .write(move |tx| {
                let before = membership(tx, &caller.user, chat)?;
                let mut after = before.clone();
                let blocks = !before.blocked_by.contains(&caller.user);
                if blocks {
                    after.blocked_by.push(caller.user.clone());
                } else {
                    after.blocked_by.retain(|user| *user != caller.user);
                }
                after.updated_at = tx.now();
                tx.update_chat(&before, &after)?;
                let event = Event::ChatBlocked {
                    chat,
                    blocked_by: after.blocked_by.clone(),
                    participants: after.participants.clone(),
                    by: caller,
                };
                announce(tx, &events, event);
                Ok::<_, Error>((Gatherer::new(tx, after)?.chat()?, blocks))
            })
            .await?;
        Ok((self.with_presence(toggled.0), toggled.1))
    }

    /// Checks that the user takes part in the chat.
    pub async fn check_member(&self, user: &UserId, chat: ChatId) -> Result<(), Error> {
        let user = user.clone();
        self.store
            .look(move |tables| membership(tables, &user, chat).map(drop))
            .await
    }

    /// Checks that the user may send to the chat now.
    pub async fn check_may_send(&self, user: &UserId, chat: ChatId) -> Result<(), Error> {
        let user = user.clone();
        self.store
            .look(move |tables| open_to(tables, &user, membership(tables, &user, chat)?).map(drop))
            .await
    }

    pub(super) fn with_presence(&self, mut details: ChatDetails) -> ChatDetails {
        for participant in &mut details.participants {
            let is_online = self.presence.is_online(&participant.user.id);
            participant.is_online = is_online && !participant.is_hidden;
        }
        details
    }
}

impl OpenChat {
    fn kind(&self) -> Result<ChatKind, Error> {
        match (self.kind, &self.pet) {
            (Some(ChatKind::General), _) => Ok(ChatKind::General),
            (None | Some(ChatKind::PetInquiry), Some(_)) => Ok(ChatKind::PetInquiry),
            (None | Some(ChatKind::Direct), None) => Ok(ChatKind::Direct),
            (Some(ChatKind::PetInquiry), None) => {
                Err(Error::InvalidRequest("a pet_inquiry needs a petId"))
            }
            (Some(ChatKind::Direct), Some(_)) => {
                Err(Error::InvalidRequest("a direct chat has no petId"))
            }
        }
    }
}

/// Whom the caller opens the chat with: the pet's owner is always a side of an inquiry.
fn other_side(tx: &Transaction<'_>, caller: &UserId, request: &OpenChat) -> Result<UserId, Error> {
    let owner = match &request.pet {
        Some(pet) => tx.pet(pet)?.ok_or(Error::PetNotFound)?.owner,
        None => None,
    };
    let other = match (&request.participant, owner) {
        (Some(participant), None) => participant.clone(),
        (None, Some(owner)) => owner,
        (Some(participant), Some(owner)) if *participant == owner || *caller == owner => {
            participant.clone()
        }
        (Some(_), Some(_)) => return Err(Error::NotPetOwner),
        (None, None) if request.pet.is_some() => {
            return Err(Error::InvalidRequest(
                "this pet has no owner; participantId is required",
            ));
        }
        (None, None) => {
            return Err(Error::InvalidRequest(
                "Either petId or participantId is required",
            ));
        }
    };
    if other == *caller {
        return Err(Error::SelfChat);
    }
    tx.user(&other)?.ok_or(Error::UserNotFound)?;
    Ok(other)
}

fn new_chat(
    tx: &mut Transaction<'_>,
    kind: ChatKind,
    pet: Option<PetId>,
    participants: Vec<UserId>,
) -> Chat {
    let now = tx.now();
    Chat {
        id: tx.mint_chat_id(),
        kind,
        participants,
        pet,
        blocked_by: Vec::new(),
        created_at: now,
        updated_at: now,
        last_seq: 0,
        last_message_at: now,
        activity: tx.commit_number(),
    }
}
