//! What people have reported, for the host to read and judge. Reports hold what was said in private, so that every reading is
//! written down first.

use hyper::{Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::deeds::Admin;
use super::limit;
use crate::api::body::RequestBody;
use crate::api::response::{Body, succeeded};
use crate::api::{Api, Failure, request};
use crate::chat::check_note;
use crate::id::ReportId;
use crate::input::parse_id;
use crate::model::ReportStatus;
use crate::view;

#[derive(Deserialize)]
struct JudgeInput {
    status: Option<String>,
    note: Option<String>,
}

fn status(name: &str) -> Result<ReportStatus, Failure> {
    let wrong = || Failure::invalid_request("status must be open, resolved or dismissed");
    ReportStatus::from_name(name).ok_or_else(wrong)
}

impl Api {
    /// The oldest first; `pagination.next` is the next `cursor`.
    pub(super) async fn list_reports(
        &self,
        admin: &Admin,
        request: &Request<RequestBody>,
    ) -> Result<Response<Body>, Failure> {
        let wanted = request::query(request, "status");
        let wanted = wanted.as_deref().map(status).transpose()?;
        let after = request::query(request, "cursor");
        let after = after.map(|id| parse_id(&id, "cursor")).transpose()?;
        let limit = limit(request)?;
        let subject = wanted.map_or("all", ReportStatus::as_str);
        self.record(admin, "reports.listed", subject).await?;
        let found = self.chat.reports(wanted, after, limit).await?;
        let rows: Vec<_> = found.rows.iter().map(view::report).collect();
        let pagination = json!({ "hasMore": found.next.is_some(), "next": found.next });
        let data = json!({ "reports": rows, "pagination": pagination });
        succeeded(StatusCode::OK, "Reports retrieved successfully", data)
    }

    pub(super) async fn show_report(
        &self,
        id: &str,
        admin: &Admin,
    ) -> Result<Response<Body>, Failure> {
        let id: ReportId = parse_id(id, "reportId")?;
        let report = self.chat.report_with_id(id).await?;
        self.record(admin, "report.read", &id.to_string()).await?;
        let message = "Report retrieved successfully";
        succeeded(StatusCode::OK, message, view::whole_report(&report))
    }

    pub(super) async fn judge_report(
        &self,
        id: &str,
        admin: &Admin,
        request: Request<RequestBody>,
    ) -> Result<Response<Body>, Failure> {
        let id: ReportId = parse_id(id, "reportId")?;
        let input: JudgeInput = request::object(request).await?;
        let status = status(input.status.as_deref().unwrap_or_default())?;
        // What is refused is no deed.
        check_note(input.note.as_deref())?;
        self.chat.report_with_id(id).await?;
        let action = match status {
            ReportStatus::Open => "report.reopened",
            ReportStatus::Resolved => "report.resolved",
            ReportStatus::Dismissed => "report.dismissed",
        };
        self.record(admin, action, &id.to_string()).await?;
        let report = self.chat.judge_report(id, status, input.note).await?;
        let message = "Report updated successfully";
        succeeded(StatusCode::OK, message, view::whole_report(&report))
    }
}
