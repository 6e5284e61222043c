//! JPEG (ITU-T T.81 annex B): segments and scans. Only what makes the picture stays, with its colours and its way up.

use super::exif::{self, MINIMAL_LENGTH};
use super::source::{Source, WINDOW};
use super::{Examined, Malformed};

const EXIF: &[u8] = b"Exif\0";
/// Marker, length, `Exif\0\0`.
const EXIF_HEAD: u64 = 10;

/// Follows every segment to the end of the picture. What comes behind it (other pictures, films, a phone's own notes) is
/// not part of it and goes.
pub(super) fn examine(source: &mut Source<'_>, out: &mut Examined) -> Result<(), Malformed> {
    let mut at = 2; // detection has seen the start of image
    loop {
        let Some(marker) = next_marker(source, &mut at)? else {
            return Ok(()); // cut short: everything that is there has been seen
        };
        let segment = at - 2;
        match marker {
            0xd9 => return out.edits.cut(at..source.length()),
            0x01 | 0xd0..=0xd8 => continue,
            0x00 => return Err(Malformed::Broken("a marker that is none")),
            _ => {}
        }
        let Ok(length) = source.u16(at) else {
            return out.edits.cut(segment..source.length());
        };
        let end = at + u64::from(length);
        if length < 2 {
            return Err(Malformed::Broken("a segment shorter than its head"));
        }
        let whole = end <= source.length();
        let end = end.min(source.length());
        let head = source.some(at + 2, 14)?.to_vec();
        match marker {
            0xe1 if head.starts_with(EXIF) && out.facts.orientation.is_none() && whole => {
                keep_orientation(source, out, segment, end)?;
            }
            _ if !belongs(marker, &head) => out.edits.cut(segment..end)?,
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => frame(out, marker, &head),
            _ => {}
        }
        at = end;
        if marker == 0xda {
            out.facts.scans += 1;
            at = end_of_scan(source, end)?;
        }
    }
}

/// The marker at `at`, which moves behind it; `None` at the end of the file. "Any marker may optionally be preceded by any
/// number of fill bytes, which are bytes assigned code X'FF'."
fn next_marker(source: &mut Source<'_>, at: &mut u64) -> Result<Option<u8>, Malformed> {
    let begin = *at;
    loop {
        let Some(&byte) = source.some(*at, 1)?.first() else {
            return Ok(None);
        };
        *at += 1;
        match byte {
            0xff => {}
            marker if *at > begin + 1 => return Ok(Some(marker)),
            _ => return Err(Malformed::Broken("something between two segments")),
        }
    }
}

/// Whether a segment is needed to show the picture; every other may hold anything.
fn belongs(marker: u8, head: &[u8]) -> bool {
    match marker {
        0xc0..=0xcf | 0xda..=0xdf => true,
        0xe0 => head.starts_with(b"JFIF\0"),
        0xe2 => head.starts_with(b"ICC_PROFILE\0"),
        0xee => head.starts_with(b"Adobe"),
        _ => false,
    }
}

/// Puts an EXIF block with nothing but the orientation in place of the segment, or takes it out.
fn keep_orientation(
    source: &mut Source<'_>,
    out: &mut Examined,
    segment: u64,
    end: u64,
) -> Result<(), Malformed> {
    let tiff = segment + EXIF_HEAD;
    let needed = tiff + MINIMAL_LENGTH as u64;
    out.facts.orientation = exif::orientation(source, tiff, end.saturating_sub(tiff));
    match out.facts.orientation {
        Some(way) if needed <= end => {
            let mut bytes = b"\xff\xe1\0\x22Exif\0\0".to_vec();
            bytes.extend_from_slice(&exif::minimal(way));
            out.edits.write(segment, bytes)?;
            out.edits.cut(needed..end)
        }
        _ => {
            out.facts.orientation = None;
            out.edits.cut(segment..end)
        }
    }
}

/// B.2.2: precision, lines, samples per line, components.
fn frame(out: &mut Examined, marker: u8, head: &[u8]) {
    let &[_, y1, y2, x1, x2, components, ..] = head else {
        return;
    };
    let (height, width) = (
        u16::from_be_bytes([y1, y2]).into(),
        u16::from_be_bytes([x1, x2]).into(),
    );
    out.facts.size = Some((width, height));
    // A progressive picture is held as 16-bit coefficients until its last scan.
    let progressive = !matches!(marker, 0xc0 | 0xc1 | 0xc3);
    let components = u64::from(components.clamp(1, 4));
    let coefficients = if progressive { 2 * components } else { 0 };
    out.facts.bytes_per_pixel = components.max(3) + coefficients;
}

/// Where the entropy-coded data from `at` on ends: at the next marker that is neither a stuffed zero nor a restart.
fn end_of_scan(source: &mut Source<'_>, mut at: u64) -> Result<u64, Malformed> {
    loop {
        let piece = source.some(at, WINDOW)?;
        let Some(found) = piece.iter().position(|&byte| byte == 0xff) else {
            if piece.is_empty() {
                return Ok(at);
            }
            at += piece.len() as u64;
            continue;
        };
        let found = at + found as u64;
        match source.some(found + 1, 1)?.first() {
            None => return Ok(source.length()),
            Some(0x00 | 0xd0..=0xd7) => at = found + 2,
            Some(0xff) => at = found + 1,
            Some(_) => return Ok(found),
        }
    }
}
