//! Every way a session can end, and that it ends once.

use super::*;

#[tokio::test]
async fn a_server_close_hands_over_what_is_queued() {
    let (server, mut events) = recording(patient()).await;
    let poller = server.poller().await;
    poller.expect_post("4close", 200).await;
    poller.expect_get(200, "4last\x1e1").await;
    poller.expect_gone().await;
    let mut ws = server.websocket().await;
    ws.send("4close").await;
    ws.expect("4last").await;
    assert_eq!(ws.next().await, Next::Closed(1005));
    for _ in 0..2 {
        assert_eq!(events.recv().await.unwrap(), "close");
        assert_eq!(events.recv().await.unwrap(), "closed server_closed");
    }
    assert_eq!(server.closes(CloseReason::ServerClosed), 2);
    server.idle().await;
}

#[tokio::test]
async fn a_farewell_nobody_fetches_is_forgotten() {
    let config = Config {
        farewell_timeout: Duration::from_millis(30),
        ..patient()
    };
    let (server, mut events) = recording(config).await;
    let poller = server.poller().await;
    poller.expect_post("4close", 200).await;
    assert_eq!(events.recv().await.unwrap(), "close");
    assert_eq!(events.recv().await.unwrap(), "closed server_closed");
    sleep(Duration::from_millis(60)).await;
    poller.expect_gone().await;
    assert!(server.engine.shutdown(Duration::from_secs(5)).await);
}

#[tokio::test]
async fn a_client_that_closes_before_it_polls_learns_of_it_once() {
    let (server, mut events) = recording(patient()).await;
    let poller = server.poller().await;
    poller.expect_post("4a\x1e1\x1e4b", 200).await;
    poller.expect_get(200, "6").await;
    poller.expect_gone().await;
    assert_eq!(events.recv().await.unwrap(), "a");
    assert_eq!(events.recv().await.unwrap(), "closed client_closed");
}

#[tokio::test]
async fn a_panic_ends_its_session_and_no_other() {
    let (server, mut events) = recording(patient()).await;
    let mut other = server.websocket().await;
    let mut ws = server.websocket().await;
    ws.send("4panic").await;
    assert_eq!(ws.next().await, Next::Closed(1005));
    let poller = server.poller().await;
    assert_eq!(poller.post("4panic").await.status, 400);
    poller.expect_gone().await;
    for _ in 0..2 {
        assert_eq!(events.recv().await.unwrap(), "closed handler_panicked");
    }
    other.send("4who").await;
    other.expect("4true None").await;
}

#[tokio::test]
async fn a_running_handler_is_not_cancelled_and_nothing_starts_after_it() {
    let (server, mut events, mut sessions) = recording_sessions(patient()).await;
    let mut ws = server.websocket().await;
    let session = sessions.recv().await.unwrap();
    ws.send("4block").await;
    ws.send("4never").await;
    ws.expect("4blocking").await;
    assert!(session.close(CloseReason::ServerClosed));
    assert!(!session.close(CloseReason::TokenExpired));
    // The client learns at once, the handler finishes in its own time.
    assert_eq!(ws.next().await, Next::Closed(1005));
    assert!(events.try_recv().is_err());
    server.engine.handler().release.notify_one();
    assert_eq!(events.recv().await.unwrap(), "block");
    assert_eq!(events.recv().await.unwrap(), "closed server_closed");
    assert!(!session.send(&[Frame::message("late")]));
}

#[tokio::test]
async fn writes_and_pings_go_on_while_a_handler_runs() {
    let config = Config {
        ping_interval: Duration::from_millis(200),
        ping_timeout: Duration::from_secs(1),
        ..patient()
    };
    let (server, _events, mut sessions) = recording_sessions(config).await;
    let mut ws = server.websocket().await;
    let session = sessions.recv().await.unwrap();
    ws.send("4block").await;
    ws.expect("4blocking").await;
    session.send(&[Frame::message("meanwhile")]);
    assert_eq!(ws.next().await, Next::Text("4meanwhile".to_owned()));
    assert_eq!(ws.next().await, Next::Text("2".to_owned()));
    ws.send("3").await;
    sleep(Duration::from_millis(1300)).await;
    // The PONG could not be read before; that is not the client's fault.
    server.engine.handler().release.notify_one();
    ws.send("4who").await;
    ws.expect("4true None").await;
}

#[tokio::test]
async fn waking_calls_the_application_between_messages() {
    let (server, mut events, mut sessions) = recording_sessions(patient()).await;
    let _ws = server.websocket().await;
    sessions.recv().await.unwrap().wake();
    assert_eq!(events.recv().await.unwrap(), "woken");
    let _poller = server.poller().await;
    sessions.recv().await.unwrap().wake();
    assert_eq!(events.recv().await.unwrap(), "woken");
}

#[tokio::test]
async fn deadlines_end_the_session() {
    let (server, mut events, mut sessions) = recording_sessions(patient()).await;
    let mut ws = server.websocket().await;
    let session = sessions.recv().await.unwrap();
    session.expire_at(Some(Instant::now() + Duration::from_mins(1)));
    session.set_deadline(Some(Instant::now() + Duration::from_millis(10)));
    session.set_deadline(None);
    session.expire_at(Some(Instant::now() + Duration::from_millis(30)));
    assert_eq!(ws.next().await, Next::Closed(1005));
    assert_eq!(events.recv().await.unwrap(), "closed token_expired");
    let poller = server.poller().await;
    let session = sessions.recv().await.unwrap();
    session.set_deadline(Some(Instant::now() + Duration::from_millis(10)));
    poller.expect_get(200, "1").await;
    assert_eq!(events.recv().await.unwrap(), "closed deadline_passed");
}

#[tokio::test]
async fn a_session_nobody_uses_is_reaped() {
    let (server, mut events) = recording(official()).await;
    for _ in 0..100 {
        server.poller().await;
    }
    for _ in 0..100 {
        assert_eq!(events.recv().await.unwrap(), "closed heartbeat_missed");
    }
    server.idle().await;
    assert!(server.engine.shutdown(Duration::from_secs(5)).await);
}

#[tokio::test]
async fn a_held_poll_learns_of_a_missed_heartbeat() {
    let server = Server::engine_echo(official()).await;
    let poller = server.poller().await;
    poller.expect_get(200, "2").await;
    poller.expect_get(200, "1").await;
    poller.expect_gone().await;
}

#[tokio::test]
async fn unsolicited_pongs_do_no_harm() {
    let server = Server::engine_echo(patient()).await;
    let mut ws = server.websocket().await;
    for _ in 0..10_000 {
        ws.send("3").await;
    }
    ws.send("4hello").await;
    ws.expect("4hello").await;
}

#[tokio::test]
async fn unsolicited_pongs_do_not_count() {
    let config = Config {
        ping_interval: Duration::from_secs(1),
        ping_timeout: Duration::from_millis(100),
        ..patient()
    };
    let server = Server::engine_echo(config).await;
    let mut ws = server.websocket().await;
    ws.send("3").await;
    assert_eq!(ws.next().await, Next::Text("2".to_owned()));
    assert_eq!(ws.next().await, Next::Closed(1005));
    assert_eq!(server.closes(CloseReason::HeartbeatMissed), 1);
}

#[tokio::test]
async fn shutdown_closes_everybody_and_refuses_newcomers() {
    let (server, mut events) = recording(Config {
        shutdown_jitter: Duration::from_millis(50),
        ..patient()
    })
    .await;
    let poller = server.poller().await;
    let mut held = poller.held_get().await;
    let mut ws = server.websocket().await;
    let silent = server.poller().await;
    let (drained, answer, code) = tokio::join!(
        server.engine.shutdown(Duration::from_secs(10)),
        held.answer(),
        ws.closed(),
    );
    assert!(drained);
    assert_eq!(answer.body, "1");
    assert_eq!(code, 1001);
    silent.expect_gone().await;
    for _ in 0..3 {
        assert_eq!(events.recv().await.unwrap(), "closed server_shutdown");
    }
    assert_eq!(server.get(OPEN_POLLING).await.status, 503);
    assert_eq!(server.engine.sessions(), Counts::default());
}

#[tokio::test]
async fn messages_do_not_replace_pongs() {
    let server = Server::engine_echo(official()).await;
    let mut ws = server.websocket().await;
    loop {
        ws.send("4busy").await;
        match ws.next().await {
            Next::Text(text) => assert!(matches!(text.as_str(), "2" | "4busy"), "{text}"),
            end => {
                assert_eq!(end, Next::Closed(1005));
                break;
            }
        }
    }
    assert_eq!(server.closes(CloseReason::HeartbeatMissed), 1);
}
