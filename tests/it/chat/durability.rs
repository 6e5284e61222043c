//! What was acknowledged is there, whatever ends the process: `kill -9` in the middle of the traffic, a lost index, a second
//! server on the same directory, and SIGTERM.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::process::{Process, command};
use super::rest::{Rest, text};
use super::sockets::Client;
use super::within;

const SENDERS: usize = 3;

/// What one chat's people have been told is stored: `clientMessageId` to message.
#[derive(Default)]
struct Acknowledged(BTreeMap<String, Value>);

async fn connect(process: &Process, who: &Rest) -> Client {
    let auth = json!({ "token": who.token });
    Client::try_connect(process.address, Some(&auth), &[])
        .await
        .unwrap()
}

/// Sends over REST until the server is gone; answers what it acknowledged.
async fn send_over_rest(who: Rest, chat: String, name: String, told: Arc<Semaphore>) -> Vec<Value> {
    let mut stored = Vec::new();
    for number in 0.. {
        let id = format!("{name}-{number}");
        let body = json!({ "content": format!("text of {id}"), "clientMessageId": id });
        let ask = who
            .ask("POST", &format!("/api/chat/{chat}/send"))
            .json(&body);
        let Ok(answer) = ask.try_answer().await else {
            break;
        };
        stored.push(answer.ok(201));
        told.add_permits(1);
    }
    stored
}

/// The same over a socket.
async fn send_over_socket(
    mut socket: Client,
    chat: String,
    name: String,
    told: Arc<Semaphore>,
) -> Vec<Value> {
    let mut stored = Vec::new();
    for number in 0.. {
        let id = format!("{name}-{number}");
        let send =
            json!({ "chatId": chat, "content": format!("text of {id}"), "clientMessageId": id });
        let Ok(ack) = socket.try_call("sendMessage", &send).await else {
            break;
        };
        assert_eq!(ack["success"], true, "{ack}");
        stored.push(ack["data"].clone());
        told.add_permits(1);
    }
    stored
}

/// Runs traffic and kills the server once `enough` messages are acknowledged. What a listener heard counts as acknowledged
/// too: delivered is stored.
async fn kill_under_load(directory: &Path, round: usize, enough: u32, known: &mut Acknowledged) {
    let process = Process::start(directory).await;
    let (asha, rohan) = (process.user("asha"), process.user("rohan"));
    asha.get("/api/chat/my-chats").await.ok(200);
    let chat = rohan.chat_with(&asha).await;
    let mut listener = connect(&process, &asha).await;
    let told = Arc::new(Semaphore::new(0));
    let mut senders = JoinSet::new();
    for number in 0..SENDERS {
        let name = format!("round-{round}-rest-{number}");
        senders.spawn(send_over_rest(
            rohan.clone(),
            chat.clone(),
            name,
            told.clone(),
        ));
        let name = format!("round-{round}-socket-{number}");
        let socket = connect(&process, &rohan).await;
        senders.spawn(send_over_socket(socket, chat.clone(), name, told.clone()));
    }
    let heard = tokio::spawn(async move { listener.ended().await });
    within("enough messages", told.acquire_many(enough))
        .await
        .unwrap()
        .forget();
    process.kill();
    let stored = within("the senders to notice", senders.join_all()).await;
    let heard = within("the listener to notice", heard).await.unwrap();
    let heard = heard.into_iter().filter(|(name, _)| name == "newMessage");
    for message in stored
        .into_iter()
        .flatten()
        .chain(heard.map(|(_, message)| message))
    {
        let id = text(&message["clientMessageId"]);
        let earlier = known.0.insert(id, message.clone());
        assert!(earlier.is_none_or(
            |earlier| earlier["_id"] == message["_id"] && earlier["seq"] == message["seq"]
        ));
    }
}

/// Starts the server again and holds everything it says against what is known.
async fn check(directory: &Path, known: &Acknowledged) {
    let process = Process::start(directory).await;
    let (asha, rohan) = (process.user("asha"), process.user("rohan"));
    let chat = rohan.chat_with(&asha).await;
    let mut history: Vec<Value> = Vec::new();
    for page in 1..1000 {
        let path = format!("/api/chat/{chat}/messages?limit=100&page={page}");
        let data = asha.get(&path).await.ok(200);
        let older = data["messages"].as_array().unwrap();
        history.splice(0..0, older.iter().cloned());
        if data["pagination"]["hasMore"] == false {
            assert_eq!(data["pagination"]["totalMessages"], history.len());
            break;
        }
    }
    let seqs: Vec<_> = history
        .iter()
        .map(|one| one["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(
        seqs,
        (1..=history.len() as u64).collect::<Vec<_>>(),
        "no gap"
    );
    let mut by_client_id = BTreeMap::new();
    for message in &history {
        let id = text(&message["clientMessageId"]);
        assert_eq!(
            message["content"],
            format!("text of {id}"),
            "nothing nobody sent"
        );
        assert!(by_client_id.insert(id, message).is_none(), "once");
    }
    for (id, told) in &known.0 {
        let stored = by_client_id.get(id);
        let stored = stored.unwrap_or_else(|| panic!("{id} was acknowledged and is lost"));
        for field in ["_id", "seq", "content", "sender", "createdAt"] {
            assert_eq!(stored[field], told[field], "{id}");
        }
    }
    assert_eq!(asha.unread().await, history.len() as u64);
    assert_eq!(rohan.unread().await, 0);
    let listed = asha.get("/api/chat/my-chats").await.ok(200);
    assert_eq!(listed["pagination"]["totalChats"], 1);
    let listed = &listed["chats"][0];
    let counts =
        json!([{ "userId": "rohan", "count": 0 }, { "userId": "asha", "count": history.len() }]);
    assert_eq!(listed["unreadCount"], counts);
    assert_eq!(listed["lastMessage"]["seq"], history.len());
    // A retry after the crash is answered with what is stored.
    let (id, told) = known.0.iter().next().unwrap();
    let body = json!({ "content": told["content"], "clientMessageId": id });
    let retry = rohan.post(&format!("/api/chat/{chat}/send"), &body).await;
    assert_eq!(retry.ok(200)["_id"], told["_id"]);
    process.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_acknowledged_survives_kill_9_and_the_loss_of_the_index() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let mut known = Acknowledged::default();
    for (round, enough) in [1, 37, 150, 400].into_iter().enumerate() {
        kill_under_load(directory, round, enough, &mut known).await;
        check(directory, &known).await;
    }
    assert!(known.0.len() >= 588);
    std::fs::remove_dir_all(directory.join("db")).unwrap();
    check(directory, &known).await;
    kill_under_load(directory, 9, 50, &mut known).await;
    std::fs::remove_dir_all(directory.join("db")).unwrap();
    check(directory, &known).await;
}

#[tokio::test]
async fn a_directory_has_one_owner() {
    let directory = tempfile::tempdir().unwrap();
    let first = Process::start(directory.path()).await;
    let mut second = command(directory.path());
    let second = tokio::task::spawn_blocking(move || second.output().unwrap());
    let second = within("the second server to give up", second)
        .await
        .unwrap();
    assert!(second.status.code().is_some_and(|code| code != 0));
    let why = String::from_utf8(second.stderr).unwrap();
    assert_eq!(why.trim().lines().count(), 1, "{why}");
    assert!(why.contains(directory.path().to_str().unwrap()), "{why}");

    let (asha, rohan) = (first.user("asha"), first.user("rohan"));
    asha.get("/api/chat/my-chats").await.ok(200);
    let chat = rohan.chat_with(&asha).await;
    rohan.says(&chat, "undisturbed").await;
    assert_eq!(asha.messages(&chat).await.len(), 1);
}

#[tokio::test]
async fn sigterm_drains_and_ends_well() {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::start(directory.path()).await;
    let (asha, rohan) = (process.user("asha"), process.user("rohan"));
    asha.get("/api/chat/my-chats").await.ok(200);
    let chat = rohan.chat_with(&asha).await;
    let mut socket = connect(&process, &asha).await;
    rohan.says(&chat, "before the end").await;
    socket.event("newMessage").await;
    // An idle keep-alive connection must not hold the server up.
    let _idle = tokio::net::TcpStream::connect(process.address)
        .await
        .unwrap();
    let ended = tokio::spawn(async move { socket.ended().await });
    assert_eq!(process.terminate().await.code(), Some(0));
    within("the socket to end", ended).await.unwrap();

    let again = Process::start(directory.path()).await;
    let history = again.user("asha").messages(&chat).await;
    assert_eq!(history[0]["content"], "before the end");
    assert_eq!(again.terminate().await.code(), Some(0));
}

#[tokio::test]
async fn a_restart_keeps_everything() {
    use super::server::TestServer;
    let server = TestServer::start(&[]).await;
    let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
    let chat = rohan.chat_with(&asha).await;
    rohan.says(&chat, "one").await;
    let gone = rohan.says(&chat, "two").await;
    asha.put(&format!("/api/chat/{chat}/mark-read"))
        .await
        .ok(200);
    rohan
        .uploads(&chat, "a.png", super::media::PNG)
        .await
        .ok(201);
    rohan
        .delete(&format!("/api/chat/message/{}", text(&gone["_id"])))
        .await
        .ok(200);
    asha.put(&format!("/api/chat/{chat}/toggle-block"))
        .await
        .ok(200);
    let look = async |server: &TestServer| {
        let asha = server.stranger("asha");
        let messages = asha.messages(&chat).await;
        let file = server
            .anonymous()
            .get(messages[2]["media"]["url"].as_str().unwrap())
            .await;
        let mut listed = asha.get("/api/chat/my-chats").await.ok(200);
        // Fetching hands over, which is written down when the server finds the time.
        listed["chats"][0]["lastMessage"]["status"] = Value::Null;
        (
            messages.len(),
            messages[0].clone(),
            listed,
            asha.unread().await,
            file.body,
        )
    };
    let before = look(&server).await;
    let directory = server.stop().await;
    let server = TestServer::start_in(directory, &[]).await;
    assert_eq!(look(&server).await, before);
    let directory = server.stop().await;
    std::fs::remove_dir_all(directory.path().join("db")).unwrap();
    let server = TestServer::start_in(directory, &[]).await;
    assert_eq!(look(&server).await, before);
}
