//! Appending: one frame, one write, one sync for a group, and segments that follow each other. It owns what happens
//! when the disk refuses; it does not know how the group came together.

use std::io;

use super::base;
use super::disk::{Disk, JournalFile};
use super::error::Error;
use super::frame::{self, Checksum};
use super::layout::Layout;
use super::name::FileName;
use super::scan;
use super::segment::{self, FIRST_FRAME, Kind};
use super::{BaseStart, Commit, Options, Position, Recovered};

/// A buffer that one large group made larger than this is given back.
const KEPT_BUFFER: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Writer<D: Disk> {
    disk: D,
    options: Options,
    file: D::File,
    checksum: Checksum,
    position: Position,
    next_commit: u64,
    buffer: Vec<u8>,
    /// A failed write was cut off, and no sync has followed yet.
    cut_is_unsynced: bool,
    /// Why no append can be trusted any more.
    failed: Option<String>,
}

impl<D: Disk> Writer<D> {
    pub(super) fn open(
        mut disk: D,
        options: Options,
        known: Option<Position>,
    ) -> Result<(Self, Recovered), Error> {
        let known = known.unwrap_or(Position::START);
        let layout = Layout::read(&disk)?;
        let tail = if layout.is_empty() && known == Position::START {
            None
        } else {
            Some(scan::find_tail(&disk, &layout, known)?)
        };
        base::sweep(&mut disk, &layout.superfluous)?;
        let removed_segment = tail.as_ref().and_then(|tail| tail.headless);
        if let Some(number) = removed_segment {
            disk.remove(FileName::Segment(number))
                .map_err(Error::io("repair"))?;
        }
        let cut_bytes = tail.as_ref().map_or(0, |tail| tail.torn_bytes);
        let whole = tail.and_then(|tail| Some((tail.header?, tail.end, tail.next_commit)));
        let created = whole.is_none();
        let (file, header, position, next_commit) = if let Some((header, end, next_commit)) = whole
        {
            let file = go_on(&mut disk, end, cut_bytes)?;
            (file, header, end, next_commit)
        } else {
            let (file, header) = begin_segment(&mut disk, 1, 1)?;
            (file, header, first_position(1), 1)
        };
        disk.sync_names().map_err(Error::io("sync"))?;
        let recovered = Recovered {
            created,
            last_commit: next_commit.saturating_sub(1),
            cut_bytes,
            removed_segment,
        };
        let writer = Self {
            disk,
            options,
            file,
            checksum: header.checksum(),
            position,
            next_commit,
            buffer: Vec::new(),
            cut_is_unsynced: false,
            failed: None,
        };
        Ok((writer, recovered))
    }

    pub(super) fn position(&self) -> Position {
        self.position
    }

    pub(super) fn next_commit(&self) -> u64 {
        self.next_commit
    }

    pub(super) fn append<B: AsRef<[u8]>>(
        &mut self,
        group: &[Commit<B>],
    ) -> Result<Position, Error> {
        if let Some(reason) = &self.failed {
            return Err(Error::SyncFailed(reason.clone()));
        }
        if group.is_empty() {
            return Ok(self.position);
        }
        let length = self.check(group)?;
        let is_empty = self.position.offset <= FIRST_FRAME;
        if !is_empty && self.position.offset + length > self.options.segment_bytes {
            self.rotate()?;
        }
        frame::encode(&self.checksum, group, &mut self.buffer);
        let written = self.file.write_all_at(&self.buffer, self.position.offset);
        self.buffer.clear();
        self.buffer.shrink_to(KEPT_BUFFER);
        if let Err(error) = written {
            return Err(self.take_back(error));
        }
        self.sync_file()?;
        self.position.offset += length;
        self.next_commit += group.len() as u64;
        Ok(self.position)
    }

    /// The size of the group's frame, if the group may be written.
    fn check<B: AsRef<[u8]>>(&self, group: &[Commit<B>]) -> Result<u64, Error> {
        for (expected, commit) in (self.next_commit..).zip(group) {
            if commit.number != expected {
                return Err(Error::OutOfOrder {
                    expected,
                    found: commit.number,
                });
            }
        }
        let bytes = frame::encoded_length(group);
        let limit = self.options.max_frame.min(frame::FRAME_LIMIT) as u64;
        if bytes > limit {
            return Err(Error::TooLarge { bytes, limit });
        }
        Ok(bytes)
    }

    /// Cuts off what a failed write may have left, so that the next group stands in its place.
    fn take_back(&mut self, error: io::Error) -> Error {
        match self.file.set_length(self.position.offset) {
            Ok(()) => {
                self.cut_is_unsynced = true;
                Error::refused("write to", error)
            }
            Err(second) => self.fail(format!("{error}, then {second}")),
        }
    }

    /// Sees to it that the next commit begins a segment, so that a base can stand for all before.
    pub(super) fn begin_base(&mut self) -> Result<BaseStart, Error> {
        if let Some(reason) = &self.failed {
            return Err(Error::SyncFailed(reason.clone()));
        }
        if self.position.offset > FIRST_FRAME {
            self.rotate()?;
        }
        Ok(BaseStart {
            segment: self.position.segment,
            first_commit: self.next_commit,
        })
    }

    /// Closes the segment and begins the next.
    fn rotate(&mut self) -> Result<(), Error> {
        // Else a power cut could bring the cut-off bytes back into a segment that is no longer the last.
        if self.cut_is_unsynced {
            self.sync_file()?;
        }
        let number = self.position.segment + 1;
        let (file, header) = match begin_segment(&mut self.disk, number, self.next_commit) {
            Err(Error::SyncFailed(reason)) => return Err(self.fail(reason)),
            other => other?,
        };
        if let Err(error) = self.disk.sync_names() {
            return Err(self.fail(error.to_string()));
        }
        self.file = file;
        self.checksum = header.checksum();
        self.position = first_position(number);
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn fail_syncs(&mut self) {
        self.failed = Some("the disk failed".to_owned());
    }

    fn sync_file(&mut self) -> Result<(), Error> {
        match self.file.sync() {
            Ok(()) => {
                self.cut_is_unsynced = false;
                Ok(())
            }
            Err(error) => Err(self.fail(error.to_string())),
        }
    }

    fn fail(&mut self, reason: String) -> Error {
        self.failed = Some(reason.clone());
        Error::SyncFailed(reason)
    }
}

fn first_position(segment: u64) -> Position {
    Position {
        segment,
        offset: FIRST_FRAME,
    }
}

/// The last segment, ready to be written to from `end` on.
fn go_on<D: Disk>(disk: &mut D, end: Position, cut_bytes: u64) -> Result<D::File, Error> {
    let mut file = disk
        .open_to_write(FileName::Segment(end.segment))
        .map_err(Error::io("open"))?;
    if cut_bytes > 0 {
        file.set_length(end.offset).map_err(Error::io("repair"))?;
    }
    // What a killed process wrote may still be in memory only; from here on it counts as kept.
    file.sync().map_err(Error::io("sync"))?;
    Ok(file)
}

/// A new segment, its header synced; its name is not yet.
fn begin_segment<D: Disk>(
    disk: &mut D,
    number: u64,
    first_commit: u64,
) -> Result<(D::File, segment::Header), Error> {
    let header = segment::Header {
        kind: Kind::Segment,
        segment: number,
        first_commit,
        salt: disk.salt().map_err(Error::io("begin a segment of"))?,
    };
    let refused = |error| Error::refused("begin a segment of", error);
    let mut file = disk.create(header.name()).map_err(refused)?;
    if let Err(error) = file.write_all_at(&header.encode(), 0) {
        // Should it stay behind, it has no header: opening removes it, and the next try begins it anew.
        let _ = disk.remove(header.name());
        return Err(refused(error));
    }
    file.sync()
        .map_err(|error| Error::SyncFailed(error.to_string()))?;
    Ok((file, header))
}
