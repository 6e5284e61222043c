//! sled behind the trees: an index of the journal that may always be thrown away.
//!
//! What sled 0.34.7 cannot do bounds what is asked of it (measured): `flush` does not reach the platter, so
//! [`Index::sync`] adds a real `fdatasync`; a kill while it writes a start-up snapshot makes the next open fail, so
//! unfinished snapshots are deleted first; damage can panic while opening, so that is caught; a truncated file can
//! open empty without an error, so a marker row says which index this is and how far it had come; files never shrink,
//! so a compaction fills a new one; after one failed write none succeeds until it is opened anew; and every page, of at most
//! sixteen entries, takes memory even when it is not cached, so rows are kept many to an entry ([`Blocks`]).

use std::fs::{self, File};
use std::ops::{Bound, Range};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::blocks::{Blocks, Rows};
use super::error::Error;
use super::keys::Tree;
use super::tables::{Bytes, Row};

/// The row of sled's default tree that names the index and its last applied commit. Another layout of the index has another
/// one: whoever does not find theirs builds the index anew.
const MARKER: &[u8] = b"marker-2";

/// To open an index that was just closed, and the time between them: sled's own threads may hold its files a moment longer.
pub(super) const ATTEMPTS: usize = 20;
pub(super) const PAUSE: Duration = Duration::from_millis(50);

/// Which index this is, and the last commit applied to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Marker {
    pub(super) generation: u64,
    pub(super) applied: u64,
}

impl Marker {
    fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.generation.to_be_bytes());
        bytes[8..].copy_from_slice(&self.applied.to_be_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (generation, applied) = bytes.split_first_chunk::<8>()?;
        Some(Self {
            generation: u64::from_be_bytes(*generation),
            applied: u64::from_be_bytes(applied.try_into().ok()?),
        })
    }
}

/// What every index of a store is opened with.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    /// sled's page cache in bytes; the process uses two to three times as much under load.
    pub(super) cache: u64,
    #[cfg(test)]
    pub(super) faults: super::faults::Faults,
}

impl Settings {
    /// The same with at most this much cache.
    pub(super) fn with_cache(&self, most: u64) -> Self {
        let mut settings = self.clone();
        settings.cache = self.cache.min(most);
        settings
    }

    pub(super) fn new(cache: u64) -> Self {
        Self {
            cache,
            #[cfg(test)]
            faults: super::faults::Faults::default(),
        }
    }
}

/// The open index. Each has a directory of its own, named by its generation.
pub(super) struct Index {
    db: sled::Db,
    trees: Vec<Blocks>,
    generation: u64,
    #[cfg(test)]
    faults: super::faults::OneIndex,
    // Last: dropped when nobody else has a handle of sled's.
    files: Files,
}

impl Index {
    /// The directory of the index `generation`, given the directory of all.
    pub(super) fn path(indexes: &Path, generation: u64) -> PathBuf {
        indexes.join(format!("{generation:016x}"))
    }

    /// Opens the index `generation` in the directory of all, or makes it.
    pub(super) fn open(
        indexes: &Path,
        generation: u64,
        settings: &Settings,
    ) -> Result<Self, Error> {
        let dir = Self::path(indexes, generation);
        #[cfg(test)]
        settings.faults.check()?;
        remove_unfinished_snapshots(&dir).map_err(|error| Error::of_index(&error))?;
        let open = || -> Result<(sled::Db, Vec<Blocks>), sled::Error> {
            let db = sled::Config::new()
                .path(&dir)
                .cache_capacity(settings.cache)
                .flush_every_ms(None)
                .open()?;
            let trees = Tree::ALL
                .into_iter()
                .map(|tree| db.open_tree(tree.name()).map(Blocks::new))
                .collect::<Result<_, _>>()?;
            Ok((db, trees))
        };
        let opened = catch_unwind(AssertUnwindSafe(open))
            .map_err(|_| Error::Index("it panicked while opening".to_owned()))?;
        let (db, trees) = opened?;
        let last_handle = db.clone();
        Ok(Self {
            db,
            trees,
            generation,
            #[cfg(test)]
            faults: settings.faults.one_index(),
            files: Files {
                last_handle: Some(last_handle),
                dir,
                names_synced: AtomicBool::new(false),
                superseded: AtomicBool::new(false),
            },
        })
    }

    /// Closes it and opens it again with other settings. After a failure its files are gone.
    pub(super) fn reopen(self, settings: &Settings) -> Result<Self, Error> {
        let (dir, generation) = (self.files.dir.clone(), self.generation);
        drop(self);
        let indexes = dir.parent().unwrap_or(&dir);
        let mut attempts = 0;
        loop {
            let opened = Self::open(indexes, generation, settings);
            attempts += 1;
            match opened {
                Err(_) if attempts < ATTEMPTS => thread::park_timeout(PAUSE),
                Err(error) => {
                    // The next start removes what cannot be removed now.
                    let _ = fs::remove_dir_all(&dir);
                    return Err(error);
                }
                opened => return opened,
            }
        }
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// The marker row; `None` in an index that was just created or lost its contents.
    pub(super) fn marker(&self) -> Result<Option<Marker>, Error> {
        Ok(self
            .db
            .get(MARKER)?
            .and_then(|bytes| Marker::from_bytes(&bytes)))
    }

    /// Applies changed rows, then the marker that says so. The rows come tree by tree with ascending keys. Applying rows that are
    /// there already changes nothing.
    ///
    /// Not as one of sled's batches: those keep every page they replace until they are done, and their atomicity is not
    /// needed, since a crash is followed by a replay.
    pub(super) fn apply<'r>(
        &self,
        rows: impl Iterator<Item = (Tree, &'r [u8], Option<&'r [u8]>)>,
        marker: Marker,
    ) -> Result<(), Error> {
        let mut rows = rows.peekable();
        while let Some(&(tree, ..)) = rows.peek() {
            let next = || rows.next_if(|row| row.0 == tree);
            let of_tree = std::iter::from_fn(next).map(|(_, key, value)| (key, value));
            self.trees[tree.index()].apply(&mut of_tree.peekable(), || self.check())?;
        }
        self.check()?;
        self.db.insert(MARKER, &marker.to_bytes())?;
        Ok(())
    }

    #[cfg_attr(
        not(test),
        expect(
            clippy::unused_self,
            clippy::unnecessary_wraps,
            reason = "only tests fail here"
        )
    )]
    fn check(&self) -> Result<(), Error> {
        #[cfg(test)]
        self.faults.check()?;
        Ok(())
    }

    /// Puts everything applied so far on stable storage, for real.
    pub(super) fn sync(&self) -> Result<(), Error> {
        self.db.flush()?;
        self.check()?;
        let files = &self.files;
        let synced = File::open(files.dir.join("db")).and_then(|file| file.sync_data());
        // Names come and go while it is opened, never later.
        let synced = synced.and_then(|()| {
            if files.names_synced.load(Ordering::Acquire) {
                return Ok(());
            }
            files.sync_names()
        });
        #[cfg(test)]
        self.faults.synced(&files.dir);
        synced.map_err(|error| Error::of_index(&error))
    }

    /// The greatest key of a tree.
    pub(super) fn last_key(&self, tree: Tree) -> Result<Option<Bytes>, Error> {
        self.trees[tree.index()].last_key()
    }

    pub(super) fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.trees[tree.index()].get(key)
    }

    pub(super) fn range(
        &self,
        tree: Tree,
        range: Range<Vec<u8>>,
    ) -> impl Iterator<Item = Row> + use<> {
        let rows = self.trees[tree.index()].rows_from(Bound::Included(&range.start));
        rows.take_while(move |row| row.as_ref().map_or(true, |(key, _)| **key < *range.end))
    }

    /// Every row of a tree after `key`.
    pub(super) fn rows_after(&self, tree: Tree, key: Option<&[u8]>) -> Rows {
        self.trees[tree.index()].rows_from(key.map_or(Bound::Unbounded, Bound::Excluded))
    }

    pub(super) fn count(&self, tree: Tree) -> Result<u64, Error> {
        self.rows_after(tree, None)
            .try_fold(0, |count, row| row.map(|_| count + 1))
    }

    /// Removes the files once the last one that uses the index has let go of it.
    pub(super) fn supersede(&self) {
        self.files.superseded.store(true, Ordering::Release);
    }
}

struct Files {
    /// sled syncs when its last handle goes, and panics where it cannot: that must not end the writer.
    last_handle: Option<sled::Db>,
    dir: PathBuf,
    names_synced: AtomicBool,
    superseded: AtomicBool,
}

impl Files {
    /// What was created here stays through a power cut, the directory itself included.
    fn sync_names(&self) -> std::io::Result<()> {
        let parent = self.dir.parent().filter(|parent| parent.exists());
        for dir in [Some(&*self.dir), parent].into_iter().flatten() {
            File::open(dir)?.sync_all()?;
        }
        self.names_synced.store(true, Ordering::Release);
        Ok(())
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let last_handle = self.last_handle.take();
        if catch_unwind(AssertUnwindSafe(|| drop(last_handle))).is_err() {
            tracing::warn!("the index could not be closed; the next start replays what it lacks");
        }
        if self.superseded.load(Ordering::Acquire)
            && let Err(error) = fs::remove_dir_all(&self.dir)
        {
            // The next start removes every index but its own.
            tracing::warn!(%error, "the files of a superseded index stay");
        }
    }
}

/// sled takes a half-written snapshot for a whole one (its #1527, #1533).
fn remove_unfinished_snapshots(dir: &Path) -> std::io::Result<()> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "generating")
        {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}
