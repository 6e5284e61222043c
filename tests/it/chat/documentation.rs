//! The descriptions of the API against the server: the same routes, every success and every event seen once, sound in themselves, and
//! served. That each single answer is as described is held in `description`, by every test that gets one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jivchat::web::docs::{ASYNCAPI, OPENAPI};
use serde_json::{Value, json};

use super::description::{self, resolve};
use super::media::PNG;
use super::rest::{Answer, Rest, text};
use super::server::{KEY, TestServer};
use super::sockets::Client;

type Routes = BTreeMap<String, BTreeSet<String>>;

/// The rows of a route table, as its source says: the path below `base`, with `{}` for what is open, and its methods.
fn routes_of(file: &str, base: &str) -> Routes {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let source = std::fs::read_to_string(source).unwrap();
    let (_, table) = source.split_once("match *path {").unwrap();
    let (table, _) = table.split_once("_ => return None").unwrap();
    let mut routes = Routes::new();
    for row in table.split("\n        [").skip(1) {
        let (pattern, answer) = row.split_once("] =>").unwrap();
        if pattern.contains("rest @ ..") {
            continue;
        }
        let parts = pattern
            .split(", ")
            .map(|part| match part.trim().strip_prefix('"') {
                Some(literal) => literal.trim_end_matches('"'),
                None => "{}",
            });
        let path = parts.fold(base.to_owned(), |path, part| format!("{path}/{part}"));
        let methods = answer.split('"').nth(1).unwrap();
        routes.insert(path, methods.split(", ").map(str::to_owned).collect());
    }
    routes
}

/// What is answered above the route table.
fn other_routes() -> Routes {
    let paths = [
        "/health",
        "/metrics",
        "/docs",
        "/api/openapi.json",
        "/api/asyncapi.json",
    ];
    let methods = BTreeSet::from(["GET".to_owned(), "HEAD".to_owned()]);
    paths.map(|path| (path.to_owned(), methods.clone())).into()
}

#[test]
fn what_is_routed_is_described_and_the_other_way_round() {
    let mut routed = routes_of("src/api/mod.rs", "");
    routed.extend(routes_of("src/api/admin/mod.rs", "/api/admin"));
    assert!(
        routed.len() > 15,
        "the route tables could not be read: {routed:?}"
    );
    routed.extend(other_routes());
    let described = description::described_routes()
        .into_iter()
        .map(|(path, methods)| {
            let parts = path
                .split('/')
                .map(|part| if part.starts_with('{') { "{}" } else { part });
            (parts.collect::<Vec<_>>().join("/"), methods)
        });
    let described: Routes = described.collect();
    for (path, methods) in &routed {
        assert_eq!(
            described.get(path),
            Some(methods),
            "{path} in docs/openapi.yaml"
        );
    }
    for path in described.keys() {
        assert!(
            routed.contains_key(path),
            "docs/openapi.yaml describes {path}, which nobody answers"
        );
    }
}

#[tokio::test]
async fn every_described_path_is_there_and_takes_the_described_methods() {
    let server = TestServer::start(&["--admin-key", KEY]).await;
    let host = server.anonymous().with_token(KEY);
    for (path, _) in description::described_routes() {
        let parts = path
            .split('/')
            .map(|part| if part.starts_with('{') { "x" } else { part });
        let path = parts.collect::<Vec<_>>().join("/");
        // `Allow` is compared where every answer is.
        let answer = host.ask("PATCH", &path).answer().await;
        answer.refused(405, "method_not_allowed");
    }
}

#[tokio::test]
async fn both_descriptions_and_the_page_are_served_without_the_demo() {
    let server = TestServer::start(&[]).await;
    let nobody = server.anonymous();
    for (path, expected) in [
        ("/api/openapi.json", OPENAPI),
        ("/api/asyncapi.json", ASYNCAPI),
    ] {
        for path in [path.to_owned(), format!("{path}/")] {
            let answer = nobody.get(&path).await;
            assert_eq!(answer.status, 200);
            assert_eq!(answer.header("content-type"), Some("application/json"));
            assert_eq!(answer.body, expected.as_bytes());
        }
    }
    let page = nobody.get("/docs").await;
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, Some("text/html; charset=utf-8"))
    );
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    let html = String::from_utf8(page.body.clone()).unwrap();
    let references =
        ["href=\"", "src=\""].map(|attribute| html.split(attribute).skip(1).collect::<Vec<_>>());
    for rest in references.concat() {
        let path = rest.split('"').next().unwrap();
        if path.starts_with('/') {
            assert_eq!(nobody.get(path).await.status, 200, "{path}");
        } else {
            assert!(path.starts_with('#'), "the page must not ask for {path}");
        }
    }
    assert_eq!(nobody.ask("HEAD", "/docs").answer().await.body, b"");
    assert_eq!(nobody.get("/docs/assets/nothing.js").await.status, 404);
    let version = env!("CARGO_PKG_VERSION");
    for text in [OPENAPI, ASYNCAPI] {
        let description: Value = serde_json::from_str(text).unwrap();
        assert_eq!(description["info"]["version"], version);
    }
}

#[test]
fn the_errors_of_an_operation_are_those_of_its_answers() {
    let openapi: Value = serde_json::from_str(OPENAPI).unwrap();
    let codes = |schema: &Value| -> BTreeSet<String> {
        let error = &schema["properties"]["error"];
        let listed = error["enum"].as_array().cloned();
        listed
            .unwrap_or_else(|| vec![error["const"].clone()])
            .iter()
            .map(text)
            .collect()
    };
    let all: BTreeSet<String> =
        codes(&json!({ "properties": { "error": openapi["components"]["schemas"]["ErrorCode"] } }));
    let mut used = BTreeSet::from(["method_not_allowed".to_owned()]);
    for (path, item) in openapi["paths"].as_object().unwrap() {
        for (method, operation) in item
            .as_object()
            .unwrap()
            .iter()
            .filter(|(name, _)| *name != "parameters")
        {
            let Some(own) = operation["x-errors"].as_array() else {
                continue;
            };
            let own: BTreeSet<String> = own.iter().map(text).collect();
            let mut answered = BTreeSet::new();
            for (status, response) in operation["responses"].as_object().unwrap() {
                let response = resolve(&openapi, response);
                if !matches!(status.as_bytes()[0], b'4' | b'5') || response["content"].is_null() {
                    continue;
                }
                let codes = codes(&response["content"]["application/json"]["schema"]);
                let everywhere = ["500", "503"].contains(&status.as_str());
                assert!(
                    everywhere || !codes.is_disjoint(&own),
                    "{method} {path}: no error is named for {status}"
                );
                answered.extend(codes);
            }
            assert!(
                own.is_subset(&answered),
                "{method} {path}: {:?} in no answer",
                own.difference(&answered)
            );
            used.extend(answered);
        }
    }
    assert_eq!(used, all, "the codes of the answers are all the codes");
}

#[test]
fn an_example_of_a_failure_is_one_that_the_operation_gives() {
    let openapi: Value = serde_json::from_str(OPENAPI).unwrap();
    let everywhere: Vec<String> = openapi["x-errors-everywhere"]
        .as_array()
        .unwrap()
        .iter()
        .map(text)
        .collect();
    let mut shown = 0;
    for (path, item) in openapi["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let Some(own) = operation["x-errors"].as_array() else {
                continue;
            };
            for (status, response) in operation["responses"].as_object().unwrap() {
                let response = resolve(&openapi, response);
                let examples = response["content"]["application/json"]["examples"].as_object();
                for example in examples.into_iter().flat_map(|all| all.values()) {
                    let answer = &example["value"];
                    if answer["success"] != false {
                        continue;
                    }
                    shown += 1;
                    let code = &answer["error"];
                    assert!(
                        own.contains(code) || everywhere.contains(&text(code)),
                        "{method} {path} {status} shows {code}"
                    );
                    // Of the caller, where there is one who may be banned.
                    let is_of_the_caller = own.contains(&json!("user_banned"));
                    assert!(
                        !(is_of_the_caller && status == "404" && *code == "user_not_found"),
                        "{method} {path} {status} shows {code}"
                    );
                }
            }
        }
    }
    assert!(shown > 150, "only {shown} examples were found");
}

#[test]
fn examples_are_of_the_described_form() {
    let openapi: Value = serde_json::from_str(OPENAPI).unwrap();
    let asyncapi: Value = serde_json::from_str(&ASYNCAPI.replace("./openapi.json#", "#")).unwrap();
    let mut checked = 0;
    let mut check = |root: &Value, schema: &Value, example: &Value| {
        let mut schemas = openapi["components"]["schemas"].clone();
        for (name, own) in root["components"]["schemas"].as_object().unwrap() {
            schemas[name] = own.clone();
        }
        let whole = json!({ "components": { "schemas": schemas }, "allOf": [schema] });
        let validator = jsonschema::validator_for(&whole).unwrap();
        let errors: Vec<_> = validator
            .iter_errors(example)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{example}: {errors:?}");
        checked += 1;
    };
    let bodies = |node: &Value| -> Vec<Value> {
        node["content"]
            .as_object()
            .into_iter()
            .flat_map(|all| all.values().cloned())
            .collect()
    };
    let mut media: Vec<Value> = openapi["components"]["responses"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(bodies)
        .collect();
    for item in openapi["paths"].as_object().unwrap().values() {
        for operation in item
            .as_object()
            .unwrap()
            .values()
            .filter(|one| one.is_object())
        {
            media.extend(bodies(&operation["requestBody"]));
            media.extend(
                operation["responses"]
                    .as_object()
                    .unwrap()
                    .values()
                    .flat_map(bodies),
            );
        }
    }
    for one in &media {
        for example in one["examples"]
            .as_object()
            .into_iter()
            .flat_map(|all| all.values())
        {
            check(&openapi, &one["schema"], &example["value"]);
        }
    }
    for message in asyncapi["components"]["messages"]
        .as_object()
        .unwrap()
        .values()
    {
        for example in message["examples"].as_array().into_iter().flatten() {
            check(&asyncapi, &message["payload"], &example["payload"]);
        }
    }
    assert!(checked > 40, "only {checked} examples were found");
}

#[test]
#[should_panic(expected = "color")]
fn a_field_that_is_not_described_is_noticed() {
    let payload =
        json!({ "userId": "asha", "isTyping": true, "chatId": "0".repeat(24), "color": 1 });
    description::check_event("typing", &payload);
}

/// One story in which everything that can go well does, and every event is heard.
#[tokio::test]
async fn every_success_and_every_event_of_the_description_is_met() {
    let server = TestServer::start(&["--admin-key", KEY]).await;
    let host = server.anonymous().with_token(KEY);
    the_host_settles_in(&host).await;
    let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
    let refused = Client::try_connect(server.address(), None, &[]).await;
    assert_eq!(refused.err().unwrap()["data"]["code"], "token_missing");
    let mut seller = Client::connect(&server, &asha).await;
    let inquiry = json!({ "petId": "beagle" });
    let chat = text(&rohan.post("/api/chat/create", &inquiry).await.ok(201)["_id"]);
    rohan.post("/api/chat/create", &inquiry).await.ok(200);
    seller.event("newChat").await;
    let mut buyer = Client::connect(&server, &rohan).await;
    seller.event("userStatus").await;
    they_talk(&chat, &mut seller, &mut buyer).await;
    they_call(&chat, &asha, &rohan, &mut seller, &mut buyer).await;
    the_host_judges(&chat, &host, &rohan, &mut seller).await;

    let seen = description::seen();
    let mut expected = description::described_successes();
    expected.extend(description::described_events());
    let missed: Vec<_> = expected.difference(&seen).collect();
    assert!(
        missed.is_empty(),
        "described, and nobody has seen it: {missed:?}"
    );
}

async fn put(host: &Rest, path: &str, body: Value) -> Answer {
    host.ask("PUT", path).json(&body).answer().await
}

async fn the_host_settles_in(host: &Rest) {
    put(
        host,
        "/api/admin/users",
        json!([{ "_id": "asha", "name": "Asha" }, { "_id": "no id!" }]),
    )
    .await
    .ok(200);
    put(
        host,
        "/api/admin/users/asha",
        json!({ "email": "asha@example.com" }),
    )
    .await
    .ok(200);
    let pets = json!([{ "_id": "beagle", "title": "Beagle", "owner": "asha" }]);
    put(host, "/api/admin/pets", pets).await.ok(200);
    put(
        host,
        "/api/admin/pets/beagle",
        json!({ "price": 18500, "age": { "months": 8 } }),
    )
    .await
    .ok(200);
    for path in [
        "users",
        "users/asha",
        "pets",
        "pets/beagle",
        "stats",
        "backup",
        "chats",
        "audit",
        "suspects",
    ] {
        assert_eq!(host.get(&format!("/api/admin/{path}")).await.status, 200);
    }
    let token = json!({ "userId": "asha", "ttlSeconds": 60 });
    host.post("/api/admin/tokens", &token).await.ok(201);
    host.post("/api/admin/compact", &json!({})).await.ok(200);
    for path in [
        "/health",
        "/metrics",
        "/docs",
        "/api/openapi.json",
        "/api/asyncapi.json",
    ] {
        assert_eq!(host.get(path).await.status, 200);
    }
}

async fn they_talk(chat: &str, seller: &mut Client, buyer: &mut Client) {
    let here = json!({ "chatId": chat });
    for client in [&mut *seller, &mut *buyer] {
        assert_eq!(client.call("online", &json!({})).await["success"], true);
        assert_eq!(client.call("join-chat", &here).await["success"], true);
    }
    let typing = json!({ "chatId": chat, "isTyping": true });
    assert_eq!(buyer.call("typing", &typing).await["success"], true);
    seller.event("typing").await;
    let hello = json!({ "chatId": chat, "content": "Hello!", "clientMessageId": "c-1" });
    let sent = buyer.call("sendMessage", &hello).await;
    seller.event("newMessage").await;
    seller.event("unreadCount").await;
    buyer.event("messageDelivered").await;
    let empty = json!({ "chatId": chat, "content": " ", "clientMessageId": "c-2" });
    assert_eq!(
        buyer.call("sendMessage", &empty).await["error"],
        "content_empty"
    );
    buyer.event("error").await;
    let read = json!({ "chatId": chat, "messageId": sent["data"]["_id"] });
    assert_eq!(seller.call("markAsRead", &read).await["success"], true);
    buyer.event("messageRead").await;
    assert_eq!(seller.call("leave-chat", &here).await["success"], true);
}

async fn they_call(chat: &str, asha: &Rest, rohan: &Rest, seller: &mut Client, buyer: &mut Client) {
    let again = json!({ "content": "Is she in?", "clientMessageId": "c-3" });
    let path = format!("/api/chat/{chat}/send");
    rohan.post(&path, &again).await.ok(201);
    rohan.post(&path, &again).await.ok(200);
    let upload = async || {
        let ask = rohan.ask("POST", &format!("/api/chat/{chat}/send-media"));
        let form = ask
            .header("Idempotency-Key", "c-4")
            .form(&[("media", Some("a.png"), PNG)]);
        form.answer().await
    };
    let picture = upload().await.ok(201);
    upload().await.ok(200);
    let file = text(&picture["media"]["url"]);
    assert_eq!(rohan.get(&file).await.status, 200);
    let part = rohan.ask("GET", &file).header("Range", "bytes=0-3");
    assert_eq!(part.answer().await.status, 206);
    asha.get("/api/chat/my-chats").await.ok(200);
    asha.get("/api/chat/unread-count").await.ok(200);
    asha.messages(chat).await;
    asha.put(&format!("/api/chat/{chat}/mark-read"))
        .await
        .ok(200);
    let delete = format!("/api/chat/message/{}", text(&picture["_id"]));
    rohan.delete(&delete).await.ok(200);
    seller.event("messageDeleted").await;
    asha.put(&format!("/api/chat/{chat}/toggle-block"))
        .await
        .ok(200);
    buyer.event("chatBlocked").await;

    let block = "/api/chat/block-user/asha";
    rohan.put(block).await.ok(200);
    buyer.event("userBlocked").await;
    rohan.get("/api/chat/blocked-users").await.ok(200);
    rohan.delete(block).await.ok(200);
}

async fn the_host_judges(chat: &str, host: &Rest, rohan: &Rest, seller: &mut Client) {
    let report = json!({ "chatId": chat, "reason": "fraud" });
    let report = rohan.post("/api/chat/report", &report).await.ok(201);
    host.get("/api/admin/reports").await.ok(200);
    let report = format!("/api/admin/reports/{}", text(&report["_id"]));
    host.get(&report).await.ok(200);
    put(host, &report, json!({ "status": "resolved" }))
        .await
        .ok(200);
    for part in ["", "/messages"] {
        host.get(&format!("/api/admin/chats/{chat}{part}"))
            .await
            .ok(200);
    }
    put(host, "/api/admin/pets/beagle", json!({ "price": 17000 }))
        .await
        .ok(200);
    seller.event("chatUpdated").await;
    host.delete("/api/admin/pets/beagle").await.ok(200);
    host.post("/api/admin/users/rohan/ban", &json!({}))
        .await
        .ok(200);
    host.delete("/api/admin/users/rohan/ban").await.ok(200);
    host.delete("/api/admin/users/rohan").await.ok(200);
    seller.event("messagesDeleted").await;
}
