//! What the host says of users: who they are, that they are banned, that they are to be erased.

use hyper::{Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::batch::{batch, outcome, rows};
use super::{Admin, Listing, listing};
use crate::api::body::RequestBody;
use crate::api::response::{Body, succeeded};
use crate::api::{Api, Failure, request};
use crate::chat::{self, Found, Profile};
use crate::id::UserId;
use crate::input::parse_id;
use crate::model::Timestamp;
use crate::view;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UserInput {
    #[serde(rename = "_id")]
    id: Option<String>,
    name: Option<String>,
    email: Option<String>,
    #[serde(alias = "profileImage", alias = "picture")]
    profile_picture: Option<String>,
}

impl Api {
    pub(super) async fn list_users(
        &self,
        request: &Request<RequestBody>,
    ) -> Result<Response<Body>, Failure> {
        let Listing {
            prefix,
            search,
            after,
            limit,
        } = listing(request)?;
        let Found { rows, next } = match search {
            Some(text) => self.chat.search_users(text, after, limit).await?,
            None => self.chat.users(prefix, after, limit).await?,
        };
        let has_more = next.is_some();
        let presence = self.chat.presence();
        let users: Vec<_> = rows
            .iter()
            .map(|user| view::host_user(user, presence.is_online(&user.id)))
            .collect();
        let data = json!({ "users": users, "pagination": { "hasMore": has_more, "next": next } });
        succeeded(StatusCode::OK, "Users retrieved successfully", data)
    }

    pub(super) async fn put_users(
        &self,
        request: Request<RequestBody>,
    ) -> Result<Response<Body>, Failure> {
        let mut results = Vec::new();
        for row in rows(request).await? {
            results.push(outcome(&row, self.user_row(&row).await));
        }
        batch(&results)
    }

    pub(super) async fn put_user(
        &self,
        id: &str,
        request: Request<RequestBody>,
    ) -> Result<Response<Body>, Failure> {
        let id = parse_id(id, "userId")?;
        self.upsert_user(&id, request::object(request).await?)
            .await?;
        self.show_user(id, "User stored successfully").await
    }

    /// Answers when nothing of the user is left in the store or among the files, and with `?compact=true` in the journal. Goes on
    /// when the host goes away.
    pub(super) async fn erase_user(
        &self,
        id: &str,
        admin: &Admin,
        request: &Request<RequestBody>,
    ) -> Result<Response<Body>, Failure> {
        let id: UserId = parse_id(id, "userId")?;
        let compacts = match request::query(request, "compact").as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(Failure::invalid_request("compact must be true or false")),
        };
        self.record(admin, "user.erased", id.as_str()).await?;
        let (disposal, chat, user) = (self.disposal.clone(), self.chat.clone(), id.clone());
        let erasing = tokio::spawn(async move {
            let erased = disposal.erase_user(user).await?;
            if compacts {
                chat.compact_anew().await?;
            }
            Ok::<_, Failure>(erased)
        });
        let erased = erasing.await.map_err(|_| Failure::internal())??;
        let data = json!({
            "_id": id, "wasKnown": erased.was_known, "messages": erased.messages, "files": erased.files,
            "pets": erased.pets, "compacted": compacts,
        });
        succeeded(StatusCode::OK, "User erased successfully", data)
    }

    pub(super) async fn set_banned(
        &self,
        id: &str,
        admin: &Admin,
        banned: bool,
    ) -> Result<Response<Body>, Failure> {
        let id: UserId = parse_id(id, "userId")?;
        let action = if banned {
            "user.banned"
        } else {
            "user.unbanned"
        };
        self.chat.user(id.clone()).await?;
        self.record(admin, action, id.as_str()).await?;
        let user = self.chat.set_banned(id, banned).await?;
        let message = if banned {
            "User banned successfully"
        } else {
            "User unbanned successfully"
        };
        let is_online = self.chat.presence().is_online(&user.id);
        succeeded(StatusCode::OK, message, view::host_user(&user, is_online))
    }

    pub(super) async fn show_user(
        &self,
        id: UserId,
        message: &str,
    ) -> Result<Response<Body>, Failure> {
        let user = self.chat.user(id).await?;
        let is_online = self.chat.presence().is_online(&user.id);
        succeeded(StatusCode::OK, message, view::host_user(&user, is_online))
    }

    async fn user_row(&self, row: &Map<String, Value>) -> Result<(), Failure> {
        let input = UserInput::deserialize(row)
            .map_err(|_| Failure::invalid_request("A field has the wrong type"))?;
        let id = input.id.as_deref().ok_or(chat::Error::InvalidId("_id"))?;
        self.upsert_user(&parse_id(id, "_id")?, input).await
    }

    async fn upsert_user(&self, id: &UserId, input: UserInput) -> Result<(), Failure> {
        let UserInput {
            name,
            email,
            profile_picture,
            ..
        } = input;
        let profile = Profile {
            id: id.clone(),
            name,
            email,
            picture: profile_picture,
            said_at: Some(now()),
        };
        self.chat.put_user(profile).await?;
        Ok(())
    }
}

/// Now, in the seconds of tokens.
fn now() -> u64 {
    Timestamp::now().unix_seconds().into()
}
