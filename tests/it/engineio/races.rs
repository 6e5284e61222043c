//! An upgrade and everything that can happen at the same moment: polls and POSTs aborted or doubled, timeouts, ends, what is sent
//! meanwhile.

use super::*;
use crate::support::settled;

async fn probed<H: Handler>(poller: &Poller<'_, H>) -> Ws {
    let mut ws = poller.upgrade().await;
    ws.send("2probe").await;
    ws.expect("3probe").await;
    ws
}

#[tokio::test]
async fn what_ends_the_session_while_probing_ends_the_probe() {
    let (server, mut events, mut sessions) = recording_sessions(patient()).await;
    for (name, reason) in [
        ("aborted poll", "transport_lost"),
        ("second poll", "overlapping_requests"),
        ("aborted POST", "transport_lost"),
        ("second POST", "overlapping_requests"),
        ("bad POST", "parse_error"),
        ("client closes", "client_closed"),
        ("server closes", "server_closed"),
        ("token expires", "token_expired"),
    ] {
        let poller = server.poller().await;
        let session = sessions.recv().await.unwrap();
        let target = server.target(&poller.query());
        let half = format!("POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n4a");
        let mut ws = probed(&poller).await;
        let mut raw = Raw::connect(server.address).await;
        match name {
            "aborted poll" => {
                let held = poller.held_get().await;
                settled().await;
                drop(held);
            }
            "second poll" => {
                let _held = poller.held_get().await;
                settled().await;
                assert_eq!(poller.get().await.status, 400);
            }
            "aborted POST" => {
                raw.write(&half).await;
                settled().await;
                drop(raw);
            }
            "second POST" => {
                raw.write(&half).await;
                settled().await;
                poller.expect_post("4b", 400).await;
                assert_eq!(raw.answer().await.status, 400);
            }
            "bad POST" => poller.expect_post("abc", 400).await,
            "client closes" => poller.expect_post("1", 200).await,
            "server closes" => assert!(session.close(CloseReason::ServerClosed)),
            _ => session.expire_at(Some(Instant::now())),
        }
        assert_eq!(ws.next().await, Next::Closed(1005), "{name}");
        let event = patiently(events.recv()).await.unwrap();
        assert_eq!(event, format!("closed {reason}"), "{name}");
        assert_eq!(
            server.connect(&poller.upgrade_query()).await.err(),
            Some(400),
            "{name}: nobody can upgrade what has ended"
        );
    }
    server.idle().await;
}

#[tokio::test]
async fn a_post_cut_short_during_the_handover_ends_the_session() {
    let (server, mut events) = recording(patient()).await;
    let poller = server.poller().await;
    let target = server.target(&poller.query());
    let mut raw = Raw::connect(server.address).await;
    raw.write(format!(
        "POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n4a"
    ))
    .await;
    settled().await;
    let mut ws = poller.upgraded().await;
    ws.send("4never").await;
    settled().await;
    drop(raw);
    assert_eq!(ws.next().await, Next::Closed(1005));
    assert_eq!(
        patiently(events.recv()).await.unwrap(),
        "closed transport_lost"
    );
    server.idle().await;
}

#[tokio::test]
async fn after_a_failed_probe_polls_are_held_again_and_the_next_probe_works() {
    let config = Config {
        upgrade_timeout: Duration::from_millis(150),
        ..patient()
    };
    let (server, _events, mut sessions) = recording_sessions(config).await;
    let poller = server.poller().await;
    let session = sessions.recv().await.unwrap();
    for (name, code) in [
        ("timeout", Some(1005)),
        ("close frame", Some(1005)),
        ("garbage", Some(1005)),
        ("reserved bits", Some(1002)),
        ("too large", Some(1009)),
        ("reset", None),
    ] {
        let mut ws = probed(&poller).await;
        match name {
            "close frame" => ws.send_raw(tungstenite::Message::Close(None)).await,
            "garbage" => ws.send("garbage").await,
            "reserved bits" => {
                let stream = ws.0.get_mut();
                stream.write_all(&[0xf1, 0x80, 0, 0, 0, 0]).await.unwrap();
            }
            "too large" => ws.send(&"2".repeat(1_000_001)).await,
            "reset" => ws.0.get_ref().set_zero_linger().unwrap(),
            _ => {}
        }
        match code {
            Some(code) => assert_eq!(ws.next().await, Next::Closed(code), "{name}"),
            None => drop(ws),
        }
        let mut held = poller.held_get().await;
        // Longer than a probed session holds a poll.
        let early = timeout(Duration::from_millis(250), held.0.peek(&mut [0])).await;
        if early.is_ok() {
            // The server had not seen the end of the probe yet.
            assert_eq!(held.answer().await.body, "6", "{name}");
            held = poller.held_get().await;
        }
        settled().await;
        assert!(session.send(&[Frame::message(name)]));
        assert_eq!(held.answer().await.body, format!("4{name}"));
    }
    let mut ws = poller.upgraded().await;
    settled().await;
    assert!(session.send(&[Frame::message("over")]));
    ws.expect("4over").await;
}

#[tokio::test]
async fn what_the_server_sends_at_each_step_comes_once_and_in_order() {
    let (server, _events, mut sessions) = recording_sessions(patient()).await;
    for held_at_the_probe in [false, true] {
        let poller = server.poller().await;
        let session = sessions.recv().await.unwrap();
        let send = |text: &str| assert!(session.send(&[Frame::message(text)]));
        let mut held = None;
        if held_at_the_probe {
            held = Some(poller.held_get().await);
            settled().await;
        }
        let mut bodies = Vec::new();
        send("before the websocket");
        let mut ws = poller.upgrade().await;
        send("before the probe");
        ws.send("2probe").await;
        ws.expect("3probe").await;
        send("after the probe");
        if let Some(mut held) = held {
            bodies.push(held.answer().await.body);
            // The poll the client opened before it read the answer to its probe.
            bodies.push(poller.get().await.body);
        }
        send("before the end");
        ws.send("5").await;
        settled().await;
        send("after the end");
        let mut all: Vec<String> = bodies
            .iter()
            .flat_map(|body| body.split('\x1e'))
            .map(str::to_owned)
            .collect();
        while all.last().is_none_or(|last| last != "4after the end") {
            match ws.next().await {
                Next::Text(text) => all.push(text),
                end => panic!("{end:?} after {all:?}"),
            }
        }
        assert_eq!(
            all,
            [
                "4before the websocket",
                "4before the probe",
                "4after the probe",
                "4before the end",
                "4after the end"
            ],
            "{held_at_the_probe}"
        );
    }
}

#[tokio::test]
async fn a_poll_whose_answer_is_not_read_does_not_hold_the_upgrade_up() {
    let (server, _events, mut sessions) = recording_sessions(patient()).await;
    let poller = server.poller().await;
    let session = sessions.recv().await.unwrap();
    let large = "x".repeat(1_000_000);
    for _ in 0..4 {
        assert!(session.send(&[Frame::message(&large)]));
    }
    let mut slow = poller.held_get().await;
    let mut start = [0; 12];
    patiently(slow.0.read_exact(&mut start)).await.unwrap();
    let mut ws = poller.upgraded().await;
    settled().await;
    assert!(session.send(&[Frame::message("on the websocket")]));
    ws.expect("4on the websocket").await;
    // What the poll was given is still there for it.
    let mut rest = Vec::new();
    while rest.len() < 4_000_000 {
        let mut buffer = vec![0; 1 << 16];
        let read = patiently(slow.0.read(&mut buffer)).await.unwrap();
        assert!(read > 0, "cut off after {}", rest.len());
        rest.extend_from_slice(&buffer[..read]);
    }
}

#[tokio::test]
async fn ten_probes_at_once_and_one_wins() {
    let server = echo().await;
    let poller = server.poller().await;
    let mut sockets = Vec::new();
    for _ in 0..10 {
        sockets.push(poller.upgrade().await);
    }
    for ws in &mut sockets {
        ws.send("2probe").await;
    }
    let mut first = sockets.remove(0);
    first.expect("3probe").await;
    for mut ws in sockets {
        assert_eq!(ws.next().await, Next::Closed(1005));
    }
    first.send("5").await;
    first.send("4hello").await;
    first.expect("4hello").await;
    // And after it.
    let mut late = poller.upgrade().await;
    assert_eq!(late.next().await, Next::Closed(1005));
    first.send("4again").await;
    first.expect("4again").await;
}

#[tokio::test]
async fn an_upgrade_that_contradicts_its_session_costs_nothing() {
    let server = echo().await;
    let poller = server.poller().await;
    let sid = &poller.sid;
    for query in [
        format!("EIO=3&transport=websocket&sid={sid}"),
        format!("transport=websocket&sid={sid}"),
        format!("EIO=4&transport=polling&sid={sid}"),
        format!("EIO=4&transport=abc&sid={sid}"),
    ] {
        assert_eq!(server.connect(&query).await.err(), Some(400), "{query}");
    }
    let mut ws = poller.upgraded().await;
    ws.send("4hello").await;
    ws.expect("4hello").await;
}

#[tokio::test]
async fn probing_twice_is_answered_twice() {
    let server = echo().await;
    let poller = server.poller().await;
    let mut ws = probed(&poller).await;
    ws.send("2probe").await;
    ws.expect("3probe").await;
    ws.send("5").await;
    ws.send("4hello").await;
    ws.expect("4hello").await;
}

#[tokio::test]
async fn the_last_answer_is_there_once_and_not_for_long() {
    let server = echo().await;
    let fetched = server.poller().await;
    let forgotten = server.poller().await;
    for poller in [&fetched, &forgotten] {
        poller.expect_post("1", 200).await;
        // Only a poll can have it.
        assert_eq!(poller.post("4a").await.body, refusal(1));
        assert_eq!(
            server.connect(&poller.upgrade_query()).await.err(),
            Some(400)
        );
    }
    fetched.expect_get(200, "6").await;
    fetched.expect_gone().await;
    sleep(Duration::from_millis(1100)).await;
    forgotten.expect_gone().await;
}

#[tokio::test]
async fn a_sid_is_dead_after_its_session() {
    let server = echo().await;
    let mut ws = server.connect(OPEN_WEBSOCKET).await.unwrap();
    let Next::Text(open) = ws.next().await else {
        panic!("not text");
    };
    let poller = Poller {
        server: &server,
        sid: sid(&open),
    };
    // Of a websocket there is nothing to poll, and nothing to upgrade.
    assert_eq!(poller.get().await.body, refusal(3));
    assert_eq!(poller.post("4a").await.body, refusal(3));
    assert_eq!(poller.upgrade().await.next().await, Next::Closed(1005));
    ws.send("1").await;
    assert_eq!(ws.next().await, Next::Closed(1005));
    server.idle().await;
    while poller.get().await.body != refusal(1) {
        settled().await;
    }
    assert_eq!(poller.post("4a").await.body, refusal(1));
    assert_eq!(
        server.connect(&poller.upgrade_query()).await.err(),
        Some(400)
    );
}
