//! Bounded queues: what happens to a client that does not read.

use super::*;

fn small() -> Config {
    Config {
        max_outbound_packets: 50,
        max_outbound_bytes: 1 << 20,
        ..patient()
    }
}

#[tokio::test]
async fn a_client_that_never_polls() {
    let (server, mut events, mut sessions) = recording_sessions(small()).await;
    let poller = server.poller().await;
    let session = sessions.recv().await.unwrap();
    for _ in 0..50 {
        assert!(session.send(&[Frame::message("x")]));
    }
    assert!(!session.send(&[Frame::message("x")]));
    assert!(session.is_closed());
    assert_eq!(events.recv().await.unwrap(), "closed slow_consumer");
    poller.expect_gone().await;
}

#[tokio::test]
async fn a_client_that_never_reads() {
    let (server, mut events, mut sessions) = recording_sessions(small()).await;
    let ws = server.websocket().await;
    let session = sessions.recv().await.unwrap();
    let frame = Frame::binary(vec![0; 60_000]);
    let mut sent = 0;
    while session.send(std::slice::from_ref(&frame)) {
        sent += 1;
        assert!(sent < 10_000, "the queue has no end");
        tokio::task::yield_now().await;
    }
    assert_eq!(events.recv().await.unwrap(), "closed slow_consumer");
    drop(ws);
    server.idle().await;
}

#[tokio::test]
async fn a_group_arrives_whole_or_not_at_all() {
    let (server, _events, mut sessions) = recording_sessions(small()).await;
    let poller = server.poller().await;
    let session = sessions.recv().await.unwrap();
    assert!(session.send(&[Frame::message("a"), Frame::binary(vec![1])]));
    poller.expect_get(200, "4a\x1ebAQ==").await;
    assert!(!session.send(&vec![Frame::message("x"); 51]));
    poller.expect_gone().await;
}

#[tokio::test]
async fn volatile_packets_are_dropped_instead() {
    let (server, _events, mut sessions) = recording_sessions(small()).await;
    let poller = server.poller().await;
    let session = sessions.recv().await.unwrap();
    let mut queued = 0;
    for _ in 0..1000 {
        queued += usize::from(session.send_volatile(&[Frame::message("v")]));
    }
    assert!((1..50).contains(&queued), "{queued}");
    assert!(!session.is_closed());
    let payload = poller.get().await.body;
    assert_eq!(payload.split('\x1e').count(), queued);
}

#[tokio::test]
async fn a_poll_that_is_cut_off_does_not_lose_packets_silently() {
    let (server, mut events, mut sessions) = recording_sessions(small()).await;
    let poller = server.poller().await;
    let session = sessions.recv().await.unwrap();
    let held = poller.held_get().await;
    sleep(Duration::from_millis(30)).await;
    drop(held);
    assert_eq!(events.recv().await.unwrap(), "closed transport_lost");
    assert!(!session.send(&[Frame::message("late")]));
}
