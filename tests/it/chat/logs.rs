//! The log: which request a line speaks of, what took long, and that nothing secret is in it at any level.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::fake_backend::{FakeBackend, Reply};
use super::media::PNG;
use super::process::{Process, bare};
use super::rest::{Rest, text};
use super::server::{SECRET, token};
use super::sockets::Client;
use super::within;

const KEY: &str = "an-admin-key-for-the-tests-alone";

fn command(directory: &Path, flags: &[&str]) -> Command {
    let mut command = bare();
    command.args(["--port", "0", "--no-rate-limit", "--jwt-secret", SECRET]);
    command.args(["--admin-key", KEY]).args(flags);
    command.arg("--data-dir").arg(directory);
    command
}

#[tokio::test]
async fn every_line_about_a_request_has_the_id_of_its_answer() {
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--log", "debug", "--log-format", "json"];
    let process = Process::spawn(command(directory.path(), &flags)).await;
    let asha = process.user("asha");
    let own = asha.get("/api/chat/my-chats").await;
    let own = own.header("x-request-id").unwrap().to_owned();
    // Refused by the reader of its body, which says so in a line of its own.
    let ask = asha.ask("POST", "/api/chat/create");
    let ask = ask
        .header("X-Request-Id", "the-proxys-7")
        .json(&json!({ "petId": 7 }));
    let answer = ask.answer().await;
    assert_eq!(answer.header("x-request-id"), Some("the-proxys-7"));
    let forged = asha.ask("GET", "/api/chat/my-chats");
    let forged = forged.header("X-Request-Id", "7\",\"level\":\"ERROR");
    let forged = forged.answer().await;
    let forged = forged.header("x-request-id").unwrap();
    assert!(!forged.contains('"'), "{forged}");

    for id in [&own, "the-proxys-7", forged] {
        let named = format!("\"id\":\"{id}\"");
        process.logs(&[&named, "\"message\":\"request\""]).await;
    }
    process
        .logs(&["the-proxys-7", "not of the expected form"])
        .await;
    let lines = process.log();
    let lines = lines
        .iter()
        .filter(|line| !line.starts_with("listening on"));
    let lines: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect();
    let about: Vec<_> = lines
        .iter()
        .filter(|line| line["message"] == "request")
        .collect();
    assert_eq!(about.len(), 3);
    for line in about {
        assert_eq!(line["span"]["name"], "request", "{line}");
        assert!(
            line["status"].is_u64() && line["path"].is_string(),
            "{line}"
        );
    }
}

#[tokio::test]
async fn the_id_is_in_the_lines_for_a_person_too() {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::spawn(command(directory.path(), &["--log", "debug"])).await;
    let ask = process.user("asha").ask("GET", "/nothing");
    ask.header("X-Request-Id", "the-proxys-8")
        .answer()
        .await
        .refused(404, "not_found");
    let line = process.logs(&["the-proxys-8", "/nothing", "404"]).await;
    assert!(
        !line.contains('\u{1b}'),
        "colour where nobody sees it: {line}"
    );
}

#[tokio::test]
async fn what_takes_long_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let backend = FakeBackend::start().await;
    let held = Arc::new(Semaphore::new(0));
    let profile = json!({ "_id": "asha", "name": "Asha" });
    backend.says("/profile", Reply::Held(Arc::clone(&held), profile));
    let url = backend.url("/profile");
    let flags = [
        "--log",
        "warn",
        "--slow-operation",
        "1",
        "--profile-url",
        &url,
    ];
    let process = Process::spawn(command(directory.path(), &flags)).await;
    let asha = process.user("asha");
    let asked = tokio::spawn({
        let asha = asha.clone();
        async move { asha.get("/api/chat/my-chats").await }
    });
    backend.until_asked("/profile", 1).await;
    tokio::time::sleep(Duration::from_millis(2)).await;
    held.add_permits(100);
    let answer = asked.await.unwrap();
    let id = answer.header("x-request-id").unwrap();
    process
        .logs(&["slow request", "/api/chat/my-chats", id])
        .await;

    // Thousands of rows at once keep the writer busy for more than a millisecond, and whoever sends meanwhile waits.
    let host = Rest::new(process.address, "host", Some(KEY.to_owned()));
    let rows: Vec<Value> = (0..1000)
        .map(|n| json!({ "_id": format!("pet-{n}"), "title": "t".repeat(180), "about": "x".repeat(4000) }))
        .collect();
    let rohan = process.user("rohan");
    rohan.get("/api/chat/my-chats").await.ok(200);
    let chat = asha.chat_with(&rohan).await;
    let auth = json!({ "token": token("asha", Some("asha")) });
    let mut socket = Client::try_connect(process.address, Some(&auth), &[])
        .await
        .unwrap();
    let has = |what: &str| process.log().iter().any(|line| line.contains(what));
    let both = async {
        while !(has("slow commit") && has("slow event")) {
            let put = host
                .ask("PUT", "/api/admin/pets")
                .json(&json!(rows))
                .answer();
            let message = json!({ "chatId": chat, "content": "hello" });
            let (put, ()) = tokio::join!(put, async {
                for _ in 0..10 {
                    socket.call("sendMessage", &message).await;
                }
            });
            assert_eq!(put.status, 200);
        }
    };
    within("slow lines", both).await;
    process
        .logs(&["slow event", "sendMessage", "user=asha"])
        .await;
}

#[tokio::test]
async fn the_time_of_a_client_that_is_slow_to_send_is_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--log", "debug", "--log-format", "json"];
    let process = Process::spawn(command(directory.path(), &flags)).await;
    let asha = process.user("asha");
    let ask = asha
        .ask("POST", "/api/chat/create")
        .json(&json!({ "participantId": "nobody" }));
    let bytes = ask.bytes();
    let mut stream = TcpStream::connect(process.address).await.unwrap();
    let (head, rest) = bytes.split_at(bytes.len() - 5);
    stream.write_all(head).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    stream.write_all(rest).await.unwrap();
    let line = process.logs(&["request", "/api/chat/create"]).await;
    let line: Value = serde_json::from_str(&line).unwrap();
    let (took, waited) = (line["took_ms"].as_f64(), line["waited_ms"].as_f64());
    assert!(waited > Some(40.0) && took > waited, "{line}");
}

#[tokio::test]
async fn nothing_secret_is_logged_at_any_level() {
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--log", "trace", "--private-media", "--slow-operation", "1"];
    let process = Process::spawn(command(directory.path(), &flags)).await;
    let (asha, rohan) = (process.user("asha"), process.user("rohan"));
    rohan.get("/api/chat/my-chats").await.ok(200);
    let chat = asha.chat_with(&rohan).await;
    let auth = json!({ "token": rohan.token });
    let mut socket = Client::try_connect(process.address, Some(&auth), &[])
        .await
        .unwrap();
    let bearer = format!("Bearer {}", asha.token.as_ref().unwrap());
    let headers = [("authorization", bearer.as_str())];
    let mut other = Client::try_connect(process.address, None, &headers)
        .await
        .unwrap();

    asha.says(&chat, "the-secret-word-over-rest").await;
    let said = json!({ "chatId": chat, "content": "the-secret-word-over-a-socket", "clientMessageId": "a-name-of-its-own" });
    assert_eq!(socket.call("sendMessage", &said).await["success"], true);
    other.until_hears("the-secret-word-over-a-socket").await;
    let wrong = json!({ "chatId": "x", "content": "the-secret-word-refused" });
    assert_eq!(socket.call("sendMessage", &wrong).await["success"], false);
    let broken = b"{\"content\": \"the-secret-word-broken\", \"participantId\": 7}";
    let ask = asha
        .ask("POST", "/api/chat/create")
        .body("application/json", broken);
    assert_eq!(ask.answer().await.status, 400);

    let sent = asha
        .uploads(&chat, "the-secret-name.png", PNG)
        .await
        .ok(201);
    let url = text(&sent["media"]["url"]);
    let file = url.rsplit('/').next().unwrap().to_owned();
    let asked = format!("{url}?token={}", asha.token.as_ref().unwrap());
    let shown = Rest::new(process.address, "", None).get(&asked).await;
    assert_eq!(shown.status, 200);

    // Three tokens that are no good, each for a reason of its own.
    let forged = format!("{}x", asha.token.as_ref().unwrap());
    for refused in [
        forged.as_str(),
        "a-token-that-is-none",
        "eyJhbGciOiJub25lIn0.e30.",
    ] {
        let stranger = asha.with_token(refused);
        assert_eq!(stranger.get("/api/chat/my-chats").await.status, 401);
        let auth = json!({ "token": refused });
        assert!(
            Client::try_connect(process.address, Some(&auth), &[])
                .await
                .is_err()
        );
    }
    let host = asha.with_token(KEY);
    host.get("/api/admin/stats").await.ok(200);
    let minted = host
        .post("/api/admin/tokens", &json!({ "userId": "asha" }))
        .await
        .data();
    let minted = text(&minted["token"]);
    let guess = asha.with_token("a-guess-of-the-admin-key");
    assert_eq!(guess.get("/api/admin/stats").await.status, 401);
    let last = asha
        .ask("GET", "/api/chat/my-chats")
        .header("X-Request-Id", "the-last");
    last.answer().await.ok(200);
    process.logs(&["the-last"]).await;

    let lines = process.log();
    assert!(lines.len() > 20, "{lines:?}");
    let signature = |token: &Option<String>| {
        token
            .as_ref()
            .unwrap()
            .rsplit('.')
            .next()
            .unwrap()
            .to_owned()
    };
    let secrets = [
        "the-secret-word",
        "the-secret-name",
        "a-token-that-is-none",
        "eyJ",
        "a-guess-of",
        KEY,
        SECRET,
        "Bearer",
        &file,
        &signature(&asha.token),
        &signature(&rohan.token),
        &minted,
    ];
    for line in &lines {
        let found = secrets.iter().find(|secret| line.contains(**secret));
        assert_eq!(found, None, "{line}");
        let lower = line.to_lowercase();
        assert!(
            !lower.contains("authorization") && !lower.contains("token="),
            "{line}"
        );
    }
}
