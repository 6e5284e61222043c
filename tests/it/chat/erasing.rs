//! People who are to be here no more: their sockets, their tokens, every byte of theirs.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

use clap::Parser;
use jivchat::config::Cli;
use jivchat::server::Server;
use serde_json::{Value, json};

use super::media::PNG;
use super::rest::{Rest, text};
use super::server::{KEY, TestServer, token_for};
use super::sockets::Client;
use crate::support::png_with;

struct House {
    server: TestServer,
    host: Rest,
    asha: Rest,
    rohan: Rest,
    chat: String,
}

impl House {
    async fn open() -> Self {
        let server = TestServer::start(&["--admin-key", KEY]).await;
        let host = server.anonymous().with_token(KEY);
        let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
        let chat = rohan.chat_with(&asha).await;
        Self {
            server,
            host,
            asha,
            rohan,
            chat,
        }
    }

    async fn refusal(&self, who: &Rest) -> Value {
        let auth = json!({ "token": who.token });
        let refused = Client::try_connect(self.server.address(), Some(&auth), &[]).await;
        let Err(refused) = refused else {
            panic!("a socket was let in");
        };
        assert_eq!(refused["message"], "Authentication error");
        refused["data"]["code"].clone()
    }
}

#[tokio::test]
async fn an_erased_user_is_gone_at_once_and_the_others_hear_of_it() {
    let house = House::open().await;
    let message = house.rohan.says(&house.chat, "secret").await;
    let mut asha = Client::connect(&house.server, &house.asha).await;
    let mut rohan = Client::connect(&house.server, &house.rohan).await;
    let claim = rohan.claim(&house.rohan);
    let erased = house.host.delete("/api/admin/users/rohan").await;
    let erased = erased.says(200, "User erased successfully");
    assert_eq!(
        (&erased["wasKnown"], &erased["messages"]),
        (&json!(true), &json!(1))
    );
    rohan.ended().await;
    let deleted = asha.event("messageDeleted").await;
    assert_eq!(
        deleted,
        json!({ "chatId": house.chat, "messageId": message["_id"] })
    );
    let many = asha.event("messagesDeleted").await;
    assert_eq!(
        many,
        json!({ "chatId": house.chat, "messageIds": [message["_id"]] })
    );
    let unread = asha.event("unreadCount").await;
    assert_eq!(
        unread,
        json!({ "chatId": house.chat, "count": 0, "total": 0 })
    );
    let mut updated = asha.event("chatUpdated").await;
    let stub = json!({ "_id": "rohan", "name": "Deleted user", "isOnline": false });
    // Presence ends when the socket has ended, which may be a moment later.
    updated["participants"][0]["isOnline"] = json!(false);
    assert_eq!(
        (&updated["participants"][0], &updated["isActive"]),
        (&stub, &json!(false))
    );

    let refused = house.rohan.get("/api/chat/my-chats").await;
    assert_eq!(
        refused.refused(401, "user_not_found"),
        "Invalid token. User not found."
    );
    assert_eq!(house.refusal(&house.rohan).await, "user_not_found");
    let again = Client::try_connect(house.server.address(), Some(&claim), &[]).await;
    assert_eq!(again.err().unwrap()["data"]["code"], "user_not_found");
    let messages = house.asha.messages(&house.chat).await;
    assert_eq!(messages[0]["isDeleted"], true);
    assert_eq!(
        messages[0]["sender"],
        json!({ "_id": "rohan", "name": "Deleted user" })
    );
    let path = format!("/api/chat/{}/send", house.chat);
    let refused = house
        .asha
        .post(&path, &json!({ "content": "hello?" }))
        .await;
    refused.refused(404, "user_not_found");

    // Asking again is the same, and so is asking for somebody of whom nobody has heard: a token of theirs is refused as well.
    let again = house.host.delete("/api/admin/users/rohan").await.ok(200);
    assert_eq!(
        (&again["wasKnown"], &again["messages"]),
        (&json!(false), &json!(0))
    );
    house
        .host
        .delete("/api/admin/users/unheard-of")
        .await
        .ok(200);
    let unheard = house.server.stranger("unheard-of");
    unheard
        .get("/api/chat/my-chats")
        .await
        .refused(401, "user_not_found");
    house
        .host
        .get("/api/admin/users/rohan")
        .await
        .refused(404, "user_not_found");

    // Only the host can bring them back.
    let path = "/api/admin/users/rohan";
    let back = house.host.ask("PUT", path).json(&json!({ "name": "R" }));
    back.answer().await.ok(200);
    house.rohan.get("/api/chat/my-chats").await.ok(200);
    assert_eq!(
        house.rohan.messages(&house.chat).await[0]["isDeleted"],
        true
    );
}

#[tokio::test]
async fn a_banned_user_is_out_until_the_ban_is_lifted() {
    let house = House::open().await;
    house.rohan.says(&house.chat, "stays").await;
    let mut rohan = Client::connect(&house.server, &house.rohan).await;
    let path = "/api/admin/users/rohan/ban";
    let banned = house.host.post(path, &json!({})).await;
    assert_eq!(
        banned.says(200, "User banned successfully")["isBanned"],
        true
    );
    rohan.ended().await;
    assert_eq!(house.refusal(&house.rohan).await, "user_banned");
    house
        .rohan
        .get("/api/chat/my-chats")
        .await
        .refused(401, "user_banned");
    let path_of_user = "/api/admin/users/rohan";
    assert_eq!(house.host.get(path_of_user).await.ok(200)["isBanned"], true);
    assert_eq!(
        house.asha.messages(&house.chat).await[0]["content"],
        "stays"
    );
    house
        .host
        .delete(path)
        .await
        .says(200, "User unbanned successfully");
    Client::connect(&house.server, &house.rohan).await;
    house.rohan.says(&house.chat, "back").await;
}

/// Files below `directory` that hold `bytes`. One that goes away meanwhile holds nothing.
fn files_with(directory: &Path, bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(directory) else {
        return found;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, bytes));
        }
        let content = std::fs::read(&path).unwrap_or_default();
        if content.windows(bytes.len()).any(|window| window == bytes) {
            found.push(path.display().to_string());
        }
    }
    found
}

#[tokio::test]
async fn after_a_compaction_no_byte_of_an_erased_user_is_on_disk() {
    let house = House::open().await;
    let directory = house.server.data_dir().to_owned();
    let token = token_for("u-17", Some("Zebulon"), Duration::from_hours(1));
    let user = Rest::new(house.server.address(), "u-17", Some(token));
    user.get("/api/chat/my-chats").await.ok(200);
    let pet = json!({ "title": "Quokka of mine", "owner": "u-17", "phone": "98765-43210" });
    let put = house.host.ask("PUT", "/api/admin/pets/q-1").json(&pet);
    put.answer().await.ok(200);
    let chat = house
        .asha
        .post("/api/chat/create", &json!({ "petId": "q-1" }))
        .await
        .ok(201);
    let chat = text(&chat["_id"]);
    let path = format!("/api/chat/{chat}/send");
    let said =
        json!({ "content": "my address is 17 Xylophone Lane", "clientMessageId": "client-id-xyz" });
    user.post(&path, &said).await.ok(201);
    let picture = png_with(PNG, b"the bytes of a private picture");
    user.uploads(&chat, "home.png", &picture).await.ok(201);
    house.asha.says(&chat, "what she says stays here").await;
    let traces: [&[u8]; 7] = [
        b"Zebulon",
        b"Zebulon@example.com",
        b"Quokka",
        b"98765-43210",
        b"Xylophone Lane",
        b"client-id-xyz",
        b"private picture",
    ];
    for trace in traces {
        assert!(
            !files_with(&directory, trace).is_empty(),
            "the test can see nothing"
        );
    }
    let erased = house
        .host
        .delete("/api/admin/users/u-17?compact=true")
        .await
        .ok(200);
    assert_eq!(
        (
            &erased["messages"],
            &erased["files"],
            &erased["pets"],
            &erased["compacted"]
        ),
        (&json!(2), &json!(1), &json!(1), &json!(true))
    );
    for trace in traces {
        let found = files_with(&directory, trace);
        assert!(
            found.is_empty(),
            "{} is in {found:?}",
            String::from_utf8_lossy(trace)
        );
    }
    assert!(!files_with(&directory, b"stays here").is_empty());
    house.server.stop().await;
    for trace in traces {
        assert!(files_with(&directory, trace).is_empty());
    }
}

#[tokio::test]
async fn an_erasure_is_not_called_done_while_a_file_cannot_be_removed() {
    let house = House::open().await;
    house.rohan.uploads(&house.chat, "a.png", PNG).await.ok(201);
    let names = house.server.media_files();
    assert_eq!(names.len(), 1, "{names:?}");
    // What no server may remove, whoever runs it.
    let file = house.server.data_dir().join("media").join(&names[0]);
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let user = "/api/admin/users/rohan";
    let unfinished = async |host: &Rest| {
        let answer = host.delete(user).await;
        assert_eq!(answer.header("retry-after"), Some("60"));
        let sentence = answer.refused(503, "unavailable");
        assert!(sentence.contains("not finished"), "{sentence}");
        let back = host.ask("PUT", user).json(&json!({ "name": "R" }));
        back.answer().await.refused(503, "unavailable");
    };
    unfinished(&house.host).await;
    // All the rest is gone, and stays so.
    let messages = house.asha.messages(&house.chat).await;
    assert_eq!(messages[0]["isDeleted"], true);
    let refused = house.rohan.get("/api/chat/my-chats").await;
    refused.refused(401, "user_not_found");

    let directory = house.server.stop().await;
    let server = TestServer::start_in(directory, &["--admin-key", KEY]).await;
    let host = server.anonymous().with_token(KEY);
    unfinished(&host).await;
    std::fs::remove_dir(&file).unwrap();
    let erased = host.delete(user).await;
    erased.says(200, "User erased successfully");
    let back = host.ask("PUT", user).json(&json!({ "name": "R" }));
    back.answer().await.ok(200);
}

#[tokio::test]
async fn a_file_that_nobody_knows_goes_when_it_is_old_and_another_s_directory_is_not_touched() {
    let directory = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let shared = tempfile::tempdir().unwrap();
    let name = |digit: &str| format!("chat-1-{}.png", digit.repeat(32));
    let flags = ["--media-path", shared.path().to_str().unwrap()];
    let server = TestServer::start_in(directory.clone(), &flags).await;
    // Not new any more.
    let asha = Rest::new(
        server.address(),
        "asha",
        Some(token_for("asha", None, Duration::from_hours(1))),
    );
    asha.get("/api/chat/unread-count").await.ok(200);
    server.stop().await;
    let (old, fresh) = (shared.path().join(name("a")), shared.path().join(name("b")));
    let notes = shared.path().join("notes.txt");
    for path in [&old, &fresh, &notes] {
        std::fs::write(path, PNG).unwrap();
    }
    let long_ago = SystemTime::now() - Duration::from_hours(30);
    for path in [&old, &notes] {
        File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_modified(long_ago)
            .unwrap();
    }
    let server = TestServer::start_in(directory.clone(), &flags).await;
    let gone = async {
        while old.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    super::within("the sweep", gone).await;
    assert!(fresh.exists() && notes.exists());

    let elsewhere = tempfile::tempdir().unwrap();
    let other = elsewhere.path().to_str().unwrap();
    let refused = async || {
        let fixed = ["jivchat", "--port", "0", "--demo", "--data-dir", other];
        let cli = Cli::parse_from(fixed.iter().chain(&flags));
        Server::open(&cli.serve).await.unwrap_err().to_string()
    };
    assert!(refused().await.contains("in use by another server"));
    server.stop().await;
    assert!(
        refused()
            .await
            .contains("the files of another data directory")
    );
    assert!(fresh.exists());
}

#[tokio::test]
async fn what_lost_its_messages_is_refused_and_never_swept() {
    let directory = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let media = directory.path().join("media");
    let server = TestServer::start_in(directory.clone(), &[]).await;

    let elsewhere = tempfile::tempdir().unwrap();
    let refused = async |flags: &[&str]| {
        let fixed = ["jivchat", "--port", "0", "--demo", "--data-dir"];
        let cli = Cli::parse_from(fixed.iter().chain(flags));
        Server::open(&cli.serve).await.unwrap_err().to_string()
    };
    let other = elsewhere.path().to_str().unwrap();
    let why = refused(&[other, "--media-path", media.to_str().unwrap()]).await;
    assert!(why.contains("of the data directory around it"), "{why}");
    server.stop().await;

    let file = media.join(format!("chat-1-{}.png", "a".repeat(32)));
    std::fs::write(&file, PNG).unwrap();
    std::fs::remove_dir_all(directory.path().join("journal")).unwrap();
    std::fs::remove_dir_all(directory.path().join("db")).unwrap();
    std::fs::remove_file(directory.path().join("checkpoint")).unwrap();
    let mine = directory.path().to_str().unwrap();
    let why = refused(&[mine]).await;
    assert!(why.contains("the journal in"), "{why}");
    std::fs::remove_file(directory.path().join("schema")).unwrap();
    let why = refused(&[mine]).await;
    assert!(why.contains("no message that shows them"), "{why}");
    assert!(file.exists());
}
