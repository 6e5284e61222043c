//! GETs that wait: what releases them and with what, one connection for many of them, and two at once.

use super::*;
use crate::support::settled;

#[tokio::test]
async fn what_ends_a_session_releases_its_poll() {
    let server = echo().await;
    for (name, body, status, released) in [
        ("the client closes", "1", 200, "6"),
        ("no packet", "abc", 400, "1"),
        ("a PING from the client", "2", 400, "1"),
        ("an empty packet", "4a\x1e\x1e4b", 400, "1"),
    ] {
        let poller = server.poller().await;
        let mut held = poller.held_get().await;
        settled().await;
        poller.expect_post(body, status).await;
        let answer = held.answer().await;
        // The echo of a packet in front of the bad one may have been given to the poll already.
        assert_eq!(answer.status, 200, "{name}");
        if answer.body != "4a" {
            assert_eq!(answer.body, released, "{name}");
        }
        poller.expect_gone().await;
    }
    server.idle().await;
}

#[tokio::test]
async fn a_server_close_reaches_the_held_poll_behind_what_is_queued() {
    let (server, _events, mut sessions) = recording_sessions(patient()).await;
    for (reason, body) in [
        (CloseReason::ServerClosed, "4last\x1e1"),
        (CloseReason::TokenExpired, "4last\x1e1"),
        (CloseReason::ServerShutdown, "4last\x1e1"),
        // Who does not read gets no more to read.
        (CloseReason::SlowConsumer, "1"),
    ] {
        let poller = server.poller().await;
        let session = sessions.recv().await.unwrap();
        let mut held = poller.held_get().await;
        settled().await;
        assert!(session.send(&[Frame::message("last")]));
        session.close(reason);
        assert_eq!(held.answer().await.body, body, "{}", reason.as_str());
        poller.expect_gone().await;
    }
}

#[tokio::test]
async fn the_second_poll_ends_the_session_and_both() {
    let (server, mut events) = recording(patient()).await;
    let poller = server.poller().await;
    let mut first = poller.held_get().await;
    settled().await;
    let second = poller.get().await;
    assert_eq!((second.status, second.body.as_str()), (400, ""));
    assert_eq!(first.answer().await.body, "1");
    poller.expect_gone().await;
    assert_eq!(events.recv().await.unwrap(), "closed overlapping_requests");
}

#[tokio::test]
async fn an_answered_poll_makes_room_for_the_next_on_any_connection() {
    let (server, _events, mut sessions) = recording_sessions(patient()).await;
    let poller = server.poller().await;
    let session = sessions.recv().await.unwrap();
    let target = server.target(&poller.query());
    let mut kept = Raw::connect(server.address).await;
    for number in 0..50 {
        kept.write(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n"))
            .await;
        if number % 2 == 0 {
            settled().await;
        }
        let text = number.to_string();
        assert!(session.send(&[Frame::message(&text)]));
        assert_eq!(kept.answer().await.body, format!("4{text}"));
        assert!(session.send(&[Frame::message("between")]));
        poller.expect_get(200, "4between").await;
    }
}

#[tokio::test]
async fn a_poll_of_http_1_0() {
    let (server, _events, mut sessions) = recording_sessions(patient()).await;
    let poller = server.poller().await;
    let session = sessions.recv().await.unwrap();
    let target = server.target(&poller.query());
    let mut raw = Raw::connect(server.address).await;
    raw.write(format!("GET {target} HTTP/1.0\r\n\r\n")).await;
    settled().await;
    assert!(session.send(&[Frame::message("x")]));
    let answer = String::from_utf8(raw.read_to_end().await).unwrap();
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n4x"), "{answer}");
}

#[tokio::test]
async fn a_client_that_asks_before_it_sends() {
    let server = echo().await;
    let poller = server.poller().await;
    let mut raw = Raw::connect(server.address).await;
    raw.write(format!(
        "POST {} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n",
        server.target(&poller.query())
    ))
    .await;
    assert_eq!(raw.answer().await.status, 100);
    raw.write("4a").await;
    assert_eq!(raw.answer().await.body, "ok");
    poller.expect_get(200, "4a").await;
}

#[tokio::test]
async fn more_is_handed_over_at_once_than_a_client_may_send() {
    let server = echo().await;
    let poller = server.poller().await;
    let message = format!("4{}", "x".repeat(999_999));
    for _ in 0..3 {
        poller.expect_post(&message, 200).await;
    }
    let payload = poller.get().await.body;
    assert_eq!(payload.len(), 3_000_002);
    assert!(payload.split('\x1e').all(|packet| packet == message));
}

#[tokio::test]
async fn packets_written_to_a_connection_that_is_gone_end_the_session() {
    let (server, mut events, mut sessions) = recording_sessions(patient()).await;
    let poller = server.poller().await;
    let session = sessions.recv().await.unwrap();
    // Far more than the kernel buffers, so the answer is still being written when the client goes.
    for _ in 0..4 {
        assert!(session.send(&[Frame::message(&"x".repeat(1_000_000))]));
    }
    let mut raw = poller.held_get().await;
    let mut start = [0; 12];
    patiently(raw.0.read_exact(&mut start)).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
    raw.0.set_zero_linger().unwrap();
    drop(raw);
    // The client, if it lives, learns of it by its failed request and asks again: nothing is sent twice or out of order.
    poller.expect_post("1", 200).await;
    assert_eq!(
        patiently(events.recv()).await.unwrap(),
        "closed client_closed"
    );
    server.idle().await;
}

#[tokio::test]
async fn a_poll_is_not_released_before_the_probe() {
    let (server, _events, mut sessions) = recording_sessions(patient()).await;
    let poller = server.poller().await;
    let session = sessions.recv().await.unwrap();
    let mut ws = poller.upgrade().await;
    let mut held = poller.held_get().await;
    settled().await;
    let early = timeout(Duration::from_millis(150), held.answer()).await;
    assert!(early.is_err(), "{early:?}");
    assert!(session.send(&[Frame::message("x")]));
    let mut byte = [0; 1];
    patiently(held.0.read_exact(&mut byte)).await.unwrap();
    ws.send("2probe").await;
    ws.expect("3probe").await;
}
