//! POST bodies: every kind, their limits, and what happens to a bad one.

use super::*;

#[tokio::test]
async fn every_kind_of_body() {
    let server = echo().await;
    let separators = "\x1e4".repeat(20_000);
    for (body, status, open) in [
        ("4", 200, true),
        ("4a\x1e4b\x1e", 200, true),
        ("bAQID", 200, true),
        ("b-_8", 200, true),
        ("3", 200, true),
        ("3\x1e3\x1e3", 200, true),
        ("5", 200, true),
        ("6", 200, true),
        ("0{}", 200, true),
        ("1", 200, false),
        ("4a\x1e1\x1e4b", 200, false),
        ("", 400, false),
        ("\x1e", 400, false),
        ("\x1e4a", 400, false),
        ("4a\x1e\x1e4b", 400, false),
        ("abc", 400, false),
        ("7", 400, false),
        ("2", 400, false),
        ("2probe", 400, false),
        ("éabcd", 400, false),
        ("b!!!", 400, false),
        (&separators, 413, false),
    ] {
        let poller = server.poller().await;
        poller.expect_post(body, status).await;
        assert_eq!(is_open(&poller).await, open, "{:?}", body.get(..20));
    }
}

#[tokio::test]
async fn packets_before_the_bad_one_are_delivered() {
    let (server, mut events) = recording(patient()).await;
    let poller = server.poller().await;
    poller.expect_post("4a\x1e4b\x1eabc\x1e4c", 400).await;
    assert_eq!(events.recv().await.unwrap(), "a");
    assert_eq!(events.recv().await.unwrap(), "b");
    assert_eq!(events.recv().await.unwrap(), "closed parse_error");
}

#[tokio::test]
async fn a_body_that_is_not_text() {
    let server = echo().await;
    let poller = server.poller().await;
    let mut bytes = text("POST", &server.target(&poller.query()), "", "4ab").into_bytes();
    *bytes.last_mut().unwrap() = 0xff;
    assert_eq!(request(server.address, bytes).await.status, 400);
    poller.expect_gone().await;
}

#[tokio::test]
async fn octet_streams_are_v3() {
    let server = echo().await;
    let poller = server.poller().await;
    let headers = "Content-Type: application/octet-stream\r\n";
    let answer = server.request("POST", &poller.query(), headers, "4a").await;
    assert_eq!((answer.status, answer.body.as_str()), (400, ""));
    poller.expect_gone().await;
}

#[tokio::test]
async fn the_size_limit_is_exact() {
    let server = echo().await;
    let poller = server.poller().await;
    poller
        .expect_post(&format!("4{}", "x".repeat(999_999)), 200)
        .await;
    assert_eq!(poller.get().await.body.len(), 1_000_000);
    poller
        .expect_post(&format!("4{}", "x".repeat(1_000_000)), 413)
        .await;
    poller.expect_gone().await;
}

#[tokio::test]
async fn the_size_limit_holds_without_an_announcement() {
    let server = echo().await;
    let poller = server.poller().await;
    let mut raw = Raw::connect(server.address).await;
    raw.write(format!(
        "POST {} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        server.target(&poller.query())
    ))
    .await;
    let chunk = format!("10000\r\n{}\r\n", "4".repeat(0x10000));
    for _ in 0..17 {
        raw.write(&chunk).await;
    }
    raw.write("0\r\n\r\n").await;
    assert_eq!(raw.answer().await.status, 413);
    poller.expect_gone().await;
}

#[tokio::test]
async fn one_byte_chunks() {
    let server = echo().await;
    let poller = server.poller().await;
    let mut raw = Raw::connect(server.address).await;
    raw.write(format!(
        "POST {} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        server.target(&poller.query())
    ))
    .await;
    for byte in "4hello\x1e4world".bytes() {
        raw.write([b"1\r\n", &[byte][..], b"\r\n"].concat()).await;
    }
    raw.write("0\r\n\r\n").await;
    assert_eq!(raw.answer().await.body, "ok");
    poller.expect_get(200, "4hello\x1e4world").await;
}

#[tokio::test]
async fn a_body_that_never_comes() {
    let config = Config {
        body_deadline: Duration::from_millis(50),
        ..patient()
    };
    let server = Server::engine_echo(config).await;
    let poller = server.poller().await;
    let mut raw = Raw::connect(server.address).await;
    raw.write(format!(
        "POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n4",
        server.target(&poller.query())
    ))
    .await;
    assert_eq!(raw.answer().await.status, 408);
    poller.expect_gone().await;
}

#[tokio::test]
async fn a_body_cut_short_ends_the_session() {
    let (server, mut events) = recording(patient()).await;
    let poller = server.poller().await;
    let mut raw = Raw::connect(server.address).await;
    raw.write(format!(
        "POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n4a",
        server.target(&poller.query())
    ))
    .await;
    sleep(Duration::from_millis(20)).await;
    drop(raw);
    assert_eq!(events.recv().await.unwrap(), "closed transport_lost");
    poller.expect_gone().await;
}

#[tokio::test]
async fn two_at_once_end_the_session() {
    let (server, mut events) = recording(patient()).await;
    let poller = server.poller().await;
    let mut first = Raw::connect(server.address).await;
    first
        .write(format!(
            "POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n4a",
            server.target(&poller.query())
        ))
        .await;
    sleep(Duration::from_millis(50)).await;
    let second = poller.post("4b").await;
    assert_eq!((second.status, second.body.as_str()), (400, ""));
    assert_eq!(first.answer().await.status, 400);
    assert_eq!(events.recv().await.unwrap(), "closed overlapping_requests");
    poller.expect_gone().await;
}

#[tokio::test]
async fn a_thousand_messages_in_one_body_stay_in_order() {
    let server = echo().await;
    let poller = server.poller().await;
    let body: Vec<_> = (0..1000).map(|n| format!("4{n}")).collect();
    let body = body.join("\x1e");
    poller.expect_post(&body, 200).await;
    poller.expect_get(200, &body).await;
}
