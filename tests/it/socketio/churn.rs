//! Clients that come and go, thousands of them, in every way there is: afterwards every gauge is where it was.

use futures_util::future::join_all;
use jivchat::engineio::{self, Counts};
use jivchat::socketio::{RecoveryConfig, RecoveryCounts};

use super::*;
use crate::support::patiently;

/// On each transport.
const CYCLES: usize = 2000;
const AT_ONCE: usize = 20;

/// Joins a room and can be had back.
struct Guest;

impl Handler for Guest {
    type State = ();

    async fn on_connect(&self, socket: &Socket, _: Option<&RawValue>) -> Result<(), ConnectError> {
        socket.recoverable_by("anybody");
        socket.join("all");
        socket.join(socket.id().as_str());
        Ok(())
    }

    async fn on_event(&self, socket: &Socket, (): &(), _: Event) {
        socket.disconnect();
    }

    async fn on_disconnect(&self, _: &Socket, (): (), _: DisconnectReason) {}
}

async fn over_polling(server: &Server<SocketIo<Guest>>, cycle: usize) {
    let poller = server.poller().await;
    if cycle.is_multiple_of(6) {
        // Opened and never seen again.
        return;
    }
    poller.expect_post("40", 200).await;
    match cycle % 6 {
        1 => drop(poller.held_get().await),
        2 => drop(poller.upgrade().await),
        3 => poller.expect_post("41\x1e1", 200).await,
        4 => drop(poller.post("4abc").await),
        _ => {}
    }
}

async fn over_websocket(server: &Server<SocketIo<Guest>>, cycle: usize) {
    let mut ws = server.websocket().await;
    if cycle.is_multiple_of(6) {
        return;
    }
    ws.send("40").await;
    match ws.next_packet().await {
        Next::Text(reply) => assert!(reply.starts_with("40{"), "{reply}"),
        end => panic!("{end:?}"),
    }
    match cycle % 6 {
        1 => ws.send("41").await,
        2 => ws.send(r#"42["out"]"#).await,
        3 => ws.send("4abc").await,
        4 => ws.send("1").await,
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_come_and_go_and_nothing_stays() {
    let config = engineio::Config {
        ping_interval: Duration::from_secs(2),
        ping_timeout: Duration::from_secs(2),
        ..engineio::Config::default()
    };
    let recovery = RecoveryConfig {
        window: Duration::from_millis(100),
        detection: Duration::from_millis(100),
        ..RecoveryConfig::default()
    };
    let main = Namespace::with_recovery("/", recovery);
    let io = Io::of(std::slice::from_ref(&main));
    let layer = SocketIo::new(Config::default(), io, Guest);
    let server = Server::start("/socket.io/", config, layer).await;
    for start in (0..CYCLES).step_by(AT_ONCE) {
        join_all((start..start + AT_ONCE).map(|cycle| over_polling(&server, cycle))).await;
        join_all((start..start + AT_ONCE).map(|cycle| over_websocket(&server, cycle))).await;
        let event = Outgoing::new(&main, "n", &start).unwrap();
        main.broadcast(&event, &["all"], &[]);
    }
    patiently(server.idle()).await;
    assert_eq!(server.engine.sessions(), Counts::default());
    assert_eq!((main.len(), main.room_count()), (0, 0));
    patiently(async {
        while main.recovery_counts() != RecoveryCounts::default() {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let closed: u64 = server.engine.close_counts().map(|(_, count)| count).sum();
    assert_eq!(closed, 2 * CYCLES as u64, "each session has one end");
    assert!(server.engine.shutdown(Duration::from_secs(5)).await);
}
