//! `verify`, `compact` and `stats` as a person or a script meets them.

use std::time::{Duration, Instant};

use serde_json::json;

use super::load::{Known, Load, chat};
use super::process::{Server, command, files_with, run_json, verify};

const EAGER: [&str; 4] = ["--compact-ratio", "0.001", "--compact-min-size", "0"];

/// Sends a message with these words and deletes it.
fn say_and_delete(server: &Server, words: &str) {
    let chat = chat(server);
    let rohan = server.client("rohan");
    let body = json!({ "content": words });
    let path = format!("/api/chat/{chat}/send");
    let (status, sent) = rohan.ask("POST", &path, Some(&body)).unwrap();
    assert_eq!(status, 201, "{sent}");
    let path = format!(
        "/api/chat/message/{}",
        sent["data"]["_id"].as_str().unwrap()
    );
    let (status, deleted) = rohan.ask("DELETE", &path, None).unwrap();
    assert_eq!(status, 200, "{deleted}");
}

#[test]
fn deleted_words_are_gone_from_the_disk_after_compact() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    for number in 0..20 {
        say_and_delete(&server, &format!("forget-these-words {number}"));
    }
    server.terminate();
    let words = "forget-these-words";
    assert!(!files_with(directory.path(), words).is_empty());
    let (output, report) = run_json("compact", directory.path());
    assert!(output.status.success(), "{output:?}");
    assert!(report["journalBytesAfter"].as_u64() < report["journalBytesBefore"].as_u64());
    assert_eq!(
        files_with(directory.path(), words),
        [] as [std::path::PathBuf; 0]
    );
    assert_eq!(verify(directory.path())["messages"], 20);
    let server = Server::start(directory.path(), &[]);
    let history = server
        .client("asha")
        .get(&format!("/api/chat/{}/messages", chat(&server)));
    assert_eq!(history["messages"].as_array().unwrap().len(), 20);
}

#[test]
fn deleted_words_are_gone_from_the_disk_of_a_running_server_that_compacts_by_itself() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &EAGER);
    let known = Known::default();
    let words = "forget-these-words";
    let chat = chat(&server);
    let deleted = {
        // In a chat of its own, so that the load's history is its own.
        server.client("kabir").get("/api/chat/my-chats");
        let rohan = server.client("rohan");
        let body = json!({ "participantId": "kabir" });
        let (_, opened) = rohan.ask("POST", "/api/chat/create", Some(&body)).unwrap();
        let other = opened["data"]["_id"].as_str().unwrap().to_owned();
        assert_ne!(other, chat);
        let body = json!({ "content": words });
        let path = format!("/api/chat/{other}/send");
        let (_, sent) = rohan.ask("POST", &path, Some(&body)).unwrap();
        let path = format!(
            "/api/chat/message/{}",
            sent["data"]["_id"].as_str().unwrap()
        );
        rohan.ask("DELETE", &path, None).unwrap().0
    };
    assert_eq!(deleted, 200);
    let load = Load::start(&server, &known, "load");
    let began = Instant::now();
    while !files_with(directory.path(), words).is_empty() {
        assert!(
            began.elapsed() < Duration::from_mins(1),
            "it is still there"
        );
        load.wait_for(20);
    }
    load.stop();
    known.check(&server);
    server.kill();
    verify(directory.path());
}

#[test]
fn a_directory_in_use_is_refused_and_its_server_not_disturbed() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    for name in ["verify", "compact", "stats"] {
        let (output, _) = run_json(name, directory.path());
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{name}: {told}");
        assert_eq!(told.trim().lines().count(), 1, "{name}: {told}");
        assert!(told.contains(&server.id().to_string()), "{name}: {told}");
    }
    chat(&server);
}

#[test]
fn a_path_that_is_no_data_directory_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["verify", "stats"] {
        let (output, _) = run_json(name, directory.path());
        assert_eq!(output.status.code(), Some(1), "{name}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("--data-dir"));
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    let wrong = command(&["verify", "--nonsense"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn stats_count_what_verify_counts() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    let known = Known::default();
    let load = Load::start(&server, &known, "load");
    load.wait_for(30);
    load.stop();
    server.terminate();
    let verified = verify(directory.path());
    let (output, stats) = run_json("stats", directory.path());
    assert!(output.status.success());
    assert_eq!(stats["rows"]["messages"], verified["messages"]);
    assert_eq!(stats["rows"]["messages"], known.count());
    assert_eq!(stats["checkpoint"], verified["lastCommit"]);
    assert!(stats["journalBytes"].as_u64().unwrap() > 1000);
}

#[test]
fn verify_fails_where_a_file_is_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    chat(&server);
    server.terminate();
    let segment = directory.path().join("journal/0000000000000001.log");
    let mut bytes = std::fs::read(&segment).unwrap();
    // In the first of several frames.
    bytes[100] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let (output, _) = run_json("verify", directory.path());
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("segment 1") && told.contains("backup"),
        "{told}"
    );
}
