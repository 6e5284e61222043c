//! Who and what the API refuses, in one envelope.

use serde_json::{Value, json};

use super::rest::Answer;
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
        ("PUT", "/api/chat/block-user/rohan".to_owned()),
        ("DELETE", "/api/chat/block-user/rohan".to_owned()),
        ("GET", "/api/chat/blocked-users".to_owned()),
        ("POST", "/api/chat/report".to_owned()),
    ]
}

#[tokio::test]
async fn the_field_that_is_wrong_is_named_and_what_it_holds_is_not() {
    let server = TestServer::start(&["--message-rate", "0"]).await;
    let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
    let chat = asha.chat_with(&rohan).await;
    let send = format!("/api/chat/{chat}/send");
    let sentence = |field: &str| format!("{field} is missing or has the wrong type");
    for (path, body, field) in [
        (
            "/api/chat/create",
            json!({ "participantId": 42 }),
            "participantId",
        ),
        ("/api/chat/create", json!({ "petId": ["secret"] }), "petId"),
        (&send, json!({ "content": 5 }), "content"),
        (
            &send,
            json!({ "content": "a", "parentMessageId": {} }),
            "parentMessageId",
        ),
        (
            "/api/chat/report",
            json!({ "chatId": chat, "reason": true }),
            "reason",
        ),
    ] {
        let refused = asha.post(path, &body).await;
        assert_eq!(refused.refused(400, "invalid_request"), sentence(field));
    }
    let mut socket = Client::connect(&server, &asha).await;
    for (event, payload, field) in [
        ("join-chat", json!({}), "chatId"),
        ("leaveChat", json!({ "chatId": 42 }), "chatId"),
        ("typing", json!({ "chatId": chat }), "isTyping"),
        (
            "typing",
            json!({ "chatId": chat, "isTyping": "secret" }),
            "isTyping",
        ),
        ("markAsRead", json!({ "chatId": chat }), "messageId"),
        ("sendMessage", json!({ "content": "a" }), "chatId"),
        (
            "sendMessage",
            json!({ "chatId": chat, "content": 5 }),
            "content",
        ),
    ] {
        let ack = socket.call(event, &payload).await;
        assert_eq!(
            (&ack["error"], &ack["message"]),
            (&json!("invalid_request"), &json!(sentence(field))),
            "{event} {payload}"
        );
        let told = socket.event("error").await;
        assert_eq!(told["message"], ack["message"]);
    }
    let ack = socket.call("join-chat", &json!(chat)).await;
    assert_eq!(ack["success"], true, "the bare id still does");
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
        let bodies: Vec<_> = answers.iter().map(Answer::json).collect();
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
            let is_other = |(method, other): &(&str, String)| *method == wrong && *other == path;
            if !routes().iter().any(is_other) {
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
