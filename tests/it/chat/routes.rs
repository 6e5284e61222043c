//! Every route of the API as it is documented: status, sentence, shape. Who is refused is another file's matter.

use serde_json::{Value, json};

use super::rest::{Rest, keys, text};
use super::server::SECRET;
use super::server::{TestServer, token, token_with};

/// `createdAt` and the like: RFC 3339, UTC, milliseconds.
fn assert_time(value: &Value) {
    let time = text(value);
    let shape: String = time
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000Z", "{time}");
}

fn assert_minted(value: &Value) {
    let id = text(value);
    let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    assert!(id.len() == 24 && id.bytes().all(is_hex), "{id}");
}

const MESSAGE: [&str; 15] = [
    "_id",
    "chat",
    "sender",
    "messageType",
    "content",
    "mediaUrl",
    "readBy",
    "status",
    "parentMessage",
    "reactions",
    "isEdited",
    "isDeleted",
    "seq",
    "createdAt",
    "updatedAt",
];

#[tokio::test]
async fn a_pet_inquiry_has_the_documented_shape() {
    let server = TestServer::start(&["--demo"]).await;
    let buyer = server.user("buyer").await;
    let body = json!({ "participantId": "user-kabir", "petId": "pet-beagle" });
    let created = buyer.post("/api/chat/create", &body).await;
    let chat = created.says(201, "Chat created successfully");
    assert_eq!(
        keys(&chat),
        [
            "_id",
            "participants",
            "petListing",
            "chatType",
            "lastMessage",
            "lastMessageTime",
            "isActive",
            "blockedBy",
            "unreadCount",
            "createdAt",
            "updatedAt"
        ]
    );
    assert_minted(&chat["_id"]);
    assert_eq!(
        chat["participants"],
        json!([
            { "_id": "buyer", "name": "buyer", "email": "buyer@example.com", "isOnline": false },
            {
                "_id": "user-kabir",
                "name": "Kabir",
                "email": "kabir@example.com",
                "profilePicture": "/demo/assets/pictures/avatar-kabir.svg",
                "isOnline": false
            }
        ])
    );
    assert_eq!(chat["chatType"], "pet_inquiry");
    assert_eq!(
        (&chat["isActive"], &chat["blockedBy"]),
        (&json!(true), &json!([]))
    );
    assert_eq!(chat["lastMessage"], Value::Null);
    assert_eq!(
        chat["unreadCount"],
        json!([{ "userId": "buyer", "count": 0 }, { "userId": "user-kabir", "count": 0 }])
    );
    for time in ["createdAt", "updatedAt", "lastMessageTime"] {
        assert_time(&chat[time]);
    }
    let pet = &chat["petListing"];
    assert_eq!(pet["_id"], "pet-beagle");
    assert_eq!(pet["title"], "Beagle, eight months");
    assert_eq!(
        pet["images"],
        json!([{ "url": "/demo/assets/pictures/pet-beagle.svg" }])
    );
    assert_eq!(
        (&pet["price"], &pet["address"]),
        (&json!(18500), &json!("Pune"))
    );
    assert_eq!(
        pet["breed"], "Beagle",
        "unknown fields of a pet are given back"
    );

    let again = buyer.post("/api/chat/create", &body).await;
    let same = again.says(200, "Chat retrieved successfully");
    assert_eq!(same, chat);
}

#[tokio::test]
async fn which_chat_is_opened_follows_from_what_is_named() {
    let server = TestServer::start(&["--demo"]).await;
    let (buyer, owner) = (server.user("buyer").await, server.demo_user("user-kabir"));
    let create = async |who: &Rest, body: Value| who.post("/api/chat/create", &body).await;

    let by_pet = create(&buyer, json!({ "petId": "pet-beagle" }))
        .await
        .ok(201);
    assert_eq!(
        by_pet["participants"][1]["_id"], "user-kabir",
        "the owner takes part by itself"
    );
    let both = json!({ "participantId": "user-kabir", "petId": "pet-beagle" });
    assert_eq!(create(&buyer, both).await.ok(200)["_id"], by_pet["_id"]);
    let from_owner = json!({ "participantId": "buyer", "petId": "pet-beagle" });
    assert_eq!(
        create(&owner, from_owner).await.ok(200)["_id"],
        by_pet["_id"]
    );

    let direct = create(&buyer, json!({ "participantId": "user-kabir" }))
        .await
        .ok(201);
    assert_eq!(
        (&direct["chatType"], &direct["petListing"]),
        (&json!("direct"), &Value::Null)
    );
    let back = create(&owner, json!({ "participantId": "buyer" }))
        .await
        .ok(200);
    assert_eq!(back["_id"], direct["_id"], "one chat, whoever opens it");
    let general = json!({ "participantId": "user-kabir", "chatType": "general" });
    let general = create(&buyer, general).await.ok(201);
    assert_eq!(general["chatType"], "general");
    let other_pet = create(&buyer, json!({ "petId": "pet-labrador" }))
        .await
        .ok(201);
    let ids = [&by_pet, &direct, &general, &other_pet].map(|chat| text(&chat["_id"]));
    let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), 4);

    for (body, status, code) in [
        (json!({}), 400, "invalid_request"),
        (json!({ "participantId": "nobody" }), 404, "user_not_found"),
        (json!({ "petId": "pet-dodo" }), 404, "pet_not_found"),
        (
            json!({ "participantId": "user-asha", "petId": "pet-beagle" }),
            400,
            "not_pet_owner",
        ),
        (json!({ "participantId": "buyer" }), 400, "self_chat"),
        (json!({ "participantId": "no such id!" }), 400, "invalid_id"),
        (json!({ "petId": "a b" }), 400, "invalid_id"),
        (
            json!({ "participantId": "user-kabir", "chatType": "party" }),
            400,
            "invalid_request",
        ),
        (json!({ "participantId": 7 }), 400, "invalid_request"),
    ] {
        create(&buyer, body).await.refused(status, code);
    }
    let neither = create(&buyer, json!({})).await;
    let sentence = neither.refused(400, "invalid_request");
    assert_eq!(sentence, "Either petId or participantId is required");
    let nobody = create(&buyer, json!({ "participantId": "nobody" })).await;
    assert_eq!(nobody.refused(404, "user_not_found"), "User not found");
    let dodo = create(&buyer, json!({ "petId": "pet-dodo" })).await;
    assert_eq!(dodo.refused(404, "pet_not_found"), "Pet not found");
}

#[tokio::test]
async fn a_message_has_the_documented_shape_everywhere() {
    let server = TestServer::start(&[]).await;
    let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
    let chat = rohan.chat_with(&asha).await;
    let path = format!("/api/chat/{chat}/send");
    let body = json!({ "content": "Hello! Is this pet still available?", "messageType": "text" });
    let sent = rohan.post(&path, &body).await;
    let message = sent.says(201, "Message sent successfully");
    assert_eq!(keys(&message), MESSAGE);
    assert_minted(&message["_id"]);
    assert_time(&message["createdAt"]);
    assert_time(&message["updatedAt"]);
    let mut expected = json!({
        "chat": chat,
        "sender": { "_id": "rohan", "name": "rohan" },
        "messageType": "text",
        "content": "Hello! Is this pet still available?",
        "mediaUrl": null,
        "readBy": [],
        "status": "sent",
        "parentMessage": null,
        "reactions": [],
        "isEdited": false,
        "isDeleted": false,
        "seq": 1
    });
    for unforeseen in ["_id", "createdAt", "updatedAt"] {
        expected[unforeseen] = message[unforeseen].clone();
    }
    assert_eq!(message, expected);

    let body = json!({
        "content": "Yes!", "parentMessageId": message["_id"], "clientMessageId": "c-1", "mediaUrl": null
    });
    let reply = asha.post(&path, &body).await.ok(201);
    assert_eq!(reply["parentMessage"], expected, "one level of it");
    assert_eq!(
        (&reply["clientMessageId"], &reply["seq"]),
        (&json!("c-1"), &json!(2))
    );
    let deeper = json!({ "content": "Good.", "parentMessageId": reply["_id"] });
    let deeper = rohan.post(&path, &deeper).await.ok(201);
    assert_eq!(deeper["parentMessage"]["content"], "Yes!");
    assert_eq!(deeper["parentMessage"]["parentMessage"], Value::Null);

    let listed = rohan.get("/api/chat/my-chats").await.ok(200);
    assert_eq!(listed["chats"][0]["lastMessage"]["_id"], deeper["_id"]);
    assert_eq!(keys(&listed["chats"][0]["lastMessage"]), MESSAGE);
    assert_eq!(listed["chats"][0]["lastMessageTime"], deeper["createdAt"]);
}

#[tokio::test]
async fn reading_counts_down_and_shows_in_the_receipts() {
    let server = TestServer::start(&[]).await;
    let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
    let chat = rohan.chat_with(&asha).await;
    for number in 0..3 {
        rohan.says(&chat, &format!("question {number}")).await;
    }
    asha.says(&chat, "answer").await;
    let counters = async |who: &Rest| {
        let listed = who.get("/api/chat/my-chats").await.ok(200);
        listed["chats"][0]["unreadCount"].clone()
    };
    let both = json!([{ "userId": "rohan", "count": 1 }, { "userId": "asha", "count": 3 }]);
    assert_eq!(counters(&asha).await, both);
    let count = asha.get("/api/chat/unread-count").await.ok(200);
    assert_eq!(count, json!({ "unreadCount": 3 }));
    asha.messages(&chat).await;
    assert_eq!(asha.unread().await, 3, "fetching reads nothing");

    asha.put(&format!("/api/chat/{chat}/mark-read"))
        .await
        .says(200, "Messages marked as read");
    assert_eq!((asha.unread().await, rohan.unread().await), (0, 1));
    for message in &rohan.messages(&chat).await[..3] {
        assert_eq!(
            (&message["status"], &message["readBy"]),
            (&json!("read"), &json!(["asha"]))
        );
    }
    let own = rohan.messages(&chat).await[3].clone();
    assert_eq!(own["readBy"], json!([]), "rohan has not read the answer");
    asha.put(&format!("/api/chat/{chat}/mark-read"))
        .await
        .ok(200);
    assert_eq!(asha.unread().await, 0, "marking twice changes nothing");
}

#[tokio::test]
async fn a_fetched_page_is_marked_read_if_the_operator_says_so() {
    let server = TestServer::start(&["--mark-read-on-fetch"]).await;
    let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
    let chat = rohan.chat_with(&asha).await;
    rohan.says(&chat, "hello").await;
    assert_eq!(asha.unread().await, 1);
    asha.messages(&chat).await;
    assert_eq!(asha.unread().await, 0);
    assert_eq!(rohan.messages(&chat).await[0]["status"], "read");
}

#[tokio::test]
async fn a_deleted_message_stays_as_a_tombstone() {
    let server = TestServer::start(&[]).await;
    let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
    let chat = rohan.chat_with(&asha).await;
    let message = rohan.says(&chat, "a secret").await;
    rohan.says(&chat, "another").await;
    let path = format!("/api/chat/message/{}", text(&message["_id"]));
    asha.delete(&path).await.refused(403, "not_sender");
    server
        .stranger("eve")
        .delete(&path)
        .await
        .refused(403, "access_denied");
    rohan
        .delete(&path)
        .await
        .says(200, "Message deleted successfully");
    assert_eq!(asha.unread().await, 1, "it is not unread any more");
    rohan
        .delete(&path)
        .await
        .says(200, "Message deleted successfully");
    assert_eq!(asha.unread().await, 1, "deleting twice changes nothing");
    let history = asha.messages(&chat).await;
    assert_eq!(history.len(), 2);
    assert_eq!(history[0]["_id"], message["_id"]);
    assert_eq!(history[0]["isDeleted"], true);
    assert_eq!(history[0]["content"], "This message was deleted");
    let absent = format!("/api/chat/message/{}", "0".repeat(24));
    let sentence = rohan
        .delete(&absent)
        .await
        .refused(404, "message_not_found");
    assert_eq!(sentence, "Message not found");
    rohan
        .delete("/api/chat/message/x")
        .await
        .refused(400, "invalid_id");
}

#[tokio::test]
async fn a_block_is_per_user_and_stops_everybody() {
    let server = TestServer::start(&[]).await;
    let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
    let chat = rohan.chat_with(&asha).await;
    let toggle = format!("/api/chat/{chat}/toggle-block");
    let send = format!("/api/chat/{chat}/send");
    let blocked = asha
        .put(&toggle)
        .await
        .says(200, "Chat blocked successfully");
    assert_eq!(blocked["blockedBy"], json!(["asha"]));
    for who in [&asha, &rohan] {
        let refused = who.post(&send, &json!({ "content": "hi" })).await;
        assert_eq!(refused.refused(403, "chat_blocked"), "This chat is blocked");
        who.messages(&chat).await;
    }
    let blocked = rohan
        .put(&toggle)
        .await
        .says(200, "Chat blocked successfully");
    assert_eq!(blocked["blockedBy"], json!(["asha", "rohan"]));
    asha.put(&toggle)
        .await
        .says(200, "Chat unblocked successfully");
    let still = asha.post(&send, &json!({ "content": "hi" })).await;
    still.refused(403, "chat_blocked");
    let free = rohan
        .put(&toggle)
        .await
        .says(200, "Chat unblocked successfully");
    assert_eq!(free["blockedBy"], json!([]));
    asha.says(&chat, "hi").await;
}

#[tokio::test]
async fn a_token_is_the_hosts_word_about_its_user() {
    let server = TestServer::start(&[]).await;
    let asha = server.user("asha").await;
    let hour = 4_000_000_000_u64;
    for (number, claims) in [
        json!({ "id": "u-0", "_id": "x", "userId": "y", "sub": "z", "name": "N", "exp": hour }),
        json!({ "_id": "u-1", "userId": "y", "sub": "z", "name": "N", "exp": hour }),
        json!({ "userId": "u-2", "sub": "z", "name": "N", "profileImage": "/p.jpg", "exp": hour }),
        json!({ "sub": "u-3", "name": "N", "picture": "/p.jpg", "exp": hour }),
        json!({ "sub": "u-4", "name": "N", "profilePicture": "/p.jpg", "picture": "/q.jpg", "exp": hour }),
    ]
    .into_iter()
    .enumerate()
    {
        let user = server.anonymous().with_token(&token_with(&claims, SECRET));
        user.get("/api/chat/my-chats").await.ok(200);
        let body = json!({ "participantId": format!("u-{number}") });
        let chat = asha.post("/api/chat/create", &body).await.ok(201);
        let shown = &chat["participants"][1];
        assert_eq!((&shown["_id"], &shown["name"]), (&json!(format!("u-{number}")), &json!("N")));
        let picture = if number < 2 { Value::Null } else { json!("/p.jpg") };
        assert_eq!(shown["profilePicture"], picture);
    }
    let stub = server.anonymous().with_token(&token("user-abcdef", None));
    stub.get("/api/chat/my-chats").await.ok(200);
    let body = json!({ "participantId": "user-abcdef" });
    let chat = asha.post("/api/chat/create", &body).await.ok(201);
    assert_eq!(chat["participants"][1]["name"], "User cdef");
}
