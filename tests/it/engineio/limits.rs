//! Limits against clients that only take: sessions nobody has accepted, and messages faster than allowed.

use super::*;

fn strangers(unaccepted_grace: Duration) -> Config {
    Config {
        max_unaccepted: 2,
        unaccepted_grace,
        ..patient()
    }
}

#[tokio::test]
async fn strangers_cannot_take_every_place() {
    let config = strangers(Duration::from_hours(1));
    let (server, _events, mut sessions) = recording_sessions(config).await;
    let _polling = server.poller().await;
    let _websocket = server.websocket().await;
    assert_eq!(server.get(OPEN_POLLING).await.status, 503);
    assert_eq!(server.connect(OPEN_WEBSOCKET).await.err(), Some(503));
    assert_eq!(server.engine.sessions().unaccepted, 2);

    let accepted = sessions.recv().await.unwrap();
    accepted.accept();
    let third = server.poller().await;
    assert_eq!(server.get(OPEN_POLLING).await.status, 503);
    third.expect_post("1", 200).await;
    while server.engine.sessions().unaccepted > 1 {
        sleep(Duration::from_millis(1)).await;
    }
    let _fourth = server.poller().await;
    assert!(!accepted.is_closed());
}

#[tokio::test]
async fn a_stranger_who_stayed_makes_room() {
    let (server, mut events) = recording(strangers(Duration::ZERO)).await;
    let oldest = server.poller().await;
    let older = server.poller().await;
    for _ in 0..5 {
        server.poller().await;
    }
    assert_eq!(server.engine.sessions().unaccepted, 2);
    for _ in 0..5 {
        assert_eq!(
            patiently(events.recv()).await.unwrap(),
            "closed deadline_passed"
        );
    }
    oldest.expect_gone().await;
    older.expect_gone().await;
}

#[tokio::test]
async fn a_fast_talker_is_slowed_down_and_stays() {
    for config in [
        Config {
            max_messages_per_second: 20,
            ..patient()
        },
        Config {
            max_bytes_per_second: 200,
            ..patient()
        },
    ] {
        let server = Server::engine_echo(config).await;
        let poller = server.poller().await;
        // Two seconds' worth passes at once, then 20 packets of 10 bytes take a second.
        let payload = vec!["4123456789a"; 50].join("\x1e");
        let mut ws = server.websocket().await;
        let began = Instant::now();
        let over_websocket = async {
            for _ in 0..50 {
                ws.send("4123456789").await;
            }
            for _ in 0..50 {
                ws.expect("4123456789").await;
            }
            began.elapsed()
        };
        let over_polling = async {
            poller.expect_post(&payload, 200).await;
            began.elapsed()
        };
        let (websocket, polling) = tokio::join!(over_websocket, over_polling);
        for took in [websocket, polling] {
            assert!(took >= Duration::from_millis(400), "{took:?}");
        }
        assert!(is_open(&poller).await);
    }
}

#[tokio::test]
async fn a_session_that_is_slowed_down_still_ends_at_once() {
    let config = Config {
        max_messages_per_second: 1,
        ..patient()
    };
    let (server, mut events, mut sessions) = recording_sessions(config).await;
    let mut ws = server.websocket().await;
    for _ in 0..100 {
        ws.send("4x").await;
    }
    let session = sessions.recv().await.unwrap();
    assert_eq!(patiently(events.recv()).await.unwrap(), "x");
    session.close(CloseReason::ServerClosed);
    while patiently(events.recv()).await.unwrap() != "closed server_closed" {}
    ws.closed().await;
    server.idle().await;
}
