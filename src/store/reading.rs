//! The tables of a stopped server, to read: its index brought level with the journal, or one built beside it that goes
//! away again. The journal is not touched. Needs the directory for itself. A backup, and a directory that may not be written,
//! stay as they are: the index is built elsewhere.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::checkpoint::Checkpoint;
use super::error::Error;
use super::index::{Index, Settings};
use super::keys::Tree;
use super::open;
use super::schema;
use super::tables::{Bytes, Row, Source, Tables};
use super::verify::{self, Inspection, Scratch};
use crate::archive::MANIFEST;
use crate::journal::{self, DirLock, LockError};

/// A stopped server's data, while nobody else may use it.
pub struct Reading {
    // In this order: the index lets go of its files, then they are removed, then others may come.
    index: Index,
    _scratch: Option<Scratch>,
    _lock: Option<DirLock>,
}

impl Reading {
    /// Opens a data directory, which takes long where there is no index that can be used: `progress` hears how much of the
    /// journal has been read.
    pub fn open(inspection: &Inspection, progress: impl FnMut(u64, u64)) -> Result<Self, Error> {
        Self::open_beside(inspection, &elsewhere()?, progress)
    }

    /// The same; what has to be built for a directory that must stay as it is, is built in `elsewhere`.
    pub fn open_beside(
        inspection: &Inspection,
        elsewhere: &Path,
        progress: impl FnMut(u64, u64),
    ) -> Result<Self, Error> {
        let data_dir = &inspection.data_dir;
        verify::has_journal(data_dir)?;
        let settings = Settings::new(inspection.cache);
        let (lock, may_write) = hold(data_dir)?;
        open::refuse_unfinished(data_dir)?;
        schema::check(data_dir)?;
        if !may_write {
            let (index, scratch) = from_journal(data_dir, elsewhere, &settings, progress)?;
            return Ok(Self {
                index,
                _scratch: Some(scratch),
                _lock: lock,
            });
        }
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
        let (index, scratch) = from_journal(
            data_dir,
            &verify::scratch_dir(data_dir),
            &settings,
            progress,
        )?;
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

/// A directory of a name that nobody can guess, for temporary files, which `TMPDIR` moves.
pub fn elsewhere() -> Result<PathBuf, Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| Error::Open(error.to_string()))?;
    let name = format!("jivchat-reading-{:032x}", u128::from_be_bytes(bytes));
    Ok(std::env::temp_dir().join(name))
}

/// Keeps others out, and tells whether the directory may be written.
fn hold(data_dir: &Path) -> Result<(Option<DirLock>, bool), Error> {
    // Nobody works in a backup, and nothing is to be left in it.
    if data_dir.join(MANIFEST).is_file() {
        return Ok((None, false));
    }
    let failed = |error: LockError| Error::Open(error.to_string());
    match DirLock::acquire(data_dir) {
        Ok(lock) => Ok((Some(lock), true)),
        Err(LockError::Io { source, .. }) if is_read_only(&source) => {
            let lock = journal::lock_read_only(data_dir).map_err(failed)?;
            Ok((lock, false))
        }
        Err(error) => Err(failed(error)),
    }
}

fn is_read_only(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
    )
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
    path: &Path,
    settings: &Settings,
    mut progress: impl FnMut(u64, u64),
) -> Result<(Index, Scratch), Error> {
    let scratch = Scratch::new(path)?;
    let index = Index::open(path, 1, settings)?;
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
