//! What a file says besides its picture, and how that is taken out: a photograph taken at home must not tell where home is. Of
//! every format only what is known to make the picture is kept; of EXIF only which way is up. It works on bytes by their
//! place, with bounded memory, and knows no directory and no names.
//!
//! JPEG, PNG, WebP and GIF hold no places within themselves, so what goes is cut out. HEIC, AVIF, MP4, MOV, 3GP and Matroska are
//! full of them: what goes is overwritten with zeros where it stands, and the box around it becomes one that is free.
//!
//! What stays: a location that was painted into the picture, spoken in the film, or hidden in the coded samples themselves.

mod boxes;
mod edits;
mod exif;
mod gif;
mod heif;
mod jpeg;
mod matroska;
mod png;
mod source;
#[cfg(test)]
mod tests;
mod tracks;
mod webp;

use std::io;

pub use self::edits::Edits;
pub use self::source::ReadSeek;
use self::source::Source;
use super::MediaType;

/// Why a file could not be examined.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// It is not what it says it is, so nobody can tell what is in it.
    #[error("{0}")]
    Broken(&'static str),
    /// It could not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What is known of a picture or film without decoding it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts {
    /// Width and height of the coded picture.
    pub size: Option<(u32, u32)>,
    /// As EXIF counts, 2 to 8; `None` for the usual way up.
    pub orientation: Option<u8>,
    /// Memory that a decoder needs for each pixel, its output included.
    pub bytes_per_pixel: u64,
    /// How often a JPEG goes over its picture.
    pub scans: u32,
}

impl Facts {
    /// Width and height as it is seen, unless one is 0.
    pub fn shown_size(&self) -> Option<(u32, u32)> {
        let (width, height) = self
            .size
            .filter(|(width, height)| *width > 0 && *height > 0)?;
        match self.orientation {
            Some(5..=8) => Some((height, width)),
            _ => Some((width, height)),
        }
    }
}

/// What was found, and what has to be done so that only the picture is left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Examined {
    /// What is known.
    pub facts: Facts,
    /// What has to be done.
    pub edits: Edits,
}

/// Follows a whole file of a type that was found in its first bytes. Changes nothing. [`Malformed::Broken`] for a file that
/// cannot be followed, in which anything could be hidden.
pub fn examine(media_type: MediaType, file: &mut dyn ReadSeek) -> Result<Examined, Malformed> {
    let source = &mut Source::new(file)?;
    let mut out = Examined::default();
    match media_type {
        MediaType::Jpeg => jpeg::examine(source, &mut out),
        MediaType::Png => png::examine(source, &mut out),
        MediaType::Gif => gif::examine(source, &mut out),
        MediaType::WebP => webp::examine(source, &mut out),
        MediaType::Avif
        | MediaType::Heic
        | MediaType::Mp4
        | MediaType::Mov
        | MediaType::ThreeGp => boxes::examine(source, &mut out),
        MediaType::WebM | MediaType::Mkv => matroska::examine(source, &mut out),
    }?;
    Ok(out)
}
