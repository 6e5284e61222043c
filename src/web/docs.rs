//! The documentation of the API: `/docs` and the two descriptions that it shows. Knows no chat; the descriptions come from `docs/` by
//! way of the build, and the tests compare them with the server.

use hyper::{Request, Response};

use super::{answer, file, read_only};
use crate::api::Body;

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
    let found = match path.strip_suffix('/').unwrap_or(path) {
        "/api/openapi.json" => answer("application/json", OPENAPI, POLICY),
        "/api/asyncapi.json" => answer("application/json", ASYNCAPI, POLICY),
        "/docs" => file("docs/index.html", POLICY)?,
        path => file(path.strip_prefix(ASSET_PATH)?, POLICY)?,
    };
    Some(read_only(request.method(), found))
}
