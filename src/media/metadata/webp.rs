//! WebP (RFC 9649): chunks in a RIFF container. Those that make the picture stay; of `EXIF` the way up.

use super::exif::{self, MINIMAL_LENGTH};
use super::source::Source;
use super::{Examined, Malformed};

/// `RIFF`, size, `WEBP`.
const HEAD: u64 = 12;
/// `VP8X`: this picture has EXIF, XMP.
const EXIF_FLAG: u8 = 0x08;
const XMP_FLAG: u8 = 0x04;

const NEEDED: [&[u8; 4]; 7] = [
    b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP",
];

/// Follows every chunk of the container; what comes behind it goes.
pub(super) fn examine(source: &mut Source<'_>, out: &mut Examined) -> Result<(), Malformed> {
    let size = u64::from(u32::from_le_bytes(source.bytes(4)?));
    if size < HEAD {
        return Err(Malformed::Broken("a container without a picture"));
    }
    let container = (8 + size).min(source.length());
    out.facts.bytes_per_pixel = 8;
    let mut flags = None;
    let mut at = HEAD;
    while at < container {
        let Ok(head) = source.bytes::<8>(at) else {
            out.edits.cut(at..container)?;
            break;
        };
        let kind = [head[0], head[1], head[2], head[3]];
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        let data = at + 8;
        // RFC 9649 §2.3: a chunk of odd size is followed by one byte more.
        let end = data + u64::from(length) + u64::from(length % 2);
        // Many writers leave the last one out.
        let whole = end <= container + 1;
        let end = end.min(container);
        match &kind {
            b"EXIF" if whole && out.facts.orientation.is_none() => {
                keep_orientation(source, out, at, end)?;
            }
            kind if NEEDED.contains(&kind) => {
                if kind == b"VP8X" && flags.is_none() {
                    flags = Some((data, source.u8(data)?));
                }
                if out.facts.size.is_none() {
                    out.facts.size = size_of(source, *kind, data);
                }
            }
            _ => out.edits.cut(at..end)?,
        }
        at = end;
    }
    if let Some((at, before)) = flags {
        let exif = if out.facts.orientation.is_some() {
            EXIF_FLAG
        } else {
            0
        };
        let after = before & !(EXIF_FLAG | XMP_FLAG) | exif;
        if after != before {
            out.edits.write(at, [after])?;
        }
    }
    let cut = u32::try_from(size.saturating_sub(out.edits.cut_length())).unwrap_or(u32::MAX);
    if u64::from(cut) != size {
        out.edits.write(4, cut.to_le_bytes())?;
    }
    out.edits.cut(container..source.length())
}

fn keep_orientation(
    source: &mut Source<'_>,
    out: &mut Examined,
    chunk: u64,
    end: u64,
) -> Result<(), Malformed> {
    let data = chunk + 8;
    let needed = data + MINIMAL_LENGTH as u64;
    let way = exif::orientation(source, data, end.saturating_sub(data));
    match way.filter(|_| needed <= end) {
        Some(way) => {
            out.facts.orientation = Some(way);
            let mut bytes = b"EXIF\x1a\0\0\0".to_vec();
            bytes.extend_from_slice(&exif::minimal(way));
            out.edits.write(chunk, bytes)?;
            out.edits.cut(needed..end)
        }
        None => out.edits.cut(chunk..end),
    }
}

/// Width and height as the first chunk that has them says; §2.5, §2.6, §2.7.
fn size_of(source: &mut Source<'_>, kind: [u8; 4], data: u64) -> Option<(u32, u32)> {
    match &kind {
        b"VP8X" => {
            let [w1, w2, w3, h1, h2, h3] = source.bytes(data + 4).ok()?;
            let (width, height) = (
                u32::from_le_bytes([w1, w2, w3, 0]),
                u32::from_le_bytes([h1, h2, h3, 0]),
            );
            Some((width + 1, height + 1))
        }
        b"VP8 " => {
            let [w1, w2, h1, h2] = source.bytes(data + 6).ok()?;
            let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
            Some((side(w1, w2), side(h1, h2)))
        }
        b"VP8L" => {
            let bits = u32::from_le_bytes(source.bytes(data + 1).ok()?);
            Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
        }
        _ => None,
    }
}
