//! The demo: users, pets and conversations to try things with, and a chat page that works at once. Only with `--demo`.

mod load;

use std::time::Duration;

use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY,
};
use hyper::{Method, Request, Response};
use include_dir::{Dir, include_dir};
use serde_json::{Value, json};

use crate::api::{Body, full};
use crate::auth::{Secret, mint};
use crate::chat::Service;

/// The page's own files, part of the binary.
static ASSETS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/web/assets");

/// How long a demo token is good for.
const TOKEN_TTL: Duration = Duration::from_hours(24 * 7);

/// Nothing from elsewhere, no inline code.
const POLICY: &str = "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; \
    connect-src 'self' ws: wss:; style-src 'self'; script-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

/// The loaded demo.
#[derive(Debug)]
pub struct Demo {
    session: String,
    users: Vec<DemoUser>,
}

/// Somebody to be.
#[derive(Debug, Clone)]
pub struct DemoUser {
    /// Id.
    pub id: String,
    /// Display name.
    pub name: String,
    /// A good token.
    pub token: String,
}

impl Demo {
    /// Puts the demo's data into the chat, which changes nothing the second time, and signs a token for each user.
    pub async fn load(chat: &Service, secret: &Secret) -> Result<Self, String> {
        let data = load::Data::read()?;
        data.store(chat).await?;
        let mut users = Vec::new();
        let mut shown = data.users;
        for user in &mut shown {
            let text = |key: &str| user.get(key).and_then(Value::as_str).map(str::to_owned);
            let (id, name) = (
                text("_id").unwrap_or_default(),
                text("name").unwrap_or_default(),
            );
            let picture = text("profilePicture");
            let email = text("email");
            let token = mint(
                secret,
                &id,
                Some(&name),
                email.as_deref(),
                picture.as_deref(),
                TOKEN_TTL,
            )
            .map_err(|error| error.to_string())?;
            user["token"] = json!(token);
            users.push(DemoUser { id, name, token });
        }
        let session = json!({ "users": shown, "pets": data.pets }).to_string();
        Ok(Self { session, users })
    }

    /// The people of the demo.
    pub fn users(&self) -> &[DemoUser] {
        &self.users
    }

    /// Answers a request for the page or its files; `None` for anything else.
    pub fn serve<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return None;
        }
        match request.uri().path() {
            "/" => file("index.html"),
            "/demo/session.json" => Some(answer("application/json", self.session.clone())),
            path => file(path.strip_prefix("/demo/assets/")?),
        }
    }
}

fn file(path: &str) -> Option<Response<Body>> {
    let contents = ASSETS.get_file(path)?.contents();
    let mime = mime_guess::from_path(path).first_or_octet_stream();
    let is_text = mime.type_() == "text";
    let charset = if is_text { "; charset=utf-8" } else { "" };
    Some(answer(&format!("{mime}{charset}"), contents))
}

fn answer(mime: &str, body: impl Into<bytes::Bytes>) -> Response<Body> {
    let mut response = Response::new(full(body));
    let headers = response.headers_mut();
    if let Ok(mime) = HeaderValue::from_str(mime) {
        headers.insert(CONTENT_TYPE, mime);
    }
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
