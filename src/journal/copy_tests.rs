//! A copy holds what was acknowledged before it was taken, whatever the writer does meanwhile.

use std::fs;
use std::path::Path;

use super::error::{Damage, Error, ReplayError};
use super::{Base, Commit, Copy, FileName, Journal, Options, Position, Write, replay};

const SMALL: Options = Options {
    segment_bytes: 300,
    max_frame: 4096,
};

fn commit(number: u64) -> Commit {
    Commit {
        number,
        writes: vec![Write {
            tree: 1,
            key: number.to_be_bytes().to_vec(),
            value: Some(vec![7; 40]),
        }],
        events: Vec::new(),
    }
}

struct Pair {
    source: tempfile::TempDir,
    target: tempfile::TempDir,
    journal: Journal,
}

impl Pair {
    fn new() -> Self {
        let source = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(source.path(), SMALL, None).unwrap();
        Self {
            source,
            target: tempfile::tempdir().unwrap(),
            journal,
        }
    }

    fn append(&mut self, count: u64) -> Position {
        let from = self.journal.next_commit();
        for number in from..from + count {
            self.journal.append(&[commit(number)]).unwrap();
        }
        self.journal.position()
    }

    fn copy(&self) -> Copy {
        Copy::begin(self.source.path(), self.target.path())
    }

    /// Puts a base with all rows in place of all segments but the last.
    fn compact(&mut self) {
        let start = self.journal.begin_base().unwrap();
        let mut base = Base::begin(self.source.path(), start).unwrap();
        for number in 1..start.first_commit() {
            base.push(commit(number).writes.remove(0)).unwrap();
        }
        let last = self.journal.next_commit() - 1;
        let finished = base.finish(last, self.journal.position()).unwrap();
        finished.remove_superseded().unwrap();
    }
}

/// The keys of all rows, and the last commit.
fn keys(dir: &Path) -> (Vec<Vec<u8>>, u64) {
    let mut keys = Vec::new();
    let replayed = replay(dir, Position::START, |commit, _| {
        keys.extend(commit.writes.into_iter().map(|write| write.key));
        Ok::<(), ()>(())
    });
    match replayed {
        Ok(replayed) => {
            assert_eq!(replayed.torn_bytes, 0);
            keys.sort();
            (keys, replayed.last_commit)
        }
        Err(ReplayError::Journal(error)) => panic!("{error}"),
        Err(ReplayError::Visit { .. }) => unreachable!("the visitor refuses nothing"),
    }
}

fn assert_copied(pair: &Pair, copy: &Copy, commits: u64) {
    let expected: Vec<_> = (1..=commits)
        .map(|one| one.to_be_bytes().to_vec())
        .collect();
    assert_eq!(keys(pair.target.path()), (expected, commits));
    assert_eq!(copy.last_commit(), commits);
}

#[test]
fn a_copy_grows_with_its_original() {
    let mut pair = Pair::new();
    let mut copy = pair.copy();
    copy.advance(|_, _| ()).unwrap();
    assert_copied(&pair, &copy, 0);
    for (count, sum) in [(1, 1), (1, 2), (10, 12), (0, 12), (3, 15)] {
        let end = pair.append(count);
        copy.advance(|done, total| assert!(done <= total)).unwrap();
        assert_copied(&pair, &copy, sum);
        assert_eq!(copy.end(), end);
    }
    let names = |dir: &Path| fs::read_dir(dir).unwrap().count();
    assert_eq!(names(pair.source.path()), names(pair.target.path()));
}

#[test]
fn what_the_writer_is_in_the_middle_of_is_left_out_and_taken_later() {
    let mut pair = Pair::new();
    let end = pair.append(1);
    pair.append(1);
    let path = pair
        .source
        .path()
        .join(FileName::Segment(end.segment).on_disk());
    let whole = fs::read(&path).unwrap();
    let at = usize::try_from(end.offset).unwrap();
    for cut in at..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let target = tempfile::tempdir().unwrap();
        let mut copy = Copy::begin(pair.source.path(), target.path());
        copy.advance(|_, _| ()).unwrap();
        assert_eq!((copy.end(), copy.last_commit()), (end, 1), "cut at {cut}");
        assert_eq!(keys(target.path()).1, 1);
        fs::write(&path, &whole).unwrap();
        copy.advance(|_, _| ()).unwrap();
        assert_eq!(keys(target.path()).1, 2);
    }
}

#[test]
fn a_compaction_in_between_is_followed_or_asks_for_a_new_copy() {
    let mut pair = Pair::new();
    pair.append(5);
    let mut copy = pair.copy();
    copy.advance(|_, _| ()).unwrap();
    // The copy ends with the last segment before the base: the old rows are in it, and the new ones follow.
    pair.compact();
    pair.append(5);
    copy.advance(|_, _| ()).unwrap();
    assert_copied(&pair, &copy, 10);
    // Segments that it never saw have become part of a base.
    pair.append(10);
    pair.compact();
    pair.append(1);
    let refused = copy.advance(|_, _| ()).unwrap_err();
    assert!(matches!(refused, Error::Compacted(_)), "{refused}");
    let target = tempfile::tempdir().unwrap();
    let mut anew = Copy::begin(pair.source.path(), target.path());
    anew.advance(|_, _| ()).unwrap();
    assert_eq!(keys(target.path()).0.len(), 21);
}

#[test]
fn damage_is_no_tail() {
    let mut pair = Pair::new();
    pair.append(2);
    let path = pair.source.path().join(FileName::Segment(1).on_disk());
    let mut bytes = fs::read(&path).unwrap();
    bytes[60] ^= 1;
    fs::write(&path, bytes).unwrap();
    let refused = pair.copy().advance(|_, _| ()).unwrap_err();
    let Error::Damaged { why, .. } = refused else {
        panic!("{refused}");
    };
    assert!(matches!(why, Damage::Frame(_)), "{why}");
}
