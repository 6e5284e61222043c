//! The tests of the official Engine.IO v4 suite, by name, in our own words. Those that the Socket.IO suite repeats take any server.

use std::time::Duration;

use jivchat::engineio::Handler;
use tokio::time::sleep;

use crate::support::protocol::{OPEN_POLLING, Server, lenient, official};
use crate::support::websocket::Next;

async fn server() -> Server<impl Handler> {
    Server::engine_echo(lenient()).await
}

/// The times of the official suite, where the test is about them.
async fn punctual_server() -> Server<impl Handler> {
    Server::engine_echo(official()).await
}

pub(crate) async fn opens_a_polling_session<H: Handler>(server: &Server<H>) {
    let answer = server.get(OPEN_POLLING).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; charset=UTF-8")
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let open: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(answer.body.strip_prefix('0').unwrap()).unwrap();
    let keys: Vec<_> = open.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "sid",
            "upgrades",
            "pingInterval",
            "pingTimeout",
            "maxPayload"
        ]
    );
    assert_eq!(open["upgrades"], serde_json::json!(["websocket"]));
    assert_eq!(open["pingInterval"], 300);
    assert_eq!(open["pingTimeout"], 200);
    assert_eq!(open["maxPayload"], 1_000_000);
}

pub(crate) async fn refuses_a_wrong_eio_over_http<H: Handler>(server: &Server<H>) {
    for query in ["transport=polling", "EIO=abc&transport=polling"] {
        assert_eq!(server.get(query).await.status, 400, "{query}");
    }
}

pub(crate) async fn refuses_a_wrong_transport_over_http<H: Handler>(server: &Server<H>) {
    for query in ["EIO=4", "EIO=4&transport=abc"] {
        assert_eq!(server.get(query).await.status, 400, "{query}");
    }
}

pub(crate) async fn refuses_a_wrong_method<H: Handler>(server: &Server<H>) {
    for method in ["POST", "PUT"] {
        let answer = server.request(method, OPEN_POLLING, "", "").await;
        assert_eq!(answer.status, 400, "{method}");
    }
}

pub(crate) async fn opens_a_websocket_session<H: Handler>(server: &Server<H>) {
    let mut ws = server.connect("EIO=4&transport=websocket").await.unwrap();
    let Next::Text(open) = ws.next().await else {
        panic!("not text");
    };
    let open: serde_json::Value = serde_json::from_str(open.strip_prefix('0').unwrap()).unwrap();
    assert_eq!(open["upgrades"], serde_json::json!([]));
    assert_eq!(open.as_object().unwrap().len(), 5);
}

pub(crate) async fn refuses_a_wrong_eio_over_websocket<H: Handler>(server: &Server<H>) {
    for query in ["transport=websocket", "EIO=abc&transport=websocket"] {
        assert_eq!(server.connect(query).await.err(), Some(400), "{query}");
    }
}

pub(crate) async fn refuses_a_wrong_transport_over_websocket<H: Handler>(server: &Server<H>) {
    for query in ["EIO=4", "EIO=4&transport=abc"] {
        assert_eq!(server.connect(query).await.err(), Some(400), "{query}");
    }
}

pub(crate) async fn pings_over_polling<H: Handler>(server: &Server<H>) {
    let poller = server.poller().await;
    for _ in 0..3 {
        poller.expect_get(200, "2").await;
        poller.expect_post("3", 200).await;
    }
}

pub(crate) async fn times_out_over_polling<H: Handler>(server: &Server<H>) {
    let poller = server.poller().await;
    sleep(Duration::from_millis(500)).await;
    poller.expect_gone().await;
}

pub(crate) async fn pings_over_websocket<H: Handler>(server: &Server<H>) {
    let mut ws = server.websocket().await;
    for _ in 0..3 {
        assert_eq!(ws.next().await, Next::Text("2".to_owned()));
        ws.send("3").await;
    }
}

pub(crate) async fn times_out_over_websocket<H: Handler>(server: &Server<H>) {
    assert_eq!(server.websocket().await.closed().await, 1005);
}

pub(crate) async fn closes_over_polling<H: Handler>(server: &Server<H>) {
    let poller = server.poller().await;
    let (get, post) = tokio::join!(poller.get(), poller.post("1"));
    assert_eq!((get.status, get.body.as_str()), (200, "6"));
    assert_eq!((post.status, post.body.as_str()), (200, "ok"));
    poller.expect_gone().await;
}

pub(crate) async fn closes_over_websocket<H: Handler>(server: &Server<H>) {
    let mut ws = server.websocket().await;
    ws.send("1").await;
    assert_eq!(ws.next().await, Next::Closed(1005));
}

pub(crate) async fn upgrades<H: Handler>(server: &Server<H>) {
    let poller = server.poller().await;
    let mut ws = poller.upgrade().await;
    ws.send("2probe").await;
    assert_eq!(ws.next().await, Next::Text("3probe".to_owned()));
    poller.expect_get(200, "6").await;
    ws.send("5").await;
    // The next PING comes over the websocket.
    assert_eq!(ws.next().await, Next::Text("2".to_owned()));
}

pub(crate) async fn ignores_http_after_the_upgrade<H: Handler>(server: &Server<H>) {
    let poller = server.poller().await;
    let mut ws = poller.upgrade().await;
    ws.send("2probe").await;
    ws.send("5").await;
    ws.expect("3probe").await;
    let answer = poller.get().await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.body, r#"{"code":3,"message":"Bad request"}"#);
    assert_eq!(ws.next().await, Next::Text("2".to_owned()));
}

pub(crate) async fn ignores_a_second_websocket_after_the_upgrade<H: Handler>(server: &Server<H>) {
    let poller = server.poller().await;
    let mut ws = poller.upgraded().await;
    let mut second = poller.upgrade().await;
    assert_eq!(second.next().await, Next::Closed(1005));
    assert_eq!(ws.next().await, Next::Text("2".to_owned()));
}

mod handshake {
    use super::*;

    #[tokio::test]
    async fn polling_successfully_opens_a_session() {
        opens_a_polling_session(&punctual_server().await).await;
    }

    #[tokio::test]
    async fn polling_fails_with_an_invalid_eio_query_parameter() {
        refuses_a_wrong_eio_over_http(&server().await).await;
    }

    #[tokio::test]
    async fn polling_fails_with_an_invalid_transport_query_parameter() {
        refuses_a_wrong_transport_over_http(&server().await).await;
    }

    #[tokio::test]
    async fn polling_fails_with_an_invalid_request_method() {
        refuses_a_wrong_method(&server().await).await;
    }

    #[tokio::test]
    async fn websocket_successfully_opens_a_session() {
        opens_a_websocket_session(&server().await).await;
    }

    #[tokio::test]
    async fn websocket_fails_with_an_invalid_eio_query_parameter() {
        refuses_a_wrong_eio_over_websocket(&server().await).await;
    }

    #[tokio::test]
    async fn websocket_fails_with_an_invalid_transport_query_parameter() {
        refuses_a_wrong_transport_over_websocket(&server().await).await;
    }
}

mod message {
    use super::*;

    #[tokio::test]
    async fn polling_sends_and_receives_one_plain_text_packet() {
        let server = server().await;
        let poller = server.poller().await;
        poller.expect_post("4hello", 200).await;
        poller.expect_get(200, "4hello").await;
    }

    #[tokio::test]
    async fn polling_sends_and_receives_several_plain_text_packets() {
        let server = server().await;
        let poller = server.poller().await;
        poller.expect_post("4test1\x1e4test2\x1e4test3", 200).await;
        poller.expect_get(200, "4test1\x1e4test2\x1e4test3").await;
    }

    #[tokio::test]
    async fn polling_sends_and_receives_plain_text_and_binary_packets() {
        let server = server().await;
        let poller = server.poller().await;
        poller.expect_post("4hello\x1ebAQIDBA==", 200).await;
        poller.expect_get(200, "4hello\x1ebAQIDBA==").await;
    }

    #[tokio::test]
    async fn polling_closes_the_session_upon_invalid_packet_format() {
        let server = server().await;
        let poller = server.poller().await;
        poller.expect_post("abc", 400).await;
        poller.expect_gone().await;
    }

    #[tokio::test]
    async fn polling_closes_the_session_upon_duplicate_poll_requests() {
        let server = server().await;
        let poller = server.poller().await;
        let mut first = poller.held_get().await;
        let second = async {
            sleep(Duration::from_millis(50)).await;
            poller.expect_get(400, "").await;
        };
        let (first, ()) = tokio::join!(first.answer(), second);
        assert_eq!((first.status, first.body.as_str()), (200, "1"));
        poller.expect_gone().await;
    }

    #[tokio::test]
    async fn polling_closes_the_session_upon_cancelled_polling_request() {
        let server = server().await;
        let poller = server.poller().await;
        let held = poller.held_get().await;
        sleep(Duration::from_millis(50)).await;
        drop(held);
        sleep(Duration::from_millis(50)).await;
        assert_eq!(poller.get().await.status, 400);
        server.idle().await;
    }

    #[tokio::test]
    async fn websocket_sends_and_receives_a_plain_text_packet() {
        let server = server().await;
        let mut ws = server.websocket().await;
        ws.send("4hello").await;
        assert_eq!(ws.next().await, Next::Text("4hello".to_owned()));
    }

    #[tokio::test]
    async fn websocket_sends_and_receives_a_binary_packet() {
        let server = server().await;
        let mut ws = server.websocket().await;
        ws.send_binary(&[1, 2, 3, 4]).await;
        assert_eq!(ws.next().await, Next::Binary(vec![1, 2, 3, 4]));
    }

    #[tokio::test]
    async fn websocket_closes_the_session_upon_invalid_packet_format() {
        let server = server().await;
        let mut ws = server.websocket().await;
        ws.send("abc").await;
        assert_eq!(ws.next().await, Next::Closed(1005));
    }
}

mod heartbeat {
    use super::*;

    #[tokio::test]
    async fn polling_sends_ping_pong_packets() {
        pings_over_polling(&server().await).await;
    }

    #[tokio::test]
    async fn polling_closes_the_session_upon_ping_timeout() {
        times_out_over_polling(&punctual_server().await).await;
    }

    #[tokio::test]
    async fn websocket_sends_ping_pong_packets() {
        pings_over_websocket(&server().await).await;
    }

    #[tokio::test]
    async fn websocket_closes_the_session_upon_ping_timeout() {
        times_out_over_websocket(&punctual_server().await).await;
    }
}

mod close {
    use super::*;

    #[tokio::test]
    async fn polling_forcefully_closes_the_session() {
        closes_over_polling(&server().await).await;
    }

    #[tokio::test]
    async fn websocket_forcefully_closes_the_session() {
        closes_over_websocket(&server().await).await;
    }
}

mod upgrade {
    use super::*;

    #[tokio::test]
    async fn successfully_upgrades_from_polling_to_websocket() {
        let server = server().await;
        let poller = server.poller().await;
        let mut ws = poller.upgrade().await;
        ws.send("2probe").await;
        ws.expect("3probe").await;
        poller.expect_get(200, "6").await;
        ws.send("5").await;
        ws.send("4hello").await;
        ws.expect("4hello").await;
        upgrades(&server).await;
    }

    #[tokio::test]
    async fn ignores_http_requests_with_same_sid_after_upgrade() {
        ignores_http_after_the_upgrade(&server().await).await;
    }

    #[tokio::test]
    async fn ignores_websocket_connection_with_same_sid_after_upgrade() {
        ignores_a_second_websocket_after_the_upgrade(&server().await).await;
    }
}
