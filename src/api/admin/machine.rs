//! What the host may know of the machine and have done to it: tokens, figures, a compaction.

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::{Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::body::RequestBody;
use crate::api::response::{Body, succeeded};
use crate::api::{Api, Failure, request};
use crate::auth::{self, Secret};
use crate::chat::{Statistics, StorageState};
use crate::id::UserId;
use crate::input::parse_id;
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
        let expires_at = Timestamp::now().0 / 1000 + i64::try_from(ttl).unwrap_or(i64::MAX / 2000);
        let token = auth::mint(secret, id, None, None, None, Duration::from_secs(ttl))
            .map_err(|_| Failure::internal())?;
        let expires_at = Time(Timestamp(expires_at * 1000));
        let data = json!({ "token": token, "userId": user.id, "expiresAt": expires_at });
        succeeded(StatusCode::CREATED, "Token created successfully", data)
    }

    pub(super) async fn statistics(&self) -> Result<Response<Body>, Failure> {
        let Statistics {
            users,
            pets,
            chats,
            messages,
            files,
            file_bytes,
            journal_bytes,
            journal_base_bytes,
            index_bytes,
            online,
            storage,
        } = self.chat.statistics().await?;
        let Connections {
            polling,
            websocket,
            counts,
        } = (self.connections.0)();
        let data = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "uptimeSeconds": self.started.elapsed().as_secs(),
            "users": users,
            "onlineUsers": online,
            "pets": pets,
            "chats": chats,
            "messages": messages,
            "mediaFiles": files,
            "mediaBytes": file_bytes,
            "journalBytes": journal_bytes,
            "journalBaseBytes": journal_base_bytes,
            "indexBytes": index_bytes,
            "connections": { "polling": polling, "websocket": websocket },
            "counts": counts,
            "refusals": self.guard.refusals().into_iter().collect::<BTreeMap<_, _>>(),
            "storage": match storage {
                StorageState::Ok => "ok",
                StorageState::Refusing => "refusing",
                StorageState::Failed => "failed",
            },
        });
        succeeded(StatusCode::OK, "Statistics retrieved successfully", data)
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
