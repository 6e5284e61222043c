//! Rooms, and sending to many.

use super::*;

#[tokio::test]
async fn reaches_each_socket_of_any_room_once() {
    let stage = Stage::new().await;
    let (mut both, both_id) = stage.in_room("a").await;
    both.send(r#"421["join","b"]"#).await;
    both.expect(r#"431["done"]"#).await;
    let (mut one, one_id) = stage.in_room("b").await;
    let (mut none, _) = stage.joined().await;

    let reached = stage
        .main()
        .broadcast(&stage.event("x"), &["a", "b", "nobody"], &[]);
    assert_eq!((reached.sockets, reached.missed), (2, 0));
    let reached = stage
        .main()
        .broadcast(&stage.event("y"), &["a", "b"], &[both_id]);
    assert_eq!(reached.sockets, 1);
    let reached = stage
        .main()
        .broadcast(&stage.event("z"), &["b".to_owned()], &[one_id]);
    assert_eq!(reached.sockets, 1);
    assert_eq!(
        stage
            .main()
            .broadcast_to_all(&stage.event("end"), &[])
            .sockets,
        3
    );

    for event in ["x", "z", "end"] {
        both.expect(&format!(r#"42["{event}",1]"#)).await;
    }
    for event in ["x", "y", "end"] {
        one.expect(&format!(r#"42["{event}",1]"#)).await;
    }
    none.expect(r#"42["end",1]"#).await;
}

#[tokio::test]
async fn rooms_are_exact_and_emptied_rooms_vanish() {
    let stage = Stage::new().await;
    let (mut ws, id) = stage.in_room("user:1").await;
    for room in ["user:", "user:11", "USER:1", "user:1 ", ""] {
        assert_eq!(stage.main().socket_count(room), 0, "{room}");
    }
    assert_eq!(stage.main().sockets("user:1")[0].id(), id);
    assert_eq!(stage.main().room_count(), 2);
    ws.send(r#"421["leave","user:1"]"#).await;
    ws.expect(r#"431["done"]"#).await;
    assert_eq!(stage.main().room_count(), 1);
    let reached = stage.main().broadcast(&stage.event("x"), &["user:1"], &[]);
    assert_eq!(reached, jivchat::socketio::Reached::default());
}

#[tokio::test]
async fn namespaces_do_not_mix() {
    let stage = Stage::new().await;
    let (mut ws, _) = stage.joined().await;
    ws.send("40/custom").await;
    expect_connect(&mut ws, "40/custom,").await;
    let custom = stage
        .server
        .engine
        .handler()
        .io()
        .namespace("/custom")
        .unwrap();
    let event = Outgoing::new(custom, "x", &1).unwrap();
    assert_eq!(custom.broadcast(&event, &["all"], &[]).sockets, 1);
    stage.main().broadcast(&stage.event("y"), &["all"], &[]);
    ws.expect(r#"42/custom,["x",1]"#).await;
    ws.expect(r#"42["y",1]"#).await;
}

#[tokio::test]
async fn a_slow_consumer_harms_only_itself() {
    let mut stage = Stage::new().await;
    let (mut fast, _) = stage.in_room("r").await;
    let slow = stage.server.poller().await;
    slow.expect_post("40", 200).await;
    slow.expect_post(r#"42["join","r"]"#, 200).await;
    let mut sent = 0;
    loop {
        let reached = stage.main().broadcast(&stage.event("x"), &["r"], &[]);
        assert!(reached.sockets >= 1);
        fast.expect(r#"42["x",1]"#).await;
        sent += 1;
        if reached.missed == 1 {
            break;
        }
        assert!(sent < 1000, "the queue has no end");
    }
    // Not through `expect_event`: `slow` borrows the server.
    let event = stage.events.recv().await.unwrap();
    assert_eq!(event, "left, state of /: slow_consumer");
    slow.expect_gone().await;
    assert_eq!(stage.server.closes(CloseReason::SlowConsumer), 1);
    assert_eq!(stage.main().socket_count("r"), 1);
}

#[tokio::test]
async fn volatile_events_are_dropped_and_messages_are_not() {
    let stage = Stage::new().await;
    let slow = stage.server.poller().await;
    slow.expect_post("40", 200).await;
    let typing = stage.event("typing").volatile();
    for _ in 0..1000 {
        stage.main().broadcast(&typing, &["all"], &[]);
    }
    assert_eq!(
        stage
            .main()
            .broadcast(&stage.event("message"), &["all"], &[])
            .sockets,
        1
    );
    let payload = slow.get().await.body;
    assert!(payload.ends_with(r#"42["message",1]"#), "{payload}");
    assert!(payload.split('\x1e').count() < 100);
}

#[tokio::test]
async fn many_sockets_see_the_same_order() {
    let stage = Stage::new().await;
    let mut sockets = Vec::new();
    for _ in 0..20 {
        sockets.push(stage.in_room("r").await.0);
    }
    for n in 0..50 {
        let event = Outgoing::new(stage.main(), "n", &n).unwrap();
        assert_eq!(stage.main().broadcast(&event, &["r"], &[]).sockets, 20);
    }
    for ws in &mut sockets {
        for n in 0..50 {
            ws.expect(&format!(r#"42["n",{n}]"#)).await;
        }
    }
}
