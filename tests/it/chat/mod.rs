//! The chat from outside: the server runs in this process on a free port, and clients speak raw HTTP/1.1 and raw
//! Socket.IO text to it, so that a mistake in the server's own codecs cannot hide itself.

mod description;
mod fake_backend;
mod process;
mod rest;
mod server;
mod sockets;

mod abuse;
mod admin;
mod backend;
mod cases;
mod command_line;
mod commands;
mod connecting;
mod defects;
mod documentation;
mod durability;
mod erasing;
mod flags;
mod host;
mod http;
mod keys;
mod limits;
mod logs;
mod media;
mod metrics;
mod model;
mod monitoring;
mod oversight;
mod paging;
mod parity;
mod people;
mod pictures;
mod realtime;
mod recovery;
mod refusals;
mod reports;
mod routes;
mod scenarios;
mod sending;
mod supervisor;
mod survival;
mod tls;

use std::time::Duration;

/// Only a broken build is this slow; nothing else depends on the clock.
const PATIENCE: Duration = Duration::from_mins(1);

/// Waits for what must happen.
async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let outcome = tokio::time::timeout(PATIENCE, future).await;
    outcome.unwrap_or_else(|_| panic!("waited too long for {what}"))
}
