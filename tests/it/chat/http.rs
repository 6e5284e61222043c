//! What HTTP itself asks of the server: HEAD, ids of requests, CORS, connections that are kept, bodies in chunks.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::rest::Answer;
use super::server::{TestServer, token};

#[tokio::test]
async fn head_is_get_without_the_body() {
    let server = TestServer::start(&[]).await;
    let asha = server.user("asha").await;
    for path in ["/api/chat/my-chats", "/api/chat/unread-count"] {
        let get = asha.get(path).await;
        let head = asha.ask("HEAD", path).answer().await;
        assert_eq!((head.status, head.body.len()), (200, 0));
        assert_eq!(head.header("content-length"), get.header("content-length"));
        assert_eq!(head.header("content-type"), get.header("content-type"));
    }
    let head = server
        .anonymous()
        .ask("HEAD", "/api/chat/my-chats")
        .answer()
        .await;
    assert_eq!((head.status, head.body.len()), (401, 0));
}

#[tokio::test]
async fn every_answer_has_an_id_of_its_own() {
    let server = TestServer::start(&[]).await;
    let asha = server.user("asha").await;
    let mut ids = std::collections::BTreeSet::new();
    for path in [
        "/api/chat/my-chats",
        "/nothing",
        "/health",
        "/socket.io/?EIO=4&transport=polling",
    ] {
        let answer = asha.get(path).await;
        ids.insert(answer.header("x-request-id").unwrap().to_owned());
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    assert_eq!(ids.len(), 4);
}

#[tokio::test]
async fn health_is_for_everybody() {
    let server = TestServer::start(&[]).await;
    let answer = server.anonymous().get("/health").await;
    let health: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status, &health["status"]), (200, &json!("ok")));
    assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
    assert!(health["uptimeSeconds"].is_u64());
}

fn cors(answer: &Answer) -> (Option<&str>, Option<&str>) {
    (
        answer.header("access-control-allow-origin"),
        answer.header("access-control-allow-credentials"),
    )
}

#[tokio::test]
async fn one_policy_tells_browsers_who_may_call() {
    let shop = "https://shop.example";
    let listed =
        TestServer::start(&["--cors-origin", "https://shop.example,https://b.example"]).await;
    let open = TestServer::start(&["--cors-origin", "*"]).await;
    let closed = TestServer::start(&[]).await;
    let polling = "/socket.io/?EIO=4&transport=polling";
    let upload = "/uploads/chat_media/none";
    for path in ["/api/chat/my-chats", polling, upload, "/nothing"] {
        let from = async |server: &TestServer, origin: &str| {
            server
                .anonymous()
                .ask("GET", path)
                .header("Origin", origin)
                .answer()
                .await
        };
        assert_eq!(
            cors(&from(&listed, shop).await),
            (Some(shop), Some("true")),
            "{path}"
        );
        assert_eq!(
            cors(&from(&listed, "https://evil.example").await),
            (None, None),
            "{path}"
        );
        assert_eq!(
            cors(&from(&open, "https://evil.example").await),
            (Some("*"), None),
            "{path}"
        );
        assert_eq!(cors(&from(&closed, shop).await), (None, None), "{path}");

        let preflight = async |server: &TestServer| {
            let ask = server
                .anonymous()
                .ask("OPTIONS", path)
                .header("Origin", shop);
            let ask = ask.header("Access-Control-Request-Method", "POST");
            let asked = "authorization, content-type, x-socket-id";
            ask.header("Access-Control-Request-Headers", asked)
                .answer()
                .await
        };
        for server in [&listed, &open] {
            let answer = preflight(server).await;
            assert_eq!((answer.status, answer.body.len()), (204, 0), "{path}");
            let methods = answer.header("access-control-allow-methods").unwrap();
            assert!(
                ["GET", "POST", "PUT", "DELETE"]
                    .iter()
                    .all(|one| methods.contains(one))
            );
            let headers = answer
                .header("access-control-allow-headers")
                .unwrap()
                .to_lowercase();
            for name in ["authorization", "content-type", "x-socket-id"] {
                assert!(headers.contains(name), "{headers}");
            }
        }
        assert_ne!(preflight(&closed).await.status, 204, "{path}");
    }
}

#[tokio::test]
async fn a_connection_serves_one_request_after_the_other() {
    let server = TestServer::start(&[]).await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let token = token("asha", None);
    let path = "/api/chat/unread-count";
    let keep = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n");
    let last = "GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let all = format!("{keep}{keep}{last}");
    stream.write_all(all.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut bytes);
    super::within("three answers", read).await.unwrap();
    let answers = String::from_utf8(bytes).unwrap();
    let statuses: Vec<_> = answers
        .match_indices("HTTP/1.1 ")
        .map(|(at, _)| &answers[at + 9..at + 12])
        .collect();
    assert_eq!(statuses, ["200", "200", "404"]);
}

#[tokio::test]
async fn a_body_may_come_in_chunks() {
    let server = TestServer::start(&[]).await;
    let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
    let chat = rohan.chat_with(&asha).await;
    let chunked = async |bytes: &[u8]| {
        let mut body = Vec::new();
        for chunk in bytes.chunks(10_000) {
            body.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            body.extend_from_slice(chunk);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"0\r\n\r\n");
        let ask = asha.ask("POST", &format!("/api/chat/{chat}/send"));
        let ask = ask.header("Transfer-Encoding", "chunked").raw(&body);
        ask.answer().await
    };
    let text = json!({ "content": "hello", "ignored": "x".repeat(50_000) }).to_string();
    assert_eq!(chunked(text.as_bytes()).await.ok(201)["content"], "hello");
    chunked(&text.as_bytes()[..40_000])
        .await
        .refused(400, "invalid_json");
    let large = "x".repeat(1_000_000);
    chunked(large.as_bytes())
        .await
        .refused(413, "body_too_large");
}
