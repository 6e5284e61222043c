//! What a store keeps through restarts, damage and failing jobs.

use std::fs;
use std::path::Path;

use super::*;
use crate::id::UserId;
use crate::model::User;

/// Cases of a property test: so many, times `JIVCHAT_ROUNDS` when a night is given to it.
pub(crate) fn cases(usual: u32) -> u32 {
    let rounds = std::env::var("JIVCHAT_ROUNDS").map_or(1, |rounds| rounds.parse().unwrap());
    usual * rounds
}

pub(super) fn options(dir: &Path) -> Options {
    Options {
        data_dir: dir.to_owned(),
        cache: 8 << 20,
        queue: 64,
    }
}

pub(super) fn open(dir: &Path) -> (Store, WriterThread) {
    Store::open(&options(dir)).unwrap()
}

/// Waits for the writer and gives the directory back.
pub(super) fn close((store, writer): (Store, WriterThread)) {
    drop(store);
    writer.join();
}

pub(super) fn user(id: &str) -> User {
    User {
        id: id.parse().unwrap(),
        name: format!("name of {id}"),
        email: None,
        picture: None,
        last_seen: None,
        banned: false,
        claims_digest: None,
        told_at: None,
    }
}

/// The directory of the one index.
fn index_of(dir: &Path) -> PathBuf {
    let mut entries = fs::read_dir(dir.join("db")).unwrap();
    let path = entries.next().unwrap().unwrap().path();
    assert!(entries.next().is_none(), "one index");
    path
}

pub(super) async fn put(store: &Store, id: &str) {
    let user = user(id);
    store.write(move |tx| tx.put_user(&user)).await.unwrap();
}

pub(super) async fn has(store: &Store, id: &str) -> bool {
    let id: UserId = id.parse().unwrap();
    store
        .read(move |tables| tables.user(&id))
        .await
        .unwrap()
        .is_some()
}

/// Writes users before and after a checkpoint, closes, lets `damage` loose on the directory, and expects all of them
/// back.
async fn survives(damage: impl FnOnce(&Path)) {
    let dir = tempfile::tempdir().unwrap();
    let opened = open(dir.path());
    for number in 0..20 {
        put(&opened.0, &format!("early-{number}")).await;
    }
    opened.0.checkpoint(1).unwrap();
    for number in 0..20 {
        put(&opened.0, &format!("late-{number}")).await;
    }
    close(opened);
    damage(dir.path());
    let reopened = open(dir.path());
    for number in 0..20 {
        assert!(
            has(&reopened.0, &format!("early-{number}")).await,
            "early-{number}"
        );
        assert!(
            has(&reopened.0, &format!("late-{number}")).await,
            "late-{number}"
        );
    }
    put(&reopened.0, "afterwards").await;
    close(reopened);
    let again = open(dir.path());
    assert!(has(&again.0, "afterwards").await);
    close(again);
}

#[tokio::test]
async fn a_restart_keeps_everything() {
    survives(|_| {}).await;
}

#[tokio::test]
async fn without_its_index_nothing_is_lost() {
    survives(|dir| fs::remove_dir_all(dir.join("db")).unwrap()).await;
}

#[tokio::test]
async fn without_its_checkpoint_nothing_is_lost() {
    survives(|dir| fs::remove_file(dir.join("checkpoint")).unwrap()).await;
}

#[tokio::test]
async fn without_index_and_checkpoint_nothing_is_lost() {
    survives(|dir| {
        fs::remove_dir_all(dir.join("db")).unwrap();
        fs::remove_file(dir.join("checkpoint")).unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_index_that_opens_empty_is_noticed() {
    survives(|dir| {
        for entry in fs::read_dir(index_of(dir)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::write(path, b"").unwrap();
            }
        }
    })
    .await;
}

#[tokio::test]
async fn an_index_full_of_noise_is_set_aside() {
    survives(|dir| {
        let file = index_of(dir).join("db");
        let noise: Vec<u8> = fs::read(&file)
            .unwrap()
            .iter()
            .map(|byte| byte ^ 0x5a)
            .collect();
        fs::write(file, noise).unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_older_index_is_not_taken_for_the_newer_one() {
    let dir = tempfile::tempdir().unwrap();
    let opened = open(dir.path());
    put(&opened.0, "first").await;
    opened.0.checkpoint(1).unwrap();
    close(opened);
    let old = dir.path().join("old");
    fs::create_dir(&old).unwrap();
    for entry in fs::read_dir(index_of(dir.path())).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, old.join(path.file_name().unwrap())).unwrap();
        }
    }
    let opened = open(dir.path());
    put(&opened.0, "second").await;
    opened.0.checkpoint(1).unwrap();
    close(opened);
    let index = index_of(dir.path());
    fs::remove_dir_all(&index).unwrap();
    fs::rename(&old, index).unwrap();
    let reopened = open(dir.path());
    assert!(has(&reopened.0, "first").await && has(&reopened.0, "second").await);
    close(reopened);
}

fn generation(store: &Store) -> u64 {
    store.shared.live.index().unwrap().generation()
}

#[tokio::test]
async fn a_commit_without_rows_leaves_the_index_level_with_its_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let mut used = None;
    for with_rows in [true, false, false] {
        let opened = open(dir.path());
        let used = *used.get_or_insert_with(|| generation(&opened.0));
        assert_eq!(generation(&opened.0), used, "not built anew");
        if with_rows {
            put(&opened.0, "somebody").await;
            opened.0.checkpoint(1).unwrap();
        }
        let told = |tx: &mut Transaction<'_>| {
            tx.record_event(b"told".to_vec());
            Ok::<_, Error>(())
        };
        opened.0.write(told).await.unwrap();
        opened.0.checkpoint(1).unwrap();
        let reached = opened.0.shared.live.reached().0;
        close(opened);
        assert_eq!(
            checkpoint::Checkpoint::load(dir.path()).unwrap().commit,
            reached
        );
        let inspection = Inspection {
            data_dir: dir.path().to_owned(),
            media: None,
            cache: 8 << 20,
        };
        let verified = verify(&inspection, |_, _, _| ()).unwrap();
        assert_eq!(verified.findings.told, [] as [&str; 0]);
        assert_eq!(verified.last_commit, reached);
    }
    let reopened = open(dir.path());
    assert_eq!(Some(generation(&reopened.0)), used);
    assert!(!dir.path().join("db.aside").exists());
    close(reopened);
}

#[tokio::test]
async fn an_index_that_has_more_than_the_journal_is_built_anew() {
    let dir = tempfile::tempdir().unwrap();
    let opened = open(dir.path());
    put(&opened.0, "kept").await;
    opened.0.checkpoint(1).unwrap();
    put(&opened.0, "unsynced").await;
    close(opened);
    let inspection = Inspection {
        data_dir: dir.path().to_owned(),
        media: None,
        cache: 8 << 20,
    };
    let told = || verify(&inspection, |_, _, _| ()).unwrap().findings.told;
    // Puts the end of the journal into the index.
    assert_eq!(told(), [] as [&str; 0]);
    // The power goes, and the end of the journal with it.
    let known = checkpoint::Checkpoint::load(dir.path()).unwrap().position;
    let segment = dir
        .path()
        .join(format!("journal/{:016x}.log", known.segment));
    let segment = fs::OpenOptions::new().write(true).open(segment).unwrap();
    segment.set_len(known.offset).unwrap();
    assert_eq!(told().len(), 1, "{:?}", told());
    let reopened = open(dir.path());
    assert!(has(&reopened.0, "kept").await && !has(&reopened.0, "unsynced").await);
    put(&reopened.0, "another").await;
    close(reopened);
    assert_eq!(told(), [] as [&str; 0]);
    let reopened = open(dir.path());
    assert!(has(&reopened.0, "another").await && !has(&reopened.0, "unsynced").await);
    close(reopened);
}

#[tokio::test]
async fn an_index_built_from_a_base_without_rows_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let opened = open(dir.path());
    let told = |tx: &mut Transaction<'_>| {
        tx.record_event(b"told".to_vec());
        Ok::<_, Error>(())
    };
    opened.0.write(told).await.unwrap();
    let store = opened.0.clone();
    let compacting = tokio::task::spawn_blocking(move || store.compact(|_, _| ()));
    compacting.await.unwrap().unwrap();
    close(opened);
    fs::remove_dir_all(dir.path().join("db")).unwrap();
    let rebuilt = open(dir.path());
    let used = generation(&rebuilt.0);
    close(rebuilt);
    let reopened = open(dir.path());
    assert_eq!(generation(&reopened.0), used);
    close(reopened);
}

#[tokio::test]
async fn a_half_written_snapshot_of_sled_is_removed() {
    survives(|dir| {
        let snapshot = index_of(dir).join("snap.0000000000000001.generating");
        fs::write(snapshot, b"torn").unwrap();
    })
    .await;
}

#[tokio::test]
async fn without_its_journal_nothing_starts() {
    let dir = tempfile::tempdir().unwrap();
    let opened = open(dir.path());
    put(&opened.0, "somebody").await;
    close(opened);
    fs::remove_dir_all(dir.path().join("journal")).unwrap();
    for left in ["everything", "checkpoint", "db"] {
        match left {
            "checkpoint" => fs::remove_file(dir.path().join("checkpoint")).unwrap(),
            "db" => fs::remove_dir_all(dir.path().join("db")).unwrap(),
            _ => {}
        }
        for _ in 0..2 {
            let refused = Store::open(&options(dir.path())).map(|_| ());
            assert!(matches!(refused, Err(Error::Open(_))), "{refused:?}");
        }
    }
}

#[tokio::test]
async fn a_second_owner_is_refused_and_the_first_not_disturbed() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    let second = Store::open(&options(dir.path()));
    assert!(
        matches!(second, Err(Error::Open(_))),
        "{:?}",
        second.map(|_| ())
    );
    put(&first.0, "still-works").await;
    assert!(has(&first.0, "still-works").await);
    close(first);
}

#[tokio::test]
async fn a_failing_job_leaves_nothing_and_the_next_sees_what_was_kept() {
    let dir = tempfile::tempdir().unwrap();
    let opened = open(dir.path());
    let store = &opened.0;
    let (kept, dropped) = (user("kept"), user("dropped"));
    let refused = store
        .write(move |tx| {
            tx.put_user(&dropped)?;
            Err::<(), _>(Error::Closed)
        })
        .await;
    assert!(matches!(refused, Err(Error::Closed)));
    store.write(move |tx| tx.put_user(&kept)).await.unwrap();
    assert!(has(store, "kept").await && !has(store, "dropped").await);
    close(opened);
}

#[tokio::test]
async fn a_panicking_job_is_dropped_and_the_writer_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let opened = open(dir.path());
    let panicked = opened
        .0
        .write(|tx| -> Result<(), Error> {
            tx.put_user(&user("ghost"))?;
            panic!("a bug in a rule");
        })
        .await;
    assert!(matches!(panicked, Err(Error::Panicked)));
    put(&opened.0, "alive").await;
    assert!(has(&opened.0, "alive").await && !has(&opened.0, "ghost").await);
    close(opened);
}

#[tokio::test]
async fn what_runs_on_commit_runs_after_the_commit_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let opened = open(dir.path());
    let (sender, mut receiver) = mpsc::channel(64);
    let jobs = (0..32).map(|number| {
        let sender = sender.clone();
        opened.0.write(move |tx| {
            tx.put_user(&user(&format!("u{number}")))?;
            let commit = tx.commit_number();
            tx.on_commit(move || {
                let _ = sender.blocking_send(commit);
            });
            Ok::<_, Error>(())
        })
    });
    let jobs: Vec<_> = jobs.collect();
    futures_util::future::join_all(jobs).await;
    drop(sender);
    let mut commits = Vec::new();
    while let Some(commit) = receiver.recv().await {
        commits.push(commit);
    }
    assert_eq!(commits.len(), 32);
    assert!(commits.is_sorted_by(|a, b| a < b), "{commits:?}");
    close(opened);
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_hangs_does_not_respond() {
    let dir = tempfile::tempdir().unwrap();
    let opened = open(dir.path());
    assert!(opened.0.writer_responds().await);
    let (release, held) = std::sync::mpsc::sync_channel::<()>(1);
    let hanging = opened.0.submit(move |_| {
        let _ = held.recv();
        Ok::<_, Error>(())
    });
    let hanging = hanging.await.unwrap();
    let mut asked = Box::pin(opened.0.writer_responds());
    let hour = std::time::Duration::from_hours(1);
    assert!(tokio::time::timeout(hour, &mut asked).await.is_err());
    drop(release);
    // The writer is a thread, for which paused time does not wait.
    tokio::time::resume();
    assert!(asked.await);
    hanging.await.unwrap();
    close(opened);
}
