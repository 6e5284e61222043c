//! The form that carries a file: `multipart/form-data` with one file in the field `media` and perhaps a caption in
//! `content` (RFC 7578). It streams, and bounds everything it does not stream; it does not know the HTTP request around it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use multer::{Constraints, Field, Multipart, SizeLimit};

use super::{Media, MediaError, Received, Upload};

/// The longest caption, in bytes; how many characters it may have is the chat's rule.
pub const MAX_CONTENT: usize = 16 << 10;
/// All other fields together, in bytes.
const MAX_OTHERS: usize = 64 << 10;
const MAX_FIELDS: usize = 32;
/// What a form may have besides its fields' contents: the lines between them.
const MAX_FRAMING: u64 = 256 << 10;
/// RFC 2046 §5.1.1.
const MAX_BOUNDARY: usize = 70;
/// Bytes that the parser is given at once.
const MAX_PIECE: usize = 32 << 10;
/// Bytes that it may have been given, looking for the end of a field's head, before it is given the last piece.
const MAX_HOARD: usize = 32 << 10;

/// What a form brought.
#[derive(Debug)]
pub struct Form {
    /// The file, whole and synced, to be placed or dropped.
    pub received: Received,
    /// The caption, if there was such a field.
    pub content: Option<String>,
}

/// The largest body that can be a form with an allowed file; a longer one need not be read.
pub fn max_body(media: &Media) -> u64 {
    let fields = MAX_CONTENT + MAX_OTHERS;
    media.max_file_size() + fields as u64 + MAX_FRAMING
}

/// Reads a form to its end and syncs its file. On any error, and when whoever waits gives up, nothing stays on the disk.
pub async fn receive<S, E>(content_type: &str, body: S, media: &Media) -> Result<Form, MediaError>
where
    S: Stream<Item = Result<Bytes, E>> + Send + 'static,
    E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
{
    let boundary = multer::parse_boundary(content_type).map_err(|error| match error {
        multer::Error::NoBoundary => MediaError::BadForm("no boundary"),
        _ => MediaError::NotAForm,
    })?;
    if !(1..=MAX_BOUNDARY).contains(&boundary.len()) {
        return Err(MediaError::BadForm("a boundary of a wrong length"));
    }
    let hoard = Arc::new(AtomicUsize::new(0));
    let body = Paced::new(body, hoard.clone());
    let limit = SizeLimit::new().whole_stream(max_body(media));
    let constraints = Constraints::new().size_limit(limit);
    let form = Multipart::with_constraints(body, boundary, constraints);
    Reader { form, hoard }.read(media).await
}

struct Reader {
    form: Multipart<'static>,
    hoard: Arc<AtomicUsize>,
}

impl Reader {
    async fn read(mut self, media: &Media) -> Result<Form, MediaError> {
        let mut upload = None;
        let mut content = None;
        let mut others = MAX_OTHERS;
        for _ in 0..MAX_FIELDS {
            let Some(mut field) = self.next_field().await? else {
                let upload: Upload = upload.ok_or(MediaError::NoFile)?;
                let received = upload.finish().await?;
                return Ok(Form { received, content });
            };
            match field.name() {
                Some("media") if upload.is_none() => {
                    upload = self.take_file(&mut field, media).await?;
                }
                Some("media") => return Err(MediaError::BadForm("more than one file")),
                Some("content") if content.is_none() => {
                    let mut room = MAX_CONTENT;
                    let bytes = self.take_bytes(&mut field, &mut room).await?;
                    let text = String::from_utf8(bytes);
                    content = Some(text.map_err(|_| MediaError::BadForm("content is no text"))?);
                }
                Some("content") => return Err(MediaError::BadForm("content stands twice")),
                _ => self.skip(&mut field, &mut others).await?,
            }
        }
        Err(MediaError::BadForm("too many fields"))
    }

    async fn next_field(&mut self) -> Result<Option<Field<'static>>, MediaError> {
        self.hoard.store(0, Ordering::Relaxed);
        self.form.next_field().await.map_err(refuse)
    }

    async fn next_chunk(&self, field: &mut Field<'static>) -> Result<Option<Bytes>, MediaError> {
        self.hoard.store(0, Ordering::Relaxed);
        field.chunk().await.map_err(refuse)
    }

    /// `None` for what a browser sends when no file was chosen: a field without a name of a file and without bytes.
    async fn take_file(
        &self,
        field: &mut Field<'static>,
        media: &Media,
    ) -> Result<Option<Upload>, MediaError> {
        let mut upload = media.begin();
        while let Some(chunk) = self.next_chunk(field).await? {
            upload.write(&chunk).await?;
        }
        let is_nameless = field.file_name().is_none_or(str::is_empty);
        Ok((upload.size() > 0 || !is_nameless).then_some(upload))
    }

    async fn take_bytes(
        &self,
        field: &mut Field<'static>,
        room: &mut usize,
    ) -> Result<Vec<u8>, MediaError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = self.next_chunk(field).await? {
            let left = room.checked_sub(chunk.len());
            *room = left.ok_or(MediaError::BadForm("a field is too long"))?;
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    async fn skip(&self, field: &mut Field<'static>, room: &mut usize) -> Result<(), MediaError> {
        while let Some(chunk) = self.next_chunk(field).await? {
            let left = room.checked_sub(chunk.len());
            *room = left.ok_or(MediaError::BadForm("a field is too long"))?;
        }
        Ok(())
    }
}

fn refuse(error: multer::Error) -> MediaError {
    use multer::Error::{
        FieldSizeExceeded, IncompleteFieldData, IncompleteStream, StreamReadFailed,
        StreamSizeExceeded,
    };
    match error {
        FieldSizeExceeded { .. } | StreamSizeExceeded { .. } => MediaError::TooLarge,
        StreamReadFailed(cause) if cause.is::<Hoarded>() => {
            MediaError::BadForm("the head of a field is too long")
        }
        StreamReadFailed(_) | IncompleteFieldData { .. } => MediaError::Aborted,
        IncompleteStream => MediaError::BadForm("a boundary is missing"),
        _ => MediaError::BadForm("the head of a field is broken"),
    }
}

/// The body, one piece for each time the parser asks. The parser itself takes all there is before it looks at any of it,
/// and keeps what comes before a boundary or in a field's head without a limit.
struct Paced<S> {
    body: Pin<Box<S>>,
    /// Of the last chunk, what has not been handed over yet.
    rest: Bytes,
    /// Bytes handed over since the parser last gave something back.
    hoard: Arc<AtomicUsize>,
    paused: bool,
}

impl<S> Paced<S> {
    fn new(body: S, hoard: Arc<AtomicUsize>) -> Self {
        Self {
            body: Box::pin(body),
            rest: Bytes::new(),
            hoard,
            paused: false,
        }
    }
}

#[derive(Debug, Clone, thiserror::Error)]
#[error("too much before the next part of the form")]
struct Hoarded;

impl<S, E> Stream for Paced<S>
where
    S: Stream<Item = Result<Bytes, E>>,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Item = Result<Bytes, Box<dyn std::error::Error + Send + Sync>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.paused) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        while self.rest.is_empty() {
            match std::task::ready!(self.body.as_mut().poll_next(context)) {
                Some(chunk) => self.rest = chunk.map_err(Into::into)?,
                None => return Poll::Ready(None),
            }
        }
        let length = self.rest.len().min(MAX_PIECE);
        let piece = self.rest.split_to(length);
        if self.hoard.fetch_add(length, Ordering::Relaxed) > MAX_HOARD {
            return Poll::Ready(Some(Err(Hoarded.into())));
        }
        self.paused = true;
        Poll::Ready(Some(Ok(piece)))
    }
}

#[cfg(test)]
mod tests;
