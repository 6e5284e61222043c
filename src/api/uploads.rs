//! Uploaded files: given out by name, stored with the message that shows them, removed with the last one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::body::RequestBody;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http_body_util::{BodyDataStream, BodyExt};
use hyper::{Request, Response, StatusCode};
use tokio::time::Instant;

use super::request;
use super::response::Body;
use super::{Api, Failure, address, token};
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
        let address = address(&request);
        self.guard.take_file(address)?;
        if self.private_media {
            let given = request::query(&request, "token");
            let token = token(request.headers()).or(given.as_deref());
            let identity = self.access.identify(token, address).await?;
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

/// How slow an upload may be; past it it has failed. A client that trickles would keep its place for ever.
#[derive(Debug, Clone, Copy)]
pub struct UploadPace {
    /// How long it may stand still.
    pub idle: Duration,
    /// Bytes per second on average, after [`UploadPace::START`].
    pub min_rate: u64,
    /// How long it may take in all.
    pub total: Duration,
}

impl UploadPace {
    /// For so long nobody asks how fast it is.
    const START: Duration = Duration::from_secs(30);

    fn keeps_up(self, bytes: u64, elapsed: Duration) -> bool {
        elapsed <= Self::START || bytes >= self.min_rate.saturating_mul(elapsed.as_secs())
    }

    /// Until when the next piece has to be there.
    fn next(self, began: Instant, now: Instant) -> Instant {
        (now + self.idle).min(began + self.total)
    }
}

/// The pieces of a body as they come, counted in `received`; one that is too slow has failed.
pub(super) fn paced(
    body: RequestBody,
    pace: UploadPace,
    received: Arc<AtomicU64>,
) -> impl Stream<Item = Result<Bytes, Box<dyn std::error::Error + Send + Sync>>> {
    let began = Instant::now();
    let body = Some((BodyDataStream::new(body), received));
    stream::unfold(body, move |body| async move {
        let (mut body, received) = body?;
        match tokio::time::timeout_at(pace.next(began, Instant::now()), body.next()).await {
            Ok(piece) => match piece? {
                Ok(piece) => {
                    let size = piece.len() as u64;
                    let bytes = received.fetch_add(size, Ordering::Relaxed) + size;
                    if !pace.keeps_up(bytes, began.elapsed()) {
                        return Some((Err("the upload is too slow".into()), None));
                    }
                    Some((Ok(piece), Some((body, received))))
                }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trickle_is_too_slow_and_a_slow_start_is_not() {
        let pace = UploadPace {
            idle: Duration::from_secs(30),
            min_rate: 1024,
            total: Duration::from_hours(1),
        };
        let seconds = Duration::from_secs;
        assert!(pace.keeps_up(0, seconds(30)));
        assert!(!pace.keeps_up(31 * 1024 - 1, seconds(31)));
        assert!(pace.keeps_up(31 * 1024, seconds(31)));
        let off = UploadPace {
            min_rate: 0,
            ..pace
        };
        assert!(off.keeps_up(0, seconds(3000)));
    }

    #[test]
    fn an_upload_may_not_take_for_ever() {
        let pace = UploadPace {
            idle: Duration::from_secs(30),
            min_rate: 0,
            total: Duration::from_mins(1),
        };
        let began = Instant::now();
        let next = |after| pace.next(began, began + Duration::from_secs(after)) - began;
        assert_eq!(next(0), Duration::from_secs(30));
        assert_eq!(next(50), Duration::from_mins(1));
    }
}
