//! The documentation of the API: `/docs` and the two descriptions that it shows. Knows no chat; the descriptions come from `docs/` by
//! way of the build, and the tests compare them with the server.

use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
};
use hyper::{Method, Request, Response};

use super::ASSETS;
use crate::api::{Body, Failure, failed, full};

/// What REST does, as `OpenAPI` 3.1.
pub const OPENAPI: &str = include_str!(concat!(env!("OUT_DIR"), "/openapi.json"));
/// What goes over Socket.IO, as `AsyncAPI` 3.
pub const ASYNCAPI: &str = include_str!(concat!(env!("OUT_DIR"), "/asyncapi.json"));

/// Of the page's own files; it shares some of them with the chat page.
const ASSET_PATH: &str = "/docs/assets/";

/// Nothing but its own files and the two descriptions; no inline code.
const POLICY: &str = "default-src 'none'; img-src 'self'; connect-src 'self'; style-src 'self'; script-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Answers a request for the documentation; `None` for anything else.
pub fn serve<B>(request: &Request<B>) -> Option<Response<Body>> {
    let path = request.uri().path();
    let (mime, body) = match path.strip_suffix('/').unwrap_or(path) {
        "/api/openapi.json" => ("application/json".to_owned(), OPENAPI.as_bytes()),
        "/api/asyncapi.json" => ("application/json".to_owned(), ASYNCAPI.as_bytes()),
        "/docs" => asset("docs/index.html")?,
        path => asset(path.strip_prefix(ASSET_PATH)?)?,
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Some(failed(&Failure::method_not_allowed("GET, HEAD")));
    }
    let mut response = Response::new(full(body));
    let mut insert = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    };
    insert(CONTENT_TYPE, &mime);
    insert(CONTENT_SECURITY_POLICY, POLICY);
    insert(REFERRER_POLICY, "no-referrer");
    insert(CACHE_CONTROL, "no-cache");
    Some(response)
}

fn asset(path: &str) -> Option<(String, &'static [u8])> {
    let contents = ASSETS.get_file(path)?.contents();
    let mime = mime_guess::from_path(path).first_or_octet_stream();
    let charset = if mime.type_() == "text" {
        "; charset=utf-8"
    } else {
        ""
    };
    Some((format!("{mime}{charset}"), contents))
}
