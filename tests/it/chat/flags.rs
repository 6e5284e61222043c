//! The flags of the protocol and the network: what `--help` promises of each, and that the running server keeps it.

use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use super::process::bare;
use super::server::{TestServer, token};
use super::sockets::Poller;
use super::within;
use crate::support::http::{Raw, request, text};
use crate::support::protocol::{OPEN_POLLING, OPEN_WEBSOCKET, sid};
use crate::support::websocket::{Next, Ws};

fn target(query: &str) -> String {
    format!("/socket.io/?{query}")
}

async fn open_polling(server: &TestServer) -> String {
    let answer = request(server.address(), text("GET", &target(OPEN_POLLING), "", "")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    format!("{OPEN_POLLING}&sid={}", sid(&answer.body))
}

async fn get(server: &TestServer, query: &str) -> (u16, String) {
    let answer = request(server.address(), text("GET", &target(query), "", "")).await;
    (answer.status, answer.body)
}

async fn post(server: &TestServer, query: &str, body: &str) -> u16 {
    request(server.address(), text("POST", &target(query), "", body))
        .await
        .status
}

/// A websocket that has connected with a token.
async fn connected(server: &TestServer) -> Ws {
    let mut ws = Ws::connect(server.address(), &target(OPEN_WEBSOCKET))
        .await
        .unwrap();
    let auth = json!({ "token": token("asha", None) });
    ws.send(&format!("40{auth}")).await;
    loop {
        match ws.next_packet().await {
            Next::Text(text) if text.starts_with("40") => return ws,
            Next::Text(_) => {}
            end => panic!("{end:?}"),
        }
    }
}

/// Each flag, its default, and what happens past it.
const HELP: &[(&str, &str, &str)] = &[
    ("--max-connections", "20000", "wait in the backlog"),
    ("--max-connections-per-address", "512", "are closed"),
    ("--transports", "websocket,polling", ""),
    ("--ping-interval", "25000", ""),
    ("--ping-timeout", "20000", "the session is closed"),
    ("--upgrade-timeout", "10000", "stays on polling"),
    ("--connect-timeout", "20000", "past it it is closed"),
    ("--body-timeout", "10000", "past it 408"),
    (
        "--attachment-timeout",
        "10000",
        "past it the session is closed",
    ),
    ("--max-payload", "1000000", "past it the session is closed"),
    (
        "--max-unauthenticated",
        "1000",
        "the oldest makes room, or 503",
    ),
    ("--max-sessions-per-address", "512", "past it 503"),
    ("--max-events-per-second", "100", "read more slowly"),
    ("--max-bytes-per-second", "1000000", "read more slowly"),
    ("--max-packets-per-post", "1000", "past it 413"),
    ("--max-fragments", "1024", "past it the session is closed"),
    ("--max-attachments", "0", "past it the session is closed"),
    (
        "--max-namespace-length",
        "256",
        "past it the session is closed",
    ),
    (
        "--max-event-name-length",
        "256",
        "past it the session is closed",
    ),
    ("--max-json-depth", "64", "past it the session is closed"),
    ("--max-outbound-packets", "1024", "slow consumer"),
    ("--max-outbound-bytes", "4194304", "slow consumer"),
    ("--recovery-window", "120", "0 for never"),
    ("--recovery-max-events", "100000", "past it the oldest goes"),
    (
        "--recovery-max-bytes",
        "67108864",
        "past it the oldest goes",
    ),
    ("--recovery-max-sockets", "20000", "past it the oldest goes"),
    ("--recovery-max-missed", "500", "past it it gets a new one"),
    ("--offline-grace", "5", "0 for none"),
];

#[tokio::test]
async fn help_tells_each_default_and_what_happens_past_it() {
    let mut help = bare();
    help.arg("--help");
    let output = tokio::task::spawn_blocking(move || help.output().unwrap());
    let output = within("help", output).await.unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let entries: Vec<_> = help.split("\n      --").collect();
    for (flag, default, past) in HELP {
        let name = format!("{} ", &flag[2..]);
        let entry = entries.iter().find(|entry| entry.starts_with(&name));
        let entry = entry.unwrap_or_else(|| panic!("{flag} has no help"));
        let words: Vec<_> = entry.split_whitespace().collect();
        let words = words.join(" ");
        let told = format!("[default: {default}]");
        assert!(words.contains(&told), "{flag}: {words}");
        assert!(words.contains(past), "{flag}: {words}");
    }
    // One that is added to the protocol is added here.
    let protocol = help.split("\nProtocol:").nth(1).unwrap();
    let protocol = protocol.split("\nLog:").next().unwrap();
    for entry in protocol.split("\n      --").skip(1) {
        let name = entry.split_whitespace().next().unwrap();
        let known = HELP.iter().any(|(flag, ..)| flag[2..] == *name);
        assert!(known, "--{name} is not in this table");
    }
}

#[tokio::test]
async fn timeouts() {
    let server = TestServer::start(&["--body-timeout=100"]).await;
    let query = open_polling(&server).await;
    let mut raw = Raw::connect(server.address()).await;
    raw.write(format!(
        "POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n4",
        target(&query)
    ))
    .await;
    assert_eq!(raw.answer().await.status, 408);
    assert_eq!(get(&server, &query).await.0, 400);

    let flags = ["--attachment-timeout=100", "--max-attachments=1"];
    let server = TestServer::start(&flags).await;
    let mut ws = connected(&server).await;
    ws.send(r#"451-["x",{"_placeholder":true,"num":0}]"#).await;
    assert_eq!(ws.closed().await, 1005);

    let server = TestServer::start(&["--upgrade-timeout=100"]).await;
    let query = open_polling(&server).await;
    let upgrade = query.replace("polling", "websocket");
    for probe in [false, true] {
        let mut ws = Ws::connect(server.address(), &target(&upgrade))
            .await
            .unwrap();
        if probe {
            ws.send("2probe").await;
            ws.expect("3probe").await;
        }
        assert_eq!(ws.next().await, Next::Closed(1005));
    }
    assert_eq!(post(&server, &query, "3").await, 200);

    let server = TestServer::start(&["--ping-interval=150", "--ping-timeout=250"]).await;
    let mut ws = Ws::connect(server.address(), &target(OPEN_WEBSOCKET))
        .await
        .unwrap();
    let Next::Text(open) = ws.next().await else {
        panic!("no OPEN packet");
    };
    assert!(open.contains(r#""pingInterval":150,"pingTimeout":250,"#));
    assert_eq!(ws.next().await, Next::Text("2".to_owned()));
    assert_eq!(ws.next().await, Next::Closed(1005));
}

#[tokio::test]
async fn websocket_messages() {
    let server = TestServer::start(&["--max-payload=2000", "--max-fragments=2"]).await;
    let mut ws = connected(&server).await;
    ws.send(&format!(r#"42["x","{}"]"#, "y".repeat(2000))).await;
    assert_eq!(ws.closed().await, 1009);
    // Three frames of one message, masked with zeros.
    for (frames, code) in [
        (&[(0x01, "4"), (0x80, "1")][..], 1005),
        (&[(0x01, "4"), (0x00, "4"), (0x80, "x")], 1008),
    ] {
        let mut ws = connected(&server).await;
        for (first, payload) in frames {
            let mut bytes = vec![*first, 0x81, 0, 0, 0, 0];
            bytes.extend(payload.as_bytes());
            ws.0.get_mut().write_all(&bytes).await.unwrap();
        }
        if code == 1005 {
            // Two frames are a DISCONNECT, and the session goes on.
            ws.send("1").await;
        }
        assert_eq!(ws.closed().await, code);
    }
}

#[tokio::test]
async fn transports() {
    let server = TestServer::start(&["--transports=polling"]).await;
    let (status, open) = get(&server, OPEN_POLLING).await;
    assert!(status == 200 && open.contains(r#""upgrades":[]"#), "{open}");
    let refused = Ws::connect(server.address(), &target(OPEN_WEBSOCKET)).await;
    assert_eq!(refused.err(), Some(400));

    let server = TestServer::start(&["--transports=websocket"]).await;
    assert_eq!(
        get(&server, OPEN_POLLING).await,
        (
            400,
            r#"{"code":0,"message":"Transport unknown"}"#.to_owned()
        )
    );
    connected(&server).await;
}

#[tokio::test]
async fn connections_in_total() {
    let server = TestServer::start(&["--max-connections=2"]).await;
    let health = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut first = Raw::connect(server.address()).await;
    let mut second = Raw::connect(server.address()).await;
    for raw in [&mut first, &mut second] {
        raw.write(health).await;
        assert_eq!(raw.answer().await.status, 200);
    }
    let mut third = Raw::connect(server.address()).await;
    third.write(health).await;
    let early = timeout(Duration::from_millis(200), third.0.readable()).await;
    assert!(early.is_err(), "a third was served");
    drop(first);
    assert_eq!(third.answer().await.status, 200);

    // Sessions that are between two polls have no connection and are counted as well.
    let server = TestServer::start(&["--max-connections=3"]).await;
    for _ in 0..3 {
        open_polling(&server).await;
    }
    let (status, body) = get(&server, OPEN_POLLING).await;
    assert_eq!(status, 503, "{body}");
}

#[tokio::test]
async fn what_waits_for_a_client() {
    for (flag, size, count) in [
        ("--max-outbound-packets=16", 1, 17),
        ("--max-outbound-bytes=65536", 900, 80),
    ] {
        let server = TestServer::start(&[flag]).await;
        let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
        let chat = rohan.chat_with(&asha).await;
        let (mut reader, _) = Poller::connect(&server, rohan.token.as_deref()).await;
        let (sleeper, _) = Poller::connect(&server, asha.token.as_deref()).await;
        let content = "x".repeat(size);
        for _ in 0..count {
            let send = format!("/api/chat/{chat}/send");
            let body = json!({ "content": content });
            rohan.post(&send, &body).await.ok(201);
            while !reader.packet().await.starts_with(r#"42["newMessage""#) {}
        }
        // Who reads is still there, who does not is gone.
        assert_eq!(reader.status_of("3").await, 200, "{flag}");
        assert_eq!(sleeper.status_of("3").await, 400, "{flag}");
    }
}

#[tokio::test]
async fn heads_and_paths_that_nobody_serves() {
    let server = TestServer::start(&[]).await;
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let socket = target(OPEN_WEBSOCKET);
    for (name, head, status) in [
        (
            "another path",
            format!("GET /nothing HTTP/1.1\r\nHost: x\r\n{upgrade}"),
            404,
        ),
        (
            "a longer name",
            format!("GET /socket.io-admin/?{OPEN_WEBSOCKET} HTTP/1.1\r\nHost: x\r\n{upgrade}"),
            404,
        ),
        (
            "no slash",
            format!("GET /socket.io?{OPEN_WEBSOCKET} HTTP/1.1\r\nHost: x\r\n{upgrade}"),
            404,
        ),
        (
            "2,001 headers",
            format!(
                "GET {socket} HTTP/1.1\r\n{}{upgrade}",
                "X: 1\r\n".repeat(2001)
            ),
            431,
        ),
        (
            "a header of 100 kB",
            format!(
                "GET {socket} HTTP/1.1\r\nX: {}\r\n{upgrade}",
                "a".repeat(100_000)
            ),
            431,
        ),
        (
            "a path of 100 kB",
            format!(
                "GET {socket}&x={} HTTP/1.1\r\n{upgrade}",
                "a".repeat(100_000)
            ),
            414,
        ),
    ] {
        for reset in [false, true] {
            let mut raw = Raw::connect(server.address()).await;
            raw.write(format!("{head}\r\n")).await;
            if reset {
                raw.0.set_zero_linger().unwrap();
                continue;
            }
            assert_eq!(raw.answer().await.status, status, "{name}");
        }
    }
    let open = text(
        "GET",
        "/socket.io/more/path?EIO=4&transport=polling",
        "",
        "",
    );
    assert_eq!(request(server.address(), open).await.status, 200);
    connected(&server).await;
}
