//! A file on its way out: ranges, validators and headers that keep a browser from running anything (promise P14). It
//! does not know who may see the file.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncSeekExt as _, ReadBuf};

use super::detect::MediaType;
use super::range::{self, Ranged};
use super::thumbnails::Thumbnail;
use super::{Media, MediaError};

/// Read from the disk at once, and so the memory of one download.
const CHUNK: u64 = 64 << 10;

/// The last second that an HTTP date can name, at the end of the year 9999.
const LAST_DATE: Duration = Duration::from_secs(253_402_300_799);

/// What every answer says, whatever the file: no guessing of the type, no scripts, no frames. The name is random and
/// never given twice, so a copy is good for ever; it is nobody else's, so no shared cache keeps it.
const FIXED_HEADERS: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; sandbox",
    ),
    (
        header::CACHE_CONTROL,
        "private, max-age=31536000, immutable",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "cross-origin",
    ),
    (header::ACCEPT_RANGES, "bytes"),
];

/// What tells one file, or one version of it, from another.
struct Validators {
    etag: String,
    modified: SystemTime,
}

impl Media {
    /// Answers a request for the file `name`, or for a copy of it that is `width` pixels across: 200, 206, 304 or 416. Every
    /// method but GET is answered like HEAD; whether it is allowed at all is the caller's business.
    /// [`MediaError::NotFound`] for what is no name of a file here.
    pub async fn serve(
        &self,
        name: &str,
        width: Option<u32>,
        method: &Method,
        request: &HeaderMap,
    ) -> Result<Response<MediaBody>, MediaError> {
        let media_type = MediaType::of_name(name).ok_or(MediaError::NotFound)?;
        let stem = name.split('.').next().unwrap_or(name);
        let copy = match width {
            Some(width) => match self.thumbnail(name, width).await? {
                Thumbnail::Copy(kind, file) => Some((format!("{stem}-{width}"), kind, file)),
                Thumbnail::AsItIs => None,
            },
            None => None,
        };
        if let Some((stem, kind, file)) = copy {
            return answer_file(file, &stem, kind.media_type(), method, request).await;
        }
        let opened = tokio::fs::File::open(self.path(name)?).await;
        let file = opened.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => MediaError::NotFound,
            _ => MediaError::Io(error),
        })?;
        answer_file(file, stem, media_type, method, request).await
    }
}

async fn answer_file(
    mut file: tokio::fs::File,
    stem: &str,
    media_type: MediaType,
    method: &Method,
    request: &HeaderMap,
) -> Result<Response<MediaBody>, MediaError> {
    let metadata = file.metadata().await?;
    if !metadata.is_file() {
        return Err(MediaError::NotFound);
    }
    let size = metadata.len();
    let validators = Validators {
        // The name is random and the file never changes; the size only guards against a broken copy.
        etag: format!("\"{stem}-{size:x}\""),
        modified: metadata
            .modified()?
            .clamp(UNIX_EPOCH, UNIX_EPOCH + LAST_DATE),
    };
    if validators.is_fresh(request) {
        return Ok(answer(StatusCode::NOT_MODIFIED, &validators, None));
    }
    let ranged = match request.get(header::RANGE).map(HeaderValue::to_str) {
        // RFC 9110 §14.2: "A server MUST ignore a Range header field received with a request method" other than GET.
        Some(Ok(range)) if method == Method::GET && validators.allow_range(request) => {
            range::parse(range, size)
        }
        _ => Ranged::Whole,
    };
    let (status, part) = match ranged {
        Ranged::Whole => (StatusCode::OK, 0..size),
        Ranged::Part(part) => (StatusCode::PARTIAL_CONTENT, part),
        Ranged::Unsatisfiable => {
            let mut response = answer(StatusCode::RANGE_NOT_SATISFIABLE, &validators, None);
            insert(
                &mut response,
                header::CONTENT_RANGE,
                &format!("bytes */{size}"),
            );
            return Ok(response);
        }
    };
    let length = part.end - part.start;
    let body = if method == Method::GET {
        file.seek(io::SeekFrom::Start(part.start)).await?;
        Some(MediaBody::new(file, length))
    } else {
        None
    };
    let mut response = answer(status, &validators, body);
    describe(&mut response, stem, media_type, length);
    if status == StatusCode::PARTIAL_CONTENT {
        let range = content_range(&part, size);
        insert(&mut response, header::CONTENT_RANGE, &range);
    }
    Ok(response)
}

impl Validators {
    fn last_modified(&self) -> String {
        httpdate::fmt_http_date(self.modified)
    }

    /// RFC 9110 §13.2.2: `If-None-Match` comes first and, being there, makes `If-Modified-Since` void.
    fn is_fresh(&self, request: &HeaderMap) -> bool {
        let mut tags = request.get_all(header::IF_NONE_MATCH).iter().peekable();
        if tags.peek().is_some() {
            return tags
                .filter_map(|value| value.to_str().ok())
                .flat_map(|value| value.split(','))
                .map(str::trim)
                .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.etag);
        }
        let since = request.get(header::IF_MODIFIED_SINCE);
        let since = since.and_then(|value| httpdate::parse_http_date(value.to_str().ok()?).ok());
        // The header has whole seconds only, so the file's time is cut to them as well.
        let modified = httpdate::parse_http_date(&self.last_modified()).ok();
        since.is_some_and(|since| modified.is_some_and(|modified| modified <= since))
    }

    /// RFC 9110 §13.1.5: with `If-Range`, a range only of the same version, compared strongly; else the whole file.
    fn allow_range(&self, request: &HeaderMap) -> bool {
        match request.get(header::IF_RANGE).map(HeaderValue::to_str) {
            None => true,
            Some(Ok(validator)) => validator == self.etag || validator == self.last_modified(),
            Some(Err(_)) => false,
        }
    }
}

/// An answer with what every one has.
fn answer(
    status: StatusCode,
    validators: &Validators,
    body: Option<MediaBody>,
) -> Response<MediaBody> {
    let mut response = Response::new(body.unwrap_or_else(MediaBody::empty));
    *response.status_mut() = status;
    for (name, value) in FIXED_HEADERS {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    insert(&mut response, header::ETAG, &validators.etag);
    let modified = validators.last_modified();
    insert(&mut response, header::LAST_MODIFIED, &modified);
    response
}

fn describe(response: &mut Response<MediaBody>, stem: &str, media_type: MediaType, length: u64) {
    insert(response, header::CONTENT_TYPE, media_type.mime());
    insert(response, header::CONTENT_LENGTH, &length.to_string());
    let extension = media_type.extension();
    let disposition = format!("inline; filename=\"{stem}.{extension}\"");
    insert(response, header::CONTENT_DISPOSITION, &disposition);
}

fn content_range(part: &Range<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", part.start, part.end - 1)
}

/// The values are made here of visible ASCII; one that is not would be left out rather than end the request.
fn insert(response: &mut Response<MediaBody>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// The bytes of a file or of a part of it, read as the client takes them.
#[derive(Debug)]
pub struct MediaBody {
    file: Option<tokio::fs::File>,
    remaining: u64,
    buffer: Vec<u8>,
}

impl MediaBody {
    fn new(file: tokio::fs::File, length: u64) -> Self {
        Self {
            file: Some(file),
            remaining: length,
            buffer: Vec::new(),
        }
    }

    fn empty() -> Self {
        Self {
            file: None,
            remaining: 0,
            buffer: Vec::new(),
        }
    }
}

impl Body for MediaBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = &mut *self;
        let Some(file) = this.file.as_mut().filter(|_| this.remaining > 0) else {
            return Poll::Ready(None);
        };
        let wanted = usize::try_from(this.remaining.min(CHUNK)).unwrap_or(usize::MAX);
        this.buffer.resize(wanted, 0);
        let mut buffer = ReadBuf::new(&mut this.buffer);
        let read = std::task::ready!(Pin::new(file).poll_read(context, &mut buffer));
        let length = buffer.filled().len();
        let outcome = match read {
            // The length has been announced; ending early in silence would look like the whole.
            Ok(()) if length == 0 => Err(io::ErrorKind::UnexpectedEof.into()),
            other => other,
        };
        if let Err(error) = outcome {
            this.file = None;
            return Poll::Ready(Some(Err(error)));
        }
        this.remaining -= length as u64;
        let mut bytes = std::mem::take(&mut this.buffer);
        bytes.truncate(length);
        Poll::Ready(Some(Ok(Frame::data(bytes.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}

#[cfg(test)]
mod tests;
