//! What the parts of the server count, gathered into one snapshot for whoever shows it. Counts nothing itself.

use std::collections::BTreeMap;

use serde::Serialize;

pub use super::connections::ConnectionCounts;
use super::connections::Connections;
use super::dispatch::Sockets;
use crate::engineio;
use crate::realtime;
use crate::socketio::{Namespace, RecoveryCounts};

/// One moment of the server; as JSON, an object of objects of numbers. What is said to be since the start only grows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// TCP connections.
    pub connections: ConnectionCounts,
    /// Engine.IO sessions.
    pub sessions: engineio::Counts,
    /// Sessions that were refused for want of a place, since the start.
    pub refused_sessions: u64,
    /// How many sessions have ended since the start, by the reason's name; `slow_consumer` is one of them.
    pub closed_sessions: BTreeMap<&'static str, u64>,
    /// Sockets of users.
    pub sockets: usize,
    /// Rooms with somebody in them.
    pub rooms: usize,
    /// What is kept for clients that come back.
    pub recovery: RecoveryCounts,
    /// Sockets that their clients have had back, since the start.
    pub recovered_sockets: u64,
}

impl Counts {
    /// The counts of this moment.
    pub(super) fn read(connections: &Connections, engine: &Sockets) -> Self {
        let io = engine.handler().io();
        let namespace = io.namespace(realtime::NAMESPACE);
        let closed = engine.close_counts();
        Self {
            connections: connections.counts(),
            sessions: engine.sessions(),
            refused_sessions: engine.refused_count(),
            closed_sessions: closed
                .map(|(reason, count)| (reason.as_str(), count))
                .collect(),
            sockets: namespace.map_or(0, Namespace::len),
            rooms: namespace.map_or(0, Namespace::room_count),
            recovery: namespace
                .map(Namespace::recovery_counts)
                .unwrap_or_default(),
            recovered_sockets: namespace.map_or(0, Namespace::recovered_count),
        }
    }
}
