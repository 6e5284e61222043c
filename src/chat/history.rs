//! Reading a chat's messages: pages and cursors. Page arithmetic is on `seq`, so the cost does not depend on the depth.

use super::details::{Gatherer, MessageDetails, membership};
use super::{Caller, Error, Service};
use crate::id::{ChatId, MessageId};
use crate::model::Chat;
use crate::store::{Source, Tables};

/// Which part of a chat's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum History {
    /// Page 1 is the newest; ascending inside a page.
    Page(u64),
    /// The messages just before this one.
    Before(MessageId),
    /// The messages just after this one.
    After(MessageId),
}

/// Arithmetic of numbered pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pages {
    /// This page, from 1.
    pub page: u64,
    /// Rows on a page.
    pub limit: u64,
    /// Rows in all.
    pub total: u64,
}

impl Pages {
    /// How many pages there are.
    pub fn count(self) -> u64 {
        self.total.div_ceil(self.limit.max(1))
    }

    /// Whether there is a page after this one.
    pub fn has_more(self) -> bool {
        self.page < self.count()
    }
}

/// A part of a chat's history, ascending.
#[derive(Debug)]
pub struct HistoryPage {
    /// The messages.
    pub messages: Vec<MessageDetails>,
    /// Which page this is; `None` for a cursor.
    pub pages: Option<Pages>,
    /// All messages of the chat.
    pub total: u64,
    /// Whether there are more in the direction asked for.
    pub has_more: bool,
}

impl Service {
    /// A part of a chat's history. What it hands over counts as delivered to the caller.
    pub async fn history(
        &self,
        caller: &Caller,
        chat: ChatId,
        which: History,
        limit: u64,
    ) -> Result<HistoryPage, Error> {
        let user = caller.user.clone();
        let page = self
            .store
            .look(move |tables| {
                let chat = membership(tables, &user, chat)?;
                part_of(tables, &chat, which, limit)
            })
            .await?;
        if let Some(newest) = page.messages.last() {
            self.handed_over(chat, &caller.user, newest.message.seq);
            if self.options.mark_read_on_fetch {
                self.mark_read(caller, chat, Some(newest.message.id))
                    .await?;
            }
        }
        Ok(page)
    }
}

/// Whoever asks may see it.
pub(super) fn part_of<S: Source>(
    tables: &Tables<S>,
    chat: &Chat,
    which: History,
    limit: u64,
) -> Result<HistoryPage, Error> {
    let total = chat.last_seq;
    let seq_of = |id| match tables.find_message(id)? {
        Some(message) if message.chat == chat.id => Ok(message.seq),
        _ => Err(Error::MessageNotFound),
    };
    let seqs = match which {
        History::Page(page) => {
            let end = total.saturating_sub(page.saturating_sub(1).saturating_mul(limit)) + 1;
            end.saturating_sub(limit).max(1)..end
        }
        History::Before(id) => {
            let end = seq_of(id)?;
            end.saturating_sub(limit).max(1)..end
        }
        History::After(id) => {
            let start = seq_of(id)? + 1;
            start..(start + limit).min(total + 1)
        }
    };
    let has_more = match which {
        History::Page(_) | History::Before(_) => seqs.start > 1 && !seqs.is_empty(),
        History::After(_) => seqs.end <= total,
    };
    let mut gatherer = Gatherer::new(tables, chat.clone())?;
    let messages = tables
        .messages(chat.id, seqs)
        .map(|message| gatherer.message(message?))
        .collect::<Result<_, Error>>()?;
    let pages = match which {
        History::Page(page) => Some(Pages { page, limit, total }),
        History::Before(_) | History::After(_) => None,
    };
    Ok(HistoryPage {
        messages,
        pages,
        total,
        has_more,
    })
}
