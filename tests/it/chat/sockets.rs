//! Raw Socket.IO clients: text is put together and taken apart by hand, over a websocket or over polling. They keep every
//! event they were sent, in order; they know no event.

use std::collections::VecDeque;
use std::net::SocketAddr;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use super::rest::{Rest, text};
use super::server::TestServer;
use super::{description, within};

/// The end of the wait for more: the connection is gone.
#[derive(Debug)]
pub(super) struct Gone;

/// One connected socket.
pub(super) struct Client {
    stream: WebSocketStream<TcpStream>,
    pub(super) id: String,
    /// By what it can come back: what the server said, and the last event's offset.
    pub(super) pid: Option<String>,
    pub(super) offset: Option<String>,
    next_ack: u64,
    waiting: VecDeque<(String, Value)>,
}

impl Client {
    /// Connects as the app does, with the token in `auth`.
    pub(super) async fn connect(server: &TestServer, who: &Rest) -> Self {
        let auth = json!({ "token": who.token });
        let connected = Self::try_connect(server.address(), Some(&auth), &[]).await;
        connected.unwrap_or_else(|refusal| panic!("refused: {refusal}"))
    }

    /// Connects with any `auth` and headers, or answers the payload of the refusal.
    pub(super) async fn try_connect(
        address: SocketAddr,
        auth: Option<&Value>,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, Value> {
        let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
        let mut request = url.into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let tcp = TcpStream::connect(address).await.unwrap();
        let upgrade = tokio_tungstenite::client_async(request, tcp);
        let (stream, _) = within("the upgrade", upgrade).await.unwrap();
        let mut client = Self {
            stream,
            id: String::new(),
            pid: None,
            offset: None,
            next_ack: 0,
            waiting: VecDeque::new(),
        };
        let open = client.frame().await.unwrap();
        assert!(open.starts_with("0{\"sid\":"), "{open}");
        let auth = auth.map_or(String::new(), Value::to_string);
        client.raw(&format!("40{auth}")).await;
        // What a recovered client missed comes before the reply.
        let reply = loop {
            let frame = client.frame().await.unwrap();
            if frame.starts_with("40") || frame.starts_with("44") {
                break frame;
            }
            client.keep(&frame);
        };
        let payload: Value = serde_json::from_str(&reply[2..]).unwrap();
        if reply.starts_with("44") {
            description::check_event("connect_error", &payload);
            return Err(payload);
        }
        client.id = text(&payload["sid"]);
        client.pid = payload["pid"].as_str().map(str::to_owned);
        Ok(client)
    }

    /// The `auth` of somebody who claims to be this client.
    pub(super) fn claim(&self, who: &Rest) -> Value {
        let mut auth = json!({ "pid": self.pid, "token": who.token });
        if let Some(offset) = &self.offset {
            auth["offset"] = json!(offset);
        }
        auth
    }

    /// Sends a text frame as it is.
    pub(super) async fn raw(&mut self, frame: &str) {
        // The peer may have closed: whoever waits for an answer finds out.
        let _ = self.stream.send(Message::text(frame)).await;
    }

    /// Sends an event and asks for nothing.
    pub(super) async fn emit(&mut self, name: &str, payload: &Value) {
        self.raw(&format!("42{}", json!([name, payload]))).await;
    }

    /// Sends an event and waits for its ack.
    pub(super) async fn call(&mut self, name: &str, payload: &Value) -> Value {
        self.try_call(name, payload).await.unwrap()
    }

    /// The same against a server that may die meanwhile.
    pub(super) async fn try_call(&mut self, name: &str, payload: &Value) -> Result<Value, Gone> {
        let id = self.next_ack;
        self.next_ack += 1;
        self.raw(&format!("42{id}{}", json!([name, payload]))).await;
        let prefix = format!("43{id}[");
        loop {
            let frame = self.frame().await?;
            if frame.starts_with(&prefix) {
                let arguments: Vec<Value> =
                    serde_json::from_str(&frame[prefix.len() - 1..]).unwrap();
                assert_eq!(arguments.len(), 1, "{frame}");
                description::check_ack(name, &arguments[0]);
                return Ok(arguments[0].clone());
            }
            self.keep(&frame);
        }
    }

    /// The next event of that name; earlier events stay to be asked for.
    pub(super) async fn event(&mut self, name: &str) -> Value {
        let mut events = self.until(name, |_| true).await;
        let (_, payload) = events.pop().unwrap();
        for earlier in events.into_iter().rev() {
            self.waiting.push_front(earlier);
        }
        payload
    }

    /// Everything up to and with the first event that is meant.
    pub(super) async fn until(
        &mut self,
        name: &str,
        is_meant: impl Fn(&Value) -> bool,
    ) -> Vec<(String, Value)> {
        let mut events = Vec::new();
        let wait = async {
            loop {
                let event = self.next().await.unwrap_or_else(|Gone| {
                    panic!("the connection ended before {name} came, after {events:?}")
                });
                let is_last = event.0 == name && is_meant(&event.1);
                events.push(event);
                if is_last {
                    break;
                }
            }
        };
        within(name, wait).await;
        events
    }

    /// Everything until somebody says `content`, without that: what follows is silence up to here.
    pub(super) async fn until_hears(&mut self, content: &str) -> Vec<(String, Value)> {
        let mut events = self
            .until("newMessage", |message| message["content"] == content)
            .await;
        events.pop();
        events
    }

    /// The next event.
    pub(super) async fn next(&mut self) -> Result<(String, Value), Gone> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Ok(event);
            }
            let frame = self.frame().await?;
            self.keep(&frame);
        }
    }

    /// Waits until the server has ended the connection, and answers what came before.
    pub(super) async fn ended(&mut self) -> Vec<(String, Value)> {
        let mut events = Vec::new();
        let wait = async {
            while let Ok(event) = self.next().await {
                events.push(event);
            }
        };
        within("the end of the connection", wait).await;
        events
    }

    /// Loses the connection without a word, and waits until the server has given it up, too.
    pub(super) async fn drop_connection(&mut self) {
        let _ = self.stream.get_mut().shutdown().await;
        self.ended().await;
    }

    /// Ends the connection and waits until the server has heard of it.
    pub(super) async fn leave(mut self) {
        let _ = self.stream.close(None).await;
        self.ended().await;
    }

    fn keep(&mut self, frame: &str) {
        let arguments = frame.strip_prefix("42");
        let arguments = arguments.unwrap_or_else(|| panic!("no event: {frame}"));
        let event: Vec<Value> = serde_json::from_str(arguments).unwrap();
        let payload = event.get(1).cloned().unwrap_or(Value::Null);
        description::check_event(event[0].as_str().unwrap(), &payload);
        if let Some(offset) = event.get(2) {
            self.offset = Some(text(offset));
        }
        self.waiting.push_back((text(&event[0]), payload));
    }

    /// The next text frame that is no heartbeat.
    async fn frame(&mut self) -> Result<String, Gone> {
        loop {
            match within("a frame", self.stream.next()).await {
                Some(Ok(Message::Text(frame))) if frame.as_str() == "2" => self.raw("3").await,
                Some(Ok(Message::Text(frame))) => return Ok(frame.to_string()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Gone),
                Some(Ok(_)) => {}
            }
        }
    }
}

/// A session over HTTP long-polling alone.
pub(super) struct Poller {
    rest: Rest,
    path: String,
    waiting: VecDeque<String>,
}

impl Poller {
    /// Opens a session and connects with a token; answers the reply to CONNECT too.
    pub(super) async fn connect(server: &TestServer, token: Option<&str>) -> (Self, String) {
        let rest = server.anonymous();
        let path = "/socket.io/?EIO=4&transport=polling";
        let opened = rest.get(path).await;
        assert_eq!(opened.status, 200);
        let opened = String::from_utf8(opened.body).unwrap();
        let open: Value = serde_json::from_str(opened.strip_prefix('0').unwrap()).unwrap();
        assert_eq!(open["upgrades"], json!(["websocket"]));
        let mut poller = Self {
            rest,
            path: format!("{path}&sid={}", text(&open["sid"])),
            waiting: VecDeque::new(),
        };
        let auth = token.map_or(String::new(), |token| json!({ "token": token }).to_string());
        poller.post(&format!("40{auth}")).await;
        let reply = poller.packet().await;
        (poller, reply)
    }

    /// Sends a payload as it is.
    pub(super) async fn post(&self, payload: &str) {
        let post = self.rest.ask("POST", &self.path);
        let post = post.body("text/plain;charset=UTF-8", payload.as_bytes());
        let answer = post.answer().await;
        assert_eq!((answer.status, &*answer.body), (200, &b"ok"[..]));
    }

    /// Sends a payload that may be refused; the status of the answer.
    pub(super) async fn status_of(&self, payload: &str) -> u16 {
        let post = self.rest.ask("POST", &self.path);
        let post = post.body("text/plain;charset=UTF-8", payload.as_bytes());
        post.answer().await.status
    }

    /// The next packet that is no heartbeat.
    pub(super) async fn packet(&mut self) -> String {
        within("a packet", self.next_packet()).await
    }

    async fn next_packet(&mut self) -> String {
        loop {
            match self.waiting.pop_front() {
                Some(ping) if ping == "2" => self.post("3").await,
                Some(packet) => return packet,
                None => {
                    let polled = self.rest.get(&self.path).await;
                    assert_eq!(polled.status, 200);
                    let payload = String::from_utf8(polled.body).unwrap();
                    self.waiting
                        .extend(payload.split('\x1e').map(str::to_owned));
                }
            }
        }
    }
}
