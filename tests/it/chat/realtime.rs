//! What sockets send and what they hear: every event of the contract, to whom, in which order.

use serde_json::{Value, json};

use super::rest::{Rest, text};
use super::server::TestServer;
use super::sockets::Client;

/// Two users, their chat, and a socket of each.
struct Pair {
    server: TestServer,
    asha: Rest,
    rohan: Rest,
    chat: String,
    of_asha: Client,
    of_rohan: Client,
}

impl Pair {
    async fn start(flags: &[&str]) -> Self {
        let server = TestServer::start(flags).await;
        let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
        let chat = rohan.chat_with(&asha).await;
        let of_asha = Client::connect(&server, &asha).await;
        let of_rohan = Client::connect(&server, &rohan).await;
        Self {
            server,
            asha,
            rohan,
            chat,
            of_asha,
            of_rohan,
        }
    }
}

fn named<'a>(events: &'a [(String, Value)], wanted: &str) -> Vec<&'a Value> {
    let events = events.iter().filter(|(name, _)| name == wanted);
    events.map(|(_, payload)| payload).collect()
}

#[tokio::test]
async fn a_message_goes_to_every_socket_of_every_participant() {
    let mut pair = Pair::start(&[]).await;
    let eve = pair.server.user("eve").await;
    let mut outsider = Client::connect(&pair.server, &eve).await;
    let mut second = Client::connect(&pair.server, &pair.rohan).await;
    let send = json!({ "chatId": pair.chat, "content": "Hello! Is this pet still available?", "messageType": "text", "mediaUrl": null, "parentMessageId": null });
    let ack = pair.of_rohan.call("sendMessage", &send).await;
    assert_eq!(
        (&ack["success"], &ack["message"]),
        (&json!(true), &json!("Message sent successfully"))
    );
    let message = &ack["data"];
    assert_eq!(
        message["sender"],
        json!({ "_id": "rohan", "name": "rohan" })
    );
    for client in [&mut pair.of_asha, &mut pair.of_rohan, &mut second] {
        assert_eq!(client.event("newMessage").await, *message);
    }
    let unread = pair.of_asha.event("unreadCount").await;
    assert_eq!(
        unread,
        json!({ "chatId": pair.chat, "count": 1, "total": 1 })
    );
    let delivered = pair.of_rohan.event("messageDelivered").await;
    let expected = json!({ "chatId": pair.chat, "messageId": message["_id"], "userId": "asha" });
    assert_eq!(delivered, expected);
    assert_eq!(
        pair.rohan.messages(&pair.chat).await[0]["status"],
        "delivered"
    );

    pair.of_rohan
        .emit(
            "sendMessage",
            &json!({ "chatId": pair.chat, "content": "without an ack" }),
        )
        .await;
    for client in [&mut pair.of_asha, &mut pair.of_rohan] {
        assert_eq!(
            client.event("newMessage").await["content"],
            "without an ack"
        );
    }
    let elsewhere = eve.chat_with(&pair.asha).await;
    pair.asha.says(&elsewhere, "end").await;
    let heard = outsider.until_hears("end").await;
    assert!(named(&heard, "newMessage").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_socket_hears_a_chat_in_its_order() {
    let pair = Pair::start(&["--no-rate-limit"]).await;
    let mut sockets = Vec::new();
    for number in 0..8 {
        let who = [&pair.asha, &pair.rohan][number % 2];
        sockets.push((who.clone(), Client::connect(&pair.server, who).await));
    }
    let mut senders = tokio::task::JoinSet::new();
    for (number, (who, mut socket)) in sockets.into_iter().enumerate() {
        let chat = pair.chat.clone();
        senders.spawn(async move {
            for round in 0..10 {
                let content = format!("{number}-{round}");
                if number < 4 {
                    who.says(&chat, &content).await;
                } else {
                    let send = json!({ "chatId": chat, "content": content });
                    assert_eq!(socket.call("sendMessage", &send).await["success"], true);
                }
            }
            socket
        });
    }
    let mut clients = senders.join_all().await;
    pair.asha.says(&pair.chat, "end").await;
    clients.extend([pair.of_asha, pair.of_rohan]);
    let stored = pair
        .asha
        .get(&format!("/api/chat/{}/messages?limit=100", pair.chat))
        .await
        .ok(200);
    let stored: Vec<_> = stored["messages"].as_array().unwrap()[..80]
        .iter()
        .map(|one| one["_id"].clone())
        .collect();
    for client in &mut clients {
        let heard = client.until_hears("end").await;
        let messages = named(&heard, "newMessage");
        let seqs: Vec<_> = messages
            .iter()
            .map(|one| one["seq"].as_u64().unwrap())
            .collect();
        assert_eq!(seqs, (1..=80).collect::<Vec<_>>());
        assert!(messages.iter().map(|one| &one["_id"]).eq(&stored));
    }
}

#[tokio::test]
async fn typing_is_seen_by_the_others_who_have_the_chat_open() {
    let mut pair = Pair::start(&[]).await;
    let mut second = Client::connect(&pair.server, &pair.rohan).await;
    let mut closed = Client::connect(&pair.server, &pair.asha).await;
    let joined = json!({ "success": true, "message": "Chat joined" });
    for client in [&mut pair.of_asha, &mut pair.of_rohan, &mut second] {
        assert_eq!(
            client
                .call("join-chat", &json!({ "chatId": pair.chat }))
                .await,
            joined
        );
    }
    let typing = |is_typing: bool| json!({ "chatId": pair.chat, "isTyping": is_typing });
    pair.of_rohan.emit("typing", &typing(true)).await;
    let shown = json!({ "userId": "rohan", "isTyping": true, "chatId": pair.chat });
    assert_eq!(pair.of_asha.event("typing").await, shown);
    let ack = pair.of_rohan.call("typing", &typing(false)).await;
    assert_eq!(ack["success"], true);
    assert_eq!(pair.of_asha.event("typing").await["isTyping"], false);

    pair.of_rohan.call("typing", &typing(true)).await;
    assert_eq!(pair.of_asha.event("typing").await["isTyping"], true);
    pair.of_rohan.leave().await;
    assert_eq!(
        pair.of_asha.event("typing").await["isTyping"],
        false,
        "it stops with the socket"
    );

    pair.asha.says(&pair.chat, "end").await;
    for client in [&mut second, &mut closed] {
        let heard = client.until_hears("end").await;
        assert!(named(&heard, "typing").is_empty(), "{heard:?}");
    }
}

/// How long typing lasts by itself, paused time tells.
#[tokio::test]
async fn typing_stops_with_the_last_of_the_devices() {
    let mut pair = Pair::start(&[]).await;
    let mut phone = Client::connect(&pair.server, &pair.rohan).await;
    pair.of_asha.call("join-chat", &json!(pair.chat)).await;
    let typing = |is_typing: bool| json!({ "chatId": pair.chat, "isTyping": is_typing });
    for device in [&mut pair.of_rohan, &mut phone] {
        device.call("typing", &typing(true)).await;
        assert_eq!(pair.of_asha.event("typing").await["isTyping"], true);
    }
    pair.of_rohan.call("typing", &typing(false)).await;
    pair.of_rohan.call("typing", &typing(true)).await;
    assert_eq!(
        pair.of_asha.event("typing").await["isTyping"],
        true,
        "the phone typed all the time"
    );
    phone.leave().await;
    pair.rohan.says(&pair.chat, "still typing").await;
    let heard = pair.of_asha.until_hears("still typing").await;
    assert!(named(&heard, "typing").is_empty(), "{heard:?}");
    pair.of_rohan.call("typing", &typing(false)).await;
    assert_eq!(pair.of_asha.event("typing").await["isTyping"], false);
}

#[tokio::test]
async fn nobody_is_left_typing_in_however_many_chats() {
    let server = TestServer::start(&[]).await;
    let rohan = server.user("rohan").await;
    let mut typist = Client::connect(&server, &rohan).await;
    let mut others = Vec::new();
    for number in 0..12 {
        let other = server.user(&format!("other-{number}")).await;
        let chat = rohan.chat_with(&other).await;
        let mut socket = Client::connect(&server, &other).await;
        socket.call("join-chat", &json!(chat)).await;
        let typing = json!({ "chatId": chat, "isTyping": true });
        typist.call("typing", &typing).await;
        assert_eq!(socket.event("typing").await["isTyping"], true);
        others.push(socket);
    }
    typist.leave().await;
    for socket in &mut others {
        assert_eq!(socket.event("typing").await["isTyping"], false);
    }
}

#[tokio::test]
async fn rooms_are_joined_by_chat_id_in_any_form_and_left_again() {
    let mut pair = Pair::start(&[]).await;
    let by_object = json!({ "chatId": pair.chat });
    let by_text = json!(pair.chat);
    let typing = json!({ "chatId": pair.chat, "isTyping": true });
    for (join, leave, payload) in [
        ("join-chat", "leave-chat", &by_object),
        ("joinChat", "leaveChat", &by_object),
        ("join-chat", "leave-chat", &by_text),
        ("joinChat", "leaveChat", &by_text),
    ] {
        assert_eq!(pair.of_asha.call(join, payload).await["success"], true);
        pair.of_rohan.call("typing", &typing).await;
        pair.of_asha.event("typing").await;
        let left = pair.of_asha.call(leave, payload).await;
        assert_eq!(left, json!({ "success": true, "message": "Chat left" }));
        pair.of_rohan.call("typing", &typing).await;
        pair.rohan.says(&pair.chat, "end").await;
        let heard = pair.of_asha.until_hears("end").await;
        assert!(named(&heard, "typing").is_empty(), "{heard:?}");
    }
}

#[tokio::test]
async fn reading_is_told_to_all_and_counted_down_for_the_reader() {
    let mut pair = Pair::start(&[]).await;
    let mut second = Client::connect(&pair.server, &pair.asha).await;
    let mut ids = Vec::new();
    for content in ["one", "two", "three"] {
        ids.push(pair.rohan.says(&pair.chat, content).await["_id"].clone());
    }
    let read = json!({ "chatId": pair.chat, "messageId": ids[1] });
    let ack = pair.of_asha.call("markAsRead", &read).await;
    assert_eq!(
        ack,
        json!({ "success": true, "message": "Messages marked as read" })
    );
    let told = json!({ "chatId": pair.chat, "messageId": ids[1], "userId": "asha" });
    for client in [&mut pair.of_asha, &mut pair.of_rohan, &mut second] {
        assert_eq!(client.event("messageRead").await, told);
    }
    for client in [&mut pair.of_asha, &mut second] {
        let counts = client
            .until("unreadCount", |one| one["count"] == 1 && one["total"] == 1)
            .await;
        // Up for the first message, up to three, and down to the one that is left.
        let last = client.until("unreadCount", |one| one["count"] == 1).await;
        let all: Vec<_> = counts
            .iter()
            .chain(&last)
            .filter(|(name, _)| name == "unreadCount")
            .collect();
        let all: Vec<_> = all
            .iter()
            .map(|(_, one)| one["count"].as_u64().unwrap())
            .collect();
        assert_eq!(all, [1, 2, 3, 1]);
    }
    let statuses: Vec<_> = pair
        .rohan
        .messages(&pair.chat)
        .await
        .iter()
        .map(|one| text(&one["status"]))
        .collect();
    assert_eq!(statuses[..2], ["read", "read"]);
    assert_ne!(statuses[2], "read");

    let elsewhere = pair.asha.chat_with(&pair.server.user("meera").await).await;
    let foreign = pair.asha.says(&elsewhere, "not of this chat").await;
    let wrong = json!({ "chatId": pair.chat, "messageId": foreign["_id"] });
    let ack = pair.of_asha.call("markAsRead", &wrong).await;
    assert_eq!(ack["error"], "message_not_found");

    // Backwards is no news.
    let back = json!({ "chatId": pair.chat, "messageId": ids[0] });
    assert_eq!(
        pair.of_asha.call("markAsRead", &back).await["success"],
        true
    );
    pair.asha
        .put(&format!("/api/chat/{}/mark-read", pair.chat))
        .await
        .ok(200);
    let told = pair.of_rohan.event("messageRead").await;
    assert_eq!(told["messageId"], ids[2], "REST tells sockets the same");
    assert_eq!(pair.asha.unread().await, 0);
}

#[tokio::test]
async fn changes_over_rest_are_heard_by_sockets() {
    let mut pair = Pair::start(&[]).await;
    let message = pair.rohan.says(&pair.chat, "to be deleted").await;
    pair.rohan
        .delete(&format!("/api/chat/message/{}", text(&message["_id"])))
        .await
        .ok(200);
    let deleted = json!({ "chatId": pair.chat, "messageId": message["_id"] });
    for client in [&mut pair.of_asha, &mut pair.of_rohan] {
        assert_eq!(client.event("messageDeleted").await, deleted);
    }
    assert_eq!(pair.of_asha.event("unreadCount").await["count"], 1);
    assert_eq!(pair.of_asha.event("unreadCount").await["count"], 0);

    let toggle = format!("/api/chat/{}/toggle-block", pair.chat);
    for blocked_by in [json!(["asha"]), json!([])] {
        pair.asha.put(&toggle).await.ok(200);
        let blocked = json!({ "chatId": pair.chat, "blockedBy": blocked_by });
        for client in [&mut pair.of_asha, &mut pair.of_rohan] {
            assert_eq!(client.event("chatBlocked").await, blocked);
        }
    }
    let meera = pair.server.user("meera").await;
    let mut of_meera = Client::connect(&pair.server, &meera).await;
    let chat = meera
        .post("/api/chat/create", &json!({ "participantId": "asha" }))
        .await
        .ok(201);
    assert_eq!(pair.of_asha.event("newChat").await, chat);
    meera
        .post("/api/chat/create", &json!({ "participantId": "asha" }))
        .await
        .ok(200);
    meera.says(&text(&chat["_id"]), "end").await;
    let heard = pair.of_asha.until_hears("end").await;
    assert!(
        named(&heard, "newChat").is_empty(),
        "a chat that was there is no news"
    );
    let heard = of_meera.until_hears("end").await;
    assert!(
        named(&heard, "newChat").is_empty(),
        "nor is it to its opener"
    );
}

#[tokio::test]
async fn what_is_fetched_counts_as_delivered() {
    let server = TestServer::start(&[]).await;
    let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
    let chat = rohan.chat_with(&asha).await;
    let mut of_rohan = Client::connect(&server, &rohan).await;
    let message = rohan.says(&chat, "hello").await;
    assert_eq!(
        rohan.messages(&chat).await[0]["status"],
        "sent",
        "the sender's own look hands nothing over"
    );
    asha.messages(&chat).await;
    let delivered = of_rohan.event("messageDelivered").await;
    assert_eq!(
        (&delivered["messageId"], &delivered["userId"]),
        (&message["_id"], &json!("asha"))
    );
    assert_eq!(rohan.messages(&chat).await[0]["status"], "delivered");
}

#[tokio::test]
async fn a_failure_is_an_error_event_and_a_failed_ack() {
    let mut pair = Pair::start(&[]).await;
    let send = json!({ "chatId": pair.chat, "content": " ", "clientMessageId": "c-1" });
    let ack = pair.of_rohan.call("sendMessage", &send).await;
    let sentence = "Message content cannot be empty";
    assert_eq!(
        ack,
        json!({ "success": false, "message": sentence, "error": "content_empty" })
    );
    let error = json!({
        "message": sentence, "error": "content_empty", "event": "sendMessage", "clientMessageId": "c-1"
    });
    assert_eq!(pair.of_rohan.event("error").await, error);
    pair.of_rohan.emit("sendMessage", &send).await;
    assert_eq!(
        pair.of_rohan.event("error").await,
        error,
        "also without an ack"
    );
    pair.asha.says(&pair.chat, "end").await;
    let heard = pair.of_asha.until_hears("end").await;
    assert!(named(&heard, "error").is_empty(), "nobody else hears of it");
    // What is no name of a message is not given back as one.
    pair.of_rohan.emit("joinChat", &json!([pair.chat])).await;
    assert_eq!(
        pair.of_rohan.event("error").await,
        json!({
            "message": "The payload must be an object", "error": "invalid_request", "event": "joinChat"
        })
    );
}
