//! What the host application tells: users and pets, one at a time and in batches, and only with the key.

use serde_json::{Value, json};

use super::rest::{Answer, Rest};
use super::server::{KEY, TestServer};

async fn host() -> (TestServer, Rest) {
    let server = TestServer::start(&["--admin-key", KEY]).await;
    let host = server.anonymous().with_token(KEY);
    (server, host)
}

async fn put(host: &Rest, path: &str, body: &Value) -> Answer {
    host.ask("PUT", path).json(body).answer().await
}

#[tokio::test]
async fn without_the_key_nothing_is_told() {
    let (server, _) = host().await;
    let path = "/api/admin/users/asha";
    let body = json!({ "name": "Asha" });
    put(&server.anonymous(), path, &body)
        .await
        .refused(401, "token_missing");
    let wrong = server
        .anonymous()
        .with_token("an-admin-key-for-the-tests-alonf");
    put(&wrong, path, &body).await.refused(401, "token_invalid");
    let user = server.user("asha").await;
    put(&user, path, &body).await.refused(401, "token_invalid");
    let closed = TestServer::start(&[]).await;
    put(&closed.anonymous().with_token(KEY), path, &body)
        .await
        .refused(404, "not_found");
}

#[tokio::test]
async fn a_pet_of_the_host_can_be_asked_about() {
    let (server, host) = host().await;
    put(
        &host,
        "/api/admin/users/seller",
        &json!({ "name": "Seller" }),
    )
    .await
    .ok(200);
    let pet =
        json!({ "title": "Beagle", "price": 9000, "owner": "seller", "breed": { "code": 7 } });
    put(&host, "/api/admin/pets/p-1", &pet).await.ok(200);
    let changed = put(&host, "/api/admin/pets/p-1", &json!({ "price": 8000 }))
        .await
        .ok(200);
    assert_eq!(changed["price"], 8000);
    assert_eq!(changed["breed"]["code"], 7, "what is not named stays");
    let buyer = server.user("buyer").await;
    let created = buyer
        .post("/api/chat/create", &json!({ "petId": "p-1" }))
        .await;
    let chat = created.says(201, "Chat created successfully");
    assert_eq!(chat["petListing"], changed);
    assert_eq!(chat["participants"][1]["name"], "Seller");
    assert_eq!(host.get("/api/admin/pets/p-1").await.ok(200), changed);
    host.get("/api/admin/pets/p-2")
        .await
        .refused(404, "pet_not_found");
    host.get("/api/admin/users/nobody")
        .await
        .refused(404, "user_not_found");
}

#[tokio::test]
async fn each_row_of_a_batch_is_answered_by_itself() {
    let (_server, host) = host().await;
    let users = json!([
        { "_id": "a@b", "name": "A" },
        { "_id": "with space", "name": "B" },
        { "name": "no id" },
        { "_id": "c", "name": 5 },
    ]);
    let answer = put(&host, "/api/admin/users", &users).await.ok(200);
    let outcomes: Vec<_> = answer["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["success"])
        .collect();
    assert_eq!(outcomes, [true, false, false, false]);
    assert_eq!(
        (&answer["stored"], &answer["refused"]),
        (&json!(1), &json!(3))
    );
    assert_eq!(
        host.get("/api/admin/users/a%40b").await.ok(200)["name"],
        "A"
    );
    let pets = json!([{ "_id": "p-1", "title": "Beagle" }, { "_id": "p-2" }]);
    let answer = put(&host, "/api/admin/pets", &pets).await.ok(200);
    assert_eq!(answer["rows"][1]["error"], "invalid_request");
    put(&host, "/api/admin/pets", &json!({ "_id": "p-1" }))
        .await
        .refused(400, "invalid_request");
    let many: Vec<_> = (0..1001)
        .map(|number| json!({ "_id": format!("u{number}") }))
        .collect();
    put(&host, "/api/admin/users", &json!(many))
        .await
        .refused(400, "invalid_request");
    host.post("/api/admin/users", &json!([]))
        .await
        .refused(405, "method_not_allowed");
}
