//! Lets a test step the clock, and make the index fail as sled does on a full disk: in the middle of a group, and from then on for good, until it
//! is opened anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use super::error::Error;
use crate::model::Timestamp;

/// Shared by every index of a store.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    full: AtomicBool,
    opened: AtomicU64,
    /// Milliseconds by which the clock is wrong.
    clock: AtomicI64,
}

impl Faults {
    pub(super) fn fill_the_disk(&self) {
        self.0.full.store(true, Ordering::SeqCst);
    }

    pub(super) fn free_the_disk(&self) {
        self.0.full.store(false, Ordering::SeqCst);
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
