//! Groups of records on stable storage: through the journal, through sled, and into a plain file.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use jivchat::journal::{Commit, Journal, Options, Write as Row};

/// About what a message needs: its row and two index rows.
const VALUE: [u8; 180] = [0x6a; 180];

pub(crate) fn measure(dir: &Path, group: usize, seconds: u64) -> Result<()> {
    let dir = tempfile::tempdir_in(dir)?;
    let (mut journal, _) = Journal::open(&dir.path().join("journal"), Options::default(), None)?;
    report("journal", group, seconds, |_| {
        let first = journal.next_commit();
        let commits: Vec<Commit> = (first..).take(group).map(commit).collect();
        journal.append(&commits)?;
        Ok(())
    })?;
    let database = sled::open(dir.path().join("sled"))?;
    report("sled", group, seconds, |round| {
        let mut batch = sled::Batch::default();
        for number in (round * group as u64..).take(group) {
            for (tree, key) in (0_u8..).zip(keys(number)) {
                batch.insert([&[tree], &key[..]].concat(), &VALUE[..]);
            }
        }
        database.apply_batch(batch)?;
        database.flush()?;
        Ok(())
    })?;
    let mut file = File::create(dir.path().join("plain"))?;
    report("file", group, seconds, |_| {
        file.write_all(&VALUE.repeat(group))?;
        file.sync_data()?;
        Ok(())
    })
}

fn keys(number: u64) -> [[u8; 20]; 3] {
    let mut key = [7; 20];
    key[12..].copy_from_slice(&number.to_be_bytes());
    let mut other = [8; 20];
    other[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    [key, key, other]
}

fn commit(number: u64) -> Commit {
    let rows = (0_u8..).zip(keys(number));
    let writes = rows.map(|(tree, key)| Row {
        tree,
        key: key.to_vec(),
        value: Some(if tree == 0 { &VALUE[..] } else { &VALUE[..20] }.to_vec()),
    });
    Commit {
        number,
        writes: writes.collect(),
        events: Vec::new(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn report(
    name: &str,
    group: usize,
    seconds: u64,
    mut work: impl FnMut(u64) -> Result<()>,
) -> Result<()> {
    let start = Instant::now();
    let mut slowest = Duration::ZERO;
    let mut rounds = 0;
    while start.elapsed() < Duration::from_secs(seconds) {
        let begun = Instant::now();
        work(rounds)?;
        slowest = slowest.max(begun.elapsed());
        rounds += 1;
    }
    let per_second = (rounds * group as u64) as f64 / start.elapsed().as_secs_f64();
    println!(
        "{name:<8} {per_second:>12.0} records/s, groups of {group}, slowest group {slowest:?}"
    );
    Ok(())
}
