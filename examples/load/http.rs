//! One keep-alive HTTP/1.1 connection, raw: a request out, status and body in. It knows `Content-Length` and chunked bodies.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) struct Http {
    stream: TcpStream,
    inbound: BytesMut,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

impl Http {
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            inbound: BytesMut::with_capacity(16 << 10),
        })
    }

    /// A request with a JSON body, or none when it is empty.
    pub(crate) async fn json(
        &mut self,
        method: &str,
        path: &str,
        token: &str,
        body: &str,
    ) -> Result<Answer> {
        self.send(&request(method, path, token, body)).await?;
        self.answer().await
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes).await?)
    }

    pub(crate) async fn answer(&mut self) -> Result<Answer> {
        let head = loop {
            if let Some(end) = find(&self.inbound, b"\r\n\r\n") {
                break self.inbound.split_to(end + 4);
            }
            self.fill().await?;
        };
        let head = std::str::from_utf8(&head)?;
        let status = head.get(9..12).context("no status line")?.parse()?;
        let body = match header(head, "content-length:") {
            Some(length) => self.take(length.parse()?).await?,
            None if header(head, "transfer-encoding:").is_some() => self.chunks().await?,
            None => Bytes::new(),
        };
        Ok(Answer { status, body })
    }

    async fn chunks(&mut self) -> Result<Bytes> {
        let mut body = BytesMut::new();
        loop {
            let end = loop {
                match find(&self.inbound, b"\r\n") {
                    Some(end) => break end,
                    None => self.fill().await?,
                }
            };
            let length =
                usize::from_str_radix(std::str::from_utf8(&self.inbound[..end])?.trim(), 16)?;
            self.inbound.advance(end + 2);
            let chunk = self.take(length + 2).await?;
            if length == 0 {
                return Ok(body.freeze());
            }
            body.extend_from_slice(&chunk[..length]);
        }
    }

    async fn take(&mut self, length: usize) -> Result<Bytes> {
        while self.inbound.len() < length {
            self.fill().await?;
        }
        Ok(self.inbound.split_to(length).freeze())
    }

    async fn fill(&mut self) -> Result<()> {
        self.inbound.reserve(16 << 10);
        if self.stream.read_buf(&mut self.inbound).await? == 0 {
            bail!("the server closed the connection");
        }
        Ok(())
    }
}

pub(crate) fn request(method: &str, path: &str, token: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: load\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let lines = head.split("\r\n");
    lines
        .filter_map(|line| line.split_at_checked(name.len()))
        .find(|(start, _)| start.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}
