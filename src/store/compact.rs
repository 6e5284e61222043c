//! Compaction: every live row into a new base of the journal and into a fresh index, while writes go on; then everything that
//! the two replace is removed, and with it the bytes of what was deleted. It owns the order of the steps, at each of which
//! the power may go; what a base is belongs to the journal.
//!
//! 1. The journal begins a segment, and the index is checkpointed there: no start after this needs an earlier segment.
//! 2. All rows go into the base and the fresh index. Rows that change meanwhile may go either way: their commits come after.
//! 3. The base is synced and gets its name.
//! 4. The fresh index catches up, the writer thread applies the last of it and swaps it in, and a checkpoint says so.
//! 5. The older segments, bases and the old index are removed.

use std::path::Path;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Instant;

use tokio::sync::oneshot;

use super::error::Error;
use super::index::{Index, Marker};
use super::keys::Tree;
use super::open;
use super::writer::Work;
use super::{Shared, Store};
use crate::journal::{self, Base, BaseStart, Position, Sizes, Write};

/// Rows are copied in pieces of about this many bytes.
const PIECE: usize = 1 << 20;
/// The writer thread applies no more than about this much of the journal when it swaps the index.
const SWAP_GAP: u64 = 1 << 20;
/// Attempts to come that close before it is done anyway.
const CATCH_UPS: usize = 8;
/// What a fresh index may cache while it is filled in order, when it needs next to nothing. The one in use keeps its cache.
const FILLING_CACHE: u64 = 8 << 20;

/// How much of the machine a compaction may take from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// All of a core.
    Full,
    /// Half of the time it rests.
    Half,
}

impl Pace {
    /// Rests after a piece of work that began then.
    fn rest(self, began: Instant) {
        if self == Self::Half {
            // Nobody wakes this thread; should anybody, it rests less.
            thread::park_timeout(began.elapsed());
        }
    }
}

/// When a compaction is due.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CompactionPolicy {
    /// Once the segments have grown to this many times the size of the base; 0 for never.
    pub ratio: f64,
    /// And the whole journal has at least this many bytes.
    pub min_bytes: u64,
}

/// What a compaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compacted {
    /// Rows that are live.
    pub rows: u64,
    /// The journal before.
    pub before: Sizes,
    /// The journal after.
    pub after: Sizes,
    /// Bytes of the index before.
    pub index_before: u64,
    /// Bytes of the index after.
    pub index_after: u64,
}

impl Store {
    /// Compacts when it is due, at a pace that leaves room for the others. Blocks for as long as that takes; writers and readers go on.
    pub fn compact_if_due(&self, policy: CompactionPolicy) -> Result<Option<Compacted>, Error> {
        let sizes = self.journal_sizes()?;
        if !policy.is_met(sizes) {
            return Ok(None);
        }
        self.compact_at(Pace::Half, |_, _| ()).map(Some)
    }

    /// Compacts. Blocks for as long as that takes; writers and readers go on. `progress` hears of bytes done and expected.
    /// After an error everything is as it was.
    pub fn compact(&self, progress: impl FnMut(u64, u64)) -> Result<Compacted, Error> {
        self.compact_at(Pace::Full, progress)
    }

    fn compact_at(&self, pace: Pace, progress: impl FnMut(u64, u64)) -> Result<Compacted, Error> {
        let shared = &self.shared;
        let _alone = shared
            .maintenance
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let began = Instant::now();
        let before = self.journal_sizes()?;
        let indexes = open::indexes_dir(&shared.data_dir);
        let index_before = bytes_in(&indexes);
        let outcome = self.run_compaction(pace, progress);
        let rows = match outcome {
            Ok(rows) => rows,
            Err(error) => {
                if let Error::Failed(why) = &error {
                    shared.fail(why);
                }
                // A base that became whole stays and counts. A draft that stays takes space until the next start.
                let _ = journal::remove_drafts(&open::journal_dir(&shared.data_dir));
                return Err(error);
            }
        };
        let compacted = Compacted {
            rows,
            before,
            after: self.journal_sizes()?,
            index_before,
            index_after: bytes_in(&indexes),
        };
        tracing::info!(
            rows,
            journal_before = before.base + before.segments,
            journal_after = compacted.after.base + compacted.after.segments,
            index_before,
            index_after = compacted.index_after,
            milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            "compacted"
        );
        Ok(compacted)
    }

    /// Has a compaction that is under way end soon, with [`Error::CalledOff`], and none begin after it.
    pub fn call_off_compaction(&self) {
        self.shared.called_off.store(true, Ordering::Release);
    }

    /// How much there is of the journal.
    pub fn journal_sizes(&self) -> Result<Sizes, Error> {
        journal::sizes(&open::journal_dir(&self.shared.data_dir)).map_err(failure)
    }

    fn run_compaction(&self, pace: Pace, progress: impl FnMut(u64, u64)) -> Result<u64, Error> {
        let shared = &self.shared;
        let data_dir = &shared.data_dir;
        let start = self.ask(Work::BeginBase)??;
        shared.step();
        self.save_checkpoint()?;
        shared.step();
        let old = shared.live.index()?;
        let indexes = open::indexes_dir(data_dir);
        let settings = shared.settings.with_cache(FILLING_CACHE);
        let filling = Index::open(&indexes, open::random(), &settings)?;
        let filled = self.fill(&old, &filling, (start, pace), progress);
        drop(old);
        shared.step();
        let (rows, base) = match filled {
            Ok(filled) => filled,
            Err(error) => {
                filling.supersede();
                return Err(error);
            }
        };
        let fresh = filling.reopen(&shared.settings)?;
        let upto = match self.catch_up(&fresh, start.position()) {
            Ok(upto) => upto,
            Err(error) => {
                fresh.supersede();
                return Err(error);
            }
        };
        shared.step();
        let replaced = self.ask(|answer| Work::Adopt {
            index: fresh,
            upto,
            answer,
        })??;
        shared.step();
        self.save_checkpoint()?;
        shared.step();
        base.remove_superseded().map_err(failure)?;
        shared.step();
        if let Some(old) = replaced {
            old.supersede();
        }
        remove_aside(data_dir);
        shared.step();
        Ok(rows)
    }

    /// Copies every row of `old` into a base and into `fresh`. Answers how many, and the base, which is on stable storage.
    fn fill(
        &self,
        old: &Index,
        fresh: &Index,
        (start, pace): (BaseStart, Pace),
        mut progress: impl FnMut(u64, u64),
    ) -> Result<(u64, journal::Finished), Error> {
        let journal_dir = open::journal_dir(&self.shared.data_dir);
        let expected = self.journal_sizes()?;
        let mut base = Base::begin(&journal_dir, start).map_err(failure)?;
        let marker = Marker {
            generation: fresh.generation(),
            applied: start.first_commit() - 1,
        };
        let (mut rows, mut done) = (0, 0);
        for tree in Tree::ALL {
            let mut last: Option<Vec<u8>> = None;
            loop {
                if self.shared.called_off.load(Ordering::Acquire) {
                    return Err(Error::CalledOff);
                }
                let began = Instant::now();
                let piece = piece_of(old, tree, last.as_deref())?;
                let Some(end) = piece.last() else { break };
                last = Some(end.key.clone());
                rows += piece.len() as u64;
                done += piece.iter().map(size_of_row).sum::<u64>();
                let of_index = piece
                    .iter()
                    .map(|row| (tree, &row.key[..], row.value.as_deref()));
                fresh.apply(of_index, marker)?;
                for row in piece {
                    base.push(row).map_err(failure)?;
                }
                self.shared.step();
                progress(done, expected.base + expected.segments);
                pace.rest(began);
            }
        }
        fresh.apply(std::iter::empty(), marker)?;
        fresh.sync()?;
        let (commit, end) = self.ask(Work::Reached)?;
        let base = base.finish(commit, end).map_err(failure)?;
        Ok((rows, base))
    }

    /// Applies the journal to `fresh` until little is missing, and syncs it. Answers how far it has come.
    fn catch_up(&self, fresh: &Index, from: Position) -> Result<Position, Error> {
        let mut upto = from;
        for _ in 0..CATCH_UPS {
            let (_, end) = self.ask(Work::Reached)?;
            open::replay(fresh, &self.shared.data_dir, upto, end, |_| ())?;
            let gap = end.offset.saturating_sub(upto.offset);
            let is_close = end.segment == upto.segment && gap < SWAP_GAP;
            upto = end;
            fresh.sync()?;
            if is_close {
                break;
            }
        }
        Ok(upto)
    }

    /// Has the writer thread do something and waits for its answer.
    pub(super) fn ask<T>(&self, work: impl FnOnce(oneshot::Sender<T>) -> Work) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        self.work
            .blocking_send(work(answer))
            .map_err(|_| self.gone())?;
        answered.blocking_recv().map_err(|_| self.gone())
    }
}

impl Shared {
    /// A place at which the process may be killed; a test keeps what it finds on the disk there.
    #[cfg_attr(not(test), expect(clippy::unused_self, reason = "only tests look"))]
    fn step(&self) {
        #[cfg(test)]
        self.settings.faults.step(&self.data_dir);
    }
}

impl CompactionPolicy {
    #[expect(
        clippy::cast_precision_loss,
        reason = "sizes only have to be compared roughly"
    )]
    fn is_met(self, sizes: Sizes) -> bool {
        self.ratio > 0.0
            && sizes.base + sizes.segments >= self.min_bytes
            && sizes.segments as f64 >= self.ratio * sizes.base as f64
    }
}

fn piece_of(index: &Index, tree: Tree, after: Option<&[u8]>) -> Result<Vec<Write>, Error> {
    let mut piece = Vec::new();
    let mut bytes = 0;
    for row in index.rows_after(tree, after) {
        let (key, value) = row?;
        bytes += key.len() + value.len();
        piece.push(Write {
            tree: tree as u8,
            key: key.to_vec(),
            value: Some(value.to_vec()),
        });
        if bytes >= PIECE {
            break;
        }
    }
    Ok(piece)
}

fn size_of_row(row: &Write) -> u64 {
    (row.key.len() + row.value.as_ref().map_or(0, Vec::len)) as u64
}

/// Bytes of all files below a directory, as far as it can be read.
pub(super) fn bytes_in(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return 0;
    };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_in(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

/// An index that was set aside holds deleted contents too.
fn remove_aside(data_dir: &Path) {
    let aside = open::indexes_dir(data_dir).with_extension("aside");
    match std::fs::remove_dir_all(&aside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(%error, path = %aside.display(), "an index that was set aside cannot be removed");
        }
        _ => {}
    }
}

fn failure(error: journal::Error) -> Error {
    match error {
        journal::Error::Full(_) => Error::Full,
        error @ journal::Error::SyncFailed(_) => Error::Failed(error.to_string()),
        error => Error::Io(error.to_string()),
    }
}
