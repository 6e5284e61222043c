//! EXIF: one number of it is kept, the way up. It knows TIFF's directory (TIFF 6.0 §2) as far as the first one.

use super::source::Source;

/// How a picture has to be turned to be seen as it was taken: 1 to 8, as EXIF counts (CIPA DC-008 §4.6.4, tag 274).
pub(super) type Orientation = u8;

/// `II` or `MM`, 42, one directory with one entry, no further directory.
pub(super) const MINIMAL_LENGTH: usize = 26;
/// Real files have some twenty.
const MAX_ENTRIES: u16 = 1000;
const ORIENTATION: u16 = 0x0112;

/// An EXIF block that says only which way is up.
pub(super) fn minimal(orientation: Orientation) -> [u8; MINIMAL_LENGTH] {
    let mut bytes = *b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\0\0\0\0\0\0\0";
    bytes[19] = orientation;
    bytes
}

/// The orientation that the EXIF block of `length` bytes at `start` tells, unless it is the usual one or nonsense.
pub(super) fn orientation(source: &mut Source<'_>, start: u64, length: u64) -> Option<Orientation> {
    let end = start.checked_add(length)?;
    // Some writers put JPEG's mark before it in other formats too.
    let marked = source.bytes::<6>(start).ok()?;
    let start = if marked.starts_with(b"Exif\0") {
        start + 6
    } else {
        start
    };
    let big_endian = match &source.bytes::<4>(start).ok()? {
        b"MM\0\x2a" => true,
        b"II\x2a\0" => false,
        _ => return None,
    };
    let mut short = |at: u64| {
        let bytes = source.bytes::<2>(at).ok().filter(|_| at + 2 <= end)?;
        Some(if big_endian {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        })
    };
    let (high, low) = (short(start + 4)?, short(start + 6)?);
    let (high, low) = if big_endian { (high, low) } else { (low, high) };
    let directory = start + (u64::from(high) << 16 | u64::from(low));
    let count = short(directory)?.min(MAX_ENTRIES);
    for entry in 0..u64::from(count) {
        let at = directory + 2 + entry * 12;
        if short(at)? != ORIENTATION {
            continue;
        }
        let value = match short(at + 2)? {
            4 if big_endian => short(at + 10)?,
            3 | 4 => short(at + 8)?,
            _ => return None,
        };
        return u8::try_from(value).ok().filter(|way| (2..=8).contains(way));
    }
    None
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> Option<Orientation> {
        let mut file = Cursor::new(bytes);
        orientation(&mut Source::new(&mut file).unwrap(), 0, bytes.len() as u64)
    }

    #[test]
    fn what_is_written_can_be_read() {
        for way in 2..=8 {
            assert_eq!(read(&minimal(way)), Some(way));
            let marked = [&b"Exif\0\0"[..], &minimal(way)].concat();
            assert_eq!(read(&marked), Some(way));
            let cut = read(&minimal(way)[..18]);
            assert_eq!(cut, None);
        }
        for nonsense in [0, 1, 9, 255] {
            assert_eq!(read(&minimal(nonsense)), None);
        }
        let little = b"II\x2a\0\x08\0\0\0\x02\0\x10\x01\x02\0\0\0\0\0\0\0\0\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0";
        assert_eq!(read(little), Some(6));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), big: bool) {
            let mark: &[u8] = if big { b"MM\0\x2a\0\0\0" } else { b"II\x2a\0" };
            let _ = read(&bytes);
            let _ = read(&[mark, &bytes].concat());
        }
    }
}
