//! Answers to requests with and without ranges and validators, read to their end.

use std::fs;

use http_body_util::BodyExt as _;

use super::*;
use crate::media::Settings;

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }
}

struct Site {
    dir: tempfile::TempDir,
    media: Media,
    name: String,
    bytes: Vec<u8>,
}

impl Site {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let media = Media::open(dir.path(), Settings::with_max_file_size(1 << 20)).unwrap();
        let name = format!("chat-1-{}.mp4", "ab".repeat(16));
        let bytes: Vec<u8> = (0..200_000u32).map(|n| n.to_le_bytes()[1]).collect();
        fs::write(dir.path().join(&name), &bytes).unwrap();
        Self {
            dir,
            media,
            name,
            bytes,
        }
    }

    async fn ask(&self, method: Method, headers: &[(HeaderName, &str)]) -> Answer {
        let headers = headers.iter().cloned();
        let headers = headers.map(|(name, value)| (name, value.parse().unwrap()));
        let headers = headers.collect();
        let response = self.media.serve(&self.name, None, &method, &headers).await;
        let (parts, body) = response.unwrap().into_parts();
        let announced = body.size_hint().exact().unwrap();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        assert_eq!(announced, body.len() as u64);
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
        }
    }

    async fn get(&self, headers: &[(HeaderName, &str)]) -> Answer {
        self.ask(Method::GET, headers).await
    }
}

#[tokio::test]
async fn a_file_is_served_whole_with_every_guard() {
    let site = Site::new();
    let answer = site.get(&[]).await;
    assert_eq!((answer.status, &answer.body), (200, &site.bytes));
    for (name, value) in [
        ("content-type", "video/mp4"),
        ("content-length", "200000"),
        ("accept-ranges", "bytes"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; sandbox"),
        ("cache-control", "private, max-age=31536000, immutable"),
        ("cross-origin-resource-policy", "cross-origin"),
        (
            "content-disposition",
            &format!("inline; filename=\"{}\"", site.name),
        ),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    assert!(answer.header("etag").starts_with('"'), "strong");
    assert!(httpdate::parse_http_date(answer.header("last-modified")).is_ok());
}

#[tokio::test]
async fn head_says_the_same_without_the_bytes() {
    let site = Site::new();
    let get = site.get(&[]).await;
    let head = site
        .ask(Method::HEAD, &[(header::RANGE, "bytes=0-9")])
        .await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.headers, get.headers);
}

#[tokio::test]
async fn parts_are_served_as_asked() {
    let site = Site::new();
    for (range, part) in [
        ("bytes=0-0", 0..1),
        ("bytes=100-70099", 100..70_100),
        ("bytes=199990-", 199_990..200_000),
        ("bytes=-10", 199_990..200_000),
    ] {
        let answer = site.get(&[(header::RANGE, range)]).await;
        assert_eq!(
            (answer.status, &answer.body[..]),
            (206, &site.bytes[part.clone()])
        );
        let expected = format!("bytes {}-{}/200000", part.start, part.end - 1);
        assert_eq!(answer.header("content-range"), expected);
        assert_eq!(answer.header("content-length"), part.len().to_string());
    }
    let beyond = site.get(&[(header::RANGE, "bytes=200000-")]).await;
    assert_eq!((beyond.status, beyond.body.len()), (416, 0));
    assert_eq!(beyond.header("content-range"), "bytes */200000");
    let several = site.get(&[(header::RANGE, "bytes=0-1,4-5")]).await;
    assert_eq!((several.status, several.body.len()), (200, 200_000));
}

#[tokio::test]
async fn a_range_of_another_version_is_served_whole() {
    let site = Site::new();
    let first = site.get(&[]).await;
    let (etag, modified) = (first.header("etag"), first.header("last-modified"));
    for (validator, status) in [
        (etag, 206),
        (modified, 206),
        ("\"other\"", 200),
        (&format!("W/{etag}"), 200),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 200),
    ] {
        let headers = [(header::RANGE, "bytes=0-9"), (header::IF_RANGE, validator)];
        assert_eq!(site.get(&headers).await.status, status, "{validator}");
    }
}

#[tokio::test]
async fn a_copy_that_is_fresh_is_not_sent_again() {
    let site = Site::new();
    let first = site.get(&[]).await;
    let (etag, modified) = (first.header("etag"), first.header("last-modified"));
    let old = "Sun, 06 Nov 1994 08:49:37 GMT";
    for (headers, status) in [
        (vec![(header::IF_NONE_MATCH, etag)], 304),
        (vec![(header::IF_NONE_MATCH, "*")], 304),
        (
            vec![(header::IF_NONE_MATCH, &*format!("\"x\", W/{etag}"))],
            304,
        ),
        (vec![(header::IF_NONE_MATCH, "\"x\"")], 200),
        (vec![(header::IF_MODIFIED_SINCE, modified)], 304),
        (vec![(header::IF_MODIFIED_SINCE, old)], 200),
        (vec![(header::IF_MODIFIED_SINCE, "soon")], 200),
        (
            vec![
                (header::IF_NONE_MATCH, "\"x\""),
                (header::IF_MODIFIED_SINCE, modified),
            ],
            200,
        ),
        (
            vec![(header::IF_NONE_MATCH, etag), (header::RANGE, "bytes=0-9")],
            304,
        ),
    ] {
        let answer = site.get(&headers).await;
        assert_eq!(answer.status, status, "{headers:?}");
        assert_eq!(answer.header("etag"), etag);
        assert_eq!(answer.body.is_empty(), status == 304);
    }
}

#[tokio::test]
async fn what_is_no_file_of_ours_is_not_found() {
    let site = Site::new();
    fs::write(site.dir.path().join(".upload-1"), "x").unwrap();
    let directory = format!("chat-2-{}.jpg", "0".repeat(32));
    fs::create_dir(site.dir.path().join(&directory)).unwrap();
    let absent = format!("chat-3-{}.jpg", "0".repeat(32));
    let up = format!("../{}", site.name);
    for name in [
        "",
        ".",
        "..",
        ".upload-1",
        "%2e%2e",
        &up,
        &directory,
        &absent,
    ] {
        let none = HeaderMap::new();
        let answer = site.media.serve(name, None, &Method::GET, &none).await;
        assert!(matches!(answer, Err(MediaError::NotFound)), "{name}");
    }
}

#[tokio::test]
async fn a_file_that_shrinks_meanwhile_breaks_off() {
    let site = Site::new();
    let none = HeaderMap::new();
    let answer = site
        .media
        .serve(&site.name, None, &Method::GET, &none)
        .await;
    let body = answer.unwrap().into_body();
    fs::write(site.dir.path().join(&site.name), "short").unwrap();
    assert!(body.collect().await.is_err());
}

#[tokio::test]
async fn a_file_from_before_dates_is_served() {
    let site = Site::new();
    let path = site.dir.path().join(&site.name);
    let ancient = UNIX_EPOCH - Duration::from_secs(5);
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_modified(ancient).unwrap();
    let answer = site.get(&[]).await;
    assert_eq!(
        answer.header("last-modified"),
        "Thu, 01 Jan 1970 00:00:00 GMT"
    );
}
