//! One Socket.IO client over a raw websocket. Frames are parsed in place and written unmasked in effect (a zero mask), because a
//! client that copied as much as the server would measure itself.

use std::io::ErrorKind;
use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::http::find;

pub(crate) struct Socket {
    stream: TcpStream,
    inbound: BytesMut,
    outbound: Vec<u8>,
}

impl Socket {
    /// Connects, authenticates and waits until the server has taken the socket in.
    pub(crate) async fn connect(address: SocketAddr, token: &str) -> Result<Self> {
        let mut socket = Self::upgrade(address).await?;
        socket.expect("0{").await?;
        socket.queue(&format!("40{{\"token\":\"{token}\"}}"));
        socket.flush().await?;
        socket.expect("40").await?;
        Ok(socket)
    }

    async fn upgrade(address: SocketAddr) -> Result<Self> {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let request = format!(
            "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut inbound = BytesMut::with_capacity(1024);
        loop {
            if let Some(end) = find(&inbound, b"\r\n\r\n") {
                ensure!(
                    inbound.starts_with(b"HTTP/1.1 101"),
                    "no upgrade: {:?}",
                    &inbound[..end.min(200)]
                );
                inbound.advance(end + 4);
                return Ok(Self {
                    stream,
                    inbound,
                    outbound: Vec::new(),
                });
            }
            ensure!(
                stream.read_buf(&mut inbound).await? > 0,
                "closed during the upgrade"
            );
        }
    }

    async fn expect(&mut self, start: &str) -> Result<()> {
        let text = self.next().await?;
        ensure!(
            text.starts_with(start.as_bytes()),
            "expected {start}, got {text:?}"
        );
        Ok(())
    }

    /// Queues a text frame; [`Socket::flush`] sends it.
    pub(crate) fn queue(&mut self, text: &str) {
        self.outbound.push(0x81);
        match text.len() {
            length @ 0..126 => self
                .outbound
                .push(0x80 | u8::try_from(length).unwrap_or_default()),
            length => {
                self.outbound.push(0x80 | 0x7e);
                self.outbound
                    .extend_from_slice(&u16::try_from(length).unwrap_or_default().to_be_bytes());
            }
        }
        self.outbound.extend_from_slice(&[0; 4]);
        self.outbound.extend_from_slice(text.as_bytes());
    }

    pub(crate) async fn flush(&mut self) -> Result<()> {
        if !self.outbound.is_empty() {
            self.stream.write_all(&self.outbound).await?;
            self.outbound.clear();
        }
        Ok(())
    }

    /// The next message; heartbeats are answered on the way.
    pub(crate) async fn next(&mut self) -> Result<Bytes> {
        loop {
            if let Some(message) = self.buffered()? {
                return Ok(message);
            }
            self.flush().await?;
            self.fill().await?;
        }
    }

    /// A message that has already arrived.
    pub(crate) fn buffered(&mut self) -> Result<Option<Bytes>> {
        while let Some(message) = self.frame()? {
            if &message[..] != b"2" {
                return Ok(Some(message));
            }
            self.queue("3");
        }
        Ok(None)
    }

    /// Waits until more has arrived. Safe to drop half-way.
    pub(crate) async fn fill(&mut self) -> Result<()> {
        self.inbound.reserve(4096);
        loop {
            self.stream.readable().await?;
            match self.stream.try_read_buf(&mut self.inbound) {
                Ok(0) => bail!("the server closed the connection"),
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// A whole frame's payload. Servers neither mask nor, here, fragment.
    fn frame(&mut self) -> Result<Option<Bytes>> {
        let [first, second, ..] = self.inbound[..] else {
            return Ok(None);
        };
        let (head, length) = match second {
            126 => match self.inbound.get(2..4) {
                Some(bytes) => (4, usize::from(u16::from_be_bytes(bytes.try_into()?))),
                None => return Ok(None),
            },
            127 => match self.inbound.get(2..10) {
                Some(bytes) => (10, usize::try_from(u64::from_be_bytes(bytes.try_into()?))?),
                None => return Ok(None),
            },
            short => (2, usize::from(short)),
        };
        if self.inbound.len() < head + length {
            return Ok(None);
        }
        ensure!(first == 0x81, "the server sent a frame of kind {first:#x}");
        self.inbound.advance(head);
        Ok(Some(self.inbound.split_to(length).freeze()))
    }
}

/// What matters of an event `newMessage`.
pub(crate) struct NewMessage {
    pub(crate) seq: u64,
    /// The sender's own name for it, a number here.
    pub(crate) number: u64,
}

impl NewMessage {
    /// `None` for any other event.
    pub(crate) fn read(event: &[u8]) -> Result<Option<Self>> {
        if !event.starts_with(b"42[\"newMessage\"") {
            return Ok(None);
        }
        let seq = digits_after(event, b"\"seq\":").context("newMessage without seq")?;
        let number = digits_after(event, b"\"clientMessageId\":\"")
            .context("newMessage without clientMessageId")?;
        Ok(Some(Self { seq, number }))
    }
}

fn digits_after(text: &[u8], key: &[u8]) -> Option<u64> {
    let start = find(text, key)? + key.len();
    let digits = text[start..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}
