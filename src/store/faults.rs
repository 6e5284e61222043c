//! Lets a test step the clock, fail the journal's syncs, and make the index fail as sled does on a full disk: in the middle of a group, and from then on for good, until it
//! is opened anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::error::Error;
use crate::model::Timestamp;

/// Shared by every index of a store.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    full: AtomicBool,
    no_sync: AtomicBool,
    journal_full: AtomicBool,
    opened: AtomicU64,
    images: Mutex<Option<Images>>,
    synced: Mutex<Option<PathBuf>>,
    /// Milliseconds by which the clock is wrong.
    clock: AtomicI64,
}

#[derive(Debug)]
struct Images {
    to: PathBuf,
    count: usize,
}

impl Faults {
    /// From now on each step of a compaction leaves a copy of the directory, as a process that is killed there would:
    /// `<to>/0`, `<to>/1` and so on.
    pub(super) fn keep_images(&self, to: &Path) {
        let to = to.to_owned();
        *self.0.images.lock().unwrap() = Some(Images { to, count: 0 });
    }

    /// From now on each index that is synced leaves a copy of its files as they are then: `<to>/<name of its directory>`.
    pub(super) fn keep_synced(&self, to: &Path) {
        *self.0.synced.lock().unwrap() = Some(to.to_owned());
    }

    /// A step of a compaction of `data_dir`.
    pub(super) fn step(&self, data_dir: &Path) {
        if let Some(images) = &mut *self.0.images.lock().unwrap() {
            copy(data_dir, &images.to.join(images.count.to_string()));
            images.count += 1;
        }
    }

    pub(super) fn fill_the_disk(&self) {
        self.0.full.store(true, Ordering::SeqCst);
    }

    pub(super) fn free_the_disk(&self) {
        self.0.full.store(false, Ordering::SeqCst);
    }

    pub(super) fn fail_syncs_of_the_journal(&self) {
        self.0.no_sync.store(true, Ordering::SeqCst);
    }

    pub(super) fn journal_cannot_sync(&self) -> bool {
        self.0.no_sync.load(Ordering::SeqCst)
    }

    /// From now on the journal finds no room, or finds it again.
    pub(super) fn fill_the_journal(&self, full: bool) {
        self.0.journal_full.store(full, Ordering::SeqCst);
    }

    pub(super) fn is_journal_full(&self) -> bool {
        self.0.journal_full.load(Ordering::SeqCst)
    }

    /// How many indexes have been opened so far.
    pub(super) fn opened(&self) -> u64 {
        self.0.opened.load(Ordering::SeqCst)
    }

    /// From now on the clock shows a time this far from the true one.
    pub(super) fn step_clock(&self, milliseconds: i64) {
        self.0.clock.store(milliseconds, Ordering::SeqCst);
    }

    pub(super) fn clock(&self) -> Timestamp {
        Timestamp(Timestamp::now().0 + self.0.clock.load(Ordering::SeqCst))
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        if self.0.full.load(Ordering::SeqCst) {
            return Err(Error::Full);
        }
        Ok(())
    }

    pub(super) fn one_index(&self) -> OneIndex {
        self.0.opened.fetch_add(1, Ordering::SeqCst);
        OneIndex {
            disk: self.clone(),
            broken: AtomicBool::new(false),
        }
    }
}

/// The faults of one open index.
#[derive(Debug)]
pub(super) struct OneIndex {
    disk: Faults,
    broken: AtomicBool,
}

impl OneIndex {
    /// The files in `dir` have been synced.
    pub(super) fn synced(&self, dir: &Path) {
        if let Some(to) = &*self.disk.0.synced.lock().unwrap() {
            let to = to.join(dir.file_name().unwrap());
            // Whatever was synced before stays, as far as it is not synced anew.
            copy(dir, &to);
        }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        if self.disk.check().is_err() {
            self.broken.store(true, Ordering::SeqCst);
        }
        if self.broken.load(Ordering::SeqCst) {
            return Err(Error::Full);
        }
        Ok(())
    }
}

pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
