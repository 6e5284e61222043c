//! Coming back after a lost connection: messages, presence, typing, and who is let in.

use std::time::Duration;

use serde_json::{Value, json};

use super::rest::Rest;
use super::server::{TestServer, token, token_for};
use super::sockets::Client;

/// Connects with what another connection remembers; tells how that ended for the messages that came with it.
async fn back(server: &TestServer, who: &Rest, lost: &Client) -> Client {
    let claim = lost.claim(who);
    Client::try_connect(server.address(), Some(&claim), &[])
        .await
        .unwrap()
}

/// Every event until somebody says `content`, told apart by what matters.
async fn heard(client: &mut Client, content: &str) -> Vec<Value> {
    let events = client.until_hears(content).await;
    let told = events
        .into_iter()
        .filter_map(|(name, payload)| match &*name {
            "newMessage" => Some(payload["content"].clone()),
            "userStatus" => Some(payload["isOnline"].clone()),
            "typing" => Some(json!({ "typing": payload["isTyping"] })),
            _ => None,
        });
    told.collect()
}

#[tokio::test]
async fn messages_sent_meanwhile_arrive_once_and_in_order_every_time() {
    let server = TestServer::start(&[]).await;
    let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
    let chat = rohan.chat_with(&asha).await;
    let mut socket = Client::connect(&server, &asha).await;
    socket.call("join-chat", &json!({ "chatId": chat })).await;
    for round in 0..3 {
        socket.drop_connection().await;
        for number in 0..5 {
            rohan.says(&chat, &format!("{round}.{number}")).await;
        }
        let mut again = back(&server, &asha, &socket).await;
        assert_eq!((&again.id, &again.pid), (&socket.id, &socket.pid));
        rohan.says(&chat, "now").await;
        let expected: Vec<Value> = (0..5)
            .map(|number| json!(format!("{round}.{number}")))
            .collect();
        assert_eq!(heard(&mut again, "now").await, expected);
        socket = again;
    }
    let counts = server.counts();
    assert_eq!((counts.recovered_sockets, counts.sockets), (3, 1));
    // The room came back, too.
    let mut other = Client::connect(&server, &rohan).await;
    other.call("join-chat", &json!({ "chatId": chat })).await;
    let typing = json!({ "chatId": chat, "isTyping": true });
    other.call("typing", &typing).await;
    assert_eq!(socket.event("typing").await["isTyping"], true);
}

#[tokio::test]
async fn what_a_recovered_socket_missed_is_delivered_to_it() {
    let server = TestServer::start(&[]).await;
    let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
    let chat = rohan.chat_with(&asha).await;
    let mut of_rohan = Client::connect(&server, &rohan).await;
    let socket = Client::connect(&server, &asha).await;
    let mut socket = socket;
    socket.drop_connection().await;
    of_rohan.event("userStatus").await;
    let sent = rohan.says(&chat, "are you there?").await;
    assert_eq!(rohan.messages(&chat).await[0]["status"], "sent");
    let _back = back(&server, &asha, &socket).await;
    let delivered = of_rohan.event("messageDelivered").await;
    assert_eq!(delivered["messageId"], sent["_id"]);
}

#[tokio::test]
async fn presence_is_told_once_for_each_change() {
    let server = TestServer::start(&["--offline-grace", "0"]).await;
    let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
    let chat = rohan.chat_with(&asha).await;
    let mut watcher = Client::connect(&server, &rohan).await;
    let mut socket = Client::connect(&server, &asha).await;
    assert_eq!(watcher.event("userStatus").await["isOnline"], true);
    for _ in 0..2 {
        socket.drop_connection().await;
        // At once, not when the window is over.
        assert_eq!(watcher.event("userStatus").await["isOnline"], false);
        socket = back(&server, &asha, &socket).await;
        assert_eq!(watcher.event("userStatus").await["isOnline"], true);
    }
    // A connection that takes the place of an open one changes nothing for anybody.
    let mut second = back(&server, &asha, &socket).await;
    assert_eq!(second.id, socket.id);
    socket.ended().await;
    asha.says(&chat, "still here").await;
    assert_eq!(heard(&mut watcher, "still here").await, [] as [Value; 0]);
    second.drop_connection().await;
    assert_eq!(watcher.event("userStatus").await["isOnline"], false);
    asha.says(&chat, "gone").await;
    assert_eq!(heard(&mut watcher, "gone").await, [] as [Value; 0]);
}

#[tokio::test]
async fn typing_ends_with_the_connection_and_does_not_come_back() {
    let server = TestServer::start(&[]).await;
    let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
    let chat = rohan.chat_with(&asha).await;
    let mut watcher = Client::connect(&server, &rohan).await;
    let mut socket = Client::connect(&server, &asha).await;
    for client in [&mut watcher, &mut socket] {
        client.call("join-chat", &json!({ "chatId": chat })).await;
    }
    let typing = json!({ "chatId": chat, "isTyping": true });
    socket.call("typing", &typing).await;
    assert_eq!(watcher.event("typing").await["isTyping"], true);
    socket.drop_connection().await;
    assert_eq!(watcher.event("typing").await["isTyping"], false);
    let _again = back(&server, &asha, &socket).await;
    asha.says(&chat, "end").await;
    let after = heard(&mut watcher, "end").await;
    assert!(!after.iter().any(Value::is_object), "{after:?}");
}

#[tokio::test]
async fn only_its_own_user_with_a_good_token_gets_a_socket_back() {
    let server = TestServer::start(&[]).await;
    let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
    let chat = rohan.chat_with(&asha).await;
    let mut socket = Client::connect(&server, &asha).await;
    socket.drop_connection().await;
    rohan.says(&chat, "for asha alone").await;

    let eve = server.user("eve").await;
    let mut thief = back(&server, &eve, &socket).await;
    assert_ne!((&thief.id, &thief.pid), (&socket.id, &socket.pid));
    let of_eve = eve.chat_with(&rohan).await;
    eve.says(&of_eve, "nothing?").await;
    assert_eq!(heard(&mut thief, "nothing?").await, [] as [Value; 0]);

    let expired = token_for("asha", None, Duration::ZERO);
    for bad in [
        String::new(),
        "x".to_owned(),
        expired,
        token("asha", None) + "x",
    ] {
        let claim = socket.claim(&asha.with_token(&bad));
        let refused = Client::try_connect(server.address(), Some(&claim), &[]).await;
        if bad.ends_with('x') {
            assert_eq!(refused.err().unwrap()["message"], "Authentication error");
        }
    }
    let mut again = back(&server, &asha, &socket).await;
    assert_eq!(again.id, socket.id);
    assert_eq!(again.event("newMessage").await["content"], "for asha alone");
}

#[tokio::test]
async fn a_bad_token_that_asks_for_a_socket_back_counts_once() {
    let flags = ["--trusted-proxy=127.0.0.0/8", "--failed-auth-rate=3"];
    let server = TestServer::start(&flags).await;
    let asha = server.user("asha").await;
    let mut socket = Client::connect(&server, &asha).await;
    socket.drop_connection().await;
    let claim = socket.claim(&asha.with_token("rubbish"));
    let from = [("x-forwarded-for", "198.51.100.1")];
    for attempt in 0..4 {
        let refused = Client::try_connect(server.address(), Some(&claim), &from).await;
        let expected = if attempt < 3 {
            "token_invalid"
        } else {
            "rate_limited"
        };
        assert_eq!(
            refused.err().unwrap()["data"]["code"],
            expected,
            "{attempt}"
        );
    }
    let metrics = server.anonymous().get("/metrics").await;
    let metrics = String::from_utf8(metrics.body.clone()).unwrap();
    for (code, times) in [("token_invalid", 3), ("rate_limited", 1)] {
        let sample = format!("jivchat_errors_total{{edge=\"connect\",code=\"{code}\"}} {times}\n");
        assert!(metrics.contains(&sample), "{metrics}");
    }
    let again = back(&server, &asha, &socket).await;
    assert_eq!(again.id, socket.id);
}

#[tokio::test]
async fn it_can_be_turned_off() {
    let server = TestServer::start(&["--recovery-window=0"]).await;
    let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
    let chat = rohan.chat_with(&asha).await;
    let mut socket = Client::connect(&server, &asha).await;
    rohan.says(&chat, "x").await;
    socket.event("newMessage").await;
    assert_eq!((&socket.pid, &socket.offset), (&None, &None));
    socket.drop_connection().await;
    let again = back(&server, &asha, &socket).await;
    assert_ne!(again.id, socket.id);
}
