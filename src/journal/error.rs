//! What can go wrong with a journal, one line each with its remedy. It does not know who asked.

use std::io;

use super::name::FileName;

/// A failure of the journal. Each displays as one line that names the remedy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something that had been synced is no longer whole. Nothing has been changed.
    #[error(
        "journal {file} is damaged at byte {offset}: {why}; nothing was changed: keep a copy of the data directory and \
         restore it from a backup"
    )]
    Damaged {
        /// The file.
        file: FileName,
        /// Where in it.
        offset: u64,
        /// What is wrong there.
        why: Damage,
    },
    /// A file in a format that this program does not know.
    #[error(
        "journal {file} has format {version}, newer than this program reads; start a newer version"
    )]
    Version {
        /// The file.
        file: FileName,
        /// The format's number.
        version: u16,
    },
    /// A replay was asked to go on from a place that a compaction has done away with.
    #[error(
        "the journal no longer has segment {0}: it was compacted since; read it from its start"
    )]
    Compacted(u64),
    /// No space; the group was not kept. May be tried again once there is some.
    #[error("no space left for the journal; free some on the disk of the data directory")]
    Full(#[source] io::Error),
    /// A file operation failed; the group, if any, was not kept. May be tried again.
    #[error(
        "cannot {doing} the journal: {source}; check the disk, the owner and the mode of the data directory"
    )]
    Io {
        /// What was tried, as a verb.
        doing: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// It is unknown what is on the disk. The process has to end; opening the journal anew finds out.
    #[error(
        "the journal could not be synced: {0}; check the disk, then start again: recovery keeps every acknowledged change"
    )]
    SyncFailed(String),
    /// The group does not fit in one frame; nothing was written.
    #[error("a commit group of {bytes} bytes is over the journal's limit of {limit}; split it")]
    TooLarge {
        /// Size of its frame.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The group's numbers do not continue the journal; nothing was written.
    #[error("commit {found} cannot follow: the journal expects commit {expected}")]
    OutOfOrder {
        /// The number that was due.
        expected: u64,
        /// The number that came.
        found: u64,
    },
}

/// What is wrong at a place that must be whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The header of the file is not one.
    #[error("its header is not whole")]
    Header,
    /// The header bears another number than the file.
    #[error("its header belongs to number {0}")]
    WrongSegment(u64),
    /// A base without a whole end, although it got its name only when it was whole.
    #[error("its end is not whole")]
    Footer,
    /// A frame is not whole although something valid was written after it.
    #[error("a frame is not whole ({0}) and is not the last")]
    Frame(super::frame::Defect),
    /// More is broken at the end than one torn group can be.
    #[error("{0} bytes at the end hold no frame, more than one unfinished group can leave")]
    LongTail(u64),
    /// A position that was known to end a frame does not.
    #[error("no whole frame ends at byte {0}, which a checkpoint knew of")]
    BeforeCheckpoint(u64),
    /// The commit numbers do not continue.
    #[error("commit {found} stands where commit {expected} belongs")]
    Gap {
        /// The number that belongs here.
        expected: u64,
        /// The number found.
        found: u64,
    },
    /// The file is not there.
    #[error("its file is missing")]
    Missing,
}

impl Error {
    pub(super) fn damaged(file: FileName, offset: u64, why: Damage) -> Self {
        Self::Damaged { file, offset, why }
    }

    pub(super) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }

    /// A failure that left nothing behind: full, or anything else.
    pub(super) fn refused(doing: &'static str, source: io::Error) -> Self {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        match source.kind() {
            StorageFull | QuotaExceeded | FileTooLarge => Self::Full(source),
            _ => Self::Io { doing, source },
        }
    }
}

/// Why a replay ended early.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError<E> {
    /// The journal could not be read.
    #[error(transparent)]
    Journal(#[from] Error),
    /// The visitor refused a commit.
    #[error("commit {number} was refused")]
    Visit {
        /// The commit's number.
        number: u64,
        /// The visitor's reason.
        #[source]
        source: E,
    },
}
