//! The base: every row of every tree in one file, which stands for all the segments before it. It owns the writing of one
//! and the reading of its ends; it does not know where the rows come from, nor that others go on appending meanwhile.
//!
//! A base is written under another name, synced, and renamed: one that bears its name is whole.

use super::disk::{Disk, JournalFile};
use super::error::{Damage, Error};
use super::frame::{self, Checksum};
use super::name::FileName;
use super::segment::{self, BadHeader, FIRST_FRAME, HEADER_BYTES, Kind};
use super::{BaseStart, Commit, Position, Write};

/// Bytes behind the last frame.
pub(super) const FOOTER_BYTES: usize = 44;
const FOOTER_MAGIC: [u8; 8] = *b"jivbend\n";
/// Rows are collected into frames of about this many bytes.
const FRAME_BYTES: usize = 1 << 20;
/// Synced this often, so that the journal's own syncs never wait for a whole base.
const SYNC_EVERY: u64 = 8 << 20;

/// What stands at the end of a base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Footer {
    pub(super) rows: u64,
    /// The last commit of which something may be in the rows.
    pub(super) last_commit: u64,
    /// Where that commit's frame ends: the journal must reach at least this far.
    pub(super) end: Position,
}

impl Footer {
    fn encode(&self, checksum: &Checksum) -> [u8; FOOTER_BYTES] {
        let mut bytes = [0; FOOTER_BYTES];
        bytes[..8].copy_from_slice(&FOOTER_MAGIC);
        bytes[8..16].copy_from_slice(&self.rows.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.last_commit.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.end.segment.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.end.offset.to_le_bytes());
        let sum = checksum.of(&bytes[..40]);
        bytes[40..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    fn decode(checksum: &Checksum, bytes: &[u8; FOOTER_BYTES]) -> Option<Self> {
        let u64_at = |at: usize| {
            let mut field = [0; 8];
            field.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(field)
        };
        let sum = checksum.of(&bytes[..40]).to_le_bytes();
        (bytes[..8] == FOOTER_MAGIC && bytes[40..] == sum).then(|| Self {
            rows: u64_at(8),
            last_commit: u64_at(16),
            end: Position {
                segment: u64_at(24),
                offset: u64_at(32),
            },
        })
    }
}

/// A base as its header and its footer tell it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Base {
    pub(super) header: segment::Header,
    pub(super) footer: Footer,
    /// Of the file.
    pub(super) length: u64,
}

impl Base {
    /// Reads both ends; the rows between them are not looked at.
    pub(super) fn read<D: Disk>(disk: &D, number: u64) -> Result<Self, Error> {
        let name = FileName::Base(number);
        let file = disk.open(name).map_err(Error::io("read"))?;
        let length = file.length().map_err(Error::io("read"))?;
        let header = read_header(&file, name, length)?;
        let no_footer = || Error::damaged(name, length, Damage::Footer);
        let footer_at = length
            .checked_sub(FOOTER_BYTES as u64)
            .filter(|&at| at >= FIRST_FRAME)
            .ok_or_else(no_footer)?;
        let mut bytes = [0; FOOTER_BYTES];
        file.read_exact_at(&mut bytes, footer_at)
            .map_err(Error::io("read"))?;
        let footer = Footer::decode(&header.checksum(), &bytes).ok_or_else(no_footer)?;
        Ok(Self {
            header,
            footer,
            length,
        })
    }

    /// Where the frames end.
    pub(super) fn frames_end(&self) -> u64 {
        self.length - FOOTER_BYTES as u64
    }
}

/// The header of `name`, which must be of its kind and number.
pub(super) fn read_header<F: JournalFile>(
    file: &F,
    name: FileName,
    length: u64,
) -> Result<segment::Header, Error> {
    if length < FIRST_FRAME {
        return Err(Error::damaged(name, 0, Damage::Header));
    }
    let mut bytes = [0; HEADER_BYTES];
    file.read_exact_at(&mut bytes, 0)
        .map_err(Error::io("read"))?;
    match segment::Header::decode(&bytes) {
        Ok(header) if header.name() == name => Ok(header),
        Ok(header) => Err(Error::damaged(
            name,
            0,
            Damage::WrongSegment(header.segment),
        )),
        Err(BadHeader::NotWhole) => Err(Error::damaged(name, 0, Damage::Header)),
        Err(BadHeader::Version(version)) => Err(Error::Version {
            file: name,
            version,
        }),
    }
}

/// A base on its way to the disk.
#[derive(Debug)]
pub(super) struct BaseWriter<D: Disk> {
    disk: D,
    file: D::File,
    number: u64,
    checksum: Checksum,
    at: u64,
    synced: u64,
    rows: u64,
    /// The rows of the next frame, as the one commit of which it will consist.
    pending: Commit,
    pending_bytes: usize,
    buffer: Vec<u8>,
}

impl<D: Disk> BaseWriter<D> {
    pub(super) fn begin(mut disk: D, start: BaseStart) -> Result<Self, Error> {
        let header = segment::Header {
            kind: Kind::Base,
            segment: start.segment,
            first_commit: start.first_commit,
            salt: disk.salt().map_err(Error::io("begin a base of"))?,
        };
        let mut file = disk
            .create(FileName::Draft(start.segment))
            .map_err(refused)?;
        file.write_all_at(&header.encode(), 0).map_err(refused)?;
        Ok(Self {
            disk,
            file,
            number: start.segment,
            checksum: header.checksum(),
            at: FIRST_FRAME,
            synced: 0,
            rows: 0,
            pending: Commit {
                number: 1,
                ..Commit::default()
            },
            pending_bytes: 0,
            buffer: Vec::new(),
        })
    }

    pub(super) fn push(&mut self, row: Write) -> Result<(), Error> {
        self.rows += 1;
        self.pending_bytes += row.key.len() + row.value.as_ref().map_or(0, Vec::len);
        self.pending.writes.push(row);
        if self.pending_bytes < FRAME_BYTES {
            return Ok(());
        }
        self.write_frame()
    }

    fn write_frame(&mut self) -> Result<(), Error> {
        if self.pending.writes.is_empty() {
            return Ok(());
        }
        let group = std::slice::from_ref(&self.pending);
        let bytes = frame::encoded_length(group);
        let limit = frame::FRAME_LIMIT as u64;
        if bytes > limit {
            return Err(Error::TooLarge { bytes, limit });
        }
        frame::encode(&self.checksum, group, &mut self.buffer);
        self.file
            .write_all_at(&self.buffer, self.at)
            .map_err(refused)?;
        self.at += bytes;
        self.pending.number += 1;
        self.pending.writes.clear();
        self.pending_bytes = 0;
        if self.at >= self.synced + SYNC_EVERY {
            self.file.sync().map_err(refused)?;
            self.synced = self.at;
        }
        Ok(())
    }

    /// Makes the base whole and gives it its name, on stable storage. `end` is where the frame of `last_commit`, the
    /// newest of which something may have been pushed, ends.
    pub(super) fn finish(mut self, last_commit: u64, end: Position) -> Result<(), Error> {
        self.write_frame()?;
        let footer = Footer {
            rows: self.rows,
            last_commit,
            end,
        };
        self.file
            .write_all_at(&footer.encode(&self.checksum), self.at)
            .map_err(refused)?;
        // Until it is renamed nothing rests on it: a failed sync costs the draft and no more.
        self.file.sync().map_err(refused)?;
        self.disk
            .rename(FileName::Draft(self.number), FileName::Base(self.number))
            .map_err(refused)?;
        self.disk
            .sync_names()
            .map_err(|error| Error::SyncFailed(error.to_string()))
    }
}

fn refused(error: std::io::Error) -> Error {
    Error::refused("write a base of", error)
}

/// Removes what the newest base makes superfluous, and unfinished ones.
pub(super) fn sweep<D: Disk>(disk: &mut D, superfluous: &[FileName]) -> Result<(), Error> {
    for &name in superfluous {
        disk.remove(name)
            .map_err(Error::io("remove old files of"))?;
    }
    if superfluous.is_empty() {
        return Ok(());
    }
    disk.sync_names()
        .map_err(|error| Error::SyncFailed(error.to_string()))
}
