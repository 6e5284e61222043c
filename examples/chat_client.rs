//! A chat in the terminal: prints what arrives and sends each line that is typed.
//!
//! ```text
//! jivchat --demo                                    # in one terminal; copy two tokens
//! cargo run --example chat_client -- --token TOKEN  # lists the chats
//! cargo run --example chat_client -- --token TOKEN --chat CHAT_ID
//! ```
//!
//! Speaks the protocol over one websocket, word for word, to show how little there is to it. Each message carries a
//! `clientMessageId`, so a sender that retries after a lost connection never says anything twice.

use std::io::BufRead;

use anyhow::{Context, Result, bail};
use clap::Parser;
use futures_util::{SinkExt, StreamExt};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

#[derive(Parser)]
struct Flags {
    /// Host and port of the server
    #[arg(long, default_value = "127.0.0.1:3010")]
    server: String,
    /// Who you are: `jivchat token` prints one
    #[arg(long)]
    token: String,
    /// The chat to talk in; without it your chats are listed
    #[arg(long)]
    chat: Option<String>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let flags = Flags::parse();
    match &flags.chat {
        None => list(&flags).await,
        Some(chat) => talk(&flags, chat).await,
    }
}

async fn list(flags: &Flags) -> Result<()> {
    let answer = get(flags, "/api/chat/my-chats?limit=100").await?;
    for chat in answer["data"]["chats"]
        .as_array()
        .context("no chats in the answer")?
    {
        let names: Vec<_> = chat["participants"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|user| user["name"].as_str())
            .collect();
        let pet = chat["petListing"]["title"].as_str().unwrap_or("-");
        let last = chat["lastMessage"]["content"].as_str().unwrap_or("");
        println!(
            "{}  {}  {pet}  {last}",
            text(&chat["_id"]),
            names.join(" & ")
        );
    }
    Ok(())
}

async fn talk(flags: &Flags, chat: &str) -> Result<()> {
    let stream = TcpStream::connect(&flags.server).await?;
    let url = format!("ws://{}/socket.io/?EIO=4&transport=websocket", flags.server);
    let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await?;
    let auth = json!({ "token": flags.token });
    let mut lines = typed_lines();
    let mut sent = 0;
    loop {
        tokio::select! {
            frame = socket.next() => match frame.context("the server closed the connection")?? {
                Message::Text(packet) => match packet.as_str() {
                    open if open.starts_with('0') => socket.send(Message::text(format!("40{auth}"))).await?,
                    "2" => socket.send(Message::text("3")).await?,
                    connected if connected.starts_with("40") => {
                        let join = json!(["join-chat", { "chatId": chat }]);
                        socket.send(Message::text(format!("42{join}"))).await?;
                    }
                    refused if refused.starts_with("44") => bail!("refused: {}", &refused[2..]),
                    event => print(chat, event),
                },
                Message::Close(_) => bail!("the server closed the connection"),
                _ => {}
            },
            line = lines.recv() => {
                let Some(line) = line else { return Ok(()) };
                sent += 1;
                let id = format!("chat-client-{}-{sent}", std::process::id());
                let event = json!(["sendMessage", { "chatId": chat, "content": line, "clientMessageId": id }]);
                socket.send(Message::text(format!("42{event}"))).await?;
            }
        }
    }
}

fn print(chat: &str, event: &str) {
    let Some((name, payload)) = event
        .strip_prefix("42")
        .and_then(|json| serde_json::from_str::<(String, Value)>(json).ok())
    else {
        return;
    };
    match name.as_str() {
        "newMessage" if text(&payload["chat"]) == chat => {
            println!(
                "{}: {}",
                text(&payload["sender"]["name"]),
                text(&payload["content"])
            );
        }
        "typing" if payload["isTyping"] == true => println!("({} types)", text(&payload["userId"])),
        "error" => println!("({})", text(&payload["message"])),
        _ => {}
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Lines from standard input, read on a thread of their own because that blocks.
fn typed_lines() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(16);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if !line.trim().is_empty() && sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

async fn get(flags: &Flags, path: &str) -> Result<Value> {
    let stream = TcpStream::connect(&flags.server).await?;
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
    tokio::spawn(connection);
    let request = hyper::Request::get(path)
        .header("Host", &flags.server)
        .header("Authorization", format!("Bearer {}", flags.token))
        .body(String::new())?;
    let answer = sender.send_request(request).await?;
    let body = answer.into_body().collect().await?.to_bytes();
    Ok(serde_json::from_slice(&body)?)
}
