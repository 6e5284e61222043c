//! Who asks too much is told to wait, over REST and over a socket, and nobody else is. Limits are set so low that no clock matters:
//! what a bucket gains during a test is less than one.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::media::PNG;
use super::rest::{Answer, Rest, text};
use super::server::{KEY, SECRET, TestServer, token_with};
use super::sockets::Client;
use super::within;

fn waits(answer: &Answer) {
    let message = answer.refused(429, "rate_limited");
    assert!(message.starts_with("Too many requests. Try again in "));
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=3600).contains(&seconds), "{seconds}");
}

fn waits_on_socket(ack: &Value) {
    assert_eq!(
        (&ack["success"], &ack["error"]),
        (&json!(false), &json!("rate_limited"))
    );
    assert!(
        (1..=3600).contains(&ack["retryAfter"].as_u64().unwrap()),
        "{ack}"
    );
}

/// Asha and Rohan, known to a server of these limits, and their chat.
async fn two(flags: &[&str]) -> (TestServer, Rest, Rest, String) {
    let server = TestServer::start(flags).await;
    let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
    server.user("asha-2").await;
    let chat = asha.chat_with(&rohan).await;
    (server, asha, rohan, chat)
}

/// How an act is done over REST, given the chat, and the number of the attempt.
type Act = fn(&Rest, &str, usize) -> super::rest::Ask;

/// Flag | how many pass | what is done.
const ACTS: &[(&str, usize, Act)] = &[
    ("--message-rate=1 --message-burst=1", 1, |who, chat, _| {
        who.ask("POST", &format!("/api/chat/{chat}/send"))
            .json(&json!({ "content": "a" }))
    }),
    ("--block-rate=2", 2, |who, chat, _| {
        who.ask("PUT", &format!("/api/chat/{chat}/toggle-block"))
    }),
    ("--block-rate=2", 2, |who, _, attempt| {
        let method = ["PUT", "DELETE"][attempt % 2];
        who.ask(method, "/api/chat/block-user/asha-2")
    }),
    ("--report-rate=2", 2, |who, chat, _| {
        who.ask("POST", "/api/chat/report")
            .json(&json!({ "chatId": chat, "reason": "spam" }))
    }),
    ("--read-rate=4", 2, |who, _, _| {
        who.ask("GET", "/api/chat/blocked-users")
    }),
    ("--upload-rate=2", 2, |who, chat, _| {
        who.ask("POST", &format!("/api/chat/{chat}/send-media"))
            .form(&[("media", Some("a.png"), PNG)])
    }),
    // Two to be known and to open the chat.
    ("--read-rate=4", 2, |who, _, _| {
        who.ask("GET", "/api/chat/my-chats")
    }),
    ("--read-rate=4", 2, |who, _, _| {
        who.ask("GET", "/api/chat/unread-count")
    }),
    ("--read-rate=4", 2, |who, chat, _| {
        who.ask("GET", &format!("/api/chat/{chat}/messages"))
    }),
    ("--read-rate=4", 2, |who, chat, _| {
        who.ask("PUT", &format!("/api/chat/{chat}/mark-read"))
    }),
];

#[tokio::test]
async fn each_limit_holds_for_one_user_and_only_for_them() {
    for (flag, passes, act) in ACTS {
        let (server, asha, rohan, chat) = two(&flag.split(' ').collect::<Vec<_>>()).await;
        for attempt in 0..*passes {
            let answer = act(&asha, &chat, attempt).answer().await;
            assert!(answer.status < 300, "{flag}: {answer:?}");
        }
        for _ in 0..3 {
            waits(&act(&asha, &chat, *passes).answer().await);
        }
        let other = act(&rohan, &chat, 0).answer().await;
        assert_ne!(other.status, 429, "{flag}: rohan has asked for nothing");
        server.stop().await;
        let off = flag.split('=').next().unwrap();
        for flags in [
            vec![format!("{off}=0")],
            format!("{flag} --no-rate-limit")
                .split(' ')
                .map(str::to_owned)
                .collect(),
        ] {
            let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
            let (server, asha, _, chat) = two(&flags).await;
            for attempt in 0..passes + 3 {
                let answer = act(&asha, &chat, attempt).answer().await;
                assert!(answer.status < 300, "{flags:?}: {answer:?}");
            }
            server.stop().await;
        }
    }
}

#[tokio::test]
async fn a_socket_has_the_same_limits() {
    let reading = json!({ "messageId": "0".repeat(24) });
    for (flag, passes, event, fields) in [
        (
            "--message-rate=1 --message-burst=1",
            1,
            "sendMessage",
            json!({ "content": "a" }),
        ),
        ("--typing-rate=3", 3, "typing", json!({ "isTyping": true })),
        ("--read-rate=5", 3, "join-chat", json!({})),
        ("--read-rate=5", 3, "joinChat", json!({})),
        ("--read-rate=5", 3, "markAsRead", reading),
    ] {
        let (server, asha, _, chat) = two(&flag.split(' ').collect::<Vec<_>>()).await;
        let mut socket = Client::connect(&server, &asha).await;
        let mut payload = fields.clone();
        payload["chatId"] = json!(chat);
        for _ in 0..passes {
            let ack = socket.call(event, &payload).await;
            assert_ne!(ack["error"], "rate_limited", "{flag} {event}");
        }
        waits_on_socket(&socket.call(event, &payload).await);
        let is_meant = |told: &Value| told["error"] == "rate_limited";
        let (_, told) = socket.until("error", is_meant).await.pop().unwrap();
        assert_eq!(
            (&told["error"], &told["event"]),
            (&json!("rate_limited"), &json!(event))
        );
        assert!(told["retryAfter"].is_u64(), "{told}");
        let ack = socket.call("leave-chat", &json!({ "chatId": chat })).await;
        assert_eq!(ack["success"], true, "the connection goes on");
        server.stop().await;
    }
}

#[tokio::test]
async fn what_both_edges_take_is_one_bucket() {
    let (server, asha, _, chat) = two(&["--read-rate=4"]).await;
    let mut socket = Client::connect(&server, &asha).await;
    assert_eq!(
        socket.call("join-chat", &json!(chat)).await["success"],
        true
    );
    asha.get("/api/chat/my-chats").await.ok(200);
    waits(&asha.get("/api/chat/my-chats").await);
    waits_on_socket(&socket.call("join-chat", &json!(chat)).await);
    server.stop().await;
}

#[tokio::test]
async fn only_a_new_chat_counts_as_one() {
    let server = TestServer::start(&["--chat-rate=2", "--admin-key", KEY]).await;
    let asha = server.user("asha").await;
    let mut others = Vec::new();
    for id in ["b", "c", "d"] {
        others.push(server.user(id).await);
    }
    let open = async |who: &Rest, other: &str| {
        let body = json!({ "participantId": other });
        who.post("/api/chat/create", &body).await
    };
    open(&asha, "nobody").await.refused(404, "user_not_found");
    open(&asha, "asha").await.refused(400, "self_chat");
    open(&asha, "b").await.ok(201);
    for _ in 0..5 {
        open(&asha, "b").await.ok(200);
    }
    open(&asha, "c").await.ok(201);
    waits(&open(&asha, "d").await);
    // What is there already is found, however many were opened.
    open(&asha, "b").await.ok(200);
    open(&others[0], "d").await.ok(201);
    let stats = server
        .anonymous()
        .with_token(KEY)
        .get("/api/admin/stats")
        .await
        .ok(200);
    assert_eq!(stats["refusals"]["chats"], 1, "{stats}");
    assert_eq!(stats["refusals"]["typing"], 0);
}

#[tokio::test]
async fn a_flood_of_messages_is_counted_over_both_edges() {
    let flags = ["--message-rate=1", "--message-burst=2", "--admin-key", KEY];
    let (server, asha, rohan, chat) = two(&flags).await;
    let send = format!("/api/chat/{chat}/send");
    asha.says(&chat, "one").await;
    asha.says(&chat, "two").await;
    for _ in 0..3 {
        waits(&asha.post(&send, &json!({ "content": "a" })).await);
    }
    waits(&asha.uploads(&chat, "a.png", PNG).await);
    let mut socket = Client::connect(&server, &asha).await;
    let payload = json!({ "chatId": chat, "content": "a" });
    for _ in 0..2 {
        waits_on_socket(&socket.call("sendMessage", &payload).await);
    }
    rohan.says(&chat, "I have said nothing yet").await;
    let host = server.anonymous().with_token(KEY);
    let stats = host.get("/api/admin/stats").await.ok(200);
    assert_eq!(stats["refusals"]["messages"], 6, "{stats}");
    server.stop().await;
}

#[tokio::test]
async fn what_a_block_refuses_uses_up_nothing() {
    let (server, asha, rohan, chat) = two(&["--typing-rate=1", "--upload-rate=1"]).await;
    let toggle = format!("/api/chat/{chat}/toggle-block");
    let mut socket = Client::connect(&server, &asha).await;
    let typing = json!({ "chatId": chat, "isTyping": true });
    rohan.put(&toggle).await.ok(200);
    for _ in 0..3 {
        let ack = socket.call("typing", &typing).await;
        assert_eq!(ack["error"], "chat_blocked");
        asha.uploads(&chat, "a.png", PNG)
            .await
            .refused(403, "chat_blocked");
    }
    rohan.put(&toggle).await.ok(200);
    assert_eq!(socket.call("typing", &typing).await["success"], true);
    waits_on_socket(&socket.call("typing", &typing).await);
    asha.uploads(&chat, "a.png", PNG).await.ok(201);
    waits(&asha.uploads(&chat, "a.png", PNG).await);
    server.stop().await;
}

#[tokio::test]
async fn many_new_chats_within_an_hour_are_refused_and_told_to_the_host() {
    let server = TestServer::start(&["--chats-per-hour=2", "--admin-key", KEY]).await;
    let host = server.anonymous().with_token(KEY);
    let asha = server.user("asha").await;
    for id in ["b", "c", "d"] {
        server.user(id).await;
    }
    let open = async |other: &str| {
        let body = json!({ "participantId": other });
        asha.post("/api/chat/create", &body).await
    };
    open("b").await.ok(201);
    open("c").await.ok(201);
    let refused = open("d").await;
    refused.refused(429, "too_many_chats");
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1700..=1801).contains(&seconds), "{seconds}");
    open("b").await.ok(200);
    let suspects = host.get("/api/admin/suspects").await.ok(200);
    let first = &suspects["suspects"][0];
    assert_eq!(
        (&first["userId"], &first["refused"]),
        (&json!("asha"), &json!("newChats"))
    );
    assert_eq!(
        (
            &first["times"],
            suspects["suspects"].as_array().unwrap().len()
        ),
        (&json!(1), 1)
    );
    let stats = host.get("/api/admin/stats").await.ok(200);
    assert_eq!(stats["refusals"]["newChats"], 1);
    asha.get("/api/admin/suspects")
        .await
        .refused(401, "token_invalid");
}

#[tokio::test]
async fn the_same_to_many_is_refused_and_answers_to_many_are_not() {
    let server = TestServer::start(&["--duplicate-chats=2", "--admin-key", KEY]).await;
    let host = server.anonymous().with_token(KEY);
    let seller = server.user("seller").await;
    let mut buyers = Vec::new();
    for id in ["a", "b", "c", "d"] {
        buyers.push(server.user(id).await);
    }
    // Four people ask the seller, who answers them alike.
    for buyer in &buyers {
        let chat = buyer.chat_with(&seller).await;
        buyer.says(&chat, "Is she still available?").await;
        seller.says(&chat, "Yes, she is").await;
    }
    // One of them opens chats with the others and says the same to each.
    let spammer = &buyers[0];
    let mut chats = Vec::new();
    for other in &buyers[1..] {
        chats.push(spammer.chat_with(other).await);
    }
    let advert = json!({ "content": "Buy  CHEAP puppies\nhere!" });
    let send = async |chat: &str, body: &Value| {
        spammer.post(&format!("/api/chat/{chat}/send"), body).await
    };
    send(&chats[0], &advert).await.ok(201);
    send(&chats[0], &advert).await.ok(201);
    send(
        &chats[1],
        &json!({ "content": "buy cheap puppies here!", "clientMessageId": "c-1" }),
    )
    .await
    .ok(201);
    let refused = send(&chats[2], &advert).await;
    refused.refused(429, "duplicate_message");
    assert!(refused.header("retry-after").is_some());
    let again = json!({ "content": "buy cheap puppies here!", "clientMessageId": "c-1" });
    send(&chats[1], &again).await.ok(200);
    send(&chats[2], &json!({ "content": "Hello" }))
        .await
        .ok(201);
    let mut socket = Client::connect(&server, spammer).await;
    let mut payload = advert.clone();
    payload["chatId"] = json!(chats[2]);
    let ack = socket.call("sendMessage", &payload).await;
    assert_eq!(ack["error"], "duplicate_message");
    assert!(ack["retryAfter"].as_u64().unwrap() > 3000, "{ack}");
    let told = socket.event("error").await;
    assert_eq!(
        (&told["error"], &told["retryAfter"]),
        (&ack["error"], &ack["retryAfter"])
    );
    let suspects = host.get("/api/admin/suspects").await.ok(200);
    let first = &suspects["suspects"][0];
    assert_eq!(
        (&first["userId"], &first["times"]),
        (&json!("a"), &json!(2))
    );
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_has_its_own_limits() {
    let flags = [
        "--trusted-proxy=127.0.0.0/8",
        "--read-rate-per-address=5",
        "--failed-auth-rate=3",
    ];
    let server = TestServer::start(&flags).await;
    let asha = server.user("asha").await;
    let ask = async |who: &Rest, from: &str| {
        who.ask("GET", "/api/chat/unread-count")
            .header("X-Forwarded-For", from)
            .answer()
            .await
    };
    // What the client claims itself stands to the left of what the proxy saw.
    for claimed in 0..5 {
        ask(&asha, &format!("10.0.0.{claimed}, 203.0.113.7"))
            .await
            .ok(200);
    }
    waits(&ask(&asha, "10.0.0.9, 203.0.113.7").await);
    waits(&ask(&server.stranger("rohan"), "203.0.113.7").await);
    ask(&asha, "203.0.113.8").await.ok(200);
    for host in 0..5 {
        ask(&asha, &format!("2001:db8::{host}")).await.ok(200);
    }
    waits(&ask(&asha, "2001:db8::ffff:1").await);
    ask(&asha, "2001:db8:0:1::1").await.ok(200);

    // Bad tokens count against their address, and never against a good one there.
    let bad = asha.with_token("rubbish");
    for _ in 0..3 {
        ask(&bad, "198.51.100.1")
            .await
            .refused(401, "token_invalid");
    }
    waits(&ask(&bad, "198.51.100.1").await);
    waits(&ask(&server.anonymous(), "198.51.100.1").await);
    ask(&asha, "198.51.100.1").await.ok(200);
    ask(&bad, "198.51.100.2")
        .await
        .refused(401, "token_invalid");
    let from = [("x-forwarded-for", "198.51.100.1")];
    let auth = json!({ "token": "rubbish" });
    let refused = Client::try_connect(server.address(), Some(&auth), &from)
        .await
        .err()
        .unwrap();
    assert_eq!(
        (&refused["message"], &refused["data"]["code"]),
        (&json!("Authentication error"), &json!("rate_limited"))
    );
    assert!(refused["data"]["retryAfter"].is_u64(), "{refused}");
    let auth = json!({ "token": asha.token });
    assert!(
        Client::try_connect(server.address(), Some(&auth), &from)
            .await
            .is_ok()
    );
    server.stop().await;
}

#[tokio::test]
async fn without_a_trusted_proxy_nobody_says_where_they_come_from() {
    let server = TestServer::start(&["--read-rate-per-address=1", "--failed-auth-rate=1"]).await;
    let asha = server.user("asha").await;
    for _ in 0..5 {
        let ask = asha.ask("GET", "/api/chat/unread-count");
        ask.header("X-Forwarded-For", "203.0.113.7")
            .answer()
            .await
            .ok(200);
        let bad = server.anonymous().ask("GET", "/api/chat/unread-count");
        bad.header("X-Forwarded-For", "203.0.113.7")
            .answer()
            .await
            .refused(401, "token_missing");
    }
}

#[tokio::test]
async fn bytes_that_came_are_paid_for() {
    let flags = ["--upload-volume=1", "--max-file-size=4194304"];
    let (server, asha, rohan, chat) = two(&flags).await;
    let mut large = PNG.to_vec();
    // Whatever is behind the picture is not kept, and has come all the same.
    large.resize(2 << 20, 0);
    let first = asha.uploads(&chat, "a.png", &large).await;
    assert_ne!(first.status, 429, "{first:?}");
    waits(&asha.uploads(&chat, "b.png", PNG).await);
    rohan.uploads(&chat, "c.png", PNG).await.ok(201);
    asha.says(&chat, "words still go").await;
    server.stop().await;
}

#[tokio::test]
async fn the_defaults_never_meet_a_busy_person() {
    let (server, asha, rohan, chat) = two(&[]).await;
    let mut socket = Client::connect(&server, &asha).await;
    for number in 0..50 {
        let payload = json!({ "chatId": chat, "isTyping": number % 2 == 0 });
        assert_eq!(socket.call("typing", &payload).await["success"], true);
        asha.says(&chat, "Is she still available?").await;
        rohan.get("/api/chat/my-chats").await.ok(200);
    }
    for number in 0..25 {
        let other = server.user(&format!("seller-{number}")).await;
        let own = asha.chat_with(&other).await;
        asha.says(&own, "Is she still available?").await;
    }
    let list = asha.get("/api/chat/my-chats?limit=100").await.ok(200);
    assert_eq!(
        text(&list["chats"][0]["lastMessage"]["content"]),
        "Is she still available?"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_token_that_is_good_for_nothing_is_no_lock_on_the_admin() {
    let flags = [
        "--trusted-proxy=127.0.0.1",
        "--failed-auth-rate=2",
        "--admin-key",
        KEY,
    ];
    let server = TestServer::start(&flags).await;
    let stats = async |key: &str| {
        let host = server.anonymous().with_token(key);
        host.ask("GET", "/api/admin/stats")
            .header("X-Forwarded-For", "203.0.113.7")
            .answer()
            .await
    };
    let signed = token_with(&json!({ "id": "asha", "exp": 4_000_000_000_u64 }), SECRET);
    for guess in ["a", "b"] {
        stats(guess).await.refused(401, "token_invalid");
    }
    waits(&stats("c").await);
    waits(&stats(&signed).await);
    let told = stats(KEY).await.ok(200);
    assert_eq!(told["refusals"]["authentication"], 2);
}

#[tokio::test]
async fn the_demo_is_no_flood_however_low_the_limits_are() {
    let flags = [
        "--demo",
        "--chat-rate=1",
        "--chats-per-hour=1",
        "--duplicate-chats=1",
    ];
    let server = TestServer::start(&flags).await;
    server.stop().await;
}

/// Sends an upload of which the end never comes; answers what the server says in the end.
async fn cut_off(server: &TestServer, who: &Rest, chat: &str) -> Answer {
    let upload = who
        .ask("POST", &format!("/api/chat/{chat}/send-media"))
        .form(&[("media", Some("a.png"), PNG)])
        .bytes();
    let mut stream = tokio::net::TcpStream::connect(server.address())
        .await
        .unwrap();
    let (mut reader, mut writer) = stream.split();
    let slowly = async {
        // The last boundary is never whole.
        let _ = writer.write_all(&upload[..upload.len() - 30]).await;
        std::future::pending::<()>().await;
    };
    let mut bytes = Vec::new();
    let answered = async {
        tokio::select! {
            () = slowly => {}
            read = reader.read_to_end(&mut bytes) => drop(read),
        }
    };
    within("the end of a slow upload", answered).await;
    Answer::parse(&bytes).expect("an answer")
}

#[tokio::test]
async fn an_upload_that_takes_too_long_is_dropped_and_leaves_nothing() {
    let (server, asha, _, chat) = two(&["--upload-timeout=1"]).await;
    let dropped = cut_off(&server, &asha, &chat).await;
    dropped.refused(400, "invalid_request");
    let files = server.media_files();
    let is_placed = |name: &String| name.starts_with("chat-");
    assert!(!files.iter().any(is_placed), "{files:?}");
    assert!(asha.messages(&chat).await.is_empty());
    asha.uploads(&chat, "b.png", PNG).await.ok(201);
    server.stop().await;
}
