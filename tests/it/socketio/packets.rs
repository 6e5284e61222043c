//! Packets of every shape on a joined socket: the observed-behaviour table, attachments, limits.

use super::*;

/// What has to happen after some packets on a socket that has joined `/`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Then {
    Closed,
    /// Nothing comes back, and the socket works.
    Silence,
    Reply(&'static str),
}
use Then::{Closed, Reply, Silence};

pub(super) async fn check<H: EngineHandler>(
    server: &Server<H>,
    mut ws: Ws,
    name: &str,
    then: Then,
) {
    ws.send(r#"42["message","still here"]"#).await;
    let alive = r#"42["message-back","still here"]"#;
    match then {
        Closed => {
            let end = named(name, &mut ws).await;
            assert!(matches!(end, Next::Closed(_)), "{name}: {end:?}");
            assert!(server.closes(CloseReason::ParseError) > 0, "{name}");
        }
        Silence => assert_eq!(
            named(name, &mut ws).await,
            Next::Text(alive.to_owned()),
            "{name}"
        ),
        Reply(text) => {
            assert_eq!(
                named(name, &mut ws).await,
                Next::Text(text.to_owned()),
                "{name}"
            );
            assert_eq!(
                named(name, &mut ws).await,
                Next::Text(alive.to_owned()),
                "{name}"
            );
        }
    }
}

async fn named(name: &str, ws: &mut Ws) -> Next {
    // Sooner than the websocket itself loses patience, so that the row is named.
    let next = tokio::time::timeout(Duration::from_secs(15), ws.next_packet());
    next.await.unwrap_or_else(|_| panic!("{name}: no answer"))
}

/// Packets on a socket that has joined `/`, and what has to happen.
const PACKETS: &[(&[&str], Then)] = &[
    // Connecting
    (&["40"], Closed),
    (&["40/custom,null"], Closed),
    (&["40/custom,[]"], Closed),
    (&[r#"40/custom,"x""#], Closed),
    (&["40/custom,{bad"], Closed),
    (&["40/custom,{}x"], Closed),
    (&["40/custom,1{}"], Closed),
    (&["40custom,"], Closed),
    (
        &["40/custom?a=b,"],
        Reply(r#"44/custom?a=b,{"message":"Invalid namespace"}"#),
    ),
    (&["40/é,"], Reply(r#"44/é,{"message":"Invalid namespace"}"#)),
    (&["44"], Closed),
    (&[r#"44{"message":"x"}"#], Closed),
    // Leaving
    (&["41{}"], Closed),
    (&["41/unknown,"], Silence),
    (&["41/custom"], Silence),
    // Events
    (&["42"], Closed),
    (&["42[]"], Closed),
    (&["42{}"], Closed),
    (&[r#"42"x""#], Closed),
    (&["42[null]"], Closed),
    (&[r#"42[null,"bar"]"#], Closed),
    (&[r#"42[true,"foo"]"#], Closed),
    (&[r#"42[{"toString":"foo"}]"#], Closed),
    (&[r#"42[["message"],1]"#], Closed),
    (&[r#"42[{"a":1}]"#], Closed),
    (&[r#"42[1,"a"]"#], Closed),
    (&[r#"42["message",1]zzz"#], Closed),
    (&[r#"42 ["message",1]"#], Reply(r#"42["message-back",1]"#)),
    (&[r#"42["message"]"#], Reply(r#"42["message-back"]"#)),
    (&[r#"42/,["message",1]"#], Reply(r#"42["message-back",1]"#)),
    (&[r#"42/custom,["message"]"#], Closed),
    (&[r#"42/unknown,["message"]"#], Closed),
    (&[r#"42[""]"#], Silence),
    (&[r#"42["error"]"#], Silence),
    (&[r#"42["error","x"]"#], Silence),
    (&[r#"42["__proto__",1]"#], Silence),
    (&[r#"42["constructor"]"#], Silence),
    (&[r#"42["connection"]"#], Silence),
    (&[r#"42["connect"]"#], Closed),
    (&[r#"42["connect_error"]"#], Closed),
    (&[r#"42["disconnect","123"]"#], Closed),
    (&[r#"42["disconnecting"]"#], Closed),
    (&[r#"42["newListener"]"#], Closed),
    (&[r#"42["removeListener"]"#], Closed),
    // Values
    (&[r#"42["message",NaN]"#], Closed),
    (&[r#"42["message",1e400]"#], Closed),
    (&[r#"42["message",-1e400]"#], Closed),
    (
        &[r#"42["message",9007199254740993,18446744073709551616,-0,1.0,1E2]"#],
        Reply(r#"42["message-back",9007199254740993,18446744073709551616,-0,1.0,1E2]"#),
    ),
    (
        &[r#"42["message","\ud800"]"#],
        Reply(r#"42["message-back","\ud800"]"#),
    ),
    (&[r#"42["\ud800"]"#], Closed),
    (
        &[r#"42["message",{"b":1,"a":2,"b":3,"__proto__":{"x":1}}]"#],
        Reply(r#"42["message-back",{"b":1,"a":2,"b":3,"__proto__":{"x":1}}]"#),
    ),
    (
        &["42[\"message\",\"\u{2028}\"]"],
        Reply("42[\"message-back\",\"\u{2028}\"]"),
    ),
    (
        &[r#"42["message",{"_placeholder":true,"num":0}]"#],
        Reply(r#"42["message-back",{"_placeholder":true,"num":0}]"#),
    ),
    // Ack ids
    (&[r#"42abc["message-with-ack"]"#], Closed),
    (&[r#"42-1["message-with-ack"]"#], Closed),
    (&[r#"421e3["message-with-ack"]"#], Closed),
    (&[r#"42 1["message-with-ack"]"#], Closed),
    (&[r#"420["message-with-ack",1]"#], Reply("430[1]")),
    (&[r#"42007["message-with-ack"]"#], Reply("437[]")),
    (
        &[r#"429007199254740991["message-with-ack"]"#],
        Reply("439007199254740991[]"),
    ),
    (&[r#"429007199254740992["message-with-ack"]"#], Closed),
    (&[r#"4299999999999999999999["message-with-ack"]"#], Closed),
    (&[r#"425["unknown"]"#], Silence),
    // Acks from the client
    (&["430[]"], Silence),
    (&["430[]", "430[]"], Silence),
    (&["430[1,2,3]"], Silence),
    (&["43[]"], Closed),
    (&["430"], Closed),
    (&["430{}"], Closed),
    (&["43/custom,0[]"], Closed),
    // Attachments: the count
    (&[r#"450-["x"]"#], Closed),
    (&[r#"45-["x"]"#], Closed),
    (&[r#"45["x"]"#], Closed),
    (&[r#"4511-["x",{"_placeholder":true,"num":0}]"#], Closed),
    (
        &[r#"4599999999-["x",{"_placeholder":true,"num":0}]"#],
        Closed,
    ),
    (&[r#"45 1-["x"]"#], Closed),
    (&[r#"450x1-["x"]"#], Closed),
    (&["451-"], Closed),
    (&["451-{}"], Closed),
    (&[r#"451-["message",1"#], Closed),
    (&[r#"451-/custom,["message"]"#], Closed),
    (&[r#"451-["message"]"#, r#"42["message"]"#], Closed),
    (&[r#"451-["message"]"#, "41"], Closed),
    (&["461-["], Closed),
    (&["461-[]"], Closed),
    // Unknown types
    (&["4"], Closed),
    (&["47"], Closed),
    (&["4abc"], Closed),
    (&["4é"], Closed),
];

#[tokio::test]
async fn packets_on_a_joined_socket() {
    let server = echo().await;
    for (packets, then) in PACKETS {
        let mut ws = joined(&server).await;
        for packet in *packets {
            ws.send(packet).await;
        }
        check(&server, ws, packets[0], *then).await;
    }
}

#[tokio::test]
async fn long_packets_are_judged_quickly() {
    let server = echo().await;
    let started = Instant::now();
    for (packet, then) in [
        (format!("45{}", "1".repeat(900_000)), Closed),
        (format!("42{}", "1".repeat(900_000)), Closed),
        (format!("42/{}", "a".repeat(900_000)), Closed),
        (format!("40/{},", "a".repeat(257)), Closed),
        (format!("42[\"{}\"]", "e".repeat(257)), Closed),
        (format!("42[\"{}\"]", "e".repeat(256)), Silence),
        (
            format!("42[\"m\",{}{}]", "[".repeat(64), "]".repeat(64)),
            Closed,
        ),
        (
            format!("42[\"m\",{}{}]", "[".repeat(63), "]".repeat(63)),
            Silence,
        ),
        (
            format!(
                "42[\"message\",{}{}]",
                "[".repeat(100_000),
                "]".repeat(100_000)
            ),
            Closed,
        ),
        (format!("42[\"m\"{}]", ",1".repeat(400_000)), Silence),
        (format!("42[\"m\",{}]", "9".repeat(900_000)), Closed),
        (
            format!("42[\"m\",\"{}\"]", "\\u0041".repeat(100_000)),
            Silence,
        ),
    ] {
        let mut ws = joined(&server).await;
        ws.send(&packet).await;
        check(&server, ws, &packet[..10], then).await;
    }
    // Quadratic work would take minutes.
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn attachments() {
    let server = echo().await;
    let (one, two) = (&[1_u8][..], &[2_u8][..]);
    let placeholder = |number: &str| format!(r#"{{"_placeholder":true,"num":{number}}}"#);
    let header = |count: usize, args: &str| format!(r#"45{count}-["message",{args}]"#);
    for number in ["10", "-1", "\"splice\"", "0.5", "2", "null"] {
        let mut ws = joined(&server).await;
        ws.send(&header(2, &placeholder(number))).await;
        ws.send_binary(one).await;
        ws.send_binary(two).await;
        check(&server, ws, number, Closed).await;
    }
    for (args, expected, attachments) in [
        (placeholder("1"), placeholder("0"), vec![two]),
        (
            format!("{},{}", placeholder("1"), placeholder("0")),
            format!("{},{}", placeholder("1"), placeholder("0")),
            vec![one, two],
        ),
        (
            format!("{},[{}]", placeholder("0"), placeholder("0")),
            format!("{},[{}]", placeholder("0"), placeholder("0")),
            vec![one],
        ),
        ("7".to_owned(), "7".to_owned(), vec![]),
    ] {
        let mut ws = joined(&server).await;
        ws.send(&header(2, &args)).await;
        ws.send_binary(one).await;
        ws.send_binary(two).await;
        let kind = match attachments.len() {
            0 => "42".to_owned(),
            count => format!("45{count}-"),
        };
        ws.expect(&format!(r#"{kind}["message-back",{expected}]"#))
            .await;
        for attachment in attachments {
            assert_eq!(ws.next().await, Next::Binary(attachment.to_vec()), "{args}");
        }
        check(&server, ws, &args, Silence).await;
    }
}

#[tokio::test]
async fn binary_messages_out_of_place() {
    let server = echo().await;
    let mut ws = joined(&server).await;
    ws.send_binary(&[1]).await;
    check(&server, ws, "no header", Closed).await;

    let mut ws = joined(&server).await;
    ws.send(r#"451-["message"]"#).await;
    ws.send_binary(&[1]).await;
    ws.expect(r#"42["message-back"]"#).await;
    ws.send_binary(&[2]).await;
    check(&server, ws, "one too many", Closed).await;

    let mut ws = joined(&server).await;
    ws.send(r#"461-0[{"_placeholder":true,"num":0}]"#).await;
    ws.send_binary(&[1]).await;
    check(&server, ws, "an ack nobody waits for", Silence).await;
}

#[tokio::test]
async fn attachments_that_never_come_or_are_too_much() {
    let config = Config {
        attachment_timeout: Duration::from_millis(700),
        max_attachment_bytes: 10,
        ..Config::default()
    };
    let server = Server::socket_echo(patient(), config).await;
    let mut ws = joined(&server).await;
    ws.send(r#"451-["message",{"_placeholder":true,"num":0}]"#)
        .await;
    assert_eq!(ws.next().await, Next::Closed(1005));
    assert_eq!(server.closes(CloseReason::DeadlinePassed), 1);

    let mut ws = joined(&server).await;
    ws.send(r#"452-["message"]"#).await;
    ws.send_binary(&[0; 8]).await;
    ws.send_binary(&[0; 8]).await;
    check(&server, ws, "too much", Closed).await;

    // The deadline belongs to the packet, not to the socket.
    let mut ws = joined(&server).await;
    ws.send(r#"451-["message"]"#).await;
    ws.send_binary(&[0; 8]).await;
    ws.expect(r#"42["message-back"]"#).await;
    sleep(Duration::from_millis(1400)).await;
    check(&server, ws, "later", Silence).await;
}

#[tokio::test]
async fn packets_before_joining() {
    let server = echo().await;
    for packet in [
        r#"42["message"]"#,
        "430[]",
        r#"451-["message"]"#,
        "40null",
        "40[]",
        r#"40"x""#,
        "40{bad",
        "40custom,",
    ] {
        let mut ws = server.websocket().await;
        ws.send(packet).await;
        assert_eq!(ws.next().await, Next::Closed(1005), "{packet}");
    }
    let mut ws = server.websocket().await;
    ws.send("41").await;
    ws.send("40").await;
    expect_connect(&mut ws, "40").await;
}

#[tokio::test]
async fn two_connects_in_one_write() {
    let server = echo().await;
    let poller = server.poller().await;
    let answer = poller.post("440").await;
    assert_eq!(
        answer.status, 200,
        "a CONNECT_ERROR ends the session, not the request"
    );
    poller.expect_gone().await;

    let poller = server.poller().await;
    poller.post("40\x1e40").await;
    assert_eq!(poller.get().await.status, 400);
    assert_eq!(server.closes(CloseReason::ParseError), 2);
}

#[tokio::test]
async fn events_for_a_namespace_just_left_are_ignored() {
    let server = echo().await;
    let mut ws = joined(&server).await;
    ws.send("41").await;
    ws.send(r#"42["message",1]"#).await;
    ws.send(r#"451-["message",1]"#).await;
    ws.send_binary(&[1]).await;
    ws.send("430[]").await;
    ws.send("41").await;
    ws.send("40").await;
    expect_connect(&mut ws, "40").await;
    ws.expect(r#"42["auth",{}]"#).await;
    check(&server, ws, "joined again", Silence).await;
}

#[tokio::test]
async fn everything_works_over_polling_too() {
    let server = echo().await;
    let poller = server.poller().await;
    poller.expect_post("40", 200).await;
    let connected = poller.get().await.body;
    let (reply, auth) = connected.split_once('\x1e').unwrap();
    assert!(reply.starts_with(r#"40{"sid":""#), "{reply}");
    assert!(
        !reply.contains(&poller.sid),
        "socket.id must not be the secret sid"
    );
    assert_eq!(auth, r#"42["auth",{}]"#);
    poller
        .expect_post(
            "452-7[\"message-with-ack\",{\"_placeholder\":true,\"num\":1}]\x1ebAQ==\x1ebAg==",
            200,
        )
        .await;
    poller
        .expect_get(200, "461-7[{\"_placeholder\":true,\"num\":0}]\x1ebAg==")
        .await;
}

#[tokio::test]
async fn a_refused_connect_does_not_stop_the_clock_and_a_joined_namespace_does() {
    let config = Config {
        connect_timeout: Duration::from_millis(700),
        ..Config::default()
    };
    let server = Server::socket_echo(patient(), config).await;
    let mut ws = server.websocket().await;
    ws.send("40/random").await;
    ws.expect(r#"44/random,{"message":"Invalid namespace"}"#)
        .await;
    assert_eq!(ws.next().await, Next::Closed(1005));
    assert_eq!(server.closes(CloseReason::DeadlinePassed), 1);

    let mut ws = joined(&server).await;
    ws.send("41").await;
    sleep(Duration::from_millis(1400)).await;
    ws.send("40").await;
    expect_connect(&mut ws, "40").await;
}
