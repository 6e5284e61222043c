//! `backup --server` and `GET /api/admin/backup`: the backup that a running server gives, also to another machine.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;

use super::backup::{PICTURE, Unrest, assert_holds, fails, names, succeeds};
use super::kill::{EAGER, moment, until};
use super::load::{Known, Load};
use super::process::{Server, command, verify};
use super::rounds;
use crate::support::png_with;

const KEY: &str = "the-key-of-the-storage-tests";
const ADMIN: [&str; 2] = ["--admin-key", KEY];

fn pull_command(server: &Server, to: &Path, key: &Path) -> Command {
    std::fs::write(key, format!("{KEY}\n")).unwrap();
    let mut pull = command(&["backup", "--json"]);
    pull.arg("--server")
        .arg(format!("http://{}", server.address));
    pull.arg("--admin-key-file").arg(key).arg(to);
    pull
}

fn head(method: &str, key: &str) -> String {
    format!(
        "{method} /api/admin/backup HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {key}\r\n\r\n"
    )
}

/// A request whose answer is not read yet.
fn ask(server: &Server, method: &str, key: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_mins(1)))
        .unwrap();
    stream.write_all(head(method, key).as_bytes()).unwrap();
    stream
}

fn answer(mut stream: TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

fn status(answer: &[u8]) -> u16 {
    let status = std::str::from_utf8(&answer[9..12]).unwrap();
    status.parse().unwrap()
}

#[test]
fn a_backup_from_a_server_under_load_holds_everything_acknowledged_before_it() {
    let directory = tempfile::tempdir().unwrap();
    let (data, key) = (directory.path().join("data"), directory.path().join("key"));
    let known = Known::default();
    let server = Server::start(&data, &[&EAGER[..], &ADMIN].concat());
    let load = Load::start(&server, &known, "load");
    let unrest = Unrest::start(&server);
    load.wait_for(50);
    for round in 0..rounds() {
        let backup = directory.path().join(format!("backup-{round}"));
        let before = known.so_far();
        succeeds(pull_command(&server, &backup, &key));
        assert_holds(&backup, directory.path(), &before);
    }
    load.stop();
    assert!(unrest.stop() > 0);
    known.check(&server);
    server.terminate();
    assert_eq!(
        verify(&data)["orphanedFiles"],
        0,
        "nothing is held any more"
    );
}

#[test]
fn a_slow_client_holds_nobody_up_and_nothing_for_ever() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let server = Server::start(&data, &ADMIN);
    let meera = server.client("meera");
    server.client("kabir").get("/api/chat/my-chats");
    let body = json!({ "participantId": "kabir" });
    let (_, opened) = meera.ask("POST", "/api/chat/create", Some(&body)).unwrap();
    let chat = opened["data"]["_id"].as_str().unwrap();
    // More than the buffers on the way take.
    let large = png_with(PICTURE, &vec![7; 12 << 20]);
    let sent: Vec<_> = (0..3)
        .map(|_| meera.upload(chat, &large).unwrap().1["data"].clone())
        .collect();
    let slow = ask(&server, "GET", KEY);
    let mut opening = [0; 12];
    (&slow).read_exact(&mut opening).unwrap();
    assert_eq!(&opening, b"HTTP/1.1 200");
    let second = answer(ask(&server, "GET", KEY));
    assert_eq!(status(&second), 409);
    assert!(String::from_utf8_lossy(&second).contains("backup_running"));
    // The last in the order of names is not on its way yet.
    let path = format!("/api/chat/message/{}", sent[2]["_id"].as_str().unwrap());
    assert_eq!(meera.ask("DELETE", &path, None).unwrap().0, 200);
    let url = sent[2]["media"]["url"].as_str().unwrap();
    assert_eq!(meera.ask("GET", url, None).unwrap().0, 404, "gone at once");
    let tar = answer(slow);
    let name = url.rsplit('/').next().unwrap().as_bytes();
    let is_there = tar.windows(name.len()).any(|one| one == name);
    assert!(is_there, "the state of the beginning shows it");
    // Whoever goes away in the middle frees the place, and what was held goes.
    drop(ask(&server, "GET", KEY));
    let since = std::time::Instant::now();
    while status(&answer(ask(&server, "GET", KEY))) != 200 {
        assert!(since.elapsed() < Duration::from_mins(1));
        std::thread::park_timeout(Duration::from_millis(20));
    }
    let mut left = names(&data.join("media"));
    left.retain(|name| !name.starts_with(".owner"));
    assert_eq!(left.len(), 2);
    server.terminate();
    verify(&data);
}

#[test]
fn a_server_that_is_killed_while_it_sends_leaves_no_backup() {
    let directory = tempfile::tempdir().unwrap();
    let (data, key) = (directory.path().join("data"), directory.path().join("key"));
    let known = Known::default();
    let mut cut_off = 0;
    for round in 0..rounds() {
        let server = Server::start(&data, &ADMIN);
        let load = Load::start(&server, &known, &format!("round-{round}"));
        load.wait_for(100);
        let before = known.so_far();
        let backup = directory.path().join(format!("backup-{round}"));
        let mut pulling = pull_command(&server, &backup, &key);
        let pulling = pulling.stdout(Stdio::piped()).stderr(Stdio::piped());
        let pulling = pulling.spawn().unwrap();
        until(moment(round, Duration::from_millis(40)), || false);
        server.kill();
        load.join();
        let output = pulling.wait_with_output().unwrap();
        if output.status.success() {
            assert_holds(&backup, directory.path(), &before);
        } else {
            fails(&output);
            assert!(!backup.exists());
            cut_off += 1;
        }
    }
    assert!(
        cut_off > 0,
        "every backup was done before the server was killed"
    );
    let partial = |name: &String| name.contains("partial");
    assert!(!names(directory.path()).iter().any(partial));
}

#[test]
fn only_the_key_opens_it_and_only_get() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(&directory.path().join("data"), &ADMIN);
    assert_eq!(
        status(&answer(ask(&server, "GET", "some-other-key-of-theirs"))),
        401
    );
    assert_eq!(status(&answer(ask(&server, "POST", KEY))), 405);
    let closed = Server::start(&directory.path().join("other"), &[]);
    assert_eq!(status(&answer(ask(&closed, "GET", KEY))), 404);
    let (place, key) = (
        directory.path().join("backup"),
        directory.path().join("key"),
    );
    let told = fails(&pull_command(&closed, &place, &key).output().unwrap());
    assert!(told.contains("--admin-key-file"), "{told}");
    let mut wrong = command(&["backup", "--admin-key", "not-the-right-one", "--server"]);
    wrong.arg(format!("http://{}", server.address)).arg(&place);
    assert!(fails(&wrong.output().unwrap()).contains("refuses the admin key"));
    let mut bare = command(&["backup", "--server", "http://127.0.0.1:1"]);
    assert!(fails(&bare.arg(&place).output().unwrap()).contains("--admin-key-file"));
    let mut other = command(&["backup", "--admin-key", KEY, "--server", "ftp://x"]);
    assert!(fails(&other.arg(&place).output().unwrap()).contains("http://HOST:PORT"));
    assert!(!place.exists());
    succeeds(pull_command(&server, &place, &key));
}
