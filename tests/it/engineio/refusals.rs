//! Requests that never reach a session, and what they are told.

use super::*;

#[tokio::test]
async fn without_a_session() {
    let server = echo().await;
    for (method, query, code) in [
        ("GET", "EIO=4", 0),
        ("GET", "", 0),
        ("GET", "EIO=abc&transport=abc", 0),
        ("GET", "EIO=4&transport=__proto__", 0),
        ("GET", "EIO=4&transport=constructor", 0),
        ("GET", "EIO=4&transport=webtransport", 0),
        ("GET", "EIO=4&transport=polling%00", 0),
        ("GET", "EIO=4&transport=polling&sid=garbage", 1),
        ("GET", "EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAAAAAA", 1),
        ("GET", "EIO=4&transport=polling&sid=%ff%fe", 1),
        ("POST", OPEN_POLLING, 2),
        ("PUT", OPEN_POLLING, 2),
        ("OPTIONS", OPEN_POLLING, 2),
        ("GET", OPEN_WEBSOCKET, 3),
        ("GET", "transport=polling", 5),
        ("GET", "EIO=3&transport=polling", 5),
        ("GET", "EIO=4%00&transport=polling", 5),
        ("GET", "EIO=4&EIO=3&transport=polling", 5),
        ("GET", "EIO=5&transport=polling", 5),
        ("GET", "EIO=&transport=polling", 5),
        ("GET", "EIO=4&transport=", 0),
        ("GET", "EIO=4&transport=polling&transport=abc", 0),
        ("GET", "EIO=4&transport=POLLING", 0),
        // Wrong in two ways: the transport comes first, then the session, the method, the upgrade, the version.
        ("GET", "EIO=3&transport=abc&sid=garbage", 0),
        ("POST", "EIO=4&transport=abc", 0),
        ("GET", "EIO=3&transport=polling&sid=garbage", 1),
        ("DELETE", "EIO=4&transport=polling&sid=garbage", 1),
        ("POST", "EIO=3&transport=polling", 2),
        ("POST", OPEN_WEBSOCKET, 2),
        ("GET", "EIO=3&transport=websocket", 3),
    ] {
        let answer = server.request(method, query, "", "").await;
        assert_eq!(
            (answer.status, answer.body),
            (400, refusal(code)),
            "{method} {query}"
        );
        assert!(answer.head.contains("application/json"), "{query}");
    }
    assert_eq!(server.engine.sessions(), Counts::default());
}

#[tokio::test]
async fn head_has_no_body_but_the_same_status() {
    assert_eq!(
        echo()
            .await
            .request("HEAD", OPEN_POLLING, "", "")
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn what_is_lenient_in_the_reference_is_accepted() {
    let server = echo().await;
    for query in [
        "EIO=3&EIO=4&transport=polling",
        "EIO=4&transport=polling&sid=",
        "EIO=%34&transport=poll%69ng&t=abc",
        "EIO=4&transport=polling&j=0&b64=1",
    ] {
        assert_eq!(server.get(query).await.status, 200, "{query}");
    }
}

#[tokio::test]
async fn with_a_session_which_survives() {
    let server = echo().await;
    let poller = server.poller().await;
    for (method, query, status, code) in [
        ("GET", "EIO=3&transport=polling&sid=", 400, 3),
        ("GET", "transport=polling&sid=", 400, 3),
        ("GET", "EIO=4&transport=websocket&sid=", 400, 3),
        ("OPTIONS", "EIO=4&transport=polling&sid=", 400, 2),
        // Wrong in two ways: the session's transport comes before the method.
        ("DELETE", "EIO=4&transport=websocket&sid=", 400, 3),
        ("PUT", "EIO=3&transport=polling&sid=", 400, 3),
        // What the session is asked for comes before the session.
        ("GET", "EIO=4&transport=abc&sid=", 400, 0),
    ] {
        let answer = server
            .request(method, &format!("{query}{}", poller.sid), "", "")
            .await;
        assert_eq!(answer.status, status, "{method} {query}");
        assert_eq!(answer.body, refusal(code), "{method} {query}");
    }
    for method in ["PUT", "DELETE", "PATCH", "HEAD", "WHATEVER"] {
        let answer = server.request(method, &poller.query(), "", "").await;
        assert_eq!((answer.status, answer.body.as_str()), (405, ""), "{method}");
        assert_eq!(answer.header("allow"), Some("GET, POST"), "{method}");
    }
    assert!(is_open(&poller).await);
}

#[tokio::test]
async fn websocket_handshakes() {
    let server = echo().await;
    let poller = server.poller().await;
    let upgrade_of = |query: &str| server.target(query);
    let no_key = UPGRADE.replace("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "");
    let bad_key = UPGRADE.replace("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZQ==");
    let no_base64 = UPGRADE.replace("dGhlIHNhbXBsZSBub25jZQ==", "!!!!IHNhbXBsZSBub25jZQ==");
    let version_12 = UPGRADE.replace("13", "12");
    for (target, headers, body) in [
        (upgrade_of(OPEN_WEBSOCKET), no_key.as_str(), "Bad request"),
        (upgrade_of(OPEN_WEBSOCKET), &bad_key, "Bad request"),
        (upgrade_of(OPEN_WEBSOCKET), &no_base64, "Bad request"),
        (upgrade_of(OPEN_WEBSOCKET), &version_12, "Bad request"),
        (upgrade_of(OPEN_POLLING), UPGRADE, "Bad request"),
        (
            upgrade_of("EIO=3&transport=websocket"),
            UPGRADE,
            "Unsupported protocol version",
        ),
        (
            upgrade_of("EIO=4&transport=__proto__"),
            UPGRADE,
            "Transport unknown",
        ),
        (
            upgrade_of("EIO=4&transport=websocket&sid=gone"),
            UPGRADE,
            "Session ID unknown",
        ),
        (upgrade_of(&poller.upgrade_query()), &bad_key, "Bad request"),
        (upgrade_of(&poller.query()), UPGRADE, "Bad request"),
    ] {
        let text = format!("GET {target} HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
        let answer = request(server.address, text).await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (400, body),
            "{target} {headers}"
        );
    }
    let text = format!(
        "GET {} HTTP/1.1\r\nHost: x\r\n{version_12}\r\n",
        server.target(OPEN_WEBSOCKET)
    );
    let answer = request(server.address, text).await;
    assert_eq!(answer.header("sec-websocket-version"), Some("13"));
    assert!(is_open(&poller).await);
}

#[tokio::test]
async fn odd_subprotocols_are_ignored() {
    let server = echo().await;
    let long = format!("a{}b", " ".repeat(50_000));
    for protocol in [b"\xc3\xa9\xff".as_slice(), long.as_bytes()] {
        let answer = offering(&server, protocol).await;
        assert_eq!(answer.status, 101);
        assert_eq!(answer.header("sec-websocket-protocol"), None);
    }
}

/// The answer to a websocket handshake that offers subprotocols.
async fn offering<H: Handler>(
    server: &Server<H>,
    protocols: &[u8],
) -> crate::support::http::Answer {
    let mut raw = Raw::connect(server.address).await;
    raw.write(format!(
        "GET {} HTTP/1.1\r\nHost: x\r\n{UPGRADE}",
        server.target(OPEN_WEBSOCKET)
    ))
    .await;
    raw.write(b"Sec-WebSocket-Protocol: ").await;
    raw.write(protocols).await;
    raw.write(b"\r\n\r\n").await;
    raw.answer().await
}

#[tokio::test]
async fn the_first_subprotocol_is_taken_and_no_extension() {
    let server = echo().await;
    for (offered, taken) in [
        ("chat", Some("chat")),
        ("first, second", Some("first")),
        (" first\t,second", Some("first")),
        ("", None),
        (",second", None),
        ("a b, second", None),
        ("{\"json\":1}", None),
    ] {
        let answer = offering(&server, offered.as_bytes()).await;
        assert_eq!(answer.status, 101, "{offered}");
        assert_eq!(answer.header("sec-websocket-protocol"), taken, "{offered}");
    }
    let deflate = format!(
        "GET {} HTTP/1.1\r\nHost: x\r\n{UPGRADE}Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n",
        server.target(OPEN_WEBSOCKET)
    );
    let mut raw = Raw::connect(server.address).await;
    raw.write(deflate).await;
    let answer = raw.answer().await;
    assert_eq!(answer.status, 101);
    assert_eq!(answer.header("sec-websocket-extensions"), None);
}

#[test]
fn only_the_path_itself_is_ours() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let _guard = runtime.enter();
    let engine = Engine::new(Config::default(), crate::support::echo::EngineEcho);
    for (path, ours) in [
        ("/engine.io/", true),
        ("/engine.io/foo/bar", true),
        ("/engine.io", false),
        ("/engine.io-admin/", false),
        ("/engine.iox/", false),
        ("/", false),
        ("", false),
    ] {
        assert_eq!(engine.matches(path), ours, "{path}");
    }
}

#[tokio::test]
async fn a_transport_that_is_not_offered() {
    let mut config = patient();
    config.transports.websocket = false;
    let server = Server::engine_echo(config).await;
    assert_eq!(server.connect(OPEN_WEBSOCKET).await.err(), Some(400));
    assert!(
        server
            .get(OPEN_POLLING)
            .await
            .body
            .contains(r#""upgrades":[]"#)
    );

    let mut config = patient();
    config.allow_upgrades = false;
    let server = Server::engine_echo(config).await;
    let answer = server.get(OPEN_POLLING).await;
    assert!(answer.body.contains(r#""upgrades":[]"#));
    let query = format!("{OPEN_WEBSOCKET}&sid={}", sid(&answer.body));
    assert_eq!(server.connect(&query).await.err(), Some(400));
}

#[tokio::test]
async fn more_sessions_than_allowed() {
    let config = Config {
        max_sessions: 2,
        ..patient()
    };
    let server = Server::engine_echo(config).await;
    let poller = server.poller().await;
    let mut ws = server.websocket().await;
    assert_eq!(server.get(OPEN_POLLING).await.status, 503);
    assert_eq!(server.connect(OPEN_WEBSOCKET).await.err(), Some(503));
    assert_eq!(server.engine.refused_count(), 2);
    assert_eq!(
        server.engine.sessions(),
        Counts {
            polling: 1,
            websocket: 1,
            unaccepted: 2
        }
    );
    poller.expect_post("1", 200).await;
    ws.send("1").await;
    ws.closed().await;
    server.idle().await;
    server.poller().await;
}
