//! Refusals and endings, as the application states and sees them.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::engineio::CloseReason;

/// A refused CONNECT, as the client's `connect_error` event gets it.
#[derive(Debug, Clone, Serialize)]
pub struct ConnectError {
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Box<RawValue>>,
}

impl ConnectError {
    /// A refusal with the text of the client's `Error`.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            data: None,
        }
    }

    /// Adds the `data` of the client's `Error`.
    #[must_use]
    pub fn with_data(mut self, data: Box<RawValue>) -> Self {
        self.data = Some(data);
        self
    }
}

/// Why a socket left its namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisconnectReason {
    /// The client sent DISCONNECT; its session may go on.
    ClientDisconnected,
    /// The application called [`Socket::disconnect`](super::Socket::disconnect); the session may go on.
    ServerDisconnected,
    /// The whole session ended.
    SessionClosed(CloseReason),
}

impl DisconnectReason {
    /// A stable lower-case name, for logs; of a session's end, that of its [`CloseReason`].
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientDisconnected => "client_disconnected",
            Self::ServerDisconnected => "server_disconnected",
            Self::SessionClosed(reason) => reason.as_str(),
        }
    }
}
