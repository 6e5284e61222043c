//! What the server makes of pictures: no place is left in them, how large they are is told, small copies are given out, and
//! nobody stores more than their share.

use std::sync::Arc;

use image::ImageFormat;
use serde_json::{Value, json};

use super::media::PNG;
use super::rest::{Answer, Rest, text};
use super::server::TestServer;
use crate::support::photos;

/// A server, two users and their chat.
struct Album {
    server: TestServer,
    asha: Rest,
    rohan: Rest,
    chat: String,
}

impl Album {
    async fn open(flags: &[&str]) -> Self {
        Self::over(TestServer::start(flags).await).await
    }

    async fn over(server: TestServer) -> Self {
        let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
        let chat = rohan.chat_with(&asha).await;
        Self {
            server,
            asha,
            rohan,
            chat,
        }
    }

    async fn upload(&self, bytes: &[u8]) -> Answer {
        self.rohan.uploads(&self.chat, "IMG_1.jpg", bytes).await
    }

    async fn delete(&self, message: &Value) {
        let path = format!("/api/chat/message/{}", text(&message["_id"]));
        self.rohan.delete(&path).await.ok(200);
    }

    /// A picture of 800 by 600.
    async fn large(&self) -> Value {
        let bytes = photos::picture(800, 600, ImageFormat::Jpeg);
        self.upload(&bytes).await.ok(201)
    }

    fn thumbnails(&self) -> usize {
        let directory = self.server.data_dir().join("media/thumbnails");
        std::fs::read_dir(directory).map_or(0, Iterator::count)
    }
}

#[tokio::test]
async fn no_place_is_left_on_the_disk_or_in_the_answer() {
    let album = Album::open(&[]).await;
    for (name, bytes) in photos::all() {
        let message = album.upload(&bytes).await.ok(201);
        let media = &message["media"];
        let (width, height) = match name {
            "gif" => (64, 48),
            "mp4" | "mov" | "3gp" => (480, 640),
            "webm" | "mkv" => (320, 240),
            _ => (48, 64),
        };
        assert_eq!(
            (&media["width"], &media["height"]),
            (&json!(width), &json!(height)),
            "{name}"
        );
        let file = text(&message["mediaUrl"]);
        assert!(file.ends_with(&format!(".{name}")), "{file}");
        let on_disk = std::fs::read(album.server.data_dir().join("media").join(&file)).unwrap();
        let served = album.server.anonymous().get(&text(&media["url"])).await;
        assert!(!photos::tells(&on_disk), "{name} tells where it was made");
        assert_eq!((served.status, &served.body), (200, &on_disk), "{name}");
        assert_eq!(media["size"], on_disk.len(), "{name}");
    }
    let directory = album.server.stop().await;
    let checked = jivchat::store::verify(
        &jivchat::store::Inspection {
            data_dir: directory.path().to_owned(),
            media: Some(directory.path().join("media")),
            cache: 8 << 20,
        },
        |_, _, _| {},
    );
    assert_eq!(checked.unwrap().findings.told, [""; 0]);
}

#[tokio::test]
async fn who_wants_to_keep_everything_can() {
    let album = Album::open(&["--keep-exif"]).await;
    let bytes = photos::jpeg(64, 48, 6);
    let message = album.upload(&bytes).await.ok(201);
    assert_eq!(
        (&message["media"]["width"], &message["media"]["height"]),
        (&json!(48), &json!(64))
    );
    let served = album
        .server
        .anonymous()
        .get(&text(&message["media"]["url"]))
        .await;
    assert_eq!(served.body, bytes);
}

#[tokio::test]
async fn a_file_that_could_hide_a_place_is_refused_and_leaves_nothing() {
    let album = Album::open(&[]).await;
    let heic = photos::heif(b"heic", b"hvc1");
    for bytes in [
        [b"\xff\xd8\xff\xe0\0\x04ab", photos::SECRET].concat(),
        [
            &photos::png(8, 8, 1)[..33],
            b"\0\0\0\x01\0\0\0\0",
            photos::SECRET,
        ]
        .concat(),
        heic[..heic.len() - 60].to_vec(),
        photos::film(b"isom")[..70].to_vec(),
    ] {
        let sentence = album.upload(&bytes).await.refused(400, "invalid_media");
        assert!(sentence.starts_with("The file is damaged"), "{sentence}");
    }
    assert_eq!(album.server.media_files(), [""; 0]);
    assert!(album.rohan.messages(&album.chat).await.is_empty());
}

#[tokio::test]
async fn a_retry_is_known_by_what_was_stored() {
    let album = Album::open(&[]).await;
    let path = format!("/api/chat/{}/send-media", album.chat);
    let send = async |bytes: &[u8]| {
        let ask = album.rohan.ask("POST", &path);
        let ask = ask.header("Idempotency-Key", "k-1");
        ask.form(&[("media", Some("a"), bytes)]).answer().await
    };
    let first = send(&photos::jpeg(64, 48, 6)).await.ok(201);
    let again = send(&photos::jpeg(64, 48, 6)).await.ok(200);
    assert_eq!(again["_id"], first["_id"]);
    send(&photos::jpeg(64, 48, 8))
        .await
        .refused(409, "conflict");
    assert_eq!(album.server.media_files().len(), 1);
}

#[tokio::test]
async fn small_copies_are_given_out_like_files_and_go_with_them() {
    let album = Album::open(&[]).await;
    let message = album.large().await;
    let url = text(&message["media"]["url"]);
    let anonymous = album.server.anonymous();
    for width in [160, 320, 640] {
        let small = anonymous.get(&format!("{url}?w={width}")).await;
        assert_eq!(small.status, 200);
        for (header, value) in [
            ("content-type", "image/jpeg"),
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "default-src 'none'; sandbox"),
        ] {
            assert_eq!(small.header(header), Some(value), "{width}");
        }
        let decoded = image::load_from_memory(&small.body).unwrap();
        assert_eq!((decoded.width(), decoded.height()), (width, width * 3 / 4));
        let etag = small.header("etag").unwrap();
        assert_ne!(Some(etag), anonymous.get(&url).await.header("etag"));
        let ask = anonymous.ask("GET", &format!("{url}?w={width}"));
        let fresh = ask.header("If-None-Match", etag).answer().await;
        assert_eq!((fresh.status, fresh.body.len()), (304, 0));
        let head = anonymous
            .ask("HEAD", &format!("{url}?w={width}"))
            .answer()
            .await;
        let length = small.body.len().to_string();
        assert_eq!(head.header("content-length"), Some(length.as_str()));
    }
    let whole = anonymous.get(&format!("{url}?w=1280")).await;
    assert_eq!(
        whole.body,
        anonymous.get(&url).await.body,
        "never larger than it is"
    );
    assert_eq!(album.thumbnails(), 3);
    for width in [
        "",
        "0",
        "-1",
        "321",
        "320.0",
        "99999999999",
        "320px",
        "+320",
    ] {
        let refused = anonymous.get(&format!("{url}?w={width}")).await;
        let sentence = refused.refused(400, "invalid_request");
        assert_eq!(sentence, "w must be one of 160, 320, 640, 1280");
    }
    album.delete(&message).await;
    assert_eq!(album.thumbnails(), 0);
    anonymous
        .get(&format!("{url}?w=320"))
        .await
        .refused(404, "not_found");
}

#[tokio::test]
async fn what_cannot_be_made_small_says_so() {
    let album = Album::open(&["--thumbnail-memory", "8"]).await;
    let large = photos::picture(2000, 2000, ImageFormat::Jpeg);
    for bytes in [
        large,
        photos::heif(b"heic", b"hvc1"),
        photos::heif(b"avif", b"av01"),
        photos::film(b"isom"),
        photos::matroska(b"webm", false),
    ] {
        let message = album.upload(&bytes).await.ok(201);
        let url = text(&message["media"]["url"]);
        let anonymous = album.server.anonymous();
        let small = anonymous.get(&format!("{url}?w=320")).await;
        let sentence = small.refused(415, "unsupported_media_type");
        assert_eq!(sentence, "There is no thumbnail of this file");
        assert_eq!(anonymous.get(&url).await.status, 200);
    }
}

#[tokio::test]
async fn private_copies_are_for_participants() {
    let album = Album::open(&["--private-media"]).await;
    let url = format!("{}?w=160", text(&album.large().await["media"]["url"]));
    let anonymous = album.server.anonymous();
    anonymous.get(&url).await.refused(401, "token_missing");
    // Not even whether a width is offered is told to strangers.
    anonymous
        .get(&url.replace("160", "161"))
        .await
        .refused(401, "token_missing");
    let eve = album.server.user("eve").await;
    eve.get(&url).await.refused(403, "access_denied");
    assert_eq!(album.thumbnails(), 0, "nothing is made for strangers");
    let token = album.asha.token.as_ref().unwrap();
    let by_query = anonymous.ask("GET", &format!("{url}&token={token}"));
    let part = by_query.header("Range", "bytes=0-1").answer().await;
    assert_eq!((part.status, &part.body[..]), (206, &b"\xff\xd8"[..]));
    let cached = part.header("cache-control").unwrap();
    assert!(cached.contains("private"), "{cached}");
}

#[tokio::test]
async fn the_quota_is_counted_to_the_byte() {
    let size = PNG.len();
    let quota = (3 * size).to_string();
    let album = Album::open(&["--media-quota", &quota]).await;
    let mut sent = Vec::new();
    for _ in 0..3 {
        sent.push(album.upload(PNG).await.ok(201));
    }
    let full = async |bytes: &[u8]| {
        let sentence = album.upload(bytes).await.refused(413, "quota_exceeded");
        assert!(sentence.contains("Delete some"), "{sentence}");
    };
    full(PNG).await;
    assert_eq!(album.server.media_files().len(), 3);
    let theirs = album.asha.uploads(&album.chat, "a.png", PNG).await;
    theirs.ok(201);
    album.delete(&sent[0]).await;
    album.delete(&sent[0]).await;
    // One byte more than there is room for.
    let extended = [
        &PNG[..PNG.len() - 12],
        b"\0\0\0\0pHYs\0\0\0\0",
        &PNG[PNG.len() - 12..],
    ];
    full(&extended.concat()).await;
    album.upload(PNG).await.ok(201);
    full(PNG).await;
    // Showing a file again takes no room, and gives none back.
    let again = json!({ "content": "x", "messageType": "image", "mediaUrl": sent[1]["mediaUrl"] });
    let path = format!("/api/chat/{}/send", album.chat);
    let shown = album.rohan.post(&path, &again).await.ok(201);
    album.delete(&shown).await;
    full(PNG).await;
    let Album { server, .. } = album;
    let directory = server.stop().await;
    let server = TestServer::start_in(Arc::clone(&directory), &["--media-quota", &quota]).await;
    let album = Album::over(server).await;
    let refused = album.upload(PNG).await;
    refused.refused(413, "quota_exceeded");
    album.delete(&sent[1]).await;
    album.upload(PNG).await.ok(201);
}

#[tokio::test]
async fn a_retry_of_what_filled_the_quota_is_no_refusal() {
    let quota = PNG.len().to_string();
    let album = Album::open(&["--media-quota", &quota]).await;
    let path = format!("/api/chat/{}/send-media", album.chat);
    let send = async |key: &str| {
        let ask = album
            .rohan
            .ask("POST", &path)
            .header("Idempotency-Key", key);
        ask.form(&[("media", Some("a.png"), PNG)]).answer().await
    };
    send("k-1").await.ok(201);
    send("k-1").await.ok(200);
    send("k-2").await.refused(413, "quota_exceeded");
    assert_eq!(album.server.media_files().len(), 1);
}

#[tokio::test]
async fn many_uploads_at_once_stay_within_the_quota() {
    let quota = (5 * PNG.len()).to_string();
    let album = Album::open(&["--media-quota", &quota, "--max-uploads-per-user", "20"]).await;
    let uploads = futures_util::future::join_all((0..20).map(|_| album.upload(PNG))).await;
    let taken = uploads.iter().filter(|answer| answer.status == 201).count();
    let refused = uploads.iter().filter(|answer| answer.status == 413).count();
    assert_eq!((taken, refused), (5, 15));
    assert_eq!(album.server.media_files().len(), 5);
}

#[tokio::test]
async fn ranges_are_as_a_player_asks() {
    let album = Album::open(&[]).await;
    let message = album.upload(&photos::film(b"isom")).await.ok(201);
    let url = text(&message["media"]["url"]);
    let ask = async |method: &str, headers: &[(&str, &str)]| {
        let mut ask = album.server.anonymous().ask(method, &url);
        for (name, value) in headers {
            ask = ask.header(name, value);
        }
        ask.answer().await
    };
    let whole = ask("GET", &[]).await;
    let size = whole.body.len();
    let etag = whole.header("etag").unwrap();
    let modified = whole.header("last-modified").unwrap();
    let weak = format!("W/{etag}");
    for (if_range, status) in [
        (etag, 206),
        (modified, 206),
        (weak.as_str(), 200),
        ("\"other\"", 200),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 200),
    ] {
        let part = ask("GET", &[("Range", "bytes=4-7"), ("If-Range", if_range)]).await;
        let expected = if status == 206 {
            &whole.body[4..8]
        } else {
            &whole.body[..]
        };
        assert_eq!(
            (part.status, &part.body[..]),
            (status, expected),
            "{if_range}"
        );
    }
    for (range, status, length) in [
        ("bytes=0-", 206, size),
        ("bytes=-1", 206, 1),
        ("bytes=-999999", 206, size),
        ("bytes=0-999999", 206, size),
        ("bytes=0-0,-1", 200, size),
        ("bytes=5-4", 200, size),
        ("chars=0-1", 200, size),
        ("bytes=-0", 416, 0),
    ] {
        let answer = ask("GET", &[("Range", range)]).await;
        assert_eq!(
            (answer.status, answer.body.len()),
            (status, length),
            "{range}"
        );
        assert_eq!(answer.header("accept-ranges"), Some("bytes"), "{range}");
    }
    let head = ask("HEAD", &[("Range", "bytes=0-1")]).await;
    let length = size.to_string();
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), Some(length.as_str()));
    for tags in [etag, weak.as_str(), "*", &format!("\"a\", {etag}")] {
        let fresh = ask("GET", &[("If-None-Match", tags), ("Range", "bytes=0-1")]).await;
        assert_eq!((fresh.status, fresh.body.len()), (304, 0), "{tags}");
        assert_eq!(fresh.header("etag"), Some(etag));
    }
}
