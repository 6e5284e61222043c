//! Uploaded files: given out by name, stored with the message that shows them, removed with the last one.

use std::sync::Arc;
use std::time::Duration;

use super::body::RequestBody;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http_body_util::{BodyDataStream, BodyExt};
use hyper::{Request, Response, StatusCode};

use super::request;
use super::response::Body;
use super::{Api, Failure, token};
use crate::chat::{Caller, Content, Error, NewMessage, Sent, Service};
use crate::id::{ChatId, MessageId};
use crate::media::multipart::Form;
use crate::media::{Kind, Media, MediaError, Stored};
use crate::model::{Attachment, MessageKind};

impl Api {
    /// The random name is the key, unless the operator wants a participant's token as well.
    pub(super) async fn serve_upload(
        &self,
        request: Request<RequestBody>,
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

    /// Sends the message that shows a file received just now. A file that no new message shows does not stay. Goes on
    /// when the client goes away, so that neither is left without the other.
    pub(super) async fn send_received(
        &self,
        caller: Caller,
        chat: ChatId,
        form: Form,
        client_id: Option<String>,
    ) -> Result<Sent, Failure> {
        let (service, media) = (self.chat.clone(), Arc::clone(&self.media));
        let sending = tokio::spawn(async move {
            let name = form.stored.name.clone();
            let sent = match received(form) {
                Ok(content) => {
                    let new = NewMessage {
                        chat,
                        content,
                        parent: None,
                        client_id,
                    };
                    service.send_message(&caller, new).await
                }
                Err(error) => Err(error),
            };
            match &sent {
                // What became of the message is unknown: it may be there after a restart, and then it needs its file.
                Ok(Sent { is_new: true, .. }) | Err(Error::Unavailable) => {}
                Ok(_) | Err(_) => discard(&media, &name).await,
            }
            sent
        });
        Ok(sending.await.map_err(|_| Failure::internal())??)
    }

    /// Deletes a message and the file that only it showed. Goes on when the client goes away; what a crash leaves is removed at the
    /// next start.
    pub(super) async fn delete(&self, caller: Caller, id: MessageId) -> Result<(), Failure> {
        let (service, media) = (self.chat.clone(), Arc::clone(&self.media));
        let deleting = tokio::spawn(async move {
            if let Some(file) = service.delete_message(&caller, id).await? {
                remove_doomed(&service, &media, file).await;
            }
            Ok::<_, Error>(())
        });
        Ok(deleting.await.map_err(|_| Failure::internal())??)
    }
}

/// Removes a file whose message is deleted. One that cannot be removed now is tried again at the next start.
pub(crate) async fn remove_doomed(chat: &Service, media: &Media, name: String) {
    let removed = media.remove(&name).await;
    if let Err(error) = &removed {
        tracing::warn!(%error, "the file of a deleted message was not removed");
        return;
    }
    if let Err(error) = chat.file_removed(name).await {
        tracing::warn!(%error, "a removed file was not forgotten");
    }
}

fn received(form: Form) -> Result<Content, Error> {
    let Stored {
        name,
        mime,
        kind,
        size,
    } = form.stored;
    let kind = match kind {
        Kind::Image => MessageKind::Image,
        Kind::Video => MessageKind::Video,
    };
    let file = Attachment {
        name,
        mime: mime.to_owned(),
        size,
        width: None,
        height: None,
    };
    Content::received(kind, form.content, file)
}

/// A received file that no message shows, and that nobody was told of.
async fn discard(media: &Media, name: &str) {
    if let Err(error) = media.remove(name).await {
        tracing::warn!(%error, "a file that was received for nothing was not removed");
    }
}

/// The pieces of a body as they come; one that stands still for `idle` has failed.
pub(super) fn with_idle_limit(
    body: RequestBody,
    idle: Duration,
) -> impl Stream<Item = Result<Bytes, Box<dyn std::error::Error + Send + Sync>>> {
    stream::unfold(Some(BodyDataStream::new(body)), move |body| async move {
        let mut body = body?;
        match tokio::time::timeout(idle, body.next()).await {
            Ok(piece) => match piece? {
                Ok(piece) => Some((Ok(piece), Some(body))),
                Err(error) => Some((Err(error.into()), None)),
            },
            Err(elapsed) => Some((Err(elapsed.into()), None)),
        }
    })
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
