//! What people have reported, for the host to read and judge. Reports hold what was said in private, so that every reading leaves a
//! line in the log.

use hyper::{Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::MAX_LISTED;
use crate::api::body::RequestBody;
use crate::api::response::{Body, succeeded};
use crate::api::{Api, Failure, request};
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
        request: &Request<RequestBody>,
    ) -> Result<Response<Body>, Failure> {
        let wanted = request::query(request, "status");
        let wanted = wanted.as_deref().map(status).transpose()?;
        let after = request::query(request, "cursor");
        let after = after.map(|id| parse_id(&id, "cursor")).transpose()?;
        let limit = request::number(request, "limit", 50)?.min(MAX_LISTED);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let (reports, has_more) = self.chat.reports(wanted, after, limit).await?;
        tracing::info!(target: "jivchat::audit", reports = reports.len(), "the host listed reports");
        let next = reports.last().filter(|_| has_more).map(|report| report.id);
        let rows: Vec<_> = reports.iter().map(view::report).collect();
        let data = json!({ "reports": rows, "pagination": { "hasMore": has_more, "next": next } });
        succeeded(StatusCode::OK, "Reports retrieved successfully", data)
    }

    pub(super) async fn show_report(&self, id: &str) -> Result<Response<Body>, Failure> {
        let id: ReportId = parse_id(id, "reportId")?;
        let report = self.chat.report_with_id(id).await?;
        tracing::info!(target: "jivchat::audit", report = %id, "the host read a report");
        let message = "Report retrieved successfully";
        succeeded(StatusCode::OK, message, view::whole_report(&report))
    }

    pub(super) async fn judge_report(
        &self,
        id: &str,
        request: Request<RequestBody>,
    ) -> Result<Response<Body>, Failure> {
        let id: ReportId = parse_id(id, "reportId")?;
        let input: JudgeInput = request::object(request).await?;
        let status = status(input.status.as_deref().unwrap_or_default())?;
        let report = self.chat.judge_report(id, status, input.note).await?;
        tracing::info!(
            target: "jivchat::audit", report = %id, status = status.as_str(), "the host judged a report"
        );
        let message = "Report updated successfully";
        succeeded(StatusCode::OK, message, view::whole_report(&report))
    }
}
