//! What `on_connect` may do, and that a refusal leaves no trace.

use super::*;

#[tokio::test]
async fn the_reply_comes_before_everything_emitted_meanwhile() {
    let mut stage = Stage::new().await;
    let mut ws = stage.server.websocket().await;
    ws.send(r#"40{"do":"wait"}"#).await;
    ws.send(r#"42["buffered"]"#).await;
    stage.expect_event("connecting").await;
    stage
        .main()
        .broadcast(&stage.event("outside"), &["all"], &[]);
    stage
        .main()
        .broadcast(&stage.event("volatile").volatile(), &["all"], &[]);
    stage.server.engine.handler().handler().release.notify_one();
    let id = expect_connect(&mut ws, "40").await;
    ws.expect(&format!(r#"42["early","{id}"]"#)).await;
    ws.expect(r#"42["first",1]"#).await;
    ws.expect(r#"42["outside",1]"#).await;
    ws.expect(r#"42["second",2]"#).await;
    stage.expect_event("buffered state of /").await;
}

#[tokio::test]
async fn a_refusal_leaves_no_trace() {
    let stage = Stage::new().await;
    let mut ws = stage.server.websocket().await;
    ws.send(r#"40{"do":"refuse"}"#).await;
    ws.expect(r#"44{"message":"no","data":{"code":7}}"#).await;
    assert_eq!((stage.main().len(), stage.main().room_count()), (0, 0));
    ws.send("40").await;
    expect_connect(&mut ws, "40").await;
}

#[tokio::test]
async fn a_panic_leaves_no_trace() {
    let mut stage = Stage::new().await;
    let mut ws = stage.server.websocket().await;
    ws.send("40/custom,").await;
    expect_connect(&mut ws, "40/custom,").await;
    ws.send(r#"40{"do":"panic"}"#).await;
    assert_eq!(ws.next().await, Next::Closed(1005));
    assert_eq!((stage.main().len(), stage.main().room_count()), (0, 0));
    // The namespace that had been joined hears of the end.
    stage
        .expect_event("left, state of /custom: handler_panicked")
        .await;
    assert!(stage.events.try_recv().is_err());
}

#[tokio::test]
async fn disconnecting_during_on_connect_still_sends_both_packets() {
    let mut stage = Stage::new().await;
    let mut ws = stage.server.websocket().await;
    ws.send(r#"40{"do":"leave"}"#).await;
    expect_connect(&mut ws, "40").await;
    ws.expect("41").await;
    stage
        .expect_event("left, state of /: server_disconnected")
        .await;
    ws.send("40").await;
    expect_connect(&mut ws, "40").await;
}

#[tokio::test]
async fn losing_the_transport_during_on_connect_disconnects_once() {
    let mut stage = Stage::new().await;
    let mut ws = stage.server.websocket().await;
    ws.send(r#"40{"do":"wait"}"#).await;
    stage.expect_event("connecting").await;
    drop(ws);
    stage.server.engine.handler().handler().release.notify_one();
    stage.expect_event("left, state of /: transport_lost").await;
    stage.server.idle().await;
    assert!(stage.events.try_recv().is_err());
    assert!(stage.main().is_empty());
}
