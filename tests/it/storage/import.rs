//! `import` of what mongoexport wrote of the Node backend's collections: in every form of extended JSON, judged whole before
//! anything is written, cut off at any moment, and then served by the real routes.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use jivchat::exchange::UNFINISHED;
use jivchat::model::Timestamp;
use jivchat::store::{Inspection, Options, Reading, Store};
use serde_json::{Value, json};

use super::export::exported;
use super::process::{Server, command, files_with, verify};
use super::rounds;
use crate::support::photos;

const ASHA: &str = "64f0c0ffee00000000000001";
const ROHAN: &str = "64f0c0ffee00000000000002";
const MEERA: &str = "64f0c0ffee00000000000003";
const ABOUT_A_PET: &str = "677bc4a00000000000000001";
const MERGED: &str = "677bc4a00000000000000003";

/// Like a real one as far as anybody looks at it.
const JPEG: &[u8] = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xd9";

/// A part of this picture says that it is longer than it is, and the next cannot be found.
const BROKEN: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0\x3a\x7e\x9b\x55\
    \0\0\0\x0aIDAT\x78\x9c\x6b\x00\0\0\x82\0\x81\xdd\x43\x6a\xf4\0\0\0\0IEND\xae\x42\x60\x82 and more";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/storage/fixtures/original")
}

/// Runs an import; what it prints as JSON, if it comes that far.
fn import(paths: &[&Path], data: &Path, flags: &[&str]) -> (Output, Value) {
    let mut all = vec!["import", "--json", "--data-dir", data.to_str().unwrap()];
    all.extend(paths.iter().map(|path| path.to_str().unwrap()));
    all.extend(flags);
    let output = command(&all).output().unwrap();
    let report = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output, report)
}

fn imported(paths: &[&Path], data: &Path, flags: &[&str]) -> Value {
    let (output, report) = import(paths, data, flags);
    assert!(output.status.success(), "{output:?}");
    report
}

fn media() -> tempfile::TempDir {
    let media = tempfile::tempdir().unwrap();
    std::fs::write(media.path().join("chat-1640995200-123456789.jpg"), JPEG).unwrap();
    media
}

fn messages(server: &Server, user: &str, chat: &str) -> Vec<Value> {
    let data = server
        .client(user)
        .get(&format!("/api/chat/{chat}/messages?limit=100"));
    data["messages"].as_array().unwrap().clone()
}

#[test]
fn a_mongodb_is_served_as_it_was() {
    let (data, media) = (tempfile::tempdir().unwrap(), media());
    let flags = ["--media", media.path().to_str().unwrap()];
    let report = imported(&[&fixtures()], data.path(), &flags);
    assert_eq!(
        report["read"],
        json!({"erased": 0, "users": 3, "pets": 1, "chats": 4, "messages": 6})
    );
    assert_eq!(report["merged"], json!([[MERGED, ABOUT_A_PET]]));
    assert_eq!((&report["files"], &report["stubs"]), (&json!(1), &json!(1)));
    let verified = verify(data.path());
    assert_eq!(
        (&verified["chats"], &verified["messages"]),
        (&json!(3), &json!(6))
    );
    for gone in ["kept-out-of-everything", "words that were deleted"] {
        assert_eq!(files_with(data.path(), gone), [] as [PathBuf; 0]);
    }

    let server = Server::start(data.path(), &[]);
    let listed = server.client(ASHA).get("/api/chat/my-chats");
    let ids: Vec<_> = listed["chats"]
        .as_array()
        .unwrap()
        .iter()
        .map(|chat| &chat["_id"])
        .collect();
    assert_eq!(
        ids,
        [
            "677bc4a00000000000000002",
            ABOUT_A_PET,
            "677bc4a00000000000000004"
        ],
        "newest first"
    );
    let direct = &listed["chats"][0];
    assert_eq!(direct["blockedBy"], json!([MEERA]));
    assert_eq!(direct["participants"][0]["name"], "मीरा");
    let chat = &listed["chats"][1];
    assert_eq!(chat["createdAt"], "2025-01-06T11:58:20.000Z");
    assert_eq!(chat["lastMessage"]["_id"], "677bc4a0000000000000b004");
    assert_eq!(chat["lastMessageTime"], "2025-01-06T12:05:00.000Z");
    assert_eq!(
        chat["petListing"],
        json!({
            "_id": "64f0c0ffee000000000000a1", "title": "Golden Retriever Puppy", "images": [{"url": "/uploads/pets/1.jpg"}],
            "price": 15000, "address": "Delhi", "owner": ASHA, "vaccinated": true, "born": "2024-11-01T00:00:00.000Z", "__v": 0
        })
    );
    assert_eq!(
        chat["unreadCount"],
        json!([{"userId": ROHAN, "count": 1}, {"userId": ASHA, "count": 2}]),
        "of both chats that are one"
    );
    let unread = server.client(ASHA).get("/api/chat/unread-count");
    assert_eq!(unread["unreadCount"], 3);
    let stub = &listed["chats"][2]["participants"][1];
    assert_eq!(
        (&stub["_id"], &stub["name"]),
        (&json!("64f0c0ffee0000000000dead"), &json!("User dead"))
    );

    check_messages(&server, &messages(&server, ROHAN, ABOUT_A_PET));
}

fn check_messages(server: &Server, messages: &[Value]) {
    let column =
        |name: &str| -> Vec<Value> { messages.iter().map(|one| one[name].clone()).collect() };
    assert_eq!(column("seq"), [1, 2, 3, 4, 5].map(|seq| json!(seq)));
    let ids = ["b001", "b002", "b005", "b003", "b004"];
    assert_eq!(
        column("_id"),
        ids.map(|id| json!(format!("677bc4a0000000000000{id}")))
    );
    assert_eq!(
        column("status"),
        ["read", "delivered", "sent", "sent", "sent"].map(Value::from)
    );
    assert_eq!(messages[0]["readBy"], json!([ASHA]));
    assert_eq!(messages[0]["createdAt"], "2025-01-06T12:00:00.120Z");
    let reply = &messages[1];
    assert_eq!(reply["parentMessage"]["_id"], messages[0]["_id"]);
    assert_eq!(
        reply["reactions"],
        json!([{"reactor": ROHAN, "emoji": "❤"}])
    );
    assert_eq!(
        (&reply["isEdited"], &reply["updatedAt"]),
        (&json!(true), &json!("2025-01-06T12:01:50.000Z"))
    );
    let deleted = &messages[4];
    assert_eq!(
        (&deleted["isDeleted"], &deleted["content"]),
        (&json!(true), &json!("This message was deleted"))
    );
    let picture = &messages[3];
    assert_eq!(picture["media"]["mimeType"], "image/jpeg");
    assert_eq!(picture["media"]["size"], JPEG.len());
    let name = picture["mediaUrl"].as_str().unwrap();
    assert_eq!(std::path::Path::new(name).extension().unwrap(), "jpg");

    // What is said from now on comes after everything that was said there.
    let body = json!({ "content": "and now here", "clientMessageId": "c-1" });
    let path = format!("/api/chat/{ABOUT_A_PET}/send");
    let (status, sent) = server
        .client(ROHAN)
        .ask("POST", &path, Some(&body))
        .unwrap();
    assert_eq!(status, 201, "{sent}");
    assert_eq!(sent["data"]["seq"], 6);
    assert!(sent["data"]["_id"].as_str() > Some("677bc4a0000000000000b006"));
    let listed = server.client(ASHA).get("/api/chat/my-chats");
    assert_eq!(
        listed["chats"][0]["_id"], ABOUT_A_PET,
        "the newest is first"
    );
    let body = json!({ "petId": "64f0c0ffee000000000000a1" });
    let (status, found) = server
        .client(ROHAN)
        .ask("POST", "/api/chat/create", Some(&body))
        .unwrap();
    assert_eq!((status, &found["data"]["_id"]), (200, &json!(ABOUT_A_PET)));
}

#[test]
fn a_second_import_changes_nothing_and_a_third_brings_the_files() {
    let (data, media) = (tempfile::tempdir().unwrap(), media());
    let report = imported(&[&fixtures()], data.path(), &[]);
    assert_eq!(report["notes"].as_object().unwrap().len(), 1, "{report}");
    let first = exported(data.path());
    let report = imported(&[&fixtures()], data.path(), &[]);
    for (what, count) in [("users", 3), ("pets", 1), ("chats", 3), ("messages", 6)] {
        assert_eq!(
            report[what],
            json!({"added": 0, "changed": 0, "unchanged": count, "gone": 0}),
            "{what}"
        );
    }
    assert_eq!(exported(data.path()), first);
    let flags = ["--media", media.path().to_str().unwrap()];
    for changed in [1, 0] {
        let report = imported(&[&fixtures()], data.path(), &flags);
        assert_eq!(report["files"], changed);
        assert_eq!(
            report["messages"],
            json!({"added": 0, "changed": changed, "unchanged": 6 - changed, "gone": 0})
        );
        verify(data.path());
    }
}

#[test]
fn files_go_along_there_and_back_and_a_missing_one_is_told() {
    let (data, media) = (tempfile::tempdir().unwrap(), media());
    let flags = ["--media", media.path().to_str().unwrap()];
    imported(&[&fixtures()], data.path(), &flags);
    let out = tempfile::tempdir().unwrap();
    let (all, page, files) = (
        out.path().join("all.ndjson"),
        out.path().join("rohan.html"),
        out.path().join("rohan's files"),
    );
    let export = |out: &Path, flags: &[&str]| {
        let mut arguments = vec!["export", out.to_str().unwrap(), "--json"];
        arguments.extend(["--media", files.to_str().unwrap()]);
        arguments.extend(["--data-dir", data.path().to_str().unwrap()]);
        arguments.extend(flags);
        let output = command(&arguments).output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), report)
    };
    let (code, report) = export(&page, &["--user", ROHAN, "--format", "html"]);
    assert_eq!((code, &report["files"]), (Some(0), &json!(1)));
    let name = std::fs::read_dir(&files)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .file_name();
    let name = name.to_str().unwrap();
    let html = std::fs::read_to_string(&page).unwrap();
    assert!(
        html.contains(&format!("src=\"rohan&#39;s files/{name}\"")),
        "{html}"
    );
    export(&all, &[]);
    let copy = tempfile::tempdir().unwrap();
    let report = imported(&[&all], copy.path(), &["--media", files.to_str().unwrap()]);
    assert_eq!(report["files"], 1);
    verify(copy.path());
    assert_eq!(
        std::fs::read(copy.path().join("media").join(name)).unwrap(),
        JPEG
    );
    assert_eq!(exported(copy.path()), exported(data.path()));

    for path in [files.join(name), data.path().join("media").join(name)] {
        std::fs::write(path, "damaged").unwrap();
    }
    let (code, report) = export(&all, &[]);
    assert_eq!((code, &report["missingFiles"]), (Some(1), &json!(1)));
    assert!(all.exists(), "what is there is exported all the same");
}

#[test]
fn no_place_is_left_in_a_picture_and_it_counts_for_its_sender() {
    let (data, media) = (tempfile::tempdir().unwrap(), media());
    let picture = photos::jpeg(320, 240, 6);
    assert!(photos::tells(&picture));
    let name = "chat-1640995200-123456789.jpg";
    std::fs::write(media.path().join(name), &picture).unwrap();
    let flags = ["--media", media.path().to_str().unwrap()];
    let report = imported(&[&fixtures()], data.path(), &flags);
    assert_eq!(report["files"], 1, "{report:#}");
    let secret = std::str::from_utf8(photos::SECRET).unwrap();
    assert_eq!(files_with(data.path(), secret), [] as [PathBuf; 0]);
    verify(data.path());
    let lines = exported(data.path());
    let file = lines.iter().find(|line| line["media"].is_object()).unwrap();
    let sizes = (&file["media"]["width"], &file["media"]["height"]);
    assert_eq!(sizes, (&json!(240), &json!(320)), "as it is shown");

    let quota = file["media"]["size"].to_string();
    let server = Server::start(data.path(), &["--media-quota", &quota]);
    let sender = server.client(file["sender"].as_str().unwrap());
    let (status, answer) = sender.upload(file["chat"].as_str().unwrap(), JPEG).unwrap();
    assert_eq!(
        (status, &answer["error"]),
        (413, &json!("quota_exceeded")),
        "{answer}"
    );
    server.terminate();

    let kept = tempfile::tempdir().unwrap();
    let flags = [flags[0], flags[1], "--keep-exif"];
    imported(&[&fixtures()], kept.path(), &flags);
    assert_eq!(files_with(kept.path(), secret).len(), 1);

    std::fs::write(media.path().join(name), BROKEN).unwrap();
    let torn = tempfile::tempdir().unwrap();
    let report = imported(&[&fixtures()], torn.path(), &flags[..2]);
    let told = report["told"][0].as_str().unwrap();
    assert!(
        told.contains(name) && told.contains("--keep-exif"),
        "{told}"
    );
    verify(torn.path());
}

#[test]
fn files_may_come_in_any_order_and_one_by_one() {
    let together = tempfile::tempdir().unwrap();
    imported(&[&fixtures()], together.path(), &[]);
    let expected = exported(together.path());
    let file = |name: &str| fixtures().join(name);
    let reversed = tempfile::tempdir().unwrap();
    let files = ["messages.json", "chats.json", "pets.json", "users.json"].map(file);
    imported(
        &files.each_ref().map(PathBuf::as_path),
        reversed.path(),
        &[],
    );
    assert_eq!(exported(reversed.path()), expected);
    let singly = tempfile::tempdir().unwrap();
    for name in ["users.json", "pets.json"] {
        imported(&[&file(name)], singly.path(), &[]);
    }
    let files = ["chats.json", "messages.json"].map(file);
    imported(&files.each_ref().map(PathBuf::as_path), singly.path(), &[]);
    assert_eq!(exported(singly.path()), expected);
}

#[test]
fn bad_rows_are_all_told_and_nothing_is_changed_unless_they_are_to_be_left_out() {
    let input = tempfile::tempdir().unwrap();
    let chats = std::fs::read_to_string(fixtures().join("chats.json")).unwrap();
    let mut rows: Vec<Vec<u8>> = chats
        .lines()
        .map(|line| format!("{line}\r\n").into_bytes())
        .collect();
    rows[0].splice(..0, *b"\xef\xbb\xbf");
    rows.extend([
        b"{\"_id\":{\"$oid\":\"677bc4a000000000000000ff\"},\"participants\":[{\"$oid\":\"64f0c0ffee00000000000001\"}]}\n".to_vec(),
        b"{\"_id\":\"677bc4a000000000000000fe\",\"participants\":\"nobody\"}\n".to_vec(),
        b"{\"_id\":{\"$oid\":\"ffffffffffffffffffffffff\"},\"participants\":[\"a\",\"b\"]}\n".to_vec(),
        b"not json at all\n".to_vec(),
        b"{\"_id\":\"677bc4a000000000000000fd\",\"participants\":[\"a\",\"\xff\xfe\"]}\n".to_vec(),
        b"{\"_id\":\"677bc4a000000000000000fc\",\"participants\":[\"a\",\"b\0\"]}\n".to_vec(),
        format!("{{\"_id\":{}1{}}}\n", "[".repeat(100_000), "]".repeat(100_000)).into_bytes(),
    ]);
    let bad_chats = input.path().join("chats.json");
    std::fs::write(&bad_chats, rows.concat()).unwrap();
    let mut messages = String::new();
    for (number, (chat, sender)) in [("0123456789abcdef01234567", ASHA), (ABOUT_A_PET, MEERA)]
        .into_iter()
        .enumerate()
    {
        let row = json!({"_id": {"$oid": format!("677bc4a0000000000000c00{number}")}, "chat": {"$oid": chat},
            "sender": {"$oid": sender}, "content": "x", "createdAt": {"$date": "soon"}});
        writeln!(messages, "{row}").unwrap();
        let row = json!({"_id": {"$oid": format!("677bc4a0000000000000d00{number}")}, "chat": chat, "sender": sender, "content": "x"});
        writeln!(messages, "{row}").unwrap();
    }
    let bad_messages = input.path().join("messages.json");
    std::fs::write(&bad_messages, messages).unwrap();

    let data = tempfile::tempdir().unwrap();
    let target = data.path().join("data");
    for flags in [&[][..], &["--dry-run"]] {
        let (output, report) = import(&[&bad_chats, &bad_messages], &target, flags);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert_eq!(
            report["bad_rows"].as_u64().or(report["badRows"].as_u64()),
            Some(11),
            "{report:#}"
        );
        assert!(!target.exists(), "nothing is made");
        let told = report["told"].as_array().unwrap();
        for (line, problem) in told.iter().take(7).enumerate() {
            let problem = problem.as_str().unwrap();
            assert!(
                problem.contains(&format!("chats.json:{}: ", line + 5)),
                "{problem}"
            );
        }
    }
    let report = imported(&[&bad_chats, &bad_messages], &target, &["--skip-bad"]);
    assert_eq!(report["badRows"], 11);
    assert_eq!(report["chats"]["added"], 3);
    verify(&target);
}

#[test]
fn what_is_no_collection_is_refused_in_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let file = directory.path().join("things.json");
    for (content, expected) in [
        ("{\"a\":1}\n", "--kind"),
        ("{\"format\":\"jivchat-export\",\"version\":4}\n", "newer"),
        (
            "{\"format\":\"jivchat-document\",\"version\":1,\"chats\":[]}\n",
            "ndjson",
        ),
    ] {
        std::fs::write(&file, content).unwrap();
        let (output, _) = import(&[&file], &data, &[]);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert_eq!(told.trim().lines().count(), 1, "{told}");
        assert!(told.contains(expected), "{told}");
    }
    let (output, _) = import(&[&directory.path().join("nothing")], &data, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!data.exists());
    let server = Server::start(&data, &[]);
    let (output, _) = import(&[&fixtures()], &data, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains(&server.id().to_string()));
}

/// Chats of three hundred messages each, in one file of chats and one of messages; answers how many messages.
fn many(directory: &Path, chats: u32) -> u32 {
    let (mut chat_rows, mut message_rows) = (String::new(), String::new());
    for chat in 0..chats {
        let id = format!("677bc4a0{chat:016x}");
        let row = json!({"_id": {"$oid": id}, "participants": [{"$oid": ASHA}, {"$oid": format!("64f0c0ffee01{chat:012x}")}], "chatType": "direct",
            "unreadCount": [{"userId": {"$oid": ASHA}, "count": chat % 7}], "createdAt": {"$date": 1_736_164_700_000_u64 + u64::from(chat)}});
        writeln!(chat_rows, "{row}").unwrap();
        for number in 0..300 {
            let row = json!({"_id": {"$oid": format!("677bc4a1{:016x}", chat * 1000 + number)}, "chat": {"$oid": id},
                "sender": {"$oid": format!("64f0c0ffee01{chat:012x}")}, "content": format!("message {number} of {chat}"),
                "createdAt": {"$date": 1_736_164_800_000_u64 + u64::from(number * 1000 + chat)}});
            writeln!(message_rows, "{row}").unwrap();
        }
    }
    std::fs::write(directory.join("chats.json"), chat_rows).unwrap();
    std::fs::write(directory.join("messages.json"), message_rows).unwrap();
    chats * 300
}

/// How many messages there are, and whether more are known to be missing.
fn half(data: &Path) -> (usize, bool) {
    let inspection = Inspection {
        data_dir: data.to_owned(),
        media: None,
        cache: 8 << 20,
    };
    let Ok(reading) = Reading::open(&inspection, |_, _| ()) else {
        return (0, false);
    };
    let tables = reading.tables();
    let chats = tables.chats_after(None);
    let stored = chats.map(|chat| usize::try_from(chat.unwrap().last_seq).unwrap());
    (stored.sum(), tables.mark(UNFINISHED).unwrap().is_some())
}

/// What a server says before it listens.
fn says(data: &Path) -> String {
    let mut server = command(&["--port", "0", "--data-dir", data.to_str().unwrap()])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut lines = BufReader::new(server.stderr.take().unwrap());
    while !said.contains("listening on") && lines.read_line(&mut said).unwrap() > 0 {}
    server.kill().unwrap();
    server.wait().unwrap();
    said
}

#[tokio::test]
async fn a_server_says_that_an_import_was_cut_off_until_it_is_run_again() {
    let data = tempfile::tempdir().unwrap();
    let options = Options {
        data_dir: data.path().to_owned(),
        cache: 8 << 20,
        queue: 8,
    };
    let (store, writer) = Store::open(&options).unwrap();
    let now = Timestamp::now();
    let marked = store.write(move |tx| tx.put_mark(UNFINISHED, now)).await;
    marked.unwrap();
    drop(store);
    writer.join();
    let said = says(data.path());
    assert!(said.contains("run the same import again"), "{said}");
    imported(&[&fixtures()], data.path(), &[]);
    let said = says(data.path());
    assert!(!said.contains("import"), "{said}");
}

#[test]
fn an_import_that_was_killed_leaves_a_sound_store_and_the_next_one_completes_it() {
    let input = tempfile::tempdir().unwrap();
    let total = many(input.path(), 8);
    let whole = tempfile::tempdir().unwrap();
    let began = Instant::now();
    imported(&[input.path()], whole.path(), &[]);
    let took = began.elapsed();
    let expected = exported(whole.path());
    let mut cut_off = 0;
    for round in 0..rounds() {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().to_str().unwrap();
        let arguments = ["import", input.path().to_str().unwrap(), "--data-dir", path];
        for attempt in 1..=3 {
            let mut child = command(&arguments)
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap();
            let part = u32::try_from((round * 3 + attempt) * 37 % 90).unwrap();
            let moment = Instant::now() + took * part / 100;
            while Instant::now() < moment && child.try_wait().unwrap().is_none() {
                std::thread::park_timeout(Duration::from_millis(2));
            }
            child.kill().unwrap();
            cut_off += u32::from(!child.wait().unwrap().success());
            let (stored, is_marked) = half(data.path());
            assert!(stored == 0 || stored == total as usize || is_marked);
            if data.path().join("schema").exists() {
                verify(data.path());
            }
        }
        let report = imported(&[input.path()], data.path(), &[]);
        assert_eq!(
            report["messages"]["added"].as_u64().unwrap()
                + report["messages"]["unchanged"].as_u64().unwrap(),
            u64::from(total)
        );
        assert_eq!(exported(data.path()), expected);
        assert!(!half(data.path()).1);
        verify(data.path());
    }
    assert!(cut_off > 0, "every import was done before it was killed");
}
