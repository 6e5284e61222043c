//! What the binary tells a supervisor such as systemd, on a socket that the test made.

use std::path::Path;

use tokio::net::UnixDatagram;

use super::process::{Process, command};
use super::within;

/// The next datagram, as its lines.
async fn heard(socket: &UnixDatagram) -> Vec<String> {
    let mut bytes = [0; 4096];
    let size = within("the server to say something", socket.recv(&mut bytes)).await;
    let text = std::str::from_utf8(&bytes[..size.unwrap()]).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// Everything up to and with the first datagram that says `line`.
async fn until(socket: &UnixDatagram, line: &str) -> Vec<Vec<String>> {
    let mut all = vec![heard(socket).await];
    while !all.last().unwrap().iter().any(|one| one == line) {
        all.push(heard(socket).await);
    }
    all
}

fn supervised(directory: &Path, socket: &str, watchdog: Option<&str>) -> std::process::Command {
    let mut command = command(directory);
    command.env("NOTIFY_SOCKET", socket);
    if let Some(micros) = watchdog {
        command.env("WATCHDOG_USEC", micros);
    }
    command
}

#[tokio::test]
async fn it_says_when_it_is_ready_that_it_lives_and_that_it_stops() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let data = directory.path().join("data");
    let supervised = supervised(&data, path.to_str().unwrap(), Some("90000"));
    let process = Process::spawn(supervised).await;
    let said = until(&socket, "READY=1").await;
    let opening = said.first().unwrap();
    assert!(
        opening[0].starts_with("EXTEND_TIMEOUT_USEC="),
        "{opening:?}"
    );
    let ready = said.last().unwrap();
    assert_eq!(ready[1], format!("STATUS=Listening on {}", process.address));
    for _ in 0..3 {
        assert_eq!(heard(&socket).await, ["WATCHDOG=1", "STATUS=0 clients"]);
    }
    // The address is open by the time it says so.
    process.user("asha").get("/health").await;
    process.signal("TERM");
    until(&socket, "STOPPING=1").await;
    assert!(process.terminate().await.success());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_name_without_a_file_will_do_and_no_watchdog_is_fed_that_is_not_there() {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net;

    let directory = tempfile::tempdir().unwrap();
    let name = format!("jivchat-{}", directory.path().display());
    let address = net::SocketAddr::from_abstract_name(&name).unwrap();
    let socket = net::UnixDatagram::bind_addr(&address).unwrap();
    socket.set_nonblocking(true).unwrap();
    let socket = UnixDatagram::from_std(socket).unwrap();
    let mut supervised = supervised(directory.path(), &format!("@{name}"), Some("1000"));
    supervised.env("WATCHDOG_PID", "1");
    let process = Process::spawn(supervised).await;
    until(&socket, "READY=1").await;
    assert!(process.terminate().await.success());
    let stopping = heard(&socket).await;
    assert_eq!(stopping[0], "STOPPING=1");
}

#[tokio::test]
async fn a_supervisor_that_is_gone_keeps_nobody_from_serving() {
    let directory = tempfile::tempdir().unwrap();
    for socket in ["/nowhere/at/all", "no-path"] {
        let supervised = supervised(directory.path(), socket, Some("1000"));
        let process = Process::spawn(supervised).await;
        process.user("asha").get("/api/chat/my-chats").await.ok(200);
        assert!(process.terminate().await.success());
    }
}
