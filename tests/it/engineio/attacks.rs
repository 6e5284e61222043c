//! Published attacks on this protocol's servers, byte for byte: an answer in time, nothing left behind, and nobody else notices.

use super::*;
use crate::support::patiently_for;

/// A polling session for those that need one, and a client that must not notice anything.
struct Scene<H: Handler> {
    server: Server<H>,
    bystander: Ws,
}

async fn scene() -> Scene<impl Handler> {
    let server = echo().await;
    let bystander = server.websocket().await;
    Scene { server, bystander }
}

impl<H: Handler> Scene<H> {
    /// Afterwards the bystander is the only one there, and is served.
    async fn is_unharmed(&mut self, name: &str) {
        self.bystander.send(&format!("4{name}")).await;
        self.bystander.expect(&format!("4{name}")).await;
        patiently_for(name, async {
            while self.server.engine.sessions() != bystander_alone() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert_eq!(
            self.server.closes(CloseReason::HandlerPanicked),
            0,
            "{name}"
        );
    }
}

fn bystander_alone() -> Counts {
    Counts {
        polling: 0,
        websocket: 1,
        unaccepted: 1,
    }
}

#[tokio::test]
async fn bodies() {
    let mut scene = scene().await;
    let v3_binary: &[u8] = b"\x01\x05\xff\x04\x01\x02";
    let tiny = "4\x1e".repeat(500_000);
    let pongs = "3\x1e".repeat(9_999);
    let octets = "Content-Type: application/octet-stream\r\n";
    let rows: [(&str, &str, &[u8], u16); 14] = [
        ("500,000 tiny packets", "", &tiny.as_bytes()[..999_999], 413),
        ("9,999 pongs", "", pongs.as_bytes(), 200),
        ("v3 payload", "", b"1:4", 200),
        ("v3 payload of many", "", b"2:402:40", 400),
        ("v3 truncated binary", "", v3_binary, 400),
        (
            "v3 truncated binary as octet stream",
            octets,
            v3_binary,
            400,
        ),
        ("octet stream", octets, b"4a", 400),
        ("multi-byte first character", "", "éabcd".as_bytes(), 400),
        (
            "multi-byte after a packet",
            "",
            "4a\x1eébcd".as_bytes(),
            400,
        ),
        ("b alone", "", b"b", 200),
        ("base64 of one character", "", b"bA", 400),
        ("NUL", "", b"\0", 400),
        ("not text", "", b"\xff\xfe\xfd", 400),
        ("half a character", "", b"4\xc3", 400),
    ];
    for (name, headers, body, status) in rows {
        let poller = scene.server.poller().await;
        let mut bytes = format!(
            "POST {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n",
            scene.server.target(&poller.query()),
            body.len()
        )
        .into_bytes();
        bytes.extend_from_slice(body);
        let answer = request(scene.server.address, bytes).await;
        assert_eq!(answer.status, status, "{name}");
        // Some are legal, and one of them is a CLOSE.
        poller.post("1").await;
        scene.is_unharmed(name).await;
    }
}

#[tokio::test]
async fn octet_streams_again_and_again() {
    let mut scene = scene().await;
    for _ in 0..100 {
        let poller = scene.server.poller().await;
        let mut raw = Raw::connect(scene.server.address).await;
        raw.write(format!(
            "POST {} HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\nContent-Length: 900000\r\n\r\n",
            scene.server.target(&poller.query())
        ))
        .await;
        // Before a byte of the body has come.
        assert_eq!(raw.answer().await.status, 400);
    }
    scene.is_unharmed("octet streams").await;
}

#[tokio::test]
async fn requests() {
    let mut scene = scene().await;
    let open = scene.server.target(OPEN_WEBSOCKET);
    let of = |query: &str| scene.server.target(query);
    let foreign = "Origin: https://evil.example\r\n";
    let rows = [
        (
            "transport=__proto__",
            of("EIO=4&transport=__proto__"),
            "",
            400,
        ),
        (
            "transport=constructor",
            of("EIO=4&transport=constructor"),
            "",
            400,
        ),
        (
            "upgrade with transport=__proto__",
            of("EIO=4&transport=__proto__"),
            UPGRADE,
            400,
        ),
        (
            "upgrade with transport=constructor",
            of("EIO=4&transport=constructor"),
            UPGRADE,
            400,
        ),
        ("v3", of("EIO=3&transport=polling"), "", 400),
        ("v3 with b64", of("EIO=3&transport=polling&b64=1"), "", 400),
        (
            "sid=garbage",
            of("EIO=4&transport=polling&sid=garbage"),
            "",
            400,
        ),
        (
            "sid of 64 kB",
            of(&format!(
                "EIO=4&transport=polling&sid={}",
                "a".repeat(60_000)
            )),
            "",
            400,
        ),
        (
            "upgrade of sid=garbage",
            of("EIO=4&transport=websocket&sid=garbage"),
            UPGRADE,
            400,
        ),
        (
            "foreign origin and unknown session",
            of("EIO=4&transport=polling&sid=x"),
            foreign,
            400,
        ),
        (
            "h2c",
            of("EIO=4&transport=websocket"),
            "Connection: Upgrade\r\nUpgrade: h2c\r\n",
            400,
        ),
        (
            "upgrade by POST",
            open.clone(),
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
            400,
        ),
    ];
    for (name, target, headers, status) in rows {
        let text = format!("GET {target} HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
        let mut raw = Raw::connect(scene.server.address).await;
        raw.write(text).await;
        let answer = raw.answer().await;
        assert_eq!(answer.status, status, "{name}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{name}");
        scene.is_unharmed(name).await;
    }
}

#[tokio::test]
async fn heads_that_make_no_sense() {
    let mut scene = scene().await;
    let open = scene.server.target(OPEN_WEBSOCKET);
    for (name, bytes) in [
        ("no HTTP at all", b"\x16\x03\x01\x00\xa5\x01\x00".to_vec()),
        (
            "a control character in Origin",
            format!("GET {open} HTTP/1.1\r\nHost: x\r\nOrigin: a\x01b\r\n\r\n").into_bytes(),
        ),
        (
            "a header without end",
            [b"GET / HTTP/1.1\r\nX: ", "a".repeat(1 << 20).as_bytes()].concat(),
        ),
        (
            "headers without end",
            [b"GET / HTTP/1.1\r\n", "X: a\r\n".repeat(100_000).as_bytes()].concat(),
        ),
    ] {
        let mut raw = Raw::connect(scene.server.address).await;
        raw.write(bytes).await;
        let answer = String::from_utf8_lossy(&raw.read_to_end().await).into_owned();
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{name}: {answer}"
        );
        scene.is_unharmed(name).await;
    }
}

#[tokio::test]
async fn connections_reset_at_every_step() {
    let mut scene = scene().await;
    let open = scene.server.target(OPEN_WEBSOCKET);
    let get = scene.server.target(OPEN_POLLING);
    for (name, bytes) in [
        ("connected", String::new()),
        ("half a request line", "GET /engi".to_owned()),
        ("half a head", format!("GET {open} HTTP/1.1\r\nHost:")),
        (
            "handshake",
            format!("GET {open} HTTP/1.1\r\nHost: x\r\n{UPGRADE}\r\n"),
        ),
        (
            "handshake and half a frame",
            format!("GET {open} HTTP/1.1\r\nHost: x\r\n{UPGRADE}\r\n\u{1}"),
        ),
        (
            "h2c",
            "GET /engine.io/ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
                .to_owned(),
        ),
        (
            "half a body without a session",
            format!("POST {get} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n4a"),
        ),
    ] {
        for _ in 0..20 {
            let mut raw = Raw::connect(scene.server.address).await;
            raw.write(&bytes).await;
            crate::support::settled().await;
            raw.0.set_zero_linger().unwrap();
        }
        scene.is_unharmed(name).await;
    }
}
