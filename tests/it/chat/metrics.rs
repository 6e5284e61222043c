//! `GET /metrics`: who may read it, and that what happens is counted under a name that keeps.

use std::collections::HashMap;

use serde_json::json;

use super::rest::Rest;
use super::server::{KEY, TestServer};
use super::sockets::Client;
use super::within;

/// Every sample by its name and labels, as they are written.
async fn samples(reader: &Rest) -> HashMap<String, f64> {
    let answer = reader.get("/metrics").await;
    assert_eq!(answer.status, 200);
    let text = String::from_utf8(answer.body.clone()).unwrap();
    assert!(text.ends_with("# EOF\n"), "{text}");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        })
        .collect()
}

#[tokio::test]
async fn what_happens_is_counted() {
    let server = TestServer::start(&["--message-rate", "0"]).await;
    let reader = server.anonymous();
    let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
    let chat = asha.chat_with(&rohan).await;
    let mut socket = Client::connect(&server, &rohan).await;
    for _ in 0..3 {
        asha.says(&chat, "hello").await;
    }
    asha.get("/api/chat/c/messages")
        .await
        .refused(400, "invalid_id");
    asha.get("/nothing").await.refused(404, "not_found");
    let refused = socket.call("joinChat", &json!({})).await;
    assert_eq!(refused["error"], "invalid_request");
    let auth = json!({ "token": "not a token" });
    let refused = Client::try_connect(server.address(), Some(&auth), &[]).await;
    assert!(refused.is_err());

    let expected = [
        ("jivchat_messages_total{type=\"text\"}", 3.0),
        ("jivchat_chats_created_total", 1.0),
        ("jivchat_delivery_seconds_count", 3.0),
        ("jivchat_delivery_seconds_bucket{le=\"+Inf\"}", 3.0),
        (
            "jivchat_errors_total{edge=\"rest\",code=\"invalid_id\"}",
            1.0,
        ),
        (
            "jivchat_errors_total{edge=\"rest\",code=\"not_found\"}",
            1.0,
        ),
        (
            "jivchat_errors_total{edge=\"socket\",code=\"invalid_request\"}",
            1.0,
        ),
        (
            "jivchat_errors_total{edge=\"connect\",code=\"token_invalid\"}",
            1.0,
        ),
        ("jivchat_sessions{transport=\"websocket\"}", 1.0),
        ("jivchat_users_online", 1.0),
        ("jivchat_storage_writable", 1.0),
        ("jivchat_queue_depth{queue=\"write\"}", 0.0),
    ];
    // A message is counted when all have it, and answered when it is durable.
    let counted = async {
        loop {
            let samples = samples(&reader).await;
            let missing = expected
                .iter()
                .find(|(name, value)| samples.get(*name) != Some(value));
            match missing {
                None => return samples,
                Some((name, _)) => println!("{name}: {:?}", samples.get(*name)),
            }
        }
    };
    let samples = within("the counts", counted).await;
    assert!(samples["jivchat_commit_seconds_count"] >= 4.0);
    assert!(samples["jivchat_delivery_seconds_sum"] > 0.0);
    assert!(samples["jivchat_sessions_closed_total{reason=\"slow_consumer\"}"] < 0.5);
    let version = concat!(
        "jivchat_build_info{version=\"",
        env!("CARGO_PKG_VERSION"),
        "\"}"
    );
    assert!(samples.contains_key(version));
    assert!(samples["process_start_time_seconds"] > 1.7e9);
    #[cfg(target_os = "linux")]
    for name in [
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_open_fds",
    ] {
        assert!(samples.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn they_are_for_this_machine_and_for_who_has_the_key() {
    let open = TestServer::start(&[]).await;
    let keyed = TestServer::start(&["--admin-key", KEY]).await;
    for name in [
        "X-Forwarded-For",
        "Forwarded",
        "X-Real-IP",
        "Via",
        "X-Forwarded-Proto",
    ] {
        let passed_on = |reader: &Rest| {
            let ask = reader.ask("GET", "/metrics");
            ask.header(name, "198.51.100.7").answer()
        };
        passed_on(&open.anonymous()).await.refused(404, "not_found");
        let anonymous = keyed.anonymous();
        passed_on(&anonymous).await.refused(401, "token_missing");
        let wrong = anonymous.with_token("something-else-entirely");
        passed_on(&wrong).await.refused(401, "token_invalid");
        let host = anonymous.with_token(KEY);
        assert_eq!(passed_on(&host).await.status, 200);
    }
    for (host, status) in [
        ("localhost", 200),
        ("127.0.0.1:3010", 200),
        ("[::1]:3010", 200),
        ("rebound.example.com", 404),
        ("127.0.0.1.example.com", 404),
    ] {
        let ask = open.anonymous().ask("GET", "/metrics");
        let answer = ask.header("Host", host).answer().await;
        assert_eq!(answer.status, status, "{host}");
    }
    let posted = open.anonymous().ask("POST", "/metrics").answer().await;
    assert_eq!(
        (posted.status, posted.header("allow")),
        (405, Some("GET, HEAD"))
    );
    let head = open.anonymous().ask("HEAD", "/metrics").answer().await;
    assert_eq!((head.status, head.body.len()), (200, 0));
}
