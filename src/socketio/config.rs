//! The Socket.IO layer's settings: what each bounds, its unit, its default, and what happens past it.

use std::time::Duration;

/// How a [`SocketIo`](super::SocketIo) behaves. Past any of these limits the whole session is closed.
#[derive(Debug, Clone)]
pub struct Config {
    /// Time a session has to join its first namespace. Default 45 s. A refused CONNECT does not stop the clock.
    pub connect_timeout: Duration,
    /// Time a client has to send all attachments of a packet. Default 10 s.
    pub attachment_timeout: Duration,
    /// Attachments of one packet. Default 10, which is also what the reference clients accept; 0 for an application that takes none, so that
    /// not one is ever buffered.
    pub max_attachments: usize,
    /// Bytes in all attachments of one packet. Default 10,000,000.
    pub max_attachment_bytes: usize,
    /// Bytes in the name of a namespace. Default 256.
    pub max_namespace_bytes: usize,
    /// Bytes in the name of an event. Default 256.
    pub max_event_name_bytes: usize,
    /// Arrays and objects inside each other in one packet's JSON. Default 64.
    pub max_json_depth: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(45),
            attachment_timeout: Duration::from_secs(10),
            max_attachments: 10,
            max_attachment_bytes: 10_000_000,
            max_namespace_bytes: 256,
            max_event_name_bytes: 256,
            max_json_depth: 64,
        }
    }
}
