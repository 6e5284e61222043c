//! The grammar of a packet at its edges: what may be left out, what may follow, and how attachments find their packet.

use super::packets::Then::{Closed, Reply, Silence};
use super::packets::{Then, check};
use super::*;
use crate::support::patiently;
use crate::support::protocol::Poller;

const EDGES: &[(&str, Then)] = &[
    // A namespace ends at the first comma, or with the packet.
    ("40/", Closed),
    ("40/,", Closed),
    ("40/,{}", Closed),
    ("40//", Reply(r#"44//,{"message":"Invalid namespace"}"#)),
    (
        "40/random",
        Reply(r#"44/random,{"message":"Invalid namespace"}"#),
    ),
    (
        "40/random,{}",
        Reply(r#"44/random,{"message":"Invalid namespace"}"#),
    ),
    (
        "40/Custom",
        Reply(r#"44/Custom,{"message":"Invalid namespace"}"#),
    ),
    ("40/custom,a,{}", Closed),
    (r#"42/custom,a,["message"]"#, Closed),
    (r#"42/["message"]"#, Closed),
    (r#"42/,7["message-with-ack",1]"#, Reply("437[1]")),
    // An id belongs to events and acks.
    ("401{}", Closed),
    ("40/custom,1", Closed),
    ("411", Closed),
    ("41[]", Closed),
    ("41/custom,{}", Closed),
    ("41/unknown", Silence),
    ("410", Closed),
    // What is not a digit ends an id.
    ("42\u{661}[\"message\"]", Closed),
    ("42+1[\"message-with-ack\"]", Closed),
    ("420x1[\"message-with-ack\"]", Closed),
    ("421.5[\"message-with-ack\"]", Closed),
    (r#"4200000000000000000001["message-with-ack"]"#, Closed),
    (
        r#"420000000000000000001["message-with-ack"]"#,
        Reply("431[]"),
    ),
    // JSON and nothing else.
    ("42[", Closed),
    (r#"42["message""#, Closed),
    (r#"42["message",]"#, Closed),
    (r#"42["message",,1]"#, Closed),
    (r#"42["message" 1]"#, Closed),
    (r#"42["message"][]"#, Closed),
    (r#"42["message"],"#, Closed),
    ("42['message']", Closed),
    ("42[\"mess\nage\"]", Closed),
    ("42\u{feff}[\"message\"]", Closed),
    ("42[\"message\",\u{a0}1]", Closed),
    (r#"42["message",01]"#, Closed),
    (r#"42["message",.5]"#, Closed),
    (r#"42["message",+1]"#, Closed),
    (r#"42["message",0x10]"#, Closed),
    (r#"42["message",Infinity]"#, Closed),
    (r#"42["message",undefined]"#, Closed),
    (r#"42["message",{a:1}]"#, Closed),
    (r#"42["message","\x41"]"#, Closed),
    (r#"42["message","\u00"]"#, Closed),
    (r#"42["message",[1}]"#, Closed),
    (r#"42["message"/**/]"#, Closed),
    ("42[\"message\"]\u{1e}42[\"message\"]", Closed),
    (
        "42[\"message\",\"\\u001e\"]",
        Reply("42[\"message-back\",\"\\u001e\"]"),
    ),
    (
        r#"42["message",1e308,-1e-400,null,true,"",{},[]]"#,
        Reply(r#"42["message-back",1e308,-1e-400,null,true,"",{},[]]"#),
    ),
    (
        r#"42["message","\u2028\ud83d\ude00\/"]"#,
        Reply(r#"42["message-back","\u2028\ud83d\ude00\/"]"#),
    ),
    (
        r#"42["message",{"constructor":{"prototype":1},"":0}]"#,
        Reply(r#"42["message-back",{"constructor":{"prototype":1},"":0}]"#),
    ),
    ("42[\"mess\\u0061ge\",1]", Reply(r#"42["message-back",1]"#)),
    ("42[\"con\\u006eect\"]", Closed),
    (r#"42["Connect"]"#, Silence),
    (r#"42["hasOwnProperty"]"#, Silence),
    // Acks that nobody waits for.
    ("437[]", Silence),
    ("439007199254740991[]", Silence),
    ("439007199254740992[]", Closed),
    (r#"430["a",{"_placeholder":true,"num":0}]"#, Silence),
    (r#"430"x""#, Closed),
    ("430null", Closed),
    ("430[1", Closed),
    ("43-1[]", Closed),
    ("43/unknown,0[]", Closed),
    // CONNECT_ERROR is the server's to send.
    ("44", Closed),
    ("44/custom,\"x\"", Closed),
    // The number of attachments
    ("45", Closed),
    ("451", Closed),
    ("45-1-[]", Closed),
    (r#"451.0-["message"]"#, Closed),
    (r#"4518446744073709551617-["message"]"#, Closed),
    // A header alone waits for its attachment, and the text that comes in its place is a violation.
    (r#"451-["message"]"#, Closed),
    ("461-1", Closed),
    ("461-1{}", Closed),
    // Other types
    ("48", Closed),
    ("4-", Closed),
    ("4 2[\"message\"]", Closed),
    ("4\u{662}[\"message\"]", Closed),
];

#[tokio::test]
async fn packets_at_the_edges() {
    let server = echo().await;
    for (packet, then) in EDGES {
        let mut ws = joined(&server).await;
        ws.send(packet).await;
        check(&server, ws, packet, *then).await;
    }
    patiently(server.idle()).await;
}

#[tokio::test]
async fn many_arguments_come_back_word_for_word() {
    let server = echo().await;
    let mut ws = joined(&server).await;
    let args = vec!["1"; 10_000].join(",");
    ws.send(&format!(r#"42["message",{args}]"#)).await;
    ws.expect(&format!(r#"42["message-back",{args}]"#)).await;
    let nested = format!("{}{}", "[".repeat(63), "]".repeat(63));
    ws.send(&format!(r#"42["message",{nested}]"#)).await;
    ws.expect(&format!(r#"42["message-back",{nested}]"#)).await;
}

#[tokio::test]
async fn a_name_too_long_is_not_sent_back() {
    let server = echo().await;
    for packet in [
        format!("40/{},", "a".repeat(100_000)),
        format!("40/{}", "a".repeat(100_000)),
        format!("40/{},", "é".repeat(128)),
        format!("42[\"{}\"]", "e".repeat(900_000)),
    ] {
        let mut ws = joined(&server).await;
        ws.send(&packet).await;
        let end = ws.next_packet().await;
        assert_eq!(end, Next::Closed(1005), "{}", &packet[..9]);
    }
    let longest = format!("/{}", "a".repeat(255));
    let mut ws = joined(&server).await;
    ws.send(&format!("40{longest},")).await;
    ws.expect(&format!(r#"44{longest},{{"message":"Invalid namespace"}}"#))
        .await;
}

fn placeholder(number: usize) -> String {
    format!(r#"{{"_placeholder":true,"num":{number}}}"#)
}

#[tokio::test]
async fn ten_attachments_in_any_order() {
    let server = echo().await;
    let mut ws = joined(&server).await;
    let args: Vec<_> = (0..10).rev().map(placeholder).collect();
    let args = args.join(",");
    ws.send(&format!(r#"4510-["message",{args}]"#)).await;
    for number in 0..10 {
        ws.send_binary(&[number]).await;
    }
    ws.expect(&format!(r#"4510-["message-back",{args}]"#)).await;
    for number in 0..10 {
        assert_eq!(ws.next().await, Next::Binary(vec![number]));
    }
}

#[tokio::test]
async fn nothing_but_the_transport_comes_between_a_header_and_its_attachments() {
    let server = echo().await;
    let header = format!(r#"452-["message",{},{}]"#, placeholder(0), placeholder(1));
    let echoed = format!(
        r#"452-["message-back",{},{}]"#,
        placeholder(0),
        placeholder(1)
    );
    let mut ws = joined(&server).await;
    ws.send(&header).await;
    // Heartbeats, and binary as a client without binary support sends it.
    ws.send("3").await;
    ws.send("bAQID").await;
    ws.send("6").await;
    ws.send_binary(&[]).await;
    ws.expect(&echoed).await;
    assert_eq!(ws.next().await, Next::Binary(vec![1, 2, 3]));
    assert_eq!(ws.next().await, Next::Binary(vec![]));
    drop(ws);

    for between in [r#"42["message"]"#, "40/custom", "41", "430[]", &header] {
        let mut ws = joined(&server).await;
        ws.send(&header).await;
        ws.send_binary(&[1]).await;
        ws.send(between).await;
        ws.send_binary(&[2]).await;
        assert_eq!(ws.next_packet().await, Next::Closed(1005), "{between}");
    }
    patiently(server.idle()).await;
}

#[tokio::test]
async fn attachments_in_a_post_of_their_own() {
    let server = echo().await;
    let poller = joined_by_polling(&server).await;
    let header = format!(r#"452-["message",{},{}]"#, placeholder(0), placeholder(1));
    poller.expect_post(&header, 200).await;
    poller.expect_post("bAQ==", 200).await;
    poller.expect_post("bAg==\x1e42[\"message\"]", 200).await;
    let echoed = format!(
        "452-[\"message-back\",{},{}]\x1ebAQ==\x1ebAg==\x1e42[\"message-back\"]",
        placeholder(0),
        placeholder(1)
    );
    poller.expect_get(200, &echoed).await;
}

#[tokio::test]
async fn an_answer_may_be_larger_than_what_a_client_may_send() {
    let server = echo().await;
    let poller = joined_by_polling(&server).await;
    let data = "A".repeat(999_996);
    let header = format!(r#"451-0["message-with-ack",{}]"#, placeholder(0));
    poller.expect_post(&header, 200).await;
    poller.expect_post(&format!("b{data}"), 200).await;
    let answer = poller.get().await.body;
    assert_eq!(answer, format!("461-0[{}]\x1eb{data}", placeholder(0)));
    let mut ws = joined(&server).await;
    let text = "x".repeat(999_900);
    ws.send(&format!(r#"4200["message-with-ack","{text}"]"#))
        .await;
    ws.expect(&format!(r#"430["{text}"]"#)).await;
}

async fn joined_by_polling<H: EngineHandler>(server: &Server<H>) -> Poller<'_, H> {
    let poller = server.poller().await;
    poller.expect_post("40", 200).await;
    assert!(poller.get().await.body.starts_with("40{"));
    poller
}
