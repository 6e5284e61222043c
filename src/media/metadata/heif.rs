//! HEIC and AVIF (ISO/IEC 23008-12): a picture is an item among items, and so are its EXIF and XMP. Their bytes become zeros where
//! they lie. Which way is up is a property of the picture itself, not of its EXIF, and stays.

use std::collections::BTreeSet;
use std::ops::Range;

use super::boxes::{self, MediaData};
use super::source::Source;
use super::{Examined, Malformed};

const NEEDED: [&[u8; 4]; 8] = [
    b"hdlr", b"pitm", b"iloc", b"iinf", b"iref", b"iprp", b"idat", b"grpl",
];
/// What an item may be to stay: coded pictures, and pictures made of others.
const PICTURES: [&[u8; 4]; 12] = [
    b"hvc1", b"hvt1", b"av01", b"avc1", b"vvc1", b"jpeg", b"j2k1", b"grid", b"iovl", b"iden",
    b"tmap", b"unci",
];
/// An iPhone's picture has about fifty.
const MAX_ITEMS: u64 = 10_000;
/// An EXIF item that is empty and whole: the place of the TIFF block, and one without entries.
const EMPTY_EXIF: &[u8] = b"\0\0\0\0MM\0\x2a\0\0\0\x08\0\0\0\0\0\0";

/// Follows the `meta` box of a picture file.
pub(super) fn examine(
    source: &mut Source<'_>,
    out: &mut Examined,
    meta: &Range<u64>,
    media: &mut MediaData,
) -> Result<(), Malformed> {
    let meta = meta.start + 4..meta.end;
    boxes::keep(source, out, &meta, &NEEDED, |_, _, _| Ok(()))?;
    let idat = boxes::find(source, &meta, *b"idat")?;
    if let Some(idat) = &idat {
        media.add(idat.clone())?;
    }
    let iinf = boxes::find(source, &meta, *b"iinf")?;
    let metadata = match &iinf {
        Some(iinf) => metadata_items(source, iinf)?,
        None => Metadata::default(),
    };
    if let Some(iloc) = boxes::find(source, &meta, *b"iloc")? {
        locations(source, out, &iloc, &metadata, (media, idat))?;
    } else if !metadata.all.is_empty() {
        return Err(Malformed::Broken("items without places"));
    }
    picture(source, out, &meta)
}

/// The items that are no pictures; which of them are EXIF.
#[derive(Debug, Default)]
struct Metadata {
    all: BTreeSet<u32>,
    exif: BTreeSet<u32>,
}

/// §8.11.6: the entries of `iinf`.
fn metadata_items(source: &mut Source<'_>, iinf: &Range<u64>) -> Result<Metadata, Malformed> {
    let wide = source.u8(iinf.start)? > 0;
    let begin = iinf.start + if wide { 8 } else { 6 };
    let list = begin.min(iinf.end)..iinf.end;
    let mut found = Metadata::default();
    let (mut at, mut count) = (list.start, 0);
    while let Some(entry) = boxes::next(source, &mut at, &list)? {
        count += 1;
        if count > MAX_ITEMS {
            return Err(Malformed::Broken("too many items"));
        }
        let data = entry.data.start;
        let (id, kind) = match source.u8(data)? {
            2 => (source.u16(data + 4)?.into(), source.bytes(data + 8)?),
            3 => (source.u32(data + 4)?, source.bytes(data + 10)?),
            // The older forms have no types: nothing that shows a picture is written so.
            _ => (source.u16(data + 4)?.into(), *b"mime"),
        };
        if PICTURES.contains(&&kind) {
            continue;
        }
        found.all.insert(id);
        if kind == *b"Exif" {
            found.exif.insert(id);
        }
    }
    Ok(found)
}

/// §8.11.3: where each item lies. Those of `metadata` become zeros.
fn locations(
    source: &mut Source<'_>,
    out: &mut Examined,
    iloc: &Range<u64>,
    metadata: &Metadata,
    (media, idat): (&MediaData, Option<Range<u64>>),
) -> Result<(), Malformed> {
    let version = source.u8(iloc.start)?;
    let [first, second] = source.bytes::<2>(iloc.start + 4)?;
    let (offset_size, length_size) = (first >> 4, first & 15);
    let (base_size, index_size) = (second >> 4, if version > 0 { second & 15 } else { 0 });
    let wide = if version < 2 { 2 } else { 4 };
    let count = source.number(iloc.start + 6, wide)?;
    let mut at = iloc.start + 6 + u64::from(wide);
    let mut located = BTreeSet::new();
    for _ in 0..count {
        let id = u32::try_from(source.number(at, wide)?).unwrap_or(u32::MAX);
        at += u64::from(wide);
        let method = if version > 0 {
            at += 2;
            source.u16(at - 2)? & 15
        } else {
            0
        };
        let reference = source.u16(at)?;
        let base = source.number(at + 2, base_size)?;
        at += 2 + u64::from(base_size);
        let extents = source.u16(at)?;
        at += 2;
        let extent_size = u64::from(index_size + offset_size + length_size);
        if at + u64::from(extents) * extent_size > iloc.end {
            return Err(Malformed::Broken("a table longer than its box"));
        }
        if metadata.all.contains(&id) {
            let base = match (method, &idat) {
                (0, _) if reference == 0 => base,
                (1, Some(idat)) => idat.start.saturating_add(base),
                _ => return Err(Malformed::Broken("an item in an unknown place")),
            };
            if length_size == 0 {
                return Err(Malformed::Broken("an item of unknown length"));
            }
            for extent in 0..u64::from(extents) {
                let place = at + extent * extent_size + u64::from(index_size);
                let offset = source.number(place, offset_size)?;
                let length = source.number(place + u64::from(offset_size), length_size)?;
                let range = media.within(base.saturating_add(offset), length)?;
                if extents == 1 && metadata.exif.contains(&id) && length >= EMPTY_EXIF.len() as u64
                {
                    out.edits.write(range.start, EMPTY_EXIF)?;
                }
                out.edits.zero(range)?;
            }
            located.insert(id);
        }
        at += u64::from(extents) * extent_size;
    }
    if located.len() < metadata.all.len() {
        return Err(Malformed::Broken("items without places"));
    }
    Ok(())
}

/// How large the picture is that is to be shown, and which way is up (§6.5.3, §6.5.10). Nothing is lost if that cannot be read.
fn picture(
    source: &mut Source<'_>,
    out: &mut Examined,
    meta: &Range<u64>,
) -> Result<(), Malformed> {
    let (Some(pitm), Some(iprp)) = (
        boxes::find(source, meta, *b"pitm")?,
        boxes::find(source, meta, *b"iprp")?,
    ) else {
        return Ok(());
    };
    let wide = if source.u8(pitm.start)? == 0 { 2 } else { 4 };
    let primary = source.number(pitm.start + 4, wide)?;
    let (Some(ipco), Some(ipma)) = (
        boxes::find(source, &iprp, *b"ipco")?,
        boxes::find(source, &iprp, *b"ipma")?,
    ) else {
        return Ok(());
    };
    let associated = associations(source, &ipma, primary)?;
    let (mut at, mut index) = (ipco.start, 0_u16);
    while let Some(property) = boxes::next(source, &mut at, &ipco)? {
        index = index.saturating_add(1);
        if !associated.contains(&index) {
            continue;
        }
        let data = property.data.start;
        match &property.kind {
            b"ispe" => out.facts.size = Some((source.u32(data + 4)?, source.u32(data + 8)?)),
            // A quarter turn or three; which does not change the size.
            b"irot" if source.u8(data)? & 1 == 1 => out.facts.orientation = Some(6),
            _ => {}
        }
    }
    Ok(())
}

/// §8.11.14: the properties of one item, by their number.
fn associations(
    source: &mut Source<'_>,
    ipma: &Range<u64>,
    item: u64,
) -> Result<BTreeSet<u16>, Malformed> {
    let [version, _, _, flags] = source.bytes::<4>(ipma.start)?;
    let (id_size, wide) = (if version < 1 { 2 } else { 4 }, flags & 1 == 1);
    let count = source.u32(ipma.start + 4)?;
    let mut at = ipma.start + 8;
    for _ in 0..count {
        let id = source.number(at, id_size)?;
        let listed = source.u8(at + u64::from(id_size))?;
        at += u64::from(id_size) + 1;
        if at >= ipma.end {
            break;
        }
        let size: u8 = if wide { 2 } else { 1 };
        if id != item {
            at += u64::from(listed) * u64::from(size);
            continue;
        }
        let mut found = BTreeSet::new();
        for place in 0..u64::from(listed) {
            let number = source.number(at + place * u64::from(size), size)?;
            let mask = if wide { 0x7fff } else { 0x7f };
            found.insert(u16::try_from(number & mask).unwrap_or(0));
        }
        return Ok(found);
    }
    Ok(BTreeSet::new())
}
