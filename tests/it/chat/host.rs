//! Every route of the admin API against every way to get it wrong, and what each does when it is got right.

use serde_json::{Value, json};

use super::rest::{Answer, Rest, keys, text};
use super::server::{KEY, TestServer};
use super::sockets::Client;

async fn host(flags: &[&str]) -> (TestServer, Rest) {
    let flags = [&["--admin-key", KEY], flags].concat();
    let server = TestServer::start(&flags).await;
    let host = server.anonymous().with_token(KEY);
    (server, host)
}

async fn send(host: &Rest, method: &str, path: &str, body: Option<&Value>) -> Answer {
    let ask = host.ask(method, path);
    match body {
        Some(body) => ask.json(body).answer().await,
        None => ask.answer().await,
    }
}

/// Method, path below `/api/admin`, a good body, the status of success, and the refusal of an id that nobody has.
type Row = (
    &'static str,
    &'static str,
    Option<Value>,
    u16,
    Option<(&'static str, &'static str)>,
);

fn table() -> Vec<Row> {
    let unknown_user = |path| Some((path, "user_not_found"));
    let unknown_pet = |path| Some((path, "pet_not_found"));
    vec![
        ("GET", "users", None, 200, None),
        ("PUT", "users", Some(json!([{ "_id": "u" }])), 200, None),
        ("PUT", "users/u", Some(json!({ "name": "U" })), 200, None),
        ("GET", "users/u", None, 200, unknown_user("users/nobody")),
        (
            "POST",
            "users/u/ban",
            None,
            200,
            unknown_user("users/nobody/ban"),
        ),
        (
            "DELETE",
            "users/u/ban",
            None,
            200,
            unknown_user("users/nobody/ban"),
        ),
        ("GET", "pets", None, 200, None),
        (
            "PUT",
            "pets",
            Some(json!([{ "_id": "p", "title": "P" }])),
            200,
            None,
        ),
        ("PUT", "pets/p", Some(json!({ "title": "P" })), 200, None),
        ("GET", "pets/p", None, 200, unknown_pet("pets/none")),
        ("DELETE", "pets/p", None, 200, unknown_pet("pets/none")),
        (
            "POST",
            "tokens",
            Some(json!({ "userId": "u", "ttlSeconds": 60 })),
            201,
            None,
        ),
        ("GET", "stats", None, 200, None),
        ("GET", "chats", None, 200, None),
        ("GET", "audit", None, 200, None),
        ("POST", "compact", None, 200, None),
        ("DELETE", "users/u", None, 200, None),
    ]
}

#[tokio::test]
async fn every_route_answers_every_mistake_in_the_envelope() {
    let (server, host) = host(&[]).await;
    let bad_key = server
        .anonymous()
        .with_token("an-admin-key-for-the-tests-alonf");
    let user = server.user("somebody").await;
    for (method, path, body, status, unknown) in table() {
        let path = format!("/api/admin/{path}");
        let body = body.as_ref();
        let nobody = send(&server.anonymous(), method, &path, body).await;
        nobody.refused(401, "token_missing");
        for wrong in [&bad_key, &user] {
            let refused = send(wrong, method, &path, body).await;
            refused.refused(401, "token_invalid");
        }
        let refused = send(&host, "PATCH", &path, body).await;
        refused.refused(405, "method_not_allowed");
        assert!(refused.header("allow").unwrap().contains(method), "{path}");
        if let Some(body) = body {
            let broken = host.ask(method, &path).body("application/json", b"{\"a\":");
            broken.answer().await.refused(400, "invalid_json");
            let other = if body.is_array() {
                json!({})
            } else {
                json!([])
            };
            send(&host, method, &path, Some(&other))
                .await
                .refused(400, "invalid_request");
            let html = host.ask(method, &path).body("text/html", b"{}");
            html.answer().await.refused(415, "unsupported_media_type");
        }
        if let Some((path, code)) = unknown {
            let path = format!("/api/admin/{path}");
            send(&host, method, &path, body).await.refused(404, code);
        }
        for (kind, id) in [("users", "u"), ("pets", "p")] {
            if let Some(rest) = path.strip_prefix(&format!("/api/admin/{kind}/{id}")) {
                let path = format!("/api/admin/{kind}/not%20an%20id{rest}");
                send(&host, method, &path, body)
                    .await
                    .refused(400, "invalid_id");
            }
        }
        let answer = send(&host, method, &path, body).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.json());
        answer.data();
    }
    let closed = TestServer::start(&[]).await;
    for (method, path, body, ..) in table() {
        let keyless = closed.anonymous().with_token(KEY);
        let path = format!("/api/admin/{path}");
        send(&keyless, method, &path, body.as_ref())
            .await
            .refused(404, "not_found");
    }
}

#[tokio::test]
async fn lists_are_paged_by_id_and_filtered_by_prefix() {
    let (_server, host) = host(&[]).await;
    let users: Vec<_> = (0..7)
        .map(|n| json!({ "_id": format!("shop-{n}") }))
        .collect();
    let others = json!([{ "_id": "a" }, { "_id": "shop" }, { "_id": "shot" }]);
    for batch in [json!(users), others] {
        send(&host, "PUT", "/api/admin/users", Some(&batch))
            .await
            .ok(200);
    }
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/admin/users?prefix=shop-&limit=3{after}");
        let data = host.get(&path).await.ok(200);
        assert_eq!(keys(&data), ["users", "pagination"]);
        seen.extend(
            data["users"]
                .as_array()
                .unwrap()
                .iter()
                .map(|user| text(&user["_id"])),
        );
        if data["pagination"]["hasMore"] == false {
            assert_eq!(data["pagination"]["next"], Value::Null);
            break;
        }
        after = format!("&after={}", text(&data["pagination"]["next"]));
    }
    let expected: Vec<_> = (0..7).map(|n| format!("shop-{n}")).collect();
    assert_eq!(seen, expected);
    let all = host.get("/api/admin/users").await.ok(200);
    assert_eq!(all["users"].as_array().unwrap().len(), 10);
    for wrong in ["prefix=a%20b", "limit=0", "limit=x"] {
        let refused = host.get(&format!("/api/admin/users?{wrong}")).await;
        refused.refused(400, "invalid_request");
    }
    host.get("/api/admin/pets?after=%20")
        .await
        .refused(400, "invalid_id");
    let pet = json!({ "title": "Beagle", "price": 1 });
    send(&host, "PUT", "/api/admin/pets/p-1", Some(&pet))
        .await
        .ok(200);
    let pets = host.get("/api/admin/pets").await.ok(200);
    assert_eq!(pets["pets"][0]["title"], "Beagle");
}

#[tokio::test]
async fn a_token_of_the_host_lets_a_known_user_in_and_its_life_is_bounded() {
    let (server, host) = host(&["--max-token-ttl", "100"]).await;
    let path = "/api/admin/tokens";
    let ask = async |body: Value| host.post(path, &body).await;
    ask(json!({ "userId": "asha" }))
        .await
        .refused(404, "user_not_found");
    send(
        &host,
        "PUT",
        "/api/admin/users/asha",
        Some(&json!({ "name": "Asha" })),
    )
    .await
    .ok(200);
    let made = ask(json!({ "userId": "asha" })).await;
    let made = made.says(201, "Token created successfully");
    assert_eq!(keys(&made), ["token", "userId", "expiresAt"]);
    let asha = server.anonymous().with_token(&text(&made["token"]));
    asha.get("/api/chat/unread-count").await.ok(200);
    let known = host.get("/api/admin/users/asha").await.ok(200);
    assert_eq!(
        known["name"], "Asha",
        "a token of the host says nothing new"
    );
    ask(json!({ "userId": "asha", "ttlSeconds": 100 }))
        .await
        .ok(201);
    for ttl in [json!(0), json!(101), json!(-1), json!("60"), json!(1.5)] {
        ask(json!({ "userId": "asha", "ttlSeconds": ttl }))
            .await
            .refused(400, "invalid_request");
    }
    send(&host, "POST", "/api/admin/users/asha/ban", None)
        .await
        .ok(200);
    ask(json!({ "userId": "asha" }))
        .await
        .refused(409, "conflict");
}

#[tokio::test]
async fn the_figures_are_those_of_what_is_there() {
    let (server, host) = host(&[]).await;
    let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
    let chat = rohan.chat_with(&asha).await;
    rohan.says(&chat, "one").await;
    rohan
        .uploads(&chat, "a.png", super::media::PNG)
        .await
        .ok(201);
    let _socket = Client::connect(&server, &asha).await;
    let stats = host.get("/api/admin/stats").await.ok(200);
    let expected = json!({
        "users": 2, "onlineUsers": 1, "pets": 0, "chats": 1, "messages": 2, "mediaFiles": 1,
        "mediaBytes": super::media::PNG.len(), "storage": "ok", "journalBaseBytes": 0,
        "connections": { "polling": 0, "websocket": 1 }, "version": env!("CARGO_PKG_VERSION"),
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&stats[name], value, "{name}: {stats}");
    }
    assert_eq!(stats["counts"]["sessions"]["websocket"], 1, "{stats}");
    assert!(stats["journalBytes"].as_u64().unwrap() > 0);
    let compacted = host.post("/api/admin/compact", &json!({})).await;
    let compacted = compacted.says(200, "Compacted successfully");
    assert!(compacted["rows"].as_u64().unwrap() > 8);
    let stats = host.get("/api/admin/stats").await.ok(200);
    assert!(stats["journalBaseBytes"].as_u64().unwrap() > 0);
    assert_eq!(stats["messages"], 2);
}

#[tokio::test]
async fn changes_of_users_and_pets_reach_open_chats() {
    let (server, host) = host(&[]).await;
    let seller = server.user("seller").await;
    let pet = json!({ "title": "Beagle", "price": 9000, "owner": "seller" });
    send(&host, "PUT", "/api/admin/pets/p-1", Some(&pet))
        .await
        .ok(200);
    let buyer = server.user("buyer").await;
    let chat = buyer
        .post("/api/chat/create", &json!({ "petId": "p-1" }))
        .await
        .ok(201);
    let mut socket = Client::connect(&server, &seller).await;
    let update = async |socket: &mut Client| {
        let payload = socket.event("chatUpdated").await;
        assert_eq!(
            keys(&payload),
            ["chatId", "participants", "petListing", "isActive"]
        );
        assert_eq!(payload["chatId"], chat["_id"]);
        payload
    };
    let sold = json!({ "price": 8000, "status": "sold" });
    send(&host, "PUT", "/api/admin/pets/p-1", Some(&sold))
        .await
        .ok(200);
    let told = update(&mut socket).await;
    assert_eq!(told["petListing"]["price"], 8000);
    assert_eq!(told["petListing"]["status"], "sold");
    let renamed = json!({ "name": "Buyer Singh" });
    send(&host, "PUT", "/api/admin/users/buyer", Some(&renamed))
        .await
        .ok(200);
    let told = update(&mut socket).await;
    assert_eq!(told["participants"][0]["name"], "Buyer Singh");
    // What changes nothing is not told.
    send(&host, "PUT", "/api/admin/users/buyer", Some(&renamed))
        .await
        .ok(200);
    send(&host, "DELETE", "/api/admin/pets/p-1", None)
        .await
        .ok(200);
    let told = update(&mut socket).await;
    let stub = json!({
        "_id": "p-1", "title": "Beagle", "images": [], "price": null, "address": null, "isRemoved": true,
    });
    assert_eq!(told["petListing"], stub);
    let listed = buyer.get("/api/chat/my-chats").await.ok(200);
    assert_eq!(listed["chats"][0]["petListing"], stub);
    host.get("/api/admin/pets/p-1")
        .await
        .refused(404, "pet_not_found");
    let stranger = server.user("stranger").await;
    let refused = stranger
        .post("/api/chat/create", &json!({ "petId": "p-1" }))
        .await;
    refused.refused(404, "pet_not_found");
}
