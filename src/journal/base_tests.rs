//! Compaction keeps the promise too: whatever fails at whichever step, the rows are those of the acknowledged commits, and
//! the numbers go on.

use std::collections::BTreeMap;

use super::base::{self, BaseWriter, FOOTER_BYTES};
use super::crash_tests::cases;
use super::disk::Disk;
use super::error::{Damage, Error, ReplayError};
use super::layout::Layout;
use super::name::FileName;
use super::scan;
use super::simulation::{Fault, SimulatedDisk};
use super::writer::Writer;
use super::{Commit, Options, Position, Write};

const OPTIONS: Options = Options {
    segment_bytes: 700,
    max_frame: 4096,
};

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// Every third commit removes the row that the one before wrote; the others write a row of their own and a shared one.
fn commit(number: u64) -> Commit {
    let row = |key: u64, value: Option<Vec<u8>>| Write {
        tree: 1,
        key: key.to_be_bytes().to_vec(),
        value,
    };
    let mut writes = vec![row(u64::MAX, Some(number.to_be_bytes().to_vec()))];
    if number.is_multiple_of(3) {
        writes.push(row(number - 1, None));
    } else {
        writes.push(row(number, Some(vec![7; 60])));
    }
    Commit {
        number,
        writes,
        events: Vec::new(),
    }
}

fn apply(rows: &mut Rows, commit: Commit) {
    for Write { key, value, .. } in commit.writes {
        match value {
            Some(value) => rows.insert(key, value),
            None => rows.remove(&key),
        };
    }
}

fn rows_after(commits: u64) -> Rows {
    let mut rows = Rows::new();
    (1..=commits).for_each(|number| apply(&mut rows, commit(number)));
    rows
}

fn replayed(disk: &SimulatedDisk) -> Result<(Rows, u64), Error> {
    let mut rows = Rows::new();
    let replayed = scan::replay(disk, Position::START, None, |commit, progress| {
        assert!(progress.done <= progress.total);
        apply(&mut rows, commit);
        Ok::<(), ()>(())
    });
    match replayed {
        Ok(replayed) => Ok((rows, replayed.last_commit)),
        Err(ReplayError::Journal(error)) => Err(error),
        Err(ReplayError::Visit { .. }) => unreachable!("the visitor refuses nothing"),
    }
}

/// What was acknowledged, and whether the commit after it was on its way when everything ended.
#[derive(Debug, Clone, Copy, Default)]
struct Witness {
    acknowledged: u64,
    in_flight: bool,
    known: Option<Position>,
}

impl Witness {
    fn append(&mut self, writer: &mut Writer<SimulatedDisk>) -> Result<(), Error> {
        match writer.append(&[commit(self.acknowledged + 1)]) {
            Ok(position) => {
                self.acknowledged += 1;
                self.known = Some(position);
                Ok(())
            }
            Err(error @ Error::SyncFailed(_)) => {
                self.in_flight = true;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }
}

/// Commits, then two compactions with commits while the base is being written and after it. Ends at the first error.
fn work(disk: &SimulatedDisk, witness: &mut Witness) -> Result<(), Error> {
    let (mut writer, _) = Writer::open(disk.clone(), OPTIONS, None)?;
    for _ in 0..9 {
        witness.append(&mut writer)?;
    }
    for _ in 0..2 {
        compact(disk, &mut writer, witness)?;
        for _ in 0..9 {
            witness.append(&mut writer)?;
        }
    }
    Ok(())
}

/// The rows are taken partly before and partly after commits that came meanwhile, as an iteration over a live index does.
fn compact(
    disk: &SimulatedDisk,
    writer: &mut Writer<SimulatedDisk>,
    witness: &mut Witness,
) -> Result<(), Error> {
    let start = writer.begin_base()?;
    let mut base = BaseWriter::begin(disk.clone(), start)?;
    let early = rows_after(witness.acknowledged);
    let middle = early.len() / 2;
    for (key, value) in early.iter().take(middle) {
        base.push(row(key, value))?;
    }
    for _ in 0..9 {
        witness.append(writer)?;
    }
    let seen = early.keys().nth(middle).cloned().unwrap_or_default();
    for (key, value) in rows_after(witness.acknowledged).range(seen..) {
        base.push(row(key, value))?;
    }
    base.finish(witness.acknowledged, writer.position())?;
    let superfluous = Layout::read(disk)?.superfluous;
    base::sweep(&mut disk.clone(), &superfluous)
}

fn row(key: &[u8], value: &[u8]) -> Write {
    Write {
        tree: 1,
        key: key.to_vec(),
        value: Some(value.to_vec()),
    }
}

/// Opens, looks, appends, and looks again.
fn check(disk: &SimulatedDisk, witness: Witness, told: &str) {
    let (mut writer, recovered) = Writer::open(disk.clone(), OPTIONS, None).unwrap();
    let found = recovered.last_commit;
    let possible = witness.acknowledged..=witness.acknowledged + u64::from(witness.in_flight);
    assert!(possible.contains(&found), "{told}: {found} {witness:?}");
    assert_eq!(
        replayed(disk).unwrap(),
        (rows_after(found), found),
        "{told}"
    );
    let is_draft = |name: &FileName| matches!(name, FileName::Draft(_));
    assert!(!disk.names().iter().any(is_draft), "{told}");
    writer.append(&[commit(found + 1)]).unwrap();
    assert_eq!(
        replayed(disk).unwrap(),
        (rows_after(found + 1), found + 1),
        "{told}"
    );
}

#[test]
fn every_step_of_a_compaction_may_be_the_last() {
    for fault in [Fault::PowerCut, Fault::Full, Fault::Error] {
        for at in 0.. {
            let disk = SimulatedDisk::default();
            disk.schedule([(at, fault)]);
            let mut witness = Witness::default();
            let outcome = work(&disk, &mut witness);
            for seed in 0..u64::from(cases(3)) {
                let told = format!("{fault:?} at {at}, cut {seed}");
                check(&disk.after_power_cut(seed, 512), witness, &told);
            }
            let told = format!("{fault:?} at {at}, kill");
            check(&disk.after_kill(), witness, &told);
            if outcome.is_ok() {
                assert!(at > 100, "the work has that many steps");
                break;
            }
        }
    }
}

fn compacted() -> (SimulatedDisk, Writer<SimulatedDisk>, Witness) {
    let disk = SimulatedDisk::default();
    let mut witness = Witness::default();
    work(&disk, &mut witness).unwrap();
    let (writer, _) = Writer::open(disk.clone(), OPTIONS, witness.known).unwrap();
    (disk, writer, witness)
}

fn newest_base(disk: &SimulatedDisk) -> FileName {
    let names = disk.names();
    let bases = names
        .iter()
        .filter(|name| matches!(name, FileName::Base(_)));
    *bases.max().unwrap()
}

#[test]
fn only_the_newest_base_and_its_segments_stay() {
    let (disk, writer, witness) = compacted();
    let layout = Layout::read(&disk).unwrap();
    assert_eq!(layout.superfluous, []);
    assert_eq!(newest_base(&disk), FileName::Base(layout.first));
    assert!(layout.first > 5);
    assert_eq!(writer.next_commit(), witness.acknowledged + 1);
}

#[test]
fn a_position_that_was_compacted_away_is_told_apart() {
    let (disk, _, witness) = compacted();
    let old = Position {
        segment: 2,
        offset: 44,
    };
    let outcome = scan::replay(&disk, old, None, |_, _| Ok::<(), ()>(()));
    let compacted = matches!(outcome, Err(ReplayError::Journal(Error::Compacted(2))));
    assert!(compacted, "{outcome:?}");
    // A checkpoint from before is no reason to refuse.
    let (_, recovered) = Writer::open(disk, OPTIONS, Some(old)).unwrap();
    assert_eq!(recovered.last_commit, witness.acknowledged);
}

#[test]
fn every_changed_byte_of_a_base_is_noticed() {
    let (disk, _, _) = compacted();
    let name = newest_base(&disk);
    let length = disk.bytes(name).len();
    for at in 0..length {
        disk.spoil(name, |bytes| bytes[at] ^= 4);
        let error = replayed(&disk).unwrap_err();
        assert!(
            matches!(error, Error::Damaged { file, .. } if file == name),
            "byte {at}: {error}"
        );
        assert!(!error.to_string().contains('\n'));
        disk.spoil(name, |bytes| bytes[at] ^= 4);
    }
    for shorter in [0, 43, length - FOOTER_BYTES, length - 1] {
        let (disk, _, _) = compacted();
        disk.spoil(name, |bytes| bytes.truncate(shorter));
        let error = Writer::open(disk.clone(), OPTIONS, None).unwrap_err();
        assert!(matches!(error, Error::Damaged { file, .. } if file == name));
    }
}

#[test]
fn a_journal_that_ends_before_its_base_did_is_damage() {
    let (disk, _, _) = compacted();
    let layout = Layout::read(&disk).unwrap();
    let end = layout.known_end();
    assert!(layout.first < end.segment && end.segment < layout.last);
    for number in end.segment + 1..=layout.last {
        disk.clone().remove(FileName::Segment(number)).unwrap();
    }
    assert!(replayed(&disk).unwrap().1 >= 36);
    let last = FileName::Segment(end.segment);
    let cut = usize::try_from(end.offset).unwrap() - 1;
    disk.spoil(last, |bytes| bytes.truncate(cut));
    for error in [
        replayed(&disk).unwrap_err(),
        Writer::open(disk.clone(), OPTIONS, None).unwrap_err(),
    ] {
        let why = Damage::BeforeCheckpoint(end.offset);
        assert!(
            matches!(error, Error::Damaged { file, why: found, .. } if file == last && found == why),
            "{error}"
        );
    }
    disk.clone().remove(last).unwrap();
    let error = Writer::open(disk, OPTIONS, None).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Damaged {
                why: Damage::Missing,
                ..
            }
        ),
        "{error}"
    );
}
