//! Reporting somebody to the host: only who takes part may, and what had been said then is copied, so that deleting it does not
//! undo it. Only an erasure takes a copy away. The host reads and judges.

use super::details::membership;
use super::oversight::{Found, look_at};
use super::{Caller, Error, Service};
use crate::id::{ChatId, MessageId, ReportId, UserId};
use crate::model::{Chat, Evidence, Message, Report, ReportReason, ReportStatus};
use crate::store::{Source, Tables};

/// Longest text of a report, in UTF-16 units as of a message.
const MAX_TEXT: usize = 1000;
/// Longest note of the host, in bytes.
const MAX_NOTE: usize = 4000;
/// Messages before and after a reported one that are copied with it.
const AROUND: u64 = 5;
/// Messages of a reported chat that are copied, the latest.
const LATEST: u64 = 20;

/// Longest copy of a message, in bytes.
const MAX_COPIED: usize = 16_000;

/// Reports that one search looks at; it can go on from there. Each may hold many messages.
const LOOKED_AT: usize = if cfg!(test) { 4 } else { 500 };

/// What is reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reported {
    /// A chat: the other side, and what was said there last.
    Chat(ChatId),
    /// A message, and its sender.
    Message(MessageId),
    /// A person with whom the caller has a chat.
    User(UserId),
}

/// A report to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewReport {
    /// What.
    pub about: Reported,
    /// Why.
    pub reason: ReportReason,
    /// In the words of who reports; may be empty.
    pub text: String,
}

impl Service {
    /// Stores a report for the host.
    pub async fn report(&self, caller: &Caller, new: NewReport) -> Result<Report, Error> {
        if new.text.encode_utf16().count() > MAX_TEXT {
            let why = "text may have at most 1000 characters";
            return Err(Error::InvalidRequest(why));
        }
        let by = caller.user.clone();
        let report = self.store.write(move |tx| {
            let (accused, chat, message) = subject(tx, &by, &new.about)?;
            if accused == by {
                return Err(Error::InvalidRequest("You cannot report yourself"));
            }
            let report = Report {
                id: tx.mint_report_id(),
                evidence: evidence(tx, &chat, message.as_ref())?,
                by,
                accused,
                chat: Some(chat.id),
                message: message.map(|message| message.id),
                reason: new.reason,
                text: new.text,
                created_at: tx.now(),
                status: ReportStatus::Open,
                note: String::new(),
                judged_at: None,
            };
            tx.put_report(&report)?;
            Ok(report)
        });
        let report = report.await?;
        tracing::info!(report = %report.id, reason = report.reason.as_str(), "somebody was reported");
        Ok(report)
    }

    /// At most `limit` reports after `after`, the oldest first, of all or of one status. For the host.
    pub async fn reports(
        &self,
        status: Option<ReportStatus>,
        after: Option<ReportId>,
        limit: usize,
    ) -> Result<Found<Report, ReportId>, Error> {
        self.store
            .read(move |tables| {
                if status == Some(ReportStatus::Open) {
                    let ids = tables.open_reports(after);
                    let rows = ids.filter_map(|id| id.and_then(|id| tables.report(id)).transpose());
                    return look_at(rows, (limit, LOOKED_AT), |_| true, |report| report.id);
                }
                let is_meant =
                    |report: &Report| status.is_none_or(|status| status == report.status);
                let rows = tables.reports(after);
                look_at(rows, (limit, LOOKED_AT), is_meant, |report| report.id)
            })
            .await
    }

    /// One report, for the host.
    pub async fn report_with_id(&self, id: ReportId) -> Result<Report, Error> {
        self.store
            .read(move |tables| tables.report(id)?.ok_or(Error::ReportNotFound))
            .await
    }

    /// The host says what has become of a report; without a note the one that is there stays.
    pub async fn judge_report(
        &self,
        id: ReportId,
        status: ReportStatus,
        note: Option<String>,
    ) -> Result<Report, Error> {
        check_note(note.as_deref())?;
        self.store
            .write(move |tx| {
                let mut report = tx.report(id)?.ok_or(Error::ReportNotFound)?;
                report.status = status;
                report.note = note.unwrap_or(report.note);
                report.judged_at = Some(tx.now());
                tx.put_report(&report)?;
                Ok(report)
            })
            .await
    }
}

/// Checks that a note of the host can be kept.
pub fn check_note(note: Option<&str>) -> Result<(), Error> {
    if note.is_some_and(|note| note.len() > MAX_NOTE) {
        return Err(Error::InvalidRequest("note may have at most 4000 bytes"));
    }
    Ok(())
}

/// Whom it is about, where it happened, and the message if it is about one.
fn subject<S: Source>(
    tables: &Tables<S>,
    by: &UserId,
    about: &Reported,
) -> Result<(UserId, Chat, Option<Message>), Error> {
    match about {
        Reported::Chat(id) => {
            let chat = membership(tables, by, *id)?;
            let other = chat.others(by).next().cloned();
            Ok((other.ok_or(Error::AccessDenied)?, chat, None))
        }
        Reported::Message(id) => {
            let message = tables.find_message(*id)?.ok_or(Error::MessageNotFound)?;
            let chat = membership(tables, by, message.chat)?;
            Ok((message.sender.clone(), chat, Some(message)))
        }
        Reported::User(user) if user == by => {
            Err(Error::InvalidRequest("You cannot report yourself"))
        }
        Reported::User(user) => {
            let shared = tables.shared_chat(by, user)?.ok_or(Error::AccessDenied)?;
            Ok((user.clone(), membership(tables, by, shared)?, None))
        }
    }
}

/// What was imported may be longer than what anybody can send.
fn bounded(content: String) -> String {
    if content.len() <= MAX_COPIED {
        return content;
    }
    content.chars().take(MAX_COPIED / 4).collect()
}

/// What was said around the message, or last. Of who is being erased nothing is stored with it.
fn evidence<S: Source>(
    tables: &Tables<S>,
    chat: &Chat,
    message: Option<&Message>,
) -> Result<Vec<Evidence>, Error> {
    let end = chat.last_seq + 1;
    let range = match message {
        Some(message) => {
            let start = message.seq.saturating_sub(AROUND).max(1);
            start..(message.seq + AROUND + 1).min(end)
        }
        None => end.saturating_sub(LATEST).max(1)..end,
    };
    let mut copied = Vec::new();
    for message in tables.messages(chat.id, range) {
        let message = message?;
        copied.push(Evidence {
            message: message.id,
            seq: message.seq,
            sender: message.sender,
            kind: message.kind,
            content: bounded(message.content),
            attachment: message.attachment,
            deleted: message.deleted,
            created_at: message.created_at,
        });
    }
    Ok(copied)
}
