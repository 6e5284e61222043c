//! Forms that are fine and forms that are not, whole and in pieces; none that fails leaves a file.

use std::fs;
use std::io;

use futures_util::stream;
use proptest::prelude::*;

use super::*;
use crate::media::Settings;
use crate::media::detect::tests::SAMPLES;

const TYPE: &str = "multipart/form-data; boundary=XX";

struct Place {
    dir: tempfile::TempDir,
    media: Media,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let media = Media::open(
            dir.path(),
            Settings {
                keep_metadata: true,
                ..Settings::with_max_file_size(100_000)
            },
        )
        .unwrap();
        Self { dir, media }
    }

    fn files(&self) -> usize {
        fs::read_dir(self.dir.path()).unwrap().count()
    }

    async fn receive(&self, body: &[u8], chunk: usize) -> Result<Form, MediaError> {
        let chunks: Vec<_> = body.chunks(chunk).map(Bytes::copy_from_slice).collect();
        let body = stream::iter(chunks.into_iter().map(Ok::<_, io::Error>));
        receive(TYPE, body, &self.media).await
    }

    /// The refusal of a body, which must leave nothing, however it is cut into chunks.
    async fn refusal(&self, body: &[u8]) -> MediaError {
        let mut last = None;
        for chunk in [1, 7, 1000, usize::MAX] {
            let chunk = if body.len() > 50_000 {
                chunk.max(1000)
            } else {
                chunk
            };
            last = Some(self.receive(body, chunk).await.unwrap_err());
            assert_eq!(self.files(), 0, "{last:?}");
        }
        last.unwrap()
    }
}

fn picture(length: usize) -> Vec<u8> {
    let mut bytes = SAMPLES[0].1.to_vec();
    bytes.resize(length, b'\r');
    bytes
}

fn field(name: &str, file: Option<&str>, bytes: &[u8]) -> Vec<u8> {
    let file = file.map_or(String::new(), |file| format!("; filename=\"{file}\""));
    let head = format!(
        "--XX\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\nContent-Type: text/html\r\n\r\n"
    );
    [head.as_bytes(), bytes, b"\r\n"].concat()
}

fn form(fields: &[Vec<u8>]) -> Vec<u8> {
    [&fields.concat()[..], b"--XX--\r\n"].concat()
}

#[tokio::test]
async fn a_file_and_its_caption_are_taken_in_either_order() {
    let bytes = picture(5000);
    let file = field("media", Some("<script>.html"), &bytes);
    let caption = field("content", None, "नमस्ते".as_bytes());
    let other = field("other", Some("x"), &[0; 3000]);
    for fields in [
        [file.clone(), caption.clone(), other.clone()],
        [other, caption, file],
    ] {
        for chunk in [1, 7, 1000, usize::MAX] {
            let place = Place::new();
            let form = place.receive(&form(&fields), chunk).await.unwrap();
            assert_eq!(form.content.as_deref(), Some("नमस्ते"));
            let stored = form.received.place().await.unwrap();
            assert_eq!((stored.mime, stored.size), ("image/jpeg", 5000));
            let path = place.dir.path().join(&stored.name);
            assert_eq!(fs::read(path).unwrap(), bytes);
            assert_eq!(place.files(), 1);
        }
    }
}

#[tokio::test]
async fn a_caption_may_be_absent() {
    let place = Place::new();
    let body = form(&[field("media", Some("a.jpg"), &picture(50))]);
    assert_eq!(place.receive(&body, 10).await.unwrap().content, None);
}

#[tokio::test]
async fn a_form_without_a_file_says_so() {
    let place = Place::new();
    for fields in [
        vec![],
        vec![field("content", None, b"hi")],
        vec![field("file", Some("a.jpg"), &picture(50))],
        vec![field("media", Some(""), b"")],
        vec![field("media", None, b"")],
    ] {
        let refusal = place.refusal(&form(&fields)).await;
        assert!(matches!(refusal, MediaError::NoFile), "{refusal:?}");
    }
}

#[tokio::test]
async fn wrong_files_are_refused_wherever_they_stand() {
    let place = Place::new();
    let caption = field("content", None, b"hi");
    for bytes in [&b""[..], b"<svg/>", &vec![b'<'; 90_000]] {
        let file = field("media", Some("a.jpg"), bytes);
        for fields in [vec![file.clone()], vec![caption.clone(), file.clone()]] {
            let refusal = place.refusal(&form(&fields)).await;
            assert!(matches!(refusal, MediaError::Unsupported), "{refusal:?}");
        }
    }
}

#[tokio::test]
async fn two_files_are_refused() {
    let place = Place::new();
    let file = field("media", Some("a.jpg"), &picture(5000));
    let refusal = place.refusal(&form(&[file.clone(), file])).await;
    assert!(matches!(refusal, MediaError::BadForm(_)), "{refusal:?}");
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let place = Place::new();
    for length in [100_001, 500_000] {
        let file = field("media", Some("a.jpg"), &picture(length));
        let refusal = place.refusal(&form(&[file])).await;
        assert!(matches!(refusal, MediaError::TooLarge), "{refusal:?}");
    }
    let file = field("media", Some("a.jpg"), &picture(100_000));
    assert!(place.receive(&form(&[file]), 4096).await.is_ok());
}

#[tokio::test]
async fn everything_beside_the_file_is_bounded() {
    let place = Place::new();
    let file = field("media", Some("a.jpg"), &picture(50));
    let long_head = format!("--XX\r\nX-Long: {}", "x".repeat(200_000));
    for body in [
        form(&[
            file.clone(),
            field("content", None, &vec![b'x'; MAX_CONTENT + 1]),
        ]),
        form(&[file.clone(), field("content", None, b"\xff\xfe")]),
        form(&[
            file.clone(),
            field("content", None, b"a"),
            field("content", None, b"b"),
        ]),
        form(&[
            file.clone(),
            field("other", None, &vec![b'x'; MAX_OTHERS + 1]),
        ]),
        form(&vec![field("other", None, b""); MAX_FIELDS + 1]),
        form(&[file.clone(), long_head.into_bytes()]),
        [&vec![b'x'; 200_000][..], &form(&[file])].concat(),
    ] {
        let refusal = place.refusal(&body).await;
        assert!(matches!(refusal, MediaError::BadForm(_)), "{refusal:?}");
    }
}

#[tokio::test]
async fn a_form_that_is_cut_short_leaves_nothing() {
    let place = Place::new();
    let body = form(&[
        field("media", Some("a.jpg"), &picture(3000)),
        field("content", None, b"hi"),
    ]);
    let whole = body.len() - "--\r\n".len();
    for length in (0..whole).step_by(13).chain([whole - 1, whole]) {
        let refusal = place.receive(&body[..length], 100).await.unwrap_err();
        let expected = matches!(refusal, MediaError::Aborted | MediaError::BadForm(_));
        assert!(expected, "{length}: {refusal:?}");
        assert_eq!(place.files(), 0);
    }
}

#[tokio::test]
async fn a_connection_that_breaks_leaves_nothing() {
    let place = Place::new();
    let body = form(&[field("media", Some("a.jpg"), &picture(3000))]);
    let chunks = [Ok(Bytes::from(body)), Err(io::ErrorKind::ConnectionReset)];
    for kept in [&chunks[1..], &chunks[..]] {
        let mut kept = kept.to_vec();
        if let Some(Ok(first)) = kept.first_mut() {
            first.truncate(2500);
        }
        let broken = stream::iter(kept).map_err_to_io();
        let refusal = receive(TYPE, broken, &place.media).await.unwrap_err();
        assert!(matches!(refusal, MediaError::Aborted), "{refusal:?}");
        assert_eq!(place.files(), 0);
    }
}

trait MapErrToIo: Stream<Item = Result<Bytes, io::ErrorKind>> + Sized {
    fn map_err_to_io(self) -> impl Stream<Item = Result<Bytes, io::Error>> + Send + 'static
    where
        Self: Send + 'static,
    {
        futures_util::TryStreamExt::map_err(self, io::Error::from)
    }
}

impl<S: Stream<Item = Result<Bytes, io::ErrorKind>>> MapErrToIo for S {}

#[tokio::test]
async fn whoever_gives_up_leaves_nothing() {
    let place = Place::new();
    let mut body = form(&[field("media", Some("a.jpg"), &picture(3000))]);
    body.truncate(2500);
    let begun = stream::iter([Ok::<_, io::Error>(Bytes::from(body))]);
    let stuck = futures_util::StreamExt::chain(begun, stream::pending());
    let mut receiving = Box::pin(receive(TYPE, stuck, &place.media));
    while place.files() == 0 {
        assert!(futures_util::poll!(&mut receiving).is_pending());
        tokio::task::yield_now().await;
    }
    drop(receiving);
    assert_eq!(place.files(), 0);
}

#[tokio::test]
async fn other_bodies_are_no_forms() {
    let place = Place::new();
    for content_type in [
        "",
        "application/json",
        "multipart/mixed; boundary=XX",
        "multipart",
    ] {
        let empty = stream::empty::<io::Result<Bytes>>();
        let refusal = receive(content_type, empty, &place.media).await;
        assert!(
            matches!(refusal, Err(MediaError::NotAForm)),
            "{content_type}"
        );
    }
    let long = format!("multipart/form-data; boundary={}", "x".repeat(71));
    for content_type in ["multipart/form-data", &long] {
        let empty = stream::empty::<io::Result<Bytes>>();
        let refusal = receive(content_type, empty, &place.media).await;
        assert!(
            matches!(refusal, Err(MediaError::BadForm(_))),
            "{content_type}"
        );
    }
}

#[tokio::test]
async fn the_parser_is_fed_one_piece_at_a_time() {
    let large = Bytes::from(vec![b'x'; MAX_PIECE + 1]);
    let body = stream::iter([Ok::<_, Hoarded>(large), Ok(Bytes::from_static(b"x"))]);
    let hoard = Arc::default();
    let mut paced = Paced::new(body, Arc::clone(&hoard));
    for _ in 0..3 {
        hoard.store(0, Ordering::Relaxed);
        let next = futures_util::poll!(futures_util::StreamExt::next(&mut paced));
        assert!(next.is_ready());
        let next = futures_util::poll!(futures_util::StreamExt::next(&mut paced));
        assert!(next.is_pending());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_refused_without_a_panic(
        noise in prop::collection::vec(prop_oneof![
            Just(b"--XX".to_vec()),
            Just(b"\r\n".to_vec()),
            Just(b"--".to_vec()),
            Just(b"Content-Disposition: form-data; name=\"content\"".to_vec()),
            Just(b"name=\"\\\"".to_vec()),
            prop::collection::vec(any::<u8>(), 0..8),
        ], 0..40),
        chunk in 1usize..20,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let place = Place::new();
        let outcome = runtime.block_on(place.receive(&noise.concat(), chunk));
        prop_assert!(outcome.is_err());
        prop_assert_eq!(place.files(), 0);
    }
}
