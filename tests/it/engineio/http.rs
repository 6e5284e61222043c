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

#[tokio::test]
async fn frames_in_the_same_segment_as_the_handshake() {
    let server = echo().await;
    let poller = server.poller().await;
    for query in [OPEN_WEBSOCKET.to_owned(), poller.upgrade_query()] {
        let mut raw = Raw::connect(server.address).await;
        raw.write(format!(
            "GET {} HTTP/1.1\r\nHost: x\r\n{UPGRADE}\r\ntest",
            server.target(&query)
        ))
        .await;
        // A "t" has reserved bits set, which is no frame.
        let bytes = raw.read_to_end().await;
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.starts_with("HTTP/1.1 101"), "{text}");
        assert!(
            bytes.ends_with(&[0x88, 2, 0x03, 0xea]),
            "not closed with 1002: {bytes:?}"
        );
    }
    assert!(is_open(&poller).await);
}

#[tokio::test]
async fn heads_beyond_measure() {
    let server = echo().await;
    let target = server.target(OPEN_WEBSOCKET);
    let headers = "X-Many: 1\r\n".repeat(2001);
    let long = format!("{target}&x={}", "a".repeat(70_000));
    for text in [
        format!("GET {target} HTTP/1.1\r\nHost: x\r\n{UPGRADE}{headers}\r\n"),
        format!("GET {long} HTTP/1.1\r\nHost: x\r\n\r\n"),
        format!(
            "GET {target} HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
            "a".repeat(600_000)
        ),
    ] {
        let status = request(server.address, &text).await.status;
        assert!((400..500).contains(&status), "{status}");
    }
    server.websocket().await;
}

#[tokio::test]
async fn a_body_with_two_lengths() {
    let server = echo().await;
    let poller = server.poller().await;
    let text = format!(
        "POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n4a\r\n0\r\n\r\n",
        server.target(&poller.query())
    );
    let mut raw = Raw::connect(server.address).await;
    raw.write(text).await;
    // Chunked wins or the request is refused; it must never be read as two requests.
    let status = raw.answer().await.status;
    assert!(status == 200 || status == 400, "{status}");
    server.poller().await;
}
