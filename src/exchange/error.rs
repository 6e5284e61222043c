//! What can go wrong between here and elsewhere.

use std::io;
use std::path::{Path, PathBuf};

use crate::chat;
use crate::media;
use crate::store;

/// Why an export or an import ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store cannot be opened, read or written.
    #[error("{0}")]
    Store(#[from] store::Error),
    /// Stored rows that do not belong together.
    #[error("{0}")]
    Chat(#[from] chat::Error),
    /// The directory for the files is another's.
    #[error("{0}")]
    MediaOwner(#[from] media::OwnerError),
    /// A file operation.
    #[error("{}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The output ends early.
    #[error("the output cannot be written: {0}")]
    Output(#[source] io::Error),
    /// Who or what is asked for is not there.
    #[error("there is no {what} {id}")]
    Unknown {
        /// `user` or `chat`.
        what: &'static str,
        /// The id asked for.
        id: String,
    },
    /// What is given cannot be imported; the text says what to do.
    #[error("{0}")]
    Refused(String),
}

impl Error {
    pub(super) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        |source| Self::File { path, source }
    }
}
