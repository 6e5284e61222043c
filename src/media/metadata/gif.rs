//! GIF (version 89a): blocks. Comments and applications' own notes go, but for those that say how often a film repeats.

use super::source::Source;
use super::{Examined, Malformed};

/// Applications whose blocks change how the picture looks.
const NEEDED: [&[u8]; 3] = [b"NETSCAPE2.0", b"ANIMEXTS1.0", b"ICCRGBG1012"];

/// Follows every block. Where something stands that is no block the picture ends for every reader, and so for us.
pub(super) fn examine(source: &mut Source<'_>, out: &mut Examined) -> Result<(), Malformed> {
    let Ok([w1, w2, h1, h2, flags]) = source.bytes(6) else {
        return Ok(());
    };
    let (width, height) = (u16::from_le_bytes([w1, w2]), u16::from_le_bytes([h1, h2]));
    out.facts.size = Some((width.into(), height.into()));
    out.facts.bytes_per_pixel = 8;
    let mut at = 13 + table_length(flags);
    while at < source.length() {
        let head = source.some(at, 14)?.to_vec();
        let end = match head[0] {
            0x2c => {
                let flags = head.get(9).copied().unwrap_or_default();
                // The descriptor, a table of colours, one byte about the code, then the picture.
                sub_blocks(source, at + 10 + table_length(flags) + 1)?
            }
            0x21 => sub_blocks(source, at + 2)?,
            _ => {
                let trailer = u64::from(head[0] == 0x3b);
                return out.edits.cut(at + trailer..source.length());
            }
        };
        let end = end.min(source.length());
        let belongs = match head[..] {
            [0x2c, ..] | [0x21, 0xf9, ..] => true,
            [0x21, 0xff, 11, ..] => head.get(3..14).is_some_and(|name| NEEDED.contains(&name)),
            _ => false,
        };
        if !belongs {
            out.edits.cut(at..end)?;
        }
        at = end;
    }
    Ok(())
}

fn table_length(flags: u8) -> u64 {
    match flags & 0x80 {
        0 => 0,
        _ => 3 << ((flags & 7) + 1),
    }
}

/// Where a chain of sub-blocks ends, behind its empty one.
fn sub_blocks(source: &mut Source<'_>, mut at: u64) -> Result<u64, Malformed> {
    while let Some(&length) = source.some(at, 1)?.first() {
        at += 1 + u64::from(length);
        if length == 0 {
            break;
        }
    }
    Ok(at)
}
