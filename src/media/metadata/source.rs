//! Bytes of a file by their place, through a few small windows: a parser never holds more of a file than those.

use std::io::{self, Read, Seek, SeekFrom};

use super::Malformed;

/// Most bytes that can be asked for at once.
pub(super) const WINDOW: usize = 16 << 10;
/// A film's tables lie apart and are read side by side.
const WINDOWS: usize = 4;

/// What a file can be read through.
pub trait ReadSeek: Read + Seek {}
impl<T: Read + Seek> ReadSeek for T {}

/// A file, read at any place.
pub(super) struct Source<'a> {
    inner: &'a mut dyn ReadSeek,
    length: u64,
    windows: [Window; WINDOWS],
    oldest: usize,
}

#[derive(Default)]
struct Window {
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    fn find(&self, at: u64, count: usize) -> Option<usize> {
        let skip = usize::try_from(at.checked_sub(self.start)?).ok()?;
        (skip.checked_add(count)? <= self.bytes.len()).then_some(skip)
    }

    fn fill(&mut self, inner: &mut dyn ReadSeek, at: u64, count: usize) -> io::Result<()> {
        self.start = at;
        self.bytes.resize(count, 0);
        let outcome = inner
            .seek(SeekFrom::Start(at))
            .and_then(|_| inner.read_exact(&mut self.bytes));
        if outcome.is_err() {
            self.bytes.clear();
        }
        outcome
    }
}

impl<'a> Source<'a> {
    pub(super) fn new(inner: &'a mut dyn ReadSeek) -> io::Result<Self> {
        let length = inner.seek(SeekFrom::End(0))?;
        Ok(Self {
            inner,
            length,
            windows: Default::default(),
            oldest: 0,
        })
    }

    /// Of the whole file.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// At most `count` bytes from `at` on, and at most a window; fewer only where the file ends.
    pub(super) fn some(&mut self, at: u64, count: usize) -> Result<&[u8], Malformed> {
        let left = usize::try_from(self.length.saturating_sub(at)).unwrap_or(usize::MAX);
        let count = count.min(WINDOW).min(left);
        if count == 0 {
            return Ok(&[]);
        }
        let found =
            (0..WINDOWS).find_map(|window| Some((window, self.windows[window].find(at, count)?)));
        let (window, skip) = if let Some(found) = found {
            found
        } else {
            let window = self.oldest;
            self.oldest = (window + 1) % WINDOWS;
            self.windows[window].fill(self.inner, at, WINDOW.min(left))?;
            (window, 0)
        };
        Ok(&self.windows[window].bytes[skip..skip + count])
    }

    /// Exactly `N` bytes.
    pub(super) fn bytes<const N: usize>(&mut self, at: u64) -> Result<[u8; N], Malformed> {
        let bytes = self.some(at, N)?;
        bytes
            .try_into()
            .map_err(|_| Malformed::Broken("it ends in the middle of something"))
    }

    pub(super) fn u8(&mut self, at: u64) -> Result<u8, Malformed> {
        Ok(self.bytes::<1>(at)?[0])
    }

    pub(super) fn u16(&mut self, at: u64) -> Result<u16, Malformed> {
        Ok(u16::from_be_bytes(self.bytes(at)?))
    }

    pub(super) fn u32(&mut self, at: u64) -> Result<u32, Malformed> {
        Ok(u32::from_be_bytes(self.bytes(at)?))
    }

    pub(super) fn u64(&mut self, at: u64) -> Result<u64, Malformed> {
        Ok(u64::from_be_bytes(self.bytes(at)?))
    }

    /// A big-endian number of `size` bytes, which may be none.
    pub(super) fn number(&mut self, at: u64, size: u8) -> Result<u64, Malformed> {
        match size {
            0 => Ok(0),
            1 => Ok(self.u8(at)?.into()),
            2 => Ok(self.u16(at)?.into()),
            4 => Ok(self.u32(at)?.into()),
            8 => self.u64(at),
            _ => Err(Malformed::Broken("a number of an unknown size")),
        }
    }
}
