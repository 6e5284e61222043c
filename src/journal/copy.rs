//! Copying a journal that others may be writing and compacting meanwhile, without a word to them. It owns the order in which the
//! files are looked up and read; it does not know what the commits mean.
//!
//! Nothing is locked: an open file can be read to its end after it was removed, a closed segment never changes, and whoever
//! appends only makes the last one longer. What the writer is in the middle of looks like a torn tail and is left out.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::Position;
use super::disk::{Directory, Disk};
use super::error::Error;
use super::layout::Layout;
use super::name::FileName;
use super::scan;

/// How often the files are looked up again when some go away between the looking up and the opening, or when a group is taken
/// back in the middle of being read.
const TRIES: usize = 10;
/// Copied between two words about progress.
const PIECE: u64 = 8 << 20;

/// Opens the base and every segment, in the order in which they are replayed. What a compaction removes from then on can still
/// be read. Empty for a directory without a journal.
pub fn open_files(dir: &Path) -> Result<Vec<(FileName, File)>, Error> {
    let disk = Directory::new(dir);
    let mut tries = 1;
    loop {
        match try_open(&disk) {
            Err(_) if tries < TRIES => tries += 1,
            outcome => return outcome,
        }
    }
}

fn try_open(disk: &Directory) -> Result<Vec<(FileName, File)>, Error> {
    let layout = Layout::read(disk)?;
    let base = layout.base.map(|_| FileName::Base(layout.first));
    let segments = (layout.first..=layout.last).map(FileName::Segment);
    let names = base.into_iter().chain(segments);
    names
        .map(|name| Ok((name, disk.open(name).map_err(Error::io("read"))?)))
        .collect()
}

/// A copy that grows with its original.
#[derive(Debug)]
pub struct Copy {
    source: PathBuf,
    target: PathBuf,
    end: Position,
    last_commit: u64,
    /// The original of the segment of `end`, which may have grown since or have been removed.
    tail: Option<File>,
}

impl Copy {
    /// Begins a copy of the journal in `source`; `target` must be an empty directory.
    pub fn begin(source: &Path, target: &Path) -> Self {
        Self {
            source: source.to_owned(),
            target: target.to_owned(),
            end: Position::START,
            last_commit: 0,
            tail: None,
        }
    }

    /// The end of the last whole group in the copy.
    pub fn end(&self) -> Position {
        self.end
    }

    /// Number of the last commit in the copy.
    pub fn last_commit(&self) -> u64 {
        self.last_commit
    }

    /// Copies what there is by now, up to the last whole group; everything that was acknowledged before the call is in it.
    /// [`Error::Compacted`] when what follows the copy is no longer there by itself: begin anew. `progress` hears of bytes
    /// copied and to copy.
    pub fn advance(&mut self, mut progress: impl FnMut(u64, u64)) -> Result<(), Error> {
        let mut tries = 1;
        loop {
            match self.try_advance(&mut progress) {
                // A group that the disk had no room for was cut off, and another written in its place, while it was read.
                Err(Error::Damaged { .. }) if tries < TRIES => tries += 1,
                outcome => return outcome,
            }
        }
    }

    fn try_advance(&mut self, progress: &mut impl FnMut(u64, u64)) -> Result<(), Error> {
        // Before the old tail is read: a segment that has a successor is closed, and then read to its end.
        let files = open_files(&self.source)?;
        let (held, first) = (self.end.segment, self.end == Position::START);
        let goes_on = files
            .iter()
            .any(|(name, _)| matches!(name, FileName::Segment(number) if *number <= held + 1));
        if !first && !goes_on {
            return Err(Error::Compacted(held + 1));
        }
        let due = files.into_iter().filter(|(name, _)| match name {
            FileName::Segment(number) => first || *number > held,
            FileName::Base(_) | FileName::Draft(_) => first,
        });
        let tail = self
            .tail
            .as_ref()
            .map(|file| Ok((FileName::Segment(held), file.try_clone()?)));
        let due: io::Result<Vec<_>> = tail.into_iter().chain(due.map(Ok)).collect();
        let mut due = due.map_err(Error::io("read"))?;
        let mut meter = Meter::new(&due, progress)?;
        for (name, file) in &mut due {
            let from = if *name == FileName::Segment(held) && !first {
                self.end.offset
            } else {
                0
            };
            self.copy_file(*name, file, from, &mut meter)?;
        }
        self.find_end(due)
    }

    fn copy_file(
        &self,
        name: FileName,
        file: &mut File,
        from: u64,
        meter: &mut Meter<'_>,
    ) -> Result<(), Error> {
        use io::{Read, Seek, SeekFrom};
        let written = |source| Error::refused("write a copy of", source);
        let mut into = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.target.join(name.on_disk()))
            .map_err(written)?;
        into.set_len(from).map_err(written)?;
        into.seek(SeekFrom::Start(from)).map_err(written)?;
        file.seek(SeekFrom::Start(from))
            .map_err(Error::io("read"))?;
        loop {
            let copied = io::copy(&mut file.by_ref().take(PIECE), &mut into).map_err(written)?;
            meter.add(copied);
            if copied == 0 {
                return Ok(());
            }
        }
    }

    /// Finds out how far the copy is whole and cuts the rest off.
    fn find_end(&mut self, files: Vec<(FileName, File)>) -> Result<(), Error> {
        let disk = Directory::new(&self.target);
        let layout = Layout::read(&disk)?;
        if layout.is_empty() {
            return Ok(());
        }
        let found = scan::find_tail(&disk, &layout, self.end)?;
        let written = |source| Error::refused("write a copy of", source);
        let path = |name: FileName| self.target.join(name.on_disk());
        let headless = found.headless.map(FileName::Segment);
        // An attempt before this one may have met another base.
        for name in layout.superfluous.into_iter().chain(headless) {
            fs::remove_file(path(name)).map_err(written)?;
        }
        if found.header.is_none() {
            return Ok(());
        }
        let file = OpenOptions::new()
            .write(true)
            .open(path(FileName::Segment(found.end.segment)))
            .map_err(written)?;
        file.set_len(found.end.offset).map_err(written)?;
        let mut originals = files.into_iter();
        let tail = originals.find(|(name, _)| *name == FileName::Segment(found.end.segment));
        self.tail = tail.map(|(_, file)| file);
        self.end = found.end;
        self.last_commit = found.next_commit.saturating_sub(1);
        Ok(())
    }
}

struct Meter<'a> {
    done: u64,
    total: u64,
    tell: &'a mut dyn FnMut(u64, u64),
}

impl<'a> Meter<'a> {
    fn new(files: &[(FileName, File)], tell: &'a mut dyn FnMut(u64, u64)) -> Result<Self, Error> {
        let mut total = 0;
        for (_, file) in files {
            total += file.metadata().map_err(Error::io("read"))?.len();
        }
        Ok(Self {
            done: 0,
            total,
            tell,
        })
    }

    fn add(&mut self, bytes: u64) {
        self.done += bytes;
        (self.tell)(self.done, self.total.max(self.done));
    }
}
