//! ISO base media files and `QuickTime` (ISO/IEC 14496-12): boxes in boxes, and places in the file all over them. So nothing moves:
//! a box that goes becomes `free` and its contents zeros.

use std::ops::Range;

use super::source::Source;
use super::{Examined, Malformed, heif, tracks};

/// A file has a handful; a thousand pieces of media data are a long broadcast.
const MAX_MEDIA: usize = 10_000;

/// One box.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) kind: [u8; 4],
    /// Where its head begins.
    pub(super) start: u64,
    /// What is in it.
    pub(super) data: Range<u64>,
}

/// Where samples and items may lie: the contents of `mdat` and its like.
#[derive(Debug, Default)]
pub(super) struct MediaData(Vec<Range<u64>>);

impl MediaData {
    /// The stretch, if all of it is media data: nothing else may be overwritten because a table says so.
    pub(super) fn within(&self, start: u64, length: u64) -> Result<Range<u64>, Malformed> {
        let end = start.checked_add(length);
        let inside = end.filter(|end| {
            let mut known = self.0.iter();
            known.any(|known| known.start <= start && *end <= known.end)
        });
        inside
            .map(|end| start..end)
            .ok_or(Malformed::Broken("a table that points outside the data"))
    }

    pub(super) fn add(&mut self, range: Range<u64>) -> Result<(), Malformed> {
        if self.0.len() >= MAX_MEDIA {
            return Err(Malformed::Broken("too many pieces"));
        }
        self.0.push(range);
        Ok(())
    }
}

/// Follows the boxes of the whole file.
pub(super) fn examine(source: &mut Source<'_>, out: &mut Examined) -> Result<(), Malformed> {
    let whole = 0..source.length();
    let mut media = MediaData::default();
    let (mut movies, mut metas, mut fragmented) = (Vec::new(), Vec::new(), false);
    let mut at = 0;
    while let Some(piece) = next(source, &mut at, &whole)? {
        match &piece.kind {
            b"mdat" | b"imda" => media.add(piece.data)?,
            b"moov" => movies.push(piece),
            b"meta" => metas.push(piece),
            b"moof" => {
                fragmented = true;
                fragment(source, out, &piece.data)?;
            }
            b"ftyp" | b"styp" | b"sidx" | b"ssix" | b"prft" | b"pdin" | b"mfra" | b"wide" => {}
            _ => free(out, &piece)?,
        }
        if movies.len() + metas.len() > 2 {
            return Err(Malformed::Broken("more than one table of contents"));
        }
    }
    // Nobody can tell what is in it, and nobody can show it.
    if !media.0.is_empty() && movies.is_empty() && metas.is_empty() {
        return Err(Malformed::Broken("data without a table of contents"));
    }
    for meta in &metas {
        heif::examine(source, out, &meta.data, &mut media)?;
    }
    for movie in &movies {
        tracks::examine(source, out, &movie.data, &media, fragmented)?;
    }
    Ok(())
}

/// A part of a film that is sent while it is made.
fn fragment(
    source: &mut Source<'_>,
    out: &mut Examined,
    moof: &Range<u64>,
) -> Result<(), Malformed> {
    keep(
        source,
        out,
        moof,
        &[b"mfhd", b"traf", b"pssh"],
        |piece, source, out| {
            if piece.kind != *b"traf" {
                return Ok(());
            }
            strip(source, out, &piece.data, &[b"udta", b"meta", b"uuid"])
        },
    )
}

/// Frees every box in `range` that is not among `kinds` and hands the others to `each`.
pub(super) fn keep<'s>(
    source: &mut Source<'s>,
    out: &mut Examined,
    range: &Range<u64>,
    kinds: &[&[u8; 4]],
    mut each: impl FnMut(Piece, &mut Source<'s>, &mut Examined) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut at = range.start;
    while let Some(piece) = next(source, &mut at, range)? {
        if kinds.contains(&&piece.kind) {
            each(piece, source, out)?;
        } else {
            free(out, &piece)?;
        }
    }
    Ok(())
}

/// Frees every box in `range` that is among `kinds`.
pub(super) fn strip(
    source: &mut Source<'_>,
    out: &mut Examined,
    range: &Range<u64>,
    kinds: &[&[u8; 4]],
) -> Result<(), Malformed> {
    let mut at = range.start;
    while let Some(piece) = next(source, &mut at, range)? {
        if kinds.contains(&&piece.kind) {
            free(out, &piece)?;
        }
    }
    Ok(())
}

/// Makes a box free space, of the same size, without what was in it.
pub(super) fn free(out: &mut Examined, piece: &Piece) -> Result<(), Malformed> {
    if piece.kind != *b"free" {
        out.edits.write(piece.start + 4, *b"free")?;
    }
    out.edits.zero(piece.data.clone())
}

/// The first box of a kind in a range.
pub(super) fn find(
    source: &mut Source<'_>,
    range: &Range<u64>,
    kind: [u8; 4],
) -> Result<Option<Range<u64>>, Malformed> {
    let mut at = range.start;
    while let Some(piece) = next(source, &mut at, range)? {
        if piece.kind == kind {
            return Ok(Some(piece.data));
        }
    }
    Ok(None)
}

/// The box at `at`, which moves behind it; `None` at the end of the range. §4.2: a size of 1 is followed by a longer one, a
/// size of 0 reaches to the end of the file.
pub(super) fn next(
    source: &mut Source<'_>,
    at: &mut u64,
    range: &Range<u64>,
) -> Result<Option<Piece>, Malformed> {
    let start = *at;
    let left = range.end.saturating_sub(start);
    if left < 8 {
        // `QuickTime` ends some lists with four zeros.
        let rest = source.some(start, usize::try_from(left).unwrap_or(0))?;
        if rest.iter().any(|&byte| byte != 0) {
            return Err(Malformed::Broken("something between two boxes"));
        }
        return Ok(None);
    }
    let head: [u8; 8] = source.bytes(start)?;
    let short = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
    let kind = [head[4], head[5], head[6], head[7]];
    let (head, size) = match short {
        0 if range.end == source.length() => (8, left),
        1 => (16, source.u64(start + 8)?),
        short => (8, short.into()),
    };
    let is_media = matches!(&kind, b"mdat" | b"imda");
    // A film that was cut short still has what was in its other boxes.
    let size = if is_media && range.end == source.length() {
        size.min(left)
    } else {
        size
    };
    if size < head || size > left {
        return Err(Malformed::Broken("a box that does not fit"));
    }
    *at = start + size;
    Ok(Some(Piece {
        kind,
        start,
        data: start + head..start + size,
    }))
}
