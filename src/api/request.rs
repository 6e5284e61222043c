//! Reading a request: JSON bodies with a limit and a deadline, query parameters.

use std::time::Duration;

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::{Request, StatusCode};
use serde::de::{DeserializeOwned, IgnoredAny};

use super::Failure;

/// Largest JSON body, in bytes.
const MAX_BODY: usize = 256 * 1024;
/// A body has to have arrived by then.
const BODY_DEADLINE: Duration = Duration::from_secs(30);
/// Largest page; more is clamped.
pub(super) const MAX_PAGE: u64 = 100;

/// Reads a JSON body of the usual size.
pub(super) async fn json<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Failure> {
    json_up_to(request, MAX_BODY).await
}

/// Reads a JSON body of at most `limit` bytes.
pub(super) async fn json_up_to<T: DeserializeOwned>(
    request: Request<Incoming>,
    limit: usize,
) -> Result<T, Failure> {
    check_content_type(&request)?;
    let body = Limited::new(request.into_body(), limit).collect();
    let bytes = match tokio::time::timeout(BODY_DEADLINE, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let message = format!("The request body may have at most {limit} bytes");
            return Err(Failure::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "body_too_large",
                message,
            ));
        }
        Ok(Err(_)) | Err(_) => {
            return Err(Failure::invalid_request("The request body did not arrive"));
        }
    };
    read_object(&bytes)
}

fn read_object<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    let refused = |error: serde_json::Error| {
        if error.is_data() {
            return Failure::invalid_request(format!(
                "The request body is not of the expected form: {error}"
            ));
        }
        Failure::new(
            StatusCode::BAD_REQUEST,
            "invalid_json",
            "The request body is not valid JSON",
        )
    };
    // An array would be read as the fields in their order, and a refusal of anything else would name our types.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        serde_json::from_slice::<IgnoredAny>(bytes).map_err(refused)?;
        return Err(Failure::invalid_request(
            "The request body must be a JSON object",
        ));
    }
    serde_json::from_slice(bytes).map_err(refused)
}

/// A body without a content type is taken as JSON; any other type is refused.
fn check_content_type(request: &Request<Incoming>) -> Result<(), Failure> {
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
pub(super) fn query(request: &Request<Incoming>, name: &str) -> Option<String> {
    let query = request.uri().query()?.as_bytes();
    form_urlencoded::parse(query)
        .filter(|(key, _)| key == name)
        .last()
        .map(|(_, value)| value.into_owned())
}

/// A page number or a page size, at least 1.
pub(super) fn number(
    request: &Request<Incoming>,
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
