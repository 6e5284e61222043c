//! Users with tokens, and chats between them, made through the public API.

use anyhow::{Context, Result, ensure};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

use crate::http::{Answer, Http};
use crate::target::Target;

/// Far in the future, so that no measurement sees a token end.
const EXPIRES: u64 = 4_102_444_800;
/// What a message says.
pub(crate) const TEXT: &str = "Is she still available? I could come on Saturday afternoon.";

#[derive(Clone)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) token: String,
}

pub(crate) fn user(target: &Target, id: String) -> Result<User> {
    let claims = json!({ "id": id, "name": format!("Name of {id}"), "exp": EXPIRES });
    let key = EncodingKey::from_secret(target.secret.as_bytes());
    let token = jsonwebtoken::encode(&Header::default(), &claims, &key)?;
    Ok(User { id, token })
}

/// Makes the user known to the server: a token's first use does.
pub(crate) async fn introduce(http: &mut Http, user: &User) -> Result<()> {
    let answer = http
        .json("GET", "/api/chat/unread-count", &user.token, "")
        .await?;
    ensure!(
        answer.status == 200,
        "a user was refused: {:?}",
        answer.body
    );
    Ok(())
}

/// The chat between both, who are known.
pub(crate) async fn chat(http: &mut Http, from: &User, with: &User) -> Result<String> {
    let body = json!({ "participantId": with.id }).to_string();
    let answer = http
        .json("POST", "/api/chat/create", &from.token, &body)
        .await?;
    ensure!(
        matches!(answer.status, 200 | 201),
        "no chat: {:?}",
        answer.body
    );
    let id = data(&answer)?["_id"].as_str().map(str::to_owned);
    id.context("a chat without an id")
}

/// The `data` of an answer.
pub(crate) fn data(answer: &Answer) -> Result<Value> {
    let mut envelope: Value = serde_json::from_slice(&answer.body)?;
    Ok(envelope["data"].take())
}

/// The event that sends message `number` to `chat`.
pub(crate) fn send_event(chat: &str, number: u64) -> String {
    format!(
        "42[\"sendMessage\",{{\"chatId\":\"{chat}\",\"content\":\"{TEXT}\",\"clientMessageId\":\"{number}\"}}]"
    )
}

/// How many messages a chat has.
pub(crate) async fn total_messages(http: &mut Http, user: &User, chat: &str) -> Result<u64> {
    let path = format!("/api/chat/{chat}/messages?limit=1");
    let answer = http.json("GET", &path, &user.token, "").await?;
    data(&answer)?["pagination"]["totalMessages"]
        .as_u64()
        .context("no totalMessages")
}
