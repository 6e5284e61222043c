use std::io::Cursor;

use image::{DynamicImage, ImageFormat};
use proptest::prelude::*;

use super::*;

#[path = "../../../tests/it/support/photos.rs"]
mod photos;

use photos::{CODED, tells};

/// The file as it is stored, and what is known of it.
fn clean(bytes: &[u8]) -> Result<(Vec<u8>, Facts), Malformed> {
    let media_type = MediaType::detect(bytes).unwrap();
    let mut file = Cursor::new(bytes.to_vec());
    let examined = examine(media_type, &mut file)?;
    let length = examined.edits.apply(&mut file)?;
    let mut bytes = file.into_inner();
    bytes.truncate(usize::try_from(length).unwrap());
    Ok((bytes, examined.facts))
}

fn decode(bytes: &[u8], format: ImageFormat) -> DynamicImage {
    image::load_from_memory_with_format(bytes, format).unwrap()
}

#[test]
fn no_format_keeps_its_place() {
    for (name, bytes) in photos::all() {
        assert!(tells(&bytes), "{name} has no place to begin with");
        let (cleaned, facts) = clean(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!tells(&cleaned), "{name} tells where it was made");
        assert_eq!(
            MediaType::detect(&cleaned),
            MediaType::detect(&bytes),
            "{name}"
        );
        let expected = match name {
            "gif" => (64, 48),
            "mp4" | "mov" | "3gp" => (480, 640),
            "webm" | "mkv" => (320, 240),
            _ => (48, 64),
        };
        assert_eq!(facts.shown_size(), Some(expected), "{name}");
        let (again, same) = clean(&cleaned).unwrap();
        assert_eq!(
            (again == cleaned, same.shown_size()),
            (true, facts.shown_size()),
            "{name} is not stable"
        );
    }
}

#[test]
fn what_is_cut_out_leaves_the_same_pixels_the_same_way_up() {
    for (bytes, format) in [
        (photos::jpeg(64, 48, 6), ImageFormat::Jpeg),
        (photos::png(64, 48, 6), ImageFormat::Png),
        (photos::webp(64, 48, 6), ImageFormat::WebP),
        (photos::gif(64, 48), ImageFormat::Gif),
    ] {
        let (cleaned, facts) = clean(&bytes).unwrap();
        assert_eq!(
            decode(&cleaned, format),
            decode(&bytes, format),
            "{format:?}"
        );
        let expected = (format != ImageFormat::Gif).then_some(6);
        assert_eq!(facts.orientation, expected, "{format:?}");
        // As another reader sees it.
        let mut decoder = image::ImageReader::with_format(Cursor::new(&cleaned), format)
            .into_decoder()
            .unwrap();
        let seen = image::ImageDecoder::orientation(&mut decoder)
            .unwrap()
            .to_exif();
        assert_eq!(seen, expected.unwrap_or(1), "{format:?}");
    }
}

#[test]
fn a_picture_the_usual_way_up_keeps_no_exif_at_all() {
    for (_, bytes) in [
        ("jpg", photos::jpeg(8, 8, 1)),
        ("png", photos::png(8, 8, 1)),
        ("webp", photos::webp(8, 8, 1)),
    ] {
        let (cleaned, facts) = clean(&bytes).unwrap();
        assert_eq!(facts.orientation, None);
        let has = |mark: &[u8]| cleaned.windows(mark.len()).any(|window| window == mark);
        assert!(!has(b"Exif") && !has(b"eXIf") && !has(b"EXIF"));
    }
}

#[test]
fn in_files_full_of_places_nothing_moves() {
    for (name, bytes) in photos::all() {
        if matches!(name, "jpg" | "png" | "webp" | "gif") {
            continue;
        }
        let (cleaned, _) = clean(&bytes).unwrap();
        assert_eq!(cleaned.len(), bytes.len(), "{name}");
        let found = |bytes: &[u8]| {
            bytes
                .windows(CODED.len())
                .position(|window| window == CODED)
        };
        assert_eq!(found(&cleaned), found(&bytes), "{name}");
    }
}

/// The head of a box that says what it likes.
fn head(size: u32, kind: &[u8]) -> Vec<u8> {
    [&size.to_be_bytes()[..], kind].concat()
}

#[test]
fn what_cannot_be_followed_is_refused() {
    let ftyp = photos::boxed(b"ftyp", &[b"isom\0\0\0\0isom"]);
    let heic = photos::heif(b"heic", b"hvc1");
    let film = photos::film(b"isom");
    let changed = |bytes: &[u8], from: &[u8], to: &[u8]| {
        let at = bytes
            .windows(from.len())
            .position(|window| window == from)
            .unwrap();
        [&bytes[..at], to, &bytes[at + from.len()..]].concat()
    };
    let fragment = photos::boxed(b"moof", &[&photos::boxed(b"mfhd", &[&[0; 8]])]);
    for (why, bytes) in [
        (
            "garbage between segments",
            b"\xff\xd8\xff\xe0\0\x04ab garbage".to_vec(),
        ),
        (
            "a segment shorter than its head",
            b"\xff\xd8\xff\xe0\0\x01abcdef".to_vec(),
        ),
        (
            "a chunk that is none",
            [&photos::png(8, 8, 6)[..33], b"\0\0\0\x01\0\0\0\0abcdefgh"].concat(),
        ),
        (
            "a chunk of four gigabytes",
            [&photos::png(8, 8, 6)[..33], b"\xff\xff\xff\xfftEXtabcdefgh"].concat(),
        ),
        (
            "a container without a picture",
            b"RIFF\x04\0\0\0WEBPVP8 \0\0\0\0".to_vec(),
        ),
        (
            "a box longer than the file",
            [&ftyp[..], &head(0xffff, b"moov")].concat(),
        ),
        (
            "a box shorter than its head",
            [&ftyp[..], &head(7, b"moov"), b"abc"].concat(),
        ),
        (
            "a size that overflows",
            [&ftyp[..], &head(1, b"moov"), &[0xff; 8], b"abc"].concat(),
        ),
        ("garbage after the boxes", [&ftyp[..], b"abc"].concat()),
        (
            "two tables of contents too many",
            [&ftyp[..], &photos::boxed(b"moov", &[]).repeat(3)].concat(),
        ),
        (
            "a compressed table of contents",
            [
                &ftyp[..],
                &photos::boxed(b"moov", &[&photos::boxed(b"cmov", &[])]),
            ]
            .concat(),
        ),
        (
            "EXIF outside the data",
            changed(
                &heic,
                b"\0\x02\0\0\0\0\0\x01\0\0\x01",
                b"\0\x02\0\0\0\0\0\x01\0\0\x00",
            ),
        ),
        (
            "EXIF in another item",
            changed(&heic, b"\0\x02\0\0\0\0\0\x01", b"\0\x02\0\x02\0\0\0\x01"),
        ),
        (
            "EXIF without a place",
            changed(&heic, b"\0\x02\0\0\0\0\0\x01", b"\0\x09\0\0\0\0\0\x01"),
        ),
        ("no places at all", changed(&heic, b"iloc", b"iref")),
        (
            "a track of metadata in fragments",
            [&film[..], &fragment].concat(),
        ),
        (
            "an element without a name",
            b"\x1a\x45\xdf\xa3\x87\x42\x82\x84webm\0\0\0\0".to_vec(),
        ),
    ] {
        assert!(matches!(clean(&bytes), Err(Malformed::Broken(_))), "{why}");
    }
}

#[test]
fn files_that_were_cut_short_tell_nothing_either() {
    for (name, bytes) in photos::all() {
        for length in 1..bytes.len() {
            let Some(media_type) = MediaType::detect(&bytes[..length]) else {
                continue;
            };
            assert!(MediaType::of_name(&media_type.file_name(1, 1)).is_some());
            if let Ok((cleaned, _)) = clean(&bytes[..length]) {
                assert!(!tells(&cleaned), "{name} of {length} bytes");
            }
        }
    }
}

#[test]
fn a_file_that_names_one_stretch_a_thousand_times_costs_one_pass() {
    let mut edits = Edits::default();
    for at in 0..50_000 {
        edits.zero(at % 7..4 << 20).unwrap();
    }
    let mut file = Cursor::new(vec![1; 4 << 20]);
    edits.apply(&mut file).unwrap();
    assert!(file.into_inner().iter().all(|&byte| byte == 0));
    for at in 0..200_000 {
        if edits.cut(at * 2..at * 2 + 1).is_err() {
            return;
        }
    }
    panic!("a plan without an end");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn damaged_files_are_examined_without_a_panic(
        which: prop::sample::Index,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut: prop::sample::Index,
    ) {
        let all = photos::all();
        let mut bytes = all[which.index(all.len())].1.clone();
        for (at, to) in damage {
            let at = at.index(bytes.len());
            bytes[at] = to;
        }
        bytes.truncate(cut.index(bytes.len() * 4).max(1));
        if MediaType::detect(&bytes).is_some()
            && let Ok((cleaned, _)) = clean(&bytes)
        {
            prop_assert!(cleaned.len() <= bytes.len());
        }
    }
}
