//! Compaction while others write, and an index that fails while the server runs.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::tests::{close, has, open, put, user};
use super::*;

async fn checkpoint(store: &Store) -> Result<(), Error> {
    let store = store.clone();
    let saving = tokio::task::spawn_blocking(move || store.checkpoint(1));
    saving.await.unwrap()
}

/// Every file below the directory that holds the bytes.
fn files_with(dir: &Path, needle: &[u8]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, needle));
        } else {
            let bytes = fs::read(&path).unwrap();
            if bytes.windows(needle.len()).any(|window| window == needle) {
                found.push(path);
            }
        }
    }
    found
}

async fn compact(store: &Store) -> Compacted {
    let store = store.clone();
    let compacting = tokio::task::spawn_blocking(move || store.compact(|_, _| ()));
    compacting.await.unwrap().unwrap()
}

#[tokio::test]
async fn what_was_overwritten_is_gone_from_every_file_after_a_compaction() {
    let dir = tempfile::tempdir().unwrap();
    let opened = open(dir.path());
    let secret = "the-words-that-must-go";
    for number in 0..50 {
        let mut user = user(&format!("u{number}"));
        user.email = Some(format!("{secret}-{number}"));
        opened.0.write(move |tx| tx.put_user(&user)).await.unwrap();
    }
    opened.0.checkpoint(1).unwrap();
    for number in 0..50 {
        put(&opened.0, &format!("u{number}")).await;
    }
    let commit = opened.0.shared.live.reached().0;
    assert!(!files_with(dir.path(), secret.as_bytes()).is_empty());
    fs::create_dir(dir.path().join("db.aside")).unwrap();
    fs::write(dir.path().join("db.aside/db"), secret).unwrap();
    let compacted = compact(&opened.0).await;
    assert_eq!(compacted.rows, 50);
    assert!(compacted.after.base > 0 && compacted.after.segments < compacted.before.segments);
    assert_eq!(
        files_with(dir.path(), secret.as_bytes()),
        [] as [PathBuf; 0]
    );
    put(&opened.0, "afterwards").await;
    assert_eq!(
        opened.0.shared.live.reached().0,
        commit + 1,
        "the numbers go on"
    );
    assert_eq!(compact(&opened.0).await.rows, 51);
    close(opened);
    for without in [None, Some("db"), Some("checkpoint")] {
        match without {
            Some("db") => fs::remove_dir_all(dir.path().join("db")).unwrap(),
            Some(file) => fs::remove_file(dir.path().join(file)).unwrap(),
            None => {}
        }
        let reopened = open(dir.path());
        assert!(has(&reopened.0, "u0").await && has(&reopened.0, "afterwards").await);
        assert_eq!(reopened.0.shared.live.reached().0, commit + 1);
        let is_rebuilt = without.is_some();
        assert_eq!(
            dir.path().join("db.aside").exists() || without == Some("db"),
            is_rebuilt
        );
        close(reopened);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_half_seen_while_others_write_during_compactions() {
    let dir = tempfile::tempdir().unwrap();
    let opened = open(dir.path());
    let done = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for writer in 0..4 {
        let (store, done) = (opened.0.clone(), Arc::clone(&done));
        writers.push(tokio::spawn(async move {
            let mut count = 0;
            while !done.load(Ordering::Relaxed) {
                // Two rows in one commit, one of them shared.
                let (own, mut shared) = (
                    user(&format!("w{writer}-{count}")),
                    user(&format!("w{writer}")),
                );
                shared.name = count.to_string();
                let job = move |tx: &mut Transaction<'_>| {
                    tx.put_user(&own)?;
                    tx.put_user(&shared)
                };
                store.write(job).await.unwrap();
                let (own, shared) = (format!("w{writer}-{count}"), format!("w{writer}"));
                let seen = store.read(move |tables| {
                    let own = tables.user(&own.parse().unwrap())?;
                    Ok::<_, Error>((own, tables.user(&shared.parse().unwrap())?))
                });
                let (own, shared) = seen.await.unwrap();
                assert!(own.is_some(), "w{writer}-{count} was acknowledged");
                assert_eq!(shared.unwrap().name, count.to_string());
                count += 1;
            }
            count
        }));
    }
    for _ in 0..5 {
        compact(&opened.0).await;
    }
    done.store(true, Ordering::Relaxed);
    let mut counts = Vec::new();
    for writer in writers {
        counts.push(writer.await.unwrap());
    }
    assert!(counts.iter().all(|&count| count > 5), "{counts:?}");
    close(opened);
    for rebuild in [false, true] {
        if rebuild {
            fs::remove_dir_all(dir.path().join("db")).unwrap();
        }
        let reopened = open(dir.path());
        for (writer, count) in counts.iter().enumerate() {
            for number in 0..*count {
                assert!(has(&reopened.0, &format!("w{writer}-{number}")).await);
            }
        }
        close(reopened);
    }
}

#[tokio::test]
async fn a_compaction_that_is_called_off_leaves_everything_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let opened = open(dir.path());
    put(&opened.0, "kept").await;
    opened.0.call_off_compaction();
    let store = opened.0.clone();
    let outcome = tokio::task::spawn_blocking(move || store.compact(|_, _| ())).await;
    assert!(matches!(outcome.unwrap(), Err(Error::CalledOff)));
    assert_eq!(opened.0.journal_sizes().unwrap().base, 0);
    assert!(files_named(dir.path(), ".tmp").is_empty());
    put(&opened.0, "later").await;
    close(opened);
    let reopened = open(dir.path());
    assert!(has(&reopened.0, "kept").await && has(&reopened.0, "later").await);
    close(reopened);
}

fn files_named(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir.join("journal")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect()
}

async fn try_put(store: &Store, id: &str) -> Result<(), Error> {
    let user = user(id);
    store.write(move |tx| tx.put_user(&user)).await
}

/// Repairs are tried once a second.
async fn until_it_works(store: &Store) {
    for attempt in 0.. {
        match try_put(store, &format!("attempt-{attempt}")).await {
            Ok(()) => return,
            Err(Error::Full | Error::Io(_)) if attempt < 200 => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(error) => panic!("{error} in attempt {attempt}"),
        }
    }
}

#[tokio::test]
async fn an_index_on_a_full_disk_refuses_writes_loses_none_and_works_again_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let opened = open(dir.path());
    let store = &opened.0;
    let faults = store.shared.settings.faults.clone();
    put(store, "before").await;
    faults.fill_the_disk();
    // In the journal and so kept, although the index will take only a part of it.
    let (first, second) = (user("part"), user("other-part"));
    store
        .write(move |tx| {
            tx.put_user(&first)?;
            tx.put_user(&second)
        })
        .await
        .unwrap();
    assert!(has(store, "part").await && has(store, "other-part").await);
    let failed = checkpoint(store).await;
    assert!(matches!(failed, Err(Error::Full)), "{failed:?}");
    assert!(has(store, "part").await && has(store, "other-part").await);
    for attempt in 0..3 {
        let refused = try_put(store, &format!("refused-{attempt}")).await;
        assert!(matches!(refused, Err(Error::Full)), "{refused:?}");
    }
    assert!(has(store, "before").await && has(store, "part").await);
    assert!(!has(store, "refused-0").await && store.is_healthy());
    let compaction = store.clone();
    let compaction = tokio::task::spawn_blocking(move || compaction.compact(|_, _| ())).await;
    assert!(matches!(compaction.unwrap(), Err(Error::Full)));
    assert!(store.is_refusing());
    assert_eq!(store.counts().unwrap().users, 3, "also those that wait");
    faults.free_the_disk();
    until_it_works(store).await;
    assert!(!store.is_refusing());
    for id in ["before", "part", "other-part"] {
        assert!(has(store, id).await, "{id}");
    }
    assert!(!has(store, "refused-0").await);
    assert_eq!(faults.opened(), 2, "opened anew, not rebuilt");
    store.checkpoint(1).unwrap();
    close(opened);
    let reopened = open(dir.path());
    for id in ["before", "part", "other-part"] {
        assert!(has(&reopened.0, id).await, "{id}");
    }
    close(reopened);
}

#[tokio::test]
async fn a_failure_that_is_met_again_and_again_does_not_put_off_the_repair() {
    let dir = tempfile::tempdir().unwrap();
    let opened = open(dir.path());
    let store = &opened.0;
    put(store, "before").await;
    for attempt in 0.. {
        let (why, rebuild) = (Error::Full, false);
        if attempt == 0 || store.is_refusing() {
            let failed = Work::IndexFailed { why, rebuild };
            assert!(store.work.send(failed).await.is_ok());
        }
        match try_put(store, "after").await {
            Ok(()) => break,
            Err(Error::Full) if attempt < 200 => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(error) => panic!("{error} in attempt {attempt}"),
        }
    }
    assert!(has(store, "after").await && !store.is_refusing());
    close(opened);
}

#[tokio::test]
async fn a_failed_index_that_somebody_holds_is_opened_anew_later_and_not_rebuilt() {
    let dir = tempfile::tempdir().unwrap();
    let opened = open(dir.path());
    let store = &opened.0;
    put(store, "before").await;
    let held = store.shared.live.index().unwrap();
    let generation = held.generation();
    let reached = store.shared.live.reached();
    let shared = Arc::clone(&store.shared);
    let repairing = tokio::task::spawn_blocking(move || repair::repair(&shared, false, reached));
    let refused = repairing.await.unwrap();
    assert!(matches!(refused, Err(Error::Index(_))), "{refused:?}");
    assert!(has(store, "before").await, "readers still have it");
    drop(held);
    let shared = Arc::clone(&store.shared);
    let repairing = tokio::task::spawn_blocking(move || repair::repair(&shared, false, reached));
    repairing.await.unwrap().unwrap();
    assert_eq!(store.shared.live.index().unwrap().generation(), generation);
    assert_eq!(store.shared.settings.faults.opened(), 2);
    assert!(has(store, "before").await);
    put(store, "after").await;
    close(opened);
}

#[tokio::test]
async fn a_panic_in_a_compaction_does_not_end_the_checkpoints() {
    let dir = tempfile::tempdir().unwrap();
    let opened = open(dir.path());
    let shared = Arc::clone(&opened.0.shared);
    let panicking = std::thread::spawn(move || {
        let _held = shared.maintenance.lock().unwrap();
        panic!("a bug in a compaction");
    });
    assert!(panicking.join().is_err());
    put(&opened.0, "somebody").await;
    checkpoint(&opened.0).await.unwrap();
    let saved = super::checkpoint::Checkpoint::load(dir.path()).unwrap();
    assert_eq!(saved.commit, opened.0.shared.live.reached().0);
    close(opened);
}

#[tokio::test]
async fn a_full_journal_is_told_until_it_takes_something_again() {
    let dir = tempfile::tempdir().unwrap();
    let opened = open(dir.path());
    let store = &opened.0;
    put(store, "before").await;
    assert!(!store.is_refusing());
    let faults = store.shared.settings.faults.clone();
    faults.fill_the_journal(true);
    let refused = try_put(store, "refused").await;
    assert!(matches!(refused, Err(Error::Full)), "{refused:?}");
    assert!(store.is_refusing() && store.is_healthy());
    assert_eq!(store.counts().unwrap().users, 1);
    faults.fill_the_journal(false);
    assert!(store.is_refusing(), "nobody has tried");
    put(store, "after").await;
    assert!(!store.is_refusing());
    assert_eq!(store.counts().unwrap().users, 2);
    close(opened);
}

#[tokio::test]
async fn an_index_whose_sync_failed_is_not_trusted_again_but_rebuilt() {
    let dir = tempfile::tempdir().unwrap();
    let opened = open(dir.path());
    let store = &opened.0;
    put(store, "before").await;
    let generation = store.shared.live.index().unwrap().generation();
    let why = Error::Index("the disk failed".to_owned());
    assert!(
        store
            .work
            .send(Work::IndexFailed { why, rebuild: true })
            .await
            .is_ok()
    );
    let refused = try_put(store, "refused").await;
    assert!(matches!(refused, Err(Error::Io(_))), "{refused:?}");
    until_it_works(store).await;
    assert!(has(store, "before").await && !has(store, "refused").await);
    let rebuilt = store.shared.live.index().unwrap().generation();
    assert_ne!(rebuilt, generation);
    close(opened);
    assert_eq!(fs::read_dir(dir.path().join("db")).unwrap().count(), 1);
    let reopened = open(dir.path());
    assert!(has(&reopened.0, "before").await);
    assert_eq!(
        reopened.0.shared.live.index().unwrap().generation(),
        rebuilt,
        "kept"
    );
    close(reopened);
}

#[tokio::test]
async fn a_compaction_that_meets_a_full_disk_leaves_everything_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let opened = open(dir.path());
    let store = &opened.0;
    put(store, "kept").await;
    let faults = store.shared.settings.faults.clone();
    faults.fill_the_disk();
    let compaction = store.clone();
    let compaction = tokio::task::spawn_blocking(move || compaction.compact(|_, _| ())).await;
    assert!(matches!(compaction.unwrap(), Err(Error::Full)));
    faults.free_the_disk();
    assert_eq!(fs::read_dir(dir.path().join("db")).unwrap().count(), 1);
    assert!(files_named(dir.path(), ".tmp").is_empty());
    until_it_works(store).await;
    assert!(has(store, "kept").await);
    assert!(compact(store).await.rows >= 2);
    close(opened);
}

#[tokio::test]
async fn a_clock_that_jumps_changes_no_order_and_no_id() {
    const YEAR: i64 = 365 * 24 * 3600 * 1000;
    let dir = tempfile::tempdir().unwrap();
    let mut ids = Vec::new();
    let mut commits = Vec::new();
    for step in [0, YEAR, -YEAR, 10 * YEAR, -40 * YEAR, -60 * YEAR, 0] {
        // A start in between: what the last ids were comes from the disk.
        let opened = open(dir.path());
        opened.0.shared.settings.faults.step_clock(step);
        for _ in 0..3 {
            let mint = |tx: &mut Transaction<'_>| {
                let (id, number) = (tx.mint_message_id(), tx.commit_number());
                tx.put_raw(keys::Tree::MessageIds, keys::message_id(id).to_vec(), &[]);
                Ok::<_, Error>((id, number))
            };
            let (id, number) = opened.0.write(mint).await.unwrap();
            ids.push(*id.as_bytes());
            commits.push(number);
        }
        close(opened);
    }
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    assert_eq!(commits, (1..=21).collect::<Vec<u64>>());
}

#[tokio::test]
async fn a_failed_sync_ends_the_store_and_a_restart_keeps_what_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let opened = open(dir.path());
    put(&opened.0, "kept").await;
    opened.0.shared.settings.faults.fail_syncs_of_the_journal();
    let refused = try_put(&opened.0, "lost").await;
    assert!(matches!(refused, Err(Error::Failed(_))), "{refused:?}");
    assert!(opened.0.failed().await.contains("synced"));
    assert!(!opened.0.is_healthy());
    let refused = try_put(&opened.0, "later").await;
    assert!(matches!(refused, Err(Error::Failed(_))), "{refused:?}");
    assert!(has(&opened.0, "kept").await);
    close(opened);
    let reopened = open(dir.path());
    assert!(has(&reopened.0, "kept").await && !has(&reopened.0, "lost").await);
    close(reopened);
}

/// The whole of a compaction, killed at each of its steps in turn, the index's part included.
#[tokio::test]
async fn every_step_of_a_compaction_may_be_the_last_thing_a_process_does() {
    let dir = tempfile::tempdir().unwrap();
    let images = tempfile::tempdir().unwrap();
    let opened = open(dir.path());
    for number in 0..30 {
        put(&opened.0, &format!("u{number}")).await;
    }
    compact(&opened.0).await;
    for number in 30..60 {
        put(&opened.0, &format!("u{number}")).await;
    }
    opened.0.shared.settings.faults.keep_images(images.path());
    compact(&opened.0).await;
    close(opened);
    let count = fs::read_dir(images.path()).unwrap().count();
    assert!(count >= 9, "{count} steps");
    for step in 0..count {
        let image = images.path().join(step.to_string());
        let reopened = open(&image);
        for number in 0..60 {
            assert!(
                has(&reopened.0, &format!("u{number}")).await,
                "u{number} after step {step}"
            );
        }
        put(&reopened.0, "afterwards").await;
        assert_eq!(reopened.0.shared.live.reached().0, 61, "step {step}");
        // Caught up, not rebuilt: a start after a crash in a compaction is as fast as any.
        assert!(!image.join("db.aside").exists(), "step {step}");
        assert_eq!(
            fs::read_dir(image.join("db")).unwrap().count(),
            1,
            "step {step}"
        );
        close(reopened);
        let inspection = Inspection {
            data_dir: image,
            media: None,
            cache: 8 << 20,
        };
        let verified = verify(&inspection, |_, _, _| ()).unwrap();
        assert_eq!(verified.findings.told, [] as [&str; 0], "step {step}");
    }
}
