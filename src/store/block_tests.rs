//! Blocks against a plain map, with changes that are cut off anywhere and then made again, as after a crash.

use std::collections::BTreeMap;
use std::ops::Bound;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::blocks::Blocks;
use super::error::Error;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;
type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

fn blocks() -> Blocks {
    let db = sled::Config::new().temporary(true).cache_capacity(1 << 20);
    Blocks::new(
        db.flush_every_ms(None)
            .open()
            .unwrap()
            .open_tree("rows")
            .unwrap(),
    )
}

/// Applies the changes; only the first `steps` changes of blocks go through.
fn apply(blocks: &Blocks, changes: &Changes, steps: usize) -> Result<(), Error> {
    let mut left = steps;
    let rows = changes
        .iter()
        .map(|(key, value)| (&key[..], value.as_deref()));
    blocks.apply(&mut rows.peekable(), || {
        left = left.checked_sub(1).ok_or(Error::Full)?;
        Ok(())
    })
}

fn all(blocks: &Blocks, start: Bound<&[u8]>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let rows = blocks.rows_from(start).map(Result::unwrap);
    rows.map(|(key, value)| (key.to_vec(), value.to_vec()))
        .collect()
}

/// Keys that share beginnings, some of them ascending, some all over the place.
fn any_key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        (0u16..400).prop_map(|number| [b"chat/".as_slice(), &number.to_be_bytes()].concat()),
        vec(any::<u8>(), 1..4),
        vec(0u8..3, 1..9),
    ]
}

/// Sizes that fill a block soon, and some that are larger than one.
fn any_value() -> impl Strategy<Value = Option<Vec<u8>>> {
    prop_oneof![
        2 => Just(None),
        4 => (0usize..300, any::<u8>()).prop_map(|(size, byte)| Some(vec![byte; size])),
        1 => (1900usize..6000, any::<u8>()).prop_map(|(size, byte)| Some(vec![byte; size])),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(super::tests::cases(60)))]

    #[test]
    fn blocks_hold_what_a_map_holds_even_if_changes_are_cut_off_and_made_again(
        batches in vec((btree_map(any_key(), any_value(), 0..60), 0usize..12, 0usize..3), 1..25),
        probes in vec(any_key(), 20),
    ) {
        let blocks = blocks();
        let mut model = Model::new();
        for (changes, steps, cuts) in &batches {
            for cut in 0..*cuts {
                // As a crash does: some of the blocks are changed, and rows may stand in two of them.
                if apply(&blocks, changes, steps + cut).is_ok() {
                    break;
                }
            }
            // What is in no change must never be seen to change, whole or half applied.
            for (key, value) in model.iter().filter(|(key, _)| !changes.contains_key(*key)) {
                let found = blocks.get(key).unwrap();
                prop_assert_eq!(found.as_deref(), Some(&value[..]));
            }
            apply(&blocks, changes, usize::MAX).unwrap();
            for (key, value) in changes {
                match value {
                    Some(value) => model.insert(key.clone(), value.clone()),
                    None => model.remove(key),
                };
            }
            prop_assert_eq!(all(&blocks, Bound::Unbounded), model.clone().into_iter().collect::<Vec<_>>());
            let last = blocks.last_key().unwrap();
            prop_assert_eq!(last.as_deref(), model.keys().last().map(|key| &key[..]));
        }
        for probe in &probes {
            let found = blocks.get(probe).unwrap();
            prop_assert_eq!(found.as_deref(), model.get(probe).map(|value| &value[..]));
            for start in [Bound::Included(&probe[..]), Bound::Excluded(&probe[..])] {
                let rows = model.range::<[u8], _>((start, Bound::Unbounded));
                let expected: Vec<_> = rows.map(|(key, value)| (key.clone(), value.clone())).collect();
                prop_assert_eq!(all(&blocks, start), expected);
            }
        }
    }
}

/// A reader beside the writer sees every row that does not change, in order, however blocks are split and removed under it.
#[test]
fn a_reader_beside_the_writer_misses_nothing_that_stays() {
    let blocks = blocks();
    let key = |number: u32| number.to_be_bytes().to_vec();
    let stays: Changes = (0..2000)
        .map(|n| (key(n * 10), Some(vec![1; 40])))
        .collect();
    apply(&blocks, &stays, usize::MAX).unwrap();
    let (blocks, stays) = (&blocks, &stays);
    let done = &std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for round in 0..30u32 {
                let numbers = (0..2000).map(|n| key(n * 10 + 1 + n % 7));
                let value = (round % 2 == 0).then(|| vec![2; 120]);
                let changes: Changes = numbers.map(|key| (key, value.clone())).collect();
                apply(blocks, &changes, usize::MAX).unwrap();
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        while !done.load(std::sync::atomic::Ordering::Relaxed) {
            let rows = all(blocks, Bound::Unbounded);
            assert!(rows.is_sorted_by(|a, b| a.0 < b.0));
            let kept: Changes = rows
                .into_iter()
                .filter(|(_, value)| value[0] == 1)
                .map(|(key, value)| (key, Some(value)))
                .collect();
            assert!(kept == *stays, "{} of {}", kept.len(), stays.len());
            for number in (0..2000).step_by(97) {
                assert!(blocks.get(&key(number * 10)).unwrap().is_some());
            }
        }
    });
}

/// A split that is cut off between its two halves leaves the second half in the old block too, and nothing that comes after touches
/// that block. When the new block goes away, what the old one still has of it must not come back.
#[test]
fn rows_that_a_cut_off_split_left_behind_never_come_back() {
    let blocks = blocks();
    let key = |number: u8| vec![b'k', number];
    let first: Changes = (0..30).map(|n| (key(n), Some(vec![n; 60]))).collect();
    apply(&blocks, &first, usize::MAX).unwrap();
    let late: Changes = [(vec![b'k', 25, 1], Some(vec![9; 400]))].into();
    assert!(apply(&blocks, &late, 1).is_err(), "it needs two steps");
    apply(&blocks, &late, usize::MAX).unwrap();
    let everything_late: Changes = (10..30)
        .map(|n| (key(n), None))
        .chain([(vec![b'k', 25, 1], None)])
        .collect();
    // One by one, so that only the new block is ever looked at.
    for (key, value) in everything_late.iter().rev() {
        apply(&blocks, &[(key.clone(), value.clone())].into(), usize::MAX).unwrap();
    }
    let expected: Vec<_> = (0..10).map(|n| (key(n), vec![n; 60])).collect();
    assert_eq!(all(&blocks, Bound::Unbounded), expected);
    for number in 10..30 {
        assert_eq!(blocks.get(&key(number)).unwrap(), None, "{number}");
    }
}
