//! Much that has to go at once: ten thousand messages of somebody who is erased while the server is killed, and old messages
//! of a directory that is started with a retention.

use std::path::Path;
use std::time::{Duration, Instant};

use jivchat::chat::{self, Content, NewMessage, OpenChat, Profile, Service};
use jivchat::id::{ChatId, UserId};
use jivchat::model::Timestamp;
use jivchat::store::{self, Store};
use serde_json::Value;

use super::process::{Client, PATIENCE, Server, verify};
use super::rounds;

const KEY: &str = "an-admin-key-for-the-tests-alone";
const MESSAGES: u64 = 10_000;
/// Every so many messages one is the other's.
const OTHERS: u64 = 10;
/// Messages that are sent at once; no more, or what is young could come to lie before what is old.
const AT_ONCE: u64 = 100;
const DAY: i64 = 24 * 60 * 60 * 1000;

fn user(id: &str) -> UserId {
    id.parse().unwrap()
}

/// Asha and Rohan, who talk too much: `count` messages with the times that `sent_at` says, in the order of their numbers but
/// within each [`AT_ONCE`].
fn talk(directory: &Path, count: u64, sent_at: impl Fn(u64) -> Timestamp) -> ChatId {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let options = store::Options {
        data_dir: directory.to_owned(),
        cache: 16 << 20,
        queue: 1024,
    };
    let (store, writer) = Store::open(&options).unwrap();
    let (service, _events) = Service::new(store, chat::Options::default());
    let chat = runtime.block_on(async {
        for id in ["asha", "rohan"] {
            let profile = Profile {
                id: user(id),
                name: Some(id.to_owned()),
                email: None,
                picture: None,
                said_at: None,
            };
            service.put_user(profile).await.unwrap();
        }
        let caller = chat::Caller::new(user("asha"));
        let request = OpenChat {
            participant: Some(user("rohan")),
            pet: None,
            kind: None,
        };
        let (opened, _) = service.open_chat(&caller, request).await.unwrap();
        let chat = opened.chat.id;
        let mut sending = tokio::task::JoinSet::new();
        for number in 0..count {
            let (service, sent_at) = (service.clone(), sent_at(number));
            let sender = if number % OTHERS == 0 {
                "asha"
            } else {
                "rohan"
            };
            let new = NewMessage {
                chat,
                content: Content::Text(format!("message {number}")),
                parent: None,
                client_id: Some(format!("c{number}")),
            };
            sending.spawn(async move {
                let sent = service.import_message(&user(sender), new, sent_at).await;
                sent.unwrap();
            });
            if (number + 1) % AT_ONCE == 0 {
                while let Some(sent) = sending.join_next().await {
                    sent.unwrap();
                }
            }
        }
        chat
    });
    drop(service);
    drop(runtime);
    writer.join();
    chat
}

/// Every message of a chat, page by page.
fn history(client: &Client, chat: ChatId) -> Vec<Value> {
    let mut found = Vec::new();
    for page in 1.. {
        let path = format!("/api/chat/{chat}/messages?limit=100&page={page}");
        let data = client.get(&path);
        found.extend(data["messages"].as_array().unwrap().clone());
        if data["pagination"]["hasMore"] == false {
            return found;
        }
    }
    unreachable!("pages end")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let copy = to.join(entry.file_name());
        if entry.path().is_dir() {
            self::copy(&entry.path(), &copy);
        } else {
            std::fs::copy(entry.path(), copy).unwrap();
        }
    }
}

#[test]
fn kill_9_while_a_user_is_erased_loses_nothing_and_is_gone_on_with() {
    let original = tempfile::tempdir().unwrap();
    let chat = talk(original.path(), MESSAGES, |_| Timestamp::now());
    let mut cut_off = 0;
    for round in 0..rounds().div_ceil(2) {
        let directory = tempfile::tempdir().unwrap();
        copy(original.path(), directory.path());
        let server = Server::start(directory.path(), &["--admin-key", KEY]);
        let host = server.host(KEY);
        let erasing =
            std::thread::spawn(move || host.ask("DELETE", "/api/admin/users/rohan", None));
        // The refusal of Rohan's token says that it has begun; each round lets it go on a little longer.
        let rohan = server.client("rohan");
        while let Ok((200, _)) = rohan.ask("GET", "/api/chat/unread-count", None) {}
        std::thread::park_timeout(Duration::from_millis(40) * u32::try_from(round % 10).unwrap());
        server.kill();
        cut_off += u32::from(erasing.join().unwrap().is_err());
        verify(directory.path());

        let server = Server::start(directory.path(), &["--admin-key", KEY]);
        let found = history(&server.client("asha"), chat);
        assert_eq!(found.len() as u64, MESSAGES);
        for message in found {
            let is_gone = message["isDeleted"] == true && message.get("clientMessageId").is_none();
            let is_rohans = message["sender"]["_id"] == "rohan";
            assert_eq!(is_gone, is_rohans, "{message}");
        }
        let (status, refused) = server
            .client("rohan")
            .ask("GET", "/api/chat/my-chats", None)
            .unwrap();
        assert_eq!((status, &refused["error"]), (401, &"user_not_found".into()));
        let unread = server.client("asha").get("/api/chat/unread-count");
        assert_eq!(unread["unreadCount"], 0);
        assert!(server.terminate().0.success());
        verify(directory.path());
    }
    assert!(cut_off > 0, "every erasure was done before the kill");
}

#[test]
fn a_server_with_a_retention_takes_what_is_older_and_keeps_the_rest() {
    const OLD: u64 = 700;
    let directory = tempfile::tempdir().unwrap();
    let now = Timestamp::now().0;
    // The last hundred are of today.
    let chat = talk(directory.path(), OLD + 100, |number| match number {
        0..OLD => Timestamp(now - 40 * DAY),
        _ => Timestamp(now),
    });
    let flags = ["--retain-days", "30"];
    let server = Server::start(directory.path(), &flags);
    let asha = server.client("asha");
    let is_young = |message: &Value| message["isDeleted"] == false;
    let began = Instant::now();
    loop {
        let kept = history(&asha, chat)
            .iter()
            .filter(|one| is_young(one))
            .count();
        assert!(kept >= 100, "something young is gone");
        // Nothing tells that the look is over.
        if kept == 100 {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{kept} are kept");
        std::thread::park_timeout(Duration::from_millis(20));
    }
    let found = history(&asha, chat);
    let seqs: Vec<_> = found
        .iter()
        .map(|one| one["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(seqs.len(), 800);
    let unread = asha.get("/api/chat/unread-count");
    assert_eq!(unread["unreadCount"], 100 - 100 / OTHERS);
    // A retry of what is too old by now still is one.
    let body = serde_json::json!({ "content": "message 0", "clientMessageId": "c0" });
    let path = format!("/api/chat/{chat}/send");
    let (status, _) = asha.ask("POST", &path, Some(&body)).unwrap();
    assert_eq!(status, 200);
    server.kill();
    verify(directory.path());
}
