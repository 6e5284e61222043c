//! What the host may know of the machine and have done to it: tokens, figures, a compaction.

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::{Request, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Admin;
use crate::api::body::RequestBody;
use crate::api::response::{Body, succeeded};
use crate::api::{Api, Failure, request};
use crate::auth::{self, Secret};
use crate::chat::{Statistics, StorageState};
use crate::id::UserId;
use crate::input::parse_id;
use crate::metrics::Snapshot;
use crate::model::Timestamp;
use crate::view::Time;

/// A token that does not say for how long lives an hour, or less if that is the most there is.
const DEFAULT_TTL: u64 = 3600;

/// Signs tokens for the host.
#[derive(Debug)]
pub struct TokenMint {
    /// The first of the secrets that are accepted; none where only public keys are.
    pub secret: Option<Secret>,
    /// The longest life of a token, in seconds.
    pub max_ttl: u64,
}

/// Who is connected, by transport.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Connections {
    /// Sessions on long-polling.
    pub polling: usize,
    /// Sessions on a websocket.
    pub websocket: usize,
    /// All that is counted below the chat: connections, sessions and why they ended, sockets, recovery.
    pub counts: Value,
}

/// Reads how many are connected at the moment.
pub struct Gauge(pub Box<dyn Fn() -> Connections + Send + Sync>);

impl std::fmt::Debug for Gauge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gauge")
    }
}

/// What is told at any time.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Live {
    version: &'static str,
    uptime_seconds: u64,
    online_users: usize,
    connections: Value,
    counts: Value,
    refusals: BTreeMap<&'static str, u64>,
    activity: Snapshot,
}

/// What has to be counted first.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    users: u64,
    pets: u64,
    chats: u64,
    messages: u64,
    media_files: u64,
    media_bytes: u64,
    journal_bytes: u64,
    journal_base_bytes: u64,
    index_bytes: u64,
    storage: &'static str,
}

impl Stored {
    fn of(statistics: &Statistics) -> Self {
        Self {
            users: statistics.users,
            pets: statistics.pets,
            chats: statistics.chats,
            messages: statistics.messages,
            media_files: statistics.files,
            media_bytes: statistics.file_bytes,
            journal_bytes: statistics.journal_bytes,
            journal_base_bytes: statistics.journal_base_bytes,
            index_bytes: statistics.index_bytes,
            storage: match statistics.storage {
                StorageState::Ok => "ok",
                StorageState::Refusing => "refusing",
                StorageState::Failed => "failed",
            },
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TokenInput {
    user_id: String,
    ttl_seconds: Option<u64>,
}

impl Api {
    /// A token for a user who is known and welcome.
    pub(super) async fn create_token(
        &self,
        admin: &Admin,
        request: Request<RequestBody>,
    ) -> Result<Response<Body>, Failure> {
        let input: TokenInput = request::object(request).await?;
        let id: UserId = parse_id(&input.user_id, "userId")?;
        let TokenMint { secret, max_ttl } = &self.mint;
        let Some(secret) = secret else {
            let message =
                "This server checks tokens with public keys and has no secret to sign any";
            return Err(Failure::new(StatusCode::NOT_FOUND, "not_found", message));
        };
        let ttl = input.ttl_seconds.unwrap_or(DEFAULT_TTL.min(*max_ttl));
        if !(1..=*max_ttl).contains(&ttl) {
            return Err(Failure::invalid_request(format!(
                "ttlSeconds must be a whole number from 1 to {max_ttl}"
            )));
        }
        let user = self.chat.user(id).await?;
        if user.banned {
            let message = "This user is banned";
            return Err(Failure::new(StatusCode::CONFLICT, "conflict", message));
        }
        let id = user.id.as_str();
        self.record(admin, "token.created", id).await?;
        let expires_at = Timestamp::now().0 / 1000 + i64::try_from(ttl).unwrap_or(i64::MAX / 2000);
        let token = auth::mint(secret, id, None, None, None, Duration::from_secs(ttl))
            .map_err(|_| Failure::internal())?;
        let expires_at = Time(Timestamp(expires_at * 1000));
        let data = json!({ "token": token, "userId": user.id, "expiresAt": expires_at });
        succeeded(StatusCode::CREATED, "Token created successfully", data)
    }

    /// With `?live=true` only what costs nothing to tell, for who asks every few seconds.
    pub(super) async fn statistics(
        &self,
        request: &Request<RequestBody>,
    ) -> Result<Response<Body>, Failure> {
        let mut data = json!(self.live());
        match request::query(request, "live").as_deref() {
            Some("true") => {}
            None | Some("false") => {
                let stored = json!(Stored::of(&self.chat.statistics().await?));
                if let (Value::Object(data), Value::Object(stored)) = (&mut data, stored) {
                    data.extend(stored);
                }
            }
            Some(_) => return Err(Failure::invalid_request("live must be true or false")),
        }
        succeeded(StatusCode::OK, "Statistics retrieved successfully", data)
    }

    fn live(&self) -> Live {
        let Connections {
            polling,
            websocket,
            counts,
        } = (self.connections.0)();
        Live {
            version: env!("CARGO_PKG_VERSION"),
            uptime_seconds: self.started.elapsed().as_secs(),
            online_users: self.chat.presence().count(),
            connections: json!({ "polling": polling, "websocket": websocket }),
            counts,
            refusals: self.guard.refusals().into_iter().collect(),
            activity: self.figures.snapshot(),
        }
    }

    /// Answers when it is done. Goes on when the host goes away.
    pub(super) async fn compact(&self) -> Result<Response<Body>, Failure> {
        let Some(done) = self.chat.compact().await? else {
            let message = "A compaction is under way";
            return Err(Failure::new(StatusCode::CONFLICT, "conflict", message));
        };
        let data = json!({
            "rows": done.rows,
            "journalBytesBefore": done.journal_before,
            "journalBytes": done.journal_after,
            "indexBytesBefore": done.index_before,
            "indexBytes": done.index_after,
        });
        succeeded(StatusCode::OK, "Compacted successfully", data)
    }
}
