//! Servers and clients for the tests.

pub(crate) mod echo;
pub(crate) mod http;
pub(crate) mod photos;
pub(crate) mod protocol;
pub(crate) mod websocket;

use std::time::Duration;

/// Waits so long that only a server that does not answer at all makes a test fail.
pub(crate) async fn patiently<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), work)
        .await
        .expect("nothing happened for 20 s")
}
