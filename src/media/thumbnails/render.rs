//! A small copy of one picture, with bounded memory. It knows files and pixels; not where copies are kept.

use std::fs::File;
use std::io::{BufReader, Cursor, Seek as _};

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::metadata::Orientation;
use image::{
    DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder, ImageFormat, ImageReader, Limits,
};

use super::Kind;
use crate::media::MediaType;
use crate::media::metadata::{self, Facts};

/// Good enough for a glance; a tenth of the bytes of the original.
const JPEG_QUALITY: u8 = 80;
/// A picture may be this many times as high as it is wide before its copy becomes narrower.
const MAX_PROPORTION: u64 = 4;
/// Each goes over the whole picture; cameras write ten, and a few bytes can ask for one.
const MAX_SCANS: u32 = 100;
/// A profile of colours that is larger than the picture is left out.
const MAX_PROFILE: usize = 64 << 10;

/// What came of it.
pub(super) enum Rendered {
    /// A copy.
    Copy(Kind, Vec<u8>),
    /// The picture is no wider than its copy would be.
    AsItIs,
    /// It cannot be decoded, or not with the memory that is granted.
    Impossible,
}

/// Whether pictures of this type can be decoded here at all.
pub(super) fn format_of(media_type: MediaType) -> Option<ImageFormat> {
    match media_type {
        MediaType::Jpeg => Some(ImageFormat::Jpeg),
        MediaType::Png => Some(ImageFormat::Png),
        MediaType::Gif => Some(ImageFormat::Gif),
        MediaType::WebP => Some(ImageFormat::WebP),
        _ => None,
    }
}

/// Makes a copy of at most `width` pixels across, the way up that the picture is seen.
pub(super) fn render(mut file: File, media_type: MediaType, width: u32, memory: u64) -> Rendered {
    let Some(format) = format_of(media_type) else {
        return Rendered::Impossible;
    };
    let Ok(examined) = metadata::examine(media_type, &mut file) else {
        return Rendered::Impossible;
    };
    let facts = examined.facts;
    let Some(shown) = facts.shown_size().filter(|_| is_affordable(&facts, memory)) else {
        return Rendered::Impossible;
    };
    if shown.0 <= width {
        return Rendered::AsItIs;
    }
    // A decoder that panics has met a file that it cannot decode.
    let drawn =
        std::panic::catch_unwind(move || draw(file, format, &facts, fit(shown, width), memory));
    match drawn {
        Ok(Ok((kind, bytes))) => Rendered::Copy(kind, bytes),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a picture could not be decoded");
            Rendered::Impossible
        }
        Err(_) => Rendered::Impossible,
    }
}

fn is_affordable(facts: &Facts, memory: u64) -> bool {
    let (width, height) = facts.size.unwrap_or_default();
    let pixels = u64::from(width) * u64::from(height);
    let needed = pixels.checked_mul(facts.bytes_per_pixel.max(1));
    needed.is_some_and(|needed| needed <= memory) && facts.scans <= MAX_SCANS
}

/// The size of the copy: `width` across, and less if that would be a ribbon.
fn fit((width, height): (u32, u32), wanted: u32) -> (u32, u32) {
    let (width, height, wanted) = (u64::from(width), u64::from(height), u64::from(wanted));
    let scaled = (height * wanted / width).max(1);
    let highest = wanted * MAX_PROPORTION;
    let (across, down) = if scaled > highest {
        ((width * highest / height).max(1), highest)
    } else {
        (wanted, scaled)
    };
    let side = |side| u32::try_from(side).unwrap_or(u32::MAX);
    (side(across), side(down))
}

fn draw(
    mut file: File,
    format: ImageFormat,
    facts: &Facts,
    (across, down): (u32, u32),
    memory: u64,
) -> image::ImageResult<(Kind, Vec<u8>)> {
    file.rewind()?;
    let mut reader = ImageReader::with_format(BufReader::new(file), format);
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(memory);
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    let profile = decoder.icc_profile().ok().flatten();
    let picture = DynamicImage::from_decoder(decoder)?;
    let orientation = facts.orientation.and_then(Orientation::from_exif);
    let is_turned = matches!(facts.orientation, Some(5..=8));
    let (x, y) = if is_turned {
        (down, across)
    } else {
        (across, down)
    };
    let mut small = picture.thumbnail_exact(x, y);
    drop(picture);
    small.apply_orientation(orientation.unwrap_or(Orientation::NoTransforms));
    encode(&small, profile)
}

/// JPEG, or PNG where something shows through.
fn encode(small: &DynamicImage, profile: Option<Vec<u8>>) -> image::ImageResult<(Kind, Vec<u8>)> {
    let (width, height) = (small.width(), small.height());
    let mut bytes = Cursor::new(Vec::new());
    if small.color().has_alpha() {
        let pixels = small.to_rgba8();
        if pixels.pixels().any(|pixel| pixel.0[3] < 255) {
            let mut encoder = PngEncoder::new(&mut bytes);
            if let Some(profile) = matching(profile, *b"RGB ") {
                let _ = encoder.set_icc_profile(profile); // only the colours are a little off without
            }
            encoder.write_image(&pixels, width, height, ExtendedColorType::Rgba8)?;
            return Ok((Kind::Png, bytes.into_inner()));
        }
    }
    let mut encoder = JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY);
    if small.color().has_color() {
        if let Some(profile) = matching(profile, *b"RGB ") {
            let _ = encoder.set_icc_profile(profile);
        }
        let pixels = small.to_rgb8();
        encoder.write_image(&pixels, width, height, ExtendedColorType::Rgb8)?;
    } else {
        if let Some(profile) = matching(profile, *b"GRAY") {
            let _ = encoder.set_icc_profile(profile);
        }
        let pixels = small.to_luma8();
        encoder.write_image(&pixels, width, height, ExtendedColorType::L8)?;
    }
    Ok((Kind::Jpeg, bytes.into_inner()))
}

/// The profile, if it is about the colours that are written (ICC.1 §7.2.6); a picture in printing colours has become RGB.
fn matching(profile: Option<Vec<u8>>, colours: [u8; 4]) -> Option<Vec<u8>> {
    profile
        .filter(|profile| profile.len() <= MAX_PROFILE && profile.get(16..20) == Some(&colours[..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_keeps_the_proportions_and_is_no_ribbon() {
        assert_eq!(fit((4000, 3000), 320), (320, 240));
        assert_eq!(fit((3000, 4000), 320), (320, 426));
        assert_eq!(fit((1000, 1), 320), (320, 1));
        assert_eq!(fit((400, 65_000), 320), (7, 1280));
        assert_eq!(fit((u32::MAX, u32::MAX), 1280), (1280, 1280));
    }

    #[test]
    fn memory_and_scans_are_counted_before_anything_is_decoded() {
        let facts = |width, height, bytes_per_pixel, scans| Facts {
            size: Some((width, height)),
            bytes_per_pixel,
            scans,
            ..Facts::default()
        };
        assert!(is_affordable(&facts(1000, 1000, 3, 1), 3_000_000));
        assert!(!is_affordable(&facts(1000, 1000, 9, 1), 3_000_000));
        assert!(!is_affordable(
            &facts(u32::MAX, u32::MAX, 8, 1),
            u64::MAX - 1
        ));
        assert!(!is_affordable(&facts(10, 10, 3, 101), 3_000_000));
    }
}
