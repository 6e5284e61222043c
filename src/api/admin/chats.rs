//! What an admin sees of people's chats: lists, and conversations, each look into which is written down first.

use hyper::{Request, Response, StatusCode};
use serde_json::{Value, json};

use super::deeds::Admin;
use super::limit;
use crate::api::body::RequestBody;
use crate::api::response::{Body, succeeded};
use crate::api::{Api, Failure, messages, request};
use crate::chat::Chats;
use crate::id::ChatId;
use crate::input::parse_id;
use crate::view;

impl Api {
    pub(super) async fn list_chats(
        &self,
        request: &Request<RequestBody>,
    ) -> Result<Response<Body>, Failure> {
        let limit = limit(request)?;
        let skip = match request::query(request, "skip").as_deref() {
            None | Some("0") => 0,
            Some(_) => usize::try_from(request::number(request, "skip", 1)?).unwrap_or(usize::MAX),
        };
        let (user, pet) = (
            request::query(request, "user"),
            request::query(request, "pet"),
        );
        let which = match (user, pet) {
            (Some(user), None) => Chats::Of(parse_id(&user, "user")?, skip),
            (None, Some(pet)) => Chats::About(parse_id(&pet, "pet")?, skip),
            (None, None) => {
                let after = request::query(request, "after");
                Chats::All(after.map(|id| parse_id(&id, "after")).transpose()?)
            }
            (Some(_), Some(_)) => {
                return Err(Failure::invalid_request("give user or pet, not both"));
            }
        };
        let is_all = matches!(which, Chats::All(_));
        let (chats, has_more) = self.chat.chats(which, limit).await?;
        let next = match chats.last().filter(|_| has_more) {
            Some(last) if is_all => json!(last.chat.id),
            Some(_) => json!(skip.saturating_add(chats.len())),
            None => Value::Null,
        };
        let shown: Vec<_> = chats.iter().map(Overview::of).collect();
        let data = ChatList {
            chats: shown,
            pagination: json!({ "hasMore": has_more, "next": next }),
        };
        succeeded(StatusCode::OK, "Chats retrieved successfully", data)
    }

    pub(super) async fn show_chat(&self, id: &str) -> Result<Response<Body>, Failure> {
        let chat = self.chat.any_chat(parse_id(id, "chatId")?).await?;
        let chat = chat.ok_or_else(Failure::not_found)?;
        let data = Overview::of(&chat);
        succeeded(StatusCode::OK, "Chat retrieved successfully", data)
    }

    pub(super) async fn read_conversation(
        &self,
        id: &str,
        admin: &Admin,
        request: &Request<RequestBody>,
    ) -> Result<Response<Body>, Failure> {
        let id: ChatId = parse_id(id, "chatId")?;
        let (which, limit) = messages::part_asked_for(request)?;
        // Somebody who looks for what is not there has seen nothing.
        if self.chat.any_chat(id).await?.is_none() {
            return Err(Failure::not_found());
        }
        self.record(admin, "conversation.read", &id.to_string())
            .await?;
        let page = self.chat.any_history(id, which, limit).await?;
        let page = page.ok_or_else(Failure::not_found)?;
        let messages: Vec<_> = page.messages.iter().map(view::message).collect();
        let data = json!({ "messages": messages, "pagination": view::history_pages(&page) });
        succeeded(StatusCode::OK, "Messages retrieved successfully", data)
    }
}

/// A chat without a word of what was said in it: that is seen only where it is written down.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Overview<'a> {
    #[serde(flatten)]
    chat: view::ChatView<'a>,
    messages: u64,
}

#[derive(serde::Serialize)]
struct ChatList<'a> {
    chats: Vec<Overview<'a>>,
    pagination: Value,
}

impl<'a> Overview<'a> {
    fn of(details: &'a crate::chat::ChatDetails) -> Self {
        Self {
            chat: view::chat_without_words(details),
            messages: details.chat.last_seq,
        }
    }
}
