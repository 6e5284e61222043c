//! The frames of one file, one in memory at a time, and the judgement over bytes that are not a frame. It does
//! not know the other files.

use super::disk::JournalFile;
use super::error::{Damage, Error};
use super::frame::{self, Checksum, Defect, FRAME_LIMIT, HEADER_BYTES};
use super::name::FileName;
use super::segment::{self, FIRST_FRAME, Kind};

/// Read at once; a frame larger than this is read whole.
const CHUNK: u64 = 256 << 10;

/// A frame whose checksums are sound.
pub(super) struct Frame<'a> {
    pub(super) header: frame::Header,
    pub(super) payload: &'a [u8],
    pub(super) file: FileName,
    pub(super) at: u64,
    pub(super) end: u64,
}

pub(super) enum Step<'a> {
    Frame(Frame<'a>),
    /// The file ends where a frame does.
    End,
    /// Bytes that are no frame; the reader stays before them.
    Bad(Defect),
}

pub(super) struct Frames<'f, F> {
    file: &'f F,
    checksum: Checksum,
    pub(super) name: FileName,
    length: u64,
    /// Where the next frame begins.
    pub(super) at: u64,
    /// The number its first commit must bear; in a base, the frame's own.
    pub(super) next_commit: u64,
    buffer: Vec<u8>,
    buffer_at: u64,
}

impl<'f, F: JournalFile> Frames<'f, F> {
    pub(super) fn new(file: &'f F, header: segment::Header, length: u64) -> Self {
        Self {
            file,
            checksum: header.checksum(),
            name: header.name(),
            length,
            at: FIRST_FRAME,
            next_commit: match header.kind {
                Kind::Segment => header.first_commit,
                Kind::Base => 1,
            },
            buffer: Vec::new(),
            buffer_at: 0,
        }
    }

    pub(super) fn next(&mut self) -> Result<Step<'_>, Error> {
        let at = self.at;
        if at >= self.length {
            return Ok(Step::End);
        }
        self.fill(HEADER_BYTES)?;
        let header = match frame::decode_header(&self.checksum, self.filled()) {
            Ok(header) => header,
            Err(defect) => return Ok(Step::Bad(defect)),
        };
        let size = HEADER_BYTES + header.length as usize;
        let end = at + size as u64;
        if end > self.length {
            return Ok(Step::Bad(Defect::Short));
        }
        self.fill(size)?;
        let payload = &self.filled()[HEADER_BYTES..size];
        if let Err(defect) = frame::check_payload(&self.checksum, &header, payload) {
            return Ok(Step::Bad(defect));
        }
        if header.first_commit != self.next_commit {
            let why = Damage::Gap {
                expected: self.next_commit,
                found: header.first_commit,
            };
            return Err(Error::damaged(self.name, at, why));
        }
        self.next_commit = self.next_commit.saturating_add(header.commits.into());
        self.at = end;
        let start = usize::try_from(at - self.buffer_at).unwrap_or(usize::MAX);
        Ok(Step::Frame(Frame {
            header,
            payload: &self.buffer[start + HEADER_BYTES..start + size],
            file: self.name,
            at,
            end,
        }))
    }

    /// The bytes read from `at` on.
    fn filled(&self) -> &[u8] {
        let start = usize::try_from(self.at - self.buffer_at).unwrap_or(usize::MAX);
        self.buffer.get(start..).unwrap_or_default()
    }

    /// Reads on until `filled` has `size` bytes, or all there are. What is allocated is bounded by what the file holds,
    /// never by what a header announced alone.
    fn fill(&mut self, size: usize) -> Result<(), Error> {
        if self.filled().len() >= size {
            return Ok(());
        }
        let available = self.length - self.at;
        let wanted = available.min(CHUNK.max(size as u64));
        self.buffer
            .resize(usize::try_from(wanted).unwrap_or(FRAME_LIMIT), 0);
        self.buffer_at = self.at;
        self.file
            .read_exact_at(&mut self.buffer, self.at)
            .map_err(Error::io("read"))
    }

    /// How many bytes are torn off the end of the last segment, given that there is no frame at `at`; an error when
    /// that cannot be the work of a crash. Each group is synced before the next is written: only the last can be torn,
    /// and nothing valid stands behind it.
    pub(super) fn torn_tail(&self, defect: Defect) -> Result<u64, Error> {
        let is_frame = |bytes: &[u8]| frame::decode_header(&self.checksum, bytes).is_ok();
        let rest = search(self.file, self.at, self.length, is_frame)?;
        if rest.frame_behind {
            return Err(Error::damaged(self.name, self.at, Damage::Frame(defect)));
        }
        if rest.used_bytes > FRAME_LIMIT as u64 {
            let why = Damage::LongTail(rest.used_bytes);
            return Err(Error::damaged(self.name, self.at, why));
        }
        Ok(self.length - self.at)
    }
}

/// What stands in a stretch of a file that could not be read as frames.
pub(super) struct Rest {
    /// Up to the last byte that is not zero.
    pub(super) used_bytes: u64,
    /// The header of a frame begins behind the first byte.
    pub(super) frame_behind: bool,
}

/// Looks through a file from `at` on, a chunk at a time.
pub(super) fn search<F: JournalFile>(
    file: &F,
    at: u64,
    length: u64,
    is_frame: impl Fn(&[u8]) -> bool,
) -> Result<Rest, Error> {
    let mut rest = Rest {
        used_bytes: 0,
        frame_behind: false,
    };
    let mut buffer = Vec::new();
    let mut from = at;
    while from < length && !rest.frame_behind {
        // Chunks overlap by a header, so that none hides on a border.
        let size = (length - from).min(CHUNK + HEADER_BYTES as u64);
        buffer.resize(usize::try_from(size).unwrap_or(FRAME_LIMIT), 0);
        file.read_exact_at(&mut buffer, from)
            .map_err(Error::io("read"))?;
        if let Some(last) = last_used(&buffer) {
            rest.used_bytes = from - at + last as u64 + 1;
            rest.frame_behind = (usize::from(from == at)..=last).any(|start| {
                buffer[start..].starts_with(&frame::MAGIC) && is_frame(&buffer[start..])
            });
        }
        from += CHUNK;
    }
    Ok(rest)
}

/// The last byte that is not zero. Compares whole pages: a hole may be larger than the journal.
fn last_used(bytes: &[u8]) -> Option<usize> {
    const ZEROS: [u8; 4096] = [0; 4096];
    let mut pages = bytes.chunks(ZEROS.len()).enumerate().rev();
    let (index, page) = pages.find(|(_, page)| **page != ZEROS[..page.len()])?;
    let last = page.iter().rposition(|&byte| byte != 0)?;
    Some(index * ZEROS.len() + last)
}
