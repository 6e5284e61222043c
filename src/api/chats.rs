//! The routes about chats as a whole.

use super::body::RequestBody;
use hyper::{Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::request::{self, MAX_PAGE};
use super::response::{Body, succeeded};
use super::{Api, Failure, token};
use crate::chat::{Caller, Error, OpenChat};
use crate::input::parse_id;
use crate::model::ChatKind;
use crate::view;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateInput {
    participant_id: Option<String>,
    pet_id: Option<String>,
    chat_type: Option<String>,
}

impl CreateInput {
    fn into_request(self) -> Result<OpenChat, Error> {
        let kind = self.chat_type.map(|name| {
            let unknown = Error::InvalidRequest("chatType must be pet_inquiry, direct or general");
            ChatKind::from_name(&name).ok_or(unknown)
        });
        Ok(OpenChat {
            participant: self
                .participant_id
                .map(|id| parse_id(&id, "participantId"))
                .transpose()?,
            pet: self.pet_id.map(|id| parse_id(&id, "petId")).transpose()?,
            kind: kind.transpose()?,
        })
    }
}

impl Api {
    pub(super) async fn create_chat(
        &self,
        caller: &Caller,
        request: Request<RequestBody>,
    ) -> Result<Response<Body>, Failure> {
        let token = token(request.headers()).unwrap_or_default().to_owned();
        let input: CreateInput = request::object(request).await?;
        let wanted = input.into_request()?;
        if let Some(backend) = &self.backend {
            backend.before_chat(&caller.user, &token, &wanted).await?;
        }
        let (chat, is_new) = self.chat.open_chat(caller, wanted).await?;
        let (status, message) = if is_new {
            (StatusCode::CREATED, "Chat created successfully")
        } else {
            (StatusCode::OK, "Chat retrieved successfully")
        };
        succeeded(status, message, view::chat(&chat))
    }

    pub(super) async fn my_chats(
        &self,
        caller: &Caller,
        request: &Request<RequestBody>,
    ) -> Result<Response<Body>, Failure> {
        let page = request::number(request, "page", 1)?;
        let limit = request::number(request, "limit", 20)?.min(MAX_PAGE);
        let listed = self.chat.my_chats(&caller.user, page, limit).await?;
        if let Some(backend) = &self.backend {
            backend.refresh_pets(
                listed
                    .chats
                    .iter()
                    .filter_map(|chat| chat.chat.pet.as_ref()),
            );
        }
        let data = view::chat_list(&listed);
        succeeded(StatusCode::OK, "Chats retrieved successfully", data)
    }

    pub(super) async fn unread_count(&self, caller: &Caller) -> Result<Response<Body>, Failure> {
        let total = self.chat.unread_total(&caller.user).await?;
        succeeded(
            StatusCode::OK,
            "Unread count retrieved successfully",
            json!({ "unreadCount": total }),
        )
    }

    pub(super) async fn toggle_block(
        &self,
        caller: &Caller,
        chat: &str,
    ) -> Result<Response<Body>, Failure> {
        let (chat, blocked) = self
            .chat
            .toggle_block(caller, parse_id(chat, "chatId")?)
            .await?;
        let message = if blocked {
            "Chat blocked successfully"
        } else {
            "Chat unblocked successfully"
        };
        succeeded(StatusCode::OK, message, view::chat(&chat))
    }
}
