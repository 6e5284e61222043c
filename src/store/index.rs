//! sled behind the trees: an index of the journal that may always be thrown away.
//!
//! What sled 0.34.7 cannot do bounds what is asked of it (measured): `flush` does not reach the platter, so
//! [`Index::sync`] adds a real `fdatasync`; a kill while it writes a start-up snapshot makes the next open fail, so
//! unfinished snapshots are deleted first; damage can panic while opening, so that is caught; and a truncated file can
//! open empty without an error, so a marker row says which index this is and how far it had come.

use std::fs::{self, File};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use sled::{Batch, Tree as SledTree};

use super::error::Error;
use super::keys::Tree;
use super::tables::{Bytes, Row, Source};

/// The row of sled's default tree that names the index and its last applied commit.
const MARKER: &[u8] = b"marker";

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

/// The open index.
pub(super) struct Index {
    db: sled::Db,
    trees: Vec<SledTree>,
    file: PathBuf,
    /// Readers share it, the writer takes it while it applies a group, so that nobody sees half a group.
    applying: RwLock<()>,
}

/// The committed state, without a half-applied group.
pub struct Snapshot<'a> {
    index: &'a Index,
    _whole_groups: RwLockReadGuard<'a, ()>,
}

impl std::fmt::Debug for Snapshot<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Snapshot")
    }
}

impl Index {
    /// Opens the index in `dir`, which may be missing. `cache` is sled's page cache in bytes; the process uses two to
    /// three times as much under load.
    pub(super) fn open(dir: &Path, cache: u64) -> Result<Self, Error> {
        remove_unfinished_snapshots(dir).map_err(|error| Error::Index(error.to_string()))?;
        let open = || -> Result<(sled::Db, Vec<SledTree>), sled::Error> {
            let db = sled::Config::new()
                .path(dir)
                .cache_capacity(cache)
                .flush_every_ms(None)
                .open()?;
            let trees = Tree::ALL
                .into_iter()
                .map(|tree| db.open_tree(tree.name()))
                .collect::<Result<_, _>>()?;
            Ok((db, trees))
        };
        let opened = catch_unwind(AssertUnwindSafe(open))
            .map_err(|_| Error::Index("it panicked while opening".to_owned()))?;
        let (db, trees) = opened?;
        Ok(Self {
            db,
            trees,
            file: dir.join("db"),
            applying: RwLock::new(()),
        })
    }

    /// The marker row; `None` in an index that was just created or lost its contents.
    pub(super) fn marker(&self) -> Result<Option<Marker>, Error> {
        Ok(self
            .db
            .get(MARKER)?
            .and_then(|bytes| Marker::from_bytes(&bytes)))
    }

    /// Applies changed rows, then the marker that says so. Replaying rows that are there already changes nothing.
    pub(super) fn apply<'r>(
        &self,
        rows: impl Iterator<Item = (Tree, &'r [u8], Option<&'r [u8]>)>,
        marker: Marker,
    ) -> Result<(), Error> {
        let mut batches: Vec<Option<Batch>> = vec![None; self.trees.len()];
        for (tree, key, value) in rows {
            let batch = batches[tree.index()].get_or_insert_default();
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        let _alone = self
            .applying
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        for (tree, batch) in self.trees.iter().zip(batches) {
            if let Some(batch) = batch {
                tree.apply_batch(batch)?;
            }
        }
        self.db.insert(MARKER, &marker.to_bytes())?;
        Ok(())
    }

    /// Puts everything applied so far on stable storage, for real.
    pub(super) fn sync(&self) -> Result<(), Error> {
        self.db.flush()?;
        File::open(&self.file)
            .and_then(|file| file.sync_data())
            .map_err(|error| Error::Index(error.to_string()))
    }

    pub(super) fn snapshot(&self) -> Snapshot<'_> {
        let guard = self.applying.read().unwrap_or_else(PoisonError::into_inner);
        Snapshot {
            index: self,
            _whole_groups: guard,
        }
    }

    /// The greatest key of a tree.
    pub(super) fn last_key(&self, tree: Tree) -> Result<Option<Bytes>, Error> {
        Ok(self.trees[tree.index()].last()?.map(|(key, _)| key))
    }

    pub(super) fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Bytes>, Error> {
        Ok(self.trees[tree.index()].get(key)?)
    }

    pub(super) fn range(
        &self,
        tree: Tree,
        range: Range<Vec<u8>>,
    ) -> Box<dyn Iterator<Item = Row> + '_> {
        Box::new(
            self.trees[tree.index()]
                .range(range)
                .map(|row| row.map_err(Error::from)),
        )
    }
}

#[expect(
    private_interfaces,
    reason = "the trait is sealed by its private types"
)]
impl Source for Snapshot<'_> {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.index.get(tree, key)
    }

    fn range(&self, tree: Tree, range: Range<Vec<u8>>) -> Box<dyn Iterator<Item = Row> + '_> {
        self.index.range(tree, range)
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
