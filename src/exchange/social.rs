//! The lines of an export about who has blocked whom and who has reported whom. A field of the model that is not written here does
//! not compile here.

use serde::{Deserialize, Serialize};

use super::original::check_minted;
use super::record::FileRecord;
use super::when::Moment;
use crate::id::{ChatId, MessageId, ReportId, UserId};
use crate::model::{
    Attachment, Evidence, MessageKind, Report, ReportReason, ReportStatus, Timestamp,
};

/// Longest text of a report and of one copied message, in bytes, and how many of those there may be: so that it can be stored.
const MAX_TEXT: usize = 16 * 1024;
const MAX_EVIDENCE: usize = 40;

/// Somebody has blocked somebody.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct BlockRecord {
    r#type: String,
    pub(super) user: UserId,
    pub(super) blocked: UserId,
    pub(super) at: Moment,
}

impl BlockRecord {
    pub(super) fn new(user: UserId, blocked: UserId, at: Timestamp) -> Self {
        Self {
            r#type: "block".to_owned(),
            user,
            blocked,
            at: Moment(at),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ReportRecord {
    r#type: String,
    #[serde(rename = "_id")]
    id: ReportId,
    reported_by: UserId,
    reported_user: UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    chat: Option<ChatId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<MessageId>,
    reason: String,
    text: String,
    evidence: Vec<EvidenceRecord>,
    created_at: Moment,
    status: String,
    note: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    judged_at: Option<Moment>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EvidenceRecord {
    message: MessageId,
    seq: u64,
    sender: UserId,
    message_type: String,
    content: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    media: Option<FileRecord>,
    is_deleted: bool,
    created_at: Moment,
}

impl From<Report> for ReportRecord {
    fn from(report: Report) -> Self {
        let Report {
            id,
            by,
            accused,
            chat,
            message,
            reason,
            text,
            evidence,
            created_at,
            status,
            note,
            judged_at,
        } = report;
        Self {
            r#type: "report".to_owned(),
            id,
            reported_by: by,
            reported_user: accused,
            chat,
            message,
            reason: reason.as_str().to_owned(),
            text,
            evidence: evidence.into_iter().map(EvidenceRecord::from).collect(),
            created_at: Moment(created_at),
            status: status.as_str().to_owned(),
            note,
            judged_at: judged_at.map(Moment),
        }
    }
}

impl From<Evidence> for EvidenceRecord {
    fn from(evidence: Evidence) -> Self {
        let Evidence {
            message,
            seq,
            sender,
            kind,
            content,
            attachment,
            deleted,
            created_at,
        } = evidence;
        Self {
            message,
            seq,
            sender,
            message_type: kind.as_str().to_owned(),
            content,
            media: attachment.map(FileRecord::from),
            is_deleted: deleted,
            created_at: Moment(created_at),
        }
    }
}

impl ReportRecord {
    /// The report, or why it is none.
    pub(super) fn report(self) -> Result<Report, String> {
        check_minted(self.id.as_bytes())?;
        let is_long = |text: &String| text.len() > MAX_TEXT;
        let copied = self.evidence.iter().map(|one| &one.content);
        if copied.chain([&self.text, &self.note]).any(is_long) {
            return Err("a text is longer than 16 KiB".to_owned());
        }
        if self.evidence.len() > MAX_EVIDENCE {
            return Err("`evidence` has more than 40 messages".to_owned());
        }
        let evidence = self.evidence.into_iter().map(EvidenceRecord::evidence);
        Ok(Report {
            id: self.id,
            by: self.reported_by,
            accused: self.reported_user,
            chat: self.chat,
            message: self.message,
            reason: ReportReason::from_name(&self.reason).ok_or("`reason` is not known")?,
            text: self.text,
            evidence: evidence.collect::<Result<_, _>>()?,
            created_at: self.created_at.0,
            status: ReportStatus::from_name(&self.status).ok_or("`status` is not known")?,
            note: self.note,
            judged_at: self.judged_at.map(|moment| moment.0),
        })
    }
}

impl EvidenceRecord {
    fn evidence(self) -> Result<Evidence, String> {
        Ok(Evidence {
            message: self.message,
            seq: self.seq,
            sender: self.sender,
            kind: MessageKind::from_name(&self.message_type).ok_or("`messageType` is not known")?,
            content: self.content,
            attachment: self.media.map(Attachment::from),
            deleted: self.is_deleted,
            created_at: self.created_at.0,
        })
    }
}
