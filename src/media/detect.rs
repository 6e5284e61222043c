//! What a file is, by its first bytes alone, and the names that are given to files. Pure. It takes only formats that no
//! browser runs: no SVG, no HTML, nothing that merely resembles a picture.

/// Enough of a file to know it by; a shorter file is judged whole.
pub(super) const HEAD_BYTES: usize = 1024;

/// The two kinds of media a message can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A still or animated picture.
    Image,
    /// A film.
    Video,
}

/// A format that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are the names of the formats")]
pub enum MediaType {
    Jpeg,
    Png,
    Gif,
    WebP,
    Avif,
    Heic,
    Mp4,
    Mov,
    WebM,
    ThreeGp,
    Mkv,
}

impl MediaType {
    const ALL: [Self; 11] = [
        Self::Jpeg,
        Self::Png,
        Self::Gif,
        Self::WebP,
        Self::Avif,
        Self::Heic,
        Self::Mp4,
        Self::Mov,
        Self::WebM,
        Self::ThreeGp,
        Self::Mkv,
    ];

    /// The format of a file that begins with `head`: a kilobyte of it, or all there is.
    pub fn detect(head: &[u8]) -> Option<Self> {
        let ours = picture(head)
            .or_else(|| iso_media(head))
            .or_else(|| ebml(head))?;
        // A file that another reader takes for something else is not what it seems.
        match infer::get(head).map(|theirs| theirs.matcher_type()) {
            None | Some(infer::MatcherType::Image | infer::MatcherType::Video) => Some(ours),
            Some(_) => None,
        }
    }

    /// The format of a name that [`MediaType::file_name`] made; `None` for any other text.
    pub fn of_name(name: &str) -> Option<Self> {
        let (stem, extension) = name.strip_prefix("chat-")?.split_once('.')?;
        let (time, random) = stem.split_once('-')?;
        let is_time = (1..=16).contains(&time.len()) && time.bytes().all(|b| b.is_ascii_digit());
        let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        let is_random = random.len() == 32 && random.bytes().all(is_hex);
        let known = Self::ALL
            .into_iter()
            .find(|known| known.extension() == extension)?;
        (is_time && is_random).then_some(known)
    }

    /// `chat-<unix ms>-<128 random bits>.<extension>`: the random bits are what gives a right to see the file.
    pub(super) fn file_name(self, unix_ms: u64, random: u128) -> String {
        format!("chat-{unix_ms}-{random:032x}.{}", self.extension())
    }

    /// As the file's name ends, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Gif => "gif",
            Self::WebP => "webp",
            Self::Avif => "avif",
            Self::Heic => "heic",
            Self::Mp4 => "mp4",
            Self::Mov => "mov",
            Self::WebM => "webm",
            Self::ThreeGp => "3gp",
            Self::Mkv => "mkv",
        }
    }

    /// As in `Content-Type`; never `text/*`.
    pub fn mime(self) -> &'static str {
        mime_guess::from_ext(self.extension())
            .first_raw()
            .unwrap_or("application/octet-stream")
    }

    /// Picture or film.
    pub fn kind(self) -> Kind {
        match self {
            Self::Jpeg | Self::Png | Self::Gif | Self::WebP | Self::Avif | Self::Heic => {
                Kind::Image
            }
            Self::Mp4 | Self::Mov | Self::WebM | Self::ThreeGp | Self::Mkv => Kind::Video,
        }
    }
}

fn picture(head: &[u8]) -> Option<MediaType> {
    if head.starts_with(b"\xff\xd8\xff") {
        return Some(MediaType::Jpeg);
    }
    // The chunk that must come first belongs to the mark.
    if head.starts_with(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR") {
        return Some(MediaType::Png);
    }
    if head.starts_with(b"GIF87a") || head.starts_with(b"GIF89a") {
        return Some(MediaType::Gif);
    }
    let is_webp = head.starts_with(b"RIFF") && head.get(8..15) == Some(b"WEBPVP8");
    is_webp.then_some(MediaType::WebP)
}

/// ISO/IEC 14496-12 §4.3: the file begins with a box `ftyp` that names its brands.
fn iso_media(head: &[u8]) -> Option<MediaType> {
    let (size, rest) = head.split_first_chunk::<4>()?;
    let size = usize::try_from(u32::from_be_bytes(*size)).ok()?;
    if !(16..=HEAD_BYTES).contains(&size) || !size.is_multiple_of(4) || head.len() < size {
        return None;
    }
    let brands = rest[..size - 4].strip_prefix(b"ftyp")?;
    let (major, compatible) = (&brands[..4], &brands[8..]);
    let has = |wanted: &[&[u8]]| compatible.chunks(4).any(|brand| wanted.contains(&brand));
    match major {
        b"avif" | b"avis" => Some(MediaType::Avif),
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" => Some(MediaType::Heic),
        b"mif1" | b"msf1" if has(&[b"avif", b"avis"]) => Some(MediaType::Avif),
        b"mif1" | b"msf1" if has(&[b"heic", b"heix", b"hevc", b"hevx"]) => Some(MediaType::Heic),
        b"qt  " => Some(MediaType::Mov),
        [b'3', b'g', b'p' | b'e' | b'g' | b'r' | b's', _] => Some(MediaType::ThreeGp),
        [b'i', b's', b'o', b'm' | b'2'..=b'9' | b'a'..=b'c']
        | [b'M', b'4', b'V', _]
        | [b'f' | b'F', b'4', b'v' | b'V', b' ']
        | b"mp41"
        | b"mp42"
        | b"mp71"
        | b"mmp4"
        | b"avc1"
        | b"MSNV"
        | b"dash"
        | b"cmfc" => Some(MediaType::Mp4),
        _ => None,
    }
}

/// RFC 8794 §11.2: an EBML header holds `DocType`, which tells `WebM` from Matroska.
fn ebml(head: &[u8]) -> Option<MediaType> {
    let rest = head.strip_prefix(b"\x1a\x45\xdf\xa3")?;
    let (size, rest) = variable_size(rest)?;
    let mut header = &rest[..size.min(rest.len())];
    while let Some((id_length, id)) = element_id(header) {
        let (size, data) = variable_size(&header[id_length..])?;
        let (data, next) = data.split_at_checked(size)?;
        if id == [0x42, 0x82] {
            // Padding with zeros is allowed.
            let end = data.iter().position(|&byte| byte == 0);
            return match &data[..end.unwrap_or(data.len())] {
                b"webm" => Some(MediaType::WebM),
                b"matroska" => Some(MediaType::Mkv),
                _ => None,
            };
        }
        header = next;
    }
    None
}

/// The leading zero bits of the first byte tell how many bytes the number has, at most eight.
fn variable_size(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let first = *bytes.first()?;
    let length = first.leading_zeros() as usize + 1;
    let (number, rest) = bytes.split_at_checked(length)?;
    let marker = 0x80_u8.checked_shr(first.leading_zeros())?;
    let value = number[1..]
        .iter()
        .fold(u64::from(first & !marker), |value, &byte| {
            (value << 8) | u64::from(byte)
        });
    Some((usize::try_from(value).ok()?, rest))
}

fn element_id(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let length = bytes.first()?.leading_zeros() as usize + 1;
    (length <= 4).then_some((length, bytes.get(..length)?))
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A file of each format, as short as it can be recognised.
    pub(in crate::media) const SAMPLES: [(MediaType, &[u8]); 16] = [
        (MediaType::Jpeg, b"\xff\xd8\xff\xe0\x00\x10JFIF\0"),
        (MediaType::Png, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01"),
        (MediaType::Gif, b"GIF89a\x01\0\x01\0"),
        (MediaType::Gif, b"GIF87a\x01\0\x01\0"),
        (MediaType::WebP, b"RIFF\x24\0\0\0WEBPVP8 \x18\0\0\0"),
        (MediaType::Avif, b"\0\0\0\x1cftypavif\0\0\0\0mif1avifmiaf"),
        (MediaType::Avif, b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif"),
        (MediaType::Heic, b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"),
        (MediaType::Heic, b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic"),
        (MediaType::Mp4, b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41"),
        (MediaType::Mp4, b"\0\0\0\x18ftypmp42\0\0\0\0isommp42"),
        (MediaType::Mov, b"\0\0\0\x14ftypqt  \0\0\0\0qt  "),
        (MediaType::ThreeGp, b"\0\0\0\x18ftyp3gp4\0\0\x03\0isom3gp4"),
        (MediaType::WebM, b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\xf7\x81\x01\x42\xf2\x81\x04\x42\xf3\x81\x08\x42\x82\x84webm\x42\x87\x81\x04"),
        (MediaType::WebM, b"\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x1f\x42\x86\x81\x01\x42\xf7\x81\x01\x42\xf2\x81\x04\x42\xf3\x81\x08\x42\x82\x40\x04webm"),
        (MediaType::Mkv, b"\x1a\x45\xdf\xa3\xa3\x42\x86\x81\x01\x42\xf7\x81\x01\x42\xf2\x81\x04\x42\xf3\x81\x08\x42\x82\x88matroska\x42\x87\x81\x04"),
    ];

    #[test]
    fn every_format_is_known_by_its_bytes() {
        for (expected, bytes) in SAMPLES {
            let long = [bytes, &[0x11; HEAD_BYTES]].concat();
            for head in [bytes, &long[..HEAD_BYTES]] {
                assert_eq!(MediaType::detect(head), Some(expected), "{head:?}");
            }
            assert_eq!(
                MediaType::detect(&bytes[1..]),
                None,
                "{expected:?} without its first byte"
            );
            let shifted = [b"<", bytes].concat();
            assert_eq!(
                MediaType::detect(&shifted),
                None,
                "{expected:?} after something else"
            );
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let others: [&[u8]; 32] = [
            b"",
            b"\0",
            b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>",
            b"<?xml version=\"1.0\"?><svg/>",
            b"\xef\xbb\xbf<svg/>",
            b"<!DOCTYPE html><script>alert(1)</script>",
            b"<html>",
            b"alert(1)//\xff\xd8\xff",
            b"#!/bin/sh\n",
            b"<?php phpinfo();",
            b"%PDF-1.7\n",
            b"PK\x03\x04",
            b"MZ\x90\0",
            b"\x7fELF\x02\x01\x01\0",
            b"BM\x36\0\0\0",
            b"II*\0\x08\0\0\0",
            b"\0\0\x01\0\x01\0",
            b"GIF88a",
            b"GIF",
            b"GIF8=1;alert(1)",
            b"\xff\xd8",
            b"\x89PNG\r\n\x1a\n",
            b"\x89PNG and more",
            b"<b>12345WEBPVP8 ",
            b"RIFF\x24\0\0\0WAVEfmt ",
            b"RIFF\x24\0\0\0AVI LIST",
            b"\0\0\0\x18ftypM4A \0\0\0\0M4A mp42",
            b"\0\0\0\x18ftypmif1\0\0\0\0mif1miaf",
            b"<h1>ftypisom\0\0\x02\0isomiso2avc1mp41",
            b"\0\0\0\x08moov",
            b"\xff\xfb\x90\x44",
            b"\x1a\x45\xdf\xa3\x86\x42\x82\x83exe",
        ];
        for head in others {
            assert_eq!(
                MediaType::detect(head),
                None,
                "{:?}",
                head.escape_ascii().to_string()
            );
            let long = [head, &[b' '; 400]].concat();
            assert_eq!(
                MediaType::detect(&long),
                None,
                "{:?}",
                head.escape_ascii().to_string()
            );
        }
    }

    #[test]
    fn types_are_never_text() {
        for known in MediaType::ALL {
            let expected = match known.kind() {
                Kind::Image => "image/",
                Kind::Video => "video/",
            };
            assert!(known.mime().starts_with(expected), "{}", known.mime());
            assert_ne!(known.mime(), "image/svg+xml");
        }
    }

    #[test]
    fn names_are_ours_or_none() {
        let name = MediaType::Mov.file_name(1_640_995_200_123, 0xabc);
        assert_eq!(
            name,
            "chat-1640995200123-00000000000000000000000000000abc.mov"
        );
        assert_eq!(MediaType::of_name(&name), Some(MediaType::Mov));
        let random = "0".repeat(32);
        for other in [
            format!("chat-1-{random}"),
            format!("chat-1-{random}."),
            format!("chat-1-{random}.svg"),
            format!("chat-1-{random}.JPG"),
            format!("chat-1-{random}.jpg.html"),
            format!("chat-1-{random}.jpg "),
            format!("chat-1-{random}.jpg\0"),
            format!("chat--{random}.jpg"),
            format!("chat-x-{random}.jpg"),
            format!("chat-1-{random}0.jpg"),
            format!("chat-1-{}.jpg", &random[1..]),
            format!("chat-1-{}.jpg", "A".repeat(32)),
            format!("chat-{}-{random}.jpg", "1".repeat(17)),
            format!("chat-1-{}.jpg", "../".repeat(11)),
            format!("../chat-1-{random}.jpg"),
            format!("/chat-1-{random}.jpg"),
            String::new(),
            ".".into(),
            "..".into(),
            ".upload-1".into(),
        ] {
            assert_eq!(MediaType::of_name(&other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_without_a_panic(head in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = MediaType::detect(&head);
        }

        #[test]
        fn broken_containers_are_judged_without_a_panic(
            (sample, cut) in (0..SAMPLES.len(), any::<prop::sample::Index>()),
            at: prop::sample::Index,
            to: u8,
        ) {
            let mut head = SAMPLES[sample].1.to_vec();
            let at = at.index(head.len());
            head[at] = to;
            let _ = MediaType::detect(&head[..cut.index(head.len() + 1)]);
        }

        #[test]
        fn names_have_no_path(name in "[a-z0-9./\\\\-]{0,60}") {
            if MediaType::of_name(&name).is_some() {
                prop_assert!(!name.contains(['/', '\\']) && !name.contains(".."));
            }
        }
    }
}
