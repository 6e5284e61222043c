//! What a sender can ask for beside the message: no echo, no second copy; and what a sender cannot: more than the others.

use serde_json::json;
use tokio::task::JoinSet;

use super::rest::Rest;
use super::server::TestServer;
use super::sockets::Client;

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

/// Promise P4: also when REST and sockets race.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn racing_retries_store_one_message() {
    let server = TestServer::start(&[]).await;
    let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
    let chat = rohan.chat_with(&asha).await;
    let mut racing = JoinSet::new();
    for number in 0..8 {
        let mut socket = Client::connect(&server, &rohan).await;
        let (rohan, chat) = (rohan.clone(), chat.clone());
        racing.spawn(async move {
            let mut send = json!({ "content": "hello", "clientMessageId": "c-1" });
            if number % 2 == 0 {
                let path = format!("/api/chat/{chat}/send");
                rohan.post(&path, &send).await.data()
            } else {
                send["chatId"] = json!(chat);
                socket.call("sendMessage", &send).await["data"].clone()
            }
        });
    }
    let stored = racing.join_all().await;
    assert!(
        stored
            .iter()
            .all(|one| one["_id"] == stored[0]["_id"] && one["seq"] == 1)
    );
    assert_eq!(asha.messages(&chat).await.len(), 1);
    assert_eq!(asha.unread().await, 1);
}
