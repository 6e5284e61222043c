//! Flipped bits and lost ends, in every file of a data directory: what was acknowledged is there, or the start is refused in
//! one line. Never is anything missing in silence.

use std::fs;
use std::path::{Path, PathBuf};

use super::tests::{close, has, open, options, put};
use super::*;

const USERS: usize = 60;

/// A directory with a base, segments after it, an index and a checkpoint at the end.
async fn directory() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (part, compacts) in [(0, true), (1, true), (2, false)] {
        let opened = open(dir.path());
        for number in part * USERS / 3..(part + 1) * USERS / 3 {
            put(&opened.0, &format!("u{number}")).await;
        }
        if compacts {
            let store = opened.0.clone();
            let compacting = tokio::task::spawn_blocking(move || store.compact(|_, _| ()));
            compacting.await.unwrap().unwrap();
        }
        opened.0.checkpoint(1).unwrap();
        close(opened);
    }
    dir
}

/// Files below `dir`, relative to it.
fn files(dir: &Path, below: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir.join(below)).unwrap() {
        let entry = entry.unwrap();
        let path = below.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            files(dir, &path, found);
        } else if entry.file_name() != "LOCK" {
            found.push(path);
        }
    }
}

fn copy(from: &Path, paths: &[PathBuf]) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for path in paths {
        let target = to.path().join(path);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(from.join(path), target).unwrap();
    }
    to
}

/// What may become of a file's bytes. Places are spread over the file, both ends included.
fn damages(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut damaged = Vec::new();
    let last = bytes.len().saturating_sub(1);
    let mut places: Vec<usize> = (0..=8).map(|eighth| last * eighth / 8).collect();
    places.dedup();
    for &place in places.iter().filter(|_| !bytes.is_empty()) {
        let mut flipped = bytes.to_vec();
        flipped[place] ^= 0x10;
        damaged.push((format!("bit flipped at {place}"), flipped));
        damaged.push((format!("cut at {place}"), bytes[..place].to_vec()));
    }
    damaged
}

fn is_journal(path: &Path) -> bool {
    path.starts_with("journal")
}

#[tokio::test]
async fn damage_anywhere_loses_nothing_in_silence() {
    let dir = directory().await;
    let mut paths = Vec::new();
    files(dir.path(), Path::new(""), &mut paths);
    let kinds = [".log", ".base", "checkpoint", "schema", "conf", "db"];
    for kind in kinds {
        let is_there = paths
            .iter()
            .any(|path| path.to_string_lossy().ends_with(kind));
        assert!(is_there, "{kind}: {paths:?}");
    }
    let mut refused = 0;
    for path in &paths {
        let bytes = fs::read(dir.path().join(path)).unwrap();
        for (what, damaged) in damages(&bytes) {
            let told = format!("{} {what}", path.display());
            let copied = copy(dir.path(), &paths);
            fs::write(copied.path().join(path), &damaged).unwrap();
            let inspection = Inspection {
                data_dir: copied.path().to_owned(),
                media: None,
                cache: 8 << 20,
            };
            let verified = verify(&inspection, |_, _, _| ());
            let is_sound = verified
                .as_ref()
                .is_ok_and(|found| found.findings.problems == 0);
            assert!(!is_journal(path) || !is_sound, "{told} passed");
            match Store::open(&options(copied.path())) {
                Ok(opened) => {
                    for number in 0..USERS {
                        assert!(
                            has(&opened.0, &format!("u{number}")).await,
                            "{told}: u{number}"
                        );
                    }
                    close(opened);
                }
                Err(error) => {
                    let line = error.to_string();
                    assert!(!line.contains('\n'), "{line}");
                    assert!(
                        is_journal(path) || path == Path::new("schema"),
                        "{told}: {line}"
                    );
                    assert!(
                        !is_journal(path) || fs::read(copied.path().join(path)).unwrap() == damaged
                    );
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 10, "{refused}");
}
