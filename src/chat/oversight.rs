//! What the host may see of people's chats: lists, searches, and conversations, without a trace in them: nothing read by the
//! host counts as delivered or read.

use super::details::{ChatDetails, Gatherer};
use super::history::part_of;
use super::{Error, History, HistoryPage, Service};
use crate::id::{ChatId, PetId, UserId};
use crate::model::{Pet, User};
use crate::store::{Source, Tables};

/// Rows that one search looks at; it can go on from there.
const LOOKED_AT: usize = if cfg!(test) { 4 } else { 20_000 };

/// Which chats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chats {
    /// All after this one, in the order in which they were opened.
    All(Option<ChatId>),
    /// A user's, newest activity first, without the first so many.
    Of(UserId, usize),
    /// Those about a pet, without the first so many.
    About(PetId, usize),
}

/// What a search found, and from where it goes on.
#[derive(Debug)]
pub struct Found<T, I> {
    /// In the order of ids.
    pub rows: Vec<T>,
    /// The last one that was looked at, if there are more.
    pub next: Option<I>,
}

impl Service {
    /// At most `limit` chats, and whether there are more.
    pub async fn chats(
        &self,
        which: Chats,
        limit: usize,
    ) -> Result<(Vec<ChatDetails>, bool), Error> {
        let (mut chats, has_more) = self
            .store
            .read(move |tables| {
                let mut ids = ids_of(tables, which, limit + 1)?;
                let has_more = ids.len() > limit;
                ids.truncate(limit);
                let mut chats = Vec::new();
                for id in ids {
                    if let Some(chat) = tables.chat(id)? {
                        chats.push(Gatherer::new(tables, chat)?.chat()?);
                    }
                }
                Ok::<_, Error>((chats, has_more))
            })
            .await?;
        chats = chats
            .into_iter()
            .map(|chat| self.with_presence(chat))
            .collect();
        Ok((chats, has_more))
    }

    /// Any chat; `None` if there is none with this id.
    pub async fn any_chat(&self, id: ChatId) -> Result<Option<ChatDetails>, Error> {
        let found = self
            .store
            .read(move |tables| {
                let Some(chat) = tables.chat(id)? else {
                    return Ok(None);
                };
                Gatherer::new(tables, chat)?.chat().map(Some)
            })
            .await?;
        Ok(found.map(|chat| self.with_presence(chat)))
    }

    /// A part of any chat's history; `None` if there is no such chat.
    pub async fn any_history(
        &self,
        id: ChatId,
        which: History,
        limit: u64,
    ) -> Result<Option<HistoryPage>, Error> {
        self.store
            .read(move |tables| {
                let Some(chat) = tables.chat(id)? else {
                    return Ok(None);
                };
                part_of(tables, &chat, which, limit).map(Some)
            })
            .await
    }

    /// Users whose id, name or e-mail address holds `text`, whatever the case.
    pub async fn search_users(
        &self,
        text: String,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Found<User, UserId>, Error> {
        let is_meant = holds(&text);
        self.store
            .read(move |tables| {
                let rows = tables.users("", after.as_ref());
                let meant = |user: &User| {
                    is_meant(user.id.as_str())
                        || is_meant(&user.name)
                        || user.email.as_deref().is_some_and(&is_meant)
                };
                look_at(rows, (limit, LOOKED_AT), meant, |user| user.id.clone())
            })
            .await
    }

    /// Pets whose id or description holds `text`, whatever the case.
    pub async fn search_pets(
        &self,
        text: String,
        after: Option<PetId>,
        limit: usize,
    ) -> Result<Found<Pet, PetId>, Error> {
        let is_meant = holds(&text);
        self.store
            .read(move |tables| {
                let rows = tables.pets("", after.as_ref());
                let meant = |pet: &Pet| is_meant(pet.id.as_str()) || is_meant(&pet.document);
                look_at(rows, (limit, LOOKED_AT), meant, |pet| pet.id.clone())
            })
            .await
    }
}

fn ids_of<S: Source>(tables: &Tables<S>, which: Chats, limit: usize) -> Result<Vec<ChatId>, Error> {
    let ids = match which {
        Chats::All(after) => tables
            .chats_after(after)
            .take(limit)
            .map(|chat| chat.map(|chat| chat.id))
            .collect::<Result<_, _>>()?,
        Chats::Of(user, skip) => {
            let ids = tables.chat_ids_of(&user).skip(skip).take(limit);
            ids.collect::<Result<_, _>>()?
        }
        Chats::About(pet, skip) => {
            let ids = tables.chat_ids_about(&pet).skip(skip).take(limit);
            ids.collect::<Result<_, _>>()?
        }
    };
    Ok(ids)
}

/// Takes what is meant until there is enough of it, or enough was looked at: as much as `most` says.
pub(super) fn look_at<T, I, E>(
    rows: impl Iterator<Item = Result<T, E>>,
    most: (usize, usize),
    is_meant: impl Fn(&T) -> bool,
    id_of: impl Fn(&T) -> I,
) -> Result<Found<T, I>, Error>
where
    Error: From<E>,
{
    let mut found = Found {
        rows: Vec::new(),
        next: None,
    };
    let (limit, look_at_most) = most;
    let mut rows = rows.peekable();
    let mut looked_at = 0;
    while let Some(row) = rows.next() {
        let row = row?;
        looked_at += 1;
        let id = id_of(&row);
        if is_meant(&row) {
            found.rows.push(row);
        }
        if (found.rows.len() >= limit || looked_at >= look_at_most) && rows.peek().is_some() {
            found.next = Some(id);
            break;
        }
    }
    Ok(found)
}

fn holds(text: &str) -> impl Fn(&str) -> bool + use<> {
    let wanted = text.to_lowercase();
    move |here| here.to_lowercase().contains(&wanted)
}
