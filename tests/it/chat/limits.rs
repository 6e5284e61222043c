//! The limits of the protocol as flags: each one set low, and just passed.

use serde_json::json;
use tokio::time::{Instant, sleep};

use super::rest::text;
use super::server::TestServer;
use super::sockets::{Client, Poller};
use super::within;

#[tokio::test]
async fn a_packet_past_a_limit_ends_its_session() {
    let ping = "42[\"unheard\"]\x1e";
    for (flag, allowed, refused) in [
        (
            "--max-payload=1024",
            format!("42[\"x\",\"{}\"]", "y".repeat(900)),
            format!("42[\"x\",\"{}\"]", "y".repeat(1100)),
        ),
        (
            "--max-event-name-length=16",
            format!("42[\"{}\"]", "x".repeat(16)),
            format!("42[\"{}\"]", "x".repeat(17)),
        ),
        (
            "--max-json-depth=4",
            r#"42["x",[[[1]]]]"#.to_owned(),
            r#"42["x",[[[[1]]]]]"#.to_owned(),
        ),
        (
            "--max-namespace-length=4",
            "40/abc".to_owned(),
            "40/abcd".to_owned(),
        ),
        (
            "--max-packets-per-post=16",
            format!("{}42[\"x\"]", ping.repeat(15)),
            format!("{}42[\"x\"]", ping.repeat(16)),
        ),
        (
            "--max-attachments=1",
            "451-[\"x\",{\"_placeholder\":true,\"num\":0}]\x1ebAAAA".to_owned(),
            "452-[\"x\",{\"_placeholder\":true,\"num\":0}]\x1ebAAAA\x1ebAAAA".to_owned(),
        ),
        // By default there are none.
        (
            "--max-fragments=9",
            "42[\"x\"]".to_owned(),
            "451-[\"x\",{\"_placeholder\":true,\"num\":0}]\x1ebAAAA".to_owned(),
        ),
    ] {
        let server = TestServer::start(&[flag]).await;
        let asha = server.user("asha").await;
        let (poller, _) = Poller::connect(&server, asha.token.as_deref()).await;
        assert_eq!(poller.status_of(&allowed).await, 200, "{flag}");
        poller.status_of(&refused).await;
        assert_eq!(
            poller.status_of("3").await,
            400,
            "{flag}: the session is gone"
        );
        server.stop().await;
    }
}

#[tokio::test]
async fn who_never_connects_is_gone_in_time() {
    let server = TestServer::start(&["--connect-timeout=100"]).await;
    let open = server
        .anonymous()
        .get("/socket.io/?EIO=4&transport=polling")
        .await;
    let open = String::from_utf8(open.body).unwrap();
    let open: serde_json::Value = serde_json::from_str(&open[1..]).unwrap();
    let path = format!(
        "/socket.io/?EIO=4&transport=polling&sid={}",
        text(&open["sid"])
    );
    let answer = within("the end", async { server.anonymous().get(&path).await }).await;
    assert_eq!(answer.body, b"1");
}

#[tokio::test]
async fn strangers_leave_room_for_those_who_connect() {
    let server = TestServer::start(&["--max-unauthenticated=3"]).await;
    let asha = server.user("asha").await;
    // Those who have connected do not count.
    let mut sockets = Vec::new();
    for _ in 0..5 {
        sockets.push(Client::connect(&server, &asha).await);
    }
    let open = "/socket.io/?EIO=4&transport=polling";
    let began = Instant::now();
    let mut refused = 0;
    for _ in 0..20 {
        let answer = server.anonymous().get(open).await;
        refused += usize::from(answer.status == 503);
    }
    let took = began.elapsed();
    assert!(
        refused == 17 || took.as_secs() >= 1,
        "{refused} refused in {took:?}"
    );
    // A crowd of strangers has a place for a moment only.
    within("a place", async {
        while server.anonymous().get(open).await.status == 503 {
            sleep(std::time::Duration::from_millis(50)).await;
        }
    })
    .await;
    for socket in &mut sockets {
        socket.call("leave-chat", &json!("x")).await;
    }
}

#[tokio::test]
async fn events_beyond_the_rate_come_later_unless_it_is_off() {
    for (flags, is_slow) in [
        (&["--max-events-per-second=10"][..], true),
        // With a limit they would take a minute.
        (&["--max-events-per-second=1", "--no-rate-limit"], false),
        (&["--max-events-per-second=0"], false),
        (&["--max-bytes-per-second=150"], true),
    ] {
        let server = TestServer::start(flags).await;
        let asha = server.user("asha").await;
        let (poller, _) = Poller::connect(&server, asha.token.as_deref()).await;
        let events = vec![r#"42["nothing"]"#; 60].join("\x1e");
        let began = Instant::now();
        assert_eq!(poller.status_of(&events).await, 200);
        let took = began.elapsed();
        // Two of six seconds' worth pass at once.
        if is_slow {
            assert!(took.as_millis() > 3500, "{flags:?}: {took:?}");
        } else {
            assert!(took.as_secs() < 30, "{flags:?}: {took:?}");
        }
        assert_eq!(poller.status_of("3").await, 200, "{flags:?}");
    }
}
