//! What each answer looks like: status, headers and body.

use super::*;

#[tokio::test]
async fn the_open_packet_by_default() {
    let server = echo().await;
    let answer = server.get(OPEN_POLLING).await;
    let sid = sid(&answer.body);
    assert_eq!(
        answer.body,
        format!(
            r#"0{{"sid":"{sid}","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}}"#
        )
    );
    assert_eq!(
        answer.header("content-length"),
        Some(answer.body.len().to_string().as_str())
    );
    let mut ws = server.connect(OPEN_WEBSOCKET).await.unwrap();
    let Next::Text(open) = ws.next().await else {
        panic!("not text");
    };
    let sid = crate::support::protocol::sid(&open);
    assert_eq!(
        open,
        format!(
            r#"0{{"sid":"{sid}","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}}"#
        )
    );
}

#[test]
fn the_defaults_are_those_of_the_reference() {
    let config = Config::default();
    assert_eq!(config.upgrade_timeout, Duration::from_secs(10));
    assert_eq!(config.farewell_timeout, Duration::from_secs(30));
    assert_eq!(config.body_deadline, Duration::from_secs(10));
    assert_eq!(config.max_fragments, 1024);
    assert!(config.allow_upgrades && config.transports.polling && config.transports.websocket);
    let config = jivchat::socketio::Config::default();
    assert_eq!(config.connect_timeout, Duration::from_secs(45));
    assert_eq!(config.attachment_timeout, Duration::from_secs(10));
    assert_eq!((config.max_attachments, config.max_json_depth), (10, 64));
}

#[tokio::test]
async fn sids_are_secrets_of_twenty_url_safe_characters() {
    let server = echo().await;
    let mut seen = std::collections::HashSet::new();
    for _ in 0..200 {
        let sid = server.poller().await.sid;
        assert_eq!(sid.len(), 20, "{sid}");
        assert!(
            sid.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')),
            "{sid}"
        );
        assert!(seen.insert(sid), "twice the same");
    }
}

#[tokio::test]
async fn polls_and_posts() {
    let server = echo().await;
    let poller = server.poller().await;
    let post = poller.post("4a\x1ebAQID").await;
    assert_eq!((post.status, post.body.as_str()), (200, "ok"));
    assert_eq!(post.header("content-type"), Some("text/html"));
    assert_eq!(post.header("content-length"), Some("2"));
    let get = poller.get().await;
    assert_eq!((get.status, get.body.as_str()), (200, "4a\x1ebAQID"));
    assert_eq!(
        get.header("content-type"),
        Some("text/plain; charset=UTF-8")
    );
    assert_eq!(get.header("cache-control"), Some("no-store"));
    assert_eq!(get.header("content-length"), Some("8"));
    for answer in [post, get] {
        // Not the engine's business, and no cookie carries the secret.
        for name in [
            "access-control-allow-origin",
            "set-cookie",
            "content-encoding",
        ] {
            assert_eq!(answer.header(name), None, "{name}");
        }
    }
}

#[tokio::test]
async fn a_refused_handshake_ends_its_connection() {
    let server = echo().await;
    for (query, body) in [
        ("EIO=4&transport=abc", "Transport unknown"),
        (
            "EIO=4&transport=websocket&sid=garbage",
            "Session ID unknown",
        ),
        ("EIO=4&transport=polling", "Bad request"),
        ("EIO=3&transport=websocket", "Unsupported protocol version"),
    ] {
        let mut raw = Raw::connect(server.address).await;
        raw.write(format!(
            "GET {} HTTP/1.1\r\nHost: x\r\n{UPGRADE}\r\n",
            server.target(query)
        ))
        .await;
        let answer = raw.answer().await;
        assert_eq!((answer.status, answer.body.as_str()), (400, body));
        assert_eq!(answer.header("connection"), Some("close"), "{body}");
        assert_eq!(answer.header("content-type"), Some("text/html"), "{body}");
        assert_eq!(
            answer.header("content-length"),
            Some(body.len().to_string().as_str())
        );
        assert_eq!(raw.read_to_end().await, b"", "{body}");
    }
}

#[tokio::test]
async fn statuses_without_a_body() {
    let server = echo().await;
    let octets = "Content-Type: application/octet-stream\r\n";
    let large = format!("4{}", "x".repeat(1_000_000));
    let many = "4\x1e".repeat(10_001);
    for (name, headers, body, status) in [
        ("octet stream", octets, "4a", 400),
        (
            "octet stream with a parameter",
            "content-type: Application/Octet-Stream; x=y\r\n",
            "4a",
            400,
        ),
        ("no packet", "", "abc", 400),
        ("no body", "", "", 400),
        ("too large", "", &large, 413),
        ("too many packets", "", &many, 413),
    ] {
        let poller = server.poller().await;
        let answer = server.request("POST", &poller.query(), headers, body).await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (status, ""),
            "{name}"
        );
        assert_eq!(answer.header("connection"), Some("close"), "{name}");
        poller.expect_gone().await;
    }
    for content_type in [
        "text/plain;charset=UTF-8",
        "application/json",
        "application/x-www-form-urlencoded",
        "\u{e9}",
    ] {
        let poller = server.poller().await;
        let headers = format!("Content-Type: {content_type}\r\n");
        let answer = server
            .request("POST", &poller.query(), &headers, "4a")
            .await;
        assert_eq!(answer.body, "ok", "{content_type}");
    }
}

#[tokio::test]
async fn bytes_count_and_not_characters() {
    let config = Config {
        max_payload: 1000,
        ..patient()
    };
    let server = Server::engine_echo(config).await;
    let fits = format!("4a{}", "é".repeat(499));
    let over = format!("4{}", "é".repeat(500));
    assert_eq!((fits.len(), over.len()), (1000, 1001));
    let poller = server.poller().await;
    poller.expect_post(&fits, 200).await;
    poller.expect_post(&over, 413).await;
    let mut ws = server.websocket().await;
    ws.send(&fits).await;
    ws.expect(&fits).await;
    ws.send(&over).await;
    assert_eq!(ws.next().await, Next::Closed(1009));
}
