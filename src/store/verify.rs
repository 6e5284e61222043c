//! `verify` and `stats`: what a data directory holds, and whether it may be trusted. Needs the directory for itself. Changes nothing
//! in the journal; `verify` brings the index in use level with it, as the next start would.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::check::{self, Findings};
use super::checkpoint::Checkpoint;
use super::compact::bytes_in;
use super::error::Error;
use super::index::{Index, Settings};
use super::keys::Tree;
use super::open;
use super::schema;
use crate::journal::{self, DirLock, Position, Sizes};

/// What to look at.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// Of the server, which must not be running.
    pub data_dir: PathBuf,
    /// Where the uploaded files are; `None` leaves them out.
    pub media: Option<PathBuf>,
    /// Bytes of page cache for each index that is opened.
    pub cache: u64,
}

/// What [`verify`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Of the last whole group of the journal.
    pub last_commit: u64,
    /// Bytes of a torn last group, which was never acknowledged and which the next start cuts off.
    pub torn_bytes: u64,
    /// Rows and problems, those of the index included.
    pub findings: Findings,
}

/// Which step [`verify`] has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Reading the journal.
    Journal,
    /// Following the rows.
    Rows,
    /// Comparing the index.
    Index,
}

/// Reads the whole journal, builds its rows anew beside the index, follows every one of them, and compares them with the
/// index in use. An error means that this could not be done, or that the journal is damaged.
pub fn verify(
    inspection: &Inspection,
    mut progress: impl FnMut(Step, u64, u64),
) -> Result<Verified, Error> {
    let data_dir = &inspection.data_dir;
    let _lock = lock(data_dir)?;
    let settings = Settings::new(inspection.cache);
    let scratch = scratch_dir(data_dir);
    let _removed = Scratch::new(&scratch)?;
    let truth = Index::open(&scratch, 1, &settings)?;
    let replayed = open::replay_all(&truth, data_dir, |at| {
        progress(Step::Journal, at.done, at.total);
    })?;
    let expected = check::expected_messages(&truth)?;
    let mut rows = 0;
    let mut findings = check::check(&truth, inspection.media.as_deref(), &mut |done| {
        rows = done;
        progress(Step::Rows, done, expected);
    })?;
    let checkpoint = Checkpoint::load(data_dir);
    let known = checkpoint.map_or(0, |checkpoint| checkpoint.commit);
    if replayed.last_commit < known {
        let last = replayed.last_commit;
        findings.problem(|| {
            format!("the journal ends with commit {last} and a checkpoint knew of {known}; restore a backup")
        });
    } else if let Some(checkpoint) = checkpoint {
        let mut compared = 0;
        let reached = (replayed.last_commit, replayed.end);
        let used = (checkpoint, reached);
        let outcome = compare(&truth, used, data_dir, &settings, &mut findings, || {
            compared += 1;
            progress(Step::Index, compared, rows);
        });
        if let Err(error) = outcome {
            findings.problem(|| {
                format!("the index cannot be read ({error}); the next start rebuilds it")
            });
        }
    }
    Ok(Verified {
        last_commit: replayed.last_commit,
        torn_bytes: replayed.torn_bytes,
        findings,
    })
}

/// Every row of the index in use is one of the journal's up to the checkpoint or later, and none is missing.
fn compare(
    truth: &Index,
    (checkpoint, reached): (Checkpoint, (u64, Position)),
    data_dir: &Path,
    settings: &Settings,
    findings: &mut Findings,
    mut progress: impl FnMut(),
) -> Result<(), Error> {
    let indexes = open::indexes_dir(data_dir);
    if !Index::path(&indexes, checkpoint.generation).exists() {
        return Ok(()); // The next start builds it anew and says so.
    }
    let index = open::catch_up(data_dir, settings, checkpoint, reached)?;
    for tree in Tree::ALL {
        let (mut expected, mut found) =
            (truth.rows_after(tree, None), index.rows_after(tree, None));
        let mut wrong = 0_u64;
        let (mut mine, mut theirs) = (expected.next().transpose()?, found.next().transpose()?);
        while mine.is_some() || theirs.is_some() {
            progress();
            if mine == theirs {
                (mine, theirs) = (expected.next().transpose()?, found.next().transpose()?);
                continue;
            }
            wrong += 1;
            let keys = (
                mine.as_ref().map(|row| &row.0),
                theirs.as_ref().map(|row| &row.0),
            );
            match keys {
                (Some(a), Some(b)) if a == b => {
                    (mine, theirs) = (expected.next().transpose()?, found.next().transpose()?);
                }
                (Some(a), Some(b)) if a > b => theirs = found.next().transpose()?,
                (None, _) => theirs = found.next().transpose()?,
                _ => mine = expected.next().transpose()?,
            }
        }
        if wrong > 0 {
            findings.problem(|| {
                format!(
                    "the index differs from the journal in {wrong} rows of `{}`; remove {} and start: it is rebuilt",
                    tree.name(),
                    indexes.display()
                )
            });
        }
    }
    Ok(())
}

/// What [`stats`] tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// Bytes of the journal.
    pub journal: Sizes,
    /// Bytes of the index.
    pub index: u64,
    /// Bytes of the media files.
    pub media: u64,
    /// The last commit that the index is known to hold.
    pub checkpoint: Option<u64>,
    /// Rows by the name of their tree, as the index has them.
    pub rows: BTreeMap<&'static str, u64>,
}

/// Sizes and row counts of a data directory, from its index as of the last checkpoint or later.
pub fn stats(inspection: &Inspection) -> Result<Stats, Error> {
    let data_dir = &inspection.data_dir;
    let _lock = lock(data_dir)?;
    let settings = Settings::new(inspection.cache);
    let indexes = open::indexes_dir(data_dir);
    let checkpoint = Checkpoint::load(data_dir);
    let mut rows = BTreeMap::new();
    let in_use = checkpoint.filter(|one| Index::path(&indexes, one.generation).exists());
    if let Some(checkpoint) = in_use {
        let index = Index::open(&indexes, checkpoint.generation, &settings)?;
        for tree in Tree::ALL {
            rows.insert(tree.name(), index.count(tree)?);
        }
    }
    Ok(Stats {
        journal: journal::sizes(&open::journal_dir(data_dir))
            .map_err(|error| Error::Open(error.to_string()))?,
        index: bytes_in(&indexes),
        media: inspection.media.as_deref().map_or(0, bytes_in),
        checkpoint: checkpoint.map(|one| one.commit),
        rows,
    })
}

/// The directory for ourselves; it must be one of ours, and of a version that we know.
pub(super) fn lock(data_dir: &Path) -> Result<DirLock, Error> {
    has_journal(data_dir)?;
    let lock = DirLock::acquire(data_dir).map_err(|error| Error::Open(error.to_string()))?;
    open::refuse_unfinished(data_dir)?;
    schema::check(data_dir)?;
    Ok(lock)
}

pub(super) fn has_journal(data_dir: &Path) -> Result<(), Error> {
    if open::journal_dir(data_dir).is_dir() {
        return Ok(());
    }
    Err(Error::Open(format!(
        "{} is no data directory: it has no journal; name another with --data-dir",
        data_dir.display()
    )))
}

/// Where rows are built anew beside the index, or where there is none: by [`verify`], [`super::Reading`] and [`super::Replica`]. One
/// that was killed leaves it to the next of them, or to the next start.
pub(super) fn scratch_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("verify.tmp")
}

/// A directory that goes away again, also after an error.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new(path: &Path) -> Result<Self, Error> {
        let made = match fs::remove_dir_all(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            // All that anybody has said will be in it, wherever it is.
            _ => fs::DirBuilder::new().mode(0o700).create(path),
        };
        made.map_err(|error| {
            Error::Open(format!(
                "{} cannot be made: {error}; this needs space for a second index",
                path.display()
            ))
        })?;
        Ok(Self(path.to_owned()))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, path = %self.0.display(), "a scratch directory stays");
        }
    }
}
