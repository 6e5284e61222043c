//! Who and what the API refuses, in one envelope; and what every answer carries besides.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::rest::{Answer, Rest};
use super::server::{SECRET, TestServer, token, token_with};
use super::sockets::Client;

/// Method and path of every route that needs a user.
fn routes() -> Vec<(&'static str, String)> {
    let id = "0".repeat(24);
    vec![
        ("POST", "/api/chat/create".to_owned()),
        ("GET", "/api/chat/my-chats".to_owned()),
        ("GET", "/api/chat/unread-count".to_owned()),
        ("GET", format!("/api/chat/{id}/messages")),
        ("POST", format!("/api/chat/{id}/send")),
        ("POST", format!("/api/chat/{id}/send-media")),
        ("PUT", format!("/api/chat/{id}/mark-read")),
        ("PUT", format!("/api/chat/{id}/toggle-block")),
        ("DELETE", format!("/api/chat/message/{id}")),
    ]
}

#[tokio::test]
async fn every_route_asks_for_a_good_token() {
    let server = TestServer::start(&[]).await;
    let nobody = server.anonymous();
    let good = token("asha", None);
    let far = 4_000_000_000_u64;
    let signed = |claims: Value| format!("Bearer {}", token_with(&claims, SECRET));
    let foreign = token_with(&json!({ "id": "asha", "exp": far }), &"another".repeat(8));
    let none_algorithm = "eyJhbGciOiJub25lIn0.eyJpZCI6ImFzaGEiLCJleHAiOjQwMDAwMDAwMDB9.";
    let headers: Vec<(Option<String>, &str, &str)> = vec![
        (None, "token_missing", "Access denied. No token provided."),
        (
            Some("Bearer ".to_owned()),
            "token_missing",
            "Access denied. No token provided.",
        ),
        (
            Some(good.clone()),
            "token_missing",
            "Access denied. No token provided.",
        ),
        (
            Some("Basic YXNoYTpzZWNyZXQ=".to_owned()),
            "token_missing",
            "Access denied. No token provided.",
        ),
        (
            Some("Bearer rubbish".to_owned()),
            "token_invalid",
            "Invalid token.",
        ),
        (
            Some(format!("Bearer {good}x")),
            "token_invalid",
            "Invalid token.",
        ),
        (
            Some(format!("Bearer {foreign}")),
            "token_invalid",
            "Invalid token.",
        ),
        (
            Some(format!("Bearer {none_algorithm}")),
            "token_invalid",
            "Invalid token.",
        ),
        (
            Some(signed(json!({ "id": "asha" }))),
            "token_invalid",
            "Invalid token.",
        ),
        (
            Some(signed(json!({ "exp": far }))),
            "token_invalid",
            "Invalid token.",
        ),
        (
            Some(signed(json!({ "id": "a b", "exp": far }))),
            "token_invalid",
            "Invalid token.",
        ),
        (
            Some(signed(json!({ "id": "asha", "exp": "4000000000" }))),
            "token_invalid",
            "Invalid token.",
        ),
        (
            Some(signed(json!({ "id": "asha", "exp": far, "nbf": far }))),
            "token_invalid",
            "Invalid token.",
        ),
        (
            Some(signed(json!({ "id": "asha", "exp": 1_000_000_000 }))),
            "token_expired",
            "Invalid token.",
        ),
    ];
    for (method, path) in routes() {
        for (header, code, message) in &headers {
            let ask = nobody.ask(method, &path);
            let ask = match header {
                Some(value) => ask.header("Authorization", value),
                None => ask,
            };
            let answer = ask.answer().await;
            assert_eq!(
                answer.refused(401, code),
                *message,
                "{method} {path} {header:?}"
            );
        }
    }
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let ask = nobody.ask("GET", "/api/chat/my-chats");
        ask.header("Authorization", &format!("{scheme} {good}"))
            .answer()
            .await
            .ok(200);
    }
}

#[tokio::test]
async fn the_operator_decides_which_tokens_are_good() {
    let strict = TestServer::start(&["--require-known-users", "--demo"]).await;
    let unknown = strict.stranger("nobody").get("/api/chat/my-chats").await;
    let sentence = unknown.refused(401, "user_not_found");
    assert_eq!(sentence, "Invalid token. User not found.");
    strict
        .demo_user("user-asha")
        .get("/api/chat/my-chats")
        .await
        .ok(200);

    let endless = TestServer::start(&["--allow-tokens-without-exp"]).await;
    let token = token_with(&json!({ "id": "asha" }), SECRET);
    endless
        .anonymous()
        .with_token(&token)
        .get("/api/chat/my-chats")
        .await
        .ok(200);

    let older = "an-older-secret-that-is-being-rotated-out";
    let rotating = TestServer::start(&["--jwt-secret", older]).await;
    let claims = json!({ "id": "asha", "exp": 4_000_000_000_u64 });
    for secret in [SECRET, older] {
        let user = rotating
            .anonymous()
            .with_token(&token_with(&claims, secret));
        user.get("/api/chat/my-chats").await.ok(200);
    }
}

#[tokio::test]
async fn nobody_but_participants_gets_anywhere() {
    let server = TestServer::start(&[]).await;
    let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
    let chat = rohan.chat_with(&asha).await;
    let eve = server.user("eve").await;
    let unknown = "f".repeat(24);
    for id in [chat.as_str(), &unknown] {
        let answers = [
            eve.get(&format!("/api/chat/{id}/messages")).await,
            eve.post(&format!("/api/chat/{id}/send"), &json!({ "content": "hi" }))
                .await,
            eve.uploads(id, "a.png", b"no matter").await,
            eve.put(&format!("/api/chat/{id}/mark-read")).await,
            eve.put(&format!("/api/chat/{id}/toggle-block")).await,
        ];
        let bodies: Vec<_> = answers.iter().map(|one| one.json()).collect();
        for answer in &answers {
            assert_eq!(answer.refused(403, "access_denied"), "Access denied");
        }
        assert!(
            bodies.windows(2).all(|two| two[0] == two[1]),
            "existence is not revealed"
        );
    }
    for id in ["x", "asha", &"F".repeat(24), &"0".repeat(23)] {
        for (method, rest) in [
            ("GET", "messages"),
            ("PUT", "mark-read"),
            ("PUT", "toggle-block"),
            ("POST", "send"),
            ("POST", "send-media"),
        ] {
            let answer = eve
                .ask(method, &format!("/api/chat/{id}/{rest}"))
                .answer()
                .await;
            answer.refused(400, "invalid_id");
        }
    }
}

#[tokio::test]
async fn unknown_paths_and_wrong_methods_keep_the_envelope() {
    let server = TestServer::start(&[]).await;
    let asha = server.user("asha").await;
    for path in [
        "/",
        "/api",
        "/api/chat",
        "/api/chat/",
        "/api/chat/nothing",
        "/api/chat/my-chats/more",
        "/api/chat/my-chats//",
        "/api//chat/my-chats",
        "/uploads/chat_media",
        "/uploads/chat_media/",
        "/uploads/other/chat-1.jpg",
        "/socket.io",
        "/favicon.ico",
    ] {
        for client in [&asha, &server.anonymous()] {
            client.get(path).await.refused(404, "not_found");
        }
    }
    for (right, path) in routes() {
        for wrong in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            if wrong != right {
                let answer = asha.ask(wrong, &path).answer().await;
                answer.refused(405, "method_not_allowed");
                assert!(
                    answer.header("allow").unwrap().contains(right),
                    "{wrong} {path}"
                );
            }
        }
        let slash = asha.ask(right, &format!("{path}/")).answer().await;
        let plain = asha.ask(right, &path).answer().await;
        assert_eq!(
            (slash.status, slash.body),
            (plain.status, plain.body),
            "{path}/"
        );
    }
}

#[tokio::test]
async fn bodies_that_cannot_be_read_are_refused() {
    let server = TestServer::start(&[]).await;
    let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
    let chat = rohan.chat_with(&asha).await;
    let send = format!("/api/chat/{chat}/send");
    let post = async |content_type: &str, body: &[u8]| {
        asha.ask("POST", &send)
            .body(content_type, body)
            .answer()
            .await
    };
    for body in [
        "",
        "{",
        "{\"content\":\"a\"",
        "nonsense",
        "{\"content\":\"\\ud800\"}",
        "\u{feff}{}",
    ] {
        post("application/json", body.as_bytes())
            .await
            .refused(400, "invalid_json");
    }
    post("application/json", b"{\"content\":\"\xff\"}")
        .await
        .refused(400, "invalid_json");
    for body in [
        "[]",
        "7",
        "null",
        "\"text\"",
        r#"["hello", "text", null, null, null]"#,
        "{\"content\":7}",
        "{\"content\":{}}",
    ] {
        let answer = post("application/json", body.as_bytes()).await;
        let sentence = answer.refused(400, "invalid_request");
        assert!(!sentence.contains("struct"), "no names of ours: {sentence}");
    }
    let deep = format!("{{\"content\":{}{}}}", "[".repeat(5000), "]".repeat(5000));
    assert_eq!(post("application/json", deep.as_bytes()).await.status, 400);

    let text = br#"{"content":"hello"}"#;
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "",
    ] {
        post(content_type, text)
            .await
            .refused(415, "unsupported_media_type");
    }
    post("application/json; charset=utf-8", text).await.ok(201);
    post("Application/JSON", text).await.ok(201);

    let fill = |length: usize| {
        let frame = r#"{"content":"hello","x":""}"#.len();
        format!(
            r#"{{"content":"hello","x":"{}"}}"#,
            "x".repeat(length - frame)
        )
    };
    post("application/json", fill(256 * 1024).as_bytes())
        .await
        .ok(201);
    for length in [256 * 1024 + 1, 2_000_000] {
        let answer = post("application/json", fill(length).as_bytes()).await;
        answer.refused(413, "body_too_large");
    }
    assert_eq!(asha.messages(&chat).await.len(), 3);
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let server = TestServer::start(&[]).await;
    let asha = server.user("asha").await;
    for path in ["/api/chat/my-chats", "/api/chat/unread-count"] {
        let get = asha.get(path).await;
        let head = asha.ask("HEAD", path).answer().await;
        assert_eq!((head.status, head.body.len()), (200, 0));
        assert_eq!(head.header("content-length"), get.header("content-length"));
        assert_eq!(head.header("content-type"), get.header("content-type"));
    }
    let head = server
        .anonymous()
        .ask("HEAD", "/api/chat/my-chats")
        .answer()
        .await;
    assert_eq!((head.status, head.body.len()), (401, 0));
}

#[tokio::test]
async fn every_answer_has_an_id_of_its_own() {
    let server = TestServer::start(&[]).await;
    let asha = server.user("asha").await;
    let mut ids = std::collections::BTreeSet::new();
    for path in [
        "/api/chat/my-chats",
        "/nothing",
        "/health",
        "/socket.io/?EIO=4&transport=polling",
    ] {
        let answer = asha.get(path).await;
        ids.insert(answer.header("x-request-id").unwrap().to_owned());
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    assert_eq!(ids.len(), 4);
}

#[tokio::test]
async fn health_is_for_everybody() {
    let server = TestServer::start(&[]).await;
    let answer = server.anonymous().get("/health").await;
    let health: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status, &health["status"]), (200, &json!("ok")));
    assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
    assert!(health["uptimeSeconds"].is_u64());
}

fn cors(answer: &Answer) -> (Option<&str>, Option<&str>) {
    (
        answer.header("access-control-allow-origin"),
        answer.header("access-control-allow-credentials"),
    )
}

#[tokio::test]
async fn one_policy_tells_browsers_who_may_call() {
    let shop = "https://shop.example";
    let listed =
        TestServer::start(&["--cors-origin", "https://shop.example,https://b.example"]).await;
    let open = TestServer::start(&["--cors-origin", "*"]).await;
    let closed = TestServer::start(&[]).await;
    let polling = "/socket.io/?EIO=4&transport=polling";
    let upload = "/uploads/chat_media/none";
    for path in ["/api/chat/my-chats", polling, upload, "/nothing"] {
        let from = async |server: &TestServer, origin: &str| {
            server
                .anonymous()
                .ask("GET", path)
                .header("Origin", origin)
                .answer()
                .await
        };
        assert_eq!(
            cors(&from(&listed, shop).await),
            (Some(shop), Some("true")),
            "{path}"
        );
        assert_eq!(
            cors(&from(&listed, "https://evil.example").await),
            (None, None),
            "{path}"
        );
        assert_eq!(
            cors(&from(&open, "https://evil.example").await),
            (Some("*"), None),
            "{path}"
        );
        assert_eq!(cors(&from(&closed, shop).await), (None, None), "{path}");

        let preflight = async |server: &TestServer| {
            let ask = server
                .anonymous()
                .ask("OPTIONS", path)
                .header("Origin", shop);
            let ask = ask.header("Access-Control-Request-Method", "POST");
            let asked = "authorization, content-type, x-socket-id";
            ask.header("Access-Control-Request-Headers", asked)
                .answer()
                .await
        };
        for server in [&listed, &open] {
            let answer = preflight(server).await;
            assert_eq!((answer.status, answer.body.len()), (204, 0), "{path}");
            let methods = answer.header("access-control-allow-methods").unwrap();
            assert!(
                ["GET", "POST", "PUT", "DELETE"]
                    .iter()
                    .all(|one| methods.contains(one))
            );
            let headers = answer
                .header("access-control-allow-headers")
                .unwrap()
                .to_lowercase();
            for name in ["authorization", "content-type", "x-socket-id"] {
                assert!(headers.contains(name), "{headers}");
            }
        }
        assert_ne!(preflight(&closed).await.status, 204, "{path}");
    }
}

#[tokio::test]
async fn a_callers_own_socket_can_be_left_out_and_no_other() {
    let server = TestServer::start(&[]).await;
    let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
    let chat = rohan.chat_with(&asha).await;
    let mut first = Client::connect(&server, &rohan).await;
    let mut second = Client::connect(&server, &rohan).await;
    let mut other = Client::connect(&server, &asha).await;
    let send = format!("/api/chat/{chat}/send");
    let says = async |content: &str, socket: &str| {
        let ask = rohan.ask("POST", &send).header("X-Socket-Id", socket);
        ask.json(&json!({ "content": content }))
            .answer()
            .await
            .ok(201);
    };
    says("own", &first.id).await;
    says("somebody else's", &other.id).await;
    says("nobody's", "rubbish").await;
    rohan.says(&chat, "end").await;
    let heard = async |client: &mut Client| {
        let events = client.until_hears("end").await;
        let messages = events.into_iter().filter(|(name, _)| name == "newMessage");
        messages
            .map(|(_, message)| message["content"].clone())
            .collect::<Vec<_>>()
    };
    let all = ["own", "somebody else's", "nobody's"];
    assert_eq!(heard(&mut first).await, all[1..]);
    assert_eq!(heard(&mut second).await, all);
    assert_eq!(heard(&mut other).await, all);
}

#[tokio::test]
async fn a_retry_is_answered_with_what_was_stored() {
    let server = TestServer::start(&[]).await;
    let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
    let chat = rohan.chat_with(&asha).await;
    let send = format!("/api/chat/{chat}/send");
    let with_key = async |who: &Rest, key: &str, content: &str| {
        let ask = who.ask("POST", &send).header("Idempotency-Key", key);
        ask.json(&json!({ "content": content })).answer().await
    };
    let first = with_key(&rohan, "key-1", "hello").await.ok(201);
    assert_eq!(first["clientMessageId"], "key-1");
    let retry = with_key(&rohan, "key-1", "hello").await.ok(200);
    assert_eq!(
        (&retry["_id"], &retry["seq"]),
        (&first["_id"], &first["seq"])
    );
    with_key(&rohan, "key-1", "something else")
        .await
        .refused(409, "conflict");
    let in_body = json!({ "content": "hello", "clientMessageId": "key-1" });
    assert_eq!(
        rohan.post(&send, &in_body).await.ok(200)["_id"],
        first["_id"]
    );
    let others = with_key(&asha, "key-1", "hello").await.ok(201);
    assert_ne!(others["_id"], first["_id"], "the key is the sender's own");
    let elsewhere = rohan.chat_with(&server.user("meera").await).await;
    rohan
        .post(&format!("/api/chat/{elsewhere}/send"), &in_body)
        .await
        .ok(201);
    with_key(&rohan, &"k".repeat(64), "long").await.ok(201);
    with_key(&rohan, &"k".repeat(65), "longer")
        .await
        .refused(400, "invalid_request");
    assert_eq!(rohan.messages(&chat).await.len(), 3);
}

#[tokio::test]
async fn who_sends_too_fast_is_told_when_to_come_back() {
    let flags = ["--message-rate", "1", "--message-burst", "2"];
    let server = TestServer::start(&flags).await;
    let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
    let chat = rohan.chat_with(&asha).await;
    rohan.says(&chat, "one").await;
    rohan.says(&chat, "two").await;
    let send = format!("/api/chat/{chat}/send");
    let limited = rohan.post(&send, &json!({ "content": "three" })).await;
    limited.refused(429, "rate_limited");
    let wait: u64 = limited.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=61).contains(&wait), "{wait}");
    let mut socket = Client::connect(&server, &rohan).await;
    let ack = socket
        .call(
            "sendMessage",
            &json!({ "chatId": chat, "content": "three" }),
        )
        .await;
    assert_eq!(ack["error"], "rate_limited", "one limit for both ways in");
    asha.says(&chat, "others are not limited by it").await;
    rohan.messages(&chat).await;
}

#[tokio::test]
async fn a_connection_serves_one_request_after_the_other() {
    let server = TestServer::start(&[]).await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let token = token("asha", None);
    let path = "/api/chat/unread-count";
    let keep = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n");
    let last = format!("GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let all = format!("{keep}{keep}{last}");
    stream.write_all(all.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut bytes);
    super::within("three answers", read).await.unwrap();
    let answers = String::from_utf8(bytes).unwrap();
    let statuses: Vec<_> = answers
        .match_indices("HTTP/1.1 ")
        .map(|(at, _)| &answers[at + 9..at + 12])
        .collect();
    assert_eq!(statuses, ["200", "200", "404"]);
}
