//! A backup on disk: a directory with the files of a data directory and a manifest that names each with its size and checksum. It
//! owns what may be in one, how one comes to be whole or not at all, and how one is told from a damaged one. It does not know how
//! a consistent state is found, nor what the files mean.
//!
//! - [`Manifest`]: what the backup says of itself
//! - [`Draft`]: one that is being made
//! - [`Archive`]: one that is read

mod draft;
mod manifest;
mod read;

use std::io;
use std::path::{Path, PathBuf};

pub use self::draft::Draft;
pub use self::manifest::{About, Entry, MANIFEST, Manifest, Sum};
pub use self::read::Archive;
use crate::journal::FileName;
use crate::media::MediaType;

/// The journal's files are in this directory of a backup, as of a data directory.
pub const JOURNAL: &str = "journal";
/// The media files are in this directory of a backup.
pub const MEDIA: &str = "media";
/// The file with the schema's version.
pub const SCHEMA: &str = "schema";
/// The file with the token secret that the server made for itself.
pub const SECRET: &str = "jwt-secret";

/// Why a backup was not made or not read. One line each, with the remedy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The place is taken.
    #[error("{} {why}", .path.display())]
    Target {
        /// The place.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        why: &'static str,
    },
    /// There is no manifest.
    #[error(
        "{} is no whole backup: it has no manifest.json, which is written last; name another",
        .0.display()
    )]
    NoManifest(PathBuf),
    /// A newer program made it.
    #[error(
        "the backup has {what} {found}, newer than this jivchat reads ({known}); restore it with the version that made it"
    )]
    Newer {
        /// Format or schema.
        what: &'static str,
        /// What it has.
        found: u32,
        /// The newest that is known.
        known: u32,
    },
    /// Something is not as the manifest says, or the manifest itself is not whole.
    #[error("the backup is damaged: {file} {why}; nothing was restored: use another backup")]
    Damaged {
        /// As in the manifest.
        file: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A file operation failed.
    #[error("cannot {doing} {}: {source}; see that the disk has space and the directory is writable", .path.display())]
    Io {
        /// What was tried, as a verb.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl Error {
    /// For `map_err` on a file operation.
    pub fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            doing,
            path: path.to_owned(),
            source,
        }
    }

    fn damaged(file: &str, why: &'static str) -> Self {
        Self::Damaged {
            file: file.to_owned(),
            why,
        }
    }
}

/// Whether a path may stand in a backup: the files of a data directory that cannot be made anew, and nothing else. No such path
/// leads anywhere but into its own directory.
pub fn may_hold(path: &str) -> bool {
    match path.split_once('/') {
        None => path == SCHEMA || path == SECRET,
        Some((JOURNAL, name)) => matches!(
            FileName::parse(name),
            Some(FileName::Segment(_) | FileName::Base(_))
        ),
        Some((MEDIA, name)) => MediaType::of_name(name).is_some(),
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_files_of_a_data_directory_are_in_a_backup() {
        let media = format!("media/chat-1-{}.jpg", "0".repeat(32));
        for path in [
            "schema",
            "jwt-secret",
            "journal/0000000000000001.log",
            "journal/000000000000000a.base",
            &media,
        ] {
            assert!(may_hold(path), "{path}");
        }
        for path in [
            "",
            "manifest.json",
            "LOCK",
            "/schema",
            "../schema",
            "journal/../schema",
            "journal/0000000000000001.base.tmp",
            "journal/x/0000000000000001.log",
            "media/../jwt-secret",
            "media//etc/passwd",
            "media/notes.txt",
            "db/0000000000000001",
        ] {
            assert!(!may_hold(path), "{path}");
        }
    }
}
