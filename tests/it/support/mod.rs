//! Servers and clients for the tests.

pub(crate) mod echo;
pub(crate) mod http;
pub(crate) mod photos;
pub(crate) mod protocol;
pub(crate) mod websocket;

use std::time::Duration;

/// Waits so long that only a server that does not answer at all makes a test fail.
pub(crate) async fn patiently<T>(work: impl Future<Output = T>) -> T {
    patiently_for("something", work).await
}

/// As [`patiently`], for a row of a table, which is named if it fails.
pub(crate) async fn patiently_for<T>(name: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), work)
        .await
        .unwrap_or_else(|_| panic!("waited 20 s for {name}"))
}

/// Returns once the server has read what was written so far: it shares the test's one thread, and has had its turn many times over.
pub(crate) async fn settled() {
    for _ in 0..2000 {
        tokio::task::yield_now().await;
    }
}

/// A PNG with more bytes in it, in a chunk that is stored as it is: whatever stands behind the picture is not.
pub(crate) fn png_with(png: &[u8], more: &[u8]) -> Vec<u8> {
    let (head, picture) = png.split_at(33);
    let length = u32::try_from(more.len()).unwrap().to_be_bytes();
    [head, &length, b"sPLT", more, b"\0\0\0\0", picture].concat()
}
