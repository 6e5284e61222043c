//! Events that the server wants an answer to: text and binary answers, and every way in which none comes.

use bytes::Bytes;
use jivchat::socketio::{AckError, Answer};

use super::*;

const LONG: Duration = Duration::from_mins(1);

impl Stage {
    /// A client, and its socket on this side.
    async fn asked(&self) -> (Ws, Socket) {
        let (ws, id) = self.joined().await;
        (ws, self.main().socket(id).unwrap())
    }
}

/// What the socket is told while a client does as `client` says.
async fn ask(
    socket: &Socket,
    timeout: Duration,
    client: impl Future<Output = ()>,
) -> Result<Answer, AckError> {
    let (answer, ()) = tokio::join!(socket.emit_with_ack("ask", &1, timeout), client);
    answer
}

#[tokio::test]
async fn the_client_answers_word_for_word() {
    let stage = Stage::new().await;
    let (mut ws, socket) = stage.asked().await;
    for (id, values) in [(0, r#"1.0,"two",{"b":[],"a":null}"#), (1, "")] {
        let answer = ask(&socket, LONG, async {
            ws.expect(&format!(r#"42{id}["ask",1]"#)).await;
            // Ids that nobody waits for, as large as they may be, and a second answer.
            ws.send("439007199254740991[0]").await;
            ws.send("43977[0]").await;
            ws.send(&format!("43{id}[{values}]")).await;
            ws.send(&format!(r#"43{id}["again"]"#)).await;
        });
        assert_eq!(answer.await.unwrap().args(), values);
    }
    ws.send(r#"421["rooms"]"#).await;
    ws.expect(r#"42["rooms",["all"]]"#).await;
    ws.expect(r#"431["done"]"#).await;
}

#[tokio::test]
async fn answers_may_carry_attachments_and_so_may_questions() {
    let stage = Stage::new().await;
    let (mut ws, socket) = stage.asked().await;
    let sent = [Bytes::from_static(b"\x01")];
    let placeholder = |number| format!(r#"{{"_placeholder":true,"num":{number}}}"#);
    let question = placeholder(0);
    let asked = socket.emit_raw_with_ack("ask", &question, &sent, LONG);
    let (answer, ()) = tokio::join!(asked, async {
        ws.expect(&format!(r#"451-0["ask",{question}]"#)).await;
        assert_eq!(ws.next_packet().await, Next::Binary(vec![1]));
        let (first, second) = (placeholder(0), placeholder(1));
        ws.send(&format!("462-0[{second},7,{first}]")).await;
        ws.send_binary(b"a").await;
        ws.send_binary(b"b").await;
    });
    let answer = answer.unwrap();
    assert_eq!(
        answer.args(),
        format!("{},7,{}", placeholder(1), placeholder(0))
    );
    assert_eq!(answer.attachments(), ["a", "b"]);
}

#[tokio::test]
async fn a_broken_answer_ends_the_session() {
    for answer in ["430{}", "430", r#"430["x"#, "461-0[]"] {
        let stage = Stage::new().await;
        let (mut ws, socket) = stage.asked().await;
        let outcome = ask(&socket, LONG, async {
            ws.expect(r#"420["ask",1]"#).await;
            ws.send(answer).await;
            if answer.starts_with("46") {
                ws.send_binary(b"nobody asked").await;
            }
        });
        let outcome = outcome.await;
        if answer == "461-0[]" {
            // An attachment without a placeholder is dropped, as the reference does.
            assert_eq!(outcome.unwrap().args(), "");
        } else {
            assert!(matches!(outcome, Err(AckError::Disconnected)), "{answer}");
            assert_eq!(stage.server.closes(CloseReason::ParseError), 1, "{answer}");
        }
    }
}

#[tokio::test]
async fn only_the_socket_that_was_asked_can_answer() {
    let stage = Stage::new().await;
    let (mut ws, socket) = stage.asked().await;
    let (mut other, _) = stage.joined().await;
    let answer = ask(&socket, LONG, async {
        ws.expect(r#"420["ask",1]"#).await;
        other.send(r#"430["not mine"]"#).await;
        other.send(r#"421["rooms"]"#).await;
        other.expect(r#"42["rooms",["all"]]"#).await;
        ws.send(r#"430["mine"]"#).await;
    });
    assert_eq!(answer.await.unwrap().args(), r#""mine""#);
}

#[tokio::test]
async fn time_runs_out_and_a_late_answer_changes_nothing() {
    let stage = Stage::new().await;
    let (mut ws, socket) = stage.asked().await;
    let outcome = ask(&socket, Duration::from_millis(1), async {}).await;
    assert!(matches!(outcome, Err(AckError::Timeout)));
    ws.expect(r#"420["ask",1]"#).await;
    ws.send(r#"430["late"]"#).await;
    let answer = ask(&socket, LONG, async {
        ws.expect(r#"421["ask",1]"#).await;
        ws.send(r#"431["in time"]"#).await;
    });
    assert_eq!(answer.await.unwrap().args(), r#""in time""#);
}

#[tokio::test]
async fn whoever_waits_is_told_when_the_socket_goes() {
    for ending in ["hang up", "leave", "disconnect", "close"] {
        let stage = Stage::new().await;
        let (ws, socket) = stage.asked().await;
        let mut ws = Some(ws);
        let outcome = ask(&socket, LONG, async {
            let client = ws.as_mut().unwrap();
            client.expect(r#"420["ask",1]"#).await;
            match ending {
                "hang up" => drop(ws.take()),
                "leave" => client.send("41").await,
                "disconnect" => socket.disconnect(),
                _ => assert!(socket.close(CloseReason::ServerClosed)),
            }
        });
        let outcome = outcome.await;
        assert!(matches!(outcome, Err(AckError::Disconnected)), "{ending}");
        let after = socket.emit_with_ack("ask", &1, LONG).await;
        assert!(matches!(after, Err(AckError::Disconnected)), "{ending}");
    }
}

#[tokio::test]
async fn the_questions_that_wait_are_bounded() {
    let stage = Stage::new().await;
    let (mut ws, socket) = stage.asked().await;
    let asks = (0..65).map(|_| socket.emit_with_ack("ask", &1, LONG));
    let (outcomes, ()) = tokio::join!(futures_util::future::join_all(asks), async {
        for id in 0..64 {
            ws.expect(&format!(r#"42{id}["ask",1]"#)).await;
            ws.send(&format!("43{id}[{id}]")).await;
        }
    });
    let refused = outcomes.iter().filter(|outcome| outcome.is_err());
    assert_eq!(refused.count(), 1);
    assert!(matches!(outcomes[64], Err(AckError::TooManyPending)));
}
