//! Blocking a person: no chat between the two can be opened or written to, by either, and the blocked one is not shown whether the
//! other is online or types. They are told no more than that a chat is blocked. The block of a single chat is in `chats`.

use super::details::stub;
use super::event::Event;
use super::{Caller, Error, Service, announce};
use crate::id::UserId;
use crate::model::{Timestamp, User};

impl Service {
    /// Blocks a person; answers since when. Blocking them again changes nothing.
    pub async fn block_user(&self, caller: &Caller, other: UserId) -> Result<Timestamp, Error> {
        let (by, blocked) = (caller.clone(), other.clone());
        let (events, most) = (self.events.clone(), self.watch.blocked_users);
        let (since, is_new) = self
            .store
            .write(move |tx| {
                if by.user == blocked {
                    return Err(Error::InvalidRequest("You cannot block yourself"));
                }
                if tx.erased(&by.user)?.is_some() {
                    return Err(Error::CallerUnknown);
                }
                if let Some(since) = tx.user_block(&by.user, &blocked)? {
                    return Ok((since, false));
                }
                tx.user(&blocked)?.ok_or(Error::UserNotFound)?;
                if most > 0 && tx.blocked_by(&by.user).count() >= most {
                    return Err(Error::TooManyBlocks);
                }
                let now = tx.now();
                tx.put_user_block(&by.user, &blocked, now)?;
                let event = Event::UserBlocked {
                    user: blocked,
                    is_blocked: true,
                    by,
                };
                announce(tx, &events, event);
                Ok((now, true))
            })
            .await?;
        if is_new {
            self.tell_of_presence(&caller.user, &other, true).await;
        }
        Ok(since)
    }

    /// Lifts the block of a person. Lifting it again changes nothing.
    pub async fn unblock_user(&self, caller: &Caller, other: UserId) -> Result<(), Error> {
        let (by, blocked, events) = (caller.clone(), other.clone(), self.events.clone());
        let was_blocked = self
            .store
            .write(move |tx| {
                if tx.user_block(&by.user, &blocked)?.is_none() {
                    return Ok(false);
                }
                tx.remove_user_block(&by.user, &blocked);
                let event = Event::UserBlocked {
                    user: blocked,
                    is_blocked: false,
                    by,
                };
                announce(tx, &events, event);
                Ok::<_, Error>(true)
            })
            .await?;
        if was_blocked {
            self.tell_of_presence(&caller.user, &other, false).await;
        }
        Ok(())
    }

    /// Whom the user has blocked, and since when, in the order of ids.
    pub async fn blocked_users(&self, user: &UserId) -> Result<Vec<(User, Timestamp)>, Error> {
        let user = user.clone();
        self.store
            .read(move |tables| {
                let blocked = tables.blocked_by(&user).map(|row| {
                    let (other, since) = row?;
                    let known = tables.user(&other)?;
                    Ok((known.unwrap_or_else(|| stub(&other)), since))
                });
                blocked.collect()
            })
            .await
    }

    /// Who shares a chat with `user` and shows them as online shows them as gone from now on, or sees them again. A failure costs
    /// nothing that the next fetch does not bring.
    async fn tell_of_presence(&self, user: &UserId, other: &UserId, is_hidden: bool) {
        if !self.presence().is_online(user) || !self.presence().is_online(other) {
            return;
        }
        let (id, contact) = (user.clone(), other.clone());
        let found = self.store.read(move |tables| {
            let last_seen = tables.user(&id)?.and_then(|user| user.last_seen);
            let is_contact = tables.contacts_of(&id)?.contains(&contact);
            Ok::<_, Error>((is_contact, last_seen))
        });
        let last_seen = match found.await {
            Ok((true, last_seen)) => last_seen,
            Ok((false, _)) => return,
            Err(error) => return tracing::warn!(%error, "a change of presence was not told"),
        };
        let (user, audience) = (user.clone(), vec![other.clone()]);
        let event = if is_hidden {
            Event::PresenceHidden { user, audience }
        } else {
            Event::PresenceChanged {
                user,
                last_seen,
                audience,
            }
        };
        let _ = self.events.send(event).await;
    }
}
