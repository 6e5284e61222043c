//! Packets and raw frames on a websocket, well-formed and not.

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
