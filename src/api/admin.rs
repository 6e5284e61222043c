//! What the host application tells us: users and pets, one at a time or in batches. Only with an admin key.

use super::body::RequestBody;
use hyper::header::HeaderMap;
use hyper::{Method, Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::response::{Body, succeeded};
use super::{Api, Failure, request, token};
use crate::access::Refusal;
use crate::chat::{self, Profile};
use crate::id::{PetId, UserId};
use crate::input::parse_id;
use crate::model::Timestamp;
use crate::pet_document;
use crate::view;

/// Rows in one batch.
const MAX_ROWS: usize = 1000;
/// Largest body of a batch, in bytes.
const MAX_BATCH: usize = 8 << 20;

/// The key that the host application presents. Never shown, compared in constant time.
pub struct AdminKey(Vec<u8>);

impl AdminKey {
    /// A key; `None` for an empty one. A short one is warned of.
    pub fn new(key: &str) -> Option<Self> {
        if key.len() < 16 {
            tracing::warn!(
                "the admin key has fewer than 16 bytes; take a longer one (openssl rand -hex 32)"
            );
        }
        (!key.is_empty()).then(|| Self(key.as_bytes().to_vec()))
    }

    fn is(&self, given: &str) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(&self.0, given.as_bytes()).is_ok()
    }
}

impl std::fmt::Debug for AdminKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AdminKey")
    }
}

/// What can be addressed below `/api/admin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resource<'p> {
    Users,
    User(&'p str),
    Pets,
    Pet(&'p str),
    Backup,
}

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
    pub(super) async fn admin(
        &self,
        resource: Resource<'_>,
        request: Request<RequestBody>,
    ) -> Result<Response<Body>, Failure> {
        self.check_admin(request.headers())?;
        let reads = request.method() != Method::PUT;
        match resource {
            Resource::User(id) if reads => {
                self.show_user(parse_id(id, "userId")?, "User retrieved successfully")
                    .await
            }
            Resource::Pet(id) if reads => {
                self.show_pet(parse_id(id, "petId")?, "Pet retrieved successfully")
                    .await
            }
            Resource::User(id) => {
                let id = parse_id(id, "userId")?;
                self.upsert_user(&id, request::object(request).await?)
                    .await?;
                self.show_user(id, "User stored successfully").await
            }
            Resource::Pet(id) => {
                let id: PetId = parse_id(id, "petId")?;
                self.upsert_pet(&id, request::object(request).await?)
                    .await?;
                self.show_pet(id, "Pet stored successfully").await
            }
            Resource::Backup => self.send_backup(),
            Resource::Users => {
                let mut results = Vec::new();
                for row in rows(request).await? {
                    results.push(outcome(&row, self.user_row(&row).await));
                }
                batch(&results)
            }
            Resource::Pets => {
                let mut results = Vec::new();
                for row in rows(request).await? {
                    results.push(outcome(&row, self.pet_row(&row).await));
                }
                batch(&results)
            }
        }
    }

    /// Without a key there is no admin API, and nothing says that there could be one.
    fn check_admin(&self, headers: &HeaderMap) -> Result<(), Failure> {
        let key = self.admin_key.as_ref().ok_or_else(Failure::not_found)?;
        match token(headers) {
            None => Err(Refusal::Missing.into()),
            Some(given) if key.is(given) => Ok(()),
            Some(_) => Err(Refusal::Invalid.into()),
        }
    }

    async fn show_user(&self, id: UserId, message: &str) -> Result<Response<Body>, Failure> {
        let user = self.chat.user(id).await?;
        let is_online = self.chat.presence().is_online(&user.id);
        succeeded(StatusCode::OK, message, view::user(&user, is_online))
    }

    async fn show_pet(&self, id: PetId, message: &str) -> Result<Response<Body>, Failure> {
        let pet = self.chat.pet(id).await?;
        succeeded(StatusCode::OK, message, view::pet(&pet))
    }

    async fn user_row(&self, row: &Map<String, Value>) -> Result<(), Failure> {
        let input = UserInput::deserialize(row)
            .map_err(|_| Failure::invalid_request("A field has the wrong type"))?;
        let id = input.id.as_deref().ok_or(chat::Error::InvalidId("_id"))?;
        self.upsert_user(&parse_id(id, "_id")?, input).await
    }

    async fn pet_row(&self, row: &Map<String, Value>) -> Result<(), Failure> {
        let id = row
            .get("_id")
            .and_then(Value::as_str)
            .ok_or(chat::Error::InvalidId("_id"))?;
        self.upsert_pet(&parse_id(id, "_id")?, row.clone()).await
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

    /// Fields that are given replace those that are known; the others stay.
    async fn upsert_pet(&self, id: &PetId, fields: Map<String, Value>) -> Result<(), Failure> {
        let pet_id = id.clone();
        let merge = move |known: Option<&str>| {
            let known = known.and_then(|document| serde_json::from_str(document).ok());
            let mut merged: Map<String, Value> = known.unwrap_or_default();
            merged.extend(fields);
            pet_document::read(pet_id, Value::Object(merged))
        };
        let merged = self.chat.upsert_pet(id.clone(), merge).await?;
        merged.map_err(|error| Failure::invalid_request(error.to_string()))
    }
}

/// Now, in the seconds of tokens.
fn now() -> u64 {
    Timestamp::now().unix_seconds().into()
}

async fn rows(request: Request<RequestBody>) -> Result<Vec<Map<String, Value>>, Failure> {
    let rows: Vec<Map<String, Value>> = request::array(request, MAX_BATCH).await?;
    if rows.len() > MAX_ROWS {
        return Err(Failure::invalid_request(
            "A batch may have at most 1000 rows",
        ));
    }
    Ok(rows)
}

/// Each row is answered by itself: one that is refused does not hold up the others.
fn outcome(row: &Map<String, Value>, result: Result<(), Failure>) -> Value {
    let id = row.get("_id").cloned().unwrap_or_default();
    match result {
        Ok(()) => json!({ "_id": id, "success": true }),
        Err(Failure { code, message, .. }) => {
            json!({ "_id": id, "success": false, "error": code, "message": message })
        }
    }
}

fn batch(results: &[Value]) -> Result<Response<Body>, Failure> {
    let stored = results.iter().filter(|row| row["success"] == true).count();
    let data = json!({ "stored": stored, "refused": results.len() - stored, "rows": results });
    succeeded(StatusCode::OK, "Batch processed", data)
}
