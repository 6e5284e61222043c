//! The tests of the official Socket.IO v5 suite, by name, in our own words.

use std::time::Duration;

use jivchat::engineio::Handler;
use jivchat::socketio::Config;

use crate::engineio_official as engine;
use crate::support::protocol::{Server, lenient, official};
use crate::support::websocket::{Next, Ws};

async fn server() -> Server<impl Handler> {
    Server::socket_echo(lenient(), Config::default()).await
}

/// The times of the official suite, where the test is about them.
async fn punctual_server() -> Server<impl Handler> {
    Server::socket_echo(official(), Config::default()).await
}

/// A reply to CONNECT with nothing in it but an id; the id.
pub(crate) async fn expect_connect(ws: &mut Ws, prefix: &str) -> String {
    let Next::Text(text) = ws.next_packet().await else {
        panic!("not text");
    };
    let json = text
        .strip_prefix(prefix)
        .unwrap_or_else(|| panic!("{text}"));
    let reply: serde_json::Map<String, serde_json::Value> = serde_json::from_str(json).unwrap();
    assert_eq!(reply.keys().collect::<Vec<_>>(), ["sid"]);
    reply["sid"].as_str().unwrap().to_owned()
}

/// A websocket that has joined the main namespace.
pub(crate) async fn joined<H: Handler>(server: &Server<H>) -> Ws {
    let mut ws = server.websocket().await;
    ws.send("40").await;
    expect_connect(&mut ws, "40").await;
    ws.expect(r#"42["auth",{}]"#).await;
    ws
}

mod engineio {
    use super::*;

    #[tokio::test]
    async fn polling_should_successfully_open_a_session() {
        engine::opens_a_polling_session(&punctual_server().await).await;
    }

    #[tokio::test]
    async fn polling_should_fail_with_an_invalid_eio_query_parameter() {
        engine::refuses_a_wrong_eio_over_http(&server().await).await;
    }

    #[tokio::test]
    async fn polling_should_fail_with_an_invalid_transport_query_parameter() {
        engine::refuses_a_wrong_transport_over_http(&server().await).await;
    }

    #[tokio::test]
    async fn polling_should_fail_with_an_invalid_request_method() {
        engine::refuses_a_wrong_method(&server().await).await;
    }

    #[tokio::test]
    async fn websocket_should_successfully_open_a_session() {
        engine::opens_a_websocket_session(&server().await).await;
    }

    #[tokio::test]
    async fn websocket_should_fail_with_an_invalid_eio_query_parameter() {
        engine::refuses_a_wrong_eio_over_websocket(&server().await).await;
    }

    #[tokio::test]
    async fn websocket_should_fail_with_an_invalid_transport_query_parameter() {
        engine::refuses_a_wrong_transport_over_websocket(&server().await).await;
    }

    #[tokio::test]
    async fn polling_should_send_ping_pong_packets() {
        engine::pings_over_polling(&server().await).await;
    }

    #[tokio::test]
    async fn polling_should_close_the_session_upon_ping_timeout() {
        engine::times_out_over_polling(&punctual_server().await).await;
    }

    #[tokio::test]
    async fn websocket_should_send_ping_pong_packets() {
        engine::pings_over_websocket(&server().await).await;
    }

    #[tokio::test]
    async fn websocket_should_close_the_session_upon_ping_timeout() {
        engine::times_out_over_websocket(&punctual_server().await).await;
    }

    #[tokio::test]
    async fn polling_should_forcefully_close_the_session() {
        engine::closes_over_polling(&server().await).await;
    }

    #[tokio::test]
    async fn websocket_should_forcefully_close_the_session() {
        engine::closes_over_websocket(&server().await).await;
    }

    #[tokio::test]
    async fn should_successfully_upgrade_from_polling_to_websocket() {
        engine::upgrades(&server().await).await;
    }

    #[tokio::test]
    async fn should_ignore_http_requests_with_same_sid_after_upgrade() {
        engine::ignores_http_after_the_upgrade(&server().await).await;
    }

    #[tokio::test]
    async fn should_ignore_websocket_connection_with_same_sid_after_upgrade() {
        engine::ignores_a_second_websocket_after_the_upgrade(&server().await).await;
    }
}

mod connect {
    use super::*;

    #[tokio::test]
    async fn should_allow_connection_to_the_main_namespace() {
        joined(&server().await).await;
    }

    #[tokio::test]
    async fn should_allow_connection_to_the_main_namespace_with_a_payload() {
        let server = server().await;
        let mut ws = server.websocket().await;
        ws.send(r#"40{"token":"123"}"#).await;
        expect_connect(&mut ws, "40").await;
        ws.expect(r#"42["auth",{"token":"123"}]"#).await;
    }

    #[tokio::test]
    async fn should_allow_connection_to_a_custom_namespace() {
        let server = server().await;
        let mut ws = server.websocket().await;
        ws.send("40/custom,").await;
        expect_connect(&mut ws, "40/custom,").await;
        ws.expect(r#"42/custom,["auth",{}]"#).await;
    }

    #[tokio::test]
    async fn should_allow_connection_to_a_custom_namespace_with_a_payload() {
        let server = server().await;
        let mut ws = server.websocket().await;
        ws.send(r#"40/custom,{"token":"abc"}"#).await;
        expect_connect(&mut ws, "40/custom,").await;
        ws.expect(r#"42/custom,["auth",{"token":"abc"}]"#).await;
    }

    #[tokio::test]
    async fn should_disallow_connection_to_an_unknown_namespace() {
        let server = server().await;
        let mut ws = server.websocket().await;
        ws.send("40/random").await;
        ws.expect(r#"44/random,{"message":"Invalid namespace"}"#)
            .await;
    }

    #[tokio::test]
    async fn should_disallow_connection_with_an_invalid_handshake() {
        let server = server().await;
        let mut ws = server.websocket().await;
        ws.send("4abc").await;
        assert_eq!(ws.next().await, Next::Closed(1005));
    }

    #[tokio::test]
    async fn should_close_the_connection_if_no_handshake_is_received() {
        let config = Config {
            connect_timeout: Duration::from_secs(1),
            ..Config::default()
        };
        let server = Server::socket_echo(lenient(), config).await;
        let mut ws = server.websocket().await;
        // Unlike the official test, this one answers PINGs, so it is the connect timeout that ends it.
        assert_eq!(ws.next_packet().await, Next::Closed(1005));
        assert_eq!(
            server.closes(jivchat::engineio::CloseReason::DeadlinePassed),
            1
        );
    }
}

mod disconnect {
    use super::*;

    #[tokio::test]
    async fn should_disconnect_from_the_main_namespace() {
        let server = server().await;
        let mut ws = joined(&server).await;
        ws.send("41").await;
        assert_eq!(ws.next().await, Next::Text("2".to_owned()));
    }

    #[tokio::test]
    async fn should_connect_then_disconnect_from_a_custom_namespace() {
        let server = server().await;
        let mut ws = joined(&server).await;
        assert_eq!(ws.next().await, Next::Text("2".to_owned()));
        ws.send("40/custom").await;
        expect_connect(&mut ws, "40/custom,").await;
        ws.expect(r#"42/custom,["auth",{}]"#).await;
        ws.send("41/custom").await;
        ws.send(r#"42["message","message to main namespace"]"#)
            .await;
        assert_eq!(
            ws.next().await,
            Next::Text(r#"42["message-back","message to main namespace"]"#.to_owned())
        );
    }
}

mod message {
    use super::*;

    #[tokio::test]
    async fn should_send_a_plain_text_packet() {
        let server = server().await;
        let mut ws = joined(&server).await;
        ws.send(r#"42["message",1,"2",{"3":[true]}]"#).await;
        ws.expect(r#"42["message-back",1,"2",{"3":[true]}]"#).await;
    }

    #[tokio::test]
    async fn should_send_a_packet_with_binary_attachments() {
        let server = server().await;
        let mut ws = joined(&server).await;
        ws.send(r#"452-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#)
            .await;
        ws.send_binary(&[1, 2, 3]).await;
        ws.send_binary(&[4, 5, 6]).await;
        ws.expect(
            r#"452-["message-back",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#,
        )
        .await;
        assert_eq!(ws.next().await, Next::Binary(vec![1, 2, 3]));
        assert_eq!(ws.next().await, Next::Binary(vec![4, 5, 6]));
    }

    #[tokio::test]
    async fn should_send_a_plain_text_packet_with_an_ack() {
        let server = server().await;
        let mut ws = joined(&server).await;
        ws.send(r#"42456["message-with-ack",1,"2",{"3":[false]}]"#)
            .await;
        ws.expect(r#"43456[1,"2",{"3":[false]}]"#).await;
    }

    #[tokio::test]
    async fn should_send_a_packet_with_binary_attachments_and_an_ack() {
        let server = server().await;
        let mut ws = joined(&server).await;
        ws.send(r#"452-789["message-with-ack",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#)
            .await;
        ws.send_binary(&[1, 2, 3]).await;
        ws.send_binary(&[4, 5, 6]).await;
        ws.expect(r#"462-789[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#)
            .await;
        assert_eq!(ws.next().await, Next::Binary(vec![1, 2, 3]));
        assert_eq!(ws.next().await, Next::Binary(vec![4, 5, 6]));
    }

    async fn closes_upon(packet: &str) {
        let server = server().await;
        let mut ws = joined(&server).await;
        ws.send(packet).await;
        assert_eq!(ws.next().await, Next::Closed(1005), "{packet}");
    }

    #[tokio::test]
    async fn should_close_upon_invalid_format_unknown_packet_type() {
        closes_upon("4abc").await;
    }

    #[tokio::test]
    async fn should_close_upon_invalid_format_invalid_payload_format() {
        closes_upon("42{}").await;
    }

    #[tokio::test]
    async fn should_close_upon_invalid_format_invalid_ack_id() {
        closes_upon(r#"42abc["message-with-ack",1,"2",{"3":[false]}]"#).await;
    }
}
