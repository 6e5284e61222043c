//! What somebody has reported to the host, with a copy of what it is about: what is deleted later is still seen by who judges.

use serde::{Deserialize, Serialize};

use super::{Attachment, MessageKind, Timestamp};
use crate::id::{ChatId, MessageId, ReportId, UserId};

/// Why something is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ReportReason {
    /// Advertising, or the same to everybody.
    Spam = 1,
    /// Somebody wants money for what they have not got.
    Fraud = 2,
    /// Insults, threats, harassment.
    Abuse = 3,
    /// An animal is not treated well.
    AnimalWelfare = 4,
    /// What the text says.
    Other = 5,
}

/// What has become of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ReportStatus {
    /// Nobody has judged it.
    Open = 1,
    /// Something was done.
    Resolved = 2,
    /// Nothing is to be done.
    Dismissed = 3,
}

coded!(ReportReason {
    Spam = "spam",
    Fraud = "fraud",
    Abuse = "abuse",
    AnimalWelfare = "animal_welfare",
    Other = "other"
});
coded!(ReportStatus { Open = "open", Resolved = "resolved", Dismissed = "dismissed" });

/// A report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Minted here.
    pub id: ReportId,
    /// Who reports.
    pub by: UserId,
    /// Whom.
    pub accused: UserId,
    /// The chat it is about, or in which it happened.
    pub chat: Option<ChatId>,
    /// The message it is about, if it is about one.
    pub message: Option<MessageId>,
    /// Why.
    pub reason: ReportReason,
    /// In the words of who reports; may be empty.
    pub text: String,
    /// What had been said when it was reported.
    pub evidence: Vec<Evidence>,
    /// When.
    pub created_at: Timestamp,
    /// What has become of it.
    pub status: ReportStatus,
    /// What the host has noted; may be empty.
    pub note: String,
    /// When the host last judged it.
    pub judged_at: Option<Timestamp>,
}

/// A message as it was when it was reported. Of a picture or video only what is known of the file, not its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Which message.
    pub message: MessageId,
    /// Its number in its chat.
    pub seq: u64,
    /// Who wrote it.
    pub sender: UserId,
    /// What it carried.
    pub kind: MessageKind,
    /// Its text or caption.
    pub content: String,
    /// Its file.
    pub attachment: Option<Attachment>,
    /// It had been deleted by then, or its sender has been erased since.
    pub deleted: bool,
    /// When it was sent.
    pub created_at: Timestamp,
}

impl Report {
    /// Everybody of whom it holds something, each once.
    pub fn people(&self) -> Vec<&UserId> {
        let mut people = vec![&self.by, &self.accused];
        people.extend(self.evidence.iter().map(|one| &one.sender));
        people.sort();
        people.dedup();
        people
    }

    /// Takes away what `user` has said, here and in what is copied; that there was a report stays.
    pub fn forget(&mut self, user: &UserId) {
        if self.by == *user {
            self.text.clear();
        }
        for one in self.evidence.iter_mut().filter(|one| one.sender == *user) {
            one.content.clear();
            one.attachment = None;
            one.deleted = true;
        }
    }
}
