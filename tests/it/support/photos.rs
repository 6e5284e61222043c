//! Pictures and films that tell where they were made, put together byte by byte. Every place in them holds the word
//! [`SECRET`]. What is around it is as cameras write it.

#![allow(
    dead_code,
    reason = "each of the two who include this needs a part of it"
)]

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

/// What must not be found afterwards.
pub(crate) const SECRET: &[u8] = b"28.6139N";

/// Whether `bytes` hold the secret.
pub(crate) fn tells(bytes: &[u8]) -> bool {
    bytes.windows(SECRET.len()).any(|window| window == SECRET)
}

/// A picture whose left half is red and right half blue.
pub(crate) fn picture(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let pixels = RgbImage::from_fn(width, height, |x, _| {
        if x < width / 2 {
            Rgb([255, 0, 0])
        } else {
            Rgb([0, 0, 255])
        }
    });
    let mut bytes = Cursor::new(Vec::new());
    let picture = DynamicImage::ImageRgb8(pixels);
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A TIFF block with an orientation, a camera's name and a GPS directory.
pub(crate) fn exif(orientation: u8) -> Vec<u8> {
    let mut tiff = b"II\x2a\0\x08\0\0\0".to_vec();
    let directory = |entries: &[(u16, u16, u32, [u8; 4])]| {
        let count = u16::try_from(entries.len()).unwrap();
        let mut bytes = count.to_le_bytes().to_vec();
        for (tag, kind, count, value) in entries {
            bytes.extend_from_slice(&tag.to_le_bytes());
            bytes.extend_from_slice(&kind.to_le_bytes());
            bytes.extend_from_slice(&count.to_le_bytes());
            bytes.extend_from_slice(value);
        }
        bytes.extend_from_slice(&[0; 4]);
        bytes
    };
    let length = u32::try_from(SECRET.len()).unwrap();
    // 8 + 2 + 3 * 12 + 4 = 50; then the GPS directory of 2 + 2 * 12 + 4 = 30; then texts.
    tiff.extend(directory(&[
        (0x010f, 2, length, 80_u32.to_le_bytes()),
        (0x0112, 3, 1, [orientation, 0, 0, 0]),
        (0x8825, 4, 1, 50_u32.to_le_bytes()),
    ]));
    tiff.extend(directory(&[
        (0x0001, 2, 2, *b"N\0\0\0"),
        (0x001c, 7, length, 80_u32.to_le_bytes()),
    ]));
    tiff.extend_from_slice(SECRET);
    tiff
}

fn segment(marker: u8, parts: &[&[u8]]) -> Vec<u8> {
    let data = parts.concat();
    let length = u16::try_from(data.len() + 2).unwrap();
    [&[0xff, marker][..], &length.to_be_bytes(), &data].concat()
}

/// EXIF, XMP, IPTC, a comment, and another picture behind the end.
pub(crate) fn jpeg(width: u32, height: u32, orientation: u8) -> Vec<u8> {
    let plain = picture(width, height, ImageFormat::Jpeg);
    [
        &plain[..2],
        &segment(0xe1, &[b"Exif\0\0", &exif(orientation)]),
        &segment(
            0xe1,
            &[b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>", SECRET],
        ),
        &segment(0xed, &[b"Photoshop 3.0\08BIM\x04\x04\0\0", SECRET]),
        &segment(0xe2, &[b"MPF\0", SECRET]),
        &segment(0xfe, &[SECRET]),
        &plain[2..],
        b"\xff\xd8",
        &segment(0xe1, &[b"Exif\0\0", &exif(1)]),
        b"\xff\xd9",
    ]
    .concat()
}

fn chunk(kind: &[u8], data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap();
    let body = [kind, data].concat();
    let checksum = crc32fast::hash(&body);
    [&length.to_be_bytes()[..], &body, &checksum.to_be_bytes()].concat()
}

/// EXIF, texts, a time, and something behind the end.
pub(crate) fn png(width: u32, height: u32, orientation: u8) -> Vec<u8> {
    let plain = picture(width, height, ImageFormat::Png);
    [
        &plain[..33],
        &chunk(b"eXIf", &exif(orientation)),
        &chunk(b"iTXt", &[b"XML:com.adobe.xmp\0\0\0\0\0", SECRET].concat()),
        &chunk(b"tEXt", &[b"Comment\0", SECRET].concat()),
        &chunk(b"prVt", SECRET),
        &plain[33..],
        SECRET,
    ]
    .concat()
}

fn riff(kind: &[u8], data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap();
    let pad = &[0][..data.len() % 2];
    [kind, &length.to_le_bytes(), data, pad].concat()
}

/// EXIF, XMP and a chunk that nobody knows.
pub(crate) fn webp(width: u32, height: u32, orientation: u8) -> Vec<u8> {
    let plain = picture(width, height, ImageFormat::WebP);
    let coded = plain[12..].to_vec();
    assert!(coded.starts_with(b"VP8L"));
    let canvas = |side: u32| (side - 1).to_le_bytes()[..3].to_vec();
    let extended = [b"\x0c\0\0\0".to_vec(), canvas(width), canvas(height)].concat();
    let chunks = [
        riff(b"VP8X", &extended),
        coded,
        riff(b"EXIF", &exif(orientation)),
        riff(b"XMP ", &[&b"<x:xmpmeta>"[..], SECRET].concat()),
        riff(b"priv", SECRET),
    ]
    .concat();
    let size = u32::try_from(chunks.len() + 4).unwrap();
    [b"RIFF", &size.to_le_bytes()[..], b"WEBP", &chunks, SECRET].concat()
}

/// A comment and XMP.
pub(crate) fn gif(width: u32, height: u32) -> Vec<u8> {
    let plain = picture(width, height, ImageFormat::Gif);
    let table = if plain[10] & 0x80 == 0 {
        0
    } else {
        3 << ((plain[10] & 7) + 1)
    };
    let length = u8::try_from(SECRET.len()).unwrap();
    let (head, rest) = plain.split_at(13 + table);
    [
        head,
        b"\x21\xfe",
        &[length],
        SECRET,
        b"\0\x21\xff\x0bXMP DataXMP",
        &[length],
        SECRET,
        b"\0",
        rest,
        SECRET,
    ]
    .concat()
}

/// A box.
pub(crate) fn boxed(kind: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let data = parts.concat();
    let size = u32::try_from(data.len() + 8).unwrap();
    [&size.to_be_bytes()[..], kind, &data].concat()
}

/// What stands for a coded picture or its samples.
pub(crate) const CODED: &[u8] = b"these are the coded samples";

/// A HEIC or AVIF of one picture, 64 by 48, turned by a quarter, with EXIF in `mdat` and XMP in `idat`.
pub(crate) fn heif(brand: &[u8], item: &[u8]) -> Vec<u8> {
    let ftyp = boxed(b"ftyp", &[brand, b"\0\0\0\0mif1", brand]);
    let infe = |id: u8, kind: &[u8], more: &[u8]| {
        boxed(
            b"infe",
            &[b"\x02\0\0\0\0", &[id], b"\0\0", kind, b"\0", more],
        )
    };
    let exif = [&b"\0\0\0\0"[..], &exif(6)].concat();
    let xmp = [&b"<x:xmpmeta>"[..], SECRET].concat();
    let size = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_be_bytes();
    let meta = |offset: u32| {
        let place = |id: u8, method: u8, offset: u32, length: [u8; 4]| {
            [
                &[0, id, 0, method, 0, 0, 0, 1][..],
                &offset.to_be_bytes(),
                &length,
            ]
            .concat()
        };
        boxed(
            b"meta",
            &[
                b"\0\0\0\0",
                &boxed(
                    b"hdlr",
                    &[b"\0\0\0\0\0\0\0\0pict\0\0\0\0\0\0\0\0\0\0\0\0\0"],
                ),
                &boxed(b"pitm", &[b"\0\0\0\0\0\x01"]),
                &boxed(
                    b"iloc",
                    &[
                        b"\x01\0\0\0\x44\0\0\x03",
                        &place(1, 0, offset, size(CODED)),
                        &place(
                            2,
                            0,
                            offset + u32::try_from(CODED.len()).unwrap(),
                            size(&exif),
                        ),
                        &place(3, 1, 0, size(&xmp)),
                    ],
                ),
                &boxed(
                    b"iinf",
                    &[
                        b"\0\0\0\0\0\x03",
                        &infe(1, item, b""),
                        &infe(2, b"Exif", b""),
                        &infe(3, b"mime", b"application/rdf+xml\0"),
                    ],
                ),
                &boxed(
                    b"iprp",
                    &[
                        &boxed(
                            b"ipco",
                            &[
                                &boxed(b"ispe", &[b"\0\0\0\0\0\0\0\x40\0\0\0\x30"]),
                                &boxed(b"irot", &[b"\x01"]),
                            ],
                        ),
                        &boxed(b"ipma", &[b"\0\0\0\0\0\0\0\x01\0\x01\x02\x81\x82"]),
                    ],
                ),
                &boxed(b"idat", &[&xmp]),
                &boxed(b"uuid", &[b"0123456789abcdef", SECRET]),
            ],
        )
    };
    let offset = u32::try_from(ftyp.len() + meta(0).len() + 8).unwrap();
    [
        ftyp,
        meta(offset),
        boxed(b"mdat", &[CODED, &exif]),
        boxed(b"uuid", &[SECRET]),
    ]
    .concat()
}

/// A track with one chunk of samples at `offset`.
fn track(handler: &[u8], offset: u32, sizes: &[u32], more: &[u8]) -> Vec<u8> {
    let count = u32::try_from(sizes.len()).unwrap().to_be_bytes();
    let sizes: Vec<u8> = sizes.iter().flat_map(|size| size.to_be_bytes()).collect();
    // A quarter turn: 0 1 0, -1 0 0, 0 0 1.
    let matrix =
        b"\0\0\0\0\0\x01\0\0\0\0\0\0\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x40\0\0\0";
    boxed(
        b"trak",
        &[
            &boxed(b"tkhd", &[&[0; 40], matrix, b"\x02\x80\0\0\x01\xe0\0\0"]),
            &boxed(
                b"mdia",
                &[
                    &boxed(b"mdhd", &[&[0; 24]]),
                    &boxed(b"hdlr", &[&[0; 8], handler, &[0; 13]]),
                    &boxed(
                        b"minf",
                        &[&boxed(
                            b"stbl",
                            &[
                                &boxed(b"stsd", &[&[0; 8]]),
                                &boxed(
                                    b"stsc",
                                    &[b"\0\0\0\0\0\0\0\x01\0\0\0\x01", &count, b"\0\0\0\x01"],
                                ),
                                &boxed(b"stsz", &[&[0; 8], &count, &sizes]),
                                &boxed(b"stco", &[b"\0\0\0\0\0\0\0\x01", &offset.to_be_bytes()]),
                            ],
                        )],
                    ),
                ],
            ),
            more,
        ],
    )
}

/// A film, 640 by 480, turned by a quarter, with its place in each of the ways that phones and drones write it.
pub(crate) fn film(brand: &[u8]) -> Vec<u8> {
    let ftyp = boxed(b"ftyp", &[brand, b"\0\0\0\0", brand]);
    let begin = u32::try_from(ftyp.len() + 8).unwrap();
    let secret = u32::try_from(SECRET.len()).unwrap();
    let udta = boxed(
        b"udta",
        &[
            &boxed(b"\xa9xyz", &[b"\0\x08\x15\xc7", SECRET]),
            &boxed(b"loci", &[b"\0\0\0\0", SECRET]),
            b"\0\0\0\0",
        ],
    );
    let keys = boxed(
        b"meta",
        &[
            &boxed(b"hdlr", &[&[0; 8], b"mdta", &[0; 13]]),
            &boxed(b"keys", &[b"com.apple.quicktime.location.ISO6709", SECRET]),
            &boxed(b"ilst", &[SECRET]),
        ],
    );
    let coded = u32::try_from(CODED.len()).unwrap();
    [
        ftyp,
        boxed(b"mdat", &[CODED, SECRET, SECRET]),
        boxed(
            b"moov",
            &[
                &boxed(b"mvhd", &[&[0; 100]]),
                &track(b"vide", begin, &[coded - 7, 7], &udta),
                &track(b"meta", begin + coded, &[secret, secret], b""),
                &udta,
                &keys,
                &boxed(b"uuid", &[b"0123456789abcdef", SECRET]),
                &boxed(b"free", &[SECRET]),
            ],
        ),
        boxed(b"sefd", &[SECRET]),
    ]
    .concat()
}

fn element(id: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let data = parts.concat();
    let size = u32::try_from(data.len()).unwrap() | 0x1000_0000;
    [id, &size.to_be_bytes(), &data].concat()
}

/// A film, 320 by 240, with tags; `endless` as a browser records it, not knowing how long it will be.
pub(crate) fn matroska(doc_type: &[u8], endless: bool) -> Vec<u8> {
    let header = element(b"\x1a\x45\xdf\xa3", &[&element(b"\x42\x82", &[doc_type])]);
    let tags = element(
        b"\x12\x54\xc3\x67",
        &[&element(b"\x45\xa3", &[b"LOCATION"]), SECRET],
    );
    let film = element(
        b"\xe0",
        &[
            &element(b"\xb0", &[b"\x01\x40"]),
            &element(b"\xba", &[b"\xf0"]),
        ],
    );
    let tracks = element(
        b"\x16\x54\xae\x6b",
        &[&element(b"\xae", &[&element(b"\x83", &[b"\x01"]), &film])],
    );
    let block = element(b"\xa3", &[CODED]);
    let attachments = element(b"\x19\x41\xa4\x69", &[SECRET]);
    if endless {
        let unknown = b"\x01\xff\xff\xff\xff\xff\xff\xff";
        return [
            &header[..],
            b"\x18\x53\x80\x67",
            unknown,
            &tracks,
            &tags,
            b"\x1f\x43\xb6\x75",
            unknown,
            &block,
            b"\x1f\x43\xb6\x75",
            unknown,
            &block,
            &tags,
        ]
        .concat();
    }
    let cluster = element(b"\x1f\x43\xb6\x75", &[&block]);
    let segment = element(
        b"\x18\x53\x80\x67",
        &[&tracks, &cluster, &tags, &attachments],
    );
    [header, segment].concat()
}

/// One of each, with its type by its extension.
pub(crate) fn all() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("jpg", jpeg(64, 48, 6)),
        ("png", png(64, 48, 6)),
        ("webp", webp(64, 48, 6)),
        ("gif", gif(64, 48)),
        ("heic", heif(b"heic", b"hvc1")),
        ("avif", heif(b"avif", b"av01")),
        ("mp4", film(b"isom")),
        ("mov", film(b"qt  ")),
        ("3gp", film(b"3gp4")),
        ("webm", matroska(b"webm", false)),
        ("webm", matroska(b"webm", true)),
        ("mkv", matroska(b"matroska", false)),
    ]
}
