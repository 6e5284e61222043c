//! The JSON shape of a report: to who made it, in the host's list, and whole.

use serde::Serialize;

use super::{MediaView, Time};
use crate::id::{ChatId, MessageId, ReportId, UserId};
use crate::model::{Evidence, Report};

/// A report to who made it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnReportView {
    #[serde(rename = "_id")]
    id: ReportId,
    reason: &'static str,
    status: &'static str,
    created_at: Time,
}

/// The view of a report for who made it.
pub fn own_report(report: &Report) -> OwnReportView {
    OwnReportView {
        id: report.id,
        reason: report.reason.as_str(),
        status: report.status.as_str(),
        created_at: Time(report.created_at),
    }
}

/// A report in the host's list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportView<'a> {
    #[serde(flatten)]
    own: OwnReportView,
    reported_by: &'a UserId,
    reported_user: &'a UserId,
    chat_id: Option<ChatId>,
    message_id: Option<MessageId>,
    text: &'a str,
    note: &'a str,
    judged_at: Option<Time>,
}

/// The view of a report in a list.
pub fn report(report: &Report) -> ReportView<'_> {
    ReportView {
        own: own_report(report),
        reported_by: &report.by,
        reported_user: &report.accused,
        chat_id: report.chat,
        message_id: report.message,
        text: &report.text,
        note: &report.note,
        judged_at: report.judged_at.map(Time),
    }
}

/// A report with all that was copied.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WholeReportView<'a> {
    #[serde(flatten)]
    report: ReportView<'a>,
    evidence: Vec<EvidenceView<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct EvidenceView<'a> {
    #[serde(rename = "_id")]
    id: MessageId,
    seq: u64,
    sender: &'a UserId,
    message_type: &'static str,
    content: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    media: Option<MediaView<'a>>,
    is_deleted: bool,
    created_at: Time,
}

/// The view of a report with all that was copied.
pub fn whole_report(report: &Report) -> WholeReportView<'_> {
    WholeReportView {
        report: self::report(report),
        evidence: report.evidence.iter().map(evidence).collect(),
    }
}

fn evidence(one: &Evidence) -> EvidenceView<'_> {
    EvidenceView {
        id: one.message,
        seq: one.seq,
        sender: &one.sender,
        message_type: one.kind.as_str(),
        content: &one.content,
        media: one.attachment.as_ref().map(MediaView::of),
        is_deleted: one.deleted,
        created_at: Time(one.created_at),
    }
}
