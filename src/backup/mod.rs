//! Backups: one consistent state of a server's data, taken without stopping it, and put back. It owns what makes a state
//! consistent (the journal up to one commit and the files that this state shows) and the order of the steps. It knows neither HTTP
//! nor what a message is.
//!
//! - [`take`]: from a data directory, whether a server runs on it or not
//! - [`Online`]: from within the server, as a tar
//! - [`unpack`]: from such a tar
//! - [`restore`]: into a new data directory

mod restore;
mod stream;
mod take;
#[cfg(test)]
mod tests;
mod unpack;

use std::io;
use std::path::PathBuf;

pub use self::restore::restore;
pub use self::stream::{Online, Turn};
pub use self::take::take;
pub use self::unpack::unpack;
use crate::archive::{self, Draft, Manifest};
use crate::journal;
use crate::store::{self, Findings, Replica};

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
    /// Receiving them; of how much is not known.
    Receive,
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
    /// The tar cannot be sent or received.
    #[error("the backup was cut short: {0}; nothing was kept, try again")]
    Stream(#[source] io::Error),
    /// The tar ends before its manifest.
    #[error("the backup was cut short: it ends before its manifest; nothing was kept, try again")]
    CutShort,
    /// The tar holds what no backup has.
    #[error("this is no backup: {0}; nothing was kept")]
    Foreign(String),
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

/// Takes those out again whose messages were deleted while the backup was made.
fn drop_files(replica: &Replica, draft: &mut Draft) -> Result<(), Error> {
    let mut superfluous = Vec::new();
    for path in draft.files().keys() {
        if let Some(name) = path.strip_prefix("media/")
            && !replica.shows(name)?
        {
            superfluous.push(path.clone());
        }
    }
    for path in superfluous {
        draft.remove(&path)?;
    }
    Ok(())
}

/// The head of a file in a tar, for its owner only.
fn tar_header(path: &str, bytes: u64) -> io::Result<tar::Header> {
    let mut header = tar::Header::new_gnu();
    header.set_path(path)?;
    header.set_size(bytes);
    header.set_mode(0o600);
    header.set_mtime(0);
    header.set_cksum();
    Ok(header)
}
