//! Bare hyper and bare tungstenite with the wire events of the load generator. Tokens are read and not checked.

use std::convert::Infallible;
use std::path::Path;
use std::sync::PoisonError;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONNECTION, SEC_WEBSOCKET_ACCEPT, UPGRADE};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use crate::log::{self, Chat, Sent, Shared};

/// What a list of 20 chats and a page of 50 messages weigh.
const LIST_BYTES: usize = 17_000;
const PAGE_BYTES: usize = 19_000;

#[derive(Clone)]
struct Limit {
    world: Shared,
    log: mpsc::Sender<Sent>,
    list: Bytes,
    page: Bytes,
}

pub(crate) fn serve(dir: &Path) -> Result<()> {
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let world = Shared::default();
    let filled = |bytes: usize| Bytes::from(format!("{{\"data\":\"{}\"}}", "x".repeat(bytes)));
    let limit = Limit {
        log: log::start(Shared::clone(&world), dir)?,
        world,
        list: filled(LIST_BYTES),
        page: filled(PAGE_BYTES),
    };
    runtime.block_on(accept(limit))
}

async fn accept(limit: Limit) -> Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(([127, 0, 0, 1], 0).into())?;
    let listener: TcpListener = socket.listen(4096)?;
    eprintln!("listening on http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let limit = limit.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let limit = limit.clone();
                async move { Ok::<_, Infallible>(limit.answer(request).await) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            // A client that goes away in the middle is none of a limit's business.
            let _ = connection.with_upgrades().await;
        });
    }
}

impl Limit {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path().to_owned();
        if path.starts_with("/socket.io/") {
            return self.upgrade(request);
        }
        let (status, body) = if path.ends_with("/my-chats") {
            (StatusCode::OK, self.list.clone())
        } else if path.ends_with("/messages") && request.uri().query() == Some("limit=50") {
            (StatusCode::OK, self.page.clone())
        } else if path.ends_with("/messages") {
            (StatusCode::OK, self.total(&path).to_string().into())
        } else if path.ends_with("/create") {
            let chat = self.create(request).await.unwrap_or_default();
            (
                StatusCode::CREATED,
                json!({ "data": { "_id": chat } }).to_string().into(),
            )
        } else {
            // A send: counted, and canned like the rest.
            let id = path
                .trim_start_matches("/api/chat/")
                .trim_end_matches("/send");
            let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(chat) = world.chats.get_mut(id) {
                chat.last_seq += 1;
            }
            (StatusCode::CREATED, Bytes::from_static(b"{}"))
        };
        let status = if path.ends_with("/unread-count") {
            StatusCode::OK
        } else {
            status
        };
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        response
    }

    fn total(&self, path: &str) -> Value {
        let chat = path
            .trim_start_matches("/api/chat/")
            .trim_end_matches("/messages");
        let world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        let total = world.chats.get(chat).map_or(0, |chat| chat.last_seq);
        json!({ "data": { "pagination": { "totalMessages": total } } })
    }

    async fn create(&self, request: Request<Incoming>) -> Result<String> {
        let header = request.headers().get(AUTHORIZATION).context("no token")?;
        let from = user(header.to_str()?).context("no user")?;
        let body = request.into_body().collect().await?.to_bytes();
        let body: Value = serde_json::from_slice(&body)?;
        let with = body["participantId"].as_str().context("nobody")?.to_owned();
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        let id = format!("{:024x}", world.chats.len());
        let users = [from, with];
        world.chats.insert(id.clone(), Chat { users, last_seq: 0 });
        Ok(id)
    }

    fn upgrade(&self, mut request: Request<Incoming>) -> Response<Full<Bytes>> {
        let key = request.headers().get("sec-websocket-key");
        let accept = derive_accept_key(key.map_or(&[], |key| key.as_bytes()));
        let (upgrade, limit) = (hyper::upgrade::on(&mut request), self.clone());
        tokio::spawn(async move {
            if let Ok(upgraded) = upgrade.await {
                let config = WebSocketConfig::default()
                    .read_buffer_size(4 << 10)
                    .write_buffer_size(4 << 10);
                let io = TokioIo::new(upgraded);
                let socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
                // As above.
                let _ = limit.talk(socket).await;
            }
        });
        let response = Response::builder()
            .status(StatusCode::SWITCHING_PROTOCOLS)
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_ACCEPT, accept);
        response.body(Full::default()).unwrap_or_default()
    }

    async fn talk<S>(&self, socket: WebSocketStream<S>) -> Result<()>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sink, mut stream) = socket.split();
        sink.send(Message::text("0{\"sid\":\"x\",\"upgrades\":[],\"pingInterval\":25000,\"pingTimeout\":20000,\"maxPayload\":1000000}"))
            .await?;
        let (outbox, mut queued) = mpsc::channel(4096);
        tokio::spawn(async move {
            let mut batch = Vec::new();
            while queued.recv_many(&mut batch, 64).await > 0 {
                for message in batch.drain(..) {
                    if sink.feed(message).await.is_err() {
                        return;
                    }
                }
                if sink.flush().await.is_err() {
                    return;
                }
            }
        });
        let mut me = String::new();
        while let Some(message) = stream.next().await {
            let Message::Text(text) = message? else {
                continue;
            };
            if let Some(auth) = text.strip_prefix("40{\"token\":\"") {
                me = user(auth.trim_end_matches("\"}")).context("no user")?;
                let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
                world
                    .sockets
                    .entry(me.clone())
                    .or_default()
                    .push(outbox.clone());
                outbox.try_send(Message::text("40{\"sid\":\"x\"}"))?;
            } else if let Some(arguments) = text.strip_prefix("42") {
                let (_, input): (String, Input) = serde_json::from_str(arguments)?;
                let sent = Sent {
                    chat: input.chat_id,
                    sender: me.clone(),
                    client_id: input.client_message_id,
                    content: input.content,
                };
                self.log.send(sent).await?;
            }
        }
        Ok(())
    }
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    chat_id: String,
    content: String,
    client_message_id: String,
}

/// The user that a token names.
fn user(token: &str) -> Option<String> {
    let claims = token.rsplit(' ').next()?.split('.').nth(1)?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    claims["id"].as_str().map(str::to_owned)
}
