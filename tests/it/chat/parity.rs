//! Every door against everybody and everything, in the one table of `cases`: the code, the status and the sentence of each refusal, and
//! the same ones through REST and through a socket.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::cases::{Came, Case, World, cases};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::rest::{Answer, text};
use super::server::TestServer;
use super::sockets::Client;
use super::within;

/// Each refusal's status, and its sentence where clients depend on it.
const REFUSALS: &str = "
token_missing          | 401 | Access denied. No token provided.
token_invalid          | 401 | Invalid token.
token_expired          | 401 | Invalid token.
user_banned            | 401 |
access_denied          | 403 | Access denied
chat_blocked           | 403 | This chat is blocked
not_sender             | 403 |
user_not_found         | 404 | User not found
message_not_found      | 404 | Message not found
method_not_allowed     | 405 |
invalid_request        | 400 |
invalid_id             | 400 |
invalid_media          | 400 |
invalid_parent         | 400 |
content_empty          | 400 | Message content cannot be empty
body_too_large         | 413 |
file_too_large         | 413 | File too large
unsupported_media_type | 415 |
";

fn refusals() -> BTreeMap<&'static str, (u16, &'static str)> {
    let lines = REFUSALS.trim().lines().map(|line| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        (cells[0], (cells[1].parse().unwrap(), cells[2]))
    });
    lines.collect()
}

/// What clients read of an answer: the code or the status, and the sentence.
fn read_answer(case: &Case, answer: &Answer) -> (String, String) {
    assert!(answer.header("x-request-id").is_some());
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    if answer.status < 300 {
        if case.door.name != "GET file" {
            answer.data();
        }
        return (answer.status.to_string(), String::new());
    }
    let code = text(&answer.json()["error"]);
    let sentence = answer.refused(answer.status, &code);
    let (status, _) = refusals()[code.as_str()];
    assert_eq!(answer.status, status, "{code}");
    if status == 405 {
        let allowed = answer.header("allow").unwrap();
        assert!(allowed.contains(case.door.method()), "{allowed}");
    }
    (code, sentence)
}

fn read_ack(case: &Case, ack: &Value, told: Option<&Value>) -> (String, String) {
    let Some(told) = told else {
        assert_eq!(ack["success"], true, "{ack}");
        return ("ok".to_owned(), String::new());
    };
    assert_eq!(told["event"], case.door.target);
    assert_eq!(
        (&told["error"], &told["message"]),
        (&ack["error"], &ack["message"])
    );
    (text(&ack["error"]), text(&ack["message"]))
}

fn read(case: &Case, outcome: &Came) -> (String, String) {
    match outcome {
        Came::Answer(answer) => read_answer(case, answer),
        Came::NotConnected(refusal) => {
            let code = &refusal["data"]["code"];
            let whole = json!({ "message": "Authentication error", "data": { "code": code } });
            assert_eq!(*refusal, whole);
            // The sentence of a refused connection is what the documentation tests for.
            (text(code), refusals()[code.as_str().unwrap()].1.to_owned())
        }
        Came::Ack(ack, told) => read_ack(case, ack, told.as_ref()),
        Came::Ended => ("ended".to_owned(), String::new()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_door_answers_everybody_as_the_table_says() {
    let mut world = World::new().await;
    let refusals = refusals();
    let mut wrong = Vec::new();
    for case in cases() {
        let came = world.try_it(&case).await;
        let (outcome, sentence) = read(&case, &came);
        let documented = refusals.get(case.outcome).map(|(_, sentence)| *sentence);
        let is_said = documented.is_none_or(|said| said.is_empty() || said == sentence);
        if outcome != case.outcome || !is_said {
            wrong.push(format!(
                "{} · {}: {outcome} ({sentence}), not {}",
                case.door.name, case.situation, case.outcome
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Everything the server says until it closes.
async fn raw(server: &TestServer, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let mut bytes = Vec::new();
    let exchange =
        async { tokio::join!(writer.write_all(request), reader.read_to_end(&mut bytes)) };
    let (_, read) = within("the end of the answer", exchange).await;
    read.unwrap_or_else(|error| panic!("{error} after {}", bytes.len()));
    bytes
}

#[tokio::test]
async fn what_is_no_request_is_refused_in_the_envelope_too() {
    let server = TestServer::start(&[]).await;
    let get = "GET /api/chat/my-chats HTTP/1.1\r\nHost: x\r\n";
    let many = "X-Many: 1\r\n".repeat(2000);
    let long = "a".repeat(300_000);
    for (name, request, status, code) in [
        (
            "no HTTP",
            "hello there\r\n\r\n".to_owned(),
            400,
            "invalid_request",
        ),
        (
            "a TLS hello",
            "\u{16}\u{3}\u{1}\u{2}\r\n\r\n".to_owned(),
            400,
            "invalid_request",
        ),
        (
            "no version",
            "GET /api/chat/my-chats\r\n\r\n".to_owned(),
            400,
            "invalid_request",
        ),
        (
            "a space in the path",
            "GET /api/chat/my chats HTTP/1.1\r\n\r\n".to_owned(),
            400,
            "invalid_request",
        ),
        (
            "a header without a colon",
            format!("{get}nonsense\r\n\r\n"),
            400,
            "invalid_request",
        ),
        (
            "a NUL in a header",
            format!("{get}X: a\0b\r\n\r\n"),
            400,
            "invalid_request",
        ),
        (
            "two lengths",
            format!("{get}Content-Length: 1\r\nContent-Length: 2\r\n\r\n"),
            400,
            "invalid_request",
        ),
        (
            "a length that is none",
            format!("{get}Content-Length: many\r\n\r\n"),
            400,
            "invalid_request",
        ),
        (
            "too many headers",
            format!("{get}{many}\r\n"),
            431,
            "headers_too_large",
        ),
        (
            "a header too large",
            format!("{get}X: {long}\r\n\r\n"),
            431,
            "headers_too_large",
        ),
    ] {
        let answer = Answer::parse(&raw(&server, request.as_bytes()).await);
        let answer = answer.unwrap_or_else(|| panic!("{name}: no whole answer"));
        assert_eq!((name, answer.status), (name, status));
        answer.refused(status, code);
        assert_eq!(answer.header("connection"), Some("close"), "{name}");
        assert_eq!(
            answer.header("x-content-type-options"),
            Some("nosniff"),
            "{name}"
        );
    }
    // Which of the two it is depends on the pieces in which it comes.
    let long = format!("GET /{long} HTTP/1.1\r\n\r\n");
    let answer = Answer::parse(&raw(&server, long.as_bytes()).await).unwrap();
    match answer.status {
        414 => answer.refused(414, "uri_too_long"),
        _ => answer.refused(431, "headers_too_large"),
    };
}

#[tokio::test]
async fn what_comes_before_a_request_that_is_none_is_answered_first() {
    let server = TestServer::start(&[]).await;
    let good = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
    let said = raw(&server, format!("{good}{good}rubbish\r\n\r\n").as_bytes()).await;
    let said = String::from_utf8(said).unwrap();
    let statuses: Vec<_> = said
        .match_indices("HTTP/1.1 ")
        .map(|(at, _)| &said[at + 9..at + 12])
        .collect();
    assert_eq!(statuses, ["200", "200", "400"], "{said}");
    assert!(said.ends_with(r#""error":"invalid_request"}"#), "{said}");
}

/// Promise P12: whoever takes part in two chats cannot name a message of one as a message of the other.
#[tokio::test]
async fn a_message_of_another_chat_is_none_of_this_one() {
    let server = TestServer::start(&[]).await;
    let [asha, rohan, meera] = ["asha", "rohan", "meera"].map(|name| server.stranger(name));
    for other in [&rohan, &meera] {
        other.get("/api/chat/my-chats").await.ok(200);
    }
    let (here, there) = (asha.chat_with(&rohan).await, asha.chat_with(&meera).await);
    rohan.says(&here, "here").await;
    let foreign = text(&meera.says(&there, "there").await["_id"]);
    for cursor in ["before", "after"] {
        let path = format!("/api/chat/{here}/messages?{cursor}={foreign}");
        asha.get(&path).await.refused(404, "message_not_found");
    }
    let mut socket = Client::connect(&server, &asha).await;
    let read = json!({ "chatId": here, "messageId": foreign });
    let ack = socket.call("markAsRead", &read).await;
    assert_eq!(ack["error"], "message_not_found");
    assert_eq!(asha.unread().await, 2, "nothing was read by it");
    let reply = json!({ "content": "a", "parentMessageId": foreign });
    let path = format!("/api/chat/{here}/send");
    asha.post(&path, &reply)
        .await
        .refused(400, "invalid_parent");
}
