//! A chat in the terminal: prints what arrives and sends each line that is typed.
//!
//! ```text
//! jivchat --demo                                    # in one terminal; copy two tokens
//! cargo run --example chat_client -- --token TOKEN  # lists the chats
//! cargo run --example chat_client -- --token TOKEN --chat CHAT_ID
//! ```
//!
//! Speaks the protocol over one websocket, word for word, to show how little there is to it. Kill the server, pull the cable, start it
//! again: nothing that was typed is lost or said twice, and nothing is missed. How that is done is in `steady.rs`.

mod steady;

use std::io::BufRead;

use anyhow::{Context, Result};
use clap::Parser;
use tokio::sync::mpsc;

use self::steady::{Heard, Settings, get, text};

#[derive(Parser)]
struct Flags {
    /// Address of the server: HOST:PORT, or http://HOST:PORT
    #[arg(long, default_value = "127.0.0.1:3010", value_parser = host_and_port)]
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
    let Flags {
        server,
        token,
        chat,
    } = Flags::parse();
    let Some(chat) = chat else {
        return list(&server, &token).await;
    };
    let (tell, mut heard) = mpsc::channel(16);
    let settings = Settings {
        server,
        token,
        chat,
    };
    let talking = tokio::spawn(steady::talk(settings, typed_lines(), tell));
    while let Some(heard) = heard.recv().await {
        print(&heard);
    }
    talking.await?
}

/// From what a browser's address bar holds, too.
fn host_and_port(address: &str) -> Result<String, String> {
    let host = address.strip_prefix("http://").unwrap_or(address);
    let host = host.trim_end_matches('/');
    if host.is_empty() || host.contains('/') {
        return Err(
            "give HOST:PORT or http://HOST:PORT; https and paths need a client of their own"
                .to_owned(),
        );
    }
    let has_port = host
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    Ok(if has_port {
        host.to_owned()
    } else {
        format!("{host}:80")
    })
}

async fn list(server: &str, token: &str) -> Result<()> {
    let data = get(server, token, "/api/chat/my-chats?limit=100").await?;
    for chat in data["chats"].as_array().context("no chats in the answer")? {
        let names: Vec<_> = chat["participants"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|user| user["name"].as_str())
            .collect();
        let pet = chat["petListing"]["title"].as_str().unwrap_or("-");
        let last = chat["lastMessage"]["content"].as_str().unwrap_or("");
        let names = names.join(" & ");
        println!("{}  {names}  {pet}  {last}", text(&chat["_id"]));
    }
    Ok(())
}

fn print(heard: &Heard) {
    match heard {
        Heard::Message(message) => {
            let (name, content) = (&message["sender"]["name"], &message["content"]);
            println!("{}: {}", text(name), text(content));
        }
        Heard::Typing(user) => println!("({user} types)"),
        Heard::Rejected { content, why } => println!("({why}: {content})"),
        Heard::Lost(why) => println!("({why}; trying again)"),
    }
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
