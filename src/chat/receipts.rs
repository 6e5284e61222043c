//! Read and delivered watermarks. Marking 10,000 messages read is one row.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::details::membership;
use super::event::{Event, UnreadChange};
use super::{Caller, Error, Service, announce};
use crate::id::{ChatId, MessageId, UserId};
use crate::model::{Chat, Message, ReadState};
use crate::store::Transaction;

/// What is handed over within this time is stored together: a tick beside a message may come that much later, and a sync of its own for
/// each would stand before the next message's.
const GATHER: Duration = Duration::from_millis(20);
/// Watermarks stored in one job.
const MAX_BATCH: usize = 256;
/// As many messages as one page hands over.
const MAX_LOOK_BACK: u64 = 100;

/// What has been handed over and is not stored yet: the highest `seq` per chat and user. Under load many handings
/// become one row.
#[derive(Debug, Default)]
pub(super) struct Receipts {
    pending: Mutex<HashMap<(ChatId, UserId), u64>>,
    wake: Notify,
}

impl Receipts {
    fn add(&self, chat: ChatId, user: &UserId, seq: u64) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let highest = pending.entry((chat, user.clone())).or_default();
        *highest = seq.max(*highest);
        drop(pending);
        self.wake.notify_one();
    }

    fn take(&self) -> HashMap<(ChatId, UserId), u64> {
        std::mem::take(&mut self.pending.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Service {
    /// Marks everything up to `message` (everything so far, if it is `None`) read by the caller. Answers how many
    /// messages stay unread in the chat.
    pub async fn mark_read(
        &self,
        caller: &Caller,
        chat: ChatId,
        message: Option<MessageId>,
    ) -> Result<u32, Error> {
        let (caller, events) = (caller.clone(), self.events.clone());
        self.store
            .write(move |tx| {
                let chat = membership(tx, &caller.user, chat)?;
                let up_to = match message {
                    None => chat.last_seq,
                    Some(id) => match tx.find_message(id)? {
                        Some(message) if message.chat == chat.id => message.seq,
                        _ => return Err(Error::MessageNotFound),
                    },
                };
                let before = tx.read_state(&caller.user, chat.id)?;
                if up_to <= before.read {
                    return Ok(before.unread);
                }
                let unread = unread_after(tx, &chat, &caller.user, before, up_to)?;
                let state = ReadState {
                    unread,
                    read: up_to,
                    delivered: before.delivered.max(up_to),
                };
                let change = put_unread(tx, &caller.user, chat.id, state)?;
                let Some(last) = tx.message(chat.id, up_to)? else {
                    return Ok(unread);
                };
                let event = Event::MessageRead {
                    chat: chat.id,
                    message: last.id,
                    participants: chat.participants,
                    unread: change,
                    by: caller,
                };
                announce(tx, &events, event);
                Ok(unread)
            })
            .await
    }

    /// Everything up to `seq` has been handed to the user. Stored soon, by [`Service::store_receipts`].
    pub fn handed_over(&self, chat: ChatId, user: &UserId, seq: u64) {
        self.receipts.add(chat, user, seq);
    }

    /// Stores delivered watermarks as they come, many in one job. Runs until it is dropped.
    pub async fn store_receipts(&self) {
        loop {
            self.receipts.wake.notified().await;
            tokio::time::sleep(GATHER).await;
            let batch: Vec<_> = self.receipts.take().into_iter().collect();
            for chunk in batch.chunks(MAX_BATCH) {
                self.store_batch(chunk.to_vec()).await;
            }
        }
    }

    async fn store_batch(&self, batch: Vec<((ChatId, UserId), u64)>) {
        let events = self.events.clone();
        let stored = self.store.write(move |tx| {
            for ((chat, user), seq) in batch {
                if let Some(event) = mark_delivered(tx, chat, user, seq)? {
                    announce(tx, &events, event);
                }
            }
            Ok::<_, Error>(())
        });
        if let Err(error) = stored.await {
            // They are derived anew from the next message that is handed over.
            tracing::warn!(%error, "delivered watermarks were not stored");
        }
    }
}

fn mark_delivered(
    tx: &mut Transaction<'_>,
    chat: ChatId,
    user: UserId,
    seq: u64,
) -> Result<Option<Event>, Error> {
    let before = tx.read_state(&user, chat)?;
    if seq <= before.delivered {
        return Ok(None);
    }
    tx.put_read_state(
        &user,
        chat,
        ReadState {
            delivered: seq,
            ..before
        },
    )?;
    // Only who sent something hears of it: the newest of the others' messages, looked for as far back as a page goes.
    let first = seq.saturating_sub(MAX_LOOK_BACK).max(before.delivered) + 1;
    let mut newest = None;
    for seq in (first..=seq).rev() {
        newest = tx.message(chat, seq)?.filter(|one| one.sender != user);
        if newest.is_some() {
            break;
        }
    }
    Ok(newest.map(|newest| Event::MessageDelivered {
        chat,
        message: newest.id,
        user,
        sender: newest.sender,
    }))
}

/// How many messages of others stay unread after `up_to`. Counts the shorter side of the new watermark.
fn unread_after(
    tx: &Transaction<'_>,
    chat: &Chat,
    user: &UserId,
    before: ReadState,
    up_to: u64,
) -> Result<u32, Error> {
    let count = |seqs| -> Result<u32, Error> {
        tx.messages(chat.id, seqs).try_fold(0, |count, message| {
            let message = message?;
            Ok(count + u32::from(message.sender != *user && !message.deleted))
        })
    };
    if chat.last_seq - up_to <= up_to - before.read {
        count(up_to + 1..chat.last_seq + 1)
    } else {
        Ok(before
            .unread
            .saturating_sub(count(before.read + 1..up_to + 1)?))
    }
}

/// One more unread message for everybody but its sender.
pub(super) fn count_unread(
    tx: &mut Transaction<'_>,
    chat: &Chat,
    sender: &UserId,
) -> Result<Vec<UnreadChange>, Error> {
    let mut changes = Vec::new();
    for user in chat.others(sender) {
        let state = tx.read_state(user, chat.id)?;
        changes.push(put_unread(
            tx,
            user,
            chat.id,
            ReadState {
                unread: state.unread + 1,
                ..state
            },
        )?);
    }
    Ok(changes)
}

/// These messages of one chat count no more for those who had not read them.
pub(super) fn uncount_unread(
    tx: &mut Transaction<'_>,
    chat: &Chat,
    messages: &[&Message],
) -> Result<Vec<UnreadChange>, Error> {
    let mut changes = Vec::new();
    for user in &chat.participants {
        let state = tx.read_state(user, chat.id)?;
        let counted = messages
            .iter()
            .filter(|one| one.sender != *user && one.seq > state.read)
            .count();
        if counted > 0 {
            let counted = u32::try_from(counted).unwrap_or(u32::MAX);
            let unread = state.unread.saturating_sub(counted);
            changes.push(put_unread(
                tx,
                user,
                chat.id,
                ReadState { unread, ..state },
            )?);
        }
    }
    Ok(changes)
}

/// Stores a participant's state and tells what the counters are now.
fn put_unread(
    tx: &mut Transaction<'_>,
    user: &UserId,
    chat: ChatId,
    state: ReadState,
) -> Result<UnreadChange, Error> {
    tx.put_read_state(user, chat, state)?;
    let total = tx.totals(user)?.unread;
    Ok(UnreadChange {
        user: user.clone(),
        chat,
        count: state.unread,
        total,
    })
}
