//! Blocking a person: what both sides see and may do, over REST and over a socket.

use serde_json::{Value, json};

use super::media::PNG;
use super::rest::{Rest, text};
use super::server::TestServer;
use super::sockets::Client;

async fn block(who: &Rest, other: &Rest) -> Value {
    who.put(&format!("/api/chat/block-user/{}", other.id))
        .await
        .says(200, "User blocked successfully")
}

async fn unblock(who: &Rest, other: &Rest) {
    let answer = who
        .delete(&format!("/api/chat/block-user/{}", other.id))
        .await;
    answer.says(200, "User unblocked successfully");
}

async fn two(flags: &[&str]) -> (TestServer, Rest, Rest) {
    let server = TestServer::start(flags).await;
    let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
    (server, asha, rohan)
}

#[tokio::test]
async fn a_person_is_blocked_once_and_listed() {
    let (server, asha, rohan) = two(&["--max-blocked-users=2"]).await;
    let first = block(&asha, &rohan).await;
    assert_eq!(
        (&first["userId"], &first["isBlocked"]),
        (&json!("rohan"), &json!(true))
    );
    assert_eq!(block(&asha, &rohan).await, first, "again changes nothing");
    let list = async || asha.get("/api/chat/blocked-users").await.ok(200)["users"].clone();
    let expected = json!([{ "_id": "rohan", "name": "rohan", "blockedAt": first["blockedAt"] }]);
    assert_eq!(list().await, expected);
    assert_eq!(
        rohan.get("/api/chat/blocked-users").await.ok(200)["users"],
        json!([])
    );

    for (id, status, code) in [
        ("asha", 400, "invalid_request"),
        ("nobody", 404, "user_not_found"),
        ("a%20b", 400, "invalid_id"),
        (&*"x".repeat(65), 400, "invalid_id"),
    ] {
        asha.put(&format!("/api/chat/block-user/{id}"))
            .await
            .refused(status, code);
    }
    asha.get("/api/chat/block-user/rohan")
        .await
        .refused(405, "method_not_allowed");
    asha.put("/api/chat/blocked-users")
        .await
        .refused(405, "method_not_allowed");

    let (third, fourth) = (server.user("third").await, server.user("fourth").await);
    block(&asha, &third).await;
    let refused = asha.put("/api/chat/block-user/fourth").await;
    refused.refused(409, "too_many_blocks");
    block(&asha, &third).await;
    unblock(&asha, &third).await;
    unblock(&asha, &third).await;
    asha.delete("/api/chat/block-user/nobody").await.ok(200);
    block(&asha, &fourth).await;
    server.stop().await;
}

#[tokio::test]
async fn neither_can_write_or_open_a_chat_and_both_can_read() {
    let (server, asha, rohan) = two(&[]).await;
    let chat = rohan.chat_with(&asha).await;
    let said = rohan.says(&chat, "Hello?").await;
    block(&asha, &rohan).await;
    let send = format!("/api/chat/{chat}/send");
    for who in [&asha, &rohan] {
        let other = if who.id == "asha" { "rohan" } else { "asha" };
        let answer = who.post(&send, &json!({ "content": "a" })).await;
        assert_eq!(answer.refused(403, "chat_blocked"), "This chat is blocked");
        who.uploads(&chat, "a.png", PNG)
            .await
            .refused(403, "chat_blocked");
        let direct = json!({ "participantId": other });
        let found = who.post("/api/chat/create", &direct).await.ok(200);
        assert_eq!(
            (&found["_id"], &found["blockedBy"]),
            (&json!(chat), &json!([]))
        );
        let general = json!({ "participantId": other, "chatType": "general" });
        who.post("/api/chat/create", &general)
            .await
            .refused(403, "chat_blocked");
        assert_eq!(who.messages(&chat).await.len(), 1);
        who.put(&format!("/api/chat/{chat}/mark-read"))
            .await
            .ok(200);
        let mut socket = Client::connect(&server, who).await;
        for (event, payload) in [
            ("sendMessage", json!({ "chatId": chat, "content": "a" })),
            ("typing", json!({ "chatId": chat, "isTyping": true })),
        ] {
            let ack = socket.call(event, &payload).await;
            assert_eq!(
                (&ack["error"], &ack["message"]),
                (&json!("chat_blocked"), &json!("This chat is blocked"))
            );
        }
        assert_eq!(
            socket.call("join-chat", &json!(chat)).await["success"],
            true
        );
    }
    // A message of one's own can still be taken back.
    let path = format!("/api/chat/message/{}", text(&said["_id"]));
    rohan.delete(&path).await.ok(200);
    // The block of a chat is another thing.
    let toggle = format!("/api/chat/{chat}/toggle-block");
    assert_eq!(
        rohan.put(&toggle).await.ok(200)["blockedBy"],
        json!(["rohan"])
    );
    unblock(&asha, &rohan).await;
    asha.post(&send, &json!({ "content": "a" }))
        .await
        .refused(403, "chat_blocked");
    rohan.put(&toggle).await.ok(200);
    asha.says(&chat, "Hello").await;

    // It outlives the server, and each of two blocks has to be lifted.
    block(&asha, &rohan).await;
    block(&rohan, &asha).await;
    let directory = server.stop().await;
    let server = TestServer::start_in(directory, &[]).await;
    let (asha, rohan) = (server.stranger("asha"), server.stranger("rohan"));
    asha.post(&send, &json!({ "content": "a" }))
        .await
        .refused(403, "chat_blocked");
    unblock(&asha, &rohan).await;
    asha.post(&send, &json!({ "content": "a" }))
        .await
        .refused(403, "chat_blocked");
    unblock(&rohan, &asha).await;
    asha.says(&chat, "Hello again").await;
    server.stop().await;
}

#[tokio::test]
async fn the_blocked_one_sees_somebody_who_is_not_there_and_hears_nothing_else() {
    let (server, asha, rohan) = two(&[]).await;
    let chat = rohan.chat_with(&asha).await;
    let mut phone = Client::connect(&server, &asha).await;
    let mut desk = Client::connect(&server, &asha).await;
    let mut other = Client::connect(&server, &rohan).await;
    phone
        .until("userStatus", |told| told["userId"] == "rohan")
        .await;
    let shown = async |who: &Rest, of: &str| {
        let list = who.get("/api/chat/my-chats").await.ok(200);
        let chat = &list["chats"][0];
        let people = chat["participants"].as_array().unwrap();
        let one = people.iter().find(|one| one["_id"] == of).unwrap();
        (one["isOnline"] == true, one.get("lastSeen").is_some())
    };
    asha.says(&chat, "one").await;
    assert!(shown(&rohan, "asha").await.0);

    let path = "/api/chat/block-user/rohan";
    let by_phone = asha.ask("PUT", path).header("X-Socket-Id", &phone.id);
    by_phone.answer().await.ok(200);
    let told = desk.event("userBlocked").await;
    assert_eq!(told, json!({ "userId": "rohan", "isBlocked": true }));
    let is_ashas = |told: &Value| told["userId"] == "asha";
    let gone = other
        .until("userStatus", |told| {
            is_ashas(told) && told["isOnline"] == false
        })
        .await;
    assert!(
        gone.iter().all(|(name, _)| name != "userBlocked"),
        "{gone:?}"
    );
    assert_eq!(shown(&rohan, "asha").await, (false, false));
    assert!(shown(&asha, "rohan").await.0, "who blocks still sees");
    // Coming, going and saying so are not told either.
    assert_eq!(phone.call("online", &json!({})).await["success"], true);
    desk.leave().await;
    let mut desk = Client::connect(&server, &asha).await;
    unblock(&asha, &rohan).await;
    let lifted = desk.event("userBlocked").await;
    assert_eq!(lifted["isBlocked"], false);
    let heard = other.until("userStatus", is_ashas).await;
    assert_eq!(heard.last().unwrap().1["isOnline"], true, "{heard:?}");
    let statuses = heard
        .iter()
        .filter(|(name, _)| name == "userStatus")
        .count();
    assert_eq!(
        statuses, 1,
        "nothing between the block and its end: {heard:?}"
    );
    let own = phone
        .until("userBlocked", |told| told["isBlocked"] == false)
        .await;
    let blocks = own.iter().filter(|(name, _)| name == "userBlocked").count();
    assert_eq!(blocks, 1, "the socket that asked is left out: {own:?}");
    server.stop().await;
}
