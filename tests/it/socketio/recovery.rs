//! Connection state recovery on the wire: who gets a socket back, with what, and who does not.

use bytes::Bytes;
use jivchat::socketio::{Handshake, RecoveryConfig, RecoveryCounts};
use serde_json::{Value, json};

use super::*;

/// Remembers sockets by the `user` in `auth`.
struct Keeper {
    reports: mpsc::Sender<String>,
}

fn user(auth: Option<&RawValue>) -> String {
    let auth: Value = auth.map_or(Value::Null, |auth| {
        serde_json::from_str(auth.get()).unwrap()
    });
    auth["user"].as_str().unwrap_or("nobody").to_owned()
}

impl Handler for Keeper {
    type State = String;

    async fn on_connect(
        &self,
        socket: &Socket,
        auth: Option<&RawValue>,
    ) -> Result<String, ConnectError> {
        let user = user(auth);
        if user == "banned" {
            return Err(ConnectError::new("banned"));
        }
        if user != "nobody" {
            socket.recoverable_by(&user);
        }
        socket.join("all");
        self.reports.send(format!("+{user}")).await.unwrap();
        Ok(user)
    }

    async fn on_recover(&self, _: &Handshake, auth: Option<&RawValue>, key: &str) -> bool {
        user(auth) == key
    }

    async fn on_event(&self, socket: &Socket, _: &String, event: Event) {
        let room = event.first::<String>().unwrap().unwrap();
        match event.name() {
            "join" => assert!(socket.join(&room)),
            "leave" => assert!(socket.leave(&room)),
            "out" => socket.disconnect(),
            _ => {}
        }
        if let Some(ack) = event.ack() {
            socket.ack(ack, &"done");
        }
    }

    async fn on_disconnect(&self, _: &Socket, user: String, _: DisconnectReason) {
        self.reports.send(format!("-{user}")).await.unwrap();
    }
}

struct Stage {
    server: Server<SocketIo<Keeper>>,
    reports: mpsc::Receiver<String>,
    main: Namespace,
}

/// What a client remembers.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Memory {
    sid: String,
    pid: String,
    offset: Option<String>,
}

impl Memory {
    fn auth(&self, user: &str) -> String {
        match &self.offset {
            Some(offset) => json!({ "pid": self.pid, "offset": offset, "user": user }),
            None => json!({ "pid": self.pid, "user": user }),
        }
        .to_string()
    }
}

impl Stage {
    async fn new(config: RecoveryConfig) -> Self {
        let (sender, reports) = mpsc::channel(1000);
        let main = Namespace::with_recovery("/", config);
        let keeper = Keeper { reports: sender };
        let layer = SocketIo::new(
            Config::default(),
            Io::of(std::slice::from_ref(&main)),
            keeper,
        );
        Self {
            server: Server::start("/socket.io/", patient(), layer).await,
            reports,
            main,
        }
    }

    /// Connects; what came before the reply, without the offsets.
    async fn connect(&mut self, auth: &str) -> (Ws, Memory, Vec<String>) {
        let mut ws = self.server.websocket().await;
        ws.send(&format!("40{auth}")).await;
        let mut memory = Memory {
            sid: String::new(),
            pid: String::new(),
            offset: None,
        };
        let mut missed = Vec::new();
        loop {
            match ws.next_packet().await {
                Next::Text(text) if text.starts_with("40") => {
                    let reply: Value = serde_json::from_str(&text[2..]).unwrap();
                    reply["sid"].as_str().unwrap().clone_into(&mut memory.sid);
                    let pid = reply["pid"].as_str().unwrap_or_default();
                    pid.clone_into(&mut memory.pid);
                    return (ws, memory, missed);
                }
                Next::Text(text) => missed.push(take_offset(&text, &mut memory)),
                Next::Binary(data) => missed.push(format!("{data:?}")),
                end @ Next::Closed(_) => panic!("{end:?} after {missed:?}"),
            }
        }
    }

    /// A new socket of a user, its arrival reported.
    async fn arrived(&mut self, user: &str) -> (Ws, Memory) {
        let (ws, memory, missed) = self.connect(&json!({ "user": user }).to_string()).await;
        assert!(missed.is_empty(), "{missed:?}");
        self.expect(&format!("+{user}")).await;
        (ws, memory)
    }

    async fn lose(&mut self, ws: Ws, user: &str) {
        drop(ws);
        self.expect(&format!("-{user}")).await;
    }

    async fn expect(&mut self, report: &str) {
        assert_eq!(patiently(self.reports.recv()).await.unwrap(), report);
    }

    fn emit(&self, room: &str, number: u32) {
        let event = Outgoing::new(&self.main, "n", &number).unwrap();
        self.main.broadcast(&event, &[room], &[]);
    }
}

use crate::support::patiently;

/// The packet without its offset, which is remembered.
fn take_offset(packet: &str, memory: &mut Memory) -> String {
    let at = packet.find('[').unwrap();
    let mut arguments: Vec<Value> = serde_json::from_str(&packet[at..]).unwrap();
    let offset = arguments.pop().unwrap();
    memory.offset = Some(offset.as_str().expect("an offset").to_owned());
    format!("{}{}", &packet[..at], Value::from(arguments))
}

async fn hears(ws: &mut Ws, memory: &mut Memory, packet: &str) {
    match ws.next_packet().await {
        Next::Text(text) => assert_eq!(take_offset(&text, memory), packet),
        end => panic!("{end:?} instead of {packet}"),
    }
}

async fn call(ws: &mut Ws, event: &str, room: &str) {
    ws.send(&format!(r#"427["{event}","{room}"]"#)).await;
    ws.expect(r#"437["done"]"#).await;
}

fn n(number: u32) -> String {
    format!(r#"42["n",{number}]"#)
}

#[tokio::test]
async fn what_was_missed_comes_once_in_order_and_before_the_reply_every_time() {
    let mut stage = Stage::new(RecoveryConfig::default()).await;
    let (mut ws, mut memory) = stage.arrived("asha").await;
    call(&mut ws, "join", "a").await;
    call(&mut ws, "join", "b").await;
    stage.emit("a", 0);
    hears(&mut ws, &mut memory, &n(0)).await;
    for round in 1..=3 {
        stage.lose(ws, "asha").await;
        stage.emit("a", round);
        let event = Outgoing::raw(
            &stage.main,
            "file",
            r#"{"_placeholder":true,"num":0}"#,
            &[Bytes::from_static(&[1, 2])],
        );
        stage.main.broadcast(&event, &["a", "b"], &[]);
        stage.emit("elsewhere", 99);
        stage.main.broadcast_to_all(&event, &[]);
        let (back, after, missed) = stage.connect(&memory.auth("asha")).await;
        stage.expect("+asha").await;
        assert_eq!((&after.sid, &after.pid), (&memory.sid, &memory.pid));
        let file = r#"451-["file",{"_placeholder":true,"num":0}]"#;
        let [file, data] = [file.to_owned(), "[1, 2]".to_owned()];
        assert_eq!(missed, [n(round), file.clone(), data.clone(), file, data]);
        (ws, memory) = (back, after);
        stage.emit("b", round);
        hears(&mut ws, &mut memory, &n(round)).await;
    }
    assert_eq!(stage.main.len(), 1);
}

#[tokio::test]
async fn who_never_got_an_event_can_come_back() {
    let mut stage = Stage::new(RecoveryConfig::default()).await;
    stage.emit("all", 1);
    let (ws, memory) = stage.arrived("asha").await;
    assert_eq!(memory.offset, None);
    stage.lose(ws, "asha").await;
    stage.emit("all", 2);
    let (_ws, after, missed) = stage.connect(&memory.auth("asha")).await;
    assert_eq!((after.sid, missed), (memory.sid, vec![n(2)]));
}

#[tokio::test]
async fn an_offset_older_than_the_log_is_as_good_as_any() {
    let config = RecoveryConfig {
        max_events: 2,
        detection: Duration::ZERO,
        ..RecoveryConfig::default()
    };
    let mut stage = Stage::new(config).await;
    let (mut ws, mut memory) = stage.arrived("asha").await;
    stage.emit("all", 1);
    hears(&mut ws, &mut memory, &n(1)).await;
    for number in 0..100 {
        stage.emit("others", number);
    }
    stage.lose(ws, "asha").await;
    stage.emit("all", 2);
    let (ws, after, missed) = stage.connect(&memory.auth("asha")).await;
    stage.expect("+asha").await;
    assert_eq!((&after.sid, missed), (&memory.sid, vec![n(2)]));

    // What was dropped while it was away may have been its own.
    stage.lose(ws, "asha").await;
    for number in 0..3 {
        stage.emit("others", number);
    }
    let (_ws, after, missed) = stage.connect(&after.auth("asha")).await;
    assert_ne!(after.sid, memory.sid);
    assert!(missed.is_empty());
}

#[tokio::test]
async fn volatile_events_and_acks_are_not_kept_and_confuse_no_client() {
    let mut stage = Stage::new(RecoveryConfig::default()).await;
    let (mut ws, mut memory) = stage.arrived("asha").await;
    stage.emit("all", 1);
    hears(&mut ws, &mut memory, &n(1)).await;
    let before = memory.offset.clone();
    // The client takes any text at the end of an event for an offset.
    let volatile = Outgoing::new(&stage.main, "v", &"text").unwrap().volatile();
    stage.main.broadcast(&volatile, &["all"], &[]);
    hears(&mut ws, &mut memory, r#"42["v","text"]"#).await;
    assert_eq!(memory.offset, before);
    call(&mut ws, "join", "a").await;
    stage.lose(ws, "asha").await;
    assert_eq!(stage.main.broadcast(&volatile, &["all"], &[]).sockets, 0);
    stage.emit("a", 2);
    let (_ws, after, missed) = stage.connect(&memory.auth("asha")).await;
    assert_eq!((after.sid, missed), (memory.sid, vec![n(2)]));
}

#[tokio::test]
async fn whoever_has_no_right_to_it_is_new_and_told_no_error() {
    let mut stage = Stage::new(RecoveryConfig::default()).await;
    let (mut ws, mut memory) = stage.arrived("asha").await;
    stage.emit("all", 1);
    hears(&mut ws, &mut memory, &n(1)).await;
    let (pid, offset) = (memory.pid.clone(), memory.offset.clone().unwrap());
    let (epoch, _) = offset.split_once('.').unwrap();
    stage.lose(ws, "asha").await;
    stage.emit("all", 2);
    for auth in [
        json!({ "pid": pid, "offset": offset, "user": "bela" }),
        json!({ "pid": pid, "offset": offset }),
        json!({ "pid": pid, "offset": "nonsense", "user": "asha" }),
        json!({ "pid": pid, "offset": format!("{epoch}.99"), "user": "asha" }),
        json!({ "pid": pid, "offset": format!("{epoch}.-1"), "user": "asha" }),
        json!({ "pid": pid, "offset": format!("{epoch}."), "user": "asha" }),
        json!({ "pid": pid, "offset": format!("{epoch}.{}", "9".repeat(400)), "user": "asha" }),
        json!({ "pid": pid, "offset": 1, "user": "asha" }),
        json!({ "pid": pid, "offset": null, "user": "bela" }),
        json!({ "pid": "x".repeat(20), "offset": offset, "user": "asha" }),
        json!({ "pid": "", "offset": offset, "user": "asha" }),
        json!({ "pid": 7, "offset": offset, "user": "asha" }),
        json!({ "pid": [pid], "offset": offset, "user": "asha" }),
        json!({ "pid": memory.sid, "offset": offset, "user": "asha" }),
        json!({ "offset": offset, "user": "asha" }),
    ] {
        let (ws, after, missed) = stage.connect(&auth.to_string()).await;
        assert_ne!(after.sid, memory.sid, "{auth}");
        assert_ne!(after.pid, pid, "{auth}");
        assert!(missed.is_empty(), "{auth}");
        drop(ws);
    }
    // Nobody's attempt has cost the owner anything.
    let (_ws, after, missed) = stage.connect(&memory.auth("asha")).await;
    assert_eq!((after.sid, missed), (memory.sid, vec![n(2)]));
}

#[tokio::test]
async fn a_pid_is_good_for_one_return() {
    let mut stage = Stage::new(RecoveryConfig::default()).await;
    let (ws, memory) = stage.arrived("asha").await;
    stage.lose(ws, "asha").await;
    let auth = format!("40{}", memory.auth("asha"));
    let mut sockets = Vec::new();
    for _ in 0..8 {
        sockets.push(stage.server.websocket().await);
    }
    for ws in &mut sockets {
        ws.send(&auth).await;
    }
    // Each takes the place of the one before it; at no time are there two.
    let mut left = Vec::new();
    for mut ws in sockets {
        if let Next::Text(reply) = ws.next_packet().await {
            assert!(reply.starts_with("40{"), "{reply}");
            left.push(ws);
        }
    }
    for _ in 0..8 {
        stage.expect("+asha").await;
        assert!(stage.main.len() <= 8);
    }
    let id = SocketId::parse(&memory.sid).unwrap();
    let same = stage.main.sockets("all");
    assert!(same.iter().filter(|socket| socket.id() == id).count() <= 1);
}

#[tokio::test]
async fn an_old_connection_that_is_still_open_gives_way() {
    let mut stage = Stage::new(RecoveryConfig::default()).await;
    let (mut old, mut memory) = stage.arrived("asha").await;
    call(&mut old, "join", "a").await;
    stage.emit("a", 1);
    hears(&mut old, &mut memory, &n(1)).await;
    // On its way when the client gives up on this connection.
    stage.emit("a", 2);
    let (mut new, mut after, missed) = stage.connect(&memory.auth("asha")).await;
    assert_eq!((&after.sid, missed), (&memory.sid, vec![n(2)]));
    old.closed().await;
    let mut reports = [stage.reports.recv().await, stage.reports.recv().await].map(Option::unwrap);
    reports.sort();
    assert_eq!(reports, ["+asha", "-asha"]);
    assert_eq!(stage.server.closes(CloseReason::Superseded), 1);
    assert_eq!((stage.main.len(), stage.main.socket_count("a")), (1, 1));
    stage.emit("a", 3);
    hears(&mut new, &mut after, &n(3)).await;
    // The departure of the old has not taken the new one's place away.
    stage.lose(new, "asha").await;
    let (_ws, last, missed) = stage.connect(&after.auth("asha")).await;
    assert_eq!((last.sid, missed), (memory.sid, vec![]));
}

#[tokio::test]
async fn rooms_come_back_with_what_happened_in_them_since() {
    let mut stage = Stage::new(RecoveryConfig::default()).await;
    let (mut ws, mut memory) = stage.arrived("asha").await;
    stage.emit("all", 0);
    hears(&mut ws, &mut memory, &n(0)).await;
    stage.emit("later", 1);
    call(&mut ws, "join", "later").await;
    call(&mut ws, "join", "left").await;
    call(&mut ws, "leave", "left").await;
    stage.lose(ws, "asha").await;
    stage.emit("left", 2);
    stage.emit("later", 3);
    let (_ws, after, missed) = stage.connect(&memory.auth("asha")).await;
    assert_eq!((after.sid, missed), (memory.sid, vec![n(3)]));
    stage.expect("+asha").await;
    assert_eq!(stage.main.socket_count("later"), 1);
    assert_eq!(stage.main.socket_count("left"), 0);
}

#[tokio::test]
async fn what_an_event_left_out_stays_left_out() {
    let mut stage = Stage::new(RecoveryConfig::default()).await;
    let (ws, memory) = stage.arrived("asha").await;
    stage.lose(ws, "asha").await;
    let event = Outgoing::new(&stage.main, "n", &1).unwrap();
    let own = SocketId::parse(&memory.sid).unwrap();
    stage.main.broadcast(&event, &["all"], &[own]);
    stage.emit("all", 2);
    let (_ws, after, missed) = stage.connect(&memory.auth("asha")).await;
    assert_eq!((after.sid, missed), (memory.sid, vec![n(2)]));
}

#[tokio::test]
async fn a_farewell_is_final() {
    let mut stage = Stage::new(RecoveryConfig::default()).await;
    for (packet, answer) in [
        ("41", None),
        (r#"42["out",""]"#, Some("41")),
        ("4abc", None),
    ] {
        let (mut ws, memory) = stage.arrived("asha").await;
        ws.send(packet).await;
        if let Some(answer) = answer {
            ws.expect(answer).await;
        }
        stage.expect("-asha").await;
        drop(ws);
        let (ws, after, _) = stage.connect(&memory.auth("asha")).await;
        assert_ne!(after.sid, memory.sid, "{packet}");
        stage.expect("+asha").await;
        stage.lose(ws, "asha").await;
    }
}

#[tokio::test]
async fn without_a_key_there_is_no_pid() {
    let mut stage = Stage::new(RecoveryConfig::default()).await;
    let (_ws, memory, _) = stage.connect("{}").await;
    assert_eq!(memory.pid, "");
}

#[tokio::test]
async fn a_banned_user_is_refused_and_gets_nothing() {
    let mut stage = Stage::new(RecoveryConfig::default()).await;
    let (ws, memory) = stage.arrived("asha").await;
    stage.lose(ws, "asha").await;
    let mut ws = stage.server.websocket().await;
    ws.send(&format!("40{}", memory.auth("banned"))).await;
    ws.expect(r#"44{"message":"banned"}"#).await;
    assert_eq!(stage.main.len(), 0);
}

#[tokio::test]
async fn too_late_or_too_much_is_a_new_socket_and_memory_is_bounded() {
    let late = RecoveryConfig {
        window: Duration::from_millis(1),
        ..RecoveryConfig::default()
    };
    let many = RecoveryConfig {
        max_missed: 10,
        max_events: 1000,
        max_bytes: 1 << 20,
        ..RecoveryConfig::default()
    };
    // More bytes than a session's queue takes.
    let large = RecoveryConfig {
        max_missed: 100_000,
        ..RecoveryConfig::default()
    };
    for (config, count, size) in [(late, 0, 0), (many, 100_000, 10), (large, 10, 1 << 20)] {
        let mut stage = Stage::new(config.clone()).await;
        let (ws, memory) = stage.arrived("asha").await;
        stage.lose(ws, "asha").await;
        let event = Outgoing::new(&stage.main, "x", &"x".repeat(size)).unwrap();
        for _ in 0..count {
            stage.main.broadcast(&event, &["all"], &[]);
        }
        sleep(Duration::from_millis(5)).await;
        let counts = stage.main.recovery_counts();
        assert!(counts.events <= config.max_events && counts.bytes <= config.max_bytes);
        let (mut ws, mut after, missed) = stage.connect(&memory.auth("asha")).await;
        assert_ne!(after.sid, memory.sid);
        assert!(missed.is_empty());
        stage.emit("all", 7);
        hears(&mut ws, &mut after, &n(7)).await;
    }
}

#[tokio::test]
async fn whom_nobody_fetches_is_forgotten() {
    let config = RecoveryConfig {
        window: Duration::from_millis(50),
        detection: Duration::ZERO,
        max_sockets: 5,
        ..RecoveryConfig::default()
    };
    let mut stage = Stage::new(config).await;
    for _ in 0..20 {
        let (ws, _) = stage.arrived("asha").await;
        stage.lose(ws, "asha").await;
        stage.emit("all", 1);
        assert!(stage.main.recovery_counts().sockets <= 5);
    }
    while stage.main.recovery_counts() != RecoveryCounts::default() {
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_poller_gets_its_socket_back_too() {
    let mut stage = Stage::new(RecoveryConfig::default()).await;
    let (ws, memory) = stage.arrived("asha").await;
    stage.lose(ws, "asha").await;
    stage.emit("all", 1);
    let poller = stage.server.poller().await;
    poller
        .expect_post(&format!("40{}", memory.auth("asha")), 200)
        .await;
    let body = poller.get().await.body;
    let (missed, reply) = body.split_once('\x1e').unwrap();
    assert!(missed.starts_with(r#"42["n",1,""#), "{missed}");
    assert!(
        reply.contains(&memory.sid) && reply.contains(&memory.pid),
        "{reply}"
    );
}
