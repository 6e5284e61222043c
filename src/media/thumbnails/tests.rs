use std::io::Cursor;

use hyper::header::HeaderMap;
use hyper::{Method, StatusCode};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};

use super::*;

struct Gallery {
    directory: tempfile::TempDir,
    media: Media,
}

impl Gallery {
    fn open(settings: Settings) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let media = Media::open(directory.path(), settings).unwrap();
        Self { directory, media }
    }

    fn usual() -> Self {
        Self::open(Settings::with_max_file_size(1 << 30))
    }

    fn put(&self, number: u128, media_type: MediaType, bytes: &[u8]) -> String {
        let name = media_type.file_name(1, number);
        fs::write(self.directory.path().join(&name), bytes).unwrap();
        name
    }

    fn kept(&self) -> usize {
        match fs::read_dir(self.directory.path().join(DIRECTORY)) {
            Ok(entries) => entries.count(),
            Err(_) => 0,
        }
    }

    async fn small(&self, name: &str, width: u32) -> Option<(Kind, DynamicImage)> {
        match self.media.thumbnail(name, width).await.unwrap() {
            Thumbnail::AsItIs => None,
            Thumbnail::Copy(kind, file) => {
                let mut bytes = Vec::new();
                let mut file = file.into_std().await;
                io::Read::read_to_end(&mut file, &mut bytes).unwrap();
                Some((kind, image::load_from_memory(&bytes).unwrap()))
            }
        }
    }
}

fn written(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// Red on the left, blue on the right.
fn two_halves(width: u32, height: u32) -> DynamicImage {
    let pixels = RgbImage::from_fn(width, height, |x, _| {
        if x < width / 2 {
            Rgb([255, 0, 0])
        } else {
            Rgb([0, 0, 255])
        }
    });
    DynamicImage::ImageRgb8(pixels)
}

#[tokio::test]
async fn copies_are_small_and_show_the_same() {
    let gallery = Gallery::usual();
    let picture = two_halves(800, 600);
    for (number, (media_type, format)) in [
        (MediaType::Jpeg, ImageFormat::Jpeg),
        (MediaType::Png, ImageFormat::Png),
        (MediaType::Gif, ImageFormat::Gif),
        (MediaType::WebP, ImageFormat::WebP),
    ]
    .into_iter()
    .enumerate()
    {
        let name = gallery.put(number as u128, media_type, &written(&picture, format));
        for width in [160, 320, 640] {
            let (kind, small) = gallery.small(&name, width).await.unwrap();
            assert_eq!(kind, Kind::Jpeg, "nothing shows through");
            assert_eq!((small.width(), small.height()), (width, width * 3 / 4));
            let pixels = small.to_rgb8();
            assert!(pixels.get_pixel(5, 5).0[0] > 200 && pixels.get_pixel(width - 5, 5).0[2] > 200);
        }
        assert!(
            gallery.small(&name, 1280).await.is_none(),
            "it is smaller itself"
        );
    }
    assert_eq!(gallery.kept(), 12);
}

#[tokio::test]
async fn what_shows_through_still_does_and_grey_stays_grey() {
    let gallery = Gallery::usual();
    let clear = RgbaImage::from_pixel(400, 400, Rgba([1, 2, 3, 100]));
    let clear = written(&DynamicImage::ImageRgba8(clear), ImageFormat::Png);
    let (kind, small) = gallery
        .small(&gallery.put(1, MediaType::Png, &clear), 160)
        .await
        .unwrap();
    assert_eq!(
        (kind, small.to_rgba8().get_pixel(9, 9).0[3]),
        (Kind::Png, 100)
    );
    let grey = written(&two_halves(400, 400).grayscale(), ImageFormat::Jpeg);
    let (_, small) = gallery
        .small(&gallery.put(2, MediaType::Jpeg, &grey), 160)
        .await
        .unwrap();
    assert!(!small.color().has_color());
}

#[tokio::test]
async fn a_copy_is_the_right_way_up_and_says_nothing_of_places() {
    let gallery = Gallery::open(Settings {
        keep_metadata: true,
        ..Settings::with_max_file_size(1 << 20)
    });
    let plain = written(&two_halves(800, 400), ImageFormat::Jpeg);
    // 6: "the 0th row is at the visual right-hand side": red, on the left of what is stored, is seen at the top.
    let exif =
        b"\xff\xe1\0\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let turned = [&plain[..2], exif, &plain[2..]].concat();
    let name = gallery.put(1, MediaType::Jpeg, &turned);
    let (_, small) = gallery.small(&name, 320).await.unwrap();
    assert_eq!((small.width(), small.height()), (320, 640));
    let pixels = small.to_rgb8();
    assert!(pixels.get_pixel(160, 10).0[0] > 200 && pixels.get_pixel(160, 630).0[2] > 200);
    let copy = gallery
        .directory
        .path()
        .join(DIRECTORY)
        .join(format!("{name}.320.jpg"));
    assert!(
        !fs::read(copy)
            .unwrap()
            .windows(4)
            .any(|window| window == b"Exif")
    );
}

#[tokio::test]
async fn bombs_and_broken_files_have_no_copy() {
    let gallery = Gallery::open(Settings {
        thumbnail_memory: 8 << 20,
        ..Settings::with_max_file_size(1 << 20)
    });
    let mut bomb = written(&two_halves(400, 400), ImageFormat::Png);
    bomb[16..24].copy_from_slice(b"\0\0\x27\x10\0\0\x27\x10"); // 10,000 by 10,000
    let large = written(&two_halves(2000, 2000), ImageFormat::Jpeg);
    let broken = [
        &written(&two_halves(400, 400), ImageFormat::Png)[..60],
        &[0; 100],
    ]
    .concat();
    let mut scans = written(&two_halves(400, 400), ImageFormat::Jpeg);
    scans.truncate(scans.len() - 2);
    scans.extend(b"\xff\xda\0\x08\x01\x01\0\0\x3f\0".repeat(200));
    for (number, (media_type, bytes)) in [
        (MediaType::Png, bomb),
        (MediaType::Jpeg, large),
        (MediaType::Png, broken),
        (MediaType::Jpeg, scans),
        (
            MediaType::Heic,
            b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".to_vec(),
        ),
        (
            MediaType::Mp4,
            b"\0\0\0\x18ftypmp42\0\0\0\0isommp42".to_vec(),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let name = gallery.put(number as u128, media_type, &bytes);
        for _ in 0..2 {
            let refused = gallery.media.thumbnail(&name, 160).await;
            assert!(matches!(refused, Err(MediaError::NoThumbnail)), "{number}");
        }
    }
    let missing = MediaType::Jpeg.file_name(1, 99);
    assert!(matches!(
        gallery.media.thumbnail(&missing, 160).await,
        Err(MediaError::NotFound)
    ));
    assert_eq!(gallery.kept(), 0);
}

#[tokio::test]
async fn a_copy_goes_with_its_file_and_comes_back_when_it_was_removed_by_hand() {
    let gallery = Gallery::usual();
    let jpeg = written(&two_halves(800, 600), ImageFormat::Jpeg);
    let (one, two) = (
        gallery.put(1, MediaType::Jpeg, &jpeg),
        gallery.put(2, MediaType::Jpeg, &jpeg),
    );
    for name in [&one, &two] {
        gallery.small(name, 160).await.unwrap();
        gallery.small(name, 320).await.unwrap();
    }
    gallery.media.remove(&one).await.unwrap();
    assert_eq!(gallery.kept(), 2);
    fs::remove_dir_all(gallery.directory.path().join(DIRECTORY)).unwrap();
    gallery.small(&two, 160).await.unwrap();
    assert_eq!(gallery.kept(), 1);
    assert_eq!(
        gallery.media.names().unwrap(),
        [two],
        "copies are no files of their own"
    );
}

#[tokio::test]
async fn a_start_finds_the_copies_and_sweeps_what_is_none() {
    let gallery = Gallery::usual();
    let jpeg = written(&two_halves(800, 600), ImageFormat::Jpeg);
    let (one, two) = (
        gallery.put(1, MediaType::Jpeg, &jpeg),
        gallery.put(2, MediaType::Jpeg, &jpeg),
    );
    gallery.small(&one, 160).await.unwrap();
    gallery.small(&two, 160).await.unwrap();
    let directory = gallery.directory.path().join(DIRECTORY);
    fs::write(directory.join(".new-1"), "x").unwrap();
    fs::write(directory.join(format!("{two}.161.jpg")), "x").unwrap();
    fs::remove_file(gallery.directory.path().join(&one)).unwrap();
    let settings = Settings::with_max_file_size(1 << 20);
    let media = Media::open(gallery.directory.path(), settings).unwrap();
    assert_eq!(gallery.kept(), 1);
    assert_eq!(media.thumbnails.known().copies.len(), 1);
}

#[tokio::test]
async fn the_directory_is_bounded_and_what_is_wanted_stays() {
    let noise = RgbImage::from_fn(400, 400, |x, y| {
        let byte = |by: u32| u8::try_from((x * 31 + y * 17).wrapping_mul(by) >> 3 & 255).unwrap();
        Rgb([byte(7919), byte(104_729), byte(1_299_709)])
    });
    let noise = written(&DynamicImage::ImageRgb8(noise), ImageFormat::Jpeg);
    let gallery = Gallery::open(Settings {
        thumbnail_cache: 100_000,
        ..Settings::with_max_file_size(1 << 20)
    });
    let wanted = gallery.put(0, MediaType::Jpeg, &noise);
    let mut made = 0_u64;
    for number in 1..40 {
        gallery.small(&wanted, 160).await.unwrap();
        let name = gallery.put(number, MediaType::Jpeg, &noise);
        gallery.small(&name, 160).await.unwrap();
        let known = gallery.media.thumbnails.known();
        assert!(known.bytes <= 100_000);
        assert!(
            known.copies.contains_key(&(wanted.clone(), 160)),
            "the one that is wanted has gone"
        );
        made = known.bytes;
    }
    let on_disk: u64 = fs::read_dir(gallery.directory.path().join(DIRECTORY))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert_eq!(on_disk, made);
    assert!(gallery.kept() < 40, "nothing had to go");
}

#[tokio::test]
async fn a_hundred_who_ask_at_once_wait_for_one_or_are_told_to_come_again() {
    let gallery = Arc::new(Gallery::usual());
    let jpeg = written(&two_halves(800, 600), ImageFormat::Jpeg);
    let name = gallery.put(1, MediaType::Jpeg, &jpeg);
    let asking: Vec<_> = (0..100)
        .map(|_| {
            let (gallery, name) = (Arc::clone(&gallery), name.clone());
            tokio::spawn(async move {
                gallery
                    .media
                    .serve(&name, Some(320), &Method::GET, &HeaderMap::new())
                    .await
            })
        })
        .collect();
    let (mut served, mut refused) = (0, 0);
    for one in asking {
        match one.await.unwrap() {
            Ok(response) => {
                assert_eq!(response.status(), StatusCode::OK);
                assert_eq!(response.headers()["content-type"], "image/jpeg");
                served += 1;
            }
            Err(MediaError::Busy) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(
        served >= WAITING && served + refused == 100,
        "{served} {refused}"
    );
    assert_eq!(gallery.kept(), 1);
}
