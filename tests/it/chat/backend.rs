//! Beside an existing backend: users and pets that it knows, and everything that can be wrong with it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::fake_backend::{FakeBackend, Reply};
use super::rest::{Answer, Rest};
use super::server::{KEY, SECRET, TestServer, token, token_with};
use super::sockets::Client;
use super::within;

/// A server beside a backend that knows nothing yet.
async fn beside(flags: &[&str]) -> (FakeBackend, TestServer) {
    let backend = FakeBackend::start().await;
    let server = server_beside(&backend, flags).await;
    (backend, server)
}

async fn server_beside(backend: &FakeBackend, flags: &[&str]) -> TestServer {
    let profiles = backend.url("/api/profile");
    let pets = backend.url("/api/pets/{id}");
    let mut all = vec!["--profile-url", &profiles, "--pet-url", &pets];
    all.extend(flags);
    TestServer::start(&all).await
}

fn pet(id: &str, price: u32) -> Value {
    let seller = json!({"_id": "seller", "fullName": "Chitra", "profileImage": "/c.png"});
    json!({"success": true, "data": {"_id": id, "title": "Beagle", "images": ["/1.png"], "price": price, "address": "Delhi", "userId": seller, "breed": "x"}})
}

async fn create(user: &Rest, pet: &str) -> Answer {
    user.post("/api/chat/create", &json!({ "petId": pet }))
        .await
}

/// A token that says nothing but who it is.
fn bare(server: &TestServer, id: &str) -> Rest {
    Rest::new(server.address(), id, Some(token(id, None)))
}

async fn my_name(user: &Rest) -> String {
    let chats = user.get("/api/chat/my-chats").await.ok(200);
    let participants = chats["chats"][0]["participants"].as_array().unwrap();
    let own = participants
        .iter()
        .find(|one| one["_id"] == user.id.as_str());
    own.unwrap()["name"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_pet_and_both_sides_come_from_the_backend() {
    let (backend, server) = beside(&[]).await;
    backend.says("/api/pets/p1", Reply::Json(pet("p1", 5)));
    backend.says(
        "/api/profile",
        Reply::Json(json!({"success": true, "data": {"id": "buyer", "fullName": "Rohan", "email": "r@x", "profileImage": "/r.png"}})),
    );
    let buyer = bare(&server, "buyer");
    let chat = create(&buyer, "p1").await.ok(201);
    assert_eq!(
        chat["petListing"],
        json!({"_id": "p1", "title": "Beagle", "images": [{"url": "/1.png"}], "price": 5, "address": "Delhi",
            "userId": {"_id": "seller", "fullName": "Chitra", "profileImage": "/c.png"}, "breed": "x", "owner": "seller"})
    );
    let side = |id: &str| {
        let all = chat["participants"].as_array().unwrap();
        all.iter().find(|one| one["_id"] == id).unwrap().clone()
    };
    assert_eq!(
        (&side("buyer")["name"], &side("buyer")["profilePicture"]),
        (&json!("Rohan"), &json!("/r.png"))
    );
    assert_eq!(
        (&side("seller")["name"], &side("seller")["profilePicture"]),
        (&json!("Chitra"), &json!("/c.png"))
    );

    // The token goes to the profile's address alone, and each is asked once.
    create(&buyer, "p1").await.ok(200);
    let asked = backend.asked();
    assert_eq!(asked.len(), 2, "{asked:?}");
    for one in asked {
        let expected = format!("Bearer {}", buyer.token.as_ref().unwrap());
        let is_profile = one.path == "/api/profile";
        assert_eq!(one.token, is_profile.then_some(expected), "{}", one.path);
    }
}

#[tokio::test]
async fn sockets_bring_a_profile_too_and_claims_yield_to_it() {
    let (backend, server) = beside(&["--require-known-users"]).await;
    backend.says(
        "/api/profile",
        Reply::Json(json!({"_id": "asha", "name": "Asha of the backend"})),
    );
    backend.says("/api/pets/p1", Reply::Json(pet("p1", 5)));
    let asha = server.stranger("asha");
    drop(Client::connect(&server, &asha).await);
    create(&asha, "p1").await.ok(201);
    assert_eq!(my_name(&asha).await, "Asha of the backend");
    assert_eq!(backend.times("/api/profile"), 1);
}

#[tokio::test]
async fn whom_the_backend_does_not_know_the_token_speaks_for() {
    let strict = beside(&["--require-known-users"]).await;
    let (backend, server) = beside(&[]).await;
    for (id, reply) in [
        ("a", Reply::Status(404, "{}")),
        ("b", Reply::Status(401, r#"{"success":false}"#)),
        ("c", Reply::Status(403, "")),
        ("d", Reply::Status(500, "{}")),
        ("e", Reply::Text("<html>".to_owned())),
        (
            "f",
            Reply::Json(json!({"_id": "somebody-else", "name": "Mallory"})),
        ),
        ("g", Reply::Redirect("http://127.0.0.1:9/".to_owned())),
        ("h", Reply::Text("x".repeat(300 * 1024))),
        ("i", Reply::Json(json!({"success": false, "name": "M"}))),
    ] {
        let is_said = matches!(id, "a" | "b" | "c");
        strict.0.says("/api/profile", reply.clone());
        let answer = strict.1.stranger(id).get("/api/chat/my-chats").await;
        if is_said {
            answer.refused(401, "user_not_found");
        } else {
            assert!(answer.header("retry-after").is_some(), "{id}");
            answer.refused(503, "unavailable");
        }
        backend.says("/api/profile", reply);
        let user = server.stranger(id);
        user.get("/api/chat/my-chats").await.ok(200);
        let other = server.user("other").await;
        user.chat_with(&other).await;
        assert_eq!(my_name(&user).await, id);
    }
    let auth = json!({ "token": token("d", None) });
    let refusal = Client::try_connect(strict.1.address(), Some(&auth), &[]).await;
    let refusal = refusal.err().unwrap();
    assert_eq!(refusal["data"]["code"], "unavailable");
}

#[tokio::test]
async fn a_pet_is_missing_only_if_the_backend_says_so() {
    let (backend, server) = beside(&["--pull-failures", "1000"]).await;
    let target = FakeBackend::start().await;
    target.says("/steal", Reply::Json(pet("p", 1)));
    let buyer = bare(&server, "buyer");
    let (missing, unavailable) = ((404, "pet_not_found"), (503, "unavailable"));
    for (number, (reply, expected)) in [
        (Reply::Status(404, "no JSON"), missing),
        (Reply::Status(410, ""), missing),
        (Reply::Status(400, r#"{"success":false}"#), unavailable),
        (Reply::Status(401, ""), unavailable),
        (Reply::Status(403, ""), unavailable),
        (Reply::Status(429, ""), unavailable),
        (Reply::Status(500, "{}"), unavailable),
        (Reply::Status(502, "<html>"), unavailable),
        (Reply::Status(204, ""), unavailable),
        (Reply::Text("<html>".to_owned()), unavailable),
        (Reply::Text(String::new()), unavailable),
        (Reply::Text("[".repeat(100_000)), unavailable),
        (Reply::Text(" ".repeat(1 << 20)), unavailable),
        (Reply::Json(json!({"success": false})), unavailable),
        (
            Reply::Json(json!({"data": {"_id": "another", "title": "T"}})),
            unavailable,
        ),
        (Reply::Json(json!({"data": {"title": 7}})), unavailable),
        (Reply::Redirect(target.url("/steal")), unavailable),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("p{number}");
        backend.says(&format!("/api/pets/{id}"), reply);
        let answer = create(&buyer, &id).await;
        assert_eq!(
            answer.header("retry-after").is_some(),
            expected == unavailable,
            "{id}"
        );
        answer.refused(expected.0, expected.1);
    }
    assert!(target.asked().is_empty(), "a redirect is not followed");
    // "There is none" counts for a while, too.
    create(&buyer, "p0").await.refused(404, "pet_not_found");
    assert_eq!(backend.times("/api/pets/p0"), 1);
}

#[tokio::test]
async fn an_id_is_never_more_than_one_segment() {
    let (backend, server) = beside(&[]).await;
    let buyer = bare(&server, "buyer");
    for id in [".", "..", "a:b@c"] {
        create(&buyer, id).await.refused(404, "pet_not_found");
    }
    let paths: Vec<_> = backend
        .asked()
        .into_iter()
        .map(|asked| asked.path)
        .collect();
    assert_eq!(paths, ["/api/profile", "/api/pets/a%3Ab%40c"]);
}

#[tokio::test]
async fn one_request_at_a_time_is_enough_for_everybody() {
    let (backend, server) = beside(&["--pull-timeout", "30000"]).await;
    let gate = Arc::new(Semaphore::new(0));
    backend.says("/api/pets/p1", Reply::Held(Arc::clone(&gate), pet("p1", 5)));
    let waiting = (0..8).map(|number| {
        let user = bare(&server, &format!("u{number}"));
        tokio::spawn(async move { create(&user, "p1").await.status })
    });
    let waiting: Vec<_> = waiting.collect();
    backend.until_asked("/api/pets/p1", 1).await;
    backend.until_asked("/api/profile", 8).await;
    gate.add_permits(1);
    for one in waiting {
        assert_eq!(within("the chat", one).await.unwrap(), 201);
    }
    assert_eq!(backend.times("/api/pets/p1"), 1);
}

#[tokio::test]
async fn whoever_gives_up_waiting_calls_nothing_off() {
    let (backend, server) = beside(&["--pull-timeout", "30000"]).await;
    let gate = Arc::new(Semaphore::new(0));
    backend.says("/api/pets/p1", Reply::Held(Arc::clone(&gate), pet("p1", 5)));
    let buyer = bare(&server, "buyer");
    let impatient = tokio::spawn({
        let buyer = buyer.clone();
        async move { create(&buyer, "p1").await }
    });
    backend.until_asked("/api/pets/p1", 1).await;
    impatient.abort();
    let _ = impatient.await;
    gate.add_permits(1);
    create(&buyer, "p1").await.ok(201);
    assert_eq!(backend.times("/api/pets/p1"), 1);
}

#[tokio::test]
async fn a_slow_backend_keeps_only_those_waiting_whom_nobody_knows() {
    let backend = FakeBackend::start().await;
    let profiles = backend.url("/api/profile");
    let flags = ["--profile-url", &profiles, "--pull-timeout", "30000"];
    let before = TestServer::start(&[]).await;
    before.user("known").await;
    let server = TestServer::start_in(before.stop().await, &flags).await;
    backend.says("/api/profile", Reply::Silence);
    let stranger = server.stranger("stranger");
    let waiting = tokio::spawn(async move { stranger.get("/api/chat/my-chats").await });
    backend.until_asked("/api/profile", 1).await;
    // The one whom nobody knows waits; the others are let in all the same.
    server
        .stranger("known")
        .get("/api/chat/my-chats")
        .await
        .ok(200);
    drop(Client::connect(&server, &server.stranger("known")).await);
    assert!(!waiting.is_finished());
    waiting.abort();
    within("the server to stop at once", server.stop()).await;
}

#[tokio::test]
async fn a_slow_answer_is_not_waited_for_any_longer_than_agreed() {
    let (backend, server) = beside(&["--pull-timeout", "150", "--pull-failures", "1000"]).await;
    backend.says("/api/profile", Reply::Silence);
    backend.says("/api/pets/p1", Reply::Silence);
    let buyer = server.stranger("buyer");
    let answer = create(&buyer, "p1").await;
    assert_eq!(answer.header("retry-after"), Some("1"));
    answer.refused(503, "unavailable");
}

#[tokio::test]
async fn what_is_known_outlives_the_backend() {
    let (backend, server) = beside(&[
        "--pull-ttl",
        "1",
        "--pull-failures",
        "2",
        "--pull-pause",
        "3600",
    ])
    .await;
    backend.says("/api/pets/p1", Reply::Json(pet("p1", 5)));
    let buyer = bare(&server, "buyer");
    create(&buyer, "p1").await.ok(201);
    for path in [
        "/api/pets/p1",
        "/api/pets/p2",
        "/api/pets/p3",
        "/api/pets/p4",
    ] {
        backend.says(path, Reply::Status(503, ""));
    }
    // Stale after a second: served at once, asked about behind the scenes, in vain.
    let refreshed = async {
        while backend.times("/api/pets/p1") < 2 {
            assert_eq!(create(&buyer, "p1").await.ok(200)["petListing"]["price"], 5);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    within("the pet to be asked for again", refreshed).await;
    // Twice in a row, and it is left alone.
    let left_alone = async {
        while create(&buyer, "p2").await.header("retry-after") == Some("1") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    within("the backend to be left alone", left_alone).await;
    let asked = backend.asked().len();
    for id in ["p3", "p4", "p3"] {
        let answer = create(&buyer, id).await;
        let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((3500..=3600).contains(&wait), "{wait}");
        answer.refused(503, "unavailable");
    }
    create(&buyer, "p1").await.ok(200);
    buyer.get("/api/chat/my-chats").await.ok(200);
    let pets = |asked: &[super::fake_backend::Asked]| {
        asked
            .iter()
            .filter(|asked| asked.path.contains("pets"))
            .count()
    };
    assert_eq!(pets(&backend.asked()), pets(&backend.asked()[..asked]));
}

#[tokio::test]
async fn a_backend_that_is_back_is_found_again() {
    let (backend, server) = beside(&["--pull-failures", "1", "--pull-pause", "1"]).await;
    let buyer = bare(&server, "buyer");
    backend.says("/api/pets/p1", Reply::Status(503, ""));
    create(&buyer, "p1").await.refused(503, "unavailable");
    backend.says("/api/pets/p1", Reply::Json(pet("p1", 5)));
    let opened = async {
        loop {
            let answer = create(&buyer, "p1").await;
            if answer.status == 201 {
                return;
            }
            answer.refused(503, "unavailable");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    within("the chat to open", opened).await;
}

#[tokio::test]
async fn a_dead_backend_is_told_from_a_missing_pet() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/pets/{{id}}", gone.local_addr().unwrap());
    drop(gone);
    let server = TestServer::start(&["--pet-url", &url]).await;
    let buyer = server.user("buyer").await;
    create(&buyer, "p1").await.refused(503, "unavailable");
}

#[tokio::test]
async fn ids_that_a_backend_chokes_on_cut_nobody_off() {
    let (backend, server) = beside(&["--pull-failures", "1", "--pull-pause", "3600"]).await;
    let mallory = server.stranger("mallory");
    for number in 0..5 {
        let id = format!("x{number}");
        backend.says(&format!("/api/pets/{id}"), Reply::Status(500, "CastError"));
        create(&mallory, &id).await.refused(503, "unavailable");
    }
    backend.says("/api/pets/p1", Reply::Json(pet("p1", 5)));
    create(&server.stranger("buyer"), "p1").await.ok(201);
}

#[tokio::test]
async fn one_caller_cannot_have_everything_asked_for() {
    let (backend, server) = beside(&["--pull-rate", "4"]).await;
    let mallory = server.stranger("mallory");
    for id in ["p1", "p2"] {
        create(&mallory, id).await.refused(404, "pet_not_found");
    }
    let answer = create(&mallory, "p3").await;
    assert!(answer.header("retry-after").is_some());
    answer.refused(429, "rate_limited");
    create(&mallory, "p1").await.refused(404, "pet_not_found");
    backend.says("/api/pets/p3", Reply::Json(pet("p3", 5)));
    create(&server.stranger("buyer"), "p3").await.ok(201);
}

#[tokio::test]
async fn what_has_changed_is_taken_over_when_the_time_is_up() {
    let (backend, server) = beside(&["--pull-ttl", "1"]).await;
    backend.says("/api/pets/p1", Reply::Json(pet("p1", 5)));
    let buyer = bare(&server, "buyer");
    create(&buyer, "p1").await.ok(201);
    let mut open = Client::connect(&server, &buyer).await;
    backend.says("/api/pets/p1", Reply::Json(pet("p1", 4)));
    backend.says(
        "/api/profile",
        Reply::Json(json!({"_id": "buyer", "name": "Rohan"})),
    );
    let seen = async {
        loop {
            let chats = buyer.get("/api/chat/my-chats").await.ok(200);
            let chat = &chats["chats"][0];
            if chat["petListing"]["price"] == 4 && my_name(&buyer).await == "Rohan" {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    within("the new price", seen).await;
    // Whoever has the chat open hears of it, of each by itself or of both at once.
    let told = async {
        loop {
            let update = open.event("chatUpdated").await.to_string();
            if update.contains("\"price\":4") && update.contains("Rohan") {
                return;
            }
        }
    };
    within("both to be told", told).await;
}

#[tokio::test]
async fn an_address_with_an_id_knows_the_other_side() {
    let backend = FakeBackend::start().await;
    let profiles = backend.url("/api/users/{id}");
    let server = TestServer::start(&["--profile-url", &profiles]).await;
    backend.says(
        "/api/users/b",
        Reply::Json(json!({"user": {"_id": "b", "name": "Bina"}})),
    );
    backend.says("/api/users/d", Reply::Status(503, ""));
    let asha = server.stranger("a");
    let open = async |id: &str| {
        let body = json!({ "participantId": id });
        asha.post("/api/chat/create", &body).await
    };
    let chat = open("b").await.ok(201);
    assert!(chat["participants"].to_string().contains("Bina"));
    open("c").await.refused(404, "user_not_found");
    open("d").await.refused(503, "unavailable");
    assert!(backend.asked().iter().all(|asked| asked.token.is_some()));
}

#[tokio::test]
async fn a_token_without_a_time_does_not_take_back_what_the_backend_said() {
    let (backend, server) = beside(&["--pull-ttl", "1"]).await;
    backend.says(
        "/api/profile",
        Reply::Json(json!({"_id": "asha", "name": "From the backend"})),
    );
    backend.says("/api/pets/p1", Reply::Json(pet("p1", 5)));
    let claims = json!({"id": "asha", "name": "From the token", "exp": 4_000_000_000_u64});
    let asha = Rest::new(server.address(), "asha", Some(token_with(&claims, SECRET)));
    create(&asha, "p1").await.ok(201);
    assert_eq!(my_name(&asha).await, "From the backend");
}

#[tokio::test]
async fn who_was_erased_is_not_brought_back() {
    let (backend, server) = beside(&["--pull-ttl", "1", "--admin-key", KEY]).await;
    let host = server.anonymous().with_token(KEY);
    backend.says(
        "/api/profile",
        Reply::Json(json!({"_id": "asha", "name": "Asha"})),
    );
    backend.says("/api/pets/p1", Reply::Json(pet("p1", 5)));
    let asha = server.stranger("asha");
    create(&asha, "p1").await.ok(201);
    for id in ["asha", "seller"] {
        host.delete(&format!("/api/admin/users/{id}")).await.ok(200);
    }
    backend.says("/api/pets/p2", Reply::Json(pet("p2", 5)));
    let asked = backend.times("/api/profile");
    for _ in 0..2 {
        let answer = asha.get("/api/chat/my-chats").await;
        answer.refused(401, "user_not_found");
    }
    assert_eq!(
        backend.times("/api/profile"),
        asked,
        "their token stays here"
    );
    let buyer = server.stranger("buyer");
    create(&buyer, "p2").await.refused(404, "pet_not_found");
}

#[tokio::test]
async fn a_removed_pet_and_a_pet_of_the_erased_are_brought_back_by_the_host_alone() {
    let (backend, server) = beside(&["--pull-ttl", "1", "--admin-key", KEY]).await;
    let host = server.anonymous().with_token(KEY);
    let mut stray = pet("stray", 5);
    stray["data"]["userId"]["_id"] = json!("shelter");
    backend.says("/api/pets/stray", Reply::Json(stray));
    backend.says("/api/pets/p1", Reply::Json(pet("p1", 5)));
    let buyer = bare(&server, "buyer");
    create(&buyer, "stray").await.ok(201);
    create(&buyer, "p1").await.ok(201);
    host.delete("/api/admin/pets/stray").await.ok(200);
    host.delete("/api/admin/users/seller").await.ok(200);

    // Nobody asks the backend about them before a chat; the list of chats does, and keeps nothing of the answer.
    let paths = ["/api/pets/stray", "/api/pets/p1"];
    let asked = paths.map(|path| backend.times(path));
    for id in ["stray", "p1"] {
        let stranger = bare(&server, "stranger");
        create(&stranger, id).await.refused(404, "pet_not_found");
    }
    assert_eq!(paths.map(|path| backend.times(path)), asked);
    let looked_at_again = async {
        // Twice more: the second time the first answer has been dealt with.
        while (0..2).any(|one| backend.times(paths[one]) < asked[one] + 2) {
            let chats = buyer.get("/api/chat/my-chats").await.ok(200);
            for chat in chats["chats"].as_array().unwrap() {
                assert_eq!(chat["petListing"]["isRemoved"], true, "{chat}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    within("the backend to be asked again", looked_at_again).await;
    for id in ["stray", "p1"] {
        let path = format!("/api/admin/pets/{id}");
        host.get(&path).await.refused(404, "pet_not_found");
        let put = host
            .ask("PUT", &path)
            .json(&json!({ "title": "Back", "owner": "shelter" }));
        put.answer().await.ok(200);
    }
    let stranger = bare(&server, "stranger");
    create(&stranger, "stray").await.ok(201);
}

#[tokio::test]
async fn https_is_spoken_to_whom_is_trusted_and_to_nobody_else() {
    let (backend, certificate) = FakeBackend::start_encrypted().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    std::fs::write(&path, certificate).unwrap();
    let pets = backend.url("/api/pets/{id}").replace("http:", "https:");
    let profiles = backend.url("/api/profile").replace("http:", "https:");
    let flags = ["--profile-url", &profiles, "--pet-url", &pets];
    backend.says("/api/pets/p1", Reply::Json(pet("p1", 5)));
    let server = TestServer::start(&flags).await;
    let answer = create(&server.stranger("buyer"), "p1").await;
    answer.refused(503, "unavailable");
    assert!(backend.asked().is_empty(), "nothing was said to a stranger");
    let trusted = ["--pull-ca-file", path.to_str().unwrap()];
    let server = TestServer::start(&[&flags[..], &trusted[..]].concat()).await;
    create(&server.stranger("buyer"), "p1").await.ok(201);
}

#[tokio::test]
async fn addresses_that_cannot_work_are_refused_at_the_start() {
    for (flag, value, said) in [
        ("--pet-url", "http://127.0.0.1/api/pets", "{id}"),
        ("--pet-url", "ftp://127.0.0.1/{id}", "http:// or https://"),
        ("--profile-url", "http://{id}/x", "never in the host"),
        ("--pull-ca-file", "/nonexistent", "BEGIN CERTIFICATE"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let mut command = super::process::bare();
        command.args(["--port", "0", "--log", "error", flag, value]);
        if flag == "--pull-ca-file" {
            command.args(["--profile-url", "https://127.0.0.1/x"]);
        }
        command.arg("--data-dir").arg(directory.path());
        let ended = tokio::task::spawn_blocking(move || command.output().unwrap());
        let output = within("the command to end", ended).await.unwrap();
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success() && complaint.contains(said),
            "{complaint}"
        );
    }
}
