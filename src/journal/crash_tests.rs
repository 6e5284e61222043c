//! The promise itself (P1–P3): whatever fails and whenever the power goes, every acknowledged commit is there, in order,
//! once, and nothing that was never appended.

use proptest::collection::vec;
use proptest::prelude::*;

use super::error::{Error, ReplayError};
use super::name::FileName;
use super::scan;
use super::segment::FIRST_FRAME;
use super::simulation::{Fault, SimulatedDisk};
use super::writer::Writer;
use super::{Commit, Options, Position, Write};

/// So many, times `JIVCHAT_ROUNDS` when a night is given to it.
pub(super) fn cases(usual: u32) -> u32 {
    let rounds = std::env::var("JIVCHAT_ROUNDS").map_or(1, |rounds| rounds.parse().unwrap());
    usual * rounds
}

#[derive(Debug, Clone)]
struct Round {
    /// Sizes of the values of each commit of each group.
    groups: Vec<Vec<usize>>,
    faults: Vec<(u64, Fault)>,
    power_cut: bool,
    with_checkpoint: bool,
    page: usize,
    seed: u64,
}

fn any_round() -> impl Strategy<Value = Round> {
    let fault = prop_oneof![Just(Fault::Full), Just(Fault::Error), Just(Fault::PowerCut)];
    (
        vec(vec(0usize..6000, 1..4), 0..12),
        vec((0u64..40, fault), 0..4),
        any::<bool>(),
        any::<bool>(),
        prop_oneof![Just(512usize), Just(4096)],
        any::<u64>(),
    )
        .prop_map(
            |(groups, faults, power_cut, with_checkpoint, page, seed)| Round {
                groups,
                faults,
                power_cut,
                with_checkpoint,
                page,
                seed,
            },
        )
}

/// What the appender knows, to be compared with what the disk says.
#[derive(Default)]
struct Witness {
    acknowledged: Vec<Commit>,
    /// Was being appended when everything ended: may be there, whole, or not.
    in_flight: Vec<Commit>,
    checkpoint: Option<Position>,
    attempts: u8,
}

impl Witness {
    /// A group that no other attempt resembles.
    fn group(&mut self, sizes: &[usize]) -> Vec<Commit> {
        self.attempts = self.attempts.wrapping_add(1);
        let first = self.acknowledged.len() as u64 + 1;
        (first..)
            .zip(sizes)
            .map(|(number, &size)| Commit {
                number,
                writes: vec![Write {
                    tree: 1,
                    key: number.to_be_bytes().to_vec(),
                    value: (size % 7 != 0).then(|| vec![self.attempts; size]),
                }],
                events: vec![vec![self.attempts]],
            })
            .collect()
    }

    fn append_all(&mut self, disk: &SimulatedDisk, options: Options, round: &Round) {
        let known = self.checkpoint.filter(|_| round.with_checkpoint);
        let Ok((mut writer, _)) = Writer::open(disk.clone(), options, known) else {
            return;
        };
        for sizes in &round.groups {
            let group = self.group(sizes);
            match writer.append(&group) {
                Ok(position) => {
                    self.acknowledged.extend(group);
                    self.checkpoint = Some(position);
                }
                Err(Error::Full(_) | Error::Io { .. }) if !disk.is_off() => {}
                Err(_) => {
                    self.in_flight = group;
                    return;
                }
            }
        }
    }

    fn check(&mut self, disk: &SimulatedDisk, options: Options, known: Option<Position>) {
        let (writer, recovered) = Writer::open(disk.clone(), options, known).unwrap();
        let found = commits(disk);
        if found.len() > self.acknowledged.len() {
            self.acknowledged.append(&mut self.in_flight);
        }
        self.in_flight.clear();
        assert!(found == self.acknowledged, "{} found", found.len());
        assert_eq!(recovered.last_commit, found.len() as u64);
        assert_eq!(writer.next_commit(), found.len() as u64 + 1);
    }
}

fn commits(disk: &SimulatedDisk) -> Vec<Commit> {
    let mut found = Vec::new();
    let replayed = scan::replay(disk, Position::START, None, |commit, _| {
        found.push(commit);
        Ok::<(), ()>(())
    });
    assert_eq!(replayed.unwrap().torn_bytes, 0);
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(400)))]

    #[test]
    fn acknowledged_commits_survive_and_no_others_appear(
        rounds in vec(any_round(), 1..5),
        segment_bytes in 100u64..40_000,
    ) {
        let options = Options { segment_bytes, ..Options::default() };
        let mut witness = Witness::default();
        let mut disk = SimulatedDisk::default();
        for round in &rounds {
            disk.schedule(round.faults.iter().copied());
            witness.append_all(&disk, options, round);
            disk = if round.power_cut || disk.is_off() {
                disk.after_power_cut(round.seed, round.page)
            } else {
                disk.after_kill()
            };
            let known = witness.checkpoint.filter(|_| round.seed % 2 == 0);
            witness.check(&disk, options, known);
            // What recovery found and showed must stay, even if the power goes again at once.
            disk = disk.after_power_cut(round.seed, round.page);
            witness.check(&disk, options, known);
        }
    }
}

/// One group after another, the power cut at each step of the way in turn: nothing depends on a lucky draw.
#[test]
fn every_single_step_may_be_the_last() {
    let options = Options {
        segment_bytes: 3000,
        ..Options::default()
    };
    for fault in [Fault::PowerCut, Fault::Full, Fault::Error] {
        for at in 0..60 {
            let round = Round {
                groups: vec![vec![700, 500]; 12],
                faults: vec![(at, fault)],
                power_cut: true,
                with_checkpoint: false,
                page: 512,
                seed: at,
            };
            let disk = SimulatedDisk::default();
            let mut witness = Witness::default();
            disk.schedule(round.faults.iter().copied());
            witness.append_all(&disk, options, &round);
            for seed in 0..20 {
                let mut witness = Witness {
                    acknowledged: witness.acknowledged.clone(),
                    in_flight: witness.in_flight.clone(),
                    ..Witness::default()
                };
                witness.check(&disk.after_power_cut(seed, 512), options, None);
            }
        }
    }
}

fn journal_with(disk: &SimulatedDisk, options: Options, groups: usize) -> (Witness, Vec<Position>) {
    let mut witness = Witness::default();
    let (mut writer, _) = Writer::open(disk.clone(), options, None).unwrap();
    let mut ends = Vec::new();
    for _ in 0..groups {
        let group = witness.group(&[90, 30]);
        ends.push(writer.append(&group).unwrap());
        witness.acknowledged.extend(group);
    }
    (witness, ends)
}

#[test]
fn a_full_disk_refuses_and_service_resumes() {
    let disk = SimulatedDisk::default();
    let (mut writer, _) = Writer::open(disk.clone(), Options::default(), None).unwrap();
    let mut witness = Witness::default();
    disk.schedule([(0, Fault::Full)]);
    let refused = witness.group(&[4000]);
    assert!(matches!(writer.append(&refused), Err(Error::Full(_))));
    let group = witness.group(&[10]);
    writer.append(&group).unwrap();
    assert_eq!(commits(&disk.after_power_cut(1, 512)), group);
}

#[test]
fn a_full_disk_at_a_new_segment_refuses_and_service_resumes() {
    let options = Options {
        segment_bytes: 1,
        ..Options::default()
    };
    // The steps of a rotation that may fail without doubt about the disk: create, write the header.
    for step in [0, 1] {
        let disk = SimulatedDisk::default();
        let (mut witness, _) = journal_with(&disk, options, 1);
        let (mut writer, _) = Writer::open(disk.clone(), options, None).unwrap();
        disk.schedule([(step, Fault::Full)]);
        let group = witness.group(&[10]);
        assert!(
            matches!(writer.append(&group), Err(Error::Full(_))),
            "{step}"
        );
        assert_eq!(writer.append(&group).unwrap().segment, 2);
        witness.acknowledged.extend(group);
        assert_eq!(commits(&disk.after_power_cut(3, 512)), witness.acknowledged);
    }
}

#[test]
fn a_failed_sync_is_final() {
    let disk = SimulatedDisk::default();
    let (mut writer, _) = Writer::open(disk.clone(), Options::default(), None).unwrap();
    let mut witness = Witness::default();
    let group = witness.group(&[10]);
    disk.schedule([(1, Fault::Error)]);
    assert!(matches!(writer.append(&group), Err(Error::SyncFailed(_))));
    assert!(matches!(writer.append(&group), Err(Error::SyncFailed(_))));
}

#[test]
fn a_cut_that_fails_is_final() {
    let disk = SimulatedDisk::default();
    let (mut writer, _) = Writer::open(disk.clone(), Options::default(), None).unwrap();
    let mut witness = Witness::default();
    let group = witness.group(&[10]);
    disk.schedule([(0, Fault::Full), (1, Fault::Error)]);
    assert!(matches!(writer.append(&group), Err(Error::SyncFailed(_))));
    assert!(matches!(writer.append(&group), Err(Error::SyncFailed(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(256)))]

    /// A changed byte is never passed over: it is refused as damage, or it lies in the last frame and looks torn; and
    /// with a checkpoint at the end there is no such excuse.
    #[test]
    fn a_changed_byte_is_damage_unless_it_may_be_a_torn_tail(
        place: prop::sample::Index,
        change in 1u8..,
        with_checkpoint: bool,
    ) {
        let options = Options { segment_bytes: 600, ..Options::default() };
        let disk = SimulatedDisk::default();
        let (witness, ends) = journal_with(&disk, options, 9);
        let end = *ends.last().unwrap();
        let before = ends[ends.len() - 2];
        let mut at = place.index((1..=end.segment).map(|n| disk.bytes(FileName::Segment(n)).len()).sum());
        let mut segment = 1;
        while at >= disk.bytes(FileName::Segment(segment)).len() {
            at -= disk.bytes(FileName::Segment(segment)).len();
            segment += 1;
        }
        disk.spoil(FileName::Segment(segment), |bytes| bytes[at] ^= change);
        let last_frame_at = if before.segment == end.segment { before.offset } else { FIRST_FRAME };
        let in_last_frame = segment == end.segment && at as u64 >= last_frame_at;
        let known = with_checkpoint.then_some(end);
        match Writer::open(disk.clone(), options, known) {
            Err(Error::Damaged { file: named, .. }) => {
                prop_assert!(with_checkpoint || !in_last_frame);
                prop_assert_eq!(named, FileName::Segment(segment));
            }
            Ok((_, recovered)) if with_checkpoint => {
                // Only the segments from the checkpoint's on are read; a full replay finds the others.
                prop_assert!(segment < end.segment);
                prop_assert_eq!(recovered.cut_bytes, 0);
                let replayed = scan::replay(&disk, Position::START, None, |_, _| Ok::<(), ()>(()));
                let damaged = matches!(replayed, Err(ReplayError::Journal(Error::Damaged { .. })));
                prop_assert!(damaged);
            }
            Ok((_, recovered)) => {
                prop_assert!(in_last_frame);
                prop_assert_eq!(recovered.last_commit, witness.acknowledged.len() as u64 - 2);
            }
            Err(other) => prop_assert!(false, "{}", other),
        }
    }
}
