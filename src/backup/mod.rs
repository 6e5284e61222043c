//! Backups: one consistent state of a server's data, taken without stopping it, and put back. It owns what makes a state
//! consistent (the journal up to one commit and the files that this state shows) and the order of the steps. It knows neither HTTP
//! nor what a message is.
//!
//! - [`take`]: from a data directory, whether a server runs on it or not
//! - [`restore`]: into a new data directory

mod restore;
mod take;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use self::restore::restore;
pub use self::take::take;
use crate::archive::{self, Manifest};
use crate::journal;
use crate::store::{self, Findings};

/// What is backed up or restored into.
#[derive(Debug, Clone)]
pub struct Place {
    /// The data directory.
    pub data_dir: PathBuf,
    /// The media directory.
    pub media: PathBuf,
    /// Bytes of page cache for the index with which the copy is checked.
    pub cache: u64,
}

/// Which step it has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Copying files.
    Copy,
    /// Replaying the copied journal.
    Replay,
    /// Following the rows of the copy.
    Rows,
    /// Reading the copied files again.
    Sums,
}

/// Hears of steps, and of how much of how much is done.
pub type Tell<'a> = dyn FnMut(Step, u64, u64) + 'a;

/// A backup that was made or restored.
#[derive(Debug)]
pub struct Report {
    /// What the backup is.
    pub manifest: Manifest,
    /// What is in it, and what is wrong with it: since the files are what was copied, it was wrong before.
    pub findings: Findings,
}

/// Why there is no backup, or nothing was restored. One line each, with the remedy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The backup cannot be written or read.
    #[error(transparent)]
    Archive(#[from] archive::Error),
    /// The journal cannot be copied.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// The copy cannot be checked, or the data directory cannot be used.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// There is nothing to back up.
    #[error("{} is no data directory: it has no journal; name another with --data-dir", .0.display())]
    NoJournal(PathBuf),
    /// Files came and went faster than they could be copied.
    #[error(
        "the data changed faster than it could be copied; try again when less is uploaded and deleted"
    )]
    Restless,
    /// A server was started with a newer version in the middle.
    #[error("the data directory was brought to another version meanwhile; back up again")]
    Migrated,
    /// The target has something in it.
    #[error("{} is not empty; a backup is restored into a directory that is new or empty", .0.display())]
    NotEmpty(PathBuf),
    /// The files are whole and what they say is not what was backed up.
    #[error(
        "the backup ends with commit {found} and its manifest says {expected}; nothing was restored: use another backup"
    )]
    Short {
        /// In the manifest.
        expected: u64,
        /// In the journal.
        found: u64,
    },
}
