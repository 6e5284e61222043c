//! Blocking a person and reporting one: what both sides see and may do, over REST and over a socket, and what the host reads.

use serde_json::{Value, json};

use super::media::PNG;
use super::rest::{Rest, text};
use super::server::TestServer;
use super::sockets::Client;

const KEY: &str = "an-admin-key-for-the-tests-alone";

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
    assert_eq!(shown(&rohan, "asha").await.0, true);

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
    assert_eq!(shown(&asha, "rohan").await.0, true, "who blocks still sees");
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

#[tokio::test]
async fn who_takes_part_may_report_and_nobody_else() {
    let (server, asha, rohan) = two(&[]).await;
    let stranger = server.user("stranger").await;
    let chat = rohan.chat_with(&asha).await;
    let message = text(&rohan.says(&chat, "Send money first").await["_id"]);
    let report = async |who: &Rest, body: Value| who.post("/api/chat/report", &body).await;
    let abouts = [
        json!({ "chatId": chat }),
        json!({ "messageId": message }),
        json!({ "userId": "rohan" }),
    ];
    for about in &abouts {
        let mut body = about.clone();
        body["reason"] = json!("fraud");
        let made = report(&asha, body.clone())
            .await
            .says(201, "Report received");
        assert_eq!(
            (&made["reason"], &made["status"]),
            (&json!("fraud"), &json!("open"))
        );
        assert_eq!(made["_id"].as_str().unwrap().len(), 24);
        report(&stranger, body).await.refused(403, "access_denied");
    }
    let id = "f".repeat(24);
    for (body, status, code) in [
        (json!({}), 400, "invalid_request"),
        (json!({ "reason": "spam" }), 400, "invalid_request"),
        (json!({ "chatId": chat }), 400, "invalid_request"),
        (
            json!({ "chatId": chat, "reason": "dull" }),
            400,
            "invalid_request",
        ),
        (
            json!({ "chatId": chat, "reason": 5 }),
            400,
            "invalid_request",
        ),
        (
            json!({ "chatId": chat, "userId": "rohan", "reason": "spam" }),
            400,
            "invalid_request",
        ),
        (
            json!({ "chatId": "x", "reason": "spam" }),
            400,
            "invalid_id",
        ),
        (
            json!({ "messageId": "x", "reason": "spam" }),
            400,
            "invalid_id",
        ),
        (
            json!({ "userId": "a b", "reason": "spam" }),
            400,
            "invalid_id",
        ),
        (
            json!({ "chatId": id, "reason": "spam" }),
            403,
            "access_denied",
        ),
        (
            json!({ "messageId": id, "reason": "spam" }),
            404,
            "message_not_found",
        ),
        (
            json!({ "userId": "nobody", "reason": "spam" }),
            403,
            "access_denied",
        ),
        (
            json!({ "userId": "asha", "reason": "spam" }),
            400,
            "invalid_request",
        ),
        (
            json!({ "chatId": chat, "reason": "spam", "text": "x".repeat(1001) }),
            400,
            "invalid_request",
        ),
    ] {
        report(&asha, body.clone()).await.refused(status, code);
    }
    report(&rohan, json!({ "messageId": message, "reason": "spam" }))
        .await
        .refused(400, "invalid_request");
    asha.get("/api/chat/report")
        .await
        .refused(405, "method_not_allowed");
    server.stop().await;
}

#[tokio::test]
async fn the_host_reads_what_was_said_even_if_it_is_deleted_and_not_if_it_is_erased() {
    let flags = ["--admin-key", KEY];
    let (server, asha, rohan) = two(&flags).await;
    let host = server.anonymous().with_token(KEY);
    let chat = rohan.chat_with(&asha).await;
    for number in 0..30 {
        rohan.says(&chat, &format!("offer {number}")).await;
    }
    asha.says(&chat, "Who are you?").await;
    let picture = rohan.uploads(&chat, "a.png", PNG).await.ok(201);
    let message = rohan.says(&chat, "Send money first").await;
    let body =
        json!({ "messageId": message["_id"], "reason": "fraud", "text": "He asks for money" });
    let first = text(&asha.post("/api/chat/report", &body).await.ok(201)["_id"]);
    let body = json!({ "chatId": chat, "reason": "animal_welfare" });
    let second = text(&rohan.post("/api/chat/report", &body).await.ok(201)["_id"]);
    for id in [&message["_id"], &picture["_id"]] {
        let path = format!("/api/chat/message/{}", text(id));
        rohan.delete(&path).await.ok(200);
    }

    let list = host
        .get("/api/admin/reports?status=open&limit=1")
        .await
        .ok(200);
    assert_eq!(list["reports"][0]["_id"], json!(first));
    assert_eq!(
        list["pagination"],
        json!({ "hasMore": true, "next": first })
    );
    let rest = host
        .get(&format!(
            "/api/admin/reports?status=open&limit=1&cursor={first}"
        ))
        .await
        .ok(200);
    assert_eq!(rest["reports"][0]["_id"], json!(second));
    assert_eq!(
        rest["pagination"],
        json!({ "hasMore": false, "next": null })
    );

    let path = format!("/api/admin/reports/{first}");
    let whole = host.get(&path).await.ok(200);
    assert_eq!(whole["reportedBy"], "asha");
    assert_eq!(
        (
            &whole["reportedUser"],
            &whole["messageId"],
            &whole["chatId"]
        ),
        (&json!("rohan"), &message["_id"], &json!(chat))
    );
    assert_eq!(
        (&whole["reason"], &whole["text"]),
        (&json!("fraud"), &json!("He asks for money"))
    );
    let evidence = whole["evidence"].as_array().unwrap();
    assert_eq!(evidence.len(), 6, "the five before it as well");
    assert_eq!(evidence[5]["content"], "Send money first");
    assert_eq!(evidence[4]["media"]["url"], picture["media"]["url"]);
    assert_eq!(evidence[5]["isDeleted"], false, "as it was");
    let other = host
        .get(&format!("/api/admin/reports/{second}"))
        .await
        .ok(200);
    assert_eq!(other["evidence"].as_array().unwrap().len(), 20);
    assert_eq!(other["reportedUser"], "asha");

    let put = async |body: Value| host.ask("PUT", &path).json(&body).answer().await;
    put(json!({ "status": "gone" }))
        .await
        .refused(400, "invalid_request");
    put(json!({})).await.refused(400, "invalid_request");
    put(json!({ "status": "resolved", "note": "x".repeat(4001) }))
        .await
        .refused(400, "invalid_request");
    let judged = put(json!({ "status": "resolved", "note": "banned" }))
        .await
        .ok(200);
    assert_eq!(
        (&judged["status"], &judged["note"]),
        (&json!("resolved"), &json!("banned"))
    );
    let ids = async |query: &str| -> Vec<Value> {
        let list = host
            .get(&format!("/api/admin/reports{query}"))
            .await
            .ok(200);
        list["reports"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["_id"].clone())
            .collect()
    };
    assert_eq!(ids("?status=open").await, [json!(second)]);
    assert_eq!(ids("?status=resolved").await, [json!(first)]);
    assert!(ids("?status=dismissed").await.is_empty());
    assert_eq!(ids("").await, [json!(first), json!(second)]);
    put(json!({ "status": "open" })).await.ok(200);
    assert_eq!(ids("?status=open").await, [json!(first), json!(second)]);

    host.get("/api/admin/reports?status=x")
        .await
        .refused(400, "invalid_request");
    host.get("/api/admin/reports?cursor=x")
        .await
        .refused(400, "invalid_id");
    host.get("/api/admin/reports/x")
        .await
        .refused(400, "invalid_id");
    let nowhere = format!("/api/admin/reports/{}", "f".repeat(24));
    host.get(&nowhere).await.refused(404, "report_not_found");
    asha.get("/api/admin/reports")
        .await
        .refused(401, "token_invalid");
    asha.get(&path).await.refused(401, "token_invalid");

    block(&rohan, &asha).await;
    host.delete("/api/admin/users/rohan").await.ok(200);
    let whole = host.get(&path).await.ok(200);
    assert_eq!(
        (&whole["reportedUser"], &whole["note"]),
        (&json!("rohan"), &json!("banned"))
    );
    for one in whole["evidence"].as_array().unwrap() {
        let is_his = one["sender"] == "rohan";
        assert_eq!(
            (one["content"] == "", one["isDeleted"] == true),
            (is_his, is_his),
            "{one}"
        );
        assert!(!is_his || one.get("media").is_none());
    }
    assert_eq!(whole["text"], "He asks for money", "that is hers");
    host.delete("/api/admin/users/asha").await.ok(200);
    assert_eq!(host.get(&path).await.ok(200)["text"], "");

    let directory = server.stop().await;
    let verified = jivchat::store::verify(
        &jivchat::store::Inspection {
            data_dir: directory.path().to_owned(),
            media: Some(directory.path().join("media")),
            cache: 8 << 20,
        },
        |_, _, _| (),
    );
    let findings = verified.unwrap().findings;
    assert_eq!((findings.problems, findings.told), (0, Vec::new()));
    let server = TestServer::start_in(directory, &flags).await;
    let host = server.anonymous().with_token(KEY);
    assert_eq!(
        host.get("/api/admin/reports").await.ok(200)["reports"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    server.stop().await;
}
