//! `export` of a real server's data, there and back: what a client sees of the copy is what it sees of the original.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::backup::backup_command;
use super::load::chat;
use super::process::{Server, command, run_json, verify};
use crate::support::photos;

/// An export's lines, but for its time and the numbers that only order chats, which become places.
pub(super) fn exported(data: &Path) -> Vec<Value> {
    let output = command(&["export", "--data-dir", data.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    lines[0]["exportedAt"].take();
    let mut order: Vec<u64> = lines
        .iter()
        .filter_map(|line| line["activity"].as_u64())
        .collect();
    order.sort_unstable();
    for line in &mut lines {
        if let Some(activity) = line["activity"].as_u64() {
            line["activity"] = json!(order.iter().position(|one| *one == activity));
        }
    }
    lines
}

fn ask(server: &Server, user: &str, method: &str, path: &str, body: &Value) -> Value {
    let (status, answer) = server.client(user).ask(method, path, Some(body)).unwrap();
    assert!(status == 200 || status == 201, "{path}: {status} {answer}");
    answer["data"].clone()
}

/// A conversation with everything a chat can have but files; answers the chat.
fn converse(server: &Server) -> String {
    let id = chat(server);
    let send = format!("/api/chat/{id}/send");
    let first = ask(
        server,
        "rohan",
        "POST",
        &send,
        &json!({"content": "<b>first</b> & \"last\"", "clientMessageId": "c-1"}),
    );
    let reply = json!({"content": "नमस्ते\nasha", "parentMessageId": first["_id"]});
    ask(server, "asha", "POST", &send, &reply);
    let gone = ask(
        server,
        "rohan",
        "POST",
        &send,
        &json!({"content": "forget-these-words", "clientMessageId": "c-2"}),
    );
    ask(
        server,
        "rohan",
        "DELETE",
        &format!("/api/chat/message/{}", gone["_id"].as_str().unwrap()),
        &json!({}),
    );
    ask(
        server,
        "asha",
        "PUT",
        &format!("/api/chat/{id}/mark-read"),
        &json!({}),
    );
    ask(
        server,
        "rohan",
        "POST",
        &send,
        &json!({"content": "\u{1b}[31munread", "clientMessageId": "c-3"}),
    );
    server.client("kabir").get("/api/chat/my-chats");
    let other = ask(
        server,
        "kabir",
        "POST",
        "/api/chat/create",
        &json!({"participantId": "asha", "chatType": "general"}),
    );
    let other = other["_id"].as_str().unwrap();
    ask(
        server,
        "asha",
        "PUT",
        &format!("/api/chat/{other}/toggle-block"),
        &json!({}),
    );
    id
}

/// All that these people can see.
/// What everybody sees once every message is known to have been handed over, which is told after the answer that did it.
fn seen_by_all(server: &Server) -> Vec<Value> {
    loop {
        let seen = seen(server);
        if !Value::from(seen.clone())
            .to_string()
            .contains(r#""status":"sent""#)
        {
            return seen;
        }
    }
}

fn seen(server: &Server) -> Vec<Value> {
    let mut seen = Vec::new();
    for user in ["asha", "rohan", "kabir"] {
        let client = server.client(user);
        let chats = client.get("/api/chat/my-chats");
        for chat in chats["chats"].as_array().unwrap() {
            let id = chat["_id"].as_str().unwrap();
            seen.push(client.get(&format!("/api/chat/{id}/messages")));
        }
        seen.push(client.get("/api/chat/unread-count"));
        seen.push(chats);
    }
    seen
}

#[test]
fn a_copy_is_seen_as_the_original_is() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(first.path(), &[]);
    let chat = converse(&server);
    let expected = seen_by_all(&server);
    server.terminate();
    let out = first.path().join("all.ndjson");
    let arguments = [
        "export",
        out.to_str().unwrap(),
        "--data-dir",
        first.path().to_str().unwrap(),
    ];
    assert!(command(&arguments).status().unwrap().success());
    let output = command(&[
        "import",
        out.to_str().unwrap(),
        "--data-dir",
        second.path().to_str().unwrap(),
    ])
    .output()
    .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(exported(second.path()), exported(first.path()));
    verify(second.path());
    let server = Server::start(second.path(), &[]);
    assert_eq!(seen(&server), expected);
    let again = json!({"content": "<b>first</b> & \"last\"", "clientMessageId": "c-1"});
    let (status, _) = server
        .client("rohan")
        .ask("POST", &format!("/api/chat/{chat}/send"), Some(&again))
        .unwrap();
    assert_eq!(status, 200, "a retry stores nothing");
}

#[test]
fn a_person_gets_what_is_theirs_in_every_form() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), &[]);
    let chat = converse(&server);
    let busy = command(&["export", "--data-dir", data.path().to_str().unwrap()])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&busy.stderr).into_owned();
    assert!(
        busy.status.code() == Some(1) && told.contains("jivchat backup"),
        "{told}"
    );
    server.terminate();
    let export = |flags: &[&str]| {
        let mut all = vec!["export", "--data-dir", data.path().to_str().unwrap()];
        all.extend(flags);
        let output = command(&all).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let json: Value =
        serde_json::from_str(&export(&["--user", "rohan", "--format", "json"])).unwrap();
    assert_eq!(json["user"]["_id"], "rohan");
    assert_eq!(
        json["chats"].as_array().unwrap().len(),
        1,
        "not those of others"
    );
    let messages = json["chats"][0]["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 4);
    assert_eq!(messages[0]["status"], "read");
    assert_eq!(messages[1]["parentMessage"]["_id"], messages[0]["_id"]);
    let html = export(&["--chat", &chat, "--format", "html"]);
    assert!(
        html.contains("&lt;b&gt;first&lt;/b&gt; &amp; &quot;last&quot;"),
        "{html}"
    );
    for absent in [
        "<b>first",
        "<script",
        "http:",
        "https:",
        "\u{1b}",
        "forget-these",
    ] {
        assert!(!html.contains(absent), "{absent} in {html}");
    }
    let text = export(&["--user", "asha", "--format", "text"]);
    assert!(
        text.contains("rohan: <b>first</b>") && text.contains("नमस्ते\n    asha"),
        "{text}"
    );
    assert!(
        !text.contains('\u{1b}'),
        "nothing that a terminal would obey"
    );
    let lines = export(&["--user", "kabir"]);
    assert_eq!(
        lines
            .lines()
            .filter(|line| line.contains("\"type\":\"chat\""))
            .count(),
        1
    );
    assert!(!lines.contains("rohan"), "{lines}");
    for wrong in [
        &["--user", "nobody", "--format", "json"][..],
        &["--chat", "0123456789abcdef01234567"],
        &["--format", "html"],
    ] {
        let mut all = vec!["export", "--data-dir", data.path().to_str().unwrap()];
        all.extend(wrong);
        let output = command(&all).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{wrong:?}");
        assert_eq!(
            String::from_utf8(output.stderr)
                .unwrap()
                .trim()
                .lines()
                .count(),
            1
        );
    }
}

#[test]
fn a_cut_off_or_changed_export_is_refused() {
    let (data, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(data.path(), &[]);
    converse(&server);
    server.terminate();
    let out = target.path().join("all.ndjson");
    let arguments = [
        "export",
        out.to_str().unwrap(),
        "--data-dir",
        data.path().to_str().unwrap(),
        "--json",
    ];
    let output = command(&arguments).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["messages"], 4);
    let whole = std::fs::read_to_string(&out).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let into = target.path().join("data");
    for kept in [
        &lines[..lines.len() - 1],
        &lines[..lines.len() - 2],
        &[&lines[..1], &lines[2..]].concat(),
    ] {
        std::fs::write(&out, kept.join("\n")).unwrap();
        let arguments = [
            "import",
            out.to_str().unwrap(),
            "--data-dir",
            into.to_str().unwrap(),
        ];
        let output = command(&arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(!into.exists());
    }
}

/// Every path below a directory.
fn paths(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(paths(&path));
        }
        found.push(path);
    }
    found.sort();
    found
}

#[test]
fn a_backup_is_exported_without_a_trace() {
    let directory = tempfile::tempdir().unwrap();
    let (data, backup) = (
        directory.path().join("data"),
        directory.path().join("backup"),
    );
    let server = Server::start(&data, &[]);
    converse(&server);
    server.terminate();
    assert!(backup_command(&data, &backup).status().unwrap().success());
    let before = paths(&backup);
    assert_eq!(exported(&backup), exported(&data));
    assert_eq!(paths(&backup), before);
}

/// As a user who may only read; root may everything, so root becomes nobody for it.
#[test]
fn a_directory_that_may_only_be_read_is_exported() {
    let directory = tempfile::tempdir().unwrap();
    let (data, temporary) = (directory.path().join("data"), directory.path().join("tmp"));
    let server = Server::start(&data, &[]);
    converse(&server);
    server.terminate();
    let expected = exported(&data);
    let binary = directory.path().join("jivchat");
    std::fs::copy(env!("CARGO_BIN_EXE_jivchat"), &binary).unwrap();
    std::fs::create_dir(&temporary).unwrap();
    let set_mode = |path: &Path, mode| {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    };
    for path in paths(&data) {
        set_mode(&path, if path.is_dir() { 0o555 } else { 0o444 });
    }
    set_mode(&data, 0o555);
    set_mode(&temporary, 0o777);
    set_mode(directory.path(), 0o755);
    let before = paths(&data);
    let mut export = Command::new(&binary);
    export.args(["export", "--data-dir"]).arg(&data);
    export.env("TMPDIR", &temporary);
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    if is_root {
        export.uid(65_534).gid(65_534);
    }
    let output = export.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    assert_eq!(lines.lines().count(), expected.len());
    assert_eq!(paths(&data), before);
    assert_eq!(paths(&temporary), [] as [PathBuf; 0], "it goes away again");
    for path in paths(&data).iter().rev().chain([&data]) {
        set_mode(path, 0o755);
    }
}

#[test]
fn an_export_that_is_told_to_stop_leaves_nothing_and_one_that_was_killed_is_swept() {
    let directory = tempfile::tempdir().unwrap();
    let (data, out) = (directory.path().join("data"), directory.path().join("out"));
    std::fs::create_dir(&out).unwrap();
    let server = Server::start(&data, &[]);
    let chat = converse(&server);
    let picture = photos::picture(8, 8, image::ImageFormat::Png);
    let (status, _) = server.client("rohan").upload(&chat, &picture).unwrap();
    assert_eq!(status, 201);
    server.terminate();
    let media = data.join("media");
    let entries = std::fs::read_dir(&media).unwrap();
    let mut names = entries.map(|entry| entry.unwrap().path());
    let file = names.find(|path| path.extension().is_some_and(|one| one == "png"));
    let file = file.unwrap();
    // Whoever opens it waits for somebody who writes.
    std::fs::remove_file(&file).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(&file)
            .status()
            .unwrap()
            .success()
    );
    let target = out.join("all.ndjson");
    let files = directory.path().join("files");
    let mut arguments = vec!["export", target.to_str().unwrap()];
    arguments.extend(["--data-dir", data.to_str().unwrap()]);
    let with_files = [&arguments[..], &["--media", files.to_str().unwrap()]].concat();
    for (signal, code) in [("TERM", Some(143)), ("INT", Some(130)), ("KILL", None)] {
        let mut export = command(&with_files).spawn().unwrap();
        while paths(&out).is_empty() {
            assert!(export.try_wait().unwrap().is_none());
            std::thread::park_timeout(Duration::from_millis(5));
        }
        let id = export.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &id]).status();
        assert!(sent.unwrap().success());
        assert_eq!(export.wait().unwrap().code(), code, "{signal}");
        assert_eq!(paths(&out).len(), usize::from(signal == "KILL"), "{signal}");
    }
    let other = out.join("all.ndjson.mine.tmp");
    std::fs::write(&other, "not an export's").unwrap();
    assert!(command(&arguments).status().unwrap().success());
    assert_eq!(paths(&out), [target, other]);
}

#[test]
fn an_export_needs_no_index_and_leaves_the_directory_as_it_was() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), &[]);
    converse(&server);
    // Killed: the end of the journal is not in a checkpoint.
    server.kill();
    let expected = exported(data.path());
    for lost in ["db", "checkpoint"] {
        let path = data.path().join(lost);
        let _ = std::fs::remove_dir_all(&path);
        let _ = std::fs::remove_file(&path);
    }
    let entries = || {
        let entries = std::fs::read_dir(data.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = entries();
    assert_eq!(exported(data.path()), expected);
    assert_eq!(entries(), before);
    let (output, _) = run_json("export", &data.path().join("nothing"));
    assert_eq!(output.status.code(), Some(1));
    verify(data.path());
}
