//! One conversation over a connection that may break at any moment, with a server that may be killed: what is said is stored once, and
//! what is heard is shown once and in order. It knows the protocol, and nothing of who types or how it is shown.
//!
//! Three habits are enough. Each text keeps its `clientMessageId` until the server has acknowledged it, so that saying it again is
//! harmless. Each session begins by fetching what came after the last message that was shown. And a message is shown only when its
//! `seq` is the next one.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures_util::{SinkExt, StreamExt};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// How long the server may take for any one thing.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause before the first new attempt; doubled with each that fails.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Lines that may wait to be acknowledged; past it no more is read.
const MAX_WAITING: usize = 64;

/// Where, as whom, and in which chat.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Host and port.
    pub(crate) server: String,
    pub(crate) token: String,
    pub(crate) chat: String,
}

/// What the caller is told of.
#[derive(Debug, PartialEq)]
pub(crate) enum Heard {
    /// The next message of the chat.
    Message(Value),
    /// Somebody types.
    Typing(String),
    /// The server will never take this text, and says why.
    Rejected { content: String, why: String },
    /// The connection is gone and will be made again.
    Lost(String),
}

/// The token or the chat is no good: only another one helps.
#[derive(Debug, thiserror::Error)]
#[error("the server refuses this: {0}")]
struct Refused(String);

struct Waiting {
    id: String,
    content: String,
}

/// Holds the conversation until `lines` ends and everything is acknowledged, or until the token or the chat is refused.
pub(crate) async fn talk(
    settings: Settings,
    lines: mpsc::Receiver<String>,
    heard: mpsc::Sender<Heard>,
) -> Result<()> {
    let mut conversation = Conversation {
        settings,
        lines,
        heard,
        is_closed: false,
        waiting: VecDeque::new(),
        run: getrandom::u32()?,
        said: 0,
        last: None,
        was_well: false,
    };
    let mut pause = FIRST_PAUSE;
    loop {
        let why = match conversation.session().await {
            Ok(()) => return Ok(()),
            Err(why) if why.is::<Refused>() => return Err(why),
            Err(why) => why,
        };
        conversation.tell(Heard::Lost(format!("{why:#}"))).await;
        if std::mem::take(&mut conversation.was_well) {
            pause = FIRST_PAUSE;
        }
        // Not in step with everybody else who lost the same server.
        sleep(pause.mul_f64(0.5 + f64::from(getrandom::u32()?) / f64::from(u32::MAX))).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

struct Conversation {
    settings: Settings,
    lines: mpsc::Receiver<String>,
    heard: mpsc::Sender<Heard>,
    /// Nothing more will be said.
    is_closed: bool,
    /// In the order in which they were said; only the first is on its way, so that they are stored in that order.
    waiting: VecDeque<Waiting>,
    /// Tells the ids of this run from those of another.
    run: u32,
    said: u64,
    /// Id and `seq` of the last message that was shown.
    last: Option<(String, u64)>,
    /// The last session got as far as to talk.
    was_well: bool,
}

impl Conversation {
    /// From one connection to its end.
    async fn session(&mut self) -> Result<()> {
        let mut socket = timeout(PATIENCE, self.connect()).await??;
        // Whatever is sent from here on is heard live; what was sent before is fetched.
        self.catch_up().await?;
        self.was_well = true;
        let mut on_its_way: Option<Instant> = None;
        let mut not_before = Instant::now();
        let mut silent_at = Instant::now() + PATIENCE * 6;
        loop {
            if on_its_way.is_none() && Instant::now() >= not_before {
                match self.waiting.front() {
                    Some(next) => {
                        socket.send(self.send_message(next)).await?;
                        on_its_way = Some(Instant::now() + PATIENCE);
                    }
                    None if self.is_closed => return Ok(socket.close(None).await?),
                    None => {}
                }
            }
            let pause_ends =
                (on_its_way.is_none() && !self.waiting.is_empty()).then_some(not_before);
            let alarm = on_its_way
                .or(pause_ends)
                .unwrap_or(silent_at)
                .min(silent_at);
            tokio::select! {
                frame = socket.next() => {
                    silent_at = Instant::now() + PATIENCE * 6;
                    match frame.context("the server closed the connection")?? {
                        Message::Text(packet) if packet.as_str() == "2" => socket.send(Message::text("3")).await?,
                        Message::Text(packet) if packet.starts_with("43") => {
                            on_its_way = None;
                            not_before = Instant::now() + self.acknowledged(&packet).await?;
                        }
                        Message::Text(packet) => self.event(&packet).await?,
                        Message::Close(_) => bail!("the server closed the connection"),
                        _ => {}
                    }
                }
                line = self.lines.recv(), if !self.is_closed && self.waiting.len() < MAX_WAITING => match line {
                    Some(content) => self.say(content),
                    None => self.is_closed = true,
                },
                () = sleep_until(alarm) => {
                    if alarm == silent_at || on_its_way.is_some() {
                        bail!("the server is silent");
                    }
                }
            }
        }
    }

    async fn connect(&self) -> Result<WebSocketStream<TcpStream>> {
        let server = &self.settings.server;
        let stream = TcpStream::connect(server).await?;
        let url = format!("ws://{server}/socket.io/?EIO=4&transport=websocket");
        let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await?;
        let auth = json!({ "token": self.settings.token });
        loop {
            let frame = socket
                .next()
                .await
                .context("the server closed the connection")??;
            let Message::Text(packet) = frame else {
                continue;
            };
            match packet.get(..2) {
                Some("0{") => socket.send(Message::text(format!("40{auth}"))).await?,
                Some("40") => break,
                Some("44") => {
                    let refusal: Value = serde_json::from_str(&packet[2..])?;
                    match refusal["data"]["code"].as_str() {
                        Some("unavailable" | "rate_limited") | None => bail!("{refusal}"),
                        Some(code) => return Err(Refused(code.to_owned()).into()),
                    }
                }
                _ => {}
            }
        }
        let join = json!(["join-chat", { "chatId": self.settings.chat }]);
        socket.send(Message::text(format!("42{join}"))).await?;
        Ok(socket)
    }

    fn say(&mut self, content: String) {
        self.said += 1;
        let id = format!("chat-client-{:08x}-{}", self.run, self.said);
        self.waiting.push_back(Waiting { id, content });
    }

    fn send_message(&self, Waiting { id, content }: &Waiting) -> Message {
        let chat = &self.settings.chat;
        let event =
            json!(["sendMessage", { "chatId": chat, "content": content, "clientMessageId": id }]);
        Message::text(format!("420{event}"))
    }

    /// The answer about the first that waits, and how long to wait before the next.
    async fn acknowledged(&mut self, packet: &str) -> Result<Duration> {
        let begin = packet.find('[').context("an ack without arguments")?;
        let [ack]: [Value; 1] = serde_json::from_str(&packet[begin..])?;
        let code = ack["error"].as_str().unwrap_or_default();
        if may_pass(code) {
            return Ok(Duration::from_secs(1));
        }
        let content = self.waiting.pop_front().map(|one| one.content);
        if ack["success"] != true {
            let why = text(&ack["message"]);
            let content = content.unwrap_or_default();
            self.tell(Heard::Rejected { content, why }).await;
        }
        Ok(Duration::ZERO)
    }

    async fn event(&mut self, packet: &str) -> Result<()> {
        let Some(json) = packet.strip_prefix("42") else {
            return Ok(());
        };
        // There may be one more argument: the offset by which the server knows what was missed.
        let arguments: Vec<Value> = serde_json::from_str(json)?;
        let [name, payload, ..] = &arguments[..] else {
            return Ok(());
        };
        match name.as_str() {
            Some("newMessage") if payload["chat"] == self.settings.chat.as_str() => {
                self.message(payload.clone()).await
            }
            Some("typing") if payload["isTyping"] == true => {
                self.tell(Heard::Typing(text(&payload["userId"]))).await;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Shows a message if it is the next; one that was shown is forgotten, and a gap is filled first.
    async fn message(&mut self, message: Value) -> Result<()> {
        let seq = message["seq"].as_u64().context("a message without seq")?;
        let next = self.last.as_ref().map_or(0, |(_, seq)| *seq) + 1;
        if seq > next {
            return self.catch_up().await;
        }
        self.show(message, seq, next).await;
        Ok(())
    }

    async fn show(&mut self, message: Value, seq: u64, next: u64) {
        if seq >= next {
            self.last = Some((text(&message["_id"]), seq));
            self.tell(Heard::Message(message)).await;
        }
    }

    /// Fetches and shows everything after the last message that was shown.
    async fn catch_up(&mut self) -> Result<()> {
        loop {
            let (page, has_more) = match &self.last {
                Some((id, _)) => self.page(&format!("after={id}")).await?,
                None => (self.everything().await?, false),
            };
            for message in page {
                let seq = message["seq"].as_u64().context("a message without seq")?;
                let next = self.last.as_ref().map_or(0, |(_, seq)| *seq) + 1;
                self.show(message, seq, next).await;
            }
            if !has_more {
                return Ok(());
            }
        }
    }

    /// The whole history, fetched backwards: nobody can slip in between two pages.
    async fn everything(&self) -> Result<Vec<Value>> {
        let (mut history, mut has_more) = self.page("page=1").await?;
        while has_more {
            let first = history
                .first()
                .context("an empty page with more before it")?;
            let before = format!("before={}", text(&first["_id"]));
            let (older, more) = self.page(&before).await?;
            history.splice(0..0, older);
            has_more = more;
        }
        Ok(history)
    }

    async fn page(&self, query: &str) -> Result<(Vec<Value>, bool)> {
        let path = format!(
            "/api/chat/{}/messages?limit=100&{query}",
            self.settings.chat
        );
        let data = get(&self.settings.server, &self.settings.token, &path).await?;
        let Value::Array(messages) = &data["messages"] else {
            bail!("no messages in the answer");
        };
        let has_more = data["pagination"]["hasMore"] == true;
        Ok((messages.clone(), has_more))
    }

    async fn tell(&self, heard: Heard) {
        // Whoever does not listen any more need not be told.
        let _ = self.heard.send(heard).await;
    }
}

/// Whether the same may be answered otherwise in a while.
fn may_pass(code: &str) -> bool {
    matches!(
        code,
        "rate_limited" | "unavailable" | "storage_full" | "internal_error"
    )
}

/// The data of one REST call.
pub(crate) async fn get(server: &str, token: &str, path: &str) -> Result<Value> {
    timeout(PATIENCE, async {
        let stream = TcpStream::connect(server).await?;
        let io = hyper_util::rt::TokioIo::new(stream);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
        tokio::spawn(connection);
        let request = hyper::Request::get(path)
            .header("Host", server)
            .header("Authorization", format!("Bearer {token}"))
            .body(String::new())?;
        let answer = sender.send_request(request).await?;
        let body = answer.into_body().collect().await?.to_bytes();
        let mut answer: Value = serde_json::from_slice(&body)?;
        if answer["success"] == true {
            return Ok(answer["data"].take());
        }
        let (why, code) = (text(&answer["message"]), text(&answer["error"]));
        if may_pass(&code) {
            bail!("{why}");
        }
        Err(Refused(format!("{why} ({code})")).into())
    })
    .await?
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
