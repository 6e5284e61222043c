//! From polling to a websocket, with everything that can go wrong on the way.

use super::*;

#[tokio::test]
async fn whatever_else_the_probe_says_costs_only_its_websocket() {
    let server = echo().await;
    let poller = server.poller().await;
    for first in ["4hello", "2", "abc", "", "1", "3probe"] {
        for probed in [false, true] {
            let mut ws = poller.upgrade().await;
            if probed {
                ws.send("2probe").await;
                ws.expect("3probe").await;
            }
            ws.send(first).await;
            assert_eq!(ws.next().await, Next::Closed(1005), "{first}");
            assert!(is_open(&poller).await, "{first}");
        }
    }
    let mut ws = poller.upgraded().await;
    while ws.next().await != Next::Text("4still here".to_owned()) {}
}

#[tokio::test]
async fn a_probe_that_dies_costs_only_itself() {
    let server = echo().await;
    let poller = server.poller().await;
    for probed in [false, true] {
        let mut ws = poller.upgrade().await;
        if probed {
            ws.send("2probe").await;
            ws.expect("3probe").await;
        }
        ws.0.get_ref().set_zero_linger().unwrap();
    }
    // The next poll is held again once the server has noticed.
    poller.expect_post("4hello", 200).await;
    while poller.get().await.body != "4hello" {}
    let mut ws = poller.upgraded().await;
    ws.send("4hello").await;
    ws.expect("4hello").await;
}

#[tokio::test]
async fn a_probe_that_stays_silent_is_closed() {
    let config = Config {
        upgrade_timeout: Duration::from_millis(50),
        ..patient()
    };
    let server = Server::engine_echo(config).await;
    let poller = server.poller().await;
    let mut ws = poller.upgrade().await;
    assert_eq!(ws.next().await, Next::Closed(1005));
    assert!(is_open(&poller).await);
}

#[tokio::test]
async fn the_end_without_a_probe_is_accepted() {
    let server = echo().await;
    let poller = server.poller().await;
    let mut ws = poller.upgrade().await;
    ws.send("5").await;
    ws.send("4hello").await;
    ws.expect("4hello").await;
}

#[tokio::test]
async fn polls_are_released_again_and_again_but_not_in_a_tight_loop() {
    let server = echo().await;
    let poller = server.poller().await;
    let mut held = poller.held_get().await;
    let mut ws = poller.upgrade().await;
    ws.send("2probe").await;
    ws.expect("3probe").await;
    assert_eq!(held.answer().await.body, "6");
    let start = Instant::now();
    for _ in 0..5 {
        poller.expect_get(200, "6").await;
    }
    assert!(start.elapsed() >= Duration::from_millis(200));
    ws.send("5").await;
    ws.send("4hello").await;
    ws.expect("4hello").await;
    assert_eq!(poller.get().await.body, refusal(3));
    assert_eq!(poller.post("4a").await.body, refusal(3));
}

#[tokio::test]
async fn a_second_websocket_during_the_probe_is_accepted_and_closed() {
    let server = echo().await;
    let poller = server.poller().await;
    let mut first = poller.upgrade().await;
    first.send("2probe").await;
    first.expect("3probe").await;
    let mut second = poller.upgrade().await;
    assert_eq!(second.next().await, Next::Closed(1005));
    first.send("5").await;
    first.send("4hello").await;
    first.expect("4hello").await;
}

#[tokio::test]
async fn messages_sent_meanwhile_arrive_in_order_on_the_websocket() {
    let server = echo().await;
    let poller = server.poller().await;
    poller.expect_post("41", 200).await;
    let mut ws = poller.upgrade().await;
    poller.expect_post("42", 200).await;
    ws.send("2probe").await;
    ws.expect("3probe").await;
    poller.expect_post("43", 200).await;
    ws.send("5").await;
    ws.send("44").await;
    for text in ["41", "42", "43", "44"] {
        ws.expect(text).await;
    }
    assert_eq!(
        server.engine.sessions(),
        Counts {
            polling: 0,
            websocket: 1,
            unaccepted: 1,
        }
    );
}

#[tokio::test]
async fn the_post_in_flight_comes_first() {
    let server = echo().await;
    let poller = server.poller().await;
    let mut raw = Raw::connect(server.address).await;
    raw.write(format!(
        "POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\n4fi",
        server.target(&poller.query())
    ))
    .await;
    let mut ws = poller.upgraded().await;
    ws.send("4second").await;
    sleep(Duration::from_millis(20)).await;
    raw.write("rst").await;
    assert_eq!(raw.answer().await.body, "ok");
    ws.expect("4first").await;
    ws.expect("4second").await;
}

#[tokio::test]
async fn the_probe_ends_with_its_session() {
    let server = echo().await;
    let poller = server.poller().await;
    let mut ws = poller.upgrade().await;
    ws.send("2probe").await;
    ws.expect("3probe").await;
    poller.expect_post("1", 200).await;
    assert_eq!(ws.next().await, Next::Closed(1005));
}

#[tokio::test]
async fn the_poll_held_at_the_end_is_released_and_one_that_overtook_it_is_refused() {
    let server = echo().await;
    let poller = server.poller().await;
    let mut held = poller.held_get().await;
    sleep(Duration::from_millis(50)).await;
    let mut ws = poller.upgrade().await;
    ws.send("5").await;
    assert_eq!(held.answer().await.body, "6");

    let poller = server.poller().await;
    let mut ws = poller.upgrade().await;
    let mut held = poller.held_get().await;
    sleep(Duration::from_millis(50)).await;
    ws.send("2probe").await;
    ws.send("5").await;
    assert_eq!(held.answer().await.body, refusal(3));
    ws.expect("3probe").await;
    ws.send("4hello").await;
    ws.expect("4hello").await;
}
