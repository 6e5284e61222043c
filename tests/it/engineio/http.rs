//! Odd but possible HTTP around the sessions.

use super::*;

#[tokio::test]
async fn pipelined_requests_on_one_connection() {
    let server = echo().await;
    let poller = server.poller().await;
    let target = server.target(&poller.query());
    let mut raw = Raw::connect(server.address).await;
    raw.write(format!(
        "POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n4abGET {target} HTTP/1.1\r\nHost: x\r\n\r\n"
    ))
    .await;
    assert_eq!(raw.answer().await.body, "ok");
    assert_eq!(raw.answer().await.body, "4ab");
}

#[tokio::test]
async fn odd_but_valid_requests() {
    let server = echo().await;
    let target = server.target(OPEN_POLLING);
    for text in [
        format!("GET {target} HTTP/1.0\r\n\r\n"),
        format!(
            "GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc"
        ),
        format!("GET http://x{target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
        format!("GET {target}&x=%zz%00%ff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
        format!("GET {target} HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: close\r\n\r\n"),
    ] {
        assert_eq!(request(server.address, &text).await.status, 200, "{text}");
    }
}

#[tokio::test]
async fn an_upgrade_to_something_else_that_is_reset() {
    let server = echo().await;
    for _ in 0..20 {
        let mut raw = Raw::connect(server.address).await;
        raw.write("GET /engine.io/?EIO=4 HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n")
            .await;
        raw.0.set_zero_linger().unwrap();
    }
    server.poller().await;
}
