//! Reading a request: JSON bodies with a limit and a deadline, query parameters.

use std::time::Duration;

use super::body::RequestBody;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::header::CONTENT_TYPE;
use hyper::{Request, StatusCode};
use serde::de::{DeserializeOwned, IgnoredAny};

use super::Failure;
use crate::input;

/// Largest JSON body, in bytes.
const MAX_BODY: usize = 256 * 1024;
/// A body has to have arrived by then.
const BODY_DEADLINE: Duration = Duration::from_secs(30);
/// Largest page; more is clamped.
pub(super) const MAX_PAGE: u64 = 100;

/// Reads a body that is a JSON object.
pub(super) async fn object<T: DeserializeOwned>(
    request: Request<RequestBody>,
) -> Result<T, Failure> {
    let bytes = body(request, MAX_BODY).await?;
    read(&bytes, b'{', "The request body must be a JSON object")
}

/// Reads a body of at most `limit` bytes that is a JSON array.
pub(super) async fn array<T: DeserializeOwned>(
    request: Request<RequestBody>,
    limit: usize,
) -> Result<Vec<T>, Failure> {
    let bytes = body(request, limit).await?;
    read(&bytes, b'[', "The request body must be a JSON array")
}

async fn body(request: Request<RequestBody>, limit: usize) -> Result<Bytes, Failure> {
    check_content_type(&request)?;
    let body = Limited::new(request.into_body(), limit).collect();
    match tokio::time::timeout(BODY_DEADLINE, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let message = format!("The request body may have at most {limit} bytes");
            Err(Failure::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "body_too_large",
                message,
            ))
        }
        Ok(Err(_)) | Err(_) => Err(Failure::invalid_request("The request body did not arrive")),
    }
}

/// Reads JSON that begins with `first`. Anything else would be read as the fields in their order, or be refused in the
/// words of our types.
fn read<T: DeserializeOwned>(
    bytes: &[u8],
    first: u8,
    expected: &'static str,
) -> Result<T, Failure> {
    let refused = |error: serde_json::Error| {
        if error.is_data() {
            tracing::debug!(%error, "a request body is not of the expected form");
            return input::refused(bytes, &error).into();
        }
        Failure::new(
            StatusCode::BAD_REQUEST,
            "invalid_json",
            "The request body is not valid JSON",
        )
    };
    if bytes.trim_ascii_start().first() != Some(&first) {
        serde_json::from_slice::<IgnoredAny>(bytes).map_err(refused)?;
        return Err(Failure::invalid_request(expected));
    }
    serde_json::from_slice(bytes).map_err(refused)
}

/// A body without a content type is taken as JSON; any other type is refused.
fn check_content_type(request: &Request<RequestBody>) -> Result<(), Failure> {
    let Some(value) = request.headers().get(CONTENT_TYPE) else {
        return Ok(());
    };
    let essence = value
        .to_str()
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let message = "Content-Type must be application/json";
    Err(Failure::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        message,
    ))
}

/// The value of a query parameter; the last one wins.
pub(super) fn query(request: &Request<RequestBody>, name: &str) -> Option<String> {
    let query = request.uri().query()?.as_bytes();
    form_urlencoded::parse(query)
        .filter(|(key, _)| key == name)
        .last()
        .map(|(_, value)| value.into_owned())
}

/// A page number or a page size, at least 1.
pub(super) fn number(
    request: &Request<RequestBody>,
    name: &'static str,
    default: u64,
) -> Result<u64, Failure> {
    let Some(text) = query(request, name) else {
        return Ok(default);
    };
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(number) if digits && number >= 1 => Ok(number),
        // Digits that do not fit are merely a very large number.
        Err(_) if digits => Ok(u64::MAX),
        _ => Err(Failure::invalid_request(format!(
            "{name} must be a whole number from 1"
        ))),
    }
}
