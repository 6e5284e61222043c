//! Blocking a person: no chat between the two can be opened or written to, by either, and the blocked one is not shown whether the
//! other is online or types. They are told no more than that a chat is blocked. The block of a single chat is in `chats`.

use tokio::sync::mpsc;

use super::details::shown;
use super::event::Event;
use super::{Caller, Error, Service, announce};
use crate::id::UserId;
use crate::model::{Timestamp, User};
use crate::store::Transaction;

impl Service {
    /// Blocks a person; answers since when. Blocking them again changes nothing.
    pub async fn block_user(&self, caller: &Caller, other: UserId) -> Result<Timestamp, Error> {
        let (by, events) = (caller.clone(), self.events.clone());
        let most = self.options.blocked_users as usize;
        self.store
            .write(move |tx| {
                if by.user == other {
                    return Err(Error::InvalidRequest("You cannot block yourself"));
                }
                if tx.erased(&by.user)?.is_some() {
                    return Err(Error::CallerUnknown);
                }
                if let Some(since) = tx.user_block(&by.user, &other)? {
                    return Ok(since);
                }
                tx.user(&other)?.ok_or(Error::UserNotFound)?;
                if most > 0 && tx.blocked_by(&by.user).count() >= most {
                    return Err(Error::TooManyBlocks);
                }
                let now = tx.now();
                tx.put_user_block(&by.user, &other, now)?;
                announce_block(tx, &events, by, other, true)?;
                Ok(now)
            })
            .await
    }

    /// Lifts the block of a person. Lifting it again changes nothing.
    pub async fn unblock_user(&self, caller: &Caller, other: UserId) -> Result<(), Error> {
        let (by, events) = (caller.clone(), self.events.clone());
        self.store
            .write(move |tx| {
                if tx.user_block(&by.user, &other)?.is_some() {
                    tx.remove_user_block(&by.user, &other);
                    announce_block(tx, &events, by, other, false)?;
                }
                Ok::<_, Error>(())
            })
            .await
    }

    /// Whom the user has blocked, and since when, in the order of ids.
    pub async fn blocked_users(&self, user: &UserId) -> Result<Vec<(User, Timestamp)>, Error> {
        let user = user.clone();
        self.store
            .read(move |tables| {
                let blocked = tables.blocked_by(&user).map(|row| {
                    let (other, since) = row?;
                    Ok((shown(tables, &other)?.user, since))
                });
                blocked.collect()
            })
            .await
    }
}

/// Tells the one who blocks, on all their devices; and the other, if they share a chat, that the one is gone, or here again. Both leave
/// in the order of commits, so that the last word is true.
fn announce_block(
    tx: &mut Transaction<'_>,
    events: &mpsc::Sender<Event>,
    by: Caller,
    other: UserId,
    is_blocked: bool,
) -> Result<(), Error> {
    let user = by.user.clone();
    let event = Event::UserBlocked {
        user: other.clone(),
        is_blocked,
        by,
    };
    announce(tx, events, event);
    if tx.shared_chat(&user, &other)?.is_none() {
        return Ok(());
    }
    let audience = vec![other];
    let event = if is_blocked {
        Event::PresenceHidden { user, audience }
    } else {
        Event::PresenceChanged { user, audience }
    };
    announce(tx, events, event);
    Ok(())
}
