//! What can go wrong in the store.

use std::io;

/// A failure of the store; none of them is the caller's fault.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The disk has no room; reads go on and writes work again once there is space.
    #[error("the disk is full")]
    Full,
    /// The disk refused a write; nothing was stored.
    #[error("the disk refused a write: {0}")]
    Io(String),
    /// A sync failed or the index broke: what is on disk is unknown, only a restart tells. Fatal (invariant 10).
    #[error("the store has failed and must be restarted: {0}")]
    Failed(String),
    /// The journal or the data directory cannot be used; the text names the remedy.
    #[error("{0}")]
    Open(String),
    /// A stored record cannot be read.
    #[error("a stored record in `{tree}` cannot be read: {why}")]
    Record {
        /// The tree it stands in.
        tree: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The index answered with an error.
    #[error("the index failed: {0}")]
    Index(String),
    /// A compaction was asked to end before it was done; everything is as it was.
    #[error("the compaction was called off")]
    CalledOff,
    /// A job panicked; its changes were dropped.
    #[error("a job panicked and was dropped")]
    Panicked,
    /// The store is closing.
    #[error("the store is closing")]
    Closed,
}

impl Error {
    /// A file operation of the index that failed.
    pub(super) fn of_index(error: &io::Error) -> Self {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        match error.kind() {
            StorageFull | QuotaExceeded | FileTooLarge => Self::Full,
            _ => Self::Index(error.to_string()),
        }
    }
}

impl From<sled::Error> for Error {
    fn from(error: sled::Error) -> Self {
        match error {
            sled::Error::Io(error) => Self::of_index(&error),
            error => Self::Index(error.to_string()),
        }
    }
}
