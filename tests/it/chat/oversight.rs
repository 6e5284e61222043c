//! What an admin sees of people's chats, that it is written down, and what the server counts; and which pages there are.

use serde_json::{Value, json};

use super::rest::{Rest, keys, text};
use super::server::{KEY, TestServer};
use super::sockets::Client;

async fn host(flags: &[&str]) -> (TestServer, Rest) {
    let flags = [&["--admin-key", KEY], flags].concat();
    let server = TestServer::start(&flags).await;
    let host = server.anonymous().with_token(KEY);
    (server, host)
}

async fn deeds(host: &Rest) -> Vec<(String, String)> {
    let log = host.get("/api/admin/audit").await.ok(200);
    let entries = log["entries"].as_array().unwrap().iter();
    let mut deeds: Vec<_> = entries
        .map(|entry| (text(&entry["action"]), text(&entry["subject"])))
        .collect();
    deeds.reverse();
    deeds
}

#[tokio::test]
async fn chats_are_listed_without_words_and_each_look_into_one_is_written_down() {
    let (server, host) = host(&[]).await;
    let (asha, rohan, kabir) = (
        server.user("asha").await,
        server.user("rohan").await,
        server.user("kabir").await,
    );
    let chat = rohan.chat_with(&asha).await;
    let other = kabir.chat_with(&asha).await;
    for number in 1..=3 {
        rohan.says(&chat, &format!("secret {number}")).await;
    }

    let listed = host.get("/api/admin/chats?limit=1").await.ok(200);
    assert_eq!(listed["chats"][0]["_id"], chat);
    assert_eq!(listed["chats"][0]["messages"], 3);
    assert_eq!(listed["chats"][0]["lastMessage"], Value::Null);
    assert!(!listed.to_string().contains("secret"));
    let next = text(&listed["pagination"]["next"]);
    let rest = host.get(&format!("/api/admin/chats?after={next}")).await;
    let rest = rest.ok(200);
    assert_eq!(rest["chats"].as_array().unwrap().len(), 1);
    assert_eq!(rest["chats"][0]["_id"], other);
    assert_eq!(
        rest["pagination"],
        json!({ "hasMore": false, "next": null })
    );
    let of_kabir = host.get("/api/admin/chats?user=kabir").await.ok(200);
    assert_eq!(of_kabir["chats"].as_array().unwrap().len(), 1);
    let newest = host.get("/api/admin/chats?user=asha&limit=1").await.ok(200);
    assert_eq!(newest["chats"][0]["_id"], chat, "newest activity first");
    assert_eq!(newest["pagination"]["next"], 1);
    let older = host
        .get("/api/admin/chats?user=asha&limit=1&skip=1")
        .await
        .ok(200);
    assert_eq!(older["chats"][0]["_id"], other);
    for wrong in ["user=a&pet=b", "limit=0", "skip=x"] {
        let refused = host.get(&format!("/api/admin/chats?{wrong}")).await;
        refused.refused(400, "invalid_request");
    }
    let nowhere = format!("/api/admin/chats/{}", "f".repeat(24));
    host.get(&nowhere).await.refused(404, "not_found");
    host.get(&format!("{nowhere}/messages"))
        .await
        .refused(404, "not_found");
    assert_eq!(deeds(&host).await, [], "lists are no looks");

    let path = format!("/api/admin/chats/{chat}/messages?limit=2");
    let read = host
        .ask("GET", &path)
        .header("x-admin-name", "%E0%A4%86%E0%A4%B6%E0%A4%BE")
        .answer()
        .await
        .ok(200);
    assert_eq!(keys(&read), ["messages", "pagination"]);
    assert_eq!(read["messages"][1]["content"], "secret 3");
    assert_eq!(
        read["messages"][1]["status"], "sent",
        "no trace in the chat"
    );
    assert_eq!(asha.unread().await, 3);
    let log = host.get("/api/admin/audit").await.ok(200);
    let entry = &log["entries"][0];
    assert_eq!(entry["action"], "conversation.read");
    assert_eq!(entry["subject"], chat);
    assert_eq!(entry["by"], "आशा");
    assert_eq!(entry["address"], "127.0.0.1");
    assert_eq!(log["pagination"]["hasMore"], false);
}

#[tokio::test]
async fn whoever_can_speak_as_anybody_or_has_it_all_is_written_down() {
    let (server, host) = host(&[]).await;
    server.user("asha").await;
    let tokens = "/api/admin/tokens";
    let stranger = host.post(tokens, &json!({ "userId": "nobody" })).await;
    stranger.refused(404, "user_not_found");
    assert_eq!(deeds(&host).await, [], "what is refused is no deed");
    let token = host.post(tokens, &json!({ "userId": "asha" })).await;
    assert!(token.ok(201)["token"].is_string());
    assert_eq!(host.get("/api/admin/backup").await.status, 200);
    let expected = [("token.created", "asha"), ("backup.taken", "all")]
        .map(|(action, subject)| (action.to_owned(), subject.to_owned()));
    assert_eq!(deeds(&host).await, expected);
}

#[tokio::test]
async fn bans_and_erasures_are_written_down_and_outlive_a_restart() {
    let (server, host) = host(&[]).await;
    server.user("asha").await;
    host.put("/api/admin/users")
        .await
        .refused(400, "invalid_json");
    let ban = "/api/admin/users/asha/ban";
    host.post(ban, &json!({})).await.ok(200);
    host.delete(ban).await.ok(200);
    host.post("/api/admin/users/nobody/ban", &json!({}))
        .await
        .refused(404, "user_not_found");
    host.delete("/api/admin/users/asha").await.ok(200);
    let expected = ["user.banned", "user.unbanned", "user.erased"]
        .map(|deed| (deed.to_owned(), "asha".to_owned()));
    assert_eq!(deeds(&host).await, expected);
    let directory = server.stop().await;
    let again = TestServer::start_in(directory, &["--admin-key", KEY]).await;
    let host = again.anonymous().with_token(KEY);
    assert_eq!(deeds(&host).await, expected);
    let last = host.get("/api/admin/audit?limit=1").await.ok(200);
    let next = last["pagination"]["next"].as_u64().unwrap();
    let before = host.get(&format!("/api/admin/audit?before={next}")).await;
    assert_eq!(before.ok(200)["entries"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn what_cannot_be_written_down_is_not_shown_and_not_done() {
    let (server, host) = host(&[]).await;
    let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
    let chat = rohan.chat_with(&asha).await;
    // The log has its smallest size, so that the next line begins a new file, and there is no place for one.
    let audit = server.data_dir().join("audit");
    std::fs::write(audit.join("audit.log"), " ".repeat(1 << 20)).unwrap();
    let directory = server.stop().await;
    let flags = ["--admin-key", KEY, "--audit-size", "1"];
    let server = TestServer::start_in(directory, &flags).await;
    std::fs::create_dir(audit.join("audit.log.1")).unwrap();
    let host = host.with_token(KEY);
    let host = Rest::new(server.address(), &host.id, host.token.clone());
    host.get(&format!("/api/admin/chats/{chat}/messages"))
        .await
        .refused(503, "unavailable");
    host.post("/api/admin/users/asha/ban", &json!({}))
        .await
        .refused(503, "unavailable");
    let asha = host.get("/api/admin/users/asha").await.ok(200);
    assert_eq!(asha["isBanned"], false);
}

#[tokio::test]
async fn a_search_finds_parts_of_names_and_descriptions() {
    let (_server, host) = host(&[]).await;
    for n in 0..5 {
        let user = json!({ "name": format!("Person {n}"), "email": format!("{n}@shop.example") });
        let path = format!("/api/admin/users/u{n}");
        host.ask("PUT", &path).json(&user).answer().await.ok(200);
    }
    let pet = json!({ "title": "Golden Retriever", "address": "दिल्ली" });
    host.ask("PUT", "/api/admin/pets/p1")
        .json(&pet)
        .answer()
        .await
        .ok(200);
    let found = async |path: &str| {
        let data = host.get(path).await.ok(200);
        let rows = data.get("users").or(data.get("pets")).unwrap();
        let ids: Vec<_> = rows
            .as_array()
            .unwrap()
            .iter()
            .map(|row| text(&row["_id"]))
            .collect();
        (ids, data["pagination"]["next"].clone())
    };
    let (ids, _) = found("/api/admin/users?search=PERSON%203").await;
    assert_eq!(ids, ["u3"]);
    let (ids, next) = found("/api/admin/users?search=shop.ex&limit=2").await;
    assert_eq!(
        (ids, next),
        (vec!["u0".to_owned(), "u1".to_owned()], json!("u1"))
    );
    let (ids, next) = found("/api/admin/users?search=shop.ex&after=u1").await;
    assert_eq!((ids.len(), next), (3, Value::Null));
    assert_eq!(found("/api/admin/pets?search=retriever").await.0, ["p1"]);
    assert_eq!(
        found("/api/admin/pets?search=%E0%A4%A6%E0%A4%BF%E0%A4%B2")
            .await
            .0,
        ["p1"]
    );
    host.get("/api/admin/users?search=a&prefix=b")
        .await
        .refused(400, "invalid_request");
}

#[tokio::test]
async fn what_happens_is_counted() {
    let (server, host) = host(&[]).await;
    let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
    let chat = rohan.chat_with(&asha).await;
    let mut socket = Client::connect(&server, &asha).await;
    rohan.says(&chat, "one").await;
    rohan.says(&chat, "two").await;
    for _ in 0..2 {
        socket.event("newMessage").await;
        socket.event("unreadCount").await;
    }
    let path = format!("/api/chat/{chat}/send");
    rohan
        .post(&path, &json!({ "content": " " }))
        .await
        .refused(400, "content_empty");
    socket
        .emit("join-chat", &json!({ "chatId": "f".repeat(24) }))
        .await;
    socket.event("error").await;
    // Delivery is counted after the last word of it has been queued.
    rohan.says(&chat, "three").await;
    socket.event("newMessage").await;
    let live = host.get("/api/admin/stats?live=true").await.ok(200);
    assert_eq!(
        live.get("journalBytes"),
        None,
        "nothing that has to be counted"
    );
    let activity = &live["activity"];
    let minutes = activity["messagesPerMinute"].as_array().unwrap();
    let sum: u64 = minutes.iter().map(|minute| minute.as_u64().unwrap()).sum();
    assert!(minutes.len() == 60 && (2..=3).contains(&sum), "{activity}");
    assert!(activity["messagesByType"]["text"].as_u64().unwrap() >= 2);
    let latency = &activity["deliveryLatencyMs"];
    assert!(latency["p99"].as_f64().unwrap() >= latency["p50"].as_f64().unwrap());
    assert!(latency["p50"].as_f64().unwrap() > 0.0);
    assert_eq!(
        activity["errors"],
        json!({ "access_denied": 1, "content_empty": 1 })
    );
    assert_eq!(activity["topChats"][0]["chatId"], chat);
    host.get("/api/admin/stats?live=1")
        .await
        .refused(400, "invalid_request");
}

#[tokio::test]
async fn pages_are_there_when_they_are_asked_for() {
    const PATHS: [&str; 4] = ["/", "/admin", "/demo/session.json", "/web/app.js"];
    for (flags, expected) in [
        (&[][..], [404, 404, 404, 404]),
        (&["--web-ui", "on"], [200, 404, 200, 200]),
        (&["--admin-key", KEY], [404, 200, 404, 200]),
        (&["--demo"], [200, 404, 200, 200]),
        (&["--demo", "--web-ui", "off"], [404, 404, 404, 404]),
    ] {
        let server = TestServer::start(flags).await;
        for (path, status) in PATHS.into_iter().zip(expected) {
            let answer = server.anonymous().get(path).await;
            assert_eq!(answer.status, status, "{path} with {flags:?}");
            let policy = answer.header("content-security-policy");
            assert_eq!(policy.is_some(), status == 200, "{path}");
            let written = server.anonymous().ask("POST", path).answer().await;
            let expected = if status == 200 { 405 } else { 404 };
            assert_eq!(written.status, expected, "POST {path} with {flags:?}");
            let allowed = (expected == 405).then_some("GET, HEAD");
            assert_eq!(written.header("allow"), allowed, "POST {path}");
        }
    }
    let server = TestServer::start(&["--web-ui", "on"]).await;
    let session = server.anonymous().get("/demo/session.json").await;
    let session: Value = serde_json::from_slice(&session.body).unwrap();
    assert_eq!(session, json!({ "users": [], "pets": [] }));
}
