//! The power is cut under the index: what was not synced is there, or not, page by page. The journal and the checkpoint are synced
//! at every such moment (what a cut does to them while they are written is in the journal's own tests), so everything that was
//! acknowledged has to be there afterwards, in the version that was acknowledged last, and `verify` has to agree.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::faults::copy;
use super::tests::{cases, close, open, user};
use super::*;

const USERS: u64 = 300;
const PAGE: usize = 4096;

/// A small generator of numbers that a seed determines (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }
}

/// What the disk may hold: pages of either version, any length between the two, and zeros where nothing was written.
fn mixed(synced: &[u8], now: &[u8], chance: &mut Chance) -> Vec<u8> {
    let (short, long) = (synced.len().min(now.len()), synced.len().max(now.len()));
    let length = short + usize::try_from(chance.below((long - short) as u64 + 1)).unwrap();
    // From hardly anything that got lost to hardly anything that was kept.
    let kept = chance.below(101);
    let mut mixed = Vec::with_capacity(length);
    while mixed.len() < length {
        let from = if chance.below(100) < kept {
            now
        } else {
            synced
        };
        let at = mixed.len();
        let end = length.min(at + PAGE);
        mixed.extend_from_slice(from.get(at..end.min(from.len())).unwrap_or_default());
        mixed.resize(end, 0);
    }
    mixed
}

/// The directory as it is when the power comes back; `synced` holds what the indexes were when they were synced last.
fn cut(dir: &Path, synced: &Path, to: &Path, chance: &mut Chance) -> usize {
    copy(dir, to);
    let mut differ = 0;
    for index in fs::read_dir(to.join("db")).unwrap() {
        let index = index.unwrap().path();
        let synced = synced.join(index.file_name().unwrap());
        for file in fs::read_dir(&index).unwrap() {
            let file = file.unwrap().path();
            if file.is_dir() {
                continue;
            }
            let before = fs::read(synced.join(file.file_name().unwrap()));
            let now = fs::read(&file).unwrap();
            let is_new = before.is_err();
            let before = before.unwrap_or_default();
            if before == now && !is_new {
                continue;
            }
            differ += 1;
            if is_new && chance.below(2) == 0 {
                fs::remove_file(&file).unwrap();
            } else {
                fs::write(&file, mixed(&before, &now, chance)).unwrap();
            }
        }
    }
    differ
}

/// Sets so many users to their next version; answers when all are acknowledged.
async fn change(store: &Store, known: &mut BTreeMap<u64, u64>, count: u64, chance: &mut Chance) {
    let mut writes = tokio::task::JoinSet::new();
    for _ in 0..count {
        let number = chance.below(USERS);
        let version = known.get(&number).map_or(0, |version| version + 1);
        let mut user = user(&format!("u{number}"));
        user.name = format!(
            "{version}-{}",
            "x".repeat(usize::try_from(chance.below(3000)).unwrap())
        );
        let store = store.clone();
        // In order, as far as the queue is concerned: two of one user may be on their way.
        known.insert(number, version);
        writes.spawn(async move { store.write(move |tx| put_newer(tx, &user)).await });
    }
    while let Some(written) = writes.join_next().await {
        written.unwrap().unwrap();
    }
}

fn version(user: &crate::model::User) -> u64 {
    user.name.split_once('-').unwrap().0.parse().unwrap()
}

/// Tasks may reach the queue in any order.
fn put_newer(tx: &mut Transaction<'_>, user: &crate::model::User) -> Result<(), Error> {
    match tx.user(&user.id)? {
        Some(stored) if version(&stored) > version(user) => Ok(()),
        _ => tx.put_user(user),
    }
}

async fn check(store: &Store, known: &BTreeMap<u64, u64>, told: &str) {
    let known = known.clone();
    let found = store.read(move |tables| {
        let mut wrong = Vec::new();
        for (number, expected) in known {
            let user = tables.user(&format!("u{number}").parse().unwrap())?;
            let found = user.as_ref().map(version);
            if found != Some(expected) {
                wrong.push((number, expected, found));
            }
        }
        Ok::<_, Error>(wrong)
    });
    assert_eq!(found.await.unwrap(), [], "{told}");
}

async fn in_background<T: Send + 'static>(
    store: &Store,
    work: impl FnOnce(&Store) -> T + Send + 'static,
) -> T {
    let store = store.clone();
    tokio::task::spawn_blocking(move || work(&store))
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_under_the_index_costs_nothing_that_was_acknowledged() {
    let root = tempfile::tempdir().unwrap();
    let (mut cuts_that_tore, mut rebuilt) = (0, 0);
    for seed in 0..u64::from(cases(2)) {
        let mut chance = Chance(0x9e37_79b9 + seed * 7919);
        let mut known = BTreeMap::new();
        let mut dir = root.path().join(format!("{seed}-start"));
        fs::create_dir(&dir).unwrap();
        for round in 0..6 {
            let told = format!("seed {seed}, round {round}");
            let synced = root.path().join(format!("{seed}-{round}-synced"));
            let opened = open(&dir);
            check(&opened.0, &known, &told).await;
            opened.0.shared.settings.faults.keep_synced(&synced);
            // From here on the kept copy is what the disk is sure of.
            in_background(&opened.0, |store| store.shared.live.index().unwrap().sync())
                .await
                .unwrap();
            for _ in 0..4 {
                let count = 50 + chance.below(800);
                change(&opened.0, &mut known, count, &mut chance).await;
                match chance.below(4) {
                    0 => in_background(&opened.0, |store| store.checkpoint(1))
                        .await
                        .unwrap(),
                    1 => drop(
                        in_background(&opened.0, |store| store.compact(|_, _| ()))
                            .await
                            .unwrap(),
                    ),
                    2 => drop(
                        in_background(&opened.0, |store| store.shared.live.drain())
                            .await
                            .unwrap(),
                    ),
                    _ => {}
                }
            }
            let next = root.path().join(format!("{seed}-{round}-cut"));
            cuts_that_tore += cut(&dir, &synced, &next, &mut chance);
            close(opened);
            let after = root.path().join(format!("{seed}-{round}-verified"));
            copy(&next, &after);
            let opened = open(&after);
            rebuilt += usize::from(after.join("db.aside").exists());
            check(&opened.0, &known, &told).await;
            close(opened);
            let inspection = Inspection {
                data_dir: after,
                media: None,
                cache: 8 << 20,
            };
            let verified = verify(&inspection, |_, _, _| ()).unwrap();
            assert_eq!(verified.findings.told, [] as [&str; 0], "{told}");
            dir = next;
        }
    }
    assert!(cuts_that_tore > 2, "{cuts_that_tore}");
    println!("{cuts_that_tore} files were torn, {rebuilt} indexes rebuilt");
}
