//! The envelope around every JSON answer.

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use serde::Serialize;

use super::Failure;

/// The body of any answer of the server.
pub type Body = UnsyncBoxBody<Bytes, std::io::Error>;

#[derive(Serialize)]
struct Envelope<'a, T> {
    success: bool,
    message: &'a str,
    data: Option<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

/// A success with data.
pub(super) fn succeeded<T: Serialize>(
    status: StatusCode,
    message: &str,
    data: T,
) -> Result<Response<Body>, Failure> {
    let envelope = Envelope {
        success: true,
        message,
        data: Some(data),
        error: None,
    };
    let json = serde_json::to_vec(&envelope).map_err(|_| Failure::internal())?;
    Ok(answer(status, json))
}

/// The envelope of a failure, for whoever writes it without a response.
pub(crate) fn envelope(failure: &Failure) -> Vec<u8> {
    let envelope = Envelope::<()> {
        success: false,
        message: &failure.message,
        data: None,
        error: Some(failure.code),
    };
    // Serialising two strings to memory cannot fail.
    serde_json::to_vec(&envelope).unwrap_or_default()
}

/// A failure in the envelope.
pub fn failed(failure: &Failure) -> Response<Body> {
    let mut response = answer(failure.status, envelope(failure));
    let headers = response.headers_mut();
    if let Some(seconds) = failure.retry_after {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    if let Some(allow) = failure.allow {
        headers.insert(ALLOW, HeaderValue::from_static(allow));
    }
    response
}

fn answer(status: StatusCode, json: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(full(json));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/json; charset=utf-8"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A body that is in memory.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}
