//! `kill -9` at any moment: under load, while the server compacts, while it rebuilds its index, and while the offline
//! compaction runs; and SIGTERM under load.

use std::path::Path;
use std::time::{Duration, Instant};

use super::load::{Known, Load};
use super::process::{Server, command, spawn, verify};
use super::rounds;

/// Compacts at its start and whenever it looks.
pub(super) const EAGER: [&str; 4] = ["--compact-ratio", "0.001", "--compact-min-size", "0"];

/// A moment of the round, spread evenly over `span` by the golden ratio.
pub(super) fn moment(round: u64, span: Duration) -> Duration {
    let spread = (round * 618_034) % 1_000_000;
    span * u32::try_from(spread).unwrap() / 1_000_000
}

/// Lets time pass, and looks whether the thing that is watched has ended.
pub(super) fn until(moment: Duration, mut ended: impl FnMut() -> bool) {
    let began = Instant::now();
    while began.elapsed() < moment && !ended() {
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

#[test]
fn kill_9_under_load_and_compaction_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let known = Known::default();
    for round in 0..rounds() {
        let flags: &[&str] = if round % 2 == 0 { &EAGER } else { &[] };
        let server = Server::start(directory.path(), flags);
        known.check(&server);
        let load = Load::start(&server, &known, &format!("round-{round}"));
        load.wait_for(1);
        until(moment(round, Duration::from_secs(2)), || false);
        server.kill();
        load.join();
        let report = verify(directory.path());
        assert!(report["messages"].as_u64().unwrap() >= known.count());
    }
    known.check(&Server::start(directory.path(), &[]));
    assert!(known.count() >= rounds());
}

pub(super) fn filled(directory: &Path, messages: u64) -> Known {
    let known = Known::default();
    let server = Server::start(directory, &[]);
    let load = Load::start(&server, &known, "filled");
    load.wait_for(messages);
    load.stop();
    server.kill();
    known
}

#[test]
fn kill_9_during_a_rebuild_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let known = filled(directory.path(), 1000);
    for round in 0..rounds() {
        for lost in ["db", "checkpoint"] {
            let path = directory.path().join(lost);
            // Where the round before was killed early, there is none.
            let _ = std::fs::remove_dir_all(&path);
            let _ = std::fs::remove_file(&path);
        }
        let mut server = spawn(directory.path(), &[]);
        let moment = moment(round, Duration::from_millis(400));
        until(moment, || server.try_wait().unwrap().is_some());
        server.kill().unwrap();
        server.wait().unwrap();
        verify(directory.path());
    }
    known.check(&Server::start(directory.path(), &[]));
}

#[test]
fn kill_9_during_a_compaction_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let known = filled(directory.path(), 1000);
    let path = directory.path().to_str().unwrap();
    let mut cut_off = 0;
    for round in 0..rounds() {
        let mut compaction = command(&["compact", "--data-dir", path]).spawn().unwrap();
        let moment = moment(round, Duration::from_millis(200));
        until(moment, || compaction.try_wait().unwrap().is_some());
        compaction.kill().unwrap();
        cut_off += u32::from(!compaction.wait().unwrap().success());
        verify(directory.path());
    }
    assert!(
        cut_off > 0,
        "every compaction was done before it was killed"
    );
    let whole = command(&["compact", "--data-dir", path]).status().unwrap();
    assert!(whole.success());
    verify(directory.path());
    known.check(&Server::start(directory.path(), &[]));
}

#[test]
fn sigterm_under_load_ends_well_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let known = Known::default();
    let server = Server::start(directory.path(), &EAGER);
    let load = Load::start(&server, &known, "load");
    load.wait_for(50);
    let (status, took) = server.terminate();
    load.join();
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(15), "{took:?}");
    verify(directory.path());
    known.check(&Server::start(directory.path(), &[]));
}
