//! REST: parse, call the chat, answer. The whole surface is the one `match` in [`route`]; it cannot name the store.

mod admin;
mod backup;
mod body;
mod chats;
mod failure;
mod messages;
mod people;
mod request;
mod response;
mod uploads;

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HeaderMap};
use hyper::{Method, Request, Response};
use percent_encoding::percent_decode_str;

use self::admin::Resource;
pub use self::admin::{AdminKey, Connections, Gauge, TokenMint};
use self::body::RequestBody;
pub use self::body::Waited;
pub use self::failure::Failure;
pub use self::response::{Body, failed};
pub(crate) use self::response::{envelope, full};
pub use self::uploads::{UploadPace, Uploads};
use crate::access::{Access, Identity};
use crate::audit::Audit;
use crate::auth::bearer;
use crate::backend::Backend;
use crate::backup::Online;
use crate::chat::{Caller, Service};
use crate::disposal::Disposal;
use crate::guard::{Action, Guard};
use crate::media::Media;
use crate::metrics::{Edge, Figures};

/// What the routes work with.
#[derive(Debug)]
pub struct Api {
    /// The rules.
    pub chat: Service,
    /// Who calls.
    pub access: Arc<Access>,
    /// Knows what we do not know yet, if there is one.
    pub backend: Option<Arc<Backend>>,
    /// Files.
    pub media: Arc<Media>,
    /// Whether a file is only for the participants of its chat.
    pub private_media: bool,
    /// Uploads under way.
    pub uploads: Uploads,
    /// Removes for good.
    pub disposal: Disposal,
    /// Opens the admin API.
    pub admin_key: Option<AdminKey>,
    /// Backups, for the admin API.
    pub backup: Online,
    /// Signs tokens for the host.
    pub mint: TokenMint,
    /// What happened, counted.
    pub figures: Arc<Figures>,
    /// Where admins' deeds are written down.
    pub audit: Arc<Audit>,
    /// How many are connected.
    pub connections: Gauge,
    /// When the server began to serve.
    pub started: Instant,
    /// How slow an upload may be.
    pub upload_pace: UploadPace,
    /// How often anybody may ask.
    pub guard: Arc<Guard>,
}

/// A thing the API can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Endpoint<'p> {
    CreateChat,
    MyChats,
    UnreadCount,
    Messages(&'p str),
    Send(&'p str),
    SendMedia(&'p str),
    MarkRead(&'p str),
    ToggleBlock(&'p str),
    DeleteMessage(&'p str),
    BlockUser(&'p str),
    BlockedUsers,
    Report,
    Upload(&'p str),
    Admin(Resource<'p>),
}

impl Endpoint<'_> {
    /// The limit that a request counts against. That a chat is new, or may be sent a file, turns out later.
    fn action(self) -> Action {
        match self {
            Self::Send(_) => Action::Message,
            Self::ToggleBlock(_) | Self::BlockUser(_) => Action::Block,
            Self::Report => Action::Report,
            _ => Action::Read,
        }
    }
}

/// The route table: who answers a path, and to which methods.
fn route<'p>(path: &[&'p str]) -> Option<(&'static str, Endpoint<'p>)> {
    Some(match *path {
        ["api", "chat", "create"] => ("POST", Endpoint::CreateChat),
        ["api", "chat", "my-chats"] => ("GET, HEAD", Endpoint::MyChats),
        ["api", "chat", "unread-count"] => ("GET, HEAD", Endpoint::UnreadCount),
        ["api", "chat", "blocked-users"] => ("GET, HEAD", Endpoint::BlockedUsers),
        ["api", "chat", "report"] => ("POST", Endpoint::Report),
        ["api", "chat", "block-user", user] => ("PUT, DELETE", Endpoint::BlockUser(user)),
        ["api", "chat", "message", message] => ("DELETE", Endpoint::DeleteMessage(message)),
        ["api", "chat", chat, "messages"] => ("GET, HEAD", Endpoint::Messages(chat)),
        ["api", "chat", chat, "send"] => ("POST", Endpoint::Send(chat)),
        ["api", "chat", chat, "send-media"] => ("POST", Endpoint::SendMedia(chat)),
        ["api", "chat", chat, "mark-read"] => ("PUT", Endpoint::MarkRead(chat)),
        ["api", "chat", chat, "toggle-block"] => ("PUT", Endpoint::ToggleBlock(chat)),
        ["api", "admin", ref rest @ ..] => admin::route(rest)?,
        ["uploads", "chat_media", name] => ("GET, HEAD", Endpoint::Upload(name)),
        _ => return None,
    })
}

impl Api {
    /// Answers a request to any path; an unknown one with the contract's 404.
    pub async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        match self.dispatch(RequestBody::of(request)).await {
            Ok(response) => response,
            Err(failure) => {
                self.figures.refused(Edge::Rest, failure.code);
                failed(&failure)
            }
        }
    }

    async fn dispatch(&self, request: Request<RequestBody>) -> Result<Response<Body>, Failure> {
        let path = request.uri().path().to_owned();
        let segments = segments(&path).ok_or_else(Failure::not_found)?;
        let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
        let (allow, endpoint) = route(&segments).ok_or_else(Failure::not_found)?;
        if !allow
            .split(", ")
            .any(|method| method == request.method().as_str())
        {
            return Err(Failure::method_not_allowed(allow));
        }
        match endpoint {
            Endpoint::Upload(name) => return self.serve_upload(request, name).await,
            Endpoint::Admin(resource) => return self.admin(resource, request).await,
            _ => {}
        }
        let address = address(&request);
        let caller = self.caller(request.headers(), address).await?;
        self.guard
            .take(endpoint.action(), &caller.user, caller.address)?;
        match endpoint {
            Endpoint::CreateChat => self.create_chat(&caller, request).await,
            Endpoint::MyChats => self.my_chats(&caller, &request).await,
            Endpoint::UnreadCount => self.unread_count(&caller).await,
            Endpoint::Messages(chat) => self.messages(&caller, chat, &request).await,
            Endpoint::Send(chat) => self.send(&caller, chat, request).await,
            Endpoint::SendMedia(chat) => self.send_media(&caller, chat, request).await,
            Endpoint::MarkRead(chat) => self.mark_read(&caller, chat).await,
            Endpoint::ToggleBlock(chat) => self.toggle_block(&caller, chat).await,
            Endpoint::DeleteMessage(message) => self.delete_message(&caller, message).await,
            Endpoint::BlockUser(user) => {
                let blocks = request.method() == Method::PUT;
                self.set_blocked(&caller, user, blocks).await
            }
            Endpoint::BlockedUsers => self.blocked_users(&caller).await,
            Endpoint::Report => self.report(&caller, request).await,
            Endpoint::Upload(_) | Endpoint::Admin(_) => Err(Failure::not_found()),
        }
    }

    async fn caller(
        &self,
        headers: &HeaderMap,
        address: Option<IpAddr>,
    ) -> Result<Caller, Failure> {
        let Identity { user, .. } = self.access.identify(token(headers), address).await?;
        let origin = headers
            .get("x-socket-id")
            .and_then(|id| id.to_str().ok())
            .map(str::to_owned);
        Ok(Caller {
            user,
            origin,
            address,
        })
    }
}

/// Where the request came from, as the server says.
fn address<B>(request: &Request<B>) -> Option<IpAddr> {
    let peer = request.extensions().get::<SocketAddr>();
    peer.map(SocketAddr::ip)
}

/// The bearer token; one that is no text is not missing but wrong, and verifies as such.
fn token(headers: &HeaderMap) -> Option<&str> {
    bearer(
        headers
            .get(AUTHORIZATION)?
            .to_str()
            .unwrap_or("Bearer \u{fffd}"),
    )
}

/// The parts of a path, percent-decoded; one trailing slash is tolerated. `None` for what is no text.
fn segments(path: &str) -> Option<Vec<Cow<'_, str>>> {
    let path = path.strip_suffix('/').unwrap_or(path);
    path.split('/')
        .skip(1)
        .map(|part| percent_decode_str(part).decode_utf8().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_tolerate_one_trailing_slash() {
        let parsed = |path| {
            let segments = segments(path).unwrap();
            let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
            route(&segments).map(|(allow, endpoint)| format!("{allow} {endpoint:?}"))
        };
        assert_eq!(
            parsed("/api/chat/my-chats"),
            Some("GET, HEAD MyChats".to_owned())
        );
        assert_eq!(
            parsed("/api/chat/my-chats/"),
            Some("GET, HEAD MyChats".to_owned())
        );
        assert_eq!(parsed("/api/chat/my-chats//"), None);
        assert_eq!(parsed("/api//chat/my-chats"), None);
        assert_eq!(
            parsed("/api/chat/c/send"),
            Some("POST Send(\"c\")".to_owned())
        );
        assert_eq!(
            parsed("/api/chat/message/m"),
            Some("DELETE DeleteMessage(\"m\")".to_owned())
        );
        let user = "GET, HEAD, PUT, DELETE Admin(User(\"a@b\"))".to_owned();
        assert_eq!(parsed("/api/admin/users/a%40b"), Some(user));
        assert_eq!(parsed("/api/chat"), None);
        assert_eq!(parsed("/"), None);
    }
}
