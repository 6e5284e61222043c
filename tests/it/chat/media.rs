//! Pictures and videos: what is taken, what is refused and leaves nothing, and how files are given out.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::rest::{Answer, Rest, text};
use super::server::TestServer;
use super::sockets::Client;
use super::within;

/// A whole picture: one transparent pixel.
pub(super) const PNG: &[u8] =
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\
    \0\0\0\nIDATx\x9cc\0\x01\0\0\x05\0\x01\r\n\x2d\xb4\0\0\0\0IEND\xaeB`\x82";

/// An ISO base media file that has nothing but its brands.
fn iso(brand: &str) -> Vec<u8> {
    [
        b"\0\0\0\x14ftyp",
        brand.as_bytes(),
        b"\0\0\0\0",
        brand.as_bytes(),
        b"\0\0\0\x08free",
    ]
    .concat()
}

fn ebml(doc_type: &str) -> Vec<u8> {
    let length = u8::try_from(doc_type.len()).unwrap();
    let mut bytes = vec![
        0x1a,
        0x45,
        0xdf,
        0xa3,
        0x80 | (length + 3),
        0x42,
        0x82,
        0x80 | length,
    ];
    bytes.extend_from_slice(doc_type.as_bytes());
    bytes
}

/// A server, two users and their chat.
struct Studio {
    server: TestServer,
    asha: Rest,
    rohan: Rest,
    chat: String,
}

impl Studio {
    async fn open(flags: &[&str]) -> Self {
        let server = TestServer::start(flags).await;
        let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
        let chat = rohan.chat_with(&asha).await;
        Self {
            server,
            asha,
            rohan,
            chat,
        }
    }

    async fn upload(&self, name: &str, bytes: &[u8]) -> Answer {
        self.rohan.uploads(&self.chat, name, bytes).await
    }

    async fn form(&self, fields: &[(&str, Option<&str>, &[u8])]) -> Answer {
        let path = format!("/api/chat/{}/send-media", self.chat);
        self.rohan.ask("POST", &path).form(fields).answer().await
    }

    /// Uploads a picture and answers where it is served.
    async fn picture(&self) -> String {
        let message = self.upload("a.png", PNG).await.ok(201);
        text(&message["media"]["url"])
    }

    async fn assert_empty(&self) {
        assert_eq!(
            self.server.media_files(),
            [""; 0],
            "nothing stays on the disk"
        );
        assert!(self.rohan.messages(&self.chat).await.is_empty());
    }
}

#[tokio::test]
async fn every_kind_of_picture_and_film_is_taken_for_what_it_is() {
    // As they come: most of them are mere beginnings.
    let studio = Studio::open(&["--keep-exif"]).await;
    let jpeg = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xff\xd9".to_vec();
    let gif = b"GIF89a\x01\0\x01\0\0\0\0;".to_vec();
    let webp = b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f\0\0\0\x10\x07\x10\x11\x11\x88\x88\xfe\x07\0"
        .to_vec();
    let files = [
        (jpeg, "image", "jpg", "image/jpeg"),
        (PNG.to_vec(), "image", "png", "image/png"),
        (gif, "image", "gif", "image/gif"),
        (webp, "image", "webp", "image/webp"),
        (iso("avif"), "image", "avif", "image/avif"),
        (iso("heic"), "image", "heic", "image/heic"),
        (iso("isom"), "video", "mp4", "video/mp4"),
        (iso("qt  "), "video", "mov", "video/quicktime"),
        (ebml("webm"), "video", "webm", "video/webm"),
        (iso("3gp4"), "video", "3gp", "video/3gpp"),
        (ebml("matroska"), "video", "mkv", "video/x-matroska"),
    ];
    let mut socket = Client::connect(&studio.server, &studio.asha).await;
    for (bytes, kind, extension, mime) in files {
        let answer = studio.upload("evil.html", &bytes).await;
        let message = answer.says(201, "Media message sent successfully");
        assert_eq!(
            (&message["messageType"], &message["status"]),
            (&json!(kind), &json!("sent"))
        );
        assert_eq!(message["content"], format!("Sent {kind}"));
        let name = text(&message["mediaUrl"]);
        let (stem, found) = name.split_once('.').unwrap();
        let parts: Vec<_> = stem.split('-').collect();
        assert_eq!(
            (parts.len(), parts[0], found),
            (3, "chat", extension),
            "{name}"
        );
        assert!(
            parts[1].parse::<u64>().unwrap() > 1_600_000_000_000,
            "{name}"
        );
        assert_eq!(parts[2].len(), 32, "{name}");
        let url = format!("/uploads/chat_media/{name}");
        let media = &message["media"];
        assert_eq!(
            (&media["url"], &media["mimeType"], &media["size"]),
            (&json!(url), &json!(mime), &json!(bytes.len()))
        );
        assert_eq!(socket.event("newMessage").await, message);

        let served = studio.server.anonymous().get(&url).await;
        assert_eq!((served.status, &served.body), (200, &bytes));
        for (header, value) in [
            ("content-type", mime),
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "default-src 'none'; sandbox"),
            ("accept-ranges", "bytes"),
        ] {
            assert_eq!(served.header(header), Some(value), "{name}");
        }
    }
    assert_eq!(studio.server.media_files().len(), 11);
}

#[tokio::test]
async fn captions_and_retries_go_with_a_file() {
    let studio = Studio::open(&[]).await;
    let captioned = [
        ("content", None, "नमस्ते".as_bytes()),
        ("media", Some("a.png"), PNG),
    ];
    assert_eq!(studio.form(&captioned).await.ok(201)["content"], "नमस्ते");
    let behind = [
        ("media", Some("a.png"), PNG),
        ("content", None, b"behind"),
        ("other", None, b"x"),
    ];
    assert_eq!(studio.form(&behind).await.ok(201)["content"], "behind");
    let blank = [("content", None, &b"  "[..]), ("media", Some("a.png"), PNG)];
    assert_eq!(studio.form(&blank).await.ok(201)["content"], "Sent image");

    let path = format!("/api/chat/{}/send-media", studio.chat);
    let retry = async |bytes: &[u8]| {
        let ask = studio
            .rohan
            .ask("POST", &path)
            .header("Idempotency-Key", "k-1");
        ask.form(&[("media", Some("a.png"), bytes)]).answer().await
    };
    let first = retry(PNG).await.ok(201);
    let again = retry(PNG).await.ok(200);
    assert_eq!(again["mediaUrl"], first["mediaUrl"]);
    let other = [
        &PNG[..PNG.len() - 12],
        b"\0\0\0\0pHYs\0\0\0\0",
        &PNG[PNG.len() - 12..],
    ];
    retry(&other.concat()).await.refused(409, "conflict");
    assert_eq!(
        studio.server.media_files().len(),
        4,
        "the copies of the retries are gone"
    );
}

#[tokio::test]
async fn what_a_browser_would_run_is_refused_under_any_name() {
    let studio = Studio::open(&[]).await;
    let svg = br#"<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>"#;
    let html = b"<!DOCTYPE html><script>alert(1)</script>";
    let script = b"#!/bin/sh\nrm -rf /\n";
    for bytes in [
        &svg[..],
        html,
        script,
        b"MZ\x90\0",
        b"%PDF-1.7",
        b"PK\x03\x04",
        b"\x7fELF",
        b"GIF8",
        b"x",
    ] {
        for name in [
            "a.html",
            "a.svg",
            "a.png",
            "a.mp4",
            "../../a.jpg",
            "a.php.jpg",
        ] {
            let answer = studio.upload(name, bytes).await;
            let sentence = answer.refused(415, "unsupported_media_type");
            assert_eq!(sentence, "Only image and video files are allowed", "{name}");
        }
    }
    studio.assert_empty().await;
}

#[tokio::test]
async fn forms_that_are_wrong_leave_nothing() {
    let studio = Studio::open(&["--max-file-size", "4096"]).await;
    let sentence = studio.form(&[]).await.refused(400, "invalid_media");
    assert_eq!(sentence, "No media file uploaded");
    let caption = [("content", None, &b"only text"[..])];
    studio.form(&caption).await.refused(400, "invalid_media");
    studio
        .form(&[("media", Some(""), b"")])
        .await
        .refused(400, "invalid_media");
    studio
        .form(&[("file", Some("a.png"), PNG)])
        .await
        .refused(400, "invalid_media");
    let two = [("media", Some("a.png"), PNG), ("media", Some("b.png"), PNG)];
    studio.form(&two).await.refused(400, "invalid_request");
    let long = [
        ("media", Some("a.png"), PNG),
        ("content", None, &[b'x'; 1001][..]),
    ];
    studio.form(&long).await.refused(400, "content_too_long");

    let mut large = PNG.to_vec();
    large.resize(4097, 0);
    let too_large = studio.upload("a.png", &large).await;
    assert_eq!(too_large.refused(413, "file_too_large"), "File too large");
    large.resize(3_000_000, 0);
    studio
        .upload("a.png", &large)
        .await
        .refused(413, "file_too_large");

    let path = format!("/api/chat/{}/send-media", studio.chat);
    let other = studio
        .rohan
        .ask("POST", &path)
        .json(&json!({ "media": "a.png" }))
        .answer()
        .await;
    other.refused(415, "unsupported_media_type");
    let none = studio.rohan.ask("POST", &path).answer().await;
    none.refused(415, "unsupported_media_type");
    studio.assert_empty().await;

    large.truncate(4096);
    let stored = studio.upload("a.png", &large).await.ok(201);
    assert_eq!(
        stored["media"]["size"],
        PNG.len(),
        "what came behind the picture is gone"
    );
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let studio = Studio::open(&[]).await;
    let path = format!("/api/chat/{}/send-media", studio.chat);
    let mut bytes = PNG.to_vec();
    bytes.resize(200_000, 0);
    let whole = studio
        .rohan
        .ask("POST", &path)
        .form(&[("media", Some("a.png"), &bytes)])
        .bytes();
    let mut stream = TcpStream::connect(studio.server.address()).await.unwrap();
    stream.write_all(&whole[..100_000]).await.unwrap();
    let begun = async {
        // No event tells of a file that begins to be written.
        while studio.server.media_files().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    within("the upload to begin", begun).await;
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    let _ = within("the end", stream.read_to_end(&mut answer)).await;
    let cleared = async {
        while !studio.server.media_files().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    within("the file to go", cleared).await;
    studio.assert_empty().await;
}

#[tokio::test]
async fn rights_are_checked_before_the_body_is_read() {
    let studio = Studio::open(&[]).await;
    let blocked = studio
        .rohan
        .chat_with(&studio.server.user("meera").await)
        .await;
    studio
        .rohan
        .put(&format!("/api/chat/{blocked}/toggle-block"))
        .await
        .ok(200);
    let eve = studio.server.user("eve").await;
    for (who, chat, status, code) in [
        (
            &studio.server.anonymous(),
            &studio.chat,
            401,
            "token_missing",
        ),
        (&eve, &studio.chat, 403, "access_denied"),
        (&studio.rohan, &blocked, 403, "chat_blocked"),
        (&studio.rohan, &"f".repeat(24), 403, "access_denied"),
    ] {
        let head = who.ask("POST", &format!("/api/chat/{chat}/send-media"));
        let head = head.header("Content-Type", "multipart/form-data; boundary=x");
        // Promised, and never sent: whoever waits for the body does not answer.
        let answer = head.header("Content-Length", "50000000").answer().await;
        answer.refused(status, code);
    }
    studio.assert_empty().await;
}

#[tokio::test]
async fn files_are_served_in_parts_and_only_when_they_are_new() {
    let studio = Studio::open(&[]).await;
    let url = studio.picture().await;
    let get = async |method: &str, headers: &[(&str, &str)]| {
        let mut ask = studio.server.anonymous().ask(method, &url);
        for (name, value) in headers {
            ask = ask.header(name, value);
        }
        ask.answer().await
    };
    let whole = get("GET", &[]).await;
    let etag = whole.header("etag").unwrap();
    let size = PNG.len();
    for (range, part) in [
        ("bytes=0-7", 0..8),
        ("bytes=8-", 8..size),
        ("bytes=-4", size - 4..size),
    ] {
        let answer = get("GET", &[("Range", range)]).await;
        assert_eq!(
            (answer.status, &answer.body[..]),
            (206, &PNG[part.clone()]),
            "{range}"
        );
        let content_range = format!("bytes {}-{}/{size}", part.start, part.end - 1);
        assert_eq!(answer.header("content-range"), Some(content_range.as_str()));
    }
    let beyond = get("GET", &[("Range", "bytes=5000-")]).await;
    assert_eq!((beyond.status, beyond.body.len()), (416, 0));
    assert_eq!(
        beyond.header("content-range"),
        Some(format!("bytes */{size}").as_str())
    );
    let head = get("HEAD", &[]).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(
        head.header("content-length"),
        Some(size.to_string().as_str())
    );
    let fresh = get("GET", &[("If-None-Match", etag)]).await;
    assert_eq!((fresh.status, fresh.body.len()), (304, 0));
    let stale = get("GET", &[("If-None-Match", "\"other\"")]).await;
    assert_eq!((stale.status, &stale.body[..]), (200, PNG));
    let modified = whole.header("last-modified").unwrap();
    assert_eq!(
        get("GET", &[("If-Modified-Since", modified)]).await.status,
        304
    );
    for method in ["PUT", "POST", "DELETE"] {
        let refused = get(method, &[]).await;
        refused.refused(405, "method_not_allowed");
        assert!(refused.header("allow").unwrap().contains("GET"));
    }
}

#[tokio::test]
async fn no_name_leads_out_of_the_directory() {
    let studio = Studio::open(&[]).await;
    let url = studio.picture().await;
    let name = url.rsplit('/').next().unwrap();
    std::fs::write(studio.server.data_dir().join("media/notes.txt"), "secret").unwrap();
    for path in [
        "notes.txt",
        "../jwt-secret",
        "..%2fjwt-secret",
        "%2e%2e%2fjwt-secret",
        "..\\jwt-secret",
        ".",
        "..",
        "%00",
        &format!("./{name}"),
        &format!("{name}%00.png"),
        &format!("{name}.html"),
        &format!("{}.html", name.trim_end_matches(".png")),
        &name.to_uppercase(),
    ] {
        let answer = studio
            .server
            .anonymous()
            .get(&format!("/uploads/chat_media/{path}"))
            .await;
        answer.refused(404, "not_found");
    }
}

#[tokio::test]
async fn deleting_the_last_message_removes_the_file() {
    let studio = Studio::open(&[]).await;
    let first = studio.upload("a.png", PNG).await.ok(201);
    let send = format!("/api/chat/{}/send", studio.chat);
    let again =
        json!({ "content": "again", "messageType": "image", "mediaUrl": first["mediaUrl"] });
    let second = studio.rohan.post(&send, &again).await.ok(201);
    assert_eq!(second["media"], first["media"]);
    let url = text(&first["media"]["url"]);
    let status = async || studio.server.anonymous().get(&url).await.status;
    let delete = async |message: &Value| {
        let path = format!("/api/chat/message/{}", text(&message["_id"]));
        studio.rohan.delete(&path).await.ok(200);
    };
    delete(&first).await;
    assert_eq!(status().await, 200, "another message shows it still");
    delete(&second).await;
    assert_eq!(status().await, 404);
    assert_eq!(studio.server.media_files(), [""; 0]);
    for tombstone in studio.asha.messages(&studio.chat).await {
        assert_eq!(tombstone["mediaUrl"], Value::Null);
        assert!(tombstone.get("media").is_none());
    }
    studio
        .rohan
        .post(&send, &again)
        .await
        .refused(400, "invalid_media");
}

#[tokio::test]
async fn private_files_are_for_participants() {
    let studio = Studio::open(&["--private-media"]).await;
    let url = studio.picture().await;
    studio
        .server
        .anonymous()
        .get(&url)
        .await
        .refused(401, "token_missing");
    studio
        .server
        .user("eve")
        .await
        .get(&url)
        .await
        .refused(403, "access_denied");
    for participant in [&studio.asha, &studio.rohan] {
        assert_eq!(participant.get(&url).await.body, PNG);
        let token = participant.token.as_ref().unwrap();
        let by_query = studio
            .server
            .anonymous()
            .get(&format!("{url}?token={token}"))
            .await;
        assert_eq!(
            (by_query.status, &by_query.body[..]),
            (200, PNG),
            "as an <img> asks"
        );
    }
    let bad = studio
        .server
        .anonymous()
        .get(&format!("{url}?token=rubbish"))
        .await;
    bad.refused(401, "token_invalid");
}
