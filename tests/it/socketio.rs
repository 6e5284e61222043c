//! Socket.IO beyond the official suite: the observed-behaviour table, hostile packets, rooms, broadcast, and every way a socket can end.

use std::sync::Arc;
use std::time::Duration;

use jivchat::engineio::{CloseReason, Handler as EngineHandler};
use jivchat::socketio::{
    Config, ConnectError, DisconnectReason, Event, Handler, Io, Namespace, Outgoing, Socket,
    SocketId, SocketIo,
};
use serde_json::value::RawValue;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep};

use crate::socketio_official::{expect_connect, joined};
use crate::support::protocol::{Server, patient};
use crate::support::websocket::{Next, Ws};

async fn echo() -> Server<impl EngineHandler> {
    Server::socket_echo(patient(), Config::default()).await
}

/// What has to happen after some packets on a socket that has joined `/`.
#[derive(Debug, Clone, Copy)]
enum Then {
    Closed,
    /// Nothing comes back, and the socket works.
    Silence,
    Reply(&'static str),
}
use Then::{Closed, Reply, Silence};

async fn check<H: EngineHandler>(server: &Server<H>, mut ws: Ws, name: &str, then: Then) {
    ws.send(r#"42["message","still here"]"#).await;
    let alive = r#"42["message-back","still here"]"#;
    match then {
        Closed => {
            let end = ws.next_packet().await;
            assert!(matches!(end, Next::Closed(_)), "{name}: {end:?}");
            assert!(server.closes(CloseReason::ParseError) > 0, "{name}");
        }
        Silence => assert_eq!(
            ws.next_packet().await,
            Next::Text(alive.to_owned()),
            "{name}"
        ),
        Reply(text) => {
            assert_eq!(
                ws.next_packet().await,
                Next::Text(text.to_owned()),
                "{name}"
            );
            assert_eq!(
                ws.next_packet().await,
                Next::Text(alive.to_owned()),
                "{name}"
            );
        }
    }
}

#[tokio::test]
async fn packets_on_a_joined_socket() {
    let server = echo().await;
    for (packets, then) in [
        // Connecting
        (&["40"][..], Closed),
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
    ] {
        let mut ws = joined(&server).await;
        for packet in packets {
            ws.send(packet).await;
        }
        check(&server, ws, packets[0], then).await;
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
        attachment_timeout: Duration::from_millis(50),
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
    sleep(Duration::from_millis(100)).await;
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
        connect_timeout: Duration::from_millis(100),
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
    sleep(Duration::from_millis(200)).await;
    ws.send("40").await;
    expect_connect(&mut ws, "40").await;
}

/// An application that does as it is told and reports what happens to it.
struct Puppet {
    io: Io,
    events: mpsc::Sender<String>,
    release: Arc<Notify>,
}

impl Puppet {
    async fn report(&self, event: String) {
        self.events.send(event).await.unwrap();
    }
}

impl Handler for Puppet {
    type State = String;

    async fn on_connect(
        &self,
        socket: &Socket,
        auth: Option<&RawValue>,
    ) -> Result<String, ConnectError> {
        let auth = auth.map_or("{}", RawValue::get);
        let namespace = socket.namespace();
        socket.join("all");
        match auth {
            r#"{"do":"refuse"}"# => {
                let data =
                    serde_json::value::to_raw_value(&serde_json::json!({"code": 7})).unwrap();
                return Err(ConnectError::new("no").with_data(data));
            }
            r#"{"do":"panic"}"# => panic!("as asked"),
            r#"{"do":"leave"}"# => socket.disconnect(),
            r#"{"do":"wait"}"# => {
                let event = Outgoing::new(namespace, "early", &socket.id().as_str()).unwrap();
                assert_eq!(namespace.broadcast(&event, &["all"], &[]).missed, 0);
                socket.emit("first", &1);
                self.report("connecting".to_owned()).await;
                self.release.notified().await;
                socket.emit("second", &2);
            }
            _ => {}
        }
        Ok(format!("state of {}", namespace.name()))
    }

    async fn on_event(&self, socket: &Socket, state: &String, event: Event) {
        let argument = event.first::<String>().ok().flatten().unwrap_or_default();
        match event.name() {
            "join" => assert!(socket.join(&argument)),
            "leave" => {
                socket.leave(&argument);
            }
            "rooms" => {
                let mut rooms = socket.rooms();
                rooms.sort();
                let rooms: Vec<&str> = rooms.iter().map(AsRef::as_ref).collect();
                socket.emit("rooms", &rooms);
            }
            "disconnect me" => {
                socket.disconnect();
                assert!(!socket.emit("late", &1));
                assert!(!socket.join("late"));
            }
            "expire" => {
                socket.close(CloseReason::TokenExpired);
            }
            "panic" => panic!("as asked"),
            "to all" => {
                let event = Outgoing::new(socket.namespace(), "all", &argument).unwrap();
                socket.namespace().broadcast_to_all(&event, &[]);
            }
            other => self.report(format!("{other} {state}")).await,
        }
        if let Some(ack) = event.ack() {
            socket.ack(ack, &"done");
        }
    }

    async fn on_disconnect(&self, socket: &Socket, state: String, reason: DisconnectReason) {
        assert!(socket.rooms().is_empty());
        assert!(
            self.io
                .namespace(socket.namespace().name())
                .unwrap()
                .socket(socket.id())
                .is_none()
        );
        self.report(format!("left, {state}: {}", reason.as_str()))
            .await;
    }
}

struct Stage {
    server: Server<SocketIo<Puppet>>,
    events: mpsc::Receiver<String>,
}

impl Stage {
    async fn new() -> Self {
        let (sender, events) = mpsc::channel(1000);
        let io = Io::new(["/", "/custom"]);
        let puppet = Puppet {
            io: io.clone(),
            events: sender,
            release: Arc::default(),
        };
        let layer = SocketIo::new(Config::default(), io, puppet);
        let config = jivchat::engineio::Config {
            max_outbound_packets: 100,
            ..patient()
        };
        Self {
            server: Server::start("/socket.io/", config, layer).await,
            events,
        }
    }

    fn main(&self) -> &Namespace {
        self.server.engine.handler().io().namespace("/").unwrap()
    }

    async fn joined(&self) -> (Ws, SocketId) {
        let mut ws = self.server.websocket().await;
        ws.send("40").await;
        let id = expect_connect(&mut ws, "40").await;
        (ws, SocketId::parse(&id).unwrap())
    }

    async fn in_room(&self, room: &str) -> (Ws, SocketId) {
        let (mut ws, id) = self.joined().await;
        ws.send(&format!(r#"421["join","{room}"]"#)).await;
        ws.expect(r#"431["done"]"#).await;
        (ws, id)
    }

    async fn expect_event(&mut self, event: &str) {
        assert_eq!(self.events.recv().await.unwrap(), event);
    }

    fn event(&self, name: &str) -> Outgoing {
        Outgoing::new(self.main(), name, &1).unwrap()
    }
}

mod connecting {
    use super::*;

    #[tokio::test]
    async fn the_reply_comes_before_everything_emitted_meanwhile() {
        let mut stage = Stage::new().await;
        let mut ws = stage.server.websocket().await;
        ws.send(r#"40{"do":"wait"}"#).await;
        ws.send(r#"42["buffered"]"#).await;
        stage.expect_event("connecting").await;
        stage
            .main()
            .broadcast(&stage.event("outside"), &["all"], &[]);
        stage
            .main()
            .broadcast(&stage.event("volatile").volatile(), &["all"], &[]);
        stage.server.engine.handler().handler().release.notify_one();
        let id = expect_connect(&mut ws, "40").await;
        ws.expect(&format!(r#"42["early","{id}"]"#)).await;
        ws.expect(r#"42["first",1]"#).await;
        ws.expect(r#"42["outside",1]"#).await;
        ws.expect(r#"42["second",2]"#).await;
        stage.expect_event("buffered state of /").await;
    }

    #[tokio::test]
    async fn a_refusal_leaves_no_trace() {
        let stage = Stage::new().await;
        let mut ws = stage.server.websocket().await;
        ws.send(r#"40{"do":"refuse"}"#).await;
        ws.expect(r#"44{"message":"no","data":{"code":7}}"#).await;
        assert_eq!((stage.main().len(), stage.main().room_count()), (0, 0));
        ws.send("40").await;
        expect_connect(&mut ws, "40").await;
    }

    #[tokio::test]
    async fn a_panic_leaves_no_trace() {
        let mut stage = Stage::new().await;
        let mut ws = stage.server.websocket().await;
        ws.send("40/custom,").await;
        expect_connect(&mut ws, "40/custom,").await;
        ws.send(r#"40{"do":"panic"}"#).await;
        assert_eq!(ws.next().await, Next::Closed(1005));
        assert_eq!((stage.main().len(), stage.main().room_count()), (0, 0));
        // The namespace that had been joined hears of the end.
        stage
            .expect_event("left, state of /custom: forced server close")
            .await;
        assert!(stage.events.try_recv().is_err());
    }

    #[tokio::test]
    async fn disconnecting_during_on_connect_still_sends_both_packets() {
        let mut stage = Stage::new().await;
        let mut ws = stage.server.websocket().await;
        ws.send(r#"40{"do":"leave"}"#).await;
        expect_connect(&mut ws, "40").await;
        ws.expect("41").await;
        stage
            .expect_event("left, state of /: server namespace disconnect")
            .await;
        ws.send("40").await;
        expect_connect(&mut ws, "40").await;
    }

    #[tokio::test]
    async fn losing_the_transport_during_on_connect_disconnects_once() {
        let mut stage = Stage::new().await;
        let mut ws = stage.server.websocket().await;
        ws.send(r#"40{"do":"wait"}"#).await;
        stage.expect_event("connecting").await;
        drop(ws);
        stage.server.engine.handler().handler().release.notify_one();
        stage
            .expect_event("left, state of /: transport close")
            .await;
        stage.server.idle().await;
        assert!(stage.events.try_recv().is_err());
        assert!(stage.main().is_empty());
    }
}

mod ending {
    use super::*;

    #[tokio::test]
    async fn every_ending_is_reported_once_with_its_reason() {
        let mut stage = Stage::new().await;
        for (packet, then, reason) in [
            ("41", None, "client namespace disconnect"),
            (
                r#"42["disconnect me"]"#,
                Some("41"),
                "server namespace disconnect",
            ),
            (r#"42["expire"]"#, None, "forced server close"),
            (r#"42["panic"]"#, None, "forced server close"),
            ("4abc", None, "parse error"),
        ] {
            let (mut ws, _) = stage.joined().await;
            ws.send(packet).await;
            if let Some(then) = then {
                ws.expect(then).await;
            }
            stage
                .expect_event(&format!("left, state of /: {reason}"))
                .await;
            drop(ws);
            stage.server.idle().await;
            assert!(stage.events.try_recv().is_err(), "{packet}");
            assert_eq!((stage.main().len(), stage.main().room_count()), (0, 0));
        }
    }

    #[tokio::test]
    async fn shutdown_sends_no_disconnect_so_that_clients_come_back() {
        let mut stage = Stage::new().await;
        let (mut ws, _) = stage.joined().await;
        ws.send("40/custom").await;
        expect_connect(&mut ws, "40/custom,").await;
        let (drained, end) = tokio::join!(
            stage.server.engine.shutdown(Duration::from_secs(10)),
            ws.next()
        );
        assert!(drained);
        assert_eq!(end, Next::Closed(1001));
        stage
            .expect_event("left, state of /: server shutting down")
            .await;
        stage
            .expect_event("left, state of /custom: server shutting down")
            .await;
    }

    #[tokio::test]
    async fn disconnecting_from_outside_reaches_an_idle_client() {
        let mut stage = Stage::new().await;
        let (mut ws, id) = stage.joined().await;
        stage.main().socket(id).unwrap().disconnect();
        ws.expect("41").await;
        stage
            .expect_event("left, state of /: server namespace disconnect")
            .await;
        ws.send(r#"42["too late"]"#).await;
        ws.send("41").await;
        ws.send("40").await;
        expect_connect(&mut ws, "40").await;
        assert!(stage.events.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_room_can_be_closed() {
        let mut stage = Stage::new().await;
        let (mut a, _) = stage.in_room("user:1").await;
        let (mut b, _) = stage.in_room("user:1").await;
        let (mut other, _) = stage.in_room("user:2").await;
        assert_eq!(
            stage.main().close_room("user:1", CloseReason::TokenExpired),
            2
        );
        assert_eq!(a.next().await, Next::Closed(1005));
        assert_eq!(b.next().await, Next::Closed(1005));
        for _ in 0..2 {
            stage
                .expect_event("left, state of /: forced server close")
                .await;
        }
        assert_eq!(stage.main().socket_count("user:1"), 0);
        assert_eq!(stage.main().socket_count("user:2"), 1);
        other.send(r#"42["rooms"]"#).await;
        other.expect(r#"42["rooms",["all","user:2"]]"#).await;
    }
}

mod broadcast {
    use super::*;

    #[tokio::test]
    async fn reaches_each_socket_of_any_room_once() {
        let stage = Stage::new().await;
        let (mut both, both_id) = stage.in_room("a").await;
        both.send(r#"421["join","b"]"#).await;
        both.expect(r#"431["done"]"#).await;
        let (mut one, one_id) = stage.in_room("b").await;
        let (mut none, _) = stage.joined().await;

        let reached = stage
            .main()
            .broadcast(&stage.event("x"), &["a", "b", "nobody"], &[]);
        assert_eq!((reached.sockets, reached.missed), (2, 0));
        let reached = stage
            .main()
            .broadcast(&stage.event("y"), &["a", "b"], &[both_id]);
        assert_eq!(reached.sockets, 1);
        let reached = stage
            .main()
            .broadcast(&stage.event("z"), &["b".to_owned()], &[one_id]);
        assert_eq!(reached.sockets, 1);
        assert_eq!(
            stage
                .main()
                .broadcast_to_all(&stage.event("end"), &[])
                .sockets,
            3
        );

        for event in ["x", "z", "end"] {
            both.expect(&format!(r#"42["{event}",1]"#)).await;
        }
        for event in ["x", "y", "end"] {
            one.expect(&format!(r#"42["{event}",1]"#)).await;
        }
        none.expect(r#"42["end",1]"#).await;
    }

    #[tokio::test]
    async fn rooms_are_exact_and_emptied_rooms_vanish() {
        let stage = Stage::new().await;
        let (mut ws, id) = stage.in_room("user:1").await;
        for room in ["user:", "user:11", "USER:1", "user:1 ", ""] {
            assert_eq!(stage.main().socket_count(room), 0, "{room}");
        }
        assert_eq!(stage.main().sockets("user:1")[0].id(), id);
        assert_eq!(stage.main().room_count(), 2);
        ws.send(r#"421["leave","user:1"]"#).await;
        ws.expect(r#"431["done"]"#).await;
        assert_eq!(stage.main().room_count(), 1);
        let reached = stage.main().broadcast(&stage.event("x"), &["user:1"], &[]);
        assert_eq!(reached, jivchat::socketio::Reached::default());
    }

    #[tokio::test]
    async fn namespaces_do_not_mix() {
        let stage = Stage::new().await;
        let (mut ws, _) = stage.joined().await;
        ws.send("40/custom").await;
        expect_connect(&mut ws, "40/custom,").await;
        let custom = stage
            .server
            .engine
            .handler()
            .io()
            .namespace("/custom")
            .unwrap();
        let event = Outgoing::new(custom, "x", &1).unwrap();
        assert_eq!(custom.broadcast(&event, &["all"], &[]).sockets, 1);
        stage.main().broadcast(&stage.event("y"), &["all"], &[]);
        ws.expect(r#"42/custom,["x",1]"#).await;
        ws.expect(r#"42["y",1]"#).await;
    }

    #[tokio::test]
    async fn a_slow_consumer_harms_only_itself() {
        let mut stage = Stage::new().await;
        let (mut fast, _) = stage.in_room("r").await;
        let slow = stage.server.poller().await;
        slow.expect_post("40", 200).await;
        slow.expect_post(r#"42["join","r"]"#, 200).await;
        let mut sent = 0;
        loop {
            let reached = stage.main().broadcast(&stage.event("x"), &["r"], &[]);
            assert!(reached.sockets >= 1);
            fast.expect(r#"42["x",1]"#).await;
            sent += 1;
            if reached.missed == 1 {
                break;
            }
            assert!(sent < 1000, "the queue has no end");
        }
        // Not through `expect_event`: `slow` borrows the server.
        let event = stage.events.recv().await.unwrap();
        assert_eq!(event, "left, state of /: forced server close");
        slow.expect_gone().await;
        assert_eq!(stage.server.closes(CloseReason::SlowConsumer), 1);
        assert_eq!(stage.main().socket_count("r"), 1);
    }

    #[tokio::test]
    async fn volatile_events_are_dropped_and_messages_are_not() {
        let stage = Stage::new().await;
        let slow = stage.server.poller().await;
        slow.expect_post("40", 200).await;
        let typing = stage.event("typing").volatile();
        for _ in 0..1000 {
            stage.main().broadcast(&typing, &["all"], &[]);
        }
        assert_eq!(
            stage
                .main()
                .broadcast(&stage.event("message"), &["all"], &[])
                .sockets,
            1
        );
        let payload = slow.get().await.body;
        assert!(payload.ends_with(r#"42["message",1]"#), "{payload}");
        assert!(payload.split('\x1e').count() < 100);
    }

    #[tokio::test]
    async fn many_sockets_see_the_same_order() {
        let stage = Stage::new().await;
        let mut sockets = Vec::new();
        for _ in 0..20 {
            sockets.push(stage.in_room("r").await.0);
        }
        for n in 0..50 {
            let event = Outgoing::new(stage.main(), "n", &n).unwrap();
            assert_eq!(stage.main().broadcast(&event, &["r"], &[]).sockets, 20);
        }
        for ws in &mut sockets {
            for n in 0..50 {
                ws.expect(&format!(r#"42["n",{n}]"#)).await;
            }
        }
    }
}

#[tokio::test]
async fn ids_are_public_names_and_not_the_secret() {
    let stage = Stage::new().await;
    let poller = stage.server.poller().await;
    poller.expect_post("40", 200).await;
    let reply = poller.get().await.body;
    let id = &reply[r#"40{"sid":""#.len()..][..20];
    assert_ne!(id, poller.sid);
    let id = SocketId::parse(id).unwrap();
    assert_eq!(
        stage.main().socket(id).unwrap().id().to_string(),
        id.as_str()
    );
    assert_eq!(SocketId::parse("short"), None);
    assert_eq!(SocketId::parse("é234567890123456789"), None);
}
