//! PNG (W3C, third edition): chunks. Those that make the picture stay; of an `eXIf` chunk the way up.

use super::exif::{self, MINIMAL_LENGTH};
use super::source::Source;
use super::{Examined, Malformed};

const SIGNATURE: u64 = 8;
/// Length, type and checksum of a chunk.
const FRAME: u64 = 12;

/// Chunks beside the critical ones that change how the picture looks. None of them can hold a text of its own.
const NEEDED: [&[u8; 4]; 16] = [
    b"tRNS", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP", b"mDCV", b"cLLI", b"bKGD",
    b"hIST", b"pHYs", b"sPLT", b"acTL", b"fcTL", b"fdAT",
];

/// Follows every chunk to the last one; what comes behind it goes.
pub(super) fn examine(source: &mut Source<'_>, out: &mut Examined) -> Result<(), Malformed> {
    let mut at = SIGNATURE;
    header(source, out)?;
    while at < source.length() {
        let head = source.some(at, 8)?;
        let Ok(head) = <[u8; 8]>::try_from(head) else {
            return out.edits.cut(at..source.length());
        };
        let (length, kind) = (
            u32::from_be_bytes([head[0], head[1], head[2], head[3]]),
            [head[4], head[5], head[6], head[7]],
        );
        // §5.3: "the length shall not exceed 2^31-1 bytes"; types are letters.
        if length > i32::MAX.cast_unsigned() || !kind.iter().all(u8::is_ascii_alphabetic) {
            return Err(Malformed::Broken("a chunk that is none"));
        }
        let end = at + FRAME + u64::from(length);
        let whole = end <= source.length();
        let end = end.min(source.length());
        let is_critical = kind[0].is_ascii_uppercase();
        match &kind {
            b"IEND" => return out.edits.cut(end..source.length()),
            b"eXIf" if whole && out.facts.orientation.is_none() => {
                keep_orientation(source, out, at, end)?;
            }
            kind if is_critical || NEEDED.contains(&kind) => {}
            _ => out.edits.cut(at..end)?,
        }
        at = end;
    }
    Ok(())
}

/// Width, height, bits a sample, colour type.
fn header(source: &mut Source<'_>, out: &mut Examined) -> Result<(), Malformed> {
    let data = SIGNATURE + 8;
    out.facts.size = Some((source.u32(data)?, source.u32(data + 4)?));
    if let Ok([depth, colour]) = source.bytes(data + 8) {
        let channels = match colour {
            // With transparency, which may be made out of `tRNS`.
            2 | 3 | 6 => 4,
            _ => 2,
        };
        out.facts.bytes_per_pixel = channels * if depth == 16 { 2 } else { 1 };
    }
    Ok(())
}

fn keep_orientation(
    source: &mut Source<'_>,
    out: &mut Examined,
    chunk: u64,
    end: u64,
) -> Result<(), Malformed> {
    let data = chunk + 8;
    let needed = data + MINIMAL_LENGTH as u64 + 4;
    let way = exif::orientation(source, data, (end - 4).saturating_sub(data));
    match way.filter(|_| needed <= end) {
        Some(way) => {
            out.facts.orientation = Some(way);
            let mut bytes = b"\0\0\0\x1aeXIf".to_vec();
            bytes.extend_from_slice(&exif::minimal(way));
            let checksum = crc32fast::hash(&bytes[4..]);
            bytes.extend_from_slice(&checksum.to_be_bytes());
            out.edits.write(chunk, bytes)?;
            out.edits.cut(needed..end)
        }
        None => out.edits.cut(chunk..end),
    }
}
