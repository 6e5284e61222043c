//! `backup` and `restore` as an operator meets them: under load, killed, on a full disk, and with what a restored server then has.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

use super::disk::Mount;
use super::kill::{EAGER, filled, moment, until};
use super::load::{Known, Load};
use super::process::{Client, Server, command, refused, verify};
use super::rounds;
use crate::support::png_with;

/// Enough of a picture to be taken for one.
pub(super) const PICTURE: &[u8] =
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0\x3a\x7e\x9b\x55\
    \0\0\0\x09IDAT\x78\x9c\x6b\x00\0\0\x82\0\x81\xdd\x43\x6a\xf4\0\0\0\0IEND\xae\x42\x60\x82";

pub(super) fn backup_command(data: &Path, to: &Path) -> Command {
    let mut backup = command(&["backup", "--json", "--data-dir"]);
    backup.arg(data).arg(to);
    backup
}

pub(super) fn restore_command(from: &Path, to: &Path) -> Command {
    let mut restore = command(&["restore", "--json", "--data-dir"]);
    restore.arg(to).arg(from);
    restore
}

pub(super) fn succeeds(mut command: Command) -> Value {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["ok"], true, "{report}");
    report
}

/// One line on standard error, exit code 1, nothing on standard output.
pub(super) fn fails(output: &Output) -> String {
    let told = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert_eq!(told.trim().lines().count(), 1, "{told}");
    assert!(output.stdout.is_empty());
    told
}

pub(super) fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// Two others, of whom one sends pictures without an end and deletes most of them again.
pub(super) struct Unrest {
    stop: Arc<AtomicBool>,
    deleted: Arc<AtomicU64>,
    running: JoinHandle<()>,
}

impl Unrest {
    pub(super) fn start(server: &Server) -> Self {
        let (meera, kabir) = (server.client("meera"), server.client("kabir"));
        kabir.get("/api/chat/my-chats");
        let body = json!({ "participantId": "kabir" });
        let (_, opened) = meera.ask("POST", "/api/chat/create", Some(&body)).unwrap();
        let chat = opened["data"]["_id"].as_str().unwrap().to_owned();
        let (stop, deleted) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&deleted));
        let running = std::thread::spawn(move || {
            for number in 0.. {
                if stopped.load(Ordering::Relaxed) || unrest(&meera, &chat, number).is_err() {
                    return;
                }
                counted.fetch_add(u64::from(!number.is_multiple_of(4)), Ordering::Relaxed);
            }
        });
        Self {
            stop,
            deleted,
            running,
        }
    }

    pub(super) fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.running.join().unwrap();
        self.deleted.load(Ordering::Relaxed)
    }
}

fn unrest(client: &Client, chat: &str, number: u64) -> std::io::Result<()> {
    let picture = png_with(PICTURE, &number.to_be_bytes());
    let (status, sent) = client.upload(chat, &picture)?;
    assert_eq!(status, 201, "{sent}");
    if !number.is_multiple_of(4) {
        let id = sent["data"]["_id"].as_str().unwrap();
        let path = format!("/api/chat/message/{id}");
        let (status, deleted) = client.ask("DELETE", &path, None)?;
        assert_eq!(status, 200, "{deleted}");
    }
    Ok(())
}

/// Restores, checks, starts, and looks for everything that was known.
pub(super) fn assert_holds(backup: &Path, scratch: &Path, known: &Known) {
    let restored = scratch.join("restored");
    let report = succeeds(restore_command(backup, &restored));
    assert!(report["messages"].as_u64().unwrap() >= known.count());
    let verified = verify(&restored);
    for counted in ["messages", "uploads", "lastCommit"] {
        assert_eq!(report[counted], verified[counted]);
    }
    assert_eq!(verified["orphanedFiles"], 0);
    let server = Server::start(&restored, &[]);
    known.check(&server);
    server.terminate();
    fs::remove_dir_all(&restored).unwrap();
}

#[test]
fn a_backup_under_load_holds_everything_acknowledged_before_it() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let known = Known::default();
    let server = Server::start(&data, &EAGER);
    let load = Load::start(&server, &known, "load");
    let unrest = Unrest::start(&server);
    load.wait_for(50);
    for round in 0..rounds() {
        let backup = directory.path().join(format!("backup-{round}"));
        let before = known.so_far();
        let acknowledged = load.acknowledged();
        let taken = succeeds(backup_command(&data, &backup));
        assert!(taken["uploads"].as_u64().unwrap() > 0, "{taken}");
        load.wait_until("writers that go on", || load.acknowledged() > acknowledged);
        assert_holds(&backup, directory.path(), &before);
    }
    load.stop();
    assert!(unrest.stop() > 0);
    known.check(&server);
    server.terminate();
    verify(&data);
    let last = directory.path().join("backup-last");
    succeeds(backup_command(&data, &last));
    assert_holds(&last, directory.path(), &known);
}

#[test]
fn a_server_that_is_killed_in_the_middle_of_a_backup_spoils_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let known = filled(&data, 300);
    for round in 0..rounds() {
        let server = Server::start(&data, &[]);
        let load = Load::start(&server, &known, &format!("round-{round}"));
        load.wait_for(20);
        let before = known.so_far();
        let backup = directory.path().join(format!("backup-{round}"));
        let mut taking = backup_command(&data, &backup);
        taking.stdout(Stdio::null());
        let mut taking = taking.spawn().unwrap();
        until(moment(round, Duration::from_millis(200)), || false);
        server.kill();
        load.join();
        assert!(taking.wait().unwrap().success());
        assert_holds(&backup, directory.path(), &before);
    }
}

#[test]
fn a_backup_that_is_killed_leaves_nothing_that_looks_whole() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let known = filled(&data, 500);
    let place = directory.path().join("backup");
    let mut cut_off = 0;
    for round in 0..rounds() {
        let mut taking = backup_command(&data, &place);
        taking.stdout(Stdio::null());
        let mut taking = taking.spawn().unwrap();
        let moment = moment(round, Duration::from_millis(150));
        until(moment, || taking.try_wait().unwrap().is_some());
        taking.kill().unwrap();
        taking.wait().unwrap();
        if place.exists() {
            assert_holds(&place, directory.path(), &known);
            fs::remove_dir_all(&place).unwrap();
        } else {
            cut_off += 1;
        }
        for name in names(directory.path()) {
            let partial = directory.path().join(&name);
            if name.contains("partial") {
                let refused = restore_command(&partial, &directory.path().join("none"));
                assert!(fails(&{ refused }.output().unwrap()).contains("no whole backup"));
            }
        }
    }
    assert!(cut_off > 0, "every backup was done before it was killed");
    succeeds(backup_command(&data, &place));
    assert_eq!(names(directory.path()), ["backup", "data"], "swept");
    assert_holds(&place, directory.path(), &known);
}

#[test]
fn a_restore_that_is_killed_leaves_a_mark_or_all_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let known = filled(&directory.path().join("data"), 500);
    let backup = directory.path().join("backup");
    succeeds(backup_command(&directory.path().join("data"), &backup));
    let target = directory.path().join("restored");
    let mut marked = 0;
    for round in 0..rounds() {
        let mut restoring = restore_command(&backup, &target);
        restoring.stdout(Stdio::null());
        let mut restoring = restoring.spawn().unwrap();
        let moment = moment(round, Duration::from_millis(150));
        until(moment, || restoring.try_wait().unwrap().is_some());
        restoring.kill().unwrap();
        restoring.wait().unwrap();
        if target.join("restore-unfinished").exists() {
            marked += 1;
            let (output, _) = refused(&target);
            assert!(fails(&output).contains("cut off"));
            let again = restore_command(&backup, &target).output().unwrap();
            assert!(fails(&again).contains("remove that directory"));
        } else if target.join("journal").exists() {
            verify(&target);
            known.check(&Server::start(&target, &[]));
        }
        let _ = fs::remove_dir_all(&target);
    }
    assert!(marked > 0, "every restore was done before it was killed");
    assert_holds(&backup, directory.path(), &known);
}

/// The same command in a shell that lets no file grow past `blocks` of 512 bytes, as on a full disk.
fn limited(command: &Command, blocks: u64) -> Command {
    let mut limited = Command::new("sh");
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    limited.arg("-c").arg(script).arg(command.get_program());
    limited.args(command.get_args()).stdin(Stdio::null());
    limited
}

#[test]
fn a_disk_that_takes_no_more_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let known = filled(&data, 500);
    let (backup, target) = (
        directory.path().join("backup"),
        directory.path().join("restored"),
    );
    let journal = fs::metadata(data.join("journal/0000000000000001.log"))
        .unwrap()
        .len();
    for blocks in [0, 1, journal / 1024] {
        let failed = limited(&backup_command(&data, &backup), blocks)
            .output()
            .unwrap();
        fails(&failed);
        assert_eq!(names(directory.path()), ["data"], "{blocks}: {failed:?}");
    }
    succeeds(backup_command(&data, &backup));
    for blocks in [0, 1, journal / 1024] {
        let failed = limited(&restore_command(&backup, &target), blocks)
            .output()
            .unwrap();
        fails(&failed);
        assert_eq!(
            names(directory.path()),
            ["backup", "data"],
            "{blocks}: {failed:?}"
        );
    }
    assert_holds(&backup, directory.path(), &known);
}

#[test]
#[ignore = "mounts a tmpfs, which needs root"]
fn a_full_disk_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let known = filled(&data, 500);
    let mount = Mount::new(&directory.path().join("disk"), "64k");
    let (full, whole) = (mount.0.join("backup"), directory.path().join("backup"));
    fails(&backup_command(&data, &full).output().unwrap());
    assert!(names(&mount.0).is_empty());
    succeeds(backup_command(&data, &whole));
    fails(
        &restore_command(&whole, &mount.0.join("restored"))
            .output()
            .unwrap(),
    );
    assert!(names(&mount.0).is_empty());
    // A mounted directory is restored into, and cannot be replaced by a backup.
    let told = fails(&backup_command(&data, &mount.0).output().unwrap());
    assert!(told.contains("mounted"), "{told}");
    assert_holds(&whole, directory.path(), &known);
}

#[test]
fn a_place_that_is_taken_is_refused_in_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let (data, backup) = (
        directory.path().join("data"),
        directory.path().join("backup"),
    );
    let known = filled(&data, 5);
    fs::create_dir(&backup).unwrap();
    succeeds(backup_command(&data, &backup));
    let manifest = fs::read(backup.join("manifest.json")).unwrap();
    assert!(fails(&backup_command(&data, &backup).output().unwrap()).contains("new or empty"));
    assert_eq!(fs::read(backup.join("manifest.json")).unwrap(), manifest);
    assert!(fails(&restore_command(&backup, &data).output().unwrap()).contains("is not empty"));
    let file = directory.path().join("file");
    fs::write(&file, "mine").unwrap();
    assert!(fails(&backup_command(&data, &file).output().unwrap()).contains("new or empty"));
    let nowhere = directory.path().join("no/such/place");
    assert!(fails(&backup_command(&data, &nowhere).output().unwrap()).contains("make that one"));
    let nothing = directory.path().join("nothing");
    assert!(fails(&backup_command(&nothing, &nowhere).output().unwrap()).contains("--data-dir"));
    assert!(fails(&restore_command(&nothing, &nowhere).output().unwrap()).contains("no whole"));
    let media = directory.path().join("media");
    fs::create_dir(&media).unwrap();
    fs::write(media.join("letter"), "mine").unwrap();
    let mut elsewhere = restore_command(&backup, &nowhere);
    elsewhere.arg("--media-path").arg(&media);
    assert!(fails(&elsewhere.output().unwrap()).contains("is not empty"));
    assert_eq!(names(&media), ["letter"]);
    assert!(!nowhere.exists());
    assert_holds(&backup, directory.path(), &known);
}

/// Every file below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for name in names(directory) {
        let path = directory.join(name);
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[test]
fn a_backup_is_for_its_owner_and_the_secret_is_in_it() {
    let directory = tempfile::tempdir().unwrap();
    let (data, media) = (
        directory.path().join("data"),
        directory.path().join("media"),
    );
    let at = media.to_str().unwrap();
    let server = Server::start(&data, &["--media-path", at]);
    let unrest = Unrest::start(&server);
    while unrest.deleted.load(Ordering::Relaxed) < 5 {
        std::thread::park_timeout(Duration::from_millis(5));
    }
    unrest.stop();
    fs::write(data.join("jwt-secret"), "s".repeat(64)).unwrap();
    let backup = directory.path().join("backup");
    let mut taking = backup_command(&data, &backup);
    taking.args(["--media-path", at]);
    let report = succeeds(taking);
    drop(server);
    let restored = directory.path().join("restored");
    let restored_media = directory.path().join("restored-media");
    let mut restoring = restore_command(&backup, &restored);
    restoring.arg("--media-path").arg(&restored_media);
    assert_eq!(succeeds(restoring)["uploads"], report["uploads"]);
    assert_eq!(names(&backup.join("media")), names(&restored_media));
    assert!(names(&backup.join("media")).len() > 1);
    for path in files(&backup).iter().chain(&files(&restored)) {
        let mode = fs::metadata(path).unwrap().permissions().mode();
        let is_lock = path.ends_with("LOCK");
        assert!(is_lock || mode & 0o777 == 0o600, "{}", path.display());
    }
    for path in [&backup, &backup.join("journal"), &restored, &restored_media] {
        let mode = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{}", path.display());
    }
    let secret = fs::read(restored.join("jwt-secret")).unwrap();
    assert_eq!(secret, "s".repeat(64).as_bytes());
}

#[test]
fn a_backup_of_format_1_and_schema_1_is_restored_by_every_later_version() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/backup-1");
    let directory = tempfile::tempdir().unwrap();
    let restored = directory.path().join("restored");
    let report = succeeds(restore_command(&fixture, &restored));
    assert_eq!(
        (&report["messages"], &report["uploads"]),
        (&json!(4), &json!(1))
    );
    verify(&restored);
    let server = Server::start(&restored, &[]);
    let asha = server.client("asha");
    let chats = asha.get("/api/chat/my-chats");
    let unread = &chats["chats"][0]["unreadCount"];
    assert_eq!(
        unread[1],
        json!({ "userId": "asha", "count": 1 }),
        "{chats}"
    );
    let chat = chats["chats"][0]["_id"].as_str().unwrap();
    let history = asha.get(&format!("/api/chat/{chat}/messages"));
    let shown: Vec<_> = history["messages"].as_array().unwrap().iter().collect();
    let contents: Vec<_> = shown.iter().map(|message| &message["content"]).collect();
    assert_eq!(contents[..2], ["text of one", "text of two"]);
    assert_eq!(shown[2]["isDeleted"], true);
    let url = shown[3]["media"]["url"].as_str().unwrap();
    let name = url.rsplit('/').next().unwrap();
    let file = fs::read(restored.join("media").join(name)).unwrap();
    assert_eq!(file.len(), 67);
    let known = Known::default();
    let (status, _) = asha
        .ask(
            "POST",
            &format!("/api/chat/{chat}/send"),
            Some(&json!({ "content": "on it goes" })),
        )
        .unwrap();
    assert_eq!((status, known.count()), (201, 0));
}
