//! The append-only log: the one copy of the truth. It owns the segment files of a directory, what a crash may have left
//! at their end, and the promise that what `append` returned for is on stable storage. It knows nothing of chat, of
//! trees beyond their number, or of the index that is built from it. The bytes are described in `docs/journal.md`.
//!
//! - `frame`: the codec, pure, one frame for a commit group
//! - `name`, `segment`: the name and the header of a file
//! - `disk`: the file operations, as a trait so that tests can cut the power
//! - `frames`, `scan`: reading, and telling a torn tail from damage
//! - `writer`: appending
//! - `base`, `layout`: compaction, and which files count after it
//! - [`Copy`]: a copy while others write and compact
//! - [`DirLock`]: one owner of a data directory

mod base;
#[cfg(test)]
mod base_tests;
mod copy;
#[cfg(test)]
mod copy_tests;
#[cfg(test)]
mod crash_tests;
mod disk;
mod error;
mod frame;
mod frames;
#[doc(hidden)]
pub mod fuzzing;
mod layout;
mod lock;
mod name;
mod scan;
mod segment;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
mod writer;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use self::base::BaseWriter;
pub use self::copy::{Copy, open_files};
use self::disk::{Directory, Disk, JournalFile};
pub use self::error::{Damage, Error, ReplayError};
pub use self::frame::Defect;
use self::layout::Layout;
pub use self::lock::{DirLock, LockError, lock_read_only};
pub use self::name::FileName;
pub use self::scan::{Progress, Replayed};
use self::writer::Writer;

/// What one write job changed: absolute key writes, so that replaying is idempotent, and opaque event records. What is read has bytes of
/// its own; what is written may share them with its caller.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Commit<B = Vec<u8>> {
    /// 1, 2, 3 … without a gap, assigned by the caller.
    pub number: u64,
    /// Applied in order; a later write to the same key wins.
    pub writes: Vec<Write<B>>,
    /// What happened, for consumers that follow the journal; the journal never looks inside.
    pub events: Vec<Vec<u8>>,
}

/// One key of one tree, as it is after the commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write<B = Vec<u8>> {
    /// The number of the tree; its meaning is the caller's.
    pub tree: u8,
    /// The whole key.
    pub key: B,
    /// The whole value; `None` removes the key.
    pub value: Option<B>,
}

/// The end of a frame: everything before it is whole and on stable storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// Number of the segment, from 1.
    pub segment: u64,
    /// Bytes from the start of that segment's file.
    pub offset: u64,
}

impl Position {
    /// Before everything: where a rebuild begins.
    pub const START: Self = Self {
        segment: 1,
        offset: 0,
    };
}

/// Sizes, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// A segment that would grow past this is closed and the next begun. One group larger than this still gets a
    /// segment of its own.
    pub segment_bytes: u64,
    /// The largest frame `append` writes; at most [`Options::FRAME_LIMIT`]. A larger group is [`Error::TooLarge`].
    pub max_frame: usize,
}

impl Options {
    /// The largest frame any version of this format holds, and so the most memory a reader needs for one.
    pub const FRAME_LIMIT: usize = frame::FRAME_LIMIT;
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            max_frame: 16 << 20,
        }
    }
}

/// What opening found and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovered {
    /// The journal did not exist and has been begun.
    pub created: bool,
    /// Number of the last whole commit; 0 when there is none.
    pub last_commit: u64,
    /// Bytes of a torn last group that were cut off; none of it had been acknowledged.
    pub cut_bytes: u64,
    /// A segment whose begun header never reached the disk and that was removed.
    pub removed_segment: Option<u64>,
}

/// The writer. There is at most one for a directory: the caller holds a [`DirLock`].
#[derive(Debug)]
pub struct Journal {
    writer: Writer<Directory>,
}

impl Journal {
    /// Opens the journal of `dir`, or begins one; `dir` must exist. A torn last group is cut off and told of.
    ///
    /// `known` is a position that a checkpoint proved to be on stable storage: whatever is wrong before it is damage,
    /// never a torn tail. With it only its own segment and the later ones are read; without it, everything is.
    pub fn open(
        dir: &Path,
        options: Options,
        known: Option<Position>,
    ) -> Result<(Self, Recovered), Error> {
        let (writer, recovered) = Writer::open(Directory::new(dir), options, known)?;
        Ok((Self { writer }, recovered))
    }

    /// Writes the group as one frame and syncs it; once this returns `Ok`, all of it survives a power cut.
    ///
    /// After [`Error::Full`], [`Error::Io`] or a refusal of the group itself, nothing of the group remains and the
    /// journal may be used again. After [`Error::SyncFailed`] the process has to end: only recovery tells what was kept.
    pub fn append<B: AsRef<[u8]>>(&mut self, group: &[Commit<B>]) -> Result<Position, Error> {
        self.writer.append(group)
    }

    /// Sees to it that the next commit begins a segment, so that a [`Base`] can stand for everything before. Fails like
    /// [`Self::append`].
    pub fn begin_base(&mut self) -> Result<BaseStart, Error> {
        self.writer.begin_base()
    }

    /// From now on every sync fails.
    #[cfg(test)]
    pub(crate) fn fail_syncs(&mut self) {
        self.writer.fail_syncs();
    }

    /// The end of the last frame.
    pub fn position(&self) -> Position {
        self.writer.position()
    }

    /// The number that the next commit must bear.
    pub fn next_commit(&self) -> u64 {
        self.writer.next_commit()
    }
}

/// Where a base begins: it stands for every commit before `first_commit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BaseStart {
    segment: u64,
    first_commit: u64,
}

impl BaseStart {
    /// The first commit for which the base does not stand.
    pub fn first_commit(&self) -> u64 {
        self.first_commit
    }

    /// The first position after everything that the base stands for.
    pub fn position(&self) -> Position {
        Position {
            segment: self.segment,
            offset: segment::FIRST_FRAME,
        }
    }
}

/// A base that is being written: every row there is, while the journal goes on growing. Rows that change meanwhile may be
/// pushed as they were or as they are, since the commits from the base on are replayed over it; rows that were never
/// synced in the journal must not be pushed. Dropped before [`Base::finish`], it leaves a file that the next start removes.
#[derive(Debug)]
pub struct Base {
    writer: BaseWriter<Directory>,
    dir: PathBuf,
}

impl Base {
    /// Begins a base beside the journal of `dir`.
    pub fn begin(dir: &Path, start: BaseStart) -> Result<Self, Error> {
        Ok(Self {
            writer: BaseWriter::begin(Directory::new(dir), start)?,
            dir: dir.to_owned(),
        })
    }

    /// Adds a row.
    pub fn push(&mut self, row: Write) -> Result<(), Error> {
        self.writer.push(row)
    }

    /// Puts the base on stable storage. `end` is where the frame of `last_commit` ends, the newest commit of which
    /// something may have been pushed.
    pub fn finish(self, last_commit: u64, end: Position) -> Result<Finished, Error> {
        self.writer.finish(last_commit, end)?;
        Ok(Finished { dir: self.dir })
    }
}

/// A base on stable storage, with what it stands for still beside it.
#[derive(Debug)]
#[must_use = "what the base stands for stays on the disk until it is removed"]
pub struct Finished {
    dir: PathBuf,
}

impl Finished {
    /// Removes the segments and bases that the new base stands for. Nobody may be replaying them.
    pub fn remove_superseded(self) -> Result<(), Error> {
        let mut disk = Directory::new(&self.dir);
        let layout = Layout::read(&disk)?;
        base::sweep(&mut disk, &layout.superfluous)
    }
}

/// Removes the drafts that abandoned bases have left in `dir`, and nothing else. Nobody may be writing a base.
pub fn remove_drafts(dir: &Path) -> Result<(), Error> {
    let mut disk = Directory::new(dir);
    for name in disk.list().map_err(Error::io("list the files of"))? {
        if matches!(name, FileName::Draft(_)) {
            disk.remove(name).map_err(Error::io("remove a draft of"))?;
        }
    }
    Ok(())
}

/// How much there is of a journal, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sizes {
    /// The base; 0 before the first compaction.
    pub base: u64,
    /// The segments.
    pub segments: u64,
}

/// The journal's files in a directory, whether they count or not.
pub fn names(dir: &Path) -> Result<Vec<FileName>, Error> {
    let disk = Directory::new(dir);
    disk.list().map_err(Error::io("list the files of"))
}

/// Looks up the sizes of the files; those being removed meanwhile count as nothing.
pub fn sizes(dir: &Path) -> Result<Sizes, Error> {
    let disk = Directory::new(dir);
    let mut sizes = Sizes::default();
    for name in disk.list().map_err(Error::io("list the files of"))? {
        let length = disk.open(name).and_then(|file| file.length()).unwrap_or(0);
        match name {
            FileName::Segment(_) => sizes.segments += length,
            FileName::Base(_) => sizes.base += length,
            FileName::Draft(_) => {}
        }
    }
    Ok(sizes)
}

/// Hands every commit after `from` to `visit`, in order, one frame in memory at a time. For a journal nobody is writing;
/// a torn last group is left alone and reported.
///
/// From [`Position::START`] on, a compacted journal begins with the rows of its base: as commits without events that all
/// bear the number before the first one that follows. From a position that was compacted away it is
/// [`Error::Compacted`].
pub fn replay<E>(
    dir: &Path,
    from: Position,
    visit: impl FnMut(Commit, Progress) -> Result<(), E>,
) -> Result<Replayed, ReplayError<E>> {
    scan::replay(&Directory::new(dir), from, None, visit)
}

/// Like [`replay`], up to `until`, which the writer vouches for ([`Journal::position`]): safe while it goes on writing.
pub fn replay_until<E>(
    dir: &Path,
    from: Position,
    until: Position,
    visit: impl FnMut(Commit, Progress) -> Result<(), E>,
) -> Result<Replayed, ReplayError<E>> {
    scan::replay(&Directory::new(dir), from, Some(until), visit)
}
