//! What opening makes of a directory, case by case, and the format as released.

use std::fs;
use std::path::Path;

use super::base::BaseWriter;
use super::error::{Damage, Error, ReplayError};
use super::name::FileName;
use super::simulation::SimulatedDisk;
use super::writer::Writer;
use super::{Commit, Journal, Options, Position, Progress, Replayed, Write, replay, replay_until};

const SMALL: Options = Options {
    segment_bytes: 300,
    max_frame: 4096,
};

fn commit(number: u64) -> Commit {
    Commit {
        number,
        writes: vec![
            Write {
                tree: 2,
                key: number.to_be_bytes().to_vec(),
                value: Some(format!("value {number}").into_bytes()),
            },
            Write {
                tree: 3,
                key: b"gone".to_vec(),
                value: None,
            },
        ],
        events: vec![Vec::new(), vec![7; 3]],
    }
}

/// One commit a group; returns where each ends.
fn fill(dir: &Path, count: u64) -> Vec<Position> {
    let (mut journal, recovered) = Journal::open(dir, SMALL, None).unwrap();
    let numbers = recovered.last_commit + 1..=recovered.last_commit + count;
    numbers
        .map(|number| journal.append(&[commit(number)]).unwrap())
        .collect()
}

fn read(dir: &Path, from: Position) -> Result<(Vec<Commit>, Replayed), Error> {
    let mut found = Vec::new();
    match replay(dir, from, |commit, _| {
        found.push(commit);
        Ok::<(), ()>(())
    }) {
        Ok(replayed) => Ok((found, replayed)),
        Err(ReplayError::Journal(error)) => Err(error),
        Err(ReplayError::Visit { .. }) => unreachable!("the visitor refuses nothing"),
    }
}

fn segment(dir: &Path, number: u64) -> std::path::PathBuf {
    dir.join(FileName::Segment(number).on_disk())
}

fn damage(error: Error) -> Damage {
    assert!(!error.to_string().contains('\n'));
    match error {
        Error::Damaged { why, .. } => why,
        other => panic!("{other:?}"),
    }
}

fn open_damaged(dir: &Path, known: Option<Position>) -> Damage {
    damage(Journal::open(dir, SMALL, known).unwrap_err())
}

#[test]
fn what_was_appended_is_replayed_from_any_position() {
    let dir = tempfile::tempdir().unwrap();
    let ends = fill(dir.path(), 20);
    assert!(ends[19].segment > 3, "rotates");
    let (all, replayed) = read(dir.path(), Position::START).unwrap();
    assert_eq!(all, (1..=20).map(commit).collect::<Vec<_>>());
    assert_eq!((replayed.end, replayed.last_commit), (ends[19], 20));
    for (number, &end) in (1..).zip(&ends) {
        let (rest, _) = read(dir.path(), end).unwrap();
        assert_eq!(rest, (number + 1..=20).map(commit).collect::<Vec<_>>());
    }
}

#[test]
fn a_reopened_journal_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, recovered) = Journal::open(dir.path(), SMALL, None).unwrap();
    assert!(recovered.created);
    drop(journal);
    let ends = fill(dir.path(), 5);
    for known in [None, Some(Position::START), Some(ends[0]), Some(ends[4])] {
        let (journal, recovered) = Journal::open(dir.path(), SMALL, known).unwrap();
        assert_eq!(journal.position(), ends[4]);
        assert_eq!((journal.next_commit(), recovered.last_commit), (6, 5));
        assert!(!recovered.created && recovered.cut_bytes == 0);
    }
    fill(dir.path(), 5);
    assert_eq!(read(dir.path(), ends[4]).unwrap().0[0], commit(6));
}

#[test]
fn progress_ends_at_the_total() {
    let dir = tempfile::tempdir().unwrap();
    let ends = fill(dir.path(), 20);
    for from in [Position::START, ends[10]] {
        let mut seen = Vec::new();
        replay(dir.path(), from, |_, progress| {
            seen.push(progress);
            Ok::<(), ()>(())
        })
        .unwrap();
        assert!(seen.is_sorted_by_key(|progress| progress.done));
        let Progress { done, total } = *seen.last().unwrap();
        assert_eq!(done, total);
    }
}

#[test]
fn a_reader_beside_the_writer_stops_where_it_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let ends = fill(dir.path(), 9);
    // A group half written, as a reader may see it.
    let last = segment(dir.path(), ends[8].segment);
    let mut bytes = fs::read(&last).unwrap();
    bytes.extend_from_slice(b"jfr1 and some");
    fs::write(&last, bytes).unwrap();
    let mut count = 0;
    let replayed = replay_until(dir.path(), ends[1], ends[6], |_, _| {
        count += 1;
        Ok::<(), ()>(())
    });
    assert_eq!((replayed.unwrap().end, count), (ends[6], 5));
    let all = replay_until(dir.path(), ends[1], ends[8], |_, _| Ok::<(), ()>(())).unwrap();
    assert_eq!((all.end, all.torn_bytes), (ends[8], 0));
}

#[test]
fn a_visitors_refusal_ends_the_replay() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 3);
    let outcome = replay(dir.path(), Position::START, |commit, _| {
        if commit.number < 2 { Ok(()) } else { Err("no") }
    });
    assert!(matches!(
        outcome,
        Err(ReplayError::Visit {
            number: 2,
            source: "no"
        })
    ));
}

#[test]
fn a_torn_tail_is_cut_and_told_of() {
    let whole = tempfile::tempdir().unwrap();
    let ends = fill(whole.path(), 8);
    let last = ends[7].segment;
    let bytes = fs::read(segment(whole.path(), last)).unwrap();
    let before = usize::try_from(ends[6].offset).unwrap();
    assert_eq!(ends[6].segment, last, "both in the last segment");
    for length in before..bytes.len() {
        for zeros in [0, 5000] {
            let dir = tempfile::tempdir().unwrap();
            for number in 1..=last {
                fs::copy(segment(whole.path(), number), segment(dir.path(), number)).unwrap();
            }
            let mut torn = bytes[..length].to_vec();
            torn.resize(length + zeros, 0);
            fs::write(segment(dir.path(), last), &torn).unwrap();
            let (found, replayed) = read(dir.path(), Position::START).unwrap();
            assert_eq!((found.len(), replayed.end), (7, ends[6]));
            let (journal, recovered) = Journal::open(dir.path(), SMALL, Some(ends[6])).unwrap();
            let cut = (length - before + zeros) as u64;
            assert_eq!((recovered.cut_bytes, replayed.torn_bytes), (cut, cut));
            assert_eq!((journal.position(), recovered.last_commit), (ends[6], 7));
        }
    }
}

#[test]
fn the_same_tear_before_a_checkpoint_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let ends = fill(dir.path(), 8);
    let last = segment(dir.path(), ends[7].segment);
    let bytes = fs::read(&last).unwrap();
    fs::write(&last, &bytes[..bytes.len() - 1]).unwrap();
    let known = Damage::BeforeCheckpoint(ends[7].offset);
    assert_eq!(open_damaged(dir.path(), Some(ends[7])), known);
    assert_eq!(fs::read(&last).unwrap().len(), bytes.len() - 1, "untouched");
    fs::write(&last, &bytes[..usize::try_from(ends[6].offset).unwrap()]).unwrap();
    assert_eq!(open_damaged(dir.path(), Some(ends[7])), known);
}

#[test]
fn a_position_inside_a_frame_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let end = fill(dir.path(), 1)[0];
    for offset in [end.offset - 1, end.offset + 1] {
        let known = Position { offset, ..end };
        let why = Damage::BeforeCheckpoint(offset);
        assert_eq!(open_damaged(dir.path(), Some(known)), why);
        assert_eq!(damage(read(dir.path(), known).unwrap_err()), why);
    }
}

#[test]
fn more_than_one_frame_of_rubbish_is_no_torn_tail() {
    let dir = tempfile::tempdir().unwrap();
    let end = fill(dir.path(), 1)[0];
    let file = fs::OpenOptions::new()
        .append(true)
        .open(segment(dir.path(), 1))
        .unwrap();
    file.set_len(end.offset + Options::FRAME_LIMIT as u64 + 1)
        .unwrap();
    Journal::open(dir.path(), SMALL, None).unwrap(); // a hole of zeros is cut
    assert_eq!(file.metadata().unwrap().len(), end.offset);
    file.set_len(end.offset + Options::FRAME_LIMIT as u64)
        .unwrap();
    std::io::Write::write_all(&mut &file, b"x").unwrap();
    assert!(matches!(
        open_damaged(dir.path(), None),
        Damage::LongTail(_)
    ));
}

#[test]
fn a_missing_segment_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let ends = fill(dir.path(), 20);
    let count = ends[19].segment;
    for number in [1, 2, count] {
        let path = segment(dir.path(), number);
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(open_damaged(dir.path(), Some(ends[19])), Damage::Missing);
        fs::write(path, bytes).unwrap();
    }
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(open_damaged(empty.path(), Some(ends[0])), Damage::Missing);
    assert_eq!(fs::read_dir(empty.path()).unwrap().count(), 0, "not begun");
}

#[test]
fn segments_in_each_others_place_are_damage() {
    let dir = tempfile::tempdir().unwrap();
    let ends = fill(dir.path(), 20);
    assert!(ends[19].segment > 3);
    fs::copy(segment(dir.path(), 2), segment(dir.path(), 3)).unwrap();
    assert_eq!(open_damaged(dir.path(), None), Damage::WrongSegment(2));
}

#[test]
fn a_gap_in_the_numbers_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let ends = fill(dir.path(), 3);
    let path = segment(dir.path(), 1);
    let bytes = fs::read(&path).unwrap();
    assert_eq!(ends[2].segment, 1);
    let [first, second] = [0, 1].map(|at| usize::try_from(ends[at].offset).unwrap());
    fs::write(&path, [&bytes[..first], &bytes[second..]].concat()).unwrap();
    let why = Damage::Gap {
        expected: 2,
        found: 3,
    };
    assert_eq!(open_damaged(dir.path(), None), why);
}

#[test]
fn a_segment_begun_in_a_crash_is_removed() {
    for left in [0, 1, 43, 44, 4096] {
        let dir = tempfile::tempdir().unwrap();
        let end = *fill(dir.path(), 5).last().unwrap();
        let next = segment(dir.path(), end.segment + 1);
        fs::write(&next, vec![0; left]).unwrap();
        let (mut journal, recovered) = Journal::open(dir.path(), SMALL, Some(end)).unwrap();
        assert_eq!(recovered.removed_segment, Some(end.segment + 1));
        assert_eq!((journal.position(), recovered.cut_bytes), (end, 0));
        assert!(!next.exists());
        journal.append(&[commit(6)]).unwrap();
    }
}

#[test]
fn a_first_segment_begun_in_a_crash_is_begun_again() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(segment(dir.path(), 1), b"jivjr").unwrap();
    let (mut journal, recovered) = Journal::open(dir.path(), SMALL, None).unwrap();
    assert!(recovered.created);
    journal.append(&[commit(1)]).unwrap();
    // With something behind it, a broken header is no beginning.
    let path = segment(dir.path(), 1);
    let mut bytes = fs::read(&path).unwrap();
    bytes[0] ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert_eq!(open_damaged(dir.path(), None), Damage::Header);
}

#[test]
fn groups_that_cannot_be_written_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open(dir.path(), SMALL, None).unwrap();
    let start = journal.position();
    assert_eq!(journal.append::<Vec<u8>>(&[]).unwrap(), start);
    let found = [commit(2), commit(1)];
    for (group, wrong) in [(&found[..1], 2), (&[commit(1), commit(3)], 3)] {
        let error = journal.append(group).unwrap_err();
        assert!(matches!(error, Error::OutOfOrder { found, .. } if found == wrong));
    }
    let mut large = commit(1);
    large.events.push(vec![0; SMALL.max_frame]);
    let error = journal.append(&[large]).unwrap_err();
    assert!(matches!(error, Error::TooLarge { limit: 4096, .. }));
    assert_eq!(journal.position(), start);
    journal.append(&[commit(1)]).unwrap();
}

#[test]
fn a_directory_that_cannot_be_used_is_a_one_line_error() {
    let dir = tempfile::tempdir().unwrap();
    let error = Journal::open(&dir.path().join("absent"), SMALL, None).unwrap_err();
    assert!(matches!(error, Error::Io { .. }));
    assert!(!error.to_string().contains('\n'));
}

#[test]
fn other_files_in_the_directory_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("notes.log"), "mine").unwrap();
    fill(dir.path(), 9);
    assert_eq!(read(dir.path(), Position::START).unwrap().0.len(), 9);
}

/// A segment as version 1 writes it: two commits in one frame, then one commit in another. Every later version reads it.
const VERSION_1: &str = "6a69766a726e6c0a010000000000000001000000000000000100000000000000c15c0289ec2d0a9109684c516a6672313e00000001000000000000000200000015708068af80ff92020000000200000002080000000000000000000001010700000076616c756520310304000000676f6e6500000000000300000007070700000000000000006a667231360000000300000000000000010000009ad979a85b2c823b020000000200000002080000000000000000000003010700000076616c756520330304000000676f6e65000000000003000000070707";

fn version_1_commits() -> Vec<Commit> {
    let mut bare = commit(2);
    bare.writes.clear();
    bare.events.clear();
    vec![commit(1), bare, commit(3)]
}

#[test]
fn version_1_stays_readable() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(segment(dir.path(), 1), unhex(VERSION_1)).unwrap();
    let (found, replayed) = read(dir.path(), Position::START).unwrap();
    assert_eq!(found, version_1_commits());
    assert_eq!(replayed.torn_bytes, 0);
}

/// The same as version 2 writes it, which differs in the number alone.
#[test]
fn version_2_is_what_is_written() {
    let disk = SimulatedDisk::default();
    let (mut writer, _) = Writer::open(disk.clone(), Options::default(), None).unwrap();
    let commits = version_1_commits();
    writer.append(&commits[..2]).unwrap();
    writer.append(&commits[2..]).unwrap();
    let version_2 = VERSION_1
        .replacen("6c0a0100", "6c0a0200", 1)
        .replacen("9109684c", "91b66053", 1)
        .replacen("516a6672", "986a6672", 1);
    assert_eq!(hex(&disk.bytes(FileName::Segment(1))), version_2);
}

/// A base as version 2 writes it: two rows in one frame, before commit 3 and segment 2. Every later version reads it.
const BASE_VERSION_2: &str = "6a6976626173650a020000000000000002000000000000000300000000000000ed8f01dbe4140b1dbcaf1ee46a66723122000000010000000000000001000000d3a0b4bb4e59e7bd020000000000000001010000006101030000000909090602000000626301000000006a697662656e640a0200000000000000020000000000000002000000000000002c000000000000003ffac522";

#[test]
fn a_base_of_version_2_is_what_is_written_and_stays_readable() {
    let disk = SimulatedDisk::default();
    let (mut writer, _) = Writer::open(disk.clone(), Options::default(), None).unwrap();
    writer.append(&version_1_commits()[..2]).unwrap();
    let start = writer.begin_base().unwrap();
    let mut base = BaseWriter::begin(disk.clone(), start).unwrap();
    let rows = [
        (1, b"a".to_vec(), vec![9; 3]),
        (6, b"bc".to_vec(), Vec::new()),
    ];
    let rows = rows.map(|(tree, key, value)| Write {
        tree,
        key,
        value: Some(value),
    });
    for row in &rows {
        base.push(row.clone()).unwrap();
    }
    base.finish(2, writer.position()).unwrap();
    let bytes = disk.bytes(FileName::Base(2));
    assert_eq!(hex(&bytes), BASE_VERSION_2);

    let dir = tempfile::tempdir().unwrap();
    fs::write(segment(dir.path(), 2), disk.bytes(FileName::Segment(2))).unwrap();
    let path = dir.path().join(FileName::Base(2).on_disk());
    fs::write(path, unhex(BASE_VERSION_2)).unwrap();
    let (found, replayed) = read(dir.path(), Position::START).unwrap();
    let expected = Commit {
        number: 2,
        writes: rows.to_vec(),
        events: Vec::new(),
    };
    assert_eq!((found, replayed.last_commit), (vec![expected], 2));
}

fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from(b"0123456789abcdef"[usize::from(half)]);
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(digit).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}
