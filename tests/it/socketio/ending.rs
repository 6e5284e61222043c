//! Every way a socket can end, and that the application hears of it once.

use super::*;

#[tokio::test]
async fn every_ending_is_reported_once_with_its_reason() {
    let mut stage = Stage::new().await;
    for (packet, then, reason) in [
        ("41", None, "client_disconnected"),
        (r#"42["disconnect me"]"#, Some("41"), "server_disconnected"),
        (r#"42["expire"]"#, None, "token_expired"),
        (r#"42["panic"]"#, None, "handler_panicked"),
        ("4abc", None, "parse_error"),
    ] {
        let (mut ws, _) = stage.joined().await;
        ws.send(packet).await;
        if let Some(then) = then {
            ws.expect(then).await;
        }
        stage
            .expect_event(&format!("left, state of /: {reason}"))
            .await;
        drop(ws);
        stage.server.idle().await;
        assert!(stage.events.try_recv().is_err(), "{packet}");
        assert_eq!((stage.main().len(), stage.main().room_count()), (0, 0));
    }
}

#[tokio::test]
async fn shutdown_sends_no_disconnect_so_that_clients_come_back() {
    let mut stage = Stage::new().await;
    let (mut ws, _) = stage.joined().await;
    ws.send("40/custom").await;
    expect_connect(&mut ws, "40/custom,").await;
    let (drained, end) = tokio::join!(
        stage.server.engine.shutdown(Duration::from_secs(10)),
        ws.next()
    );
    assert!(drained);
    assert_eq!(end, Next::Closed(1001));
    stage
        .expect_event("left, state of /: server_shutdown")
        .await;
    stage
        .expect_event("left, state of /custom: server_shutdown")
        .await;
}

#[tokio::test]
async fn disconnecting_from_outside_reaches_an_idle_client() {
    let mut stage = Stage::new().await;
    let (mut ws, id) = stage.joined().await;
    stage.main().socket(id).unwrap().disconnect();
    ws.expect("41").await;
    stage
        .expect_event("left, state of /: server_disconnected")
        .await;
    ws.send(r#"42["too late"]"#).await;
    ws.send("41").await;
    ws.send("40").await;
    expect_connect(&mut ws, "40").await;
    assert!(stage.events.try_recv().is_err());
}

#[tokio::test]
async fn a_room_can_be_closed() {
    let mut stage = Stage::new().await;
    let (mut a, _) = stage.in_room("user:1").await;
    let (mut b, _) = stage.in_room("user:1").await;
    let (mut other, _) = stage.in_room("user:2").await;
    assert_eq!(
        stage.main().close_room("user:1", CloseReason::TokenExpired),
        2
    );
    assert_eq!(a.next().await, Next::Closed(1005));
    assert_eq!(b.next().await, Next::Closed(1005));
    for _ in 0..2 {
        stage.expect_event("left, state of /: token_expired").await;
    }
    assert_eq!(stage.main().socket_count("user:1"), 0);
    assert_eq!(stage.main().socket_count("user:2"), 1);
    other.send(r#"42["rooms"]"#).await;
    other.expect(r#"42["rooms",["all","user:2"]]"#).await;
}
