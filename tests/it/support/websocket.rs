//! A websocket client whose frames are read one by one.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::patiently;

/// One connected websocket.
pub(crate) struct Ws(pub(crate) WebSocketStream<TcpStream>);

/// What came next on a websocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    Text(String),
    Binary(Vec<u8>),
    /// With its code, or 1005 if it has none, or 1006 if the connection just went.
    Closed(u16),
}

impl Ws {
    /// The status of the answer if it is not 101.
    pub(crate) async fn connect(address: SocketAddr, target: &str) -> Result<Self, u16> {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        match client_async(format!("ws://{address}{target}"), stream).await {
            Ok((websocket, _)) => Ok(Self(websocket)),
            Err(Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(error) => panic!("neither accepted nor refused: {error}"),
        }
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.send_raw(Message::text(text)).await;
    }

    pub(crate) async fn send_binary(&mut self, data: &[u8]) {
        self.send_raw(Message::binary(data.to_vec())).await;
    }

    pub(crate) async fn send_raw(&mut self, message: Message) {
        // The server may have closed; the test reads that.
        let _ = self.0.send(message).await;
    }

    /// The next data frame or the end.
    pub(crate) async fn next(&mut self) -> Next {
        loop {
            return match patiently(self.0.next()).await {
                Some(Ok(Message::Text(text))) => Next::Text(text.to_string()),
                Some(Ok(Message::Binary(data))) => Next::Binary(data.to_vec()),
                Some(Ok(Message::Close(frame))) => {
                    // Answers the close before the connection is dropped.
                    let _ = self.0.flush().await;
                    Next::Closed(frame.map_or(1005, |frame| frame.code.into()))
                }
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => Next::Closed(1006),
            };
        }
    }

    /// The next data frame that is no PING, which is answered.
    pub(crate) async fn next_packet(&mut self) -> Next {
        loop {
            match self.next().await {
                Next::Text(text) if text == "2" => self.send("3").await,
                next => return next,
            }
        }
    }

    pub(crate) async fn expect(&mut self, text: &str) {
        assert_eq!(self.next_packet().await, Next::Text(text.to_owned()));
    }

    /// Skips what is still on its way; the code of the close.
    pub(crate) async fn closed(&mut self) -> u16 {
        loop {
            if let Next::Closed(code) = self.next().await {
                return code;
            }
        }
    }
}
