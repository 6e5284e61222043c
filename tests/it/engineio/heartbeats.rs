//! PINGs and PONGs on the wire: when they come, what a change of transport does to them, and what does not replace them.

use super::*;
use crate::support::protocol::lenient;

fn quick() -> Config {
    Config {
        ping_interval: Duration::from_millis(100),
        ping_timeout: Duration::from_millis(400),
        ..patient()
    }
}

#[tokio::test]
async fn the_first_ping_comes_after_the_interval() {
    let server = Server::engine_echo(lenient()).await;
    let start = Instant::now();
    let poller = server.poller().await;
    poller.expect_get(200, "2").await;
    let mut ws = server.websocket().await;
    let halfway = start.elapsed();
    assert!(halfway >= Duration::from_millis(300), "{halfway:?}");
    assert_eq!(ws.next().await, Next::Text("2".to_owned()));
    assert!(start.elapsed() >= Duration::from_millis(600));
}

#[tokio::test]
async fn the_interval_starts_at_the_pong() {
    let server = Server::engine_echo(lenient()).await;
    let mut ws = server.websocket().await;
    assert_eq!(ws.next().await, Next::Text("2".to_owned()));
    sleep(Duration::from_millis(100)).await;
    ws.send("3").await;
    let ponged = Instant::now();
    assert_eq!(ws.next().await, Next::Text("2".to_owned()));
    assert!(ponged.elapsed() >= Duration::from_millis(290));
}

#[tokio::test]
async fn a_ping_got_by_polling_is_answered_on_the_websocket() {
    let server = Server::engine_echo(quick()).await;
    let poller = server.poller().await;
    poller.expect_get(200, "2").await;
    let mut ws = poller.upgraded().await;
    ws.send("3").await;
    for _ in 0..3 {
        assert_eq!(ws.next().await, Next::Text("2".to_owned()));
        ws.send("3").await;
    }
    ws.send("4hello").await;
    ws.expect("4hello").await;
}

#[tokio::test]
async fn a_pong_lost_on_the_way_over_ends_the_session_in_time() {
    let server = Server::engine_echo(quick()).await;
    let poller = server.poller().await;
    poller.expect_get(200, "2").await;
    let mut ws = poller.upgraded().await;
    let switched = Instant::now();
    assert_eq!(ws.next().await, Next::Closed(1005));
    assert!(
        switched.elapsed() >= Duration::from_millis(300),
        "no fresh deadline"
    );
    assert_eq!(server.closes(CloseReason::HeartbeatMissed), 1);
}

#[tokio::test]
async fn a_ping_that_falls_due_while_probing_reaches_the_client() {
    let server = Server::engine_echo(lenient()).await;
    // Once through the poll that is open meanwhile, once through the websocket.
    let poller = server.poller().await;
    let mut ws = poller.upgrade().await;
    ws.send("2probe").await;
    ws.expect("3probe").await;
    loop {
        match poller.get().await.body.as_str() {
            "6" => {}
            other => break assert_eq!(other, "2"),
        }
    }
    poller.expect_post("3", 200).await;
    ws.send("5").await;
    assert_eq!(ws.next().await, Next::Text("2".to_owned()));

    let poller = server.poller().await;
    let mut ws = poller.upgrade().await;
    ws.send("2probe").await;
    ws.expect("3probe").await;
    sleep(Duration::from_millis(350)).await;
    ws.send("5").await;
    assert_eq!(ws.next().await, Next::Text("2".to_owned()));
    ws.send("3").await;
    assert_eq!(ws.next().await, Next::Text("2".to_owned()));
}

#[tokio::test]
async fn a_session_that_times_out_while_probing_takes_the_websocket_along() {
    let server = Server::engine_echo(quick()).await;
    let poller = server.poller().await;
    let mut ws = poller.upgrade().await;
    ws.send("2probe").await;
    ws.expect("3probe").await;
    assert_eq!(ws.next().await, Next::Closed(1005));
    poller.expect_gone().await;
    assert_eq!(server.closes(CloseReason::HeartbeatMissed), 1);
    server.idle().await;
}

#[tokio::test]
async fn a_pong_and_a_poll_at_once() {
    let server = Server::engine_echo(quick()).await;
    let poller = server.poller().await;
    for _ in 0..5 {
        poller.expect_get(200, "2").await;
        let (post, get) = tokio::join!(poller.post("3"), poller.get());
        assert_eq!((post.body.as_str(), get.body.as_str()), ("ok", "2"));
        poller.expect_post("3", 200).await;
    }
}

#[tokio::test]
async fn a_flood_of_control_frames_costs_nothing() {
    let server = echo().await;
    let mut ws = server.websocket().await;
    for number in 0..5000_u32 {
        let payload = number.to_be_bytes().to_vec();
        let frame = if number % 2 == 0 {
            tungstenite::Message::Ping(payload.into())
        } else {
            tungstenite::Message::Pong(payload.into())
        };
        ws.send_raw(frame).await;
    }
    ws.send("4hello").await;
    ws.expect("4hello").await;
}
