//! Uploaded files: given out by name, stored with the message that shows them, removed with the last one.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::body::RequestBody;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http_body_util::{BodyDataStream, BodyExt};
use hyper::{Request, Response, StatusCode};

use super::request;
use super::response::Body;
use super::{Api, Failure, token};
use crate::chat::{Caller, Content, Error, NewMessage, Sent};
use crate::id::{ChatId, MessageId, UserId};
use crate::media::multipart::Form;
use crate::media::{Kind, MediaError, Stored, WIDTHS};
use crate::model::{Attachment, MessageKind};

/// How many uploads there may be at once, in all and of one user.
#[derive(Debug)]
pub struct Uploads {
    total: u16,
    per_user: u16,
    running: Mutex<HashMap<UserId, u16>>,
}

impl Uploads {
    /// No uploads yet.
    pub fn new(total: u16, per_user: u16) -> Self {
        Self {
            total,
            per_user,
            running: Mutex::default(),
        }
    }

    /// A place for one more upload of `user`, given back when it is dropped.
    pub(super) fn begin(&self, user: &UserId) -> Result<UploadSlot<'_>, Failure> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let total: u16 = running.values().sum();
        let own = running.get(user).copied().unwrap_or_default();
        if total >= self.total || own >= self.per_user {
            return Err(Failure::unavailable("Too many uploads at once"));
        }
        running.insert(user.clone(), own + 1);
        Ok(UploadSlot {
            uploads: self,
            user: user.clone(),
        })
    }
}

/// The place of one upload.
#[derive(Debug)]
pub(super) struct UploadSlot<'a> {
    uploads: &'a Uploads,
    user: UserId,
}

impl Drop for UploadSlot<'_> {
    fn drop(&mut self) {
        let mut running = self
            .uploads
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match running.get_mut(&self.user) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(running.remove(&self.user)),
        }
    }
}

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
        let width = thumbnail_width(&request)?;
        let response = self
            .media
            .serve(name, width, request.method(), request.headers())
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
        let (service, disposal) = (self.chat.clone(), self.disposal.clone());
        let sending = tokio::spawn(async move {
            let Form { received, content } = form;
            let name = received.stored().name.clone();
            // Written down before the file has its name: a crash from here on leaves a file that the next start removes.
            disposal.expect_file(name.clone()).await?;
            let stored = match received.place().await {
                Ok(stored) => stored,
                Err(error) => {
                    disposal.file_has_arrived(&name);
                    return Err(error.into());
                }
            };
            let sent = match attachment(stored, content) {
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
                // What became of the message is unknown: it may be there after a restart, and then it needs its file. Until then the
                // file is still one that is expected.
                Err(Error::Unavailable) => {}
                Ok(Sent { is_new: true, .. }) => disposal.file_has_arrived(&name),
                Ok(_) | Err(_) => {
                    disposal.file_has_arrived(&name);
                    disposal.remove_files(vec![name]).await;
                }
            }
            Ok::<_, Failure>(sent?)
        });
        sending.await.map_err(|_| Failure::internal())?
    }

    /// Deletes a message and the file that only it showed. Goes on when the client goes away; what a crash leaves is removed at the
    /// next start.
    pub(super) async fn delete(&self, caller: Caller, id: MessageId) -> Result<(), Failure> {
        let (service, disposal) = (self.chat.clone(), self.disposal.clone());
        let deleting = tokio::spawn(async move {
            if let Some(file) = service.delete_message(&caller, id).await? {
                disposal.remove_files(vec![file]).await;
            }
            Ok::<_, Error>(())
        });
        Ok(deleting.await.map_err(|_| Failure::internal())??)
    }
}

/// `?w=`, which asks for a small copy of a picture.
fn thumbnail_width(request: &Request<RequestBody>) -> Result<Option<u32>, Failure> {
    let Some(asked) = request::query(request, "w") else {
        return Ok(None);
    };
    let width = asked.parse().ok().filter(|width| WIDTHS.contains(width));
    width.map(Some).ok_or_else(|| {
        Failure::invalid_request(format!(
            "w must be one of {}",
            WIDTHS.map(|width| width.to_string()).join(", ")
        ))
    })
}

fn attachment(stored: Stored, caption: Option<String>) -> Result<Content, Error> {
    let Stored {
        name,
        mime,
        kind,
        size,
        crc32,
        shown_size,
    } = stored;
    let kind = match kind {
        Kind::Image => MessageKind::Image,
        Kind::Video => MessageKind::Video,
    };
    let file = Attachment {
        name,
        mime: mime.to_owned(),
        size,
        crc32,
        width: shown_size.map(|(width, _)| width),
        height: shown_size.map(|(_, height)| height),
    };
    Content::received(kind, caption, file)
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
            MediaError::NoFile | MediaError::Damaged(_) => {
                (StatusCode::BAD_REQUEST, "invalid_media")
            }
            MediaError::BadForm(_) | MediaError::Aborted => {
                (StatusCode::BAD_REQUEST, "invalid_request")
            }
            MediaError::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "file_too_large"),
            MediaError::Busy => return Self::unavailable("Too many thumbnails at once"),
            MediaError::Unsupported | MediaError::NotAForm | MediaError::NoThumbnail => {
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
