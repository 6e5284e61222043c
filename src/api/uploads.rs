//! Uploaded files: given out by name, stored with the message that shows them, removed with the last one.

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};

use super::request;
use super::response::Body;
use super::{Api, Failure, token};
use crate::chat::{Caller, Content, Error, NewMessage, Sent};
use crate::id::ChatId;
use crate::media::multipart::Form;
use crate::media::{Kind, MediaError};
use crate::model::{Attachment, MessageKind};

impl Api {
    /// The random name is the key, unless the operator wants a participant's token as well.
    pub(super) async fn serve_upload(
        &self,
        request: Request<Incoming>,
        name: &str,
    ) -> Result<Response<Body>, Failure> {
        if self.private_media {
            let given = request::query(&request, "token");
            let token = token(request.headers()).or(given.as_deref());
            let identity = self.access.identify(token).await?;
            self.chat.check_may_fetch(&identity.user, name).await?;
        }
        let response = self
            .media
            .serve(name, request.method(), request.headers())
            .await?;
        Ok(response.map(BodyExt::boxed_unsync))
    }

    /// Sends the message that shows a file received just now. Answers the file's name too, for whoever cleans up.
    pub(super) async fn send_received(
        &self,
        caller: &Caller,
        chat: ChatId,
        form: Form,
        client_id: Option<String>,
    ) -> (String, Result<Sent, Error>) {
        let stored = form.stored;
        let kind = match stored.kind {
            Kind::Image => MessageKind::Image,
            Kind::Video => MessageKind::Video,
        };
        let name = stored.name.clone();
        let file = Attachment {
            name: stored.name,
            mime: stored.mime.to_owned(),
            size: stored.size,
            width: None,
            height: None,
        };
        let content = match Content::received(kind, form.content, file) {
            Ok(content) => content,
            Err(error) => return (name, Err(error)),
        };
        let new = NewMessage {
            chat,
            content,
            parent: None,
            client_id,
        };
        (name, self.chat.send_message(caller, new).await)
    }

    /// A file that cannot be removed now is an orphan, not a failure of the caller.
    pub(super) async fn remove_file(&self, name: String) {
        if let Err(error) = self.media.remove(&name).await {
            tracing::warn!(%error, file = name, "a media file was not removed");
        }
    }
}

impl From<MediaError> for Failure {
    fn from(error: MediaError) -> Self {
        let message = error.to_string();
        let (status, code) = match error {
            MediaError::NoFile => (StatusCode::BAD_REQUEST, "invalid_media"),
            MediaError::BadForm(_) | MediaError::Aborted => {
                (StatusCode::BAD_REQUEST, "invalid_request")
            }
            MediaError::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "file_too_large"),
            MediaError::Unsupported | MediaError::NotAForm => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type")
            }
            MediaError::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            MediaError::Full(_) => (StatusCode::INSUFFICIENT_STORAGE, "storage_full"),
            MediaError::Io(source) => {
                tracing::error!(%source, "the media directory failed");
                return Self::from(Error::Unavailable);
            }
        };
        Self::new(status, code, message)
    }
}
