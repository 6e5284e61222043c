//! A journal that is written, perhaps compacted, and then damaged, all as some bytes say: whatever is read of it is what was written.

use std::path::Path;

use jivchat::journal::{self, Base, Commit, Finished, Journal, Options, Position, Write};

/// Up to seven commits, a base after one of them, then any number of changed bytes.
pub(crate) fn journal_damage(script: &[u8]) {
    let [commits, base, script @ ..] = script else {
        return;
    };
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    write(path, u64::from(commits % 8), u64::from(*base));
    let whole = read(path);
    damage(path, script);
    let left = read(path);
    assert!(whole.starts_with(&left), "{left:?} was never written");
    // Opening cuts off what a crash can have torn, and nothing of what was read before.
    if let Ok((journal, recovered)) = Journal::open(path, Options::default(), None) {
        assert_eq!(journal.next_commit(), recovered.last_commit + 1);
        drop(journal);
        assert_eq!(read(path), left);
    }
}

fn write(path: &Path, commits: u64, base: u64) {
    let options = Options {
        segment_bytes: 200,
        ..Options::default()
    };
    let (mut journal, _) = Journal::open(path, options, None).expect("a journal");
    for number in 1..=commits {
        let value = vec![u8::try_from(number).unwrap_or_default(); 40];
        let write = Write {
            tree: 1,
            key: number.to_be_bytes().into(),
            value: Some(value),
        };
        let commit = Commit {
            number,
            writes: vec![write.clone()],
            events: vec![vec![2; 3]],
        };
        journal.append(&[commit]).expect("room");
        if number == base {
            let start = journal.begin_base().expect("a base");
            let mut base = Base::begin(path, start).expect("a base");
            base.push(write).expect("room");
            let finished = base.finish(number, journal.position());
            finished
                .and_then(Finished::remove_superseded)
                .expect("a base");
        }
    }
}

/// Four bytes a change: the file, two for the place, and what is turned there; a turn of nothing cuts the file off.
fn damage(path: &Path, script: &[u8]) {
    let mut files: Vec<_> = std::fs::read_dir(path)
        .expect("the directory")
        .map(|file| file.expect("a file").path())
        .collect();
    files.sort();
    for change in script.chunks_exact(4) {
        let file = &files[usize::from(change[0]) % files.len()];
        let mut bytes = std::fs::read(file).expect("the file");
        let place = usize::from(u16::from_le_bytes([change[1], change[2]]));
        if change[3] == 0 {
            bytes.truncate(place);
        } else if let Some(byte) = bytes.get_mut(place) {
            *byte ^= change[3];
        }
        std::fs::write(file, bytes).expect("the file");
    }
}

fn read(path: &Path) -> Vec<Commit> {
    let mut read = Vec::new();
    let _ = journal::replay(path, Position::START, |commit, _| {
        read.push(commit);
        Ok::<_, std::convert::Infallible>(())
    });
    read
}
