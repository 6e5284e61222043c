//! Engine.IO beyond the official suite: refusals, hostile input, limits, upgrade, and every way a session can end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jivchat::engineio::{CloseReason, Config, Counts, Engine, Frame, Handler, Message, Session};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite;

use crate::support::http::{Raw, request, text};
use crate::support::patiently;
use crate::support::protocol::{
    OPEN_POLLING, OPEN_WEBSOCKET, Poller, Server, official, patient, sid,
};
use crate::support::websocket::{Next, Ws};

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

async fn echo() -> Server<impl Handler> {
    Server::engine_echo(patient()).await
}

async fn is_open<H: Handler>(poller: &Poller<'_, H>) -> bool {
    poller.post("4still here").await.status == 200
}

fn refusal(code: u8) -> String {
    let message = match code {
        0 => "Transport unknown",
        1 => "Session ID unknown",
        2 => "Bad handshake method",
        3 => "Bad request",
        _ => "Unsupported protocol version",
    };
    format!(r#"{{"code":{code},"message":"{message}"}}"#)
}

mod refusals {
    use super::*;

    #[tokio::test]
    async fn without_a_session() {
        let server = echo().await;
        for (method, query, code) in [
            ("GET", "EIO=4", 0),
            ("GET", "", 0),
            ("GET", "EIO=abc&transport=abc", 0),
            ("GET", "EIO=4&transport=__proto__", 0),
            ("GET", "EIO=4&transport=constructor", 0),
            ("GET", "EIO=4&transport=webtransport", 0),
            ("GET", "EIO=4&transport=polling%00", 0),
            ("GET", "EIO=4&transport=polling&sid=garbage", 1),
            ("GET", "EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAAAAAA", 1),
            ("GET", "EIO=4&transport=polling&sid=%ff%fe", 1),
            ("POST", OPEN_POLLING, 2),
            ("PUT", OPEN_POLLING, 2),
            ("OPTIONS", OPEN_POLLING, 2),
            ("GET", OPEN_WEBSOCKET, 3),
            ("GET", "transport=polling", 5),
            ("GET", "EIO=3&transport=polling", 5),
            ("GET", "EIO=4%00&transport=polling", 5),
            ("GET", "EIO=4&EIO=3&transport=polling", 5),
        ] {
            let answer = server.request(method, query, "", "").await;
            assert_eq!(
                (answer.status, answer.body),
                (400, refusal(code)),
                "{method} {query}"
            );
            assert!(answer.head.contains("application/json"), "{query}");
        }
        assert_eq!(server.engine.sessions(), Counts::default());
    }

    #[tokio::test]
    async fn head_has_no_body_but_the_same_status() {
        assert_eq!(
            echo()
                .await
                .request("HEAD", OPEN_POLLING, "", "")
                .await
                .status,
            400
        );
    }

    #[tokio::test]
    async fn what_is_lenient_in_the_reference_is_accepted() {
        let server = echo().await;
        for query in [
            "EIO=3&EIO=4&transport=polling",
            "EIO=4&transport=polling&sid=",
            "EIO=%34&transport=poll%69ng&t=abc",
            "EIO=4&transport=polling&j=0&b64=1",
        ] {
            assert_eq!(server.get(query).await.status, 200, "{query}");
        }
    }

    #[tokio::test]
    async fn with_a_session_which_survives() {
        let server = echo().await;
        let poller = server.poller().await;
        for (method, query, status, code) in [
            ("GET", "EIO=3&transport=polling&sid=", 400, 3),
            ("GET", "transport=polling&sid=", 400, 3),
            ("GET", "EIO=4&transport=websocket&sid=", 400, 3),
            ("OPTIONS", "EIO=4&transport=polling&sid=", 400, 2),
            ("DELETE", "EIO=4&transport=polling&sid=", 405, 3),
            ("PUT", "EIO=4&transport=polling&sid=", 405, 3),
        ] {
            let answer = server
                .request(method, &format!("{query}{}", poller.sid), "", "")
                .await;
            assert_eq!(answer.status, status, "{method} {query}");
            assert!(
                answer.body.starts_with(&format!(r#"{{"code":{code},"#)),
                "{answer:?}"
            );
        }
        assert!(is_open(&poller).await);
    }

    #[tokio::test]
    async fn websocket_handshakes() {
        let server = echo().await;
        let poller = server.poller().await;
        let upgrade_of = |query: &str| server.target(query);
        let no_key = UPGRADE.replace("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "");
        let bad_key = UPGRADE.replace("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZQ==");
        let no_base64 = UPGRADE.replace("dGhlIHNhbXBsZSBub25jZQ==", "!!!!IHNhbXBsZSBub25jZQ==");
        let version_12 = UPGRADE.replace("13", "12");
        for (target, headers, body) in [
            (upgrade_of(OPEN_WEBSOCKET), no_key.as_str(), "Bad request"),
            (upgrade_of(OPEN_WEBSOCKET), &bad_key, "Bad request"),
            (upgrade_of(OPEN_WEBSOCKET), &no_base64, "Bad request"),
            (upgrade_of(OPEN_WEBSOCKET), &version_12, "Bad request"),
            (upgrade_of(OPEN_POLLING), UPGRADE, "Bad request"),
            (
                upgrade_of("EIO=3&transport=websocket"),
                UPGRADE,
                "Unsupported protocol version",
            ),
            (
                upgrade_of("EIO=4&transport=__proto__"),
                UPGRADE,
                "Transport unknown",
            ),
            (
                upgrade_of("EIO=4&transport=websocket&sid=gone"),
                UPGRADE,
                "Session ID unknown",
            ),
            (upgrade_of(&poller.upgrade_query()), &bad_key, "Bad request"),
            (upgrade_of(&poller.query()), UPGRADE, "Bad request"),
        ] {
            let text = format!("GET {target} HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
            let answer = request(server.address, text).await;
            assert_eq!(
                (answer.status, answer.body.as_str()),
                (400, body),
                "{target} {headers}"
            );
        }
        let text = format!(
            "GET {} HTTP/1.1\r\nHost: x\r\n{version_12}\r\n",
            server.target(OPEN_WEBSOCKET)
        );
        let answer = request(server.address, text).await;
        assert_eq!(answer.header("sec-websocket-version"), Some("13"));
        assert!(is_open(&poller).await);
    }

    #[tokio::test]
    async fn odd_subprotocols_are_ignored() {
        let server = echo().await;
        let long = format!("a{}b", " ".repeat(50_000));
        for protocol in [b"\xc3\xa9\xff".as_slice(), long.as_bytes()] {
            let mut raw = Raw::connect(server.address).await;
            raw.write(format!(
                "GET {} HTTP/1.1\r\nHost: x\r\n{UPGRADE}",
                server.target(OPEN_WEBSOCKET)
            ))
            .await;
            raw.write(b"Sec-WebSocket-Protocol: ").await;
            raw.write(protocol).await;
            raw.write(b"\r\n\r\n").await;
            assert_eq!(raw.answer().await.status, 101);
        }
    }

    #[test]
    fn only_the_path_itself_is_ours() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let _guard = runtime.enter();
        let engine = Engine::new(Config::default(), crate::support::echo::EngineEcho);
        for (path, ours) in [
            ("/engine.io/", true),
            ("/engine.io/foo/bar", true),
            ("/engine.io", false),
            ("/engine.io-admin/", false),
            ("/engine.iox/", false),
            ("/", false),
            ("", false),
        ] {
            assert_eq!(engine.matches(path), ours, "{path}");
        }
    }

    #[tokio::test]
    async fn a_transport_that_is_not_offered() {
        let mut config = patient();
        config.transports.websocket = false;
        let server = Server::engine_echo(config).await;
        assert_eq!(server.connect(OPEN_WEBSOCKET).await.err(), Some(400));
        assert!(
            server
                .get(OPEN_POLLING)
                .await
                .body
                .contains(r#""upgrades":[]"#)
        );

        let mut config = patient();
        config.allow_upgrades = false;
        let server = Server::engine_echo(config).await;
        let answer = server.get(OPEN_POLLING).await;
        assert!(answer.body.contains(r#""upgrades":[]"#));
        let query = format!("{OPEN_WEBSOCKET}&sid={}", sid(&answer.body));
        assert_eq!(server.connect(&query).await.err(), Some(400));
    }

    #[tokio::test]
    async fn more_sessions_than_allowed() {
        let config = Config {
            max_sessions: 2,
            ..patient()
        };
        let server = Server::engine_echo(config).await;
        let poller = server.poller().await;
        let mut ws = server.websocket().await;
        assert_eq!(server.get(OPEN_POLLING).await.status, 503);
        assert_eq!(server.connect(OPEN_WEBSOCKET).await.err(), Some(503));
        assert_eq!(
            server.engine.sessions(),
            Counts {
                polling: 1,
                websocket: 1
            }
        );
        poller.expect_post("1", 200).await;
        ws.send("1").await;
        ws.closed().await;
        server.idle().await;
        server.poller().await;
    }
}

mod posts {
    use super::*;

    #[tokio::test]
    async fn every_kind_of_body() {
        let server = echo().await;
        let separators = "\x1e4".repeat(20_000);
        for (body, status, open) in [
            ("4", 200, true),
            ("4a\x1e4b\x1e", 200, true),
            ("bAQID", 200, true),
            ("b-_8", 200, true),
            ("3", 200, true),
            ("3\x1e3\x1e3", 200, true),
            ("5", 200, true),
            ("6", 200, true),
            ("0{}", 200, true),
            ("1", 200, false),
            ("4a\x1e1\x1e4b", 200, false),
            ("", 400, false),
            ("\x1e", 400, false),
            ("\x1e4a", 400, false),
            ("4a\x1e\x1e4b", 400, false),
            ("abc", 400, false),
            ("7", 400, false),
            ("2", 400, false),
            ("2probe", 400, false),
            ("éabcd", 400, false),
            ("b!!!", 400, false),
            (&separators, 413, false),
        ] {
            let poller = server.poller().await;
            poller.expect_post(body, status).await;
            assert_eq!(is_open(&poller).await, open, "{:?}", body.get(..20));
        }
    }

    #[tokio::test]
    async fn packets_before_the_bad_one_are_delivered() {
        let (server, mut events) = recording(patient()).await;
        let poller = server.poller().await;
        poller.expect_post("4a\x1e4b\x1eabc\x1e4c", 400).await;
        assert_eq!(events.recv().await.unwrap(), "a");
        assert_eq!(events.recv().await.unwrap(), "b");
        assert_eq!(events.recv().await.unwrap(), "closed parse_error");
    }

    #[tokio::test]
    async fn a_body_that_is_not_text() {
        let server = echo().await;
        let poller = server.poller().await;
        let mut bytes = text("POST", &server.target(&poller.query()), "", "4ab").into_bytes();
        *bytes.last_mut().unwrap() = 0xff;
        assert_eq!(request(server.address, bytes).await.status, 400);
        poller.expect_gone().await;
    }

    #[tokio::test]
    async fn octet_streams_are_v3() {
        let server = echo().await;
        let poller = server.poller().await;
        let headers = "Content-Type: application/octet-stream\r\n";
        let answer = server.request("POST", &poller.query(), headers, "4a").await;
        assert_eq!((answer.status, answer.body.as_str()), (400, ""));
        poller.expect_gone().await;
    }

    #[tokio::test]
    async fn the_size_limit_is_exact() {
        let server = echo().await;
        let poller = server.poller().await;
        poller
            .expect_post(&format!("4{}", "x".repeat(999_999)), 200)
            .await;
        assert_eq!(poller.get().await.body.len(), 1_000_000);
        poller
            .expect_post(&format!("4{}", "x".repeat(1_000_000)), 413)
            .await;
        poller.expect_gone().await;
    }

    #[tokio::test]
    async fn the_size_limit_holds_without_an_announcement() {
        let server = echo().await;
        let poller = server.poller().await;
        let mut raw = Raw::connect(server.address).await;
        raw.write(format!(
            "POST {} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
            server.target(&poller.query())
        ))
        .await;
        let chunk = format!("10000\r\n{}\r\n", "4".repeat(0x10000));
        for _ in 0..17 {
            raw.write(&chunk).await;
        }
        raw.write("0\r\n\r\n").await;
        assert_eq!(raw.answer().await.status, 413);
        poller.expect_gone().await;
    }

    #[tokio::test]
    async fn one_byte_chunks() {
        let server = echo().await;
        let poller = server.poller().await;
        let mut raw = Raw::connect(server.address).await;
        raw.write(format!(
            "POST {} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
            server.target(&poller.query())
        ))
        .await;
        for byte in "4hello\x1e4world".bytes() {
            raw.write([b"1\r\n", &[byte][..], b"\r\n"].concat()).await;
        }
        raw.write("0\r\n\r\n").await;
        assert_eq!(raw.answer().await.body, "ok");
        poller.expect_get(200, "4hello\x1e4world").await;
    }

    #[tokio::test]
    async fn a_body_that_never_comes() {
        let config = Config {
            body_deadline: Duration::from_millis(50),
            ..patient()
        };
        let server = Server::engine_echo(config).await;
        let poller = server.poller().await;
        let mut raw = Raw::connect(server.address).await;
        raw.write(format!(
            "POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n4",
            server.target(&poller.query())
        ))
        .await;
        assert_eq!(raw.answer().await.status, 408);
        poller.expect_gone().await;
    }

    #[tokio::test]
    async fn a_body_cut_short_ends_the_session() {
        let (server, mut events) = recording(patient()).await;
        let poller = server.poller().await;
        let mut raw = Raw::connect(server.address).await;
        raw.write(format!(
            "POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n4a",
            server.target(&poller.query())
        ))
        .await;
        sleep(Duration::from_millis(20)).await;
        drop(raw);
        assert_eq!(events.recv().await.unwrap(), "closed transport_lost");
        poller.expect_gone().await;
    }

    #[tokio::test]
    async fn two_at_once_end_the_session() {
        let (server, mut events) = recording(patient()).await;
        let poller = server.poller().await;
        let mut first = Raw::connect(server.address).await;
        first
            .write(format!(
                "POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n4a",
                server.target(&poller.query())
            ))
            .await;
        sleep(Duration::from_millis(50)).await;
        let second = poller.post("4b").await;
        assert_eq!((second.status, second.body.as_str()), (400, ""));
        assert_eq!(first.answer().await.status, 400);
        assert_eq!(events.recv().await.unwrap(), "closed overlapping_requests");
        poller.expect_gone().await;
    }

    #[tokio::test]
    async fn a_thousand_messages_in_one_body_stay_in_order() {
        let server = echo().await;
        let poller = server.poller().await;
        let body: Vec<_> = (0..1000).map(|n| format!("4{n}")).collect();
        let body = body.join("\x1e");
        poller.expect_post(&body, 200).await;
        poller.expect_get(200, &body).await;
    }
}

mod http {
    use super::*;

    #[tokio::test]
    async fn pipelined_requests_on_one_connection() {
        let server = echo().await;
        let poller = server.poller().await;
        let target = server.target(&poller.query());
        let mut raw = Raw::connect(server.address).await;
        raw.write(format!(
            "POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n4abGET {target} HTTP/1.1\r\nHost: x\r\n\r\n"
        ))
        .await;
        assert_eq!(raw.answer().await.body, "ok");
        assert_eq!(raw.answer().await.body, "4ab");
    }

    #[tokio::test]
    async fn odd_but_valid_requests() {
        let server = echo().await;
        let target = server.target(OPEN_POLLING);
        for text in [
            format!("GET {target} HTTP/1.0\r\n\r\n"),
            format!(
                "GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc"
            ),
            format!("GET http://x{target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
            format!("GET {target}&x=%zz%00%ff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
            format!(
                "GET {target} HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: close\r\n\r\n"
            ),
        ] {
            assert_eq!(request(server.address, &text).await.status, 200, "{text}");
        }
    }

    #[tokio::test]
    async fn an_upgrade_to_something_else_that_is_reset() {
        let server = echo().await;
        for _ in 0..20 {
            let mut raw = Raw::connect(server.address).await;
            raw.write("GET /engine.io/?EIO=4 HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n")
                .await;
            raw.0.set_zero_linger().unwrap();
        }
        server.poller().await;
    }
}

mod websockets {
    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Then {
        Open,
        Closed(u16),
    }

    #[tokio::test]
    async fn every_kind_of_text() {
        let server = echo().await;
        for (input, then) in [
            ("3", Then::Open),
            ("0", Then::Open),
            ("5", Then::Open),
            ("6", Then::Open),
            ("1", Then::Closed(1005)),
            ("", Then::Closed(1005)),
            ("/", Then::Closed(1005)),
            ("abc", Then::Closed(1005)),
            ("7", Then::Closed(1005)),
            ("2", Then::Closed(1005)),
            ("2probe", Then::Closed(1005)),
            ("éabcd", Then::Closed(1005)),
            ("b!", Then::Closed(1005)),
        ] {
            let mut ws = server.websocket().await;
            ws.send(input).await;
            ws.send(input).await;
            ws.send("4still here").await;
            match then {
                Then::Open => ws.expect("4still here").await,
                Then::Closed(code) => assert_eq!(ws.next().await, Next::Closed(code), "{input}"),
            }
        }
    }

    #[tokio::test]
    async fn messages_of_every_shape() {
        let server = echo().await;
        let mut ws = server.websocket().await;
        for (input, output) in [
            ("4", Next::Text("4".to_owned())),
            ("4a\x1e4b", Next::Text("4a\x1e4b".to_owned())),
            ("4é\u{2028}😀", Next::Text("4é\u{2028}😀".to_owned())),
            ("bAQID", Next::Binary(vec![1, 2, 3])),
        ] {
            ws.send(input).await;
            assert_eq!(ws.next().await, output, "{input}");
        }
        ws.send_binary(&[]).await;
        assert_eq!(ws.next().await, Next::Binary(vec![]));
    }

    #[tokio::test]
    async fn a_client_without_binary_support_gets_base64() {
        let server = echo().await;
        let mut ws = server
            .connect("EIO=4&transport=websocket&b64=1")
            .await
            .unwrap();
        ws.next().await;
        ws.send("bAQID").await;
        assert_eq!(ws.next().await, Next::Text("bAQID".to_owned()));
    }

    #[tokio::test]
    async fn the_size_limit_is_exact() {
        let server = echo().await;
        let mut ws = server.websocket().await;
        let largest = format!("4{}", "x".repeat(999_999));
        ws.send(&largest).await;
        ws.expect(&largest).await;
        ws.send(&format!("{largest}x")).await;
        assert_eq!(ws.next().await, Next::Closed(1009));
        let mut ws = server.websocket().await;
        ws.send_binary(&vec![0; 5_000_000]).await;
        assert_eq!(ws.next().await, Next::Closed(1009));
    }

    /// Frames written by hand. Masked with zeros, so the payload stays as it is.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first];
        if payload.len() < 126 {
            bytes.push(0x80 | u8::try_from(payload.len()).unwrap());
        } else {
            bytes.push(0xfe);
            bytes.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
        }
        bytes.extend([0; 4]);
        bytes.extend(payload);
        bytes
    }

    /// The end of a connection on which these bytes follow the handshake.
    async fn after<H: Handler>(server: &Server<H>, bytes: &[u8]) -> Next {
        let ws = server.websocket().await;
        let mut stream = ws.0.into_inner();
        stream.write_all(bytes).await.unwrap();
        let mut ws = Ws(tokio_tungstenite::WebSocketStream::from_raw_socket(
            stream,
            tungstenite::protocol::Role::Client,
            None,
        )
        .await);
        ws.next().await
    }

    #[tokio::test]
    async fn frames_of_every_kind() {
        let server = echo().await;
        let fragments = |count: usize| {
            let mut bytes = frame(0x01, b"4");
            for _ in 2..count {
                bytes.extend(frame(0x00, b"x"));
            }
            bytes.extend(frame(0x80, b"x"));
            bytes
        };
        let text_of = |text: &str| Next::Text(text.to_owned());
        let interleaved = [frame(0x01, b"4a"), frame(0x89, b"ping"), frame(0x80, b"b")].concat();
        let split_character = [frame(0x01, b"4\xc3"), frame(0x80, b"\xa9")].concat();
        let half_character = [frame(0x01, b"4\xc3"), frame(0x80, b"x")].concat();
        let huge = [&[0x82, 0xff, 0x3f][..], &[0xff; 7], &[0; 4]].concat();
        for (name, bytes, expected) in [
            (
                "control frame between fragments",
                interleaved,
                text_of("4ab"),
            ),
            (
                "character over two fragments",
                split_character,
                text_of("4é"),
            ),
            (
                "1,024 fragments",
                fragments(1024),
                text_of(&format!("4{}", "x".repeat(1023))),
            ),
            ("1,025 fragments", fragments(1025), Next::Closed(1008)),
            ("20,000 fragments", fragments(20_000), Next::Closed(1008)),
            ("invalid UTF-8", frame(0x81, b"4\xff"), Next::Closed(1007)),
            (
                "invalid UTF-8 over two fragments",
                half_character,
                Next::Closed(1007),
            ),
            ("reserved bit", frame(0xc1, b"4a"), Next::Closed(1002)),
            ("reserved opcode", frame(0x83, b"4a"), Next::Closed(1002)),
            ("unmasked", vec![0x81, 0x02, b'4', b'a'], Next::Closed(1002)),
            ("long ping", frame(0x89, &[0; 126]), Next::Closed(1002)),
            ("fragmented ping", frame(0x09, b"a"), Next::Closed(1002)),
            (
                "continuation of nothing",
                frame(0x80, b"a"),
                Next::Closed(1002),
            ),
            ("close of one byte", frame(0x88, &[3]), Next::Closed(1002)),
            ("2^62 bytes announced", huge, Next::Closed(1009)),
            (
                "text behind the handshake",
                b"test".to_vec(),
                Next::Closed(1002),
            ),
        ] {
            assert_eq!(after(&server, &bytes).await, expected, "{name}");
        }
        server.idle().await;
    }

    #[tokio::test]
    async fn frames_in_one_byte_segments() {
        let server = echo().await;
        let ws = server.websocket().await;
        let mut stream = ws.0.into_inner();
        for byte in frame(0x81, b"4hello") {
            stream.write_all(&[byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        let mut answer = [0; 8];
        patiently(stream.read_exact(&mut answer)).await.unwrap();
        assert_eq!(&answer, b"\x81\x064hello");
    }

    #[tokio::test]
    async fn the_clients_close_frame_ends_the_session() {
        let (server, mut events) = recording(patient()).await;
        let mut ws = server.websocket().await;
        ws.send_raw(tungstenite::Message::Close(None)).await;
        assert_eq!(events.recv().await.unwrap(), "closed transport_lost");
        assert_eq!(ws.closed().await, 1005);
    }

    #[tokio::test]
    async fn a_reset_ends_the_session() {
        let (server, mut events) = recording(patient()).await;
        let ws = server.websocket().await;
        ws.0.get_ref().set_zero_linger().unwrap();
        drop(ws);
        assert_eq!(events.recv().await.unwrap(), "closed transport_lost");
    }

    #[tokio::test]
    async fn one_that_is_never_finished_leaves_nothing() {
        let server = echo().await;
        for _ in 0..10 {
            let mut raw = Raw::connect(server.address).await;
            raw.write(format!(
                "GET {} HTTP/1.1\r\nHost: x\r\n{UPGRADE}\r\n",
                server.target(OPEN_WEBSOCKET)
            ))
            .await;
            raw.0.set_zero_linger().unwrap();
        }
        server.idle().await;
    }
}

mod upgrade {
    use super::*;

    #[tokio::test]
    async fn whatever_else_the_probe_says_costs_only_its_websocket() {
        let server = echo().await;
        let poller = server.poller().await;
        for first in ["4hello", "2", "abc", "", "1", "3probe"] {
            for probed in [false, true] {
                let mut ws = poller.upgrade().await;
                if probed {
                    ws.send("2probe").await;
                    ws.expect("3probe").await;
                }
                ws.send(first).await;
                assert_eq!(ws.next().await, Next::Closed(1005), "{first}");
                assert!(is_open(&poller).await, "{first}");
            }
        }
        let mut ws = poller.upgraded().await;
        while ws.next().await != Next::Text("4still here".to_owned()) {}
    }

    #[tokio::test]
    async fn a_probe_that_dies_costs_only_itself() {
        let server = echo().await;
        let poller = server.poller().await;
        for probed in [false, true] {
            let mut ws = poller.upgrade().await;
            if probed {
                ws.send("2probe").await;
                ws.expect("3probe").await;
            }
            ws.0.get_ref().set_zero_linger().unwrap();
        }
        // The next poll is held again once the server has noticed.
        poller.expect_post("4hello", 200).await;
        while poller.get().await.body != "4hello" {}
        let mut ws = poller.upgraded().await;
        ws.send("4hello").await;
        ws.expect("4hello").await;
    }

    #[tokio::test]
    async fn a_probe_that_stays_silent_is_closed() {
        let config = Config {
            upgrade_timeout: Duration::from_millis(50),
            ..patient()
        };
        let server = Server::engine_echo(config).await;
        let poller = server.poller().await;
        let mut ws = poller.upgrade().await;
        assert_eq!(ws.next().await, Next::Closed(1005));
        assert!(is_open(&poller).await);
    }

    #[tokio::test]
    async fn the_end_without_a_probe_is_accepted() {
        let server = echo().await;
        let poller = server.poller().await;
        let mut ws = poller.upgrade().await;
        ws.send("5").await;
        ws.send("4hello").await;
        ws.expect("4hello").await;
    }

    #[tokio::test]
    async fn polls_are_released_again_and_again_but_not_in_a_tight_loop() {
        let server = echo().await;
        let poller = server.poller().await;
        let mut held = poller.held_get().await;
        let mut ws = poller.upgrade().await;
        ws.send("2probe").await;
        ws.expect("3probe").await;
        assert_eq!(held.answer().await.body, "6");
        let start = Instant::now();
        for _ in 0..5 {
            poller.expect_get(200, "6").await;
        }
        assert!(start.elapsed() >= Duration::from_millis(200));
        let mut held = poller.held_get().await;
        ws.send("5").await;
        assert_eq!(held.answer().await.body, "6");
        assert_eq!(poller.get().await.body, refusal(3));
        assert_eq!(poller.post("4a").await.body, refusal(3));
    }

    #[tokio::test]
    async fn a_second_websocket_during_the_probe_is_accepted_and_closed() {
        let server = echo().await;
        let poller = server.poller().await;
        let mut first = poller.upgrade().await;
        first.send("2probe").await;
        first.expect("3probe").await;
        let mut second = poller.upgrade().await;
        assert_eq!(second.next().await, Next::Closed(1005));
        first.send("5").await;
        first.send("4hello").await;
        first.expect("4hello").await;
    }

    #[tokio::test]
    async fn messages_sent_meanwhile_arrive_in_order_on_the_websocket() {
        let server = echo().await;
        let poller = server.poller().await;
        poller.expect_post("41", 200).await;
        let mut ws = poller.upgrade().await;
        poller.expect_post("42", 200).await;
        ws.send("2probe").await;
        ws.expect("3probe").await;
        poller.expect_post("43", 200).await;
        ws.send("5").await;
        ws.send("44").await;
        for text in ["41", "42", "43", "44"] {
            ws.expect(text).await;
        }
        assert_eq!(
            server.engine.sessions(),
            Counts {
                polling: 0,
                websocket: 1
            }
        );
    }

    #[tokio::test]
    async fn the_post_in_flight_comes_first() {
        let server = echo().await;
        let poller = server.poller().await;
        let mut raw = Raw::connect(server.address).await;
        raw.write(format!(
            "POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\n4fi",
            server.target(&poller.query())
        ))
        .await;
        let mut ws = poller.upgraded().await;
        ws.send("4second").await;
        sleep(Duration::from_millis(20)).await;
        raw.write("rst").await;
        assert_eq!(raw.answer().await.body, "ok");
        ws.expect("4first").await;
        ws.expect("4second").await;
    }

    #[tokio::test]
    async fn the_probe_ends_with_its_session() {
        let server = echo().await;
        let poller = server.poller().await;
        let mut ws = poller.upgrade().await;
        ws.send("2probe").await;
        ws.expect("3probe").await;
        poller.expect_post("1", 200).await;
        assert_eq!(ws.next().await, Next::Closed(1005));
    }
}

/// Reports what happens to it; obeys a few words.
struct Recorder {
    events: mpsc::Sender<String>,
    sessions: mpsc::Sender<Session>,
    release: Arc<Notify>,
    opened: AtomicUsize,
}

impl Handler for Recorder {
    type State = ();

    fn on_open(&self, session: &Session) {
        self.opened.fetch_add(1, Ordering::Relaxed);
        let _ = self.sessions.try_send(session.clone());
    }

    async fn on_message(&self, session: &Session, (): &mut (), message: Message) {
        let Message::Text(text) = message else { return };
        match text.as_str() {
            "panic" => panic!("as asked"),
            "block" => self.release.notified().await,
            "close" => {
                session.send(&[Frame::message("last")]);
                session.close(CloseReason::ServerClosed);
            }
            "who" => {
                session.send(&[Frame::message(&format!(
                    "{} {:?}",
                    session.handshake().peer().is_some(),
                    session.handshake().query("token"),
                ))]);
            }
            _ => {}
        }
        let _ = self.events.send(text).await;
    }

    async fn on_wake(&self, _: &Session, (): &mut ()) {
        let _ = self.events.send("woken".to_owned()).await;
    }

    async fn on_close(&self, _: &Session, (): (), reason: CloseReason) {
        let _ = self
            .events
            .send(format!("closed {}", reason.as_str()))
            .await;
    }
}

async fn recording(config: Config) -> (Server<Recorder>, mpsc::Receiver<String>) {
    let (server, events, _) = recording_sessions(config).await;
    (server, events)
}

async fn recording_sessions(
    config: Config,
) -> (
    Server<Recorder>,
    mpsc::Receiver<String>,
    mpsc::Receiver<Session>,
) {
    let (events, received) = mpsc::channel(1000);
    let (sessions, opened) = mpsc::channel(1000);
    let recorder = Recorder {
        events,
        sessions,
        release: Arc::default(),
        opened: AtomicUsize::new(0),
    };
    (
        Server::start("/engine.io/", config, recorder).await,
        received,
        opened,
    )
}

mod endings {
    use super::*;

    #[tokio::test]
    async fn a_server_close_hands_over_what_is_queued() {
        let (server, mut events) = recording(patient()).await;
        let poller = server.poller().await;
        poller.expect_post("4close", 200).await;
        poller.expect_get(200, "4last\x1e1").await;
        poller.expect_gone().await;
        let mut ws = server.websocket().await;
        ws.send("4close").await;
        ws.expect("4last").await;
        assert_eq!(ws.next().await, Next::Closed(1005));
        for _ in 0..2 {
            assert_eq!(events.recv().await.unwrap(), "close");
            assert_eq!(events.recv().await.unwrap(), "closed server_closed");
        }
        assert_eq!(server.closes(CloseReason::ServerClosed), 2);
        server.idle().await;
    }

    #[tokio::test]
    async fn a_farewell_nobody_fetches_is_forgotten() {
        let config = Config {
            farewell_timeout: Duration::from_millis(30),
            ..patient()
        };
        let (server, mut events) = recording(config).await;
        let poller = server.poller().await;
        poller.expect_post("4close", 200).await;
        assert_eq!(events.recv().await.unwrap(), "close");
        assert_eq!(events.recv().await.unwrap(), "closed server_closed");
        sleep(Duration::from_millis(60)).await;
        poller.expect_gone().await;
        assert!(server.engine.shutdown(Duration::from_secs(5)).await);
    }

    #[tokio::test]
    async fn a_client_that_closes_before_it_polls_learns_of_it_once() {
        let (server, mut events) = recording(patient()).await;
        let poller = server.poller().await;
        poller.expect_post("4a\x1e1\x1e4b", 200).await;
        poller.expect_get(200, "6").await;
        poller.expect_gone().await;
        assert_eq!(events.recv().await.unwrap(), "a");
        assert_eq!(events.recv().await.unwrap(), "closed client_closed");
    }

    #[tokio::test]
    async fn a_panic_ends_its_session_and_no_other() {
        let (server, mut events) = recording(patient()).await;
        let mut other = server.websocket().await;
        let mut ws = server.websocket().await;
        ws.send("4panic").await;
        assert_eq!(ws.next().await, Next::Closed(1005));
        let poller = server.poller().await;
        assert_eq!(poller.post("4panic").await.status, 400);
        poller.expect_gone().await;
        for _ in 0..2 {
            assert_eq!(events.recv().await.unwrap(), "closed handler_panicked");
        }
        other.send("4who").await;
        other.expect("4true None").await;
    }

    #[tokio::test]
    async fn a_running_handler_is_not_cancelled_and_nothing_starts_after_it() {
        let (server, mut events, mut sessions) = recording_sessions(patient()).await;
        let mut ws = server.websocket().await;
        let session = sessions.recv().await.unwrap();
        ws.send("4block").await;
        ws.send("4never").await;
        sleep(Duration::from_millis(20)).await;
        assert!(session.close(CloseReason::ServerClosed));
        assert!(!session.close(CloseReason::TokenExpired));
        // The client learns at once, the handler finishes in its own time.
        assert_eq!(ws.next().await, Next::Closed(1005));
        assert!(events.try_recv().is_err());
        server.engine.handler().release.notify_one();
        assert_eq!(events.recv().await.unwrap(), "block");
        assert_eq!(events.recv().await.unwrap(), "closed server_closed");
        assert!(!session.send(&[Frame::message("late")]));
    }

    #[tokio::test]
    async fn writes_and_pings_go_on_while_a_handler_runs() {
        let (server, _events, mut sessions) = recording_sessions(official()).await;
        let mut ws = server.websocket().await;
        let session = sessions.recv().await.unwrap();
        ws.send("4block").await;
        session.send(&[Frame::message("meanwhile")]);
        assert_eq!(ws.next().await, Next::Text("4meanwhile".to_owned()));
        assert_eq!(ws.next().await, Next::Text("2".to_owned()));
        ws.send("3").await;
        sleep(Duration::from_millis(300)).await;
        // The PONG could not be read before; that is not the client's fault.
        server.engine.handler().release.notify_one();
        ws.send("4who").await;
        ws.expect("4true None").await;
    }

    #[tokio::test]
    async fn waking_calls_the_application_between_messages() {
        let (server, mut events, mut sessions) = recording_sessions(patient()).await;
        let _ws = server.websocket().await;
        sessions.recv().await.unwrap().wake();
        assert_eq!(events.recv().await.unwrap(), "woken");
        let _poller = server.poller().await;
        sessions.recv().await.unwrap().wake();
        assert_eq!(events.recv().await.unwrap(), "woken");
    }

    #[tokio::test]
    async fn deadlines_end_the_session() {
        let (server, mut events, mut sessions) = recording_sessions(patient()).await;
        let mut ws = server.websocket().await;
        let session = sessions.recv().await.unwrap();
        session.expire_at(Some(Instant::now() + Duration::from_secs(60)));
        session.set_deadline(Some(Instant::now() + Duration::from_millis(10)));
        session.set_deadline(None);
        session.expire_at(Some(Instant::now() + Duration::from_millis(30)));
        assert_eq!(ws.next().await, Next::Closed(1005));
        assert_eq!(events.recv().await.unwrap(), "closed token_expired");
        let poller = server.poller().await;
        let session = sessions.recv().await.unwrap();
        session.set_deadline(Some(Instant::now() + Duration::from_millis(10)));
        poller.expect_get(200, "1").await;
        assert_eq!(events.recv().await.unwrap(), "closed deadline_passed");
    }

    #[tokio::test]
    async fn a_session_nobody_uses_is_reaped() {
        let (server, mut events) = recording(official()).await;
        for _ in 0..100 {
            server.poller().await;
        }
        for _ in 0..100 {
            assert_eq!(events.recv().await.unwrap(), "closed heartbeat_missed");
        }
        server.idle().await;
        assert!(server.engine.shutdown(Duration::from_secs(5)).await);
    }

    #[tokio::test]
    async fn a_held_poll_learns_of_a_missed_heartbeat() {
        let server = Server::engine_echo(official()).await;
        let poller = server.poller().await;
        poller.expect_get(200, "2").await;
        poller.expect_get(200, "1").await;
        poller.expect_gone().await;
    }

    #[tokio::test]
    async fn unsolicited_pongs_neither_help_nor_harm() {
        let server = Server::engine_echo(official()).await;
        let mut ws = server.websocket().await;
        for _ in 0..10_000 {
            ws.send("3").await;
        }
        assert_eq!(ws.next().await, Next::Text("2".to_owned()));
        assert_eq!(ws.next().await, Next::Closed(1005));
        assert_eq!(server.closes(CloseReason::HeartbeatMissed), 1);
    }

    #[tokio::test]
    async fn shutdown_closes_everybody_and_refuses_newcomers() {
        let (server, mut events) = recording(Config {
            shutdown_jitter: Duration::from_millis(50),
            ..patient()
        })
        .await;
        let poller = server.poller().await;
        let mut held = poller.held_get().await;
        let mut ws = server.websocket().await;
        let silent = server.poller().await;
        let (drained, polled, code) = tokio::join!(
            server.engine.shutdown(Duration::from_secs(10)),
            held.answer(),
            ws.closed(),
        );
        assert!(drained);
        assert_eq!(polled.body, "1");
        assert_eq!(code, 1001);
        silent.expect_gone().await;
        for _ in 0..3 {
            assert_eq!(events.recv().await.unwrap(), "closed server_shutdown");
        }
        assert_eq!(server.get(OPEN_POLLING).await.status, 503);
        assert_eq!(server.engine.sessions(), Counts::default());
    }
}

mod slow_consumers {
    use super::*;

    fn small() -> Config {
        Config {
            max_outbound_packets: 50,
            max_outbound_bytes: 1 << 20,
            ..patient()
        }
    }

    #[tokio::test]
    async fn a_client_that_never_polls() {
        let (server, mut events, mut sessions) = recording_sessions(small()).await;
        let poller = server.poller().await;
        let session = sessions.recv().await.unwrap();
        for _ in 0..50 {
            assert!(session.send(&[Frame::message("x")]));
        }
        assert!(!session.send(&[Frame::message("x")]));
        assert!(session.is_closed());
        assert_eq!(events.recv().await.unwrap(), "closed slow_consumer");
        poller.expect_gone().await;
    }

    #[tokio::test]
    async fn a_client_that_never_reads() {
        let (server, mut events, mut sessions) = recording_sessions(small()).await;
        let ws = server.websocket().await;
        let session = sessions.recv().await.unwrap();
        let frame = Frame::binary(vec![0; 60_000]);
        let mut sent = 0;
        while session.send(std::slice::from_ref(&frame)) {
            sent += 1;
            assert!(sent < 10_000, "the queue has no end");
            tokio::task::yield_now().await;
        }
        assert_eq!(events.recv().await.unwrap(), "closed slow_consumer");
        drop(ws);
        server.idle().await;
    }

    #[tokio::test]
    async fn a_group_arrives_whole_or_not_at_all() {
        let (server, _events, mut sessions) = recording_sessions(small()).await;
        let poller = server.poller().await;
        let session = sessions.recv().await.unwrap();
        assert!(session.send(&[Frame::message("a"), Frame::binary(vec![1])]));
        poller.expect_get(200, "4a\x1ebAQ==").await;
        assert!(!session.send(&vec![Frame::message("x"); 51]));
        poller.expect_gone().await;
    }

    #[tokio::test]
    async fn volatile_packets_are_dropped_instead() {
        let (server, _events, mut sessions) = recording_sessions(small()).await;
        let poller = server.poller().await;
        let session = sessions.recv().await.unwrap();
        let mut queued = 0;
        for _ in 0..1000 {
            queued += usize::from(session.send_volatile(&[Frame::message("v")]));
        }
        assert!((1..50).contains(&queued), "{queued}");
        assert!(!session.is_closed());
        let payload = poller.get().await.body;
        assert_eq!(payload.split('\x1e').count(), queued);
    }

    #[tokio::test]
    async fn a_poll_that_is_cut_off_does_not_lose_packets_silently() {
        let (server, mut events, mut sessions) = recording_sessions(small()).await;
        let poller = server.poller().await;
        let session = sessions.recv().await.unwrap();
        let held = poller.held_get().await;
        sleep(Duration::from_millis(30)).await;
        drop(held);
        assert_eq!(events.recv().await.unwrap(), "closed transport_lost");
        assert!(!session.send(&[Frame::message("late")]));
    }
}

#[tokio::test]
async fn the_handshake_is_remembered() {
    let config = Config {
        kept_headers: vec![hyper::header::AUTHORIZATION],
        ..patient()
    };
    let (server, _events, mut sessions) = recording_sessions(config).await;
    let headers = "Authorization: Bearer x\r\nCookie: secret\r\n";
    let answer = server
        .request("GET", "EIO=4&transport=polling&token=a%20b", headers, "")
        .await;
    assert_eq!(answer.status, 200);
    let session = sessions.recv().await.unwrap();
    let handshake = session.handshake();
    assert_eq!(
        handshake.header(&hyper::header::AUTHORIZATION).unwrap(),
        "Bearer x"
    );
    assert_eq!(handshake.header(&hyper::header::COOKIE), None);
    assert_eq!(handshake.query("token").as_deref(), Some("a b"));
    assert!(handshake.peer().unwrap().ip().is_loopback());
    assert!(
        !format!("{session:?}").contains(&sid(&answer.body)),
        "the sid is a secret"
    );
}

#[tokio::test]
async fn churn_leaves_nothing_behind() {
    let (server, mut events) = recording(official()).await;
    for round in 0..60 {
        let poller = server.poller().await;
        match round % 6 {
            0 => drop(poller.held_get().await),
            1 => drop(poller.upgrade().await),
            2 => drop(poller.upgraded().await),
            3 => poller.expect_post("1", 200).await,
            4 => poller.expect_post("abc", 400).await,
            _ => drop(server.websocket().await),
        }
    }
    server.idle().await;
    let opened = server.engine.handler().opened.load(Ordering::Relaxed);
    assert_eq!(opened, 70);
    for _ in 0..opened {
        let event = patiently(events.recv()).await.unwrap();
        assert!(event.starts_with("closed "), "{event}");
    }
    let extra = timeout(Duration::from_millis(20), events.recv()).await;
    assert!(extra.is_err(), "on_close ran twice: {extra:?}");
    assert!(server.engine.shutdown(Duration::from_secs(5)).await);
}
