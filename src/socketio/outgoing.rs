//! An event on its way out: encoded once, shared by every socket that gets it.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

use super::namespace::Namespace;
use super::packet::{AckId, Kind, Packet};
use crate::engineio::Frame;

/// An encoded event of one namespace. Cloning is a reference count.
#[derive(Debug, Clone)]
pub struct Outgoing {
    frames: Arc<[Frame]>,
    volatile: bool,
}

impl Outgoing {
    /// An event with one argument. Fails if the argument cannot be written as JSON.
    pub fn new(
        namespace: &Namespace,
        name: &str,
        argument: &impl Serialize,
    ) -> Result<Self, serde_json::Error> {
        let argument = serde_json::to_string(argument)?;
        Ok(Self::raw(namespace, name, &argument, &[]))
    }

    /// An event with any arguments: JSON values separated by commas, with placeholders for the attachments, of which there are at most
    /// ten for the standard clients.
    pub fn raw(namespace: &Namespace, name: &str, args: &str, attachments: &[Bytes]) -> Self {
        Self {
            frames: event(namespace, name, args, attachments, None),
            volatile: false,
        }
    }

    /// Makes it an event that is dropped for every client that has something waiting already.
    #[must_use]
    pub fn volatile(mut self) -> Self {
        self.volatile = true;
        self
    }

    /// The event with one more argument, which is JSON.
    pub(super) fn with_last_argument(&self, argument: &str) -> Arc<[Frame]> {
        let mut frames: Vec<Frame> = self.frames.to_vec();
        if let Some(header) = frames.first_mut()
            && let Some(open) = header.as_text().and_then(|text| text.strip_suffix(']'))
        {
            *header = Frame::text(format!("{open},{argument}]"));
        }
        frames.into()
    }

    pub(super) fn frames(&self) -> &Arc<[Frame]> {
        &self.frames
    }

    pub(super) fn is_volatile(&self) -> bool {
        self.volatile
    }
}

/// An event and its attachments.
pub(super) fn event(
    namespace: &Namespace,
    name: &str,
    args: &str,
    attachments: &[Bytes],
    id: Option<AckId>,
) -> Arc<[Frame]> {
    let name = serde_json::Value::from(name);
    let comma = if args.is_empty() { "" } else { "," };
    let kind = if attachments.is_empty() {
        Kind::Event
    } else {
        Kind::BinaryEvent
    };
    let packet = Packet {
        kind,
        attachments: attachments.len(),
        namespace: namespace.name(),
        id,
        data: &format!("[{name}{comma}{args}]"),
    };
    frames(&packet, attachments)
}

/// A packet and its attachments, to be queued together.
pub(super) fn frames(packet: &Packet<'_>, attachments: &[Bytes]) -> Arc<[Frame]> {
    std::iter::once(Frame::text(packet.encode()))
        .chain(attachments.iter().cloned().map(Frame::binary))
        .collect()
}
