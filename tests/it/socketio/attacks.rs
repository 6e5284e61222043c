//! Published attacks on Socket.IO servers, byte for byte: the session that sends them ends, nothing is left behind, and nobody else
//! notices.

use jivchat::engineio::Counts;

use super::*;
use crate::support::{patiently, patiently_for};

enum Send {
    Text(String),
    Binary(usize),
}
use Send::{Binary, Text};

fn text(packet: impl Into<String>) -> Send {
    Text(packet.into())
}

/// Every row ends its session.
fn attacks() -> Vec<(&'static str, Vec<Send>)> {
    let placeholder = r#"{"_placeholder":true,"num":0}"#;
    let endless = |header: String| {
        let mut sends = vec![Text(header)];
        sends.extend((0..200).map(|_| Binary(100_000)));
        sends
    };
    vec![
        (
            "attachment digits without a dash",
            vec![text(format!("45{}", "1".repeat(999_000)))],
        ),
        (
            "a namespace without a comma",
            vec![text(format!("42/{}", "a".repeat(999_000)))],
        ),
        (
            "an ack id of a million digits",
            vec![text(format!("42{}", "1".repeat(999_000)))],
        ),
        (
            "placeholder num splice",
            vec![
                text(r#"451-["hello",{"_placeholder":true,"num":"splice"}]"#),
                Binary(5),
            ],
        ),
        (
            "placeholder num __proto__",
            vec![
                text(r#"451-["hello",{"_placeholder":true,"num":"__proto__"}]"#),
                Binary(5),
            ],
        ),
        (
            "placeholder num beyond the count",
            vec![
                text(r#"451-["hello",{"_placeholder":true,"num":1}]"#),
                Binary(5),
            ],
        ),
        ("event name object", vec![text(r#"42[{"toString":"foo"}]"#)]),
        ("event name true", vec![text(r#"42[true,"foo"]"#)]),
        ("event name null", vec![text(r#"42[null,"bar"]"#)]),
        ("event name array", vec![text(r#"42[["message"],1]"#)]),
        ("event name plain object", vec![text(r#"42[{"a":1}]"#)]),
        ("event connect", vec![text(r#"42["connect"]"#)]),
        ("event disconnect", vec![text(r#"42["disconnect","123"]"#)]),
        ("event newListener", vec![text(r#"42["newListener"]"#)]),
        (
            "99,999,999 attachments",
            endless(format!(r#"4599999999-["x",{placeholder}]"#)),
        ),
        ("no attachments", endless(r#"450-["x"]"#.to_owned())),
        (
            "eleven attachments",
            endless(format!(r#"4511-["x",{placeholder}]"#)),
        ),
        (
            "one attachment and many more",
            endless(r#"451-["x"]"#.to_owned()),
        ),
        (
            "binary without a header",
            vec![Binary(100_000), Binary(100_000)],
        ),
        (
            "a stale header completed later",
            vec![
                text(format!(r#"451-["message",{placeholder}]"#)),
                text(r#"42["message"]"#),
                Binary(1),
            ],
        ),
    ]
}

/// The same, of packets that are long, deep or cut short.
fn long_and_deep_attacks() -> Vec<(&'static str, Vec<Send>)> {
    vec![
        ("CONNECT twice", vec![text("40"), text("40")]),
        ("a binary packet cut short", vec![text("451-")]),
        ("a binary packet with an open bracket", vec![text("451-[")]),
        (
            "100,000 arrays inside each other",
            vec![text(format!(
                r#"42["message",{}{}]"#,
                "[".repeat(100_000),
                "]".repeat(100_000)
            ))],
        ),
        (
            "100,000 open arrays",
            vec![text(format!(r#"42["message",{}"#, "[".repeat(100_000)))],
        ),
        (
            "100,000 objects inside each other in an attachment's header",
            vec![text(format!(
                r#"451-["message",{}1{}]"#,
                r#"{"a":"#.repeat(100_000),
                "}".repeat(100_000)
            ))],
        ),
        (
            "100,000 arrays in CONNECT",
            vec![text(format!(
                r#"40/custom,{{"a":{}{}}}"#,
                "[".repeat(100_000),
                "]".repeat(100_000)
            ))],
        ),
        (
            "100,000 arrays in an ACK",
            vec![text(format!(
                "430{}{}",
                "[".repeat(100_000),
                "]".repeat(100_000)
            ))],
        ),
        ("a multi-byte first character", vec![text("éabcd")]),
        ("a multi-byte packet type", vec![text("4é")]),
    ]
}

#[tokio::test]
async fn each_ends_its_own_session_over_a_websocket() {
    let server = echo().await;
    let mut bystander = joined(&server).await;
    for (name, sends) in attacks().into_iter().chain(long_and_deep_attacks()) {
        let mut ws = joined(&server).await;
        for send in sends {
            match send {
                Text(packet) => ws.send(&packet).await,
                Binary(length) => ws.send_binary(&vec![0; length]).await,
            }
        }
        assert_ended(&server, &mut bystander, name).await;
        drop(ws);
    }
    assert_eq!(server.closes(CloseReason::HandlerPanicked), 0);
}

#[tokio::test]
async fn each_ends_its_own_session_over_polling() {
    let server = echo().await;
    let mut bystander = joined(&server).await;
    for (name, sends) in attacks().into_iter().chain(long_and_deep_attacks()) {
        let poller = server.poller().await;
        poller.expect_post("40", 200).await;
        for send in sends.into_iter().take(20) {
            let packet = match send {
                Text(packet) => packet,
                Binary(length) => format!("b{}", "A".repeat(length.next_multiple_of(4))),
            };
            if poller.post(&packet).await.status != 200 {
                break;
            }
        }
        assert_ended(&server, &mut bystander, name).await;
        assert_ne!(poller.post("3").await.status, 200, "{name}");
    }
    assert_eq!(server.closes(CloseReason::HandlerPanicked), 0);
}

/// Returns once only the bystander is there; it is served meanwhile.
async fn assert_ended<H: EngineHandler>(server: &Server<H>, bystander: &mut Ws, name: &str) {
    let alone = Counts {
        polling: 0,
        websocket: 1,
        unaccepted: 0,
    };
    let ended = async {
        while server.engine.sessions() != alone {
            bystander.send(r#"42["message",1]"#).await;
            bystander.expect(r#"42["message-back",1]"#).await;
        }
    };
    patiently_for(name, ended).await;
}

#[tokio::test]
async fn what_looks_dangerous_and_is_not_reaches_the_application_as_data() {
    let server = echo().await;
    let mut ws = joined(&server).await;
    for packet in [
        r#"42["error"]"#,
        r#"42["error","x"]"#,
        r#"42["__proto__",{"__proto__":{"x":1}}]"#,
        r#"42["constructor"]"#,
        r#"42["toString"]"#,
        r#"42["unknown",1]"#,
        "430[]",
        "437[]",
    ] {
        ws.send(packet).await;
    }
    ws.send(r#"42["message",{"_placeholder":true,"num":0}]"#)
        .await;
    ws.expect(r#"42["message-back",{"_placeholder":true,"num":0}]"#)
        .await;
    assert_eq!(server.engine.sessions().websocket, 1);
    ws.send("1").await;
    ws.closed().await;
    patiently(server.idle()).await;
}
