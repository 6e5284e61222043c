//! Matroska and `WebM` (RFC 9559): elements in elements, with places in `SeekHead` and `Cues`. What describes the film
//! for a person becomes `Void`, of the same size.

use std::ops::Range;

use super::source::Source;
use super::{Examined, Malformed};

const SEGMENT: u32 = 0x1853_8067;
const CLUSTER: u32 = 0x1f43_b675;
const TRACKS: u32 = 0x1654_ae6b;
/// What stays at the top, and in the segment: the header, `SeekHead`, `Info`, `Cues`.
const NEEDED: [u32; 7] = [
    0x1a45_dfa3,
    SEGMENT,
    0x114d_9b74,
    0x1549_a966,
    0x1c53_bb6b,
    CLUSTER,
    TRACKS,
];
const TRACK_ENTRY: u32 = 0xae;
const TRACK_TYPE: u32 = 0x83;
const VIDEO: u32 = 0xe0;
const PIXEL_WIDTH: u32 = 0xb0;
const PIXEL_HEIGHT: u32 = 0xba;

/// One element.
struct Element {
    id: u32,
    start: u64,
    /// What is in it; to the end of what it stands in if its length is not known.
    data: Range<u64>,
    is_endless: bool,
}

/// Follows the elements of the whole file: those at the top and in the segments, as if they stood side by side.
pub(super) fn examine(source: &mut Source<'_>, out: &mut Examined) -> Result<(), Malformed> {
    let whole = 0..source.length();
    let mut at = 0;
    let mut in_endless_cluster = false;
    while at < whole.end {
        let Some(element) = next(source, at, &whole)? else {
            return Ok(()); // cut short
        };
        at = element.data.end;
        match element.id {
            // What is in it is looked at next.
            SEGMENT => at = element.data.start,
            CLUSTER if element.is_endless => {
                at = element.data.start;
                in_endless_cluster = true;
                continue;
            }
            TRACKS => tracks(source, out, &element.data)?,
            id if NEEDED.contains(&id) => {}
            // RFC 8794 §6.2: an element of unknown size ends where one begins that cannot stand in it.
            id if in_endless_cluster && belongs_in_cluster(id) => continue,
            _ if element.is_endless => {
                return Err(Malformed::Broken("an element without an end"));
            }
            _ => void(out, &element)?,
        }
        in_endless_cluster = false;
    }
    Ok(())
}

/// RFC 9559 §5.1.3: `Timestamp`, `SilentTracks`, `Position`, `PrevSize`, `SimpleBlock`, `BlockGroup`, `EncryptedBlock`, and
/// what may stand everywhere.
fn belongs_in_cluster(id: u32) -> bool {
    matches!(id, 0xe7 | 0x5854 | 0xa7 | 0xab | 0xa3 | 0xa0 | 0xaf | 0xbf)
}

/// Makes an element empty space of the same size. Its contents may stay where they begin or come to begin later.
fn void(out: &mut Examined, element: &Element) -> Result<(), Malformed> {
    let total = element.data.end - element.start;
    // One byte for the name, one or eight for the length: every total from two bytes on can be had.
    let head = if total < 128 {
        vec![0xec, 0x80 | u8::try_from(total - 2).unwrap_or(0)]
    } else {
        let length = (total - 9) | 1 << 56;
        [&[0xec][..], &length.to_be_bytes()].concat()
    };
    out.edits.zero(element.start..element.data.end)?;
    out.edits.write(element.start, head)
}

/// The first film among the tracks tells how large its picture is. Subtitles and other tracks stay: their samples lie among
/// the others', and no camera writes places there.
fn tracks(
    source: &mut Source<'_>,
    out: &mut Examined,
    range: &Range<u64>,
) -> Result<(), Malformed> {
    let mut at = range.start;
    while at < range.end {
        let entry = inner(source, &mut at, range)?;
        if entry.id != TRACK_ENTRY {
            continue;
        }
        let (mut kind, mut video) = (0, None);
        let mut at = entry.data.start;
        while at < entry.data.end {
            let field = inner(source, &mut at, &entry.data)?;
            match field.id {
                TRACK_TYPE => kind = number(source, &field.data)?,
                VIDEO => video = Some(field.data),
                _ => {}
            }
        }
        let Some(video) = video.filter(|_| kind == 1 && out.facts.size.is_none()) else {
            continue;
        };
        let (mut width, mut height) = (0, 0);
        let mut at = video.start;
        while at < video.end {
            let field = inner(source, &mut at, &video)?;
            match field.id {
                PIXEL_WIDTH => width = number(source, &field.data)?,
                PIXEL_HEIGHT => height = number(source, &field.data)?,
                _ => {}
            }
        }
        out.facts.size = Some((width, height)).filter(|_| width > 0 && height > 0);
    }
    Ok(())
}

fn number(source: &mut Source<'_>, range: &Range<u64>) -> Result<u32, Malformed> {
    let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
    let bytes = source.some(range.start, length.min(8))?;
    let value = bytes
        .iter()
        .fold(0_u64, |value, &byte| value << 8 | u64::from(byte));
    Ok(u32::try_from(value).unwrap_or(0))
}

/// An element within another, which must be whole.
fn inner(source: &mut Source<'_>, at: &mut u64, range: &Range<u64>) -> Result<Element, Malformed> {
    match next(source, *at, range)? {
        Some(element) if !element.is_endless => {
            *at = element.data.end;
            Ok(element)
        }
        _ => Err(Malformed::Broken("an element that does not fit")),
    }
}

/// The element at `at`; `None` where the file ends in its head. One that reaches beyond the end is cut there.
fn next(
    source: &mut Source<'_>,
    at: u64,
    range: &Range<u64>,
) -> Result<Option<Element>, Malformed> {
    let Some(&first) = source.some(at, 1)?.first() else {
        return Ok(None);
    };
    // RFC 8794 §5: a name has one to four bytes, told by the leading zeros of the first, which belong to it.
    let id_size = u8::try_from(first.leading_zeros() + 1).unwrap_or(u8::MAX);
    if id_size > 4 {
        return Err(Malformed::Broken("an element without a name"));
    }
    let Ok(bytes) = <[u8; 12]>::try_from(padded(source.some(at, 12)?)) else {
        return Ok(None);
    };
    let id_length = usize::from(id_size);
    let id = bytes[..id_length]
        .iter()
        .fold(0, |id, &byte| id << 8 | u32::from(byte));
    let first = bytes[id_length];
    let length = first.leading_zeros() as usize + 1;
    if length > 8 {
        return Err(Malformed::Broken("an element without a length"));
    }
    let head = (id_length + length) as u64;
    if at + head > range.end {
        return Ok(None);
    }
    let marker = u64::from(first) & (0xff >> length);
    let size = bytes[id_length + 1..id_length + length]
        .iter()
        .fold(marker, |size, &byte| size << 8 | u64::from(byte));
    // §6.2: all ones.
    let is_endless = size == (1 << (7 * length)) - 1;
    let begin = at + head;
    let fits = begin.checked_add(size).filter(|end| *end <= range.end);
    if fits.is_none() && !is_endless && range.end != source.length() {
        return Err(Malformed::Broken("an element that does not fit"));
    }
    let end = if is_endless {
        range.end
    } else {
        fits.unwrap_or(range.end)
    };
    Ok(Some(Element {
        id,
        start: at,
        data: begin..end,
        is_endless,
    }))
}

/// Zeros behind the end of the file.
fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes.resize(12, 0);
    bytes
}
