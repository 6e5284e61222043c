//! An HTTP client made of raw text, so that a test sees and sends exactly what is on the wire.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::patiently;

/// An answer taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n")?;
        Some(Self {
            status: head.split(' ').nth(1)?.parse().ok()?,
            head: head.to_owned(),
            body: body.to_owned(),
        })
    }
}

/// A connection on which bytes are written as they are.
pub(crate) struct Raw(pub(crate) TcpStream);

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        // A server that has had enough may hang up while we write; what it said is read later.
        let _ = self.0.write_all(bytes.as_ref()).await;
    }

    /// Everything up to the end of the connection.
    pub(crate) async fn read_to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = patiently(self.0.read(&mut buffer)).await {
            bytes.extend_from_slice(&buffer[..read]);
        }
        bytes
    }

    /// One answer of a connection that stays open.
    pub(crate) async fn answer(&mut self) -> Answer {
        let mut bytes = Vec::new();
        loop {
            if let Some(answer) = Answer::parse(&bytes) {
                let length = answer
                    .header("content-length")
                    .map_or(0, |length| length.parse().unwrap());
                if answer.body.len() >= length {
                    return answer;
                }
            }
            let mut buffer = [0; 1];
            match patiently(self.0.read(&mut buffer)).await {
                Ok(1..) => bytes.push(buffer[0]),
                _ => panic!("the connection ended within an answer: {bytes:?}"),
            }
        }
    }
}

/// One request on a connection of its own.
pub(crate) async fn request(address: SocketAddr, text: impl AsRef<[u8]>) -> Answer {
    let mut raw = Raw::connect(address).await;
    raw.write(text).await;
    let bytes = raw.read_to_end().await;
    Answer::parse(&bytes).unwrap_or_else(|| panic!("no answer: {bytes:?}"))
}

/// The text of a request that asks for the connection to be closed.
pub(crate) fn text(method: &str, target: &str, headers: &str, body: &str) -> String {
    let length = if body.is_empty() && method == "GET" {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    format!(
        "{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}{length}\r\n{body}"
    )
}
