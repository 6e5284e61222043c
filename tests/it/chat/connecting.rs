//! Getting in and out over Socket.IO: tokens, refusals, presence, polling, and input that makes no sense.

use std::time::Duration;

use serde_json::{Value, json};

use super::rest::text;
use super::server::{SECRET, TestServer, token, token_for, token_with};
use super::sockets::{Client, Poller};

fn refusal(code: &str) -> Value {
    json!({ "message": "Authentication error", "data": { "code": code } })
}

#[tokio::test]
async fn a_token_is_taken_from_auth_or_from_the_header() {
    let server = TestServer::start(&[]).await;
    let token = token("asha", None);
    let bearer = format!("Bearer {token}");
    let lower = format!("bearer {token}");
    for (auth, header) in [
        (Some(json!({ "token": token })), None),
        (Some(json!({ "token": bearer })), None),
        (Some(json!({ "token": lower })), None),
        (None, Some(&bearer)),
        (Some(json!({})), Some(&bearer)),
        (Some(json!({ "token": token, "more": [1] })), None),
        (
            Some(json!({ "token": token })),
            Some(&"Bearer rubbish".to_owned()),
        ),
    ] {
        let headers: Vec<_> = header
            .iter()
            .map(|value| ("authorization", value.as_str()))
            .collect();
        let connected = Client::try_connect(server.address(), auth.as_ref(), &headers).await;
        assert!(connected.is_ok(), "{auth:?} {header:?}");
    }
}

#[tokio::test]
async fn whoever_has_no_good_token_is_refused_as_the_app_expects() {
    let server = TestServer::start(&["--require-known-users"]).await;
    let expired = token_with(&json!({ "id": "asha", "exp": 1_000_000_000 }), SECRET);
    let unknown = token("asha", Some("asha"));
    for (auth, code) in [
        (None, "token_missing"),
        (Some(json!({})), "token_missing"),
        (Some(json!({ "token": "" })), "token_missing"),
        (Some(json!({ "token": null })), "token_missing"),
        (Some(json!({ "token": "rubbish" })), "token_invalid"),
        (Some(json!({ "token": expired })), "token_expired"),
        (Some(json!({ "token": unknown })), "user_not_found"),
    ] {
        let refused = Client::try_connect(server.address(), auth.as_ref(), &[]).await;
        assert_eq!(refused.err(), Some(refusal(code)), "{auth:?}");
    }
    let (_, reply) = Poller::connect(&server, Some("rubbish")).await;
    assert_eq!(reply, format!("44{}", refusal("token_invalid")));
}

#[tokio::test]
async fn a_foreign_page_cannot_open_a_websocket() {
    let server = TestServer::start(&["--cors-origin", "https://shop.example"]).await;
    let upgrade = async |origin: &str| {
        let path = "/socket.io/?EIO=4&transport=websocket";
        let ask = server
            .anonymous()
            .ask("GET", path)
            .header("Upgrade", "websocket");
        ask.header("Origin", origin).answer().await.status
    };
    assert_eq!(upgrade("https://evil.example").await, 403);
    let auth = json!({ "token": token("asha", None) });
    let own = [("origin", "https://shop.example")];
    assert!(
        Client::try_connect(server.address(), Some(&auth), &own)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_session_ends_with_its_token_and_nobody_sees_the_refresh() {
    let server = TestServer::start(&["--offline-grace", "300"]).await;
    let rohan = server.user("rohan").await;
    let chat = rohan.chat_with(&server.user("asha").await).await;
    let mut watching = Client::connect(&server, &rohan).await;
    let short = token_for("asha", Some("asha"), Duration::from_secs(2));
    let (mut poller, reply) = Poller::connect(&server, Some(&short)).await;
    assert!(reply.starts_with("40"), "{reply}");
    let auth = json!({ "token": short });
    let mut asha = Client::try_connect(server.address(), Some(&auth), &[])
        .await
        .unwrap();
    assert_eq!(watching.event("userStatus").await["isOnline"], true);
    // As a loss of the transport: with a namespace's DISCONNECT the client would not reconnect by itself.
    assert_eq!(asha.ended().await, []);
    // Over polling that is a CLOSE, and a session that nobody knows any more.
    assert_eq!(poller.packet().await, "1");
    assert_eq!(poller.status_of("42[\"online\"]").await, 400);
    let refused = Client::try_connect(server.address(), Some(&auth), &[]).await;
    assert_eq!(refused.err(), Some(refusal("token_expired")));
    let asha = server.stranger("asha");
    let _again = Client::connect(&server, &asha).await;
    asha.says(&chat, "with a new token").await;
    let meanwhile = watching.until_hears("with a new token").await;
    assert!(
        meanwhile.iter().all(|(name, _)| name != "userStatus"),
        "{meanwhile:?}"
    );
}

#[tokio::test]
async fn presence_follows_the_first_and_the_last_tab() {
    let server = TestServer::start(&["--offline-grace", "0"]).await;
    let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
    let chat = rohan.chat_with(&asha).await;
    let eve = server.user("eve").await;
    eve.chat_with(&server.user("else").await).await;
    let mut watching = Client::connect(&server, &rohan).await;
    let mut outside = Client::connect(&server, &eve).await;
    let is_online = async || {
        let listed = rohan.get("/api/chat/my-chats").await.ok(200);
        listed["chats"][0]["participants"][1]["isOnline"].clone()
    };
    assert_eq!(is_online().await, false);

    let first = Client::connect(&server, &asha).await;
    let online = watching.event("userStatus").await;
    assert_eq!(
        (&online["userId"], &online["isOnline"]),
        (&json!("asha"), &json!(true))
    );
    let second = Client::connect(&server, &asha).await;
    assert_eq!(is_online().await, true);
    first.leave().await;
    asha.says(&chat, "one tab is left").await;
    let until = watching.until_hears("one tab is left").await;
    assert!(
        until.iter().all(|(name, _)| name != "userStatus"),
        "{until:?}"
    );
    assert_eq!(is_online().await, true);
    second.leave().await;
    let offline = watching.event("userStatus").await;
    assert_eq!(
        (&offline["userId"], &offline["isOnline"]),
        (&json!("asha"), &json!(false))
    );
    assert!(text(&offline["lastSeen"]).ends_with('Z'));
    assert_eq!(is_online().await, false);

    let elsewhere = eve.chat_with(&rohan).await;
    rohan.says(&elsewhere, "end").await;
    let until = outside.until_hears("end").await;
    assert!(
        until.iter().all(|(_, payload)| payload["userId"] != "asha"),
        "{until:?}"
    );
}

/// How long the grace is, paused time tells; here, that a lost connection has one and a goodbye none.
#[tokio::test]
async fn who_lost_the_network_is_away_only_after_a_grace() {
    let server = TestServer::start(&["--offline-grace", "300", "--recovery-window", "0"]).await;
    let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
    let chat = rohan.chat_with(&asha).await;
    let mut watching = Client::connect(&server, &rohan).await;
    let mut first = Client::connect(&server, &asha).await;
    assert_eq!(watching.event("userStatus").await["isOnline"], true);
    first.drop_connection().await;
    let mut again = Client::connect(&server, &asha).await;
    again.drop_connection().await;
    let mut last = Client::connect(&server, &asha).await;
    asha.says(&chat, "back again").await;
    let quiet = watching.until_hears("back again").await;
    assert!(
        quiet.iter().all(|(name, _)| name != "userStatus"),
        "{quiet:?}"
    );
    let listed = rohan.get("/api/chat/my-chats").await.ok(200);
    assert_eq!(listed["chats"][0]["participants"][1]["isOnline"], true);

    let other = server.user("other").await;
    rohan.chat_with(&other).await;
    let mut socket = Client::connect(&server, &other).await;
    let came = watching.event("userStatus").await;
    assert_eq!(
        (&came["userId"], &came["isOnline"]),
        (&json!("other"), &json!(true))
    );
    socket.raw("41").await;
    let gone = watching.event("userStatus").await;
    assert_eq!(
        (&gone["userId"], &gone["isOnline"]),
        (&json!("other"), &json!(false))
    );
    last.raw("41").await;
}

#[tokio::test]
async fn saying_online_refreshes_what_others_see() {
    let server = TestServer::start(&[]).await;
    let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
    rohan.chat_with(&asha).await;
    let mut watching = Client::connect(&server, &rohan).await;
    let mut client = Client::connect(&server, &asha).await;
    watching.event("userStatus").await;
    client.raw(r#"42["online"]"#).await;
    let status = watching.event("userStatus").await;
    assert_eq!(
        (&status["userId"], &status["isOnline"]),
        (&json!("asha"), &json!(true))
    );
    assert!(text(&status["lastSeen"]).ends_with('Z'));
    assert_eq!(
        client.call("online", &Value::Null).await,
        json!({ "success": true })
    );
}

#[tokio::test]
async fn what_makes_no_sense_neither_answers_nor_hurts() {
    let server = TestServer::start(&[]).await;
    let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
    let chat = rohan.chat_with(&asha).await;
    let mut client = Client::connect(&server, &asha).await;
    let mut watching = Client::connect(&server, &rohan).await;
    for frame in [
        r#"42["no-such-event"]"#,
        r#"42["no-such-event",{"chatId":1}]"#,
        r#"427["no-such-event","wants an ack"]"#,
        r#"42["newMessage",{"content":"forged"}]"#,
        r#"42["userStatus",{"userId":"rohan","isOnline":false}]"#,
    ] {
        client.raw(frame).await;
    }
    rohan.says(&chat, "end").await;
    let quiet = |events: Vec<(String, Value)>| {
        let names: Vec<_> = events.into_iter().map(|(name, _)| name).collect();
        assert!(names.iter().all(|name| name == "userStatus"), "{names:?}");
    };
    quiet(client.until_hears("end").await);
    quiet(watching.until_hears("end").await);

    for event in [
        "typing",
        "sendMessage",
        "markAsRead",
        "join-chat",
        "leave-chat",
    ] {
        for payload in [
            "",
            ",null",
            ",7",
            ",[]",
            ",{}",
            ",true",
            r#",{"chatId":{}}"#,
            &format!(r#",["{chat}",true]"#),
            r#",{"chatId":7,"isTyping":"x"}"#,
        ] {
            client.raw(&format!(r#"42["{event}"{payload}]"#)).await;
            let error = client.event("error").await;
            assert_eq!(error["event"], event, "{event} {payload}: {error}");
            assert_eq!(
                error["error"], "invalid_request",
                "{event} {payload}: {error}"
            );
            assert!(error["message"].is_string());
        }
        let ack = client.call(event, &json!({ "chatId": "not an id", "isTyping": true, "messageId": "x", "content": "x" })).await;
        assert_eq!(
            (&ack["success"], &ack["error"]),
            (&json!(false), &json!("invalid_id")),
            "{event}"
        );
        client.event("error").await;
    }
    let ack = client
        .call(
            "sendMessage",
            &json!({ "chatId": chat, "content": "still here" }),
        )
        .await;
    assert_eq!(ack["success"], true);
}

#[tokio::test]
async fn polling_carries_the_same_chat() {
    // With recovery every event would carry its offset, which is another file's matter.
    let server = TestServer::start(&["--recovery-window", "0"]).await;
    let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
    let chat = rohan.chat_with(&asha).await;
    let (mut poller, reply) = Poller::connect(&server, asha.token.as_deref()).await;
    assert!(reply.starts_with("40{\"sid\":"), "{reply}");

    let message = rohan.says(&chat, "over REST").await;
    assert_eq!(
        poller.packet().await,
        format!("42{}", json!(["newMessage", message]))
    );
    let unread = json!(["unreadCount", { "chatId": chat, "count": 1, "total": 1 }]);
    assert_eq!(poller.packet().await, format!("42{unread}"));

    let mut watching = Client::connect(&server, &rohan).await;
    let send = json!(["sendMessage", { "chatId": chat, "content": "over polling" }]);
    let two = format!("42[\"online\"]\x1e427{send}");
    poller.post(&two).await;
    let mut packets = Vec::new();
    while packets.len() < 2 {
        let packet = poller.packet().await;
        if packet.starts_with("437[") || packet.contains("\"newMessage\"") {
            packets.push(packet);
        }
    }
    packets.sort();
    let event = packets[0].strip_prefix("42").unwrap();
    let event: Value = serde_json::from_str(event).unwrap();
    let ack: Value = serde_json::from_str(packets[1].strip_prefix("437").unwrap()).unwrap();
    assert_eq!(ack[0]["data"], event[1]);
    assert_eq!(watching.event("newMessage").await, event[1]);

    poller.post("41").await;
    loop {
        let status = watching.event("userStatus").await;
        assert_eq!(status["userId"], "asha");
        if status["isOnline"] == false {
            break;
        }
    }
}

#[tokio::test]
async fn a_stopping_server_lets_its_sockets_go() {
    let server = TestServer::start(&[]).await;
    let asha = server.user("asha").await;
    let mut client = Client::connect(&server, &asha).await;
    let stopped = tokio::spawn(server.stop());
    assert_eq!(client.ended().await, []);
    stopped.await.unwrap();
}
