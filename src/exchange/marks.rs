//! How far participants and retention had come in a chat, found out while its messages go by in their order. It knows no store.

use std::collections::VecDeque;

use super::draft::{ChatDraft, MessageDraft, Progress, Reached};
use crate::id::{MessageId, UserId};
use crate::model::Expired;

/// How far one participant had come: everything up to the latest of these messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) user: UserId,
    pub(super) read: Vec<MessageId>,
    pub(super) delivered: Option<MessageId>,
}

/// Follows the messages of a chat as they go by and remembers how far each participant had come.
pub(super) struct Marks {
    users: Vec<Following>,
    expired: Expired,
    /// The message up to which retention had come.
    expired_to: Option<MessageId>,
}

struct Following {
    user: UserId,
    /// Unread messages as the original counted them.
    count: Option<usize>,
    /// `seq` of the watermarks as they are given.
    read_seq: u64,
    delivered_seq: u64,
    read: Option<MessageId>,
    delivered: Option<MessageId>,
    /// The newest messages of others, one more than are unread.
    newest: VecDeque<MessageId>,
}

impl Marks {
    pub(super) fn new(chat: &ChatDraft) -> Self {
        let users = chat.participants.iter().map(|user| {
            let mut following = Following {
                user: user.clone(),
                count: None,
                read_seq: 0,
                delivered_seq: 0,
                read: None,
                delivered: None,
                newest: VecDeque::new(),
            };
            match &chat.progress {
                Progress::Counts(counts) => {
                    let count = counts.iter().find(|(one, _)| one == user);
                    following.count = count.and_then(|(_, count)| usize::try_from(*count).ok());
                }
                Progress::Receipts(receipts) => {
                    for receipt in receipts.iter().filter(|one| one.user_id == *user) {
                        following.read_seq = receipt.read;
                        following.delivered_seq = receipt.delivered;
                    }
                }
            }
            following
        });
        Self {
            users: users.collect(),
            expired: chat.expired,
            expired_to: None,
        }
    }

    pub(super) fn see(&mut self, draft: &MessageDraft) {
        for one in &mut self.users {
            one.see(draft);
        }
        if draft.seq > 0 && draft.seq == self.expired.content.max(self.expired.media) {
            self.expired_to = Some(draft.id);
        }
    }

    pub(super) fn expired(&self) -> Option<(Expired, MessageId)> {
        self.expired_to.map(|last| (self.expired, last))
    }

    pub(super) fn finish(self) -> Vec<Mark> {
        self.users.into_iter().map(Following::finish).collect()
    }
}

impl Following {
    fn see(&mut self, draft: &MessageDraft) {
        if draft.seq > 0 {
            if draft.seq <= self.read_seq {
                self.read = Some(draft.id);
            }
            if draft.seq <= self.delivered_seq {
                self.delivered = Some(draft.id);
            }
            return;
        }
        if draft.sender == self.user {
            return;
        }
        if draft.reached == Reached::Read || draft.read_by.contains(&self.user) {
            self.read = Some(draft.id);
        }
        if draft.reached >= Reached::Delivered {
            self.delivered = Some(draft.id);
        }
        if let Some(count) = self.count
            && !draft.deleted
        {
            self.newest.push_back(draft.id);
            if self.newest.len() > count.saturating_add(1) {
                self.newest.pop_front();
            }
        }
    }

    /// Where the counter and the receipts disagree, what either calls read is read.
    fn finish(self) -> Mark {
        let counted = match self.count {
            Some(count) if self.newest.len() > count => self.newest.front().copied(),
            _ => None,
        };
        Mark {
            user: self.user,
            read: self.read.into_iter().chain(counted).collect(),
            delivered: self.delivered,
        }
    }
}
