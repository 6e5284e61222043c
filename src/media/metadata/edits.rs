//! What is to be done to a file: stretches to cut out, to overwrite with zeros, and a few bytes to put in place of others. A
//! plan is small whatever the file, and carrying it out needs no second file. It does not know what the bytes mean.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;

use super::Malformed;

/// Moved or overwritten at once.
const PIECE: usize = 64 << 10;
/// A file that needs more is no picture that a camera made.
const MAX_EDITS: usize = 100_000;

/// Changes to one file. Places are those of the file as it is; nothing is ever put between two bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edits {
    cut: Vec<Range<u64>>,
    zeroed: Vec<Range<u64>>,
    written: Vec<(u64, Vec<u8>)>,
}

impl Edits {
    /// Nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.cut.is_empty() && self.zeroed.is_empty() && self.written.is_empty()
    }

    /// Takes a stretch out; what follows moves up. Only for formats that hold no places.
    pub(super) fn cut(&mut self, range: Range<u64>) -> Result<(), Malformed> {
        add(&mut self.cut, range)
    }

    /// Makes a stretch zeros, so that nothing moves.
    pub(super) fn zero(&mut self, range: Range<u64>) -> Result<(), Malformed> {
        add(&mut self.zeroed, range)
    }

    /// Puts other bytes in place of those at `at`, after everything there has been made zeros.
    pub(super) fn write(&mut self, at: u64, bytes: impl Into<Vec<u8>>) -> Result<(), Malformed> {
        if self.written.len() >= MAX_EDITS {
            return Err(Malformed::Broken("too many pieces"));
        }
        self.written.push((at, bytes.into()));
        Ok(())
    }

    /// How many bytes will be cut out.
    pub(super) fn cut_length(&self) -> u64 {
        merged(&self.cut).map(|range| range.end - range.start).sum()
    }

    /// Does it. Answers the new length, to which the caller shortens the file; until then its end is left over.
    pub fn apply(&self, file: &mut (impl Read + Write + Seek)) -> io::Result<u64> {
        let length = file.seek(SeekFrom::End(0))?;
        let zeros = vec![0; PIECE];
        for range in merged(&self.zeroed) {
            file.seek(SeekFrom::Start(range.start))?;
            let mut left = range.end.min(length).saturating_sub(range.start);
            while left > 0 {
                let count = zeros.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                file.write_all(&zeros[..count])?;
                left -= count as u64;
            }
        }
        for (at, bytes) in &self.written {
            // Nothing makes a file longer.
            if at + bytes.len() as u64 <= length {
                file.seek(SeekFrom::Start(*at))?;
                file.write_all(bytes)?;
            }
        }
        let (mut from, mut to) = (0, 0);
        let mut buffer = zeros;
        for range in merged(&self.cut).chain(std::iter::once(length..length)) {
            let kept = from..range.start.min(length);
            if to != kept.start {
                shift(file, kept.clone(), to, &mut buffer)?;
            }
            to += kept.end.saturating_sub(kept.start);
            from = range.end.min(length);
        }
        file.flush()?;
        Ok(to)
    }
}

/// Moves a stretch up, towards the beginning.
fn shift(
    file: &mut (impl Read + Write + Seek),
    from: Range<u64>,
    mut to: u64,
    buffer: &mut [u8],
) -> io::Result<()> {
    let mut at = from.start;
    while at < from.end {
        let left = usize::try_from(from.end - at).unwrap_or(usize::MAX);
        let count = buffer.len().min(left);
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut buffer[..count])?;
        file.seek(SeekFrom::Start(to))?;
        file.write_all(&buffer[..count])?;
        at += count as u64;
        to += count as u64;
    }
    Ok(())
}

fn add(ranges: &mut Vec<Range<u64>>, range: Range<u64>) -> Result<(), Malformed> {
    if range.is_empty() {
        return Ok(());
    }
    if let Some(last) = ranges.last_mut().filter(|last| last.end == range.start) {
        last.end = range.end;
        return Ok(());
    }
    if ranges.len() >= MAX_EDITS {
        return Err(Malformed::Broken("too many pieces"));
    }
    ranges.push(range);
    Ok(())
}

/// In order and without overlaps, so that a file that names one stretch a thousand times costs one pass.
fn merged(ranges: &[Range<u64>]) -> impl Iterator<Item = Range<u64>> {
    let mut sorted = ranges.to_vec();
    sorted.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<u64>> = Vec::new();
    for range in sorted {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged.into_iter()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn applied(edits: &Edits, bytes: &[u8]) -> Vec<u8> {
        let mut file = Cursor::new(bytes.to_vec());
        let length = edits.apply(&mut file).unwrap();
        let mut bytes = file.into_inner();
        bytes.truncate(usize::try_from(length).unwrap());
        bytes
    }

    #[test]
    fn zeros_come_before_new_bytes_and_cuts_last() {
        let mut edits = Edits::default();
        edits.write(3, *b"XY").unwrap();
        edits.zero(2..6).unwrap();
        edits.cut(0..1).unwrap();
        edits.cut(8..10).unwrap();
        assert_eq!(applied(&edits, b"0123456789"), b"1\0XY\x0067");
        assert_eq!(edits.cut_length(), 3);
        assert_eq!(applied(&Edits::default(), b"0123"), b"0123");
    }

    #[test]
    fn nothing_outside_the_file_is_touched() {
        let mut edits = Edits::default();
        edits.zero(2..u64::MAX).unwrap();
        edits.write(3, *b"XY").unwrap();
        edits.cut(100..200).unwrap();
        assert_eq!(applied(&edits, b"0123"), b"01\0\0");
    }

    proptest! {
        #[test]
        fn cuts_are_what_is_left_out(
            length in 0_usize..300_000,
            cuts in prop::collection::vec((0_u64..300_000, 0_u64..100_000), 0..5),
        ) {
            let bytes: Vec<u8> = (0..=250).cycle().take(length).collect();
            let mut edits = Edits::default();
            let mut kept = vec![true; length];
            for (start, count) in cuts {
                edits.cut(start..start + count).unwrap();
                let end = usize::try_from(start + count).unwrap().min(length);
                let start = usize::try_from(start).unwrap().min(end);
                kept[start..end].fill(false);
            }
            let expected: Vec<u8> = bytes.iter().zip(kept).filter(|(_, kept)| *kept).map(|(byte, _)| *byte).collect();
            prop_assert_eq!(applied(&edits, &bytes), expected);
        }
    }
}
