//! The admin API, for the host application alone: what it tells of users and pets, whom it bans or has erased, and what it wants
//! to know. Only with an admin key.

mod batch;
mod chats;
mod deeds;
mod key;
mod machine;
mod pets;
mod reports;
mod suspects;
mod users;

use std::str::FromStr;

use hyper::{Method, Request, Response};

pub(super) use self::deeds::Admin;
pub use self::key::AdminKey;
pub use self::machine::{Connections, Gauge, TokenMint};
use super::body::RequestBody;
use super::response::Body;
use super::{Api, Endpoint, Failure, address, request, token};
use crate::access::Refusal;
use crate::id::is_host_id;
use crate::input::parse_id;

/// Largest page of a list; more is clamped.
const MAX_LISTED: u64 = 500;

/// What can be addressed below `/api/admin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resource<'p> {
    Users,
    User(&'p str),
    Ban(&'p str),
    Pets,
    Pet(&'p str),
    Chats,
    Chat(&'p str),
    Conversation(&'p str),
    Audit,
    Tokens,
    Stats,
    Suspects,
    Reports,
    Report(&'p str),
    Compact,
    Backup,
}

/// The part of the route table below `/api/admin`.
pub(super) fn route<'p>(path: &[&'p str]) -> Option<(&'static str, Endpoint<'p>)> {
    let (allow, resource) = match *path {
        ["users"] => ("GET, HEAD, PUT", Resource::Users),
        ["users", id] => ("GET, HEAD, PUT, DELETE", Resource::User(id)),
        ["users", id, "ban"] => ("POST, DELETE", Resource::Ban(id)),
        ["pets"] => ("GET, HEAD, PUT", Resource::Pets),
        ["pets", id] => ("GET, HEAD, PUT, DELETE", Resource::Pet(id)),
        ["chats"] => ("GET, HEAD", Resource::Chats),
        ["chats", id] => ("GET, HEAD", Resource::Chat(id)),
        ["chats", id, "messages"] => ("GET", Resource::Conversation(id)),
        ["audit"] => ("GET, HEAD", Resource::Audit),
        ["tokens"] => ("POST", Resource::Tokens),
        ["stats"] => ("GET, HEAD", Resource::Stats),
        ["reports"] => ("GET, HEAD", Resource::Reports),
        ["reports", id] => ("GET, HEAD, PUT", Resource::Report(id)),
        ["suspects"] => ("GET, HEAD", Resource::Suspects),
        ["compact"] => ("POST", Resource::Compact),
        ["backup"] => ("GET", Resource::Backup),
        _ => return None,
    };
    Some((allow, Endpoint::Admin(resource)))
}

impl Api {
    pub(super) async fn admin(
        &self,
        resource: Resource<'_>,
        request: Request<RequestBody>,
    ) -> Result<Response<Body>, Failure> {
        self.check_admin(&request)?;
        let method = request.method().clone();
        let admin = Admin::of(&request);
        match (resource, method) {
            (Resource::Users, Method::PUT) => self.put_users(request).await,
            (Resource::Users, _) => self.list_users(&request).await,
            (Resource::User(id), Method::PUT) => self.put_user(id, request).await,
            (Resource::User(id), Method::DELETE) => self.erase_user(id, &admin, &request).await,
            (Resource::User(id), _) => {
                let id = parse_id(id, "userId")?;
                self.show_user(id, "User retrieved successfully").await
            }
            (Resource::Ban(id), method) => {
                self.set_banned(id, &admin, method == Method::POST).await
            }
            (Resource::Pets, Method::PUT) => self.put_pets(request).await,
            (Resource::Pets, _) => self.list_pets(&request).await,
            (Resource::Pet(id), Method::PUT) => self.put_pet(id, request).await,
            (Resource::Pet(id), Method::DELETE) => self.remove_pet(id, &admin).await,
            (Resource::Pet(id), _) => {
                let id = parse_id(id, "petId")?;
                self.show_pet(id, "Pet retrieved successfully").await
            }
            (Resource::Chats, _) => self.list_chats(&request).await,
            (Resource::Chat(id), _) => self.show_chat(id).await,
            (Resource::Conversation(id), _) => self.read_conversation(id, &admin, &request).await,
            (Resource::Audit, _) => self.list_deeds(&request).await,
            (Resource::Tokens, _) => self.create_token(&admin, request).await,
            (Resource::Stats, _) => self.statistics(&request).await,
            (Resource::Reports, _) => self.list_reports(&admin, &request).await,
            (Resource::Report(id), Method::PUT) => self.judge_report(id, &admin, request).await,
            (Resource::Report(id), _) => self.show_report(id, &admin).await,
            (Resource::Suspects, _) => self.suspects(),
            (Resource::Compact, _) => self.compact().await,
            (Resource::Backup, _) => self.send_backup(&admin).await,
        }
    }

    /// Without a key there is no admin API, and nothing says that there could be one.
    pub fn check_admin<B>(&self, request: &Request<B>) -> Result<(), Failure> {
        let key = self.admin_key.as_ref().ok_or_else(Failure::not_found)?;
        let refusal = match token(request.headers()) {
            None => Refusal::Missing,
            Some(given) if key.is(given) => return Ok(()),
            Some(_) => Refusal::Invalid,
        };
        Err(self.access.counted(refusal, address(request)).into())
    }
}

/// How many rows of a list are asked for.
fn limit(request: &Request<RequestBody>) -> Result<usize, Failure> {
    let limit = request::number(request, "limit", 50)?.min(MAX_LISTED);
    Ok(usize::try_from(limit).unwrap_or(usize::MAX))
}

/// Which part of a list, in the order of ids.
struct Listing<I> {
    prefix: String,
    search: Option<String>,
    after: Option<I>,
    limit: usize,
}

fn listing<I: FromStr>(request: &Request<RequestBody>) -> Result<Listing<I>, Failure> {
    let prefix = request::query(request, "prefix").unwrap_or_default();
    if !prefix.is_empty() && !is_host_id(&prefix) {
        return Err(Failure::invalid_request(
            "prefix must be the beginning of an id",
        ));
    }
    let search = request::query(request, "search").filter(|text| !text.is_empty());
    if search.is_some() && !prefix.is_empty() {
        return Err(Failure::invalid_request("give prefix or search, not both"));
    }
    let after = request::query(request, "after");
    let after = after.map(|id| parse_id(&id, "after")).transpose()?;
    Ok(Listing {
        prefix,
        search,
        after,
        limit: limit(request)?,
    })
}
