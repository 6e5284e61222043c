//! The routes about messages.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::body::RequestBody;
use hyper::body::Body as _;
use hyper::header::CONTENT_TYPE;
use hyper::{Request, Response, StatusCode};
use serde_json::json;

use super::request::{self, MAX_PAGE};
use super::response::{Body, succeeded};
use super::uploads::paced;
use super::{Api, Failure};
use crate::chat::{Caller, Error, History, MAX_CLIENT_ID, Sent};
use crate::guard::Action;
use crate::id::ChatId;
use crate::input::{SendInput, parse_id};
use crate::media::{MediaError, multipart};
use crate::view;

/// Which messages of a chat, and at most how many.
pub(super) fn part_asked_for(request: &Request<RequestBody>) -> Result<(History, u64), Failure> {
    let limit = request::number(request, "limit", 50)?.min(MAX_PAGE);
    let (before, after) = (
        request::query(request, "before"),
        request::query(request, "after"),
    );
    let which = match (before, after) {
        (None, None) => History::Page(request::number(request, "page", 1)?),
        (Some(id), None) => History::Before(parse_id(&id, "before")?),
        (None, Some(id)) => History::After(parse_id(&id, "after")?),
        (Some(_), Some(_)) => {
            return Err(Error::InvalidRequest("give before or after, not both").into());
        }
    };
    Ok((which, limit))
}

impl Api {
    pub(super) async fn messages(
        &self,
        caller: &Caller,
        chat: &str,
        request: &Request<RequestBody>,
    ) -> Result<Response<Body>, Failure> {
        let chat = parse_id(chat, "chatId")?;
        let (which, limit) = part_asked_for(request)?;
        let page = self.chat.history(caller, chat, which, limit).await?;
        let data = view::history(&page);
        succeeded(StatusCode::OK, "Messages retrieved successfully", data)
    }

    pub(super) async fn send(
        &self,
        caller: &Caller,
        chat: &str,
        request: Request<RequestBody>,
    ) -> Result<Response<Body>, Failure> {
        let chat = parse_id(chat, "chatId")?;
        let key = idempotency_key(&request)?;
        let input: SendInput = request::object(request).await?;
        let sent = self
            .chat
            .send_message(caller, input.into_message(chat, key)?)
            .await?;
        stored(&sent, "Message sent successfully")
    }

    /// Rights are checked before the body is read; a file that no message shows in the end does not stay.
    pub(super) async fn send_media(
        &self,
        caller: &Caller,
        chat: &str,
        request: Request<RequestBody>,
    ) -> Result<Response<Body>, Failure> {
        let chat: ChatId = parse_id(chat, "chatId")?;
        self.chat.check_may_send(&caller.user, chat).await?;
        let key = idempotency_key(&request)?;
        // A retry may be of the upload that took the last of the quota, and is answered with it.
        if key.is_none() {
            self.chat.check_may_upload(&caller.user).await?;
        }
        let (user, address) = (&caller.user, caller.address);
        self.guard.check_volume(user, address)?;
        // A file is a message too. What was refused before has cost a read alone.
        self.guard.take(Action::Message, user, address)?;
        self.guard.take(Action::Upload, user, address)?;
        let content_type = request.headers().get(CONTENT_TYPE).cloned();
        let content_type = content_type
            .as_ref()
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let _slot = self.uploads.begin(&caller.user)?;
        if request.body().size_hint().lower() > multipart::max_body(&self.media) {
            return Err(MediaError::TooLarge.into());
        }
        let received = Arc::default();
        let body = paced(request.into_body(), self.upload_pace, Arc::clone(&received));
        let form = multipart::receive(content_type, body, &self.media).await;
        // Whatever became of it. A client that went away is not counted for its last piece, and has not got its file stored either.
        let bytes = received.load(Ordering::Relaxed);
        self.guard.charge_volume(&caller.user, address, bytes);
        let form = form?;
        let sent = self.send_received(caller.clone(), chat, form, key).await?;
        stored(&sent, "Media message sent successfully")
    }

    pub(super) async fn mark_read(
        &self,
        caller: &Caller,
        chat: &str,
    ) -> Result<Response<Body>, Failure> {
        let chat: ChatId = parse_id(chat, "chatId")?;
        let unread = self.chat.mark_read(caller, chat, None).await?;
        succeeded(
            StatusCode::OK,
            "Messages marked as read",
            json!({ "chatId": chat, "unreadCount": unread }),
        )
    }

    pub(super) async fn delete_message(
        &self,
        caller: &Caller,
        message: &str,
    ) -> Result<Response<Body>, Failure> {
        let id = parse_id(message, "messageId")?;
        self.delete(caller.clone(), id).await?;
        succeeded(
            StatusCode::OK,
            "Message deleted successfully",
            json!({ "messageId": id }),
        )
    }
}

/// A stored message: 201 when it is new, 200 when it had been stored before.
fn stored(sent: &Sent, message: &str) -> Result<Response<Body>, Failure> {
    let status = if sent.is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    succeeded(status, message, view::message(&sent.message))
}

/// A key that cannot be read is refused: its sender counts on it.
fn idempotency_key(request: &Request<RequestBody>) -> Result<Option<String>, Failure> {
    let Some(key) = request.headers().get("idempotency-key") else {
        return Ok(None);
    };
    match key.to_str() {
        Ok(key) if !key.is_empty() && key.len() <= MAX_CLIENT_ID => Ok(Some(key.to_owned())),
        _ => Err(Failure::invalid_request(
            "Idempotency-Key must be 1 to 64 ASCII characters",
        )),
    }
}
