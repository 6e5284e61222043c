//! A raw HTTP/1.1 client: one connection a request, every byte of the answer looked at. It knows the envelope of the API,
//! and no route. What comes back is held against the description of the API.

use std::io;
use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{description, within};

/// Somebody who calls.
#[derive(Clone)]
pub(super) struct Rest {
    pub(super) address: SocketAddr,
    pub(super) id: String,
    pub(super) token: Option<String>,
}

/// A request that is being put together.
pub(super) struct Ask {
    address: SocketAddr,
    head: String,
    body: Vec<u8>,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Rest {
    pub(super) fn new(address: SocketAddr, id: &str, token: Option<String>) -> Self {
        Self {
            address,
            id: id.to_owned(),
            token,
        }
    }

    /// The same caller with another token.
    pub(super) fn with_token(&self, token: &str) -> Self {
        Self::new(self.address, &self.id, Some(token.to_owned()))
    }

    /// A request with the caller's token.
    pub(super) fn ask(&self, method: &str, path: &str) -> Ask {
        let ask = Ask {
            address: self.address,
            head: format!(
                "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n",
                self.address
            ),
            body: Vec::new(),
        };
        match &self.token {
            Some(token) => ask.header("Authorization", &format!("Bearer {token}")),
            None => ask,
        }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path).answer().await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path).json(body).answer().await
    }

    pub(super) async fn put(&self, path: &str) -> Answer {
        self.ask("PUT", path).answer().await
    }

    pub(super) async fn delete(&self, path: &str) -> Answer {
        self.ask("DELETE", path).answer().await
    }

    /// Opens a chat with another user and answers its id.
    pub(super) async fn chat_with(&self, other: &Rest) -> String {
        let body = json!({ "participantId": other.id });
        let chat = self.post("/api/chat/create", &body).await.data();
        text(&chat["_id"])
    }

    /// Sends a text and answers the message.
    pub(super) async fn says(&self, chat: &str, content: &str) -> Value {
        let path = format!("/api/chat/{chat}/send");
        self.post(&path, &json!({ "content": content }))
            .await
            .ok(201)
    }

    /// The newest messages of a chat.
    pub(super) async fn messages(&self, chat: &str) -> Vec<Value> {
        let data = self
            .get(&format!("/api/chat/{chat}/messages"))
            .await
            .ok(200);
        data["messages"].as_array().unwrap().clone()
    }

    /// The caller's unread messages over all chats.
    pub(super) async fn unread(&self) -> u64 {
        let data = self.get("/api/chat/unread-count").await.ok(200);
        data["unreadCount"].as_u64().unwrap()
    }

    /// Uploads one file.
    pub(super) async fn uploads(&self, chat: &str, name: &str, bytes: &[u8]) -> Answer {
        self.ask("POST", &format!("/api/chat/{chat}/send-media"))
            .form(&[("media", Some(name), bytes)])
            .answer()
            .await
    }
}

impl Ask {
    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.head.extend([name, ": ", value, "\r\n"]);
        self
    }

    pub(super) fn body(self, content_type: &str, bytes: &[u8]) -> Self {
        self.header("Content-Type", content_type)
            .header("Content-Length", &bytes.len().to_string())
            .raw(bytes)
    }

    /// A body whose headers are there already.
    pub(super) fn raw(mut self, bytes: &[u8]) -> Self {
        self.body = bytes.to_vec();
        self
    }

    pub(super) fn json(self, value: &Value) -> Self {
        self.body("application/json", value.to_string().as_bytes())
    }

    /// `multipart/form-data`: name, file name, bytes of each field.
    pub(super) fn form(self, fields: &[(&str, Option<&str>, &[u8])]) -> Self {
        const BOUNDARY: &str = "----a-boundary-of-the-tests";
        let mut bytes = Vec::new();
        for (name, file, content) in fields {
            let file = file.map_or(String::new(), |file| {
                format!("; filename=\"{file}\"\r\nContent-Type: image/png")
            });
            let head = format!(
                "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n"
            );
            bytes.extend_from_slice(head.as_bytes());
            bytes.extend_from_slice(content);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        self.body(&format!("multipart/form-data; boundary={BOUNDARY}"), &bytes)
    }

    /// The request as it goes over the wire.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{}\r\n", self.head).into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// Sends it and reads the answer.
    pub(super) async fn answer(self) -> Answer {
        self.try_answer().await.unwrap()
    }

    /// The same against a server that may die meanwhile.
    pub(super) async fn try_answer(self) -> io::Result<Answer> {
        let answer = within("an answer", exchange(self.address, &self.bytes())).await?;
        let mut words = self.head.split(' ');
        let (method, target) = (words.next().unwrap(), words.next().unwrap());
        description::check_answer(method, target, &answer);
        Ok(answer)
    }
}

/// Writes and reads at once: a server that refuses early does not read everything.
async fn exchange(address: SocketAddr, request: &[u8]) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(address).await?;
    let (mut reader, mut writer) = stream.split();
    let mut bytes = Vec::new();
    let (_, read) = tokio::join!(writer.write_all(request), reader.read_to_end(&mut bytes));
    match Answer::parse(&bytes) {
        Some(answer) => Ok(answer),
        None => Err(read.err().unwrap_or(io::ErrorKind::UnexpectedEof.into())),
    }
}

impl Answer {
    /// `None` unless the answer is whole.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next()?.strip_prefix("HTTP/1.1 ")?[..3]
            .parse()
            .unwrap();
        let headers = lines.map(|line| line.split_once(": ").unwrap());
        let answer = Self {
            status,
            headers: headers
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .collect(),
            body: bytes[end + 4..].to_vec(),
        };
        let announced = answer.header("content-length").map(str::parse::<usize>);
        let is_cut = announced.is_some_and(|length| answer.body.len() < length.unwrap());
        // The answer to HEAD announces what GET would bring.
        (!is_cut || answer.body.is_empty()).then_some(answer)
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut named = self.headers.iter().filter(|(given, _)| given == name);
        let (_, value) = named.next()?;
        assert!(named.next().is_none(), "{name} stands twice");
        Some(value)
    }

    pub(super) fn json(&self) -> Value {
        assert_eq!(
            self.header("content-type"),
            Some("application/json; charset=utf-8")
        );
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The data of a success of any kind.
    pub(super) fn data(&self) -> Value {
        let envelope = self.json();
        assert_eq!(envelope["success"], true, "{envelope}");
        assert_eq!(keys(&envelope), ["success", "message", "data"]);
        envelope["data"].clone()
    }

    /// The data of a success with this status.
    pub(super) fn ok(&self, status: u16) -> Value {
        let data = self.data();
        assert_eq!(self.status, status, "{data}");
        data
    }

    /// The data of a success with this status and sentence.
    pub(super) fn says(&self, status: u16, message: &str) -> Value {
        let data = self.ok(status);
        assert_eq!(self.json()["message"], message);
        data
    }

    /// A refusal in the envelope; answers its sentence.
    pub(super) fn refused(&self, status: u16, code: &str) -> String {
        let envelope = self.json();
        assert_eq!(keys(&envelope), ["success", "message", "data", "error"]);
        assert_eq!(
            (&envelope["success"], &envelope["data"]),
            (&json!(false), &Value::Null)
        );
        let found = (self.status, envelope["error"].as_str().unwrap());
        assert_eq!(found, (status, code), "{envelope}");
        assert!(self.header("x-request-id").is_some());
        text(&envelope["message"])
    }
}

/// The names in an object, in its order.
pub(super) fn keys(object: &Value) -> Vec<&str> {
    object
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

/// A string that must be one.
pub(super) fn text(value: &Value) -> String {
    let text = value.as_str();
    text.unwrap_or_else(|| panic!("no string: {value}"))
        .to_owned()
}
