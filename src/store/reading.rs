//! The tables of a stopped server, to read: its index brought level with the journal, or one built beside it that goes
//! away again. The journal is not touched. Needs the directory for itself.

use std::ops::Range;
use std::path::Path;

use super::checkpoint::Checkpoint;
use super::error::Error;
use super::index::{Index, Settings};
use super::keys::Tree;
use super::open;
use super::tables::{Bytes, Row, Source, Tables};
use super::verify::{self, Inspection, Scratch};
use crate::journal::{self, DirLock};

/// A stopped server's data, while nobody else may use it.
pub struct Reading {
    // In this order: the index lets go of its files, then they are removed, then others may come.
    index: Index,
    _scratch: Option<Scratch>,
    _lock: DirLock,
}

impl Reading {
    /// Opens a data directory, which takes long where there is no index that can be used: `progress` hears how much of the
    /// journal has been read.
    pub fn open(inspection: &Inspection, progress: impl FnMut(u64, u64)) -> Result<Self, Error> {
        let data_dir = &inspection.data_dir;
        let lock = verify::lock(data_dir)?;
        let settings = Settings::new(inspection.cache);
        match in_use(data_dir, &settings) {
            Ok(Some(index)) => {
                return Ok(Self {
                    index,
                    _scratch: None,
                    _lock: lock,
                });
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, "the index cannot be used; the journal is read instead");
            }
        }
        let (index, scratch) = from_journal(data_dir, &settings, progress)?;
        Ok(Self {
            index,
            _scratch: Some(scratch),
            _lock: lock,
        })
    }

    /// The tables as of the last commit.
    pub fn tables(&self) -> Tables<Stopped<'_>> {
        Tables(Stopped(&self.index))
    }
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reading")
    }
}

/// The index of the last checkpoint, with what the journal has after it.
fn in_use(data_dir: &Path, settings: &Settings) -> Result<Option<Index>, Error> {
    let Some(checkpoint) = Checkpoint::load(data_dir) else {
        return Ok(None);
    };
    if !Index::path(&open::indexes_dir(data_dir), checkpoint.generation).exists() {
        return Ok(None);
    }
    let journal = open::journal_dir(data_dir);
    let tail = journal::replay(&journal, checkpoint.position, |_, _| Ok::<_, Error>(()));
    let tail = tail.map_err(open::unreplayed)?;
    let reached = (tail.last_commit, tail.end);
    open::catch_up(data_dir, settings, checkpoint, reached).map(Some)
}

fn from_journal(
    data_dir: &Path,
    settings: &Settings,
    mut progress: impl FnMut(u64, u64),
) -> Result<(Index, Scratch), Error> {
    let path = verify::scratch_dir(data_dir);
    let scratch = Scratch::new(&path)?;
    let index = Index::open(&path, 1, settings)?;
    open::replay_all(&index, data_dir, |at| progress(at.done, at.total))?;
    Ok((index, scratch))
}

/// The source behind [`Reading::tables`].
pub struct Stopped<'a>(&'a Index);

impl std::fmt::Debug for Stopped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stopped")
    }
}

#[expect(
    private_interfaces,
    reason = "the trait is sealed by its private types"
)]
impl Source for Stopped<'_> {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.0.get(tree, key)
    }

    fn range(&self, tree: Tree, range: Range<Vec<u8>>) -> Box<dyn Iterator<Item = Row> + '_> {
        Box::new(self.0.range(tree, range))
    }
}
