//! The pages in the binary: the chat page, for the people of the demo or for who brings a token, the admin page, and the
//! documentation of the API. It hands out files and the demo's session; what the pages show they fetch from the API like anybody else.

pub mod docs;
mod load;

use std::time::Duration;

use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY,
};
use hyper::{Method, Request, Response};
use include_dir::{Dir, include_dir};
use serde_json::{Value, json};

use crate::api::{Body, Failure, failed, full};
use crate::auth::{Secret, mint};
use crate::chat::Service;

/// The pages' own files, part of the binary.
static ASSETS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/web/assets");

/// The session of a server without a demo.
const NOBODY: &str = r#"{"users":[],"pets":[]}"#;

/// How long a demo token is good for.
const TOKEN_TTL: Duration = Duration::from_hours(24 * 7);

/// Nothing from elsewhere, no inline code.
const POLICY: &str = "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; \
    connect-src 'self' ws: wss:; style-src 'self'; script-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

/// Which pages there are.
#[derive(Debug)]
pub struct Pages {
    /// Whether there is one at `/`.
    pub chat: bool,
    /// Whether there is one at `/admin`.
    pub admin: bool,
    /// As whom anybody may chat; without a demo the page asks for a token.
    pub demo: Option<Demo>,
}

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
}

impl Pages {
    /// Answers a request for a page or its files; `None` for anything else.
    pub fn serve<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
        let found = self.find(request.uri().path())?;
        Some(read_only(request.method(), found))
    }

    fn find(&self, path: &str) -> Option<Response<Body>> {
        match path {
            "/" if self.chat => file("index.html", POLICY),
            "/admin" | "/admin/" if self.admin => file("admin.html", POLICY),
            "/demo/session.json" if self.chat => {
                let demo = self.demo.as_ref();
                let session = demo.map_or(NOBODY, |demo| demo.session.as_str());
                Some(answer("application/json", session.to_owned(), POLICY))
            }
            path if self.chat || self.admin => {
                // The demo's people and pets have their pictures under the second name.
                let name = path.strip_prefix("/web/");
                file(name.or_else(|| path.strip_prefix("/demo/assets/"))?, POLICY)
            }
            _ => None,
        }
    }
}

/// What was found, to those who want to read it.
fn read_only(method: &Method, found: Response<Body>) -> Response<Body> {
    match *method {
        Method::GET | Method::HEAD => found,
        _ => failed(&Failure::method_not_allowed("GET, HEAD")),
    }
}

fn file(path: &str, policy: &'static str) -> Option<Response<Body>> {
    let contents = ASSETS.get_file(path)?.contents();
    let mime = mime_guess::from_path(path).first_or_octet_stream();
    let is_text = mime.type_() == "text";
    let charset = if is_text { "; charset=utf-8" } else { "" };
    Some(answer(&format!("{mime}{charset}"), contents, policy))
}

fn answer(mime: &str, body: impl Into<bytes::Bytes>, policy: &'static str) -> Response<Body> {
    let mut response = Response::new(full(body));
    let headers = response.headers_mut();
    if let Ok(mime) = HeaderValue::from_str(mime) {
        headers.insert(CONTENT_TYPE, mime);
    }
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
