//! What the system may withhold from a process, without root: file sizes, descriptors, permissions.

use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::load::{Known, Load};
use super::process::{Server, refused, verify};

/// Sets how large a file the process may write. The hard limit stays, so that it can be lifted again.
fn limit_files(server: &Server, bytes: &str) {
    let status = Command::new("prlimit")
        .args(["--pid", &server.id().to_string()])
        .arg(format!("--fsize={bytes}:unlimited"))
        .status()
        .unwrap();
    assert!(status.success());
}

fn largest_file(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => largest_file(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    sizes.max().unwrap_or(0)
}

/// Growing files are refused to the process as on a full disk (EFBIG counts as ENOSPC does), the index's and the journal's
/// in turn; then they are allowed again.
#[test]
fn a_disk_that_takes_no_more_refuses_writes_keeps_reads_and_recovers_by_itself() {
    let directory = tempfile::tempdir().unwrap();
    let known = Known::default();
    // Else the system ends a process that goes past the limit.
    let server = Server::start_limited(directory.path(), "trap '' XFSZ", &[]);
    let load = Load::start(&server, &known, "load");
    load.wait_for(200);
    let index = largest_file(&directory.path().join("db"));
    let journal = largest_file(&directory.path().join("journal"));
    for limit in [index.min(journal) + 20_000, index.max(journal) + 1000, 1000] {
        limit_files(&server, &limit.to_string());
        let before = load.refused();
        load.wait_until("a refusal", || load.refused() > before + 20);
        known.check(&server);
        limit_files(&server, "unlimited");
        load.wait_for(100);
    }
    load.stop();
    known.check(&server);
    let (status, _) = server.terminate();
    assert!(status.success(), "{status}");
    verify(directory.path());
    known.check(&Server::start(directory.path(), &[]));
}

#[test]
fn a_server_without_descriptors_recovers_when_connections_close() {
    let directory = tempfile::tempdir().unwrap();
    let known = Known::default();
    let eager = ["--compact-ratio", "0.001", "--compact-min-size", "0"];
    let server = Server::start_limited(directory.path(), "ulimit -n 48", &eager);
    let load = Load::start(&server, &known, "before");
    load.wait_for(20);
    load.stop();
    let idle: Vec<TcpStream> = (0..100)
        .map(|_| TcpStream::connect(server.address).unwrap())
        .collect();
    let descriptors = || {
        let open = std::fs::read_dir(format!("/proc/{}/fd", server.id()));
        open.map_or(48, Iterator::count)
    };
    let began = Instant::now();
    while descriptors() < 48 {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{} are open",
            descriptors()
        );
        std::thread::park_timeout(Duration::from_millis(5));
    }
    drop(idle);
    let load = Load::start(&server, &known, "after");
    load.wait_for(20);
    load.stop();
    let (status, _) = server.terminate();
    assert!(status.success(), "{status}");
    verify(directory.path());
    known.check(&Server::start(directory.path(), &[]));
}

fn assert_one_line(output: &std::process::Output, took: Duration, remedy: &str) {
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert_eq!(told.trim().lines().count(), 1, "{told}");
    assert!(told.contains(remedy), "{told}");
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn directories_that_cannot_be_used_are_refused_in_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    std::fs::write(&path, "a file").unwrap();
    let (output, took) = refused(&path);
    assert_one_line(&output, took, "--data-dir");
    let (output, took) = refused(Path::new("/proc/jivchat"));
    assert_one_line(&output, took, "--data-dir");
}

/// As a user who may only read; root may everything, so root becomes nobody for it.
#[test]
fn a_directory_that_may_only_be_read_is_refused_in_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    Server::start(&data, &[]).terminate();
    let binary = directory.path().join("jivchat");
    std::fs::copy(env!("CARGO_BIN_EXE_jivchat"), &binary).unwrap();
    let set_mode = |path: &Path, mode| {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    };
    set_mode(&data, 0o555);
    set_mode(directory.path(), 0o755);
    let mut server = Command::new(&binary);
    server.args(["--port", "0", "--data-dir"]).arg(&data);
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    if is_root {
        server.uid(65_534).gid(65_534);
    }
    let began = Instant::now();
    let output = server.output().unwrap();
    assert_one_line(&output, began.elapsed(), "mode");
    set_mode(&data, 0o755);
    verify(&data);
}

#[test]
fn a_newer_schema_and_a_damaged_journal_are_refused_in_one_line_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let known = Known::default();
    let server = Server::start(directory.path(), &[]);
    let load = Load::start(&server, &known, "load");
    load.wait_for(50);
    load.stop();
    server.terminate();
    let schema = directory.path().join("schema");
    std::fs::write(&schema, "2\n").unwrap();
    let (output, took) = refused(directory.path());
    assert_one_line(&output, took, "schema 2");
    std::fs::write(&schema, "1\n").unwrap();
    let segment = directory.path().join("journal/0000000000000001.log");
    let sound = std::fs::read(&segment).unwrap();
    let mut damaged = sound.clone();
    damaged[sound.len() / 2] ^= 1;
    std::fs::write(&segment, &damaged).unwrap();
    let (output, took) = refused(directory.path());
    assert_one_line(&output, took, "backup");
    assert_eq!(std::fs::read(&segment).unwrap(), damaged);
    std::fs::write(&segment, &sound).unwrap();
    known.check(&Server::start(directory.path(), &[]));
}
