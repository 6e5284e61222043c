//! The routes about the other person: blocking them, and reporting them to the host.

use hyper::{Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::body::RequestBody;
use super::request;
use super::response::{Body, succeeded};
use super::{Api, Failure};
use crate::chat::{Caller, Error, NewReport, Reported};
use crate::id::UserId;
use crate::input::parse_id;
use crate::model::ReportReason;
use crate::view::{self, Time};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReportInput {
    chat_id: Option<String>,
    message_id: Option<String>,
    user_id: Option<String>,
    reason: Option<String>,
    text: Option<String>,
}

impl ReportInput {
    fn into_report(self) -> Result<NewReport, Error> {
        let about = match (self.chat_id, self.message_id, self.user_id) {
            (Some(id), None, None) => Reported::Chat(parse_id(&id, "chatId")?),
            (None, Some(id), None) => Reported::Message(parse_id(&id, "messageId")?),
            (None, None, Some(id)) => Reported::User(parse_id(&id, "userId")?),
            _ => {
                return Err(Error::InvalidRequest(
                    "Give one of chatId, messageId and userId",
                ));
            }
        };
        let reason = self.reason.as_deref().and_then(ReportReason::from_name);
        let reason = reason.ok_or(Error::InvalidRequest(
            "reason must be spam, fraud, abuse, animal_welfare or other",
        ))?;
        Ok(NewReport {
            about,
            reason,
            text: self.text.unwrap_or_default(),
        })
    }
}

impl Api {
    pub(super) async fn set_blocked(
        &self,
        caller: &Caller,
        user: &str,
        blocks: bool,
    ) -> Result<Response<Body>, Failure> {
        let user: UserId = parse_id(user, "userId")?;
        if blocks {
            let since = self.chat.block_user(caller, user.clone()).await?;
            let data = json!({ "userId": user, "isBlocked": true, "blockedAt": Time(since) });
            return succeeded(StatusCode::OK, "User blocked successfully", data);
        }
        self.chat.unblock_user(caller, user.clone()).await?;
        let data = json!({ "userId": user, "isBlocked": false });
        succeeded(StatusCode::OK, "User unblocked successfully", data)
    }

    /// All of them: there is a limit to how many one may block.
    pub(super) async fn blocked_users(&self, caller: &Caller) -> Result<Response<Body>, Failure> {
        let blocked = self.chat.blocked_users(&caller.user).await?;
        let users: Vec<_> = blocked
            .iter()
            .map(|(user, since)| view::blocked_user(user, *since))
            .collect();
        let message = "Blocked users retrieved successfully";
        succeeded(StatusCode::OK, message, json!({ "users": users }))
    }

    pub(super) async fn report(
        &self,
        caller: &Caller,
        request: Request<RequestBody>,
    ) -> Result<Response<Body>, Failure> {
        let input: ReportInput = request::object(request).await?;
        let report = self.chat.report(caller, input.into_report()?).await?;
        let data = view::own_report(&report);
        succeeded(StatusCode::CREATED, "Report received", data)
    }
}
