//! The tracks of a film: pictures and sound stay. Other tracks may be where the camera was, second by second: they go with
//! their samples. So does everything that describes the film for a person (`udta`, `meta`: `©xyz`, `loci`,
//! `com.apple.quicktime.location.ISO6709` and their neighbours).

use std::ops::Range;

use super::boxes::{self, MediaData};
use super::source::Source;
use super::{Examined, Malformed};

const MOVIE: [&[u8; 4]; 4] = [b"mvhd", b"trak", b"mvex", b"pssh"];
const TRACK: [&[u8; 4]; 6] = [b"tkhd", b"edts", b"tref", b"mdia", b"trgr", b"tapt"];
const MEDIA: [&[u8; 4]; 4] = [b"mdhd", b"hdlr", b"minf", b"elng"];
const DESCRIPTIONS: [&[u8; 4]; 5] = [b"udta", b"meta", b"uuid", b"free", b"skip"];
/// What a track may be to stay: pictures, sound, their transparency, their time code.
const HANDLERS: [&[u8; 4]; 5] = [b"vide", b"soun", b"auxv", b"pict", b"tmcd"];

/// Follows one `moov`. A film that is `fragmented` has samples of which its tables know nothing.
pub(super) fn examine(
    source: &mut Source<'_>,
    out: &mut Examined,
    moov: &Range<u64>,
    data: &MediaData,
    fragmented: bool,
) -> Result<(), Malformed> {
    if boxes::find(source, moov, *b"cmov")?.is_some() {
        return Err(Malformed::Broken("a compressed table of contents"));
    }
    boxes::keep(source, out, moov, &MOVIE, |piece, source, out| {
        if piece.kind != *b"trak" {
            return Ok(());
        }
        let mdia = boxes::find(source, &piece.data, *b"mdia")?;
        let handler = match &mdia {
            Some(mdia) => handler(source, mdia)?,
            None => None,
        };
        let stays = handler.is_some_and(|handler| HANDLERS.contains(&&handler));
        if stays {
            return track(source, out, &piece.data, handler == Some(*b"vide"));
        }
        if fragmented {
            return Err(Malformed::Broken("a track of metadata in fragments"));
        }
        if let Some(mdia) = mdia {
            empty(source, out, &mdia, data)?;
        }
        boxes::free(out, &piece)
    })
}

/// §8.4.3: what kind of track it is.
fn handler(source: &mut Source<'_>, mdia: &Range<u64>) -> Result<Option<[u8; 4]>, Malformed> {
    match boxes::find(source, mdia, *b"hdlr")? {
        Some(hdlr) => source.bytes(hdlr.start + 8).map(Some),
        None => Ok(None),
    }
}

fn track(
    source: &mut Source<'_>,
    out: &mut Examined,
    trak: &Range<u64>,
    is_picture: bool,
) -> Result<(), Malformed> {
    boxes::keep(
        source,
        out,
        trak,
        &TRACK,
        |piece, source, out| match &piece.kind {
            b"tkhd" if is_picture => header(source, out, &piece.data),
            b"mdia" => boxes::keep(source, out, &piece.data, &MEDIA, |piece, source, out| {
                if piece.kind != *b"minf" {
                    return Ok(());
                }
                boxes::strip(source, out, &piece.data, &DESCRIPTIONS)?;
                match boxes::find(source, &piece.data, *b"stbl")? {
                    Some(stbl) => boxes::strip(source, out, &stbl, &DESCRIPTIONS),
                    None => Ok(()),
                }
            }),
            _ => Ok(()),
        },
    )
}

/// §8.3.2: the matrix tells which way is up, the last eight bytes how large the picture is, in 1/65536 of a pixel.
fn header(source: &mut Source<'_>, out: &mut Examined, tkhd: &Range<u64>) -> Result<(), Malformed> {
    let Some(matrix) = tkhd.end.checked_sub(44).filter(|at| *at >= tkhd.start) else {
        return Ok(());
    };
    let (width, height) = (
        source.u32(matrix + 36)? >> 16,
        source.u32(matrix + 40)? >> 16,
    );
    let upright = source.u32(matrix)? != 0 || source.u32(matrix + 16)? != 0;
    if width > 0 && height > 0 && out.facts.size.is_none() {
        out.facts.size = Some((width, height));
        // A quarter turn; which of them does not change the size.
        out.facts.orientation = (!upright).then_some(6);
    }
    Ok(())
}

/// Overwrites the samples of a track with zeros, chunk by chunk (§8.7.3 to §8.7.5).
fn empty(
    source: &mut Source<'_>,
    out: &mut Examined,
    mdia: &Range<u64>,
    data: &MediaData,
) -> Result<(), Malformed> {
    let minf = boxes::find(source, mdia, *b"minf")?;
    let stbl = match &minf {
        Some(minf) => boxes::find(source, minf, *b"stbl")?,
        None => None,
    };
    let Some(stbl) = stbl else {
        return Ok(());
    };
    let Some((chunks, size)) = chunk_table(source, &stbl)? else {
        return Ok(());
    };
    let mut samples = Samples::open(source, &stbl)?;
    let mut groups = Groups::open(source, &stbl)?;
    for chunk in 0..chunks.count {
        let at = chunks.data + u64::from(chunk) * u64::from(size);
        let offset = source.number(at, size)?;
        let count = groups.samples_in(source, chunk + 1)?;
        let length = samples.length_of(source, count)?;
        out.edits.zero(data.within(offset, length)?)?;
    }
    Ok(())
}

/// A table: how many rows, and where they begin.
#[derive(Debug, Clone, Copy)]
struct Table {
    count: u32,
    data: u64,
}

/// The table whose number of rows stands `skip` bytes into the box. One row has `row` bytes, and all of them fit.
fn table(
    source: &mut Source<'_>,
    data: &Range<u64>,
    skip: u64,
    row: u8,
) -> Result<Table, Malformed> {
    let count = source.u32(data.start + skip)?;
    let begin = data.start + skip + 4;
    if begin + u64::from(count) * u64::from(row) > data.end {
        return Err(Malformed::Broken("a table longer than its box"));
    }
    Ok(Table { count, data: begin })
}

/// Where the chunks begin, and how many bytes each of these numbers has.
fn chunk_table(
    source: &mut Source<'_>,
    stbl: &Range<u64>,
) -> Result<Option<(Table, u8)>, Malformed> {
    for (kind, size) in [(*b"stco", 4), (*b"co64", 8)] {
        if let Some(data) = boxes::find(source, stbl, kind)? {
            return Ok(Some((table(source, &data, 4, size)?, size)));
        }
    }
    Ok(None)
}

/// How long each sample is; read in order, once.
struct Samples {
    /// Of all of them, if they are all alike.
    fixed: u32,
    sizes: Table,
    taken: u64,
}

impl Samples {
    fn open(source: &mut Source<'_>, stbl: &Range<u64>) -> Result<Self, Malformed> {
        let Some(data) = boxes::find(source, stbl, *b"stsz")? else {
            return Err(Malformed::Broken("samples without sizes"));
        };
        let fixed = source.u32(data.start + 4)?;
        let sizes = table(source, &data, 8, if fixed == 0 { 4 } else { 0 })?;
        Ok(Self {
            fixed,
            sizes,
            taken: 0,
        })
    }

    fn length_of(&mut self, source: &mut Source<'_>, count: u32) -> Result<u64, Malformed> {
        let first = self.taken;
        self.taken += u64::from(count);
        if self.fixed != 0 {
            return Ok(u64::from(self.fixed) * u64::from(count));
        }
        if self.taken > u64::from(self.sizes.count) {
            return Err(Malformed::Broken("more samples than sizes"));
        }
        let mut length = 0;
        for sample in first..self.taken {
            length += u64::from(source.u32(self.sizes.data + sample * 4)?);
        }
        Ok(length)
    }
}

/// How many samples each chunk has: rows of first chunk, samples a chunk, description.
struct Groups {
    rows: Table,
    /// The row that holds for the chunk asked for last.
    row: u32,
}

impl Groups {
    fn open(source: &mut Source<'_>, stbl: &Range<u64>) -> Result<Self, Malformed> {
        match boxes::find(source, stbl, *b"stsc")? {
            Some(data) => {
                let rows = table(source, &data, 4, 12)?;
                if rows.count == 0 {
                    return Err(Malformed::Broken("chunks without samples"));
                }
                Ok(Self { rows, row: 0 })
            }
            None => Err(Malformed::Broken("chunks without samples")),
        }
    }

    /// Chunks are counted from 1 and asked for in order.
    fn samples_in(&mut self, source: &mut Source<'_>, chunk: u32) -> Result<u32, Malformed> {
        while self.row + 1 < self.rows.count {
            let next = self.rows.data + u64::from(self.row + 1) * 12;
            if source.u32(next)? > chunk {
                break;
            }
            self.row += 1;
        }
        source.u32(self.rows.data + u64::from(self.row) * 12 + 4)
    }
}
